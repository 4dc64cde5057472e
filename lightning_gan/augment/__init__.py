"""Differentiable augmentation between the samples and the discriminator."""

from lightning_gan.augment.base import Augmentation
from lightning_gan.augment.noise import InstanceNoise

__all__ = ["Augmentation", "InstanceNoise"]
