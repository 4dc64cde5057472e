"""Arguments that make every network tiny, on images of 8 x 8 pixels; a new network joins here."""

from __future__ import annotations

from typing import Any

from lightning_gan.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    Generator,
    MLPDiscriminator,
    MLPGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
)

SMALL: dict[type[Generator] | type[Discriminator], dict[str, Any]] = {
    MLPGenerator: {"width": 8, "depth": 2, "latent_dim": 4},
    MLPDiscriminator: {"width": 8, "depth": 2},
    DCGANGenerator: {"width": 4, "latent_dim": 4},
    DCGANDiscriminator: {"width": 4},
    R3GANGenerator: {"widths": (8, 4), "group_size": 4, "latent_dim": 4},
    R3GANDiscriminator: {"widths": (8, 4), "group_size": 4},
}
