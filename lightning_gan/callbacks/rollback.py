"""Going back to an earlier state of both players in the midst of a training."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Trainer

from lightning_gan.callbacks.measurements import measurements
from lightning_gan.checkpoints.record import own_state
from lightning_gan.gan import GAN


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
    rates = [
        [_rates(group) for group in optimizer.param_groups] for optimizer in trainer.optimizers
    ]
    checkpoint = trainer.strategy.load_checkpoint(path, weights_only=True)
    gan.load_state_dict(checkpoint["state_dict"])
    trainer.strategy.load_optimizer_state_dict(checkpoint)
    for optimizer, before in zip(trainer.optimizers, rates, strict=True):
        for group, found in zip(optimizer.param_groups, before, strict=True):
            group |= {name: ease * rate for name, rate in found.items()}
    precision = trainer.precision_plugin
    if (state := checkpoint.get(type(precision).__qualname__)) is not None:  # a scaler's
        precision.load_state_dict(state)
    gan.outputs.clear()
    measurements(trainer).gradient_norms.clear()  # of what is no more
    return int(own_state(checkpoint, str(path))["progress"]["images"])


def _rates(group: dict[str, float]) -> dict[str, float]:
    return {name: group[name] for name in ("lr", "initial_lr")}
