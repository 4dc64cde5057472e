"""Differentiable augmentation between the samples and the discriminator."""

from lightning_gan.augment.ada import AdaptiveAugmentation as AdaptiveAugmentation
from lightning_gan.augment.adaptive import SignController as SignController
from lightning_gan.augment.apa import AdaptivePseudo as AdaptivePseudo
from lightning_gan.augment.base import Augmentation as Augmentation
from lightning_gan.augment.diffaugment import DiffAugment as DiffAugment
from lightning_gan.augment.noise import Dequantization as Dequantization
from lightning_gan.augment.noise import InstanceNoise as InstanceNoise
from lightning_gan.augment.sequence import Augmentations as Augmentations
