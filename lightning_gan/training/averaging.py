"""The averaged weights of a network, which samples are drawn from."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gan.training.schedule import Moving, value_at

Place = tuple[dict[str, Any], str]
"""Where a module keeps a tensor: by this name in that register."""


class MovingAverage:
    """Averaged weights that follow those of a network, by a half-life in images.

    Where the tensors are kept is looked up once: walking through the modules costs more than the
    arithmetic. The tensors themselves are read anew each time, since a network may replace them.

    Args:
        average: What holds the averages.
        network: The network that moves, of the same weights.
    """

    def __init__(self, average: nn.Module, network: nn.Module) -> None:
        self.images = self.images_before = 0
        """Images of this run in the average, and of the run that it was taken from."""
        self._weights = _places(average, "_parameters"), _places(network, "_parameters")
        self._buffers = _places(average, "_buffers"), _places(network, "_buffers")

    def follow(self, images: int, half_life: Moving, rampup: float) -> None:
        """Moves the average to where it is once so many images have been seen.

        Args:
            images: Images of this run.
            half_life: Half-life in images; 0 for no averaging.
            rampup: Early on the half-life is at most this share of the images seen.
        """
        # Short at first, or the untrained weights would stay in it for long.
        longest = value_at(half_life, self.images)
        half_life = min(longest, rampup * (self.images + self.images_before))
        keep = 0.5 ** ((images - self.images) / half_life) if half_life > 0 else 0.0
        self._move(keep)
        self.images = images

    @torch.no_grad()
    def _move(self, keep: float) -> None:
        # One call for all weights instead of one each, which would cost more than the arithmetic.
        averages, weights = map(_tensors, self._weights)
        torch._foreach_lerp_(averages, weights, 1 - keep)
        # Buffers are copied: batch norm's statistics are averages already, and a counter is none.
        averages, buffers = map(_tensors, self._buffers)
        if buffers:
            torch._foreach_copy_(averages, buffers)


def _places(network: nn.Module, register: str) -> list[Place]:
    """Where a network keeps its parameters or buffers, shared ones once."""
    found: dict[Tensor, Place] = {}
    for module in network.modules():
        held: dict[str, Any] = getattr(module, register)
        for name, tensor in held.items():
            if tensor is not None:
                found.setdefault(tensor, (held, name))
    return list(found.values())


def _tensors(places: Iterable[Place]) -> list[Tensor]:
    return [held[name] for held, name in places]
