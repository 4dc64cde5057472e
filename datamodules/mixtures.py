"""Two-dimensional mixtures of Gaussians, where every mode that is missed can be counted."""

import math

import torch
from torch import Tensor

from lightning_gan.basics.randomness import data_generator
from lightning_gan.datamodules.base import SPLIT_SEED, RealData
from lightning_gan.datamodules.memory import Split

SIZES = {"train": 100_000, "val": 10_000, "test": 10_000}


class Mixture(RealData):
    """Points in the plane from equally likely, isotropic Gaussians; a label is a mode's index.

    Points are not scaled: a batch holds them as they were drawn, float32 ``(N, 2)``. 100000 are
    for training, 10000 for validation and 10000 for testing.

    Attributes:
        means: Centres of the modes, float32 ``(K, 2)``.
        sigma: Standard deviation of a mode in each coordinate.

    Args:
        means: Centres of the modes, float32 ``(K, 2)``.
        sigma: Standard deviation of a mode in each coordinate.
        batch_size: Points a batch and process.
        seed: Seed of the training order; the points do not depend on it.

    Raises:
        ConfigurationError: If ``batch_size`` is not positive.
    """

    is_base = True  # no choice on the command line
    name = "mixture"
    channels = 2
    image_size = 0

    def __init__(self, means: Tensor, sigma: float, batch_size: int, seed: int) -> None:
        super().__init__(batch_size, seed)
        self.means = means
        self.sigma = sigma
        self.num_classes = len(means)
        self.class_names = tuple(f"mode {index}" for index in range(len(means)))

    def read_splits(self) -> dict[str, Split]:
        """Draws the points, each split from its own generator."""
        return {name: self._draw(index, size) for index, (name, size) in enumerate(SIZES.items())}

    def _draw(self, index: int, count: int) -> Split:
        generator = data_generator(SPLIT_SEED, index, len(self.means))
        labels = torch.randint(len(self.means), (count,), generator=generator)
        noise = torch.randn(count, 2, generator=generator)
        return Split(self.means[labels] + self.sigma * noise, labels)


class Ring(Mixture):
    r"""Eight modes at :math:`(\cos 2\pi i/8, \sin 2\pi i/8)`, radius 1, deviation 0.01.

    The ring of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018).

    Args:
        batch_size: Points a batch and process.
        seed: Seed of the training order; the points do not depend on it.

    Raises:
        ConfigurationError: If ``batch_size`` is not positive.

    Example:
        >>> data = Ring(batch_size=512)
        >>> points, modes = next(iter(data.train_dataloader()))
        >>> points.shape, modes.unique().tolist()
        (torch.Size([512, 2]), [0, 1, 2, 3, 4, 5, 6, 7])
        >>> farthest = (points - data.means[modes]).norm(dim=1).amax().item()
        >>> farthest < 5 * data.sigma
        True
    """

    name = "ring8"

    def __init__(self, batch_size: int = 64, seed: int = 0) -> None:
        angles = torch.arange(8, dtype=torch.float64) * (2 * math.pi / 8)
        means = torch.stack((angles.cos(), angles.sin()), dim=1)
        super().__init__(means.to(torch.float32), 0.01, batch_size, seed)


class Grid(Mixture):
    r"""Twenty-five modes at :math:`\{-4, -2, 0, 2, 4\}^2`, deviation 0.05.

    The grid of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018).

    Args:
        batch_size: Points of the grid a batch and process.
        seed: Seed of the order of training; the points do not depend on it.

    Raises:
        ConfigurationError: If ``batch_size`` is not positive.

    Example:
        >>> data = Grid()
        >>> data.split("train").images.shape
        torch.Size([100000, 2])
        >>> data.class_names[24], data.means[24]
        ('mode 24', tensor([4., 4.]))
    """

    name = "grid25"

    def __init__(self, batch_size: int = 64, seed: int = 0) -> None:
        ticks = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
        super().__init__(torch.cartesian_prod(ticks, ticks), 0.05, batch_size, seed)
