"""What augmentations of images share: choosing samples, moving pixels, edges that mirror."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lightning_gan.basics.precision import outside_autocast
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import ConfigurationError, name_of
from lightning_gan.training.schedule import Value, is_positive


class OperationSampler:
    """Random parameters (N,) of operations, each applied to a sample with a probability.

    Args:
        random: Random numbers of the update.
        p: Probability of every operation, in [0, 1].
        like: Samples (N, ...) whose type, float32 at least, the numbers have.
    """

    def __init__(self, random: RandomStream, p: Value, like: Tensor) -> None:
        self.random = random
        self.p = p
        self.dtype = torch.promote_types(like.dtype, torch.float32)

    def uniform(self, *size: int) -> Tensor:
        """Numbers on [0, 1), of shape (N, *size)."""
        # Draws in bfloat16 are rounded, and some of them to 1.
        return self.random.uniform(*size).to(self.dtype).clamp(max=1 - 2**-24)

    def normal(self, *size: int) -> Tensor:
        """Standard normal numbers of shape (N, *size)."""
        return self.random.normal(*size).to(self.dtype)

    def whole(self, count: int) -> Tensor:
        """Whole numbers (N,), evenly from 0 to ``count - 1``, as floats."""
        return (self.uniform() * count).floor()

    def chosen(self, p: Value | None = None) -> Tensor:
        """Which samples (N,) an operation is applied to, with probability ``p`` instead of its."""
        return self.uniform() < (self.p if p is None else p)

    def maybe(self, value: Tensor, otherwise: float, p: Value | None = None) -> Tensor:
        """``value`` (N,) for the samples that an operation is applied to, else ``otherwise``."""
        return torch.where(self.chosen(p), value, otherwise)


Stage = Callable[[Tensor, OperationSampler], Tensor]
"""Changes images (N, C, H, W)."""


def those_on(augmentation: object, stages: Sequence[tuple[bool, Stage]], names: str) -> list[Stage]:
    """The stages that are on.

    Raises:
        ConfigurationError: If there is none; it says that ``names`` are to be switched on.
    """
    on = [stage for is_on, stage in stages if is_on]
    if not on:
        raise ConfigurationError(
            f"{name_of(augmentation)} has nothing to do: switch {names} on, or leave it out."
        )
    return on


def augmented(
    augmentation: object, stages: Sequence[Stage], samples: Tensor, random: RandomStream, p: Value
) -> Tensor:
    """Images (N, C, H, W) changed by the stages in turn, with every operation's probability ``p``.

    Raises:
        ConfigurationError: If the samples are not (N, C, H, W).
    """
    if samples.ndim != 4:
        raise ConfigurationError(
            f"{name_of(augmentation)} works on images (N, C, H, W) but got samples of shape "
            f"{tuple(samples.shape)}: leave it out, or take InstanceNoise."
        )
    if not is_positive(p):
        return samples
    # Positions and colours in bfloat16 would be off by pixels and shades.
    with outside_autocast(samples.device):
        sampler = OperationSampler(random, p, like=samples)
        images = samples.to(sampler.dtype)
        for stage in stages:
            images = stage(images, sampler)
        return images.to(samples.dtype)


def each(values: Tensor) -> Tensor:
    """Values (N,) so that they broadcast over images (N, C, H, W)."""
    return values[:, None, None, None]


def picked(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images whose pixels are copied from the given rows and columns, both (N, H, W)."""
    index = (rows * images.shape[3] + columns).flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, index).view(images.shape)


def folded(index: Tensor, size: int) -> Tensor:
    """Indices of any size, mirrored at the edges until they lie in 0 .. size - 1."""
    index = index.remainder(2 * size)
    return torch.where(index < size, index, 2 * size - 1 - index)


def mirrored(images: Tensor, margin: int, dim: int) -> Tensor:
    """Images with a margin on both sides along ``dim``, mirrored at the edges again and again."""
    while margin > 0:
        step = min(margin, images.shape[dim])
        first = images.narrow(dim, 0, step).flip(dim)
        last = images.narrow(dim, images.shape[dim] - step, step).flip(dim)
        images = torch.cat([first, images, last], dim)
        margin -= step
    return images


@lru_cache(maxsize=64)
def constant(values: Any, dtype: torch.dtype, device: torch.device) -> Tensor:  # noqa: ANN401
    """A tensor of nested tuples of numbers, made once for a type and device."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
