"""Random pictures, and lots to augment them by, that the tests of augmentation share."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_gan.augment.lots import Lots
from lightning_gan.training.randomness import Noise, Rows

MANY = 4000


def lots(samples: Tensor | int, p: float = 1.0, dtype: torch.dtype = torch.float64) -> Lots:
    count = samples if isinstance(samples, int) else len(samples)
    like = torch.zeros(count, dtype=dtype)
    return Lots(Noise(0).draws("test", 0, Rows(count, 0, count), like), p, like)


def pictures(count: int = 40, channels: int = 2, height: int = 8, width: int = 8) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, height, width, dtype=torch.float64, generator=random) * 2 - 1
