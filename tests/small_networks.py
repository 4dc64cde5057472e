"""Arguments that make every network tiny, on images of 8 x 8 pixels; a new network joins here."""

from __future__ import annotations

from typing import Any

from lightning_gan.networks import (
    AutoencoderDiscriminator,
    BEGANGenerator,
    BigGANDeepDiscriminator,
    BigGANDeepGenerator,
    BigGANDiscriminator,
    BigGANGenerator,
    ConvDiscriminator,
    ConvGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    FastGANDiscriminator,
    FastGANGenerator,
    Generator,
    LabelMaps,
    MinibatchDiscrimination,
    MLPAutoencoderDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    Packed,
    R3GANDiscriminator,
    R3GANGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
    SNDCGANDiscriminator,
    SNDCGANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)

SMALL: dict[type[Generator] | type[Discriminator], dict[str, Any]] = {
    MLPGenerator: {"width": 8, "depth": 2, "latent_dim": 4},
    MLPDiscriminator: {"width": 8, "depth": 2},
    DCGANGenerator: {"width": 4, "latent_dim": 4},
    DCGANDiscriminator: {"width": 4},
    ConvGenerator: {"width": 4, "latent_dim": 4},
    ConvDiscriminator: {"width": 4},
    R3GANGenerator: {"widths": (8, 4), "group_size": 4, "latent_dim": 4},
    R3GANDiscriminator: {"widths": (8, 4), "group_size": 4},
    ResNetGenerator: {"width": 8, "latent_dim": 4, "attention": 8},
    ResNetDiscriminator: {"width": 8, "attention": 4},
    SNDCGANGenerator: {"width": 4, "latent_dim": 4},
    SNDCGANDiscriminator: {"width": 4},
    BigGANGenerator: {"width": 4, "latent_dim": 4, "embedding_dim": 3, "attention": 8},
    BigGANDiscriminator: {"width": 4, "attention": 4},
    BigGANDeepGenerator: {"width": 4, "latent_dim": 4, "embedding_dim": 3, "attention": 8},
    BigGANDeepDiscriminator: {"width": 4, "attention": 4},
    FastGANGenerator: {"width": 2, "latent_dim": 4},
    FastGANDiscriminator: {"width": 2},
    AutoencoderDiscriminator: {"width": 4, "code_dim": 4, "depth": 1},
    MLPAutoencoderDiscriminator: {"width": 8, "code_dim": 4},
    BEGANGenerator: {"width": 4, "latent_dim": 4, "depth": 1},
    StyleGAN2Generator: {"width": 4, "latent_dim": 4, "style_dim": 8, "mapping_depth": 2},
    StyleGAN2Discriminator: {"width": 4, "minibatch_std": 1, "mapping_depth": 2},
}


def network_of(kind: type[Any], channels: int, image_size: Any = 8, num_classes: int = 0) -> Any:
    """A tiny network of any kind, the wrappers around a perceptron."""
    if kind is LabelMaps:
        return LabelMaps(DCGANDiscriminator(channels + 1, image_size, width=4), num_classes or 2)
    if kind is Packed:
        return Packed(DCGANDiscriminator(2 * channels, image_size, width=4), pack=2)
    if kind is MinibatchDiscrimination:
        inner = DCGANDiscriminator(channels, image_size, width=4, num_classes=num_classes)
        return MinibatchDiscrimination(inner, kernels=3, dims=2)
    conditional = {"num_classes": num_classes} if num_classes else {}
    return kind(channels=channels, image_size=image_size, **conditional, **SMALL[kind])


def generating(channels: int = 2, size: int = 0, classes: int = 0) -> MLPGenerator:
    """A generator of one small layer."""
    return MLPGenerator(channels, size, width=4, depth=1, num_classes=classes)


def perceptron(channels: int = 2, size: int = 0, classes: int = 0) -> MLPDiscriminator:
    """A discriminator of one small layer."""
    return MLPDiscriminator(channels, size, width=4, depth=1, num_classes=classes)


def packed() -> Packed:
    """One that judges pairs of points."""
    return Packed(perceptron(4), pack=2)
