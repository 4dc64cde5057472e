"""DCGAN (Radford et al. 2016): transposed convolutions up, strided convolutions down."""

from torch import nn

from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.layers import halvings, maybe_spectral, zero_bias
from lightning_gan.networks.minibatch import MinibatchStd


def initialise(network: nn.Module, norms: bool = True) -> None:
    """Weights from N(0, 0.02), as section 4 of the paper has it; scales of ``norms`` around one."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            zero_bias(module)
        elif norms and isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def doublings(maps: int, times: int) -> list[nn.Module]:
    """Transposed convolutions that each double the map and halve the number of maps, with norms."""
    layers: list[nn.Module] = []
    for _ in range(times):
        up = nn.ConvTranspose2d(maps, maps // 2, 4, stride=2, padding=1, bias=False)
        maps //= 2
        layers += [up, nn.BatchNorm2d(maps), nn.ReLU()]
    return layers


class DCGANGenerator(Generator):
    """Doubles a small map up to the image by transposed convolutions.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 64;
            None to take it from the data.
        latent_dim: Length of a latent.
        width: Feature maps of the layer before the image; each layer below it has twice as many.
        num_classes: Number of classes, each with an embedding beside the latent; 0 for none.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 100,
        width: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, width=width)
        steps, start = halvings(self, self.size)
        maps = width * 2 ** (steps - 1)
        self.layers = nn.Sequential(
            nn.Unflatten(1, (self.input_dim, 1, 1)),
            nn.ConvTranspose2d(self.input_dim, maps, start, bias=False),
            nn.BatchNorm2d(maps),
            nn.ReLU(),
            *doublings(maps, steps - 1),
            nn.ConvTranspose2d(width, self.channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        initialise(self)


class DCGANDiscriminator(Discriminator):
    """Halves the image down to a small map by strided convolutions.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 64;
            None to take it from the data.
        width: Feature maps of the first layer; each layer after it has twice as many.
        num_classes: Number of classes that the logit is projected on; 0 for none.
        batch_norm: Whether all layers but the first are batch-normalised. Penalties on the slope
            and relativistic losses need it off.
        spectral_norm: Whether all layers are spectrally normalised.
        minibatch_std: Samples in a group whose spread the head sees as one more map (Karras et al.
            2018); 0 for none.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 64,
        num_classes: int = 0,
        batch_norm: bool = True,
        spectral_norm: bool = False,
        minibatch_std: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width)
        steps, smallest = halvings(self, self.size)
        layers: list[nn.Module] = []
        inputs, maps = self.channels, width
        for step in range(steps):
            norms = [nn.BatchNorm2d(maps)] if batch_norm and step > 0 else []
            down = nn.Conv2d(inputs, maps, 4, stride=2, padding=1, bias=not norms)
            layers += [down, *norms, nn.LeakyReLU(0.2)]
            inputs, maps = maps, maps * 2
        if minibatch_std:
            layers.append(MinibatchStd(minibatch_std))
            inputs += 1
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.add_head(inputs * smallest[0] * smallest[1])
        initialise(self)
        for layer in (*layers, self.head):
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                maybe_spectral(layer, spectral_norm)
