"""Stops a training whose samples or losses are no longer numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from lightning_gan.distributed.processes import all_true
from lightning_gan.errors import DivergenceError
from lightning_gan.training.step import StepOutput


class StopOnDivergence(Callback):
    """Ends the training when a sample or loss is NaN or infinite; the last good checkpoint stays.

    Args:
        every: Batches between two looks; the Trainer's ``log_every_n_steps`` where None. A look
            waits for the device, so it is not taken at every batch.
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self._samples: Tensor | None = None
        """A sum that stays finite while all samples since the last look are."""

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: Any,  # noqa: ANN401
        outputs: Any,  # noqa: ANN401
        batch: tuple[Tensor, Tensor],
        *_: Any,  # noqa: ANN401
    ) -> None:
        """Looks at the losses of the batch, and at the samples of all since the last look."""
        total = batch[0].detach().mean().double()
        self._samples = total if self._samples is None else self._samples + total
        every = self.every or trainer.log_every_n_steps  # type: ignore[attr-defined]
        if pl_module.progress.batches % every != 0 or not pl_module.outputs:
            return
        flags = torch.stack([losses_finite(pl_module.outputs), self._samples.isfinite()])
        self._samples = None
        finite, samples_finite = all_true(flags)
        if not samples_finite:
            raise DivergenceError(
                f"A sample among the last {every} batches, before image "
                f"{pl_module.progress.images}, is not finite: mend or remove it, and go on from "
                "the last checkpoint."
            )
        if finite:
            return
        player = next((u.player for u in pl_module.outputs if not torch.isfinite(u.loss)), "other")
        raise DivergenceError(
            f"The {player}'s loss is not finite after {pl_module.progress.images} images "
            f"(batch {pl_module.progress.batches}), with {type(pl_module.objective).__name__} "
            f"and {list(pl_module.regularizers) or 'no penalty'}: lower the learning rates, clip "
            "gradients (--model.gradient_clip 1) or add a penalty, and go on from the last "
            "checkpoint."
        )


def losses_finite(updates: Sequence[StepOutput]) -> Tensor:
    """Whether all losses of some updates are finite, a bool () that stays on the device."""
    return torch.isfinite(torch.stack([update.loss.double() for update in updates])).all()
