"""Pixel blitting and geometric operations of adaptive augmentation.

An operation is a map (N, 2, 3) that says where the pixels of the result come from: pixel (x, y),
counted from the centre of the image to the right and down, comes from ``map @ (x, y, 1)``. It is
exactly the identity for samples that it is not applied to. Maps are composed into one, so that
images are resampled once. Products are written out, because a matrix product may be computed in
TF32, which is off by pixels.
"""

import math
from functools import lru_cache, reduce

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from lightning_gan.augment.operations import OperationSampler, each, folded, picked

SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
"""The orthonormal low-pass filter of Daubechies' symlet with six vanishing moments."""

BEFORE = len(SYM6) // 2 - 1
"""Taps before the one that lies on the pixel: the filter's delay is 5.1 at low frequencies."""


def changed(images: Tensor, sampler: OperationSampler, blit: bool, geometry: bool) -> Tensor:
    """Moves the pixels of images (N, C, H, W); an image that nothing is applied to stays as is.

    Args:
        images: The images, in float32 or float64.
        sampler: Where parameters come from.
        blit: Whether to mirror, turn and shift by whole pixels. Then pixels are copied.
        geometry: Whether to scale, rotate and shift by parts of pixels. Then they are interpolated.
    """
    height, width = images.shape[2:]
    one = images.new_ones(len(images))
    stepped = scaling(one, one)
    result = images
    if blit:
        steps = [mirroring(sampler), turning(sampler, height == width), stepping(sampler, images)]
        stepped = reduce(composed, steps, stepped)
        result = copied(images, stepped)
    if not geometry:
        return result
    place = composed(composed(stepped, isotropic_scaling(sampler)), rotation(sampler))
    place = composed(composed(place, anisotropic_scaling(sampler)), rotation(sampler))
    place = composed(place, shifting(sampler, images))
    moved = each((place != stepped).flatten(1).any(1))
    return torch.where(moved, resampled(images, place), result)


# ----------------------------------------------------------------------------- pixel blitting


def mirroring(sampler: OperationSampler) -> Tensor:
    """Mirrors every other chosen image left to right."""
    mirror = sampler.maybe(sampler.whole(2), 0.0)
    return scaling(1 - 2 * mirror, torch.ones_like(mirror))


def turning(sampler: OperationSampler, square: bool) -> Tensor:
    """Turns by 0, 1, 2 or 3 quarters; by 0 or 2 where images are not square."""
    turns = sampler.maybe(sampler.whole(4) if square else 2 * sampler.whole(2), 0.0)
    # The cosine and sine of quarter turns, exactly.
    return turning_by((turns - 2).abs() - 1, 1 - (turns - 1).abs())


def stepping(sampler: OperationSampler, images: Tensor) -> Tensor:
    """Shifts by whole pixels, up to an eighth of the size in either direction."""
    shares = (2 * sampler.uniform(2) - 1) / 8
    return shift_by(*(step.round() for step in _pixels(shares, sampler, images)))


def _pixels(shares: Tensor, sampler: OperationSampler, images: Tensor) -> list[Tensor]:
    """Pixels (N,) to the right, and down, for shares (N, 2) of the size of the chosen images."""
    chosen, (height, width) = sampler.chosen(), images.shape[2:]
    x, y = shares.unbind(1)
    return [torch.where(chosen, share, 0.0) for share in (x * width, y * height)]


# ---------------------------------------------------------------------------------- geometric


def isotropic_scaling(sampler: OperationSampler) -> Tensor:
    """Scales by a factor whose binary logarithm has the standard deviation 0.2."""
    factor = sampler.maybe(torch.exp2(-0.2 * sampler.normal()), 1.0)
    return scaling(factor, factor)


def anisotropic_scaling(sampler: OperationSampler) -> Tensor:
    """Scales one axis by such a factor and the other by its inverse."""
    exponent = sampler.maybe(0.2 * sampler.normal(), 0.0)
    return scaling(torch.exp2(-exponent), torch.exp2(exponent))


def rotation(sampler: OperationSampler) -> Tensor:
    """Rotates by any angle; two rotations, before and after scaling, have probability p."""
    rest = 1 - sampler.p
    root = rest.sqrt() if isinstance(rest, Tensor) else math.sqrt(rest)
    angle = sampler.maybe((2 * sampler.uniform() - 1) * math.pi, 0.0, p=1 - root)
    return turning_by(angle.cos(), angle.sin())


def shifting(sampler: OperationSampler, images: Tensor) -> Tensor:
    """Shifts by a normally distributed share of the size, of standard deviation 1/8."""
    return shift_by(*_pixels(sampler.normal(2) / 8, sampler, images))


