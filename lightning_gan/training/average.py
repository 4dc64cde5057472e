"""The averaged generator that samples are drawn from."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def follow(averaged: nn.Module, source: nn.Module, images: int, half_life: float) -> None:
    """Moves the weights of ``averaged`` towards those of ``source``; buffers are copied.

    Buffers, such as batch norm's statistics and counters, are averages already.

    Args:
        averaged: The network to move.
        source: A network of the same kind.
        images: Images seen since the last call.
        half_life: Images after which what was there before weighs one half; 0 to copy.
    """
    keep = 0.5 ** (images / half_life) if half_life > 0 else 0.0
    weights: list[Tensor] = list(averaged.parameters())
    torch._foreach_lerp_(weights, list[Tensor](source.parameters()), 1 - keep)
    for into, buffer in zip(averaged.buffers(), source.buffers(), strict=True):
        into.copy_(buffer)
