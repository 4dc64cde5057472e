"""Colour operations of adaptive augmentation.

A pixel is the sum of its grey part, the mean over channels, and the rest, its chroma. All
operations act on the two apart, so that they are composed into four numbers for an image.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lightning_gan.augment.operations import OperationSampler, each


@dataclass(frozen=True)
class Grade:
    """What happens to the colours of images, in numbers (N,).

    Args:
        gain: Factor of the grey part.
        offset: What is added to it then.
        saturation: Factor of the chroma.
        hue: Angle by which the chroma of three channels is rotated about the grey axis.
    """

    gain: Tensor
    offset: Tensor
    saturation: Tensor
    hue: Tensor

    @classmethod
    def neutral(cls, images: Tensor) -> "Grade":
        """The one that changes nothing."""
        one = images.new_ones(len(images))
        return cls(gain=one, offset=0 * one, saturation=one, hue=0 * one)


def recolored(images: Tensor, sampler: OperationSampler, share: float = 1.0) -> Tensor:
    """Changes the colours of images (N, C, H, W) by all operations that C channels have.

    Args:
        images: The images.
        sampler: Random parameters.
        share: Probability of these operations as a share of the sampler's.
    """
    sampler = OperationSampler(sampler.random, share * sampler.p, like=images)
    grade = luma_flipped(contrasted(brightened(Grade.neutral(images), sampler), sampler), sampler)
    if images.shape[1] == 3:
        grade = hue_rotated(grade, sampler)
    if images.shape[1] > 1:
        grade = saturated(grade, sampler)
    return graded(images, grade)


def brightened(grade: Grade, sampler: OperationSampler) -> Grade:
    """Adds a number of standard deviation 0.2."""
    return replace(grade, offset=grade.offset + sampler.maybe(0.2 * sampler.normal(), 0.0))


def contrasted(grade: Grade, sampler: OperationSampler) -> Grade:
    """Multiplies by a factor whose binary logarithm has the standard deviation 0.5."""
    factor = sampler.maybe(torch.exp2(0.5 * sampler.normal()), 1.0)
    return Grade(factor * grade.gain, factor * grade.offset, factor * grade.saturation, grade.hue)


def luma_flipped(grade: Grade, sampler: OperationSampler) -> Grade:
    """Turns the grey part of every other chosen image into its negative, and keeps the chroma."""
    sign = 1 - 2 * sampler.maybe(sampler.whole(2), 0.0)
    return replace(grade, gain=sign * grade.gain, offset=sign * grade.offset)


def hue_rotated(grade: Grade, sampler: OperationSampler) -> Grade:
    """Rotates the chroma by any angle about the grey axis."""
    angle = sampler.maybe((2 * sampler.uniform() - 1) * math.pi, 0.0)
    return replace(grade, hue=grade.hue + angle)


def saturated(grade: Grade, sampler: OperationSampler) -> Grade:
    """Multiplies the chroma by a factor whose binary logarithm is standard normal."""
    factor = sampler.maybe(torch.exp2(sampler.normal()), 1.0)
    return replace(grade, saturation=factor * grade.saturation)


def graded(images: Tensor, grade: Grade) -> Tensor:
    """Images (N, C, H, W) in other colours; exactly as they are where nothing is to change."""
    grey = images.mean(1, keepdim=True)
    chroma = images - grey
    if images.shape[1] == 3:
        # The product with the unit vector along grey, by Rodrigues' formula.
        across = (chroma.roll(1, 1) - chroma.roll(-1, 1)) / math.sqrt(3)
        chroma = each(grade.hue.cos()) * chroma + each(grade.hue.sin()) * across
    result = each(grade.gain) * grey + each(grade.offset) + each(grade.saturation) * chroma
    changed = (grade.gain != 1) | (grade.offset != 0) | (grade.saturation != 1) | (grade.hue != 0)
    return torch.where(each(changed), result, images)
