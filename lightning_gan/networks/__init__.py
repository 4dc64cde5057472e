"""Generators and discriminators, one file for each family."""

from lightning_gan.networks.autoencoder import AutoencoderDiscriminator as AutoencoderDiscriminator
from lightning_gan.networks.autoencoder import BEGANGenerator as BEGANGenerator
from lightning_gan.networks.autoencoder import (
    MLPAutoencoderDiscriminator as MLPAutoencoderDiscriminator,
)
from lightning_gan.networks.base import Discriminator as Discriminator
from lightning_gan.networks.base import Generator as Generator
from lightning_gan.networks.biggan import BigGANDiscriminator as BigGANDiscriminator
from lightning_gan.networks.biggan import BigGANGenerator as BigGANGenerator
from lightning_gan.networks.biggan_deep import BigGANDeepDiscriminator as BigGANDeepDiscriminator
from lightning_gan.networks.biggan_deep import BigGANDeepGenerator as BigGANDeepGenerator
from lightning_gan.networks.conv import ConvDiscriminator as ConvDiscriminator
from lightning_gan.networks.conv import ConvGenerator as ConvGenerator
from lightning_gan.networks.dcgan import DCGANDiscriminator as DCGANDiscriminator
from lightning_gan.networks.dcgan import DCGANGenerator as DCGANGenerator
from lightning_gan.networks.fastgan import FastGANDiscriminator as FastGANDiscriminator
from lightning_gan.networks.fastgan import FastGANGenerator as FastGANGenerator
from lightning_gan.networks.minibatch import MinibatchDiscrimination as MinibatchDiscrimination
from lightning_gan.networks.mlp import MLPDiscriminator as MLPDiscriminator
from lightning_gan.networks.mlp import MLPGenerator as MLPGenerator
from lightning_gan.networks.plain import PlainDiscriminator as PlainDiscriminator
from lightning_gan.networks.plain import PlainGenerator as PlainGenerator
from lightning_gan.networks.plain import wrap as wrap
from lightning_gan.networks.r3gan import R3GANDiscriminator as R3GANDiscriminator
from lightning_gan.networks.r3gan import R3GANGenerator as R3GANGenerator
from lightning_gan.networks.resnet import ResNetDiscriminator as ResNetDiscriminator
from lightning_gan.networks.resnet import ResNetGenerator as ResNetGenerator
from lightning_gan.networks.sndcgan import SNDCGANDiscriminator as SNDCGANDiscriminator
from lightning_gan.networks.sndcgan import SNDCGANGenerator as SNDCGANGenerator
from lightning_gan.networks.stylegan2 import StyleGAN2Discriminator as StyleGAN2Discriminator
from lightning_gan.networks.stylegan2 import StyleGAN2Generator as StyleGAN2Generator
from lightning_gan.networks.wrappers import LabelMaps as LabelMaps
from lightning_gan.networks.wrappers import Packed as Packed
