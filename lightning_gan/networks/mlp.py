"""Multi-layer perceptrons, for points in the plane and as the simplest pair for images."""

import math
from functools import partial

from torch import nn

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


class MLPDiscriminator(Discriminator):
    """A perceptron from points or flat images to a logit.

    Args:
        channels: Coordinates of a point, or channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 0 for points; None to take it from the data.
        width: Units of a hidden layer.
        depth: Number of hidden layers.
        num_classes: Number of classes that the logit is projected on; 0 for none.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 128,
        depth: int = 3,
        num_classes: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width, depth=depth)
        units = [math.prod(self.sample_shape), *[width] * depth]
        self.layers = nn.Sequential(nn.Flatten(), *perceptron(units, partial(nn.LeakyReLU, 0.2)))
        self.add_head(width)