# --------------------------------------------------------------------------------------- maps


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """The map that multiplies coordinates by factors (N,)."""
    zero = torch.zeros_like(x)
    return torch.stack([x, zero, zero, zero, y, zero], 1).view(-1, 2, 3)


def turning_by(cosine: Tensor, sine: Tensor) -> Tensor:
    """The map of a rotation whose angles have these cosines and sines (N,)."""
    zero = torch.zeros_like(cosine)
    return torch.stack([cosine, -sine, zero, sine, cosine, zero], 1).view(-1, 2, 3)


def shift_by(x: Tensor, y: Tensor) -> Tensor:
    """The map that shifts images to the right and down by pixels (N,)."""
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return torch.stack([one, zero, -x, zero, one, -y], 1).view(-1, 2, 3)


def composed(first: Tensor, then: Tensor) -> Tensor:
    """The map of applying ``first`` to the images and ``then`` to the result."""
    linear = (first[:, :, :2, None] * then[:, None]).sum(2)
    return linear + pad(first[:, :, 2:], (2, 0))


def sources(place: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where the pixels at all (x, y), of shapes (W,) and (H,), come from: both (N, H, W)."""
    (xx, xy, x0), (yx, yy, y0) = place[..., None, None].permute(1, 2, 0, 3, 4)
    x, y = x[None, None, :], y[None, :, None]
    return xx * x + xy * y + x0, yx * x + yy * y + y0


def copied(images: Tensor, place: Tensor) -> Tensor:
    """Images by a map from pixels to pixels, mirrored at the edges."""
    height, width = images.shape[2:]
    right, down = (size / 2 - 0.5 for size in (width, height))
    x, y = (torch.arange(size, device=images.device) for size in (width, height))
    columns, rows = sources(place, x - right, y - down)
    columns, rows = ((c + half).round().long() for c, half in ((columns, right), (rows, down)))
    return picked(images, folded(rows, height), folded(columns, width))


def resampled(images: Tensor, place: Tensor) -> Tensor:
    """Images by any map: doubled, interpolated bilinearly, and halved again against aliasing.

    What lies outside is mirrored at the edges, as often as it takes. Away from the edges, images
    that are moved by whole pixels come back as they are, since the filter is orthonormal.
    """
    height, width = images.shape[2:]
    x, y = (
        (torch.arange(-BEFORE, 2 * size + BEFORE, device=images.device) - (size - 1)) / 2
        for size in (width, height)
    )
    columns, rows = sources(place, x.to(place.dtype), y.to(place.dtype))
    grid = torch.stack([columns * (2 / width), rows * (2 / height)], -1)
    fine = grid_sample(doubled(images), grid, padding_mode="reflection", align_corners=True)
    return halved(fine)


def doubled(images: Tensor) -> Tensor:
    """Images (N, C, H, W) with twice the pixels along both axes, from edge to edge.

    Every other fine pixel lies on a pixel, and the first and last of them on the edges, where
    images are mirrored.
    """
    rows, columns = (doubling(size, images.dtype, images.device) for size in images.shape[2:])
    return rows @ images @ columns.mT


def halved(images: Tensor) -> Tensor:
    """Images with half the pixels along both axes, after ``BEFORE`` on each side are used up."""
    sizes = (size // 2 - BEFORE for size in images.shape[2:])
    rows, columns = (halving(size, images.dtype, images.device) for size in sizes)
    return rows @ images @ columns.mT


# Matrices are several times faster than convolutions of a single channel.


@lru_cache(maxsize=16)
def doubling(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix (2 size + 1, size) from pixels to fine pixels."""
    margin = BEFORE // 2 + 1
    cut = BEFORE + 2 * margin  # fine pixels before the one that the first pixel lies on
    with torch.inference_mode(False):
        places = folded(torch.arange(-margin, size + margin), size)
        spread = 2 * halving(size + 2 * margin, torch.float64, torch.device("cpu")).mT
        spread = spread[cut - 1 : -cut]
        matrix = torch.zeros(2 * size + 1, size, dtype=torch.float64).index_add(1, places, spread)
        return matrix.to(device, dtype)


@lru_cache(maxsize=16)
def halving(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix (size, 2 size + 2 BEFORE) from fine pixels to pixels."""
    with torch.inference_mode(False):
        matrix = torch.zeros(size, 2 * size + 2 * BEFORE, dtype=torch.float64)
        for tap, weight in enumerate(SYM6):
            matrix[range(size), range(tap, tap + 2 * size, 2)] = weight / math.sqrt(2)
        return matrix.to(device, dtype)
