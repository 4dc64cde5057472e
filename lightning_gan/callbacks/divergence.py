"""Stops a training whose samples or losses are no longer numbers."""

from collections.abc import Sequence

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lightning_gan.callbacks.base import GANCallback
from lightning_gan.distributed.processes import all_true
from lightning_gan.errors import DivergenceError
from lightning_gan.gan import GAN
from lightning_gan.training.step import StepOutput


class StopOnDivergence(GANCallback):
    """Ends the training when a sample or loss is NaN or infinite; the last good checkpoint stays.

    Args:
        every: Batches between two looks; the Trainer's ``log_every_n_steps`` where None. A look
            waits for the device, so it is not taken at every batch. The last one is at the end.
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self._samples: Tensor | None = None
        """A sum that stays finite while all samples since the last look are."""
        self._batches = 0
        """How many these are."""

    def on_train_batch_end(
        self, trainer: Trainer, gan: GAN, outputs: object, batch: object, *_: object
    ) -> None:
        """Looks at the losses of the batch, and at the samples of all since the last look."""
        # A sum waits for no device; it is no number from the first sample on that is none.
        total = gan.batches.pair(batch, "training")[0].detach().mean().double()
        self._samples = total if self._samples is None else self._samples + total
        self._batches += 1
        every = self.every or trainer.log_every_n_steps  # type: ignore[attr-defined]
        if gan.progress.batches % every == 0 and gan.outputs:
            self._look(gan)

    def on_train_end(self, trainer: Trainer, gan: GAN) -> None:
        """Looks at what no look has seen."""
        if gan.outputs and self._samples is not None:
            self._look(gan)

    def _look(self, gan: GAN) -> None:
        assert self._samples is not None
        flags = torch.stack([losses_finite(gan.outputs), self._samples.isfinite()])
        seen, self._batches, self._samples = self._batches, 0, None
        finite, samples_finite = all_true(flags)
        if not samples_finite:
            raise DivergenceError(
                f"A sample among the last {seen} batches, before image "
                f"{gan.progress.images}, is not finite: mend or remove it, and go on from "
                "the last checkpoint."
            )
        if finite:
            return
        player = next((u.player for u in gan.outputs if not torch.isfinite(u.loss)), "other")
        raise DivergenceError(
            f"The {player}'s loss is not finite after {gan.progress.images} images "
            f"(batch {gan.progress.batches}), with {type(gan.objective).__name__} "
            f"and {list(gan.regularizers) or 'no penalty'}: lower the learning rates, clip "
            "gradients (--model.gradient_clip 1) or add a penalty, and go on from the last "
            "checkpoint."
        )


def losses_finite(updates: Sequence[StepOutput]) -> Tensor:
    """Whether all losses of some updates are finite, a bool () that stays on the device."""
    return torch.isfinite(torch.stack([update.loss.double() for update in updates])).all()
