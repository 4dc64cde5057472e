"""Plain convolutions without normalisation, for small pictures and small machines."""

from collections.abc import Callable
from functools import partial

from torch import nn

from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.layers import halvings, zero_bias

_SLOPE = 0.2


class ConvGenerator(Generator):
    """Doubles a small map up to the image, with 3x3 convolutions at each size on the way.

    DCGAN's generator (Radford et al. 2016) with more layers and without batch norm, which ties the
    samples of a batch together; weights start as He et al. 2015 have it (Eq. 10).

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 64;
            None to take it from the data.
        latent_dim: Length of a latent.
        width: Feature maps of the layer before the image; each size below it has twice as many.
        depth: 3x3 convolutions at each size but the image's.
        num_classes: Number of classes, each with an embedding beside the latent; 0 for none.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 100,
        width: int = 32,
        depth: int = 1,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, width=width, depth=depth)
        steps, start = halvings(self, self.size)
        maps = width * 2 ** (steps - 1)
        layers: list[nn.Module] = [
            nn.Unflatten(1, (self.input_dim, 1, 1)),
            nn.ConvTranspose2d(self.input_dim, maps, start),
            nn.ReLU(),
            *_convolutions(maps, depth, nn.ReLU),
        ]
        for _ in range(steps - 1):
            layers += [nn.ConvTranspose2d(maps, maps // 2, 4, stride=2, padding=1), nn.ReLU()]
            maps //= 2
            layers += _convolutions(maps, depth, nn.ReLU)
        layers += [nn.ConvTranspose2d(width, self.channels, 4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        _initialise(self.layers, slope=0)


class ConvDiscriminator(Discriminator):
    """Halves the image down to a map of 2 to 4 pixels, with 3x3 convolutions at each size.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 64;
            None to take it from the data.
        width: Feature maps of the first layer; each size after it has twice as many.
        depth: 3x3 convolutions at each size but the image's and the last one's.
        num_classes: Number of classes that the logit is projected on; 0 for none.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 32,
        depth: int = 1,
        num_classes: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width, depth=depth)
        steps, (height, length) = halvings(self, self.size)
        layers: list[nn.Module] = []
        inputs, maps = self.channels, width
        for _ in range(steps):
            layers += [nn.Conv2d(inputs, maps, 4, stride=2, padding=1), nn.LeakyReLU(_SLOPE)]
            layers += _convolutions(maps, depth, partial(nn.LeakyReLU, _SLOPE))
            inputs, maps = maps, maps * 2
        layers += [nn.Conv2d(inputs, maps, 3, stride=2, padding=1), nn.LeakyReLU(_SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.add_head(maps * -(-height // 2) * -(-length // 2))
        _initialise(self.layers, _SLOPE)


def _convolutions(maps: int, depth: int, activation: Callable[[], nn.Module]) -> list[nn.Module]:
    """3x3 convolutions that keep the size and the number of maps."""
    pairs = [(nn.Conv2d(maps, maps, 3, padding=1), activation()) for _ in range(depth)]
    return [layer for pair in pairs for layer in pair]


def _initialise(layers: nn.Sequential, slope: float) -> None:
    """Weights of the variance 2 / ((1 + slope²) n), for n weights times inputs of a kernel."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, slope)
            zero_bias(layer)
        elif isinstance(layer, nn.ConvTranspose2d):  # whose weights lie the other way round
            nn.init.kaiming_normal_(layer.weight, slope, mode="fan_out")
            zero_bias(layer)
