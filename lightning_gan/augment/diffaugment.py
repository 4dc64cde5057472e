"""Differentiable augmentation, the same for every image."""

import torch
from torch import Tensor

from lightning_gan.augment.base import Augmentation
from lightning_gan.augment.operations import OperationSampler, augmented, each, picked, those_on
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.training.schedule import ValueOf

LONGEST_SHIFT = 1 / 8
HOLE = 1 / 2


class DiffAugment(Augmentation):
    """Changes colours, shifts, and cuts a hole into every image (Zhao et al. 2020, section 3.2).

    Zero, with which shifts and holes are filled, is grey in images of [-1, 1]. What comes out may
    lie outside of that range.

    Args:
        color: Whether brightness changes by up to a half, saturation by a factor in [0, 2) (which
            does nothing to one channel), and contrast by one in [1/2, 3/2).
        translation: Whether images are shifted by up to an eighth of their size, in whole pixels.
        cutout: Whether a rectangle of half the height and width is set to zero. Its centre lies
            anywhere, so that part of it may lie outside.

    Raises:
        ConfigurationError: If all are off, or the samples are points.
    """

    def __init__(self, color: bool = True, translation: bool = True, cutout: bool = True) -> None:
        super().__init__()
        stages = [(color, colored), (translation, shifted), (cutout, cut)]
        self._stages = those_on(self, stages, "color, translation or cutout")

    def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """Augments images (N, C, H, W), each in its own way."""
        return augmented(self, self._stages, samples, random, p=1.0)


def colored(images: Tensor, sampler: OperationSampler) -> Tensor:
    """Changes brightness, saturation and contrast, in this order."""
    images = images + each(sampler.uniform() - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * each(2 * sampler.uniform())
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * each(sampler.uniform() + 0.5)


def shifted(images: Tensor, sampler: OperationSampler) -> Tensor:
    """Moves images by whole pixels, and fills what becomes free with zero."""
    sources = []
    for size in images.shape[2:]:
        furthest = int(size * LONGEST_SHIFT + 0.5)
        shift = sampler.whole(2 * furthest + 1).long() - furthest
        sources.append(torch.arange(size, device=images.device) - shift[:, None])
    rows, columns = sources[0][:, :, None], sources[1][:, None, :]
    height, width = images.shape[2:]
    moved = picked(images, rows.clamp(0, height - 1), columns.clamp(0, width - 1))
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return moved * inside[:, None]


def cut(images: Tensor, sampler: OperationSampler) -> Tensor:
    """Sets a rectangle of half the height and width to zero."""
    holes = []
    for size in images.shape[2:]:
        extent = int(size * HOLE + 0.5)
        first = sampler.whole(size + 1 - extent % 2).long() - extent // 2
        place = torch.arange(size, device=images.device) - first[:, None]
        holes.append((place >= 0) & (place < extent))
    hole = holes[0][:, :, None] & holes[1][:, None, :]
    return images * ~hole[:, None]
