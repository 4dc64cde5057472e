"""Watches for collapse: names what goes wrong, keeps the healthiest state, may go back to it."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_gan.callbacks.alarms import Health, Limits
from lightning_gan.callbacks.base import (
    GANCallback,
    check_state,
    drop_lost,
    is_dry_run,
    is_fitting,
    log_late,
    run_folder,
)
from lightning_gan.callbacks.divergence import StopOnDivergence, losses_finite
from lightning_gan.callbacks.measurements import TrainingReport, measurements
from lightning_gan.checkpoints.record import own_state
from lightning_gan.distributed.processes import all_true, gathered_ints
from lightning_gan.errors import (
    ConfigurationError,
    above,
    at_least,
    at_most,
    below,
    check_range,
    whole,
)
from lightning_gan.gan import GAN


@dataclass(frozen=True)
class Kept:
    """The state in the checkpoint: what it was chosen by, its health, and the images seen."""

    kind: str
    value: float
    health: Health
    images: int


@dataclass(eq=False)
class CollapseGuard(GANCallback):
    r"""Warns of a training that goes wrong, and may bring it back to its healthiest state.

    After each validation it logs, as 0 or 1, whatever the other callbacks measure enough for:

    * ``collapse/modes``: more than ``margin`` of the modes that were covered at best are lost, once
      these were half of all;
    * ``collapse/alike``: less than a fifth of the pictures' variance lies within the classes, so
      that each is nearly one picture;
    * ``collapse/coverage``: the coverage of the reals lies below its best by more than ``margin``
      and ``deviations`` times :math:`\sqrt{c(1-c)/n}`, for both values;
    * ``collapse/frechet``: the Frechet distance is above ``factor`` times its best and ten
      times its floor, below which it may be noise;
    * ``collapse/saturated``: the discriminator is right about 99 % of held-out reals and fakes, and
      the generator's gradient has fallen below 1 % of its largest;
    * ``collapse/diverged``: a weight is NaN or infinite.

    What ``patience`` validations in a row say is named in one warning. Besides,
    ``checkpoints/healthy.ckpt`` keeps the healthiest state that had no alarm, and would have none
    beside the best since: that of the smallest Frechet distance, of most modes where there is none,
    of the latest validation otherwise. A run without any checkpoint callback keeps none.

    With ``recover`` it then goes back to that state: the weights of both players and their average,
    what objective, regularizers and augmentation have adapted, and both optimizers, at ``ease``
    times the present learning rates. Images seen and updates go on, so that the budget holds and
    other random numbers are drawn. A loss that is not finite is looked for after each batch, for
    which it waits for the device, and survived in the same way at once. After ``max_rollbacks`` it
    only warns, and a loss that is not finite ends the training, as without it.

    Args:
        patience: Validations in a row that must agree.
        margin: Share of the modes, and amount of the coverage, whose loss is tolerated.
        deviations: How many standard deviations of the coverage may be chance.
        factor: How many times its best the Frechet distance may be.
        recover: Whether to go back to the healthiest state.
        ease: Factor of both learning rates at each return, above 0 and at most 1.
        max_rollbacks: Largest number of returns.

    Raises:
        ConfigurationError: If a number is out of range; with ``recover``, if it is listed after
            StopOnDivergence.
    """

    patience: int = 2
    margin: float = 0.05
    deviations: float = 4.0
    factor: float = 2.0
    recover: bool = False
    ease: float = 0.5
    max_rollbacks: int = 3

    def __post_init__(self) -> None:
        self.patience = whole(self, "patience", self.patience)
        check_range(self, at_least(1), patience=self.patience, factor=self.factor)
        self.max_rollbacks = whole(self, "max_rollbacks", self.max_rollbacks)
        check_range(self, at_least(1), max_rollbacks=self.max_rollbacks)
        check_range(self, at_least(0), below(1), margin=self.margin)
        check_range(self, at_least(0), deviations=self.deviations)
        check_range(self, above(0), at_most(1), ease=self.ease)
        self.limits = Limits(self.margin, self.deviations, self.factor)
        self.forget()

    def forget(self) -> None:
        """Forgets what was best, and what has been decided."""
        self.rollbacks = 0
        """Returns so far."""
        self._best = Health()
        self._streaks: dict[str, int] = {}
        self._kept: Kept | None = None
        self._pending = ""
        """Why to go back before the next batch."""
        self._report: TrainingReport | None = None
        """The last report that was looked at."""

    def path(self, trainer: Trainer) -> Path:
        """Where the healthiest state is written."""
        return run_folder(trainer) / "checkpoints" / "healthy.ckpt"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Checks that it sees a loss that is not finite before anybody ends the training for it.

        Raises:
            ConfigurationError: If it does not.
        """
        super().setup(trainer, pl_module, stage)
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        before = callbacks[: callbacks.index(self)]
        if self.recover and any(isinstance(callback, StopOnDivergence) for callback in before):
            raise ConfigurationError(
                "StopOnDivergence would end the training before CollapseGuard could go back: "
                "list CollapseGuard before it."
            )

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Forgets a checkpoint that is not there; keeps the start where there is none to return to.

        A run may have been resumed in another folder, or from before that checkpoint.
        """
        if is_dry_run(trainer):
            return
        drop_lost(trainer, gan, self.path(trainer), "the next healthy state is kept")
        if not self._is_there(trainer):
            self._kept, self._pending = None, ""
        if self.recover and self._kept is None:
            self._keep(trainer, gan, "start", 0.0, Health())

    def on_train_batch_start(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Goes back where a validation has said so."""
        if self._pending:
            self._return(trainer, gan, self._pending)

    def on_train_batch_end(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Looks at the losses of the batch, where it may go back for them."""
        report = measurements(trainer).training
        if report is not None and report is not self._report:
            self._report = report
            norm = report.gradient_norm.get("generator", 0.0)
            self._best = Health(gradient=norm).best(self._best)
        if is_dry_run(trainer) or not self._may_return or not gan.outputs:
            return
        if not all_true(losses_finite(gan.outputs)[None])[0]:
            self._return(trainer, gan, "a loss is not finite")

    def on_validation_end(self, trainer: Trainer, gan: GAN) -> None:
        """Judges the validation."""
        if not is_fitting(trainer):
            return
        latest = measurements(trainer)
        # Last bits may differ between devices, and all processes must decide alike.
        now: Health = trainer.strategy.broadcast(Health.of(latest))
        modes = latest.samples and latest.samples.modes
        alarms = now.alarms(self._best, self.limits, modes.missing if modes else ())
        finite = all(weight.isfinite().all() for weight in gan.parameters())
        alarms["diverged"] = "" if finite else "a weight is not finite"
        found: dict[str, str] = trainer.strategy.broadcast(alarms)
        self._streaks = {n: self._streaks.get(n, 0) + 1 for n, clause in found.items() if clause}
        logged = {f"collapse/{name}": float(bool(clause)) for name, clause in found.items()}
        log_late(trainer, gan, logged | {"collapse/rollbacks": float(self.rollbacks)})
        if self._streaks:
            self._raise_alarm(gan, found)
            return
        # Only here: what a collapsed state does better is no measure for others.
        self._best = now.best(self._best)
        kind, value = now.rank(gan.progress.images)
        kept = self._kept
        if (
            kept is None
            or kind != kept.kind
            or value <= kept.value
            or any(kept.health.alarms(self._best, self.limits).values())  # beside the best since
        ):
            self._keep(trainer, gan, kind, value, now)

    def _raise_alarm(self, gan: GAN, found: dict[str, str]) -> None:
        """Decides to go back, or warns, once, of what has been so for long enough."""
        wait = {name: 1 if name == "diverged" else self.patience for name in self._streaks}
        lasting = [name for name, streak in self._streaks.items() if streak >= wait[name]]
        clauses = "; ".join(found[name] for name in lasting)
        if lasting and self._may_return:
            self._pending = clauses
        elif any(self._streaks[name] == wait[name] for name in lasting):
            spent = ", and all returns are spent" if self.recover else ""
            rank_zero_warn(f"After {gan.progress.images:,} images {clauses}{spent}.")

    @property
    def _may_return(self) -> bool:
        return self.recover and self.rollbacks < self.max_rollbacks

    def _return(self, trainer: Trainer, gan: GAN, why: str) -> None:
        """Goes back to the healthiest state, where it is still there."""
        self._pending = ""
        self._streaks = {}
        after = f"After {gan.progress.images:,} images {why}"
        self.rollbacks += 1
        if not self._is_there(trainer):
            rank_zero_warn(f"{after}, and there is no {self.path(trainer)} to go back to.")
            return
        images = roll_back(trainer, gan, self.path(trainer), self.ease)
        rank_zero_warn(
            f"{after}: going on from the state after {images:,} images, with "
            f"learning rates times {self.ease:g} (return {self.rollbacks} of {self.max_rollbacks})."
        )

    def _is_there(self, trainer: Trainer) -> bool:
        device = trainer.strategy.root_device
        return all(gathered_ints(int(self.path(trainer).is_file()), device))

    def _keep(self, trainer: Trainer, gan: GAN, kind: str, value: float, health: Health) -> None:
        if not (self.recover or trainer.checkpoint_callbacks):  # no files are wanted
            return
        self._kept = Kept(kind, value, health.finite(), gan.progress.images)
        trainer.save_checkpoint(self.path(trainer), weights_only=False)

    def on_train_end(self, trainer: Trainer, gan: GAN) -> None:
        """Says what the last validation has found, where no batch is left to go back before."""
        if self._pending and self._kept is not None:
            rank_zero_warn(
                f"After {gan.progress.images:,} images {self._pending}, and the training is over: "
                f"{self.path(trainer)} holds the state after {self._kept.images:,}."
            )

    def state_dict(self) -> dict[str, Any]:
        """What it has seen and decided."""
        return {
            "rollbacks": self.rollbacks,
            "best": asdict(self._best),
            "streaks": self._streaks,
            "healthy": self._kept and asdict(self._kept),
            "pending": self._pending,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there.

        Raises:
            WeightsError: If a number in it is not finite.
        """
        kept = state_dict["healthy"]
        best, health = dict(state_dict["best"]), dict(kept["health"] if kept else {})
        for each in (best, health):
            if each.get("n") == math.inf:  # as earlier versions wrote None
                each["n"] = None
        kept = kept and kept | {"health": health}
        check_state(self, state_dict | {"best": best, "healthy": kept})
        self.rollbacks, self._streaks = int(state_dict["rollbacks"]), dict(state_dict["streaks"])
        self._best, self._pending = Health(**best), str(state_dict["pending"])
        self._kept = kept and Kept(**kept | {"health": Health(**health)})


def roll_back(trainer: Trainer, gan: GAN, path: Path, ease: float) -> int:
    """Gives the model and both optimizers the state of a checkpoint, at a lower learning rate.

    Progress goes on: the budget is not given back, and since random numbers follow the updates
    made, the same path is not taken again. Everything is loaded into the parameters that there are,
    which the strategy knows. All processes must call it.

    Args:
        trainer: Whose optimizers are meant.
        gan: The model.
        path: A checkpoint of this run.
        ease: Factor of both learning rates as they are now.

    Returns:
        The images that the checkpoint had seen.

    Raises:
        WeightsError: If the checkpoint is missing or damaged.
    """
    eased = [{n: ease * group[n] for n in ("lr", "initial_lr")} for group in _groups(trainer)]
    checkpoint = trainer.strategy.load_checkpoint(path, weights_only=True)
    gan.load_state_dict(checkpoint["state_dict"])
    trainer.strategy.load_optimizer_state_dict(checkpoint)
    for group, rates in zip(_groups(trainer), eased, strict=True):
        group.update(rates)
    precision = trainer.precision_plugin
    if (state := checkpoint.get(type(precision).__qualname__)) is not None:  # a scaler's
        precision.load_state_dict(state)
    gan.outputs.clear()
    measurements(trainer).gradient_norms.clear()  # of what is no more
    return int(own_state(checkpoint, str(path))["progress"]["images"])


def _groups(trainer: Trainer) -> list[dict[str, Any]]:
    return [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
