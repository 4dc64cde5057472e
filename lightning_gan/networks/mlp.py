"""Multi-layer perceptrons, for points in the plane and as the simplest pair for images."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from lightning_gan.errors import above, at_least, check_range
from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.layers import perceptron


class MLPGenerator(Generator):
    """A perceptron from latents to points, or to flat images (Goodfellow et al. 2014).

    Args:
        channels: Coordinates of a point, or channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 0 for points; None to take it from the data.
        latent_dim: Length of a latent.
        width: Units of a hidden layer.
        depth: Number of hidden layers.
        num_classes: Number of classes, whose embedding joins the latent; 0 for none.
        batch_norm: Whether hidden layers are batch-normalised (as in PacGAN's experiments).
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 2,
        width: int = 128,
        depth: int = 3,
        num_classes: int = 0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, width=width, depth=depth)
        layers = perceptron([self.input_dim, *[width] * depth], nn.ReLU, batch_norm)
        layers.append(nn.Linear(width, math.prod(self.sample_shape)))
        if self.image_size:
            layers += [nn.Tanh(), nn.Unflatten(1, self.sample_shape)]
        self.layers = nn.Sequential(*layers)


class Octaves(nn.Module):
    r"""Adds waves of each coordinate to it, at frequencies that double.

    .. math:: x \mapsto \Bigl(x,\ \frac{\sin \omega_k x}{\omega_k},\
              \frac{\cos \omega_k x}{\omega_k}\Bigr), \quad \omega_k = 2^k \omega_0,
              \quad k = 0 \dots K - 1

    (Mildenhall et al. 2020, Eq. 4; Tancik et al. 2020.) A perceptron learns what is coarse first,
    and details that are far smaller than its inputs late. The denominators are not the papers':
    with them no wave is steeper than the coordinate itself, so that the perceptron begins smooth.

    Args:
        octaves: K.
        frequency: The lowest frequency, in radians per unit of a coordinate.
    """

    frequencies: Tensor

    def __init__(self, octaves: int, frequency: float) -> None:
        super().__init__()
        frequencies = frequency * 2.0 ** torch.arange(octaves)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """From coordinates (N, D) to (N, D (1 + 2K)) of them and their waves."""
        angles = x[:, :, None] * self.frequencies
        waves = torch.cat([angles.sin(), angles.cos()], dim=1) / self.frequencies
        return torch.cat([x, waves.flatten(1)], dim=1)


class MLPDiscriminator(Discriminator):
    """A perceptron from points or flat images to a logit.

    Args:
        channels: Coordinates of a point, or channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 0 for points; None to take it from the data.
        width: Units of a hidden layer.
        depth: Number of hidden layers.
        num_classes: Number of classes that the logit is projected on; 0 for none.
        octaves: Number of frequencies, each twice the one before, whose sines and cosines join the
            coordinates, for details far smaller than the data (Fourier features, Mildenhall et al.
            2020, Eq. 4; Tancik et al. 2020); each wave is divided by its frequency. 0 for none.
        frequency: The lowest frequency, in radians per unit of a coordinate.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 128,
        depth: int = 3,
        num_classes: int = 0,
        octaves: int = 0,
        frequency: float = 1.0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width, depth=depth)
        check_range(self, at_least(0), octaves=octaves)
        check_range(self, above(0), frequency=frequency)
        units = [math.prod(self.sample_shape) * (1 + 2 * octaves), *[width] * depth]
        waves = [Octaves(octaves, frequency)] if octaves else []
        hidden = perceptron(units, partial(nn.LeakyReLU, 0.2))
        self.layers = nn.Sequential(nn.Flatten(), *waves, *hidden)
        self.add_head(width)
