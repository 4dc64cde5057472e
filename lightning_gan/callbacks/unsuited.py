"""Callbacks of Lightning that expect one optimizer, and what a GAN has in their place."""

from collections.abc import Sequence

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BatchSizeFinder,
    GradientAccumulationScheduler,
    LearningRateFinder,
    StochasticWeightAveraging,
)

from lightning_gan.errors import ConfigurationError

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
    StochasticWeightAveraging: (
        "averages the weights of one optimizer: the generator's are averaged already, by "
        "--model.ema_half_life"
    ),
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
