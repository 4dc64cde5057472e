"""FastGAN (Liu et al. 2021): small maps gate large ones; a discriminator that can paint."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from lightning_gan.basics.randomness import RandomStream, layer_normal, layer_uniform
from lightning_gan.networks.base import (
    Discriminator,
    DiscriminatorOutput,
    Generator,
    ImageSize,
    wide,
)
from lightning_gan.networks.layers import halvings

_UP = (16, 8, 4, 2, 2, 1, 0.5, 0.25, 0.125)
"""Feature maps of the generator as multiples of ``width``, from the smallest map on."""

_DOWN = (8, 4, 2, 1, 0.5, 0.25)
"""Feature maps of the discriminator as multiples of ``width``, from its smallest map back."""

_PAINT = (4, 2, 2, 1)
"""Feature maps of a decoder as multiples of ``width / 2``, for each doubling."""


def _times(width: int, multiples: Iterable[float]) -> list[int]:
    return [max(int(width * multiple), 1) for multiple in multiples]


def _layer(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> nn.Module:
    """``layer`` with weights from N(0, 0.02), as in the authors' code, spectrally normalised."""
    nn.init.normal_(layer.weight, 0.0, 0.02)
    return spectral_norm(layer)


def _conv(inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 0) -> nn.Module:
    return _layer(nn.Conv2d(inputs, outputs, side, stride, padding, bias=False))


def _norm(maps: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(maps)
    nn.init.normal_(norm.weight, 1.0, 0.02)
    return norm


class AddedNoise(nn.Module):
    """Adds normal noise to every place, the same to all its maps, times a number that is learned.

    In training only; the number starts at zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor, random: RandomStream | None = None) -> Tensor:
        """Maps (N, C, H, W) of the same shape."""
        if not self.training:
            return maps
        return maps + self.scale * layer_normal(maps, random, 1, *maps.shape[2:])


class NoisySequential(nn.Sequential):
    """Layers one after the other, of which those that add noise are given the random stream."""

    def forward(self, maps: Tensor, random: RandomStream | None = None) -> Tensor:
        """Maps (N, C, H, W) of the last layer."""
        for layer in self:
            maps = layer(maps, random) if isinstance(layer, AddedNoise) else layer(maps)
        return maps


def _gated(inputs: int, outputs: int, noise: bool) -> list[nn.Module]:
    """A 3x3 convolution, noise where asked, batch norm, and a gated linear unit."""
    noises = [AddedNoise()] if noise else []
    convolution = _conv(inputs, 2 * outputs, 3, padding=1)
    return [convolution, *noises, _norm(2 * outputs), nn.GLU(dim=1)]


def _doubling(inputs: int, outputs: int, twice: bool = False) -> NoisySequential:
    """Doubles the map, then one gated convolution, or two with noise."""
    layers = _gated(inputs, outputs, noise=twice)
    if twice:
        layers += _gated(outputs, outputs, noise=True)
    return NoisySequential(nn.Upsample(scale_factor=2.0), *layers)


class Excitation(nn.Module):
    r"""Lets one map scale the feature maps of another (skip-layer excitation, Eq. 1).

    .. math:: y = F(x_\mathrm{low}) \cdot x_\mathrm{high}

    F pools the one to 4 x 4 places, then has a 4x4 and a 1x1 convolution and a sigmoid, and gives
    a factor for each feature map of the other. Between the convolutions is a SiLU, as in the
    authors' code.

    Args:
        inputs: Feature maps of the map that scales.
        outputs: Feature maps of the map that is scaled.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.factors = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            _conv(inputs, outputs, 4),
            nn.SiLU(),
            _conv(outputs, outputs, 1),
            nn.Sigmoid(),
        )

    def forward(self, source: Tensor, maps: Tensor) -> Tensor:
        """Maps (N, outputs, H, W) of the same shape, from maps (N, inputs, H', W') and those."""
        return maps * self.factors(source)


