"""A loss, a network and a data set of one's own, for ``scripts/walks/researcher.sh``."""

import math

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from lightning_gan import Step
from lightning_gan.datamodules import RealData, Split
from lightning_gan.networks import Generator
from lightning_gan.objectives import Objective


class Exponential(Objective):
    """Judges logits by the exponential loss of AdaBoost.

    Args:
        largest: Largest exponent, so that no loss overflows.
    """

    def __init__(self, largest: float = 10.0) -> None:
        super().__init__()
        self.largest = largest

    def _cost(self, margin: Tensor) -> Tensor:
        return torch.exp((-margin / 2).clamp(max=self.largest)).mean()

    def discriminator_loss(self, step: Step) -> Tensor:
        """Reals shall have high logits, fakes low ones."""
        return self._cost(step.real_logits) + self._cost(-step.fake_logits)

    def generator_loss(self, step: Step) -> Tensor:
        """Fakes shall have high logits."""
        return self._cost(step.fake_logits)


class SineGenerator(Generator):
    """A perceptron on sines and cosines of the latent.

    Args:
        channels: Coordinates of a point; None to take them from the data.
        image_size: 0, for points; None to take it from the data.
        latent_dim: Length of a latent.
        width: Units of a hidden layer.
        num_classes: Number of classes; 0 for none.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: int | None = None,
        latent_dim: int = 2,
        width: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, width=width)
        self.layers = nn.Sequential(
            nn.Linear(2 * self.input_dim, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, self.channels),
        )

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Points (N, channels) of latents (N, latent_dim)."""
        z = self.conditioned(z, labels)
        return self.layers(torch.cat([z.sin(), z.cos()], dim=1))


class MoonsSet(Dataset[tuple[Tensor, int]]):
    """Points on two half circles that reach into each other, as any PyTorch data set gives them.

    Args:
        count: Number of points.
        seed: Seed of the points.
    """

    def __init__(self, count: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        self.angles = torch.rand(count, generator=random) * math.pi
        self.noise = torch.randn(count, 2, generator=random) * 0.05

    def __len__(self) -> int:
        return len(self.angles)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        upper, angle = index % 2 == 0, self.angles[index]
        point = torch.stack([angle.cos(), angle.sin()])
        return (point if upper else torch.tensor([1.0, 0.5]) - point) + self.noise[index], int(
            upper
        )


class Moons(RealData):
    """The two moons as training, validation and test data."""

    name, channels, image_size = "moons", 2, 0
    num_classes, class_names = 2, ("lower", "upper")

    def read_splits(self) -> dict[str, Split]:
        """The points of three data sets with seeds of their own."""
        sizes = {"train": 5000, "val": 1000, "test": 1000}
        return {name: split(MoonsSet(n, seed)) for seed, (name, n) in enumerate(sizes.items())}


def split(samples: MoonsSet) -> Split:
    """All samples of a data set in memory."""
    points, labels = zip(*(samples[index] for index in range(len(samples))), strict=True)
    return Split(torch.stack(points), torch.tensor(labels))
