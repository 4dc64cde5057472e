"""Differentiable augmentation between the samples and the discriminator."""

from lightning_gan.augment.ada import AdaptiveAugmentation
from lightning_gan.augment.adaptive import SignController
from lightning_gan.augment.apa import AdaptivePseudo
from lightning_gan.augment.base import Augmentation
from lightning_gan.augment.diffaugment import DiffAugment
from lightning_gan.augment.noise import InstanceNoise
from lightning_gan.augment.sequence import Augmentations

__all__ = [
    "AdaptiveAugmentation",
    "AdaptivePseudo",
    "Augmentation",
    "Augmentations",
    "DiffAugment",
    "InstanceNoise",
    "SignController",
]
