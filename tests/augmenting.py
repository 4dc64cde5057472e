"""Random pictures, and random numbers to augment them by, that the tests of augmentation share."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_gan.augment.operations import OperationSampler
from lightning_gan.basics.randomness import Seeds, Shard

MANY = 4000


def sampler(
    samples: Tensor | int, p: float = 1.0, dtype: torch.dtype = torch.float64
) -> OperationSampler:
    count = samples if isinstance(samples, int) else len(samples)
    like = torch.zeros(count, dtype=dtype)
    return OperationSampler(Seeds(0).stream("test", 0, Shard(count, 0, count), like), p, like)


def pictures(count: int = 40, channels: int = 2, height: int = 8, width: int = 8) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, height, width, dtype=torch.float64, generator=random) * 2 - 1
