"""SNDCGAN: the plain convolutional networks of SNGAN (Miyato et al. 2018, Table 3)."""

from torch import nn

from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.dcgan import doublings, initialise
from lightning_gan.networks.layers import dense_to_map, halvings, maybe_spectral, zero_bias

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
        num_classes: Number of classes, whose embedding joins the latent; 0 for none.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 128,
        width: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, width=width)
        steps, start = halvings(self, self.size)
        maps = width * 2**steps
        self.layers = nn.Sequential(
            *dense_to_map(self.input_dim, maps, start),
            *doublings(maps, steps),
            nn.Conv2d(width, self.channels, 3, padding=1),
            nn.Tanh(),
        )
        # The paper does not say how weights start; these are of DCGAN, whose networks it takes.
        initialise(self.layers, norms=False)


class SNDCGANDiscriminator(Discriminator):
    """Pairs of a 3x3 convolution and a 4x4 one that halves the map, without norm (Table 3b).

    The paper's has 64, 128 and 256 feature maps in three pairs, for 32 and 48 pixels, and a last
    3x3 convolution to 512. The slope of its leaky ReLUs is 0.1.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 48;
            None to take it from the data.
        width: Feature maps of the first pair; each after it, and the last layer, has twice as many.
        num_classes: Number of classes that the logit is projected on; 0 for none.
        spectral_norm: Whether all layers are spectrally normalised, the projection included.
        spectral_head: Whether the last, dense layer is among them, as in the paper.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 64,
        num_classes: int = 0,
        spectral_norm: bool = True,
        spectral_head: bool = True,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width)
        steps, smallest = halvings(self, self.size)
        layers: list[nn.Module] = []
        inputs, maps = self.channels, width
        for _ in range(steps):
            layers += _active(nn.Conv2d(inputs, maps, 3, padding=1), spectral_norm)
            layers += _active(nn.Conv2d(maps, maps, 4, stride=2, padding=1), spectral_norm)
            inputs, maps = maps, maps * 2
        layers += _active(nn.Conv2d(inputs, maps, 3, padding=1), spectral_norm)
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.add_head(maps * smallest[0] * smallest[1])
        self.head = maybe_spectral(self.head, spectral_norm and spectral_head)
        if self.projection is not None:
            self.projection = maybe_spectral(self.projection, spectral_norm)


def _active(layer: nn.Conv2d, spectral: bool) -> list[nn.Module]:
    """``layer`` and a ReLU, its weights drawn to keep the size of what passes, then normalised."""
    nn.init.kaiming_normal_(layer.weight, _SLOPE)
    zero_bias(layer)
    return [maybe_spectral(layer, spectral), nn.LeakyReLU(_SLOPE)]
