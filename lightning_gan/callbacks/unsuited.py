"""Callbacks of Lightning that expect one optimizer, or a value that is not there; what to take."""

import traceback
from collections.abc import Sequence

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BatchSizeFinder,
    GradientAccumulationScheduler,
    LearningRateFinder,
    StochasticWeightAveraging,
    WeightAveraging,
)

from lightning_gan.basics.words import nearest
from lightning_gan.callbacks.trainer_options import COMMAND_LINE, Spelling
from lightning_gan.errors import ConfigurationError

AVERAGED = "the generator's are averaged already, by --model.ema_half_life"
UNSUITED: dict[type[Callback], str] = {
    BackboneFinetuning: (
        "thaws a part called backbone, which neither player has: begin with trained weights by "
        "--model.warm_start, and keep layers of the discriminator with FreezeD"
    ),
    BatchSizeFinder: (
        "changes the size of batches, which is a part of what is trained: give --data.batch_size, "
        "and --model.accumulate where a batch does not fit into memory"
    ),
    GradientAccumulationScheduler: "is for one player only: take --model.accumulate",
    LearningRateFinder: (
        "looks for the rate of one optimizer by a loss that falls, and the losses of two players "
        "do not: give --lr"
    ),
    StochasticWeightAveraging: f"averages the weights of one optimizer: {AVERAGED}",
    WeightAveraging: f"averages the weights of both players: {AVERAGED}",
}
"""Why each of them cannot watch two players, and what to take."""


def refuse_unsuited(callbacks: Sequence[Callback]) -> None:
    """Refuses callbacks that would fail after the start, or spoil the training.

    Raises:
        ConfigurationError: With what to take in the place of the first.
    """
    for callback in callbacks:
        for kind, reason in UNSUITED.items():
            if isinstance(callback, kind):
                raise ConfigurationError(f"The callback {type(callback).__name__} {reason}.")


def callback_that_raised(error: BaseException) -> Callback | None:
    """The callback in whose own method an exception was raised, if in one."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    callback = frames[-1].f_locals.get("self") if frames else None
    return callback if isinstance(callback, Callback) else None


def unlogged(error: BaseException, spelling: Spelling) -> ConfigurationError | None:
    """What to say where a callback ends a run for want of the value that it watches; else None."""
    callback, frames = callback_that_raised(error), traceback.walk_tb(error.__traceback__)
    trainers = [frame.f_locals.get("trainer") for frame, _ in frames]
    trainer = next((each for each in trainers if isinstance(each, Trainer)), None)
    monitor = getattr(callback, "monitor", None)
    if trainer is None or not isinstance(monitor, str) or monitor in trainer.callback_metrics:
        return None
    name, logged = type(callback).__name__, [*trainer.callback_metrics]
    such = nearest(monitor, logged) or next((each for each in logged if "d_real" in each), "")
    waits = f"--trainer.callbacks.{name}.strict false"
    waits = waits if spelling is COMMAND_LINE else f"{name}(strict=False)"
    wait = f", or {waits} to wait for it" if hasattr(callback, "strict") else ""
    return ConfigurationError(
        f"The callback {name} watches {monitor}, which is not logged by the time that it looks: "
        f"give it a value of validations{such and f', such as {such}'}{wait}."
    )
