"""The classical rule, made testable: play until the discriminator cannot tell the two apart."""

import math
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from lightning_gan.callbacks.balance import Balance
from lightning_gan.callbacks.base import GANCallback, check_state, is_fitting, log_late
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.errors import ConfigurationError, at_least, check_range, whole
from lightning_gan.evaluation.panel import Measured
from lightning_gan.gan import GAN
from lightning_gan.metrics.balance import BalanceResult


@dataclass(eq=False)
class EquilibriumStopping(GANCallback):
    r"""Says when the discriminator has become undecided on held-out data, and may end the training.

    At the equilibrium of the minimax game D = 1/2 everywhere (Goodfellow et al. 2014, Prop. 1), the
    rule of thumb of "50 : 50". A validation finds the discriminator undecided when

    * its ``val/auc`` lies within ``deviations`` of its deviation, ``val/auc_sd``, around 1/2,
    * the means of D(x) and D(G(z)), where the objective has probabilities, lie within ``tolerance``
      and ``deviations`` of their own around 1/2,
    * the 1-nearest-neighbour test (Lopez-Paz and Oquab 2017), ``nn1/<e>_real`` and
      ``nn1/<e>_fake``, where it is logged, lies within ``nearest_tolerance`` and ``deviations`` of
      its own around 1/2, or around what held-out reals give in place of the samples, or between.

    A discriminator that is dead, constant or too weak shows the first two as well; only the third
    looks at the samples themselves. So log it (:class:`Evaluation` does); without it, what is said
    ends with this doubt.

    It logs ``equilibrium/undecided`` (0 or 1) and ``equilibrium/streak``, the number of validations
    in a row that found it so. A validation that is due by the end of the training alone is judged
    and not counted when the run goes on with a larger budget. It needs :class:`Balance` among the
    callbacks.

    Args:
        patience: Validations in a row after which the equilibrium counts as reached.
        deviations: How many standard deviations may be chance.
        tolerance: How far from 1/2 the mean probabilities may lie beyond chance.
        nearest_tolerance: How far off the nearest-neighbour test may lie beyond chance.
        stop: Whether the training ends when the equilibrium is reached.

    Raises:
        ConfigurationError: If a number is out of range, or there is no Balance.
    """

    patience: int = 3
    deviations: float = 2.0
    tolerance: float = 0.05
    nearest_tolerance: float = 0.05
    stop: bool = False

    def __post_init__(self) -> None:
        self.patience = whole(self, "patience", self.patience)
        check_range(self, at_least(1), patience=self.patience)
        check_range(self, at_least(0), deviations=self.deviations, tolerance=self.tolerance)
        check_range(self, at_least(0), nearest_tolerance=self.nearest_tolerance)
        self.forget()

    def forget(self) -> None:
        """Forgets the validations so far."""
        self.streak = 0
        """Validations in a row that found the discriminator undecided."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Checks that the balance is measured.

        Raises:
            ConfigurationError: If it is not.
        """
        super().setup(trainer, pl_module, stage)
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        if stage == "fit" and not any(isinstance(callback, Balance) for callback in callbacks):
            raise ConfigurationError(
                "EquilibriumStopping reads the balance on held-out data, and there is no Balance "
                "among the callbacks: add lightning_gan.callbacks.Balance()."
            )

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Ends a training that goes on from where the equilibrium had ended it."""
        if self.stop and self.streak >= self.patience:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, gan: GAN) -> None:
        """Judges the validation; says so, and stops, where the equilibrium is reached."""
        if not is_fitting(trainer):
            return
        latest = measurements(trainer)
        # Last bits may differ between devices, and all processes must stop together.
        val, samples = trainer.strategy.broadcast((latest.val, latest.samples))
        undecided = self.is_undecided(val, samples)
        streak = self.streak + 1 if undecided else 0
        found = {"undecided": float(undecided), "streak": float(streak)}
        log_late(trainer, gan, {f"equilibrium/{name}": x for name, x in found.items()})
        if val is not None and streak == self.patience:
            rank_zero_info(self._sentence(streak, val, samples, gan.progress.images))
        if gan.validation_due != "end":  # which a run with a larger budget would not have here
            self.streak = streak
        if self.stop and streak >= self.patience:
            trainer.should_stop = True

    def is_undecided(self, val: BalanceResult | None, samples: Measured | None = None) -> bool:
        """Whether the last measurements are those of an equilibrium.

        Args:
            val: What the discriminator makes of held-out data.
            samples: What generated samples are worth.
        """
        if val is None or val.n is None or val.auc is None or val.auc_sd is None:
            return False
        near = [self._is_near(val.auc, val.auc_sd)]
        for probability in (val.real_probability, val.fake_probability):
            if probability is not None:
                error = probability.std / math.sqrt(val.n)
                near.append(self._is_near(probability.mean, error, self.tolerance))
        if samples is not None and (nearest := samples.neighbours) is not None:
            error = math.sqrt(0.25 / (nearest.compared or samples.n))
            if nearest.held_out:
                error = math.hypot(error, math.sqrt(0.25 / nearest.held_out))
            for value, unseen in (
                (nearest.nn1_real, nearest.nn1_real_held_out),
                (nearest.nn1_fake, nearest.nn1_fake_held_out),
            ):
                near.append(self._is_near(value, error, self.nearest_tolerance, unseen))
        return all(near)

    def _is_near(
        self, value: float, deviation: float, tolerance: float = 0.0, unseen: float | None = None
    ) -> bool:
        """Whether a value lies around 1/2, or what reals give that are unseen; NaN does not."""
        low, high = sorted((0.5, 0.5 if unseen is None else unseen))
        reach = tolerance + self.deviations * deviation
        return low - reach <= value <= high + reach

    def _sentence(
        self, streak: int, val: BalanceResult, samples: Measured | None, images: int
    ) -> str:
        shown = [f"AUC {val.auc:.3f} ± {val.auc_sd:.3f}"]
        if val.real_probability is not None and val.fake_probability is not None:
            shown.append(f"D(x) = {val.real_probability.mean:.2f}")
            shown.append(f"D(G(z)) = {val.fake_probability.mean:.2f}")
        doubt = ", with no nearest-neighbour test to tell it from a dead discriminator"
        if samples is not None and (nearest := samples.neighbours) is not None:
            shown.append(f"1-NN test {nearest.nn1_real:.2f} and {nearest.nn1_fake:.2f}")
            doubt = ""
        return (
            f"After {images:,} images the discriminator has been undecided on held-out data at "
            f"{streak} validations in a row ({', '.join(shown)}){doubt}"
            f"{'; the training ends here' * self.stop}."
        )

    def state_dict(self) -> dict[str, Any]:
        """The streak."""
        return {"streak": self.streak}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on with a streak.

        Raises:
            WeightsError: If it is no number.
        """
        check_state(self, state_dict)
        self.streak = int(state_dict["streak"])
