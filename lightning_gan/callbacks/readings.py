"""What validations have measured, for callbacks that draw conclusions from it."""

from __future__ import annotations

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

from lightning_gan.callbacks.balance import Balance
from lightning_gan.callbacks.run import is_dry
from lightning_gan.gan import GAN


def draws_conclusions(trainer: Trainer) -> bool:
    """Whether the validation that has just ended is one of a training that is in earnest."""
    return trainer.state.fn == TrainerFn.FITTING and not is_dry(trainer)


def readings(trainer: Trainer) -> dict[str, float]:
    """The last values by their names in the logs, as rank zero has them.

    The balance comes from its callback, since Lightning rounds what it logs to float32; that of the
    last report of training is among them, with the norms of the gradients.
    """
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Balance):
            found |= {f"val/{name}": value for name, value in callback.held_out.items()}
            found |= callback.latest
    same: dict[str, float] = trainer.strategy.broadcast(found)
    return same


def conclude(trainer: Trainer, gan: GAN, values: dict[str, float]) -> None:
    """Logs what follows from a validation that has ended, when Lightning's own log is closed."""
    trainer.callback_metrics.update({name: torch.tensor(x) for name, x in values.items()})
    for logger in trainer.loggers:
        logger.log_metrics(values, step=gan.progress.batches)
