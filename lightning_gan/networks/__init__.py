"""Generators and discriminators, one file for each family."""

from lightning_gan.networks.autoencoder import (
    AutoencoderDiscriminator,
    BEGANGenerator,
    MLPAutoencoderDiscriminator,
)
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.biggan import BigGANDiscriminator, BigGANGenerator
from lightning_gan.networks.biggan_deep import BigGANDeepDiscriminator, BigGANDeepGenerator
from lightning_gan.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lightning_gan.networks.fastgan import FastGANDiscriminator, FastGANGenerator
from lightning_gan.networks.minibatch import MinibatchDiscrimination
from lightning_gan.networks.mlp import MLPDiscriminator, MLPGenerator
from lightning_gan.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from lightning_gan.networks.resnet import ResNetDiscriminator, ResNetGenerator
from lightning_gan.networks.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator
from lightning_gan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lightning_gan.networks.wrappers import LabelMaps, Packed

__all__ = [
    "AutoencoderDiscriminator",
    "BEGANGenerator",
    "BigGANDeepDiscriminator",
    "BigGANDeepGenerator",
    "BigGANDiscriminator",
    "BigGANGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "FastGANDiscriminator",
    "FastGANGenerator",
    "Generator",
    "LabelMaps",
    "MLPAutoencoderDiscriminator",
    "MLPDiscriminator",
    "MLPGenerator",
    "MinibatchDiscrimination",
    "Packed",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "SNDCGANDiscriminator",
    "SNDCGANGenerator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
]
