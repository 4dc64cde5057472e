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

EVERY = 50
"""Batches between two looks where the Trainer logs nothing."""


class StopOnDivergence(GANCallback):
    """Ends the training when a sample or loss is NaN or infinite; the last good checkpoint stays.

    It looks from time to time, and when the training ends; at samples only where no data module has
    looked at all of them when it read them.

    Args:
        every: Batches between two looks; the Trainer's ``log_every_n_steps`` where None. A look
            waits for the device, so it is not taken at every batch.
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self._samples: Tensor | None = None
        """A sum that stays finite while all samples since the last look are."""
        self._batches = 0
        """How many these are."""
        self._outputs: list[StepOutput] = []
        """What the last batch showed; validations show other things."""

    def on_train_batch_end(
        self, trainer: Trainer, gan: GAN, outputs: object, batch: object, *_: object
    ) -> None:
        """Looks at the losses of the batch, and at the samples of all since the last look."""
        if not gan.batches.finite:
            # A sum waits for no device; it is no number from the first sample on that is none.
            total = gan.batches.pair(batch, "training")[0].detach().mean().double()
            self._samples = total if self._samples is None else self._samples + total
        self._batches += 1
        self._outputs = gan.outputs
        every = self.every or trainer.log_every_n_steps or EVERY  # type: ignore[attr-defined]
        if trainer.should_stop or gan.progress.batches % every == 0:
            self._look(gan)

    def on_train_end(self, trainer: Trainer, gan: GAN) -> None:
        """Looks at what no look has seen yet, before the end is saved."""
        self._look(gan)

    def _look(self, gan: GAN) -> None:
        """Looks at the last batch, once.

        Raises:
            DivergenceError: If something in it is not finite.
        """
        outputs, samples, batches = self._outputs, self._samples, self._batches
        if not outputs:
            return
        self._outputs, self._samples, self._batches = [], None, 0
        looks = [losses_finite(outputs), *([] if samples is None else [samples.isfinite()])]
        finite, *samples_finite = all_true(torch.stack(looks))
        if not all(samples_finite):
            raise DivergenceError(
                f"A sample among the last {batches} batches, before image {gan.progress.images:,}, "
                "is not finite: mend or remove it, and go on from the last checkpoint."
            )
        if finite:
            return
        player = next((u.player for u in outputs if not torch.isfinite(u.loss)), "other")
        raise DivergenceError(
            f"The {player}'s loss is not finite after {gan.progress.images:,} images "
            f"(batch {gan.progress.batches}), with {type(gan.objective).__name__} "
            f"and {list(gan.regularizers) or 'no penalty'}: lower the learning rates, clip "
            "gradients (--model.gradient_clip 1) or add a penalty, and go on from the last "
            "checkpoint."
        )


def losses_finite(updates: Sequence[StepOutput]) -> Tensor:
    """Whether all losses of some updates are finite, a bool () that stays on the device."""
    return torch.isfinite(torch.stack([update.loss.double() for update in updates])).all()
