"""What one update of a player looks at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from lightning_gan.noise import Draws


@dataclass(frozen=True)
class ScoredBatch:
    """Real and generated samples with the discriminator's opinion of them.

    Logits are computed when they are first read, so that a relativistic generator loss pays for the
    logits of reals and no other does.

    Args:
        score: The discriminator behind the augmentation: samples and labels (N,) to logits (N,).
        real: Real samples (N, C, H, W) in [-1, 1], or points (N, D).
        fake: As many generated samples; pair i carries the label of real i.
        labels: Class indices (N,).
        draws: Random numbers for whatever a penalty needs to draw.
        images_seen: Images seen before this update.
    """

    score: Callable[[Tensor, Tensor], Tensor]
    real: Tensor
    fake: Tensor
    labels: Tensor
    draws: Draws
    images_seen: int = 0

    @cached_property
    def real_logits(self) -> Tensor:
        """Logits of the reals (N,), in float32 or wider."""
        return self.logits(self.real)

    @cached_property
    def fake_logits(self) -> Tensor:
        """Logits of the generated samples (N,), in float32 or wider."""
        return self.logits(self.fake)

    def logits(self, samples: Tensor) -> Tensor:
        """Logits (N,) of any samples that carry the labels of this batch."""
        logits = self.score(samples, self.labels)
        return logits if logits.dtype == torch.float64 else logits.float()

    def precise_logits(self, samples: Tensor) -> Tensor:
        """Logits (N,) computed outside autocast, as penalties on gradients need them."""
        with torch.autocast(samples.device.type, enabled=False):
            return self.logits(samples)


def scorer(
    discriminator: nn.Module,
    augmentation: Callable[[Tensor, Draws, int], Tensor] | None,
    draws: Draws,
    images_seen: int,
    precise: bool,
) -> Callable[[Tensor, Tensor], Tensor]:
    """The discriminator behind the augmentation, as a :class:`ScoredBatch` wants it.

    Args:
        discriminator: From samples and labels to logits.
        augmentation: What happens to samples before; nothing if None.
        draws: Random numbers for the augmentation.
        images_seen: Images seen before this update.
        precise: Whether to stay outside autocast. A penalty on the gradient by the input wants
            that for all of an update.
    """

    def score(samples: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(samples.device.type, enabled=False) if precise else nullcontext():
            if augmentation is not None:
                samples = augmentation(samples, draws, images_seen)
            logits: Tensor = discriminator(samples, labels)
            return logits

    return score
