"""Digits written into single pixels, and classifiers that read them rightly or nearly so."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_gan.metrics import FeatureExtractor, StackedCoverage

KEYS = {"covered", "covered_robust", "kl", "kl_floor", "unclassifiable"}
MANY = 26_000
EVEN = [1] * 10


class Codes(FeatureExtractor):
    """Reads a digit off the first pixel; the second makes it err, and the third doubt.

    One digit in a hundred is taken for the next one, of those one in ten with certainty.
    """

    name, num_classes, class_names = "codes", 10, tuple("0123456789")

    def logits(self, images: Tensor) -> Tensor:
        digit, chance = images[:, 0, 0, 0], images[:, 0, 0, 1]
        read = ((digit + 1) * 4.5).round().long()
        errs = chance > 0.98
        read = torch.where(errs, (read + 1) % 10, read)
        scale = torch.where(errs & (chance < 0.998), 1.0, 20.0)
        return scale[:, None] * torch.nn.functional.one_hot(read, 10)


class Perfect(Codes):
    """Never errs."""

    name = "perfect"

    def logits(self, images: Tensor) -> Tensor:
        return super().logits(images.clone().index_fill_(-1, torch.tensor([1]), 0.0))


def coded(numbers: Tensor, random: torch.Generator | None = None) -> Tensor:
    """Pictures (N, 3, 1, 2) of modes 0 to 999, of which some will be misread."""
    digits = torch.stack([numbers // 100, numbers // 10 % 10, numbers % 10], 1)
    chance = torch.rand(digits.shape, generator=random) * 2 - 1
    return torch.stack([digits / 4.5 - 1, chance], 2)[:, :, None]


def covered(metric: StackedCoverage, *batches: Tensor) -> dict[str, float]:
    """The values for batches of pictures."""
    metric.reset()
    for batch in batches:
        metric.update(batch)
    return {key.rpartition("/")[2]: x for key, x in metric.compute().logged().items()}


def of_modes(count: int, random: torch.Generator) -> Tensor:
    """26000 modes out of so many, chosen at random, each as likely."""
    chosen = torch.randperm(1000, generator=random)[:count]
    return chosen[torch.randint(count, (MANY,), generator=random)]
