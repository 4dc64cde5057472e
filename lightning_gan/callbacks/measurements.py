"""What is measured in a run: filled in by the callbacks that measure, read by all others."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from lightning.pytorch import Trainer
from torch import Tensor

from lightning_gan.evaluation.panel import Measured
from lightning_gan.evaluation.stamped_values import StampedValues
from lightning_gan.metrics.balance import BalanceResult
from lightning_gan.runs.record import RunRecord
from lightning_gan.training.schedule import PlayerName


@dataclass(frozen=True)
class TrainingReport:
    """What the updates since the last report showed.

    Each group of values is named as in the logs.

    Args:
        balance: What the discriminator made of reals and fakes; None where it did not move.
        loss: Mean losses, by player.
        penalty: Mean bare terms that joined them, by the names of their classes.
        gradient_norm: Norms of the players' last gradients that were looked at.
        learning_rate: By player.
        progress: Images, updates, and images a second.
        state: What parts have adapted, such as BEGAN's k.
    """

    balance: BalanceResult | None
    loss: dict[str, float]
    penalty: dict[str, float]
    gradient_norm: dict[str, float]
    learning_rate: dict[str, float]
    progress: dict[str, float]
    state: dict[str, float]

    @classmethod
    def of_norms(cls, norms: dict[str, float]) -> "TrainingReport":
        """What a resumed run still knows of the report before: the norms of the gradients."""
        nothing: dict[str, dict[str, float]] = {
            name: {} for name in ("loss", "penalty", "learning_rate", "progress", "state")
        }
        return cls(balance=None, gradient_norm=norms, **nothing)

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs, as in ``loss/generator``."""
        found = {} if self.balance is None else self.balance.logged()
        for group in ("loss", "penalty", "gradient_norm", "learning_rate", "progress", "state"):
            found |= {f"{group}/{name}": value for name, value in getattr(self, group).items()}
        return found


class BestDistance(NamedTuple):
    """The smallest Frechet distance of a run, the images seen by then, and of what it is."""

    extractor: str
    value: float
    images: int
    samples: dict[str, Any] | None = None
    """The stamp of the samples; None from before it was kept."""
    reference: dict[str, Any] | None = None
    """The stamp of what they were compared with; likewise."""


class TimeSpent(NamedTuple):
    """Seconds since a training was started, and those of them that validations took."""

    whole: float
    evaluating: float

    @property
    def share(self) -> float:
        """What part of the time evaluations took."""
        return self.evaluating / self.whole


@dataclass
class Measurements:
    """The latest of everything; None is what has not been measured.

    Args:
        training: By :class:`Balance`: the last report of training.
        val: By :class:`Balance`: what the discriminator makes of held-out reals.
        gradient_norms: By :class:`Balance`: the last norm of each player's gradient.
        samples: By :class:`Evaluation`: what generated samples are worth.
        best: By :class:`Evaluation`: the smallest distance so far.
        stamped: By :class:`Evaluation`: its values with all that they depend on.
        time: By :class:`Evaluation`: seconds of this start of the run, and those of evaluations.
        pictures: By :class:`Evaluation`: pairs to look at, uint8 (3, H, W), by name; on rank zero.
        record: By :class:`Recorder`: what the run is; on rank zero.
    """

    training: TrainingReport | None = None
    val: BalanceResult | None = None
    gradient_norms: dict[PlayerName, Tensor] = field(default_factory=dict)
    samples: Measured | None = None
    best: BestDistance | None = None
    stamped: StampedValues | None = None
    time: TimeSpent | None = None
    pictures: dict[str, Tensor] = field(default_factory=dict)
    record: RunRecord | None = None


# By the Trainer, so that a callback finds them without knowing who measures, and no two runs mix.
_MEASUREMENTS: WeakKeyDictionary[Trainer, Measurements] = WeakKeyDictionary()


def measurements(trainer: Trainer) -> Measurements:
    """What has been measured in the run of a Trainer. A callback of one's own may fill in, too."""
    return _MEASUREMENTS.setdefault(trainer, Measurements())