class ExcitedChain(nn.Module):
    """Blocks one after the other, whose outputs scale what comes some blocks later.

    Args:
        blocks: The blocks.
        widths: Feature maps before the first block and behind each.
        distance: Number of blocks from a map to the one that it scales; as many as there are, where
            there are fewer.
        sources: How many maps scale another, at most.
    """

    def __init__(
        self, blocks: Sequence[nn.Module], widths: Sequence[int], distance: int, sources: int
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.distance = min(distance, len(blocks))
        count = min(sources, len(blocks) + 1 - self.distance)
        self.excitations = nn.ModuleList(
            Excitation(widths[number], widths[number + self.distance]) for number in range(count)
        )

    def forward(self, maps: Tensor, random: RandomStream | None = None) -> list[Tensor]:
        """The maps that come in, and those behind each block."""
        found = [maps]
        for number, block in enumerate(self.blocks, start=1):
            source = number - self.distance
            maps = block(maps, random) if isinstance(block, NoisySequential) else block(maps)
            if 0 <= source < len(self.excitations):
                maps = self.excitations[source](found[source], maps)
            found.append(maps)
        return found


class FastGANGenerator(Generator):
    """Doubles the map by gated convolutions; four small maps scale maps 16 times as large.

    A transposed convolution to the smallest map, then in turn two gated convolutions with noise and
    one without, after each doubling, all batch-normalised; maps of 4, 8, 16 and 32 pixels scale
    those of 64, 128, 256 and 512 (skip-layer excitation, Liu et al. 2021, section 3.1 and figure
    3). Where the image is too small for that, the smallest map scales the largest one. Noise is
    added in training only. The authors' second image, of 128 pixels, is left out.

    The paper's is for 256 to 1024 pixels. It has no classes; here their embedding joins the latent.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 256;
            None to take it from the data.
        latent_dim: Length of a latent.
        width: Number that all layers' feature maps are multiples of: 16 times it in the smallest
            map, 2 times it in one of 32 pixels, half of it in one of 256.
        num_classes: Number of classes, for the embedding beside the latent; 0 for none.
    """

    bfloat16_pays = True

    draws_noise = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 256,
        width: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, width=width)
        steps, start = halvings(self, self.size)
        maps = _times(width, (_UP[min(step, len(_UP) - 1)] for step in range(steps + 1)))
        self.start = nn.Sequential(
            nn.Unflatten(1, (self.input_dim, 1, 1)),
            _layer(nn.ConvTranspose2d(self.input_dim, 2 * maps[0], start, bias=False)),
            _norm(2 * maps[0]),
            nn.GLU(dim=1),
        )
        blocks = [_doubling(*both, twice=i % 2 == 0) for i, both in enumerate(pairwise(maps))]
        self.chain = ExcitedChain(blocks, maps, distance=4, sources=4)
        self.image = nn.Sequential(_conv(maps[-1], self.channels, 3, padding=1), nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1]."""
        maps = self.start(self.conditioned(z, labels))
        return self.image(self.chain(maps, random)[-1])


class HalvingBlock(nn.Module):
    """The mean of two ways to half the map: by two convolutions, and by means and a 1x1 one.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normed(inputs, outputs, 4, stride=2, padding=1),
            *_normed(outputs, outputs, 3, padding=1),
        )
        self.skip = nn.Sequential(nn.AvgPool2d(2), *_normed(inputs, outputs, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) to maps (N, outputs, H / 2, W / 2)."""
        return (self.layers(maps) + self.skip(maps)) / 2


def _normed(
    inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    return [_conv(inputs, outputs, side, stride, padding), _norm(outputs), nn.LeakyReLU(0.2)]


def _decoder(inputs: int, channels: int, width: int, doublings: int) -> nn.Sequential:
    """From maps to an image in [-1, 1] that is larger by so many doublings."""
    maps = [inputs, *_times(width // 2, _PAINT[:doublings])]
    blocks = [_doubling(*both) for both in pairwise(maps)]
    return nn.Sequential(*blocks, _conv(maps[-1], channels, 3, padding=1), nn.Tanh())


def _quarter(images: Tensor, number: Tensor) -> Tensor:
    """One quarter of each image (N, C, H / 2, W / 2): top left 0, right 1, bottom left 2, right 3.

    Args:
        images: Images or maps (N, C, H, W), height and width even.
        number: Which, for each image (N,).
    """
    rows, columns = images.shape[2] // 2, images.shape[3] // 2
    quarters = images.reshape(images.shape[0], -1, 2, rows, 2, columns)
    quarters = quarters.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    return quarters[torch.arange(images.shape[0], device=images.device), number]


def _shrunk(images: Tensor, like: Tensor) -> Tensor:
    """Means over squares of pixels, so many that the size is that of ``like``."""
    return F.avg_pool2d(images, images.shape[2] // like.shape[2])


class FastGANDiscriminator(Discriminator):
    """Halves the map by two ways at once; decoders can paint the image again from what it keeps.

    Residual blocks, at most five and behind strided convolutions where the image is larger, halve
    the map until its shorter side has at most 8 pixels; each map scales the one three blocks later,
    8 times as small (skip-layer excitation), or the last one where there are fewer. All layers are
    spectrally normalised, and all but the first and the last batch-normalised, so that penalties on
    the slope do not go with it. Every square of 4 x 4 places of the last map has a logit of its
    own, which losses judge one by one (Liu et al. 2021, figure 4 and the authors' code): 25 for an
    image of 256 pixels. Called by itself, the network gives their mean.
    :meth:`reconstructions` serves the self-supervision of section 3.2. The authors' second branch,
    for images of 128 pixels, is left out.

    The paper's is for 256 to 1024 pixels. It has no classes; here there is projection.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32 or 256;
            None to take it from the data.
        width: Number that all layers' feature maps are multiples of: 8 times it in the smallest
            map, half as much in each larger one.
        num_classes: Number of classes, for the projection; 0 for none.
    """

    bfloat16_pays = True
    judges_squares = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width)
        steps, smallest = halvings(self, self.size)
        halved = steps - (min(smallest) == 4 and steps > 1)
        count = min(halved, len(_DOWN) - 1)
        maps = _times(width, reversed(_DOWN[: count + 1]))
        self.first = self._entrance(maps[0], halved - count)
        blocks = [HalvingBlock(*both) for both in pairwise(maps)]
        self.chain = ExcitedChain(blocks, maps, distance=3, sources=count)
        self.last = nn.Sequential(*_normed(maps[-1], 16 * width, 1))
        self.decoders = nn.ModuleList(
            _decoder(inputs, self.channels, width, min(doublings, len(_PAINT)))
            for inputs, doublings in ((maps[-1], halved), (maps[-2], halved - 1))
        )
        self.add_head(16 * width * 16)
        self.head = _layer(nn.Linear(self.num_features, 1, bias=False))
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, 0.0, 0.02)  # type: ignore[arg-type] # embedding
            self.projection = spectral_norm(self.projection)

    def _entrance(self, maps: int, halved: int) -> nn.Sequential:
        """Convolutions from the image to so many maps, each halving, or one that does not."""
        side, stride = (4, 2) if halved else (3, 1)
        widths = _times(maps, (2.0**-step for step in reversed(range(max(halved, 1)))))
        layers = [_conv(self.channels, widths[0], side, stride, padding=1), nn.LeakyReLU(0.2)]
        for both in pairwise(widths):
            layers += _normed(*both, side, stride, padding=1)
        return nn.Sequential(*layers)

    def features(self, samples: Tensor) -> Tensor:
        """Means over all squares of 4 x 4 places, for each place of a square (N, 16 F)."""
        return self._over_squares(self._maps(samples))

    def output(self, samples: Tensor, labels: Tensor) -> DiscriminatorOutput:
        """What losses read: the logits of all squares of each sample in turn, and the features."""
        maps = self._maps(samples)
        features = self._over_squares(maps)
        weight = self.head.weight
        assert isinstance(weight, Tensor)
        squares = F.conv2d(maps, weight.view(1, -1, 4, 4)).flatten(1)
        if self.projection is not None:
            squares = squares + (self.projection(labels) * features).sum(dim=1, keepdim=True)
        return DiscriminatorOutput(wide(squares.flatten()), wide(features))

    def _maps(self, samples: Tensor) -> Tensor:
        return self.last(self.chain(self.first(samples))[-1])

    def _over_squares(self, maps: Tensor) -> Tensor:
        # A convolution of 4 x 4 places and the mean of what it gives, in the other order.
        return F.avg_pool2d(maps, (maps.shape[2] - 3, maps.shape[3] - 3), stride=1).flatten(1)

    def reconstructions(
        self, samples: Tensor, random: RandomStream | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """What the decoders make of samples (N, C, H, W), each with what it should be.

        First the whole image from the smallest map, then a quarter of the image from that quarter
        of the next larger map: for each sample one of the four at random in training, the top left
        one otherwise. Images have at most 16 times the map's height and width, so that from 256
        pixels on they are smaller than the samples, which are shrunk by means. Both in [-1, 1].
        """
        *_, larger, smallest = self.chain(self.first(samples))
        number = torch.zeros(samples.shape[0], dtype=torch.long, device=samples.device)
        if self.training:  # a number close to one may round up to it in a type of low precision
            number = (4 * layer_uniform(samples, random)).long().clamp(max=3)
        whole = self.decoders[0](smallest)
        part = self.decoders[1](_quarter(larger, number))
        return [(whole, _shrunk(samples, whole)), (part, _shrunk(_quarter(samples, number), part))]
