"""Generators and discriminators, one file for each family."""

from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lightning_gan.networks.mlp import MLPDiscriminator, MLPGenerator
from lightning_gan.networks.r3gan import R3GANDiscriminator, R3GANGenerator

__all__ = [
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "Generator",
    "MLPDiscriminator",
    "MLPGenerator",
    "R3GANDiscriminator",
    "R3GANGenerator",
]
