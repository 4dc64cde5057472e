"""Image-space filtering and corruptions of adaptive augmentation."""

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from lightning_gan.augment.operations import OperationSampler, constant, each, mirrored

LOW = (-1 / 32, 0.0, 9 / 32, 1 / 2, 9 / 32, 0.0, -1 / 32)
"""Half the autocorrelation of the symlet with two vanishing moments: it keeps low frequencies."""

HIGH = (1 / 32, 0.0, -9 / 32, 1 / 2, -9 / 32, 0.0, 1 / 32)
"""What ``LOW`` takes away: together they are the identity."""

POWERS = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""How much of the power of natural images, 1/f, lies in each band."""


def spread(taps: tuple[float, ...], step: int) -> tuple[float, ...]:
    """A filter for frequencies lower by ``step``: with so many taps less one of zero between."""
    wide = [0.0] * ((len(taps) - 1) * step + 1)
    wide[::step] = taps
    return tuple(wide)


def convolved(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    """Both filters in a row."""
    taps = [0.0] * (len(one) + len(other) - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            taps[i + j] += a * b
    return tuple(taps)


@cache
def bands() -> tuple[tuple[float, ...], ...]:
    """Filters for the bands up to 1/8, 1/4, 1/2 and all of the highest frequency.

    Symmetric, as long as each other, and adding up to the identity.
    """
    low = convolved(LOW, spread(LOW, 2))
    filters = [
        convolved(low, spread(LOW, 4)),
        convolved(low, spread(HIGH, 4)),
        convolved(LOW, spread(HIGH, 2)),
        HIGH,
    ]
    margins = [(0.0,) * ((len(filters[0]) - len(taps)) // 2) for taps in filters]
    return tuple(margin + taps + margin for margin, taps in zip(margins, filters, strict=True))


def filtered(images: Tensor, sampler: OperationSampler) -> Tensor:
    """Amplifies each of four frequency bands, keeping the expected power of natural images."""
    gains = images.new_ones(len(images), 4)
    for band in range(4):
        gains = gains * band_gains(sampler, band)
    return amplified(images, gains)


def band_gains(sampler: OperationSampler, band: int) -> Tensor:
    """Gains (N, 4) that amplify one band, by a factor whose binary logarithm is standard normal."""
    chosen = sampler.chosen()[:, None]
    factor = torch.exp2(sampler.normal())[:, None]
    gains = torch.where(torch.arange(4, device=factor.device) == band, factor, 1.0)
    powers = constant(POWERS, factor.dtype, factor.device)
    return torch.where(chosen, gains / (powers * gains**2).sum(1, keepdim=True).sqrt(), 1.0)


def amplified(images: Tensor, gains: Tensor) -> Tensor:
    """Images (N, C, H, W) with bands amplified by gains (N, 4) along rows and columns."""
    count, channels, height, width = images.shape
    bank = constant(bands(), images.dtype, images.device)
    taps = (gains[:, :, None] * bank).sum(1)
    # A filter of its own for each image: images become groups of channels.
    kernels = taps.repeat_interleave(channels, 0)[:, None]
    planes = images.reshape(1, count * channels, height, width)
    for dim in (2, 3):
        kernel = kernels[..., None] if dim == 2 else kernels[:, :, None]
        planes = mirrored(planes, taps.shape[1] // 2, dim)
        planes = conv2d(planes, kernel, groups=count * channels)
    changed = each((gains != 1).any(1))
    return torch.where(changed, planes.view_as(images), images)


def noisy(images: Tensor, sampler: OperationSampler) -> Tensor:
    """Adds normal noise whose deviation is the absolute value of a number of deviation 0.1."""
    chosen = each(sampler.chosen())
    deviation = each(0.1 * sampler.normal().abs())
    noise = sampler.normal(*images.shape[1:])
    return torch.where(chosen, images + deviation * noise, images)


def holed(images: Tensor, sampler: OperationSampler) -> Tensor:
    """Sets a rectangle of half the height and width, centred anywhere, to zero."""
    holes = []
    for size in images.shape[2:]:
        place = (torch.arange(size, device=images.device) + 0.5) / size
        holes.append((place.to(sampler.dtype) - sampler.uniform()[:, None]).abs() < 1 / 4)
    hole = holes[0][:, :, None] & holes[1][:, None, :] & sampler.chosen()[:, None, None]
    return torch.where(hole[:, None], 0.0, images)
