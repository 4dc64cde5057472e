"""Discriminators that are autoencoders, as BEGAN and EBGAN want them, and BEGAN's generator."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.errors import ConfigurationError, at_least, check_range, name_of, one_of
from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.layers import dense_to_map, halvings, perceptron


def _convolutions(inputs: int, maps: int, depth: int) -> nn.Sequential:
    """So many 3 x 3 convolutions, each with an ELU behind it."""
    layers: list[nn.Module] = []
    for come in [inputs, *[maps] * (depth - 1)]:
        layers += [nn.Conv2d(come, maps, 3, padding=1), nn.ELU()]
    return nn.Sequential(*layers)


def _smallest(network: Generator | Discriminator) -> tuple[int, tuple[int, int]]:
    """Number of sizes that there are maps of, and the smallest, whose short side has 8 to 14."""
    sizes, (height, width) = halvings(network, network.size)
    return sizes, (2 * height, 2 * width)


def _encoder(network: Discriminator, width: int, code_dim: int, depth: int) -> nn.Sequential:
    """Halves the image down to 8 to 14 pixels and maps that to a code (N, code_dim)."""
    sizes, (high, wide) = _smallest(network)
    layers: list[nn.Module] = [nn.Conv2d(network.channels, width, 3, padding=1), nn.ELU()]
    for maps in range(width, width * sizes + 1, width):
        if maps > width:  # sub-sampling, by a convolution of its own
            layers += [nn.Conv2d(maps - width, maps, 3, stride=2, padding=1), nn.ELU()]
        layers.append(_convolutions(maps, maps, depth))
    code = nn.Linear(width * sizes * high * wide, code_dim)
    return nn.Sequential(*layers, nn.Flatten(), code)


class _Decoder(nn.Module):
    """From a code (N, code_dim) to an image, doubling by nearest neighbours."""

    def __init__(
        self, network: Generator | Discriminator, width: int, code_dim: int, depth: int, skips: bool
    ) -> None:
        super().__init__()
        sizes, smallest = _smallest(network)
        self.skips = skips
        self.start = dense_to_map(code_dim, width, smallest)
        later = 2 * width if skips else width
        self.stages = nn.ModuleList(
            _convolutions(later if number else width, width, depth) for number in range(sizes)
        )
        self.image = nn.Conv2d(width, network.channels, 3, padding=1)

    def forward(self, code: Tensor) -> Tensor:
        """Images (N, C, H, W), of any range."""
        first: Tensor = self.start(code)
        smallest, *stages = self.stages
        maps = smallest(first)
        for number, stage in enumerate(stages, start=1):
            maps = F.interpolate(maps, scale_factor=2.0, mode="nearest")
            if self.skips:
                again = F.interpolate(first, scale_factor=2.0**number, mode="nearest")
                maps = torch.cat([maps, again], dim=1)
            maps = stage(maps)
        return self.image(maps)


class _Reconstructing(Discriminator):
    """What autoencoders share: the logit is minus the error of the reconstruction."""

    reconstructs = True
    encoder: nn.Module
    decoder: nn.Module

    def begin(self, code_dim: int, power: int) -> None:
        """Checks and keeps what all have, with the codes for features in place of a head."""
        if self.num_classes:
            raise ConfigurationError(
                f"{name_of(self)} has no classes, but num_classes={self.num_classes}: set it to 0."
            )
        check_range(self, at_least(1), code_dim=code_dim)
        check_range(self, one_of(1, 2), power=power)
        self.power = power
        self.num_features = code_dim
        self.head, self.projection = nn.Identity(), None

    def reconstruct(self, samples: Tensor) -> Tensor:
        """What the decoder makes of the codes of samples, of their shape and of any range."""
        return self.decoder(self.encoder(samples))

    def features(self, samples: Tensor) -> Tensor:
        """The codes of samples (N, code_dim)."""
        return self.encoder(samples)

    def logits_from(self, features: Tensor, labels: Tensor) -> Tensor:
        """Is refused: the error is one between samples, which a code does not tell.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            f"{name_of(self)} judges a sample by its reconstruction, not by its code alone: "
            "ask for logits_and_features(samples, labels)."
        )

    def logits_and_features(self, samples: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Minus the error of each sample (N,), and its code (N, code_dim)."""
        code = self.features(samples)
        # The sample counts twice, as what is encoded and as what is aimed at.
        error = (samples - self.decoder(code)).abs() ** self.power
        return -error.flatten(1).mean(dim=1), code


class AutoencoderDiscriminator(_Reconstructing):
    """BEGAN's convolutional autoencoder (Berthelot et al. 2017, figure 1).

    3 x 3 convolutions with ELUs, whose maps grow by ``width`` with each halving of the encoder and
    stay at ``width`` in the decoder, which doubles by nearest neighbours; the smallest maps have 8
    to 14 pixels on their short side. The logit is minus the error of the reconstruction.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 64;
            None to take it from the data.
        width: Feature maps at the size of the image, the paper's n.
        code_dim: Length of a code.
        depth: Convolutions at each size.
        power: Of the difference, of which the error is the mean: 1 (BEGAN) or 2 (EBGAN).
        skips: Whether each size of the decoder sees the decoder's first map again, enlarged; one of
            the paper's optional improvements.
        num_classes: There are no classes: 0.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 64,
        code_dim: int = 64,
        depth: int = 2,
        power: int = 1,
        skips: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width, depth=depth)
        self.begin(code_dim, power)
        self.encoder = _encoder(self, width, code_dim, depth)
        self.decoder = _Decoder(self, width, code_dim, depth, skips)


class MLPAutoencoderDiscriminator(_Reconstructing):
    """A perceptron that encodes and one that decodes points or flat images (EBGAN on MNIST).

    Fully connected layers with ReLUs (Zhao et al. 2017). The logit is minus the error of the
    reconstruction.

    Args:
        channels: Coordinates of a point, or channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 0 for points; None to take it from the data.
        width: Units of a hidden layer.
        code_dim: Length of a code.
        depth: Number of hidden layers before the code, and again behind it.
        power: Of the difference, of which the error is the mean: 1 (BEGAN) or 2 (EBGAN).
        num_classes: There are no classes: 0.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 128,
        code_dim: int = 32,
        depth: int = 1,
        power: int = 1,
        num_classes: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width, depth=depth)
        self.begin(code_dim, power)
        units = [math.prod(self.sample_shape), *[width] * depth, code_dim]
        *encoder, _ = perceptron(units, nn.ReLU)
        *decoder, _ = perceptron(units[::-1], nn.ReLU)
        self.encoder = nn.Sequential(nn.Flatten(), *encoder)
        self.decoder = nn.Sequential(*decoder, nn.Unflatten(1, self.sample_shape))


class BEGANGenerator(Generator):
    """The decoder of BEGAN's autoencoder, with weights of its own (Berthelot et al. 2017).

    The paper draws latents uniformly from [-1, 1] and has no tanh.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 4 to 7 times a power of two; None for the data's.
        latent_dim: Length of a latent; the paper takes that of the autoencoder's code.
        width: Feature maps, the paper's n.
        depth: Convolutions, each with an ELU, at each size.
        skips: Whether each size sees the first map again, enlarged; one of the paper's optional
            improvements.
        num_classes: Number of classes, whose embedding joins the latent; 0 for none.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 64,
        width: int = 64,
        depth: int = 2,
        skips: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, width=width, depth=depth)
        self.decoder = _Decoder(self, width, self.input_dim, depth, skips)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1]; the paper has no tanh."""
        return torch.tanh(self.decoder(self.conditioned(z, labels)))
