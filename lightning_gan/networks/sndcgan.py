"""SNDCGAN: the plain convolutional networks of SNGAN (Miyato et al. 2018, Table 3)."""

from torch import Tensor, nn

from lightning_gan.errors import at_least, check_range
from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.layers import halvings, maybe_spectral

_SLOPE = 0.1


class SNDCGANGenerator(Generator):
    """A dense layer to the smallest map, then transposed convolutions that double it (Table 3a).

    The paper's has the smallest map of 4 x 4 for 32 pixels and 6 x 6 for 48, with 512 feature maps,
    which halve at every doubling. There is no norm after the dense layer, as in the table.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 48;
            None to take it from the data.
        latent_dim: Length of a latent.
        width: Feature maps of the largest map; each map below it has twice as many.
        num_classes: Number of classes that it is conditioned on; 0 for none.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 128,
        width: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes)
        check_range(self, at_least(1), width=width)
        steps, start = halvings(type(self).__name__, self.size)
        maps = width * 2**steps
        layers: list[nn.Module] = [
            nn.Linear(self.input_dim, maps * start[0] * start[1]),
            nn.Unflatten(1, (maps, *start)),
        ]
        for _ in range(steps):
            layers += [
                nn.ConvTranspose2d(maps, maps // 2, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(maps // 2),
                nn.ReLU(),
            ]
            maps //= 2
        layers += [nn.Conv2d(maps, self.channels, 3, padding=1), nn.Tanh()]
        # The paper does not say how weights start; these are of DCGAN, whose networks it takes.
        for layer in layers:
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(layer.weight, 0.0, 0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1]."""
        images: Tensor = self.layers(self.conditioned(z, labels))
        return images


class SNDCGANDiscriminator(Discriminator):
    """Pairs of a 3x3 convolution and a 4x4 one that halves the map, without norm (Table 3b).

    The paper's has 64, 128 and 256 feature maps in three pairs, for 32 and 48 pixels, and a last
    3x3 convolution to 512. The slope of its leaky ReLUs is 0.1.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 48;
            None to take it from the data.
        width: Feature maps of the first pair; each after it, and the last layer, has twice as many.
        num_classes: Number of classes that it is conditioned on; 0 for none.
        spectral_norm: Whether all layers are spectrally normalised, the projection included.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 64,
        num_classes: int = 0,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__(channels, image_size, num_classes)
        check_range(self, at_least(1), width=width)
        steps, smallest = halvings(type(self).__name__, self.size)
        layers: list[nn.Module] = []
        inputs, maps = self.channels, width
        for _ in range(steps):
            layers += [
                _convolution(nn.Conv2d(inputs, maps, 3, padding=1), spectral_norm),
                nn.LeakyReLU(_SLOPE),
                _convolution(nn.Conv2d(maps, maps, 4, stride=2, padding=1), spectral_norm),
                nn.LeakyReLU(_SLOPE),
            ]
            inputs, maps = maps, maps * 2
        layers += [
            _convolution(nn.Conv2d(inputs, maps, 3, padding=1), spectral_norm),
            nn.LeakyReLU(_SLOPE),
            nn.Flatten(),
        ]
        self.layers = nn.Sequential(*layers)
        self.add_head(maps * smallest[0] * smallest[1])
        self.head = maybe_spectral(self.head, spectral_norm)
        if self.projection is not None:
            self.projection = maybe_spectral(self.projection, spectral_norm)

    def features(self, samples: Tensor) -> Tensor:
        """The smallest map, flattened to (N, F)."""
        features: Tensor = self.layers(samples)
        return features


def _convolution(layer: nn.Conv2d, spectral: bool) -> nn.Module:
    """``layer`` with weights that keep the size of what passes, drawn before spectral norm."""
    nn.init.kaiming_normal_(layer.weight, _SLOPE)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return maybe_spectral(layer, spectral)
