"""Stops a training whose losses are no longer numbers."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from lightning_gan.errors import DivergenceError


class StopOnDivergence(Callback):
    """Ends the training when a loss is NaN or infinite; the last good checkpoint stays.

    Args:
        every: Batches between two looks; the Trainer's ``log_every_n_steps`` where None. A look
            waits for the device, so it is not taken at every batch.
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: Any,  # noqa: ANN401
        *_: Any,  # noqa: ANN401
    ) -> None:
        """Looks at the losses of the batch."""
        every = self.every or trainer.log_every_n_steps  # type: ignore[attr-defined]
        if pl_module.progress.batches % every != 0 or not pl_module.updates:
            return
        losses = torch.stack([update.loss.double() for update in pl_module.updates])
        finite = torch.isfinite(losses).all().double()
        if float(trainer.strategy.reduce(finite, reduce_op="mean")) == 1:
            return
        player = next((u.player for u in pl_module.updates if not torch.isfinite(u.loss)), "other")
        raise DivergenceError(
            f"The {player}'s loss is not finite after {pl_module.progress.images} images "
            f"(batch {pl_module.progress.batches}), with {type(pl_module.objective).__name__} and "
            f"{pl_module.regularizers or 'no penalty'}: lower the learning rates, clip gradients "
            "(--model.gradient_clip 1) or add a penalty, and go on from the last checkpoint."
        )
