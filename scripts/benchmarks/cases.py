"""What the benchmarks train: networks with their data, and their losses in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import checkout  # noqa: F401 - finds the package
import torch
from torch import Tensor
from torch.nn.functional import softplus

from lightning_gan.datamodules import Digits, RealData, Ring, Split
from lightning_gan.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    Generator,
    MLPDiscriminator,
    MLPGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
)
from lightning_gan.objectives import Hinge, NonSaturating, Objective, RelativisticPairing
from lightning_gan.regularizers import R1, R2, Regularizer

Score = Callable[[Tensor], Tensor]
"""From samples to their logits (N,)."""


class MadeUp(RealData):
    """Noise of any shape in the place of pictures: no time depends on what they show.

    Args:
        channels: Channels of an image.
        image_size: Height and width in pixels.
        count: Training samples.
        batch_size: Samples a batch.
    """

    is_base = True  # no choice on the command line
    name, num_classes, class_names = "made_up", 0, ()

    def __init__(
        self, channels: int = 3, image_size: int = 32, count: int = 5000, batch_size: int = 64
    ) -> None:
        super().__init__(batch_size)
        self.channels, self.image_size, self.count = channels, image_size, count

    def read_splits(self) -> dict[str, Split]:
        """The same noise in every process."""
        return {
            name: noise(self.channels, self.image_size, count)
            for name, count in (("train", self.count), ("val", 250), ("test", 250))
        }


def noise(channels: int, side: int, count: int, classes: int = 1) -> Split:
    """Pictures of noise (count, channels, side, side) with labels in turn."""
    random = torch.Generator().manual_seed(0)
    shape = (count, channels, side, side)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=random)
    return Split(images, torch.arange(count) % classes)


@dataclass(frozen=True)
class Losses:
    """What the players pay, in plain PyTorch, from what scores samples, reals and fakes.

    Args:
        discriminator: The bare loss, and the penalties.
        generator: The loss.
        objective: The same as a part of ours.
        regularizers: Likewise.
        precise: Whether a penalty needs the discriminator's update outside autocast.
    """

    discriminator: Callable[[Score, Tensor, Tensor], tuple[Tensor, Tensor | None]]
    generator: Callable[[Score, Tensor, Tensor], Tensor]
    objective: Callable[[], Objective]
    regularizers: Callable[[], list[Regularizer]] = list
    precise: bool = False


def _non_saturating(score: Score, real: Tensor, fake: Tensor) -> tuple[Tensor, None]:
    return softplus(-score(real)).mean() + softplus(score(fake)).mean(), None


def _hinge(score: Score, real: Tensor, fake: Tensor) -> tuple[Tensor, None]:
    return torch.relu(1 - score(real)).mean() + torch.relu(1 + score(fake)).mean(), None


def _relativistic(score: Score, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
    real_logits, fake_logits = score(real), score(fake)
    (by_real,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    (by_fake,) = torch.autograd.grad(fake_logits.sum(), fake, create_graph=True)
    r1, r2 = (g.flatten(1).square().sum(1).mean() / 2 for g in (by_real, by_fake))
    return softplus(fake_logits - real_logits).mean(), r1 + r2


NON_SATURATING = Losses(
    _non_saturating, lambda score, real, fake: softplus(-score(fake)).mean(), NonSaturating
)
HINGE = Losses(_hinge, lambda score, real, fake: -score(fake).mean(), Hinge)
RELATIVISTIC = Losses(
    _relativistic,
    lambda score, real, fake: softplus(score(real) - score(fake)).mean(),
    RelativisticPairing,
    lambda: [R1(1.0), R2(1.0)],
    precise=True,
)


@dataclass(frozen=True)
class Case:
    """One training that all sides do.

    Args:
        name: What it is, as in the tables.
        data: The data module for batches of that many samples.
        networks: The players, with new weights.
        losses: What they pay.
        batch: Samples a batch.
        steps: Steps in a window of a second or two.
        channels_last: Whether it is faster with maps laid out as (N, H, W, C), as ours chooses.
            See the table of ``layout``.
    """

    name: str
    data: Callable[[int], RealData]
    networks: Callable[[], tuple[Generator, Discriminator]]
    losses: Losses
    batch: int
    steps: int
    channels_last: bool = False


CASES = {
    "host": Case(
        "hardly any arithmetic, batch 8",
        lambda batch: Ring(batch_size=batch),
        lambda: (MLPGenerator(2, 0, width=8, depth=1), MLPDiscriminator(2, 0, width=8, depth=1)),
        NON_SATURATING,
        batch=8,
        steps=200,
    ),
    "ring": Case(
        "MLP in the plane, batch 256",
        lambda batch: Ring(batch_size=batch),
        lambda: (MLPGenerator(2, 0), MLPDiscriminator(2, 0)),
        NON_SATURATING,
        batch=256,
        steps=100,
    ),
    "dcgan": Case(
        "DCGAN, 28 px, batch 64",
        lambda batch: Digits(batch_size=batch),
        lambda: (DCGANGenerator(1, 28), DCGANDiscriminator(1, 28)),
        NON_SATURATING,
        batch=64,
        steps=15,
        channels_last=True,
    ),
    "resnet": Case(
        "ResNet, 32 px, batch 64",
        lambda batch: MadeUp(batch_size=batch),
        lambda: (ResNetGenerator(3, 32, width=64), ResNetDiscriminator(3, 32, width=64)),
        HINGE,
        batch=64,
        steps=5,
        channels_last=True,
    ),
    "r3gan": Case(
        "R3GAN, small, 28 px, batch 32",
        lambda batch: Digits(batch_size=batch),
        lambda: (
            R3GANGenerator(1, 28, latent_dim=64, widths=[128, 64], patch=2, plain=True),
            R3GANDiscriminator(1, 28, widths=[128, 64], patch=2, plain=True),
        ),
        RELATIVISTIC,
        batch=32,
        steps=5,
        channels_last=True,
    ),
}
