"""Multi-layer perceptrons, for points in the plane and as the simplest pair for images."""

from torch import nn

from lightning_gan.networks.base import Discriminator, Generator, ImageSize


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
        layers: list[nn.Module] = []
        size = self.input_dim
        for _ in range(depth):
            layers.append(nn.Linear(size, width))
            if batch_norm:
                layers.append(nn.BatchNorm1d(width))
            layers.append(nn.ReLU())
            size = width
        layers.append(nn.Linear(size, self.channels * max(self.size[0] * self.size[1], 1)))
        if self.image_size:
            layers += [nn.Tanh(), nn.Unflatten(1, (self.channels, *self.size))]
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
        layers: list[nn.Module] = [nn.Flatten()]
        size = self.channels * max(self.size[0] * self.size[1], 1)
        for _ in range(depth):
            layers += [nn.Linear(size, width), nn.LeakyReLU(0.2)]
            size = width
        self.layers = nn.Sequential(*layers)
        self.add_head(size)
