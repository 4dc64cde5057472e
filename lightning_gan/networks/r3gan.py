"""A small residual pair without normalisation, after R3GAN (Huang et al. 2024, section 4).

Bottleneck blocks with grouped convolutions, resampling by the filter (1, 3, 3, 1), fix-up
initialisation: what is left of StyleGAN2 once a loss that does not collapse makes its tricks
unnecessary.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.errors import ConfigurationError, at_least, check_range, name_of
from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.layers import halvings, zero_bias

_SLOPE = 0.2


class ResidualBlock(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolutions around a skip; it starts as the identity.

    Args:
        maps: Feature maps that come in and go out.
        expansion: The inner convolution has this many times as many.
        group_size: Feature maps in a group of the inner convolution.
        blocks: Number of blocks in the network, for the scale of the initial weights.
    """

    def __init__(self, maps: int, expansion: int, group_size: int, blocks: int) -> None:
        super().__init__()
        inner = maps * expansion
        groups = max(inner // group_size, 1)
        if inner % groups:
            raise ConfigurationError(
                f"{inner} feature maps inside a block cannot be shared out over groups of "
                f"{group_size}: take widths whose {expansion}-fold is divisible by it."
            )
        self.widen = nn.Conv2d(maps, inner, 1)
        self.mix = nn.Conv2d(inner, inner, 3, padding=1, groups=groups)
        self.narrow = nn.Conv2d(inner, maps, 1, bias=False)
        # Fix-up (Zhang et al. 2019): three layers in a branch, the last one zero.
        for layer in (self.widen, self.mix):
            initialise(layer, gain=math.sqrt(2 / (1 + _SLOPE**2)) * blocks**-0.25)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) to maps of the same shape."""
        inner = F.leaky_relu(self.widen(maps), _SLOPE)
        return maps + self.narrow(F.leaky_relu(self.mix(inner), _SLOPE))


def initialise(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Weights of variance gain^2 / fan_in, no bias."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    zero_bias(layer)


def _pointwise(inputs: int, outputs: int) -> nn.Module:
    """A 1x1 convolution where the number of maps changes."""
    if inputs == outputs:
        return nn.Identity()
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    initialise(layer)
    return layer


def _stretched(maps: Tensor) -> Tensor:
    """Maps twice as large by linear interpolation, with their edges repeated outside."""
    return F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


def _doubled(maps: Tensor) -> Tensor:
    """Maps twice as large by the filter (1, 3, 3, 1), with zeros outside."""
    # Linear interpolation is that filter, but for what it takes to lie outside.
    return _stretched(F.pad(maps, (1, 1, 1, 1)))[..., 2:-2, 2:-2]


def _halved(maps: Tensor) -> Tensor:
    """Maps half as large by the filter (1, 3, 3, 1), with zeros outside."""
    maps = F.pad(maps, (1, 1, 1, 1))
    for stride in (1, 1, 2):  # the filter is (1, 1) three times
        maps = F.avg_pool2d(maps, 2, stride)
    return maps


def _smallest_map(
    network: Generator | Discriminator, patch: int, widths: Sequence[int]
) -> tuple[int, int]:
    """Checks the widths against the image and returns the size of the smallest map."""
    steps, start = halvings(network, network.size)
    name, side = name_of(network), min(network.size)
    if patch < 1 or patch & (patch - 1) or patch >= 2**steps:
        raise ConfigurationError(
            f"{name}: patch={patch} must be a power of two below {2**steps} for images of {side} "
            "pixels."
        )
    sizes = steps + 2 - patch.bit_length()
    if len(widths) != sizes:
        raise ConfigurationError(
            f"{name}: images of {side} pixels in patches of {patch} take {sizes} widths, one for "
            f"each map from {min(start)} to {side // patch}, but widths={list(widths)} has "
            f"{len(widths)}."
        )
    check_range(network, at_least(1), widths=min(widths))
    return start


class R3GANGenerator(Generator):
    """From a learned basis, scaled by the latent, up to the image.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 4 to 7 times a power of two; None to take it from
            the data.
        latent_dim: Length of a latent.
        widths: Feature maps at each size, from the smallest map to the image.
        blocks: Residual blocks at each size.
        expansion: Widening inside a block.
        group_size: Feature maps in a group of the 3x3 convolutions.
        patch: Side of the squares of pixels that share a place in the largest map; 1 is the
            paper's, 2 makes the largest map half the image and training three times as fast.
        num_classes: Number of classes, whose embedding scales the basis as well; 0 for none.
        plain: Whether maps are doubled with their edges repeated, where the authors have zeros
            outside.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 64,
        widths: Sequence[int] = (128, 64, 32),
        blocks: int = 1,
        expansion: int = 2,
        group_size: int = 16,
        patch: int = 1,
        num_classes: int = 0,
        plain: bool = False,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes)
        check_range(self, at_least(1), blocks=blocks, expansion=expansion, group_size=group_size)
        start = _smallest_map(self, patch, widths)
        inside = (expansion, group_size, blocks * len(widths))
        self.plain = plain
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, 1 / math.sqrt(num_classes))
        self.basis = nn.Parameter(torch.randn(widths[0], *start))
        self.scale = nn.Linear(self.input_dim, widths[0], bias=False)
        initialise(self.scale)
        self.stages = nn.ModuleList()
        for inputs, maps in pairwise([widths[0], *widths]):
            body = [ResidualBlock(maps, *inside) for _ in range(blocks)]
            self.stages.append(nn.Sequential(_pointwise(inputs, maps), *body))
        self.image = nn.Conv2d(widths[-1], self.channels * patch**2, 1, bias=False)
        initialise(self.image)
        self.unfold = nn.PixelShuffle(patch)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1]; the paper has no tanh."""
        first, *others = self.stages
        maps = first(self.basis * self.scale(self.conditioned(z, labels))[:, :, None, None])
        for stage in others:
            maps = stage(_stretched(maps) if self.plain else _doubled(maps))
        return torch.tanh(self.unfold(self.image(maps)))


class R3GANDiscriminator(Discriminator):
    """The generator's mirror image.

    With classes the logit is the inner product of the class's embedding with a linear function of
    the features, and has no part that the class does not enter.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 4 to 7 times a power of two; None to take it from
            the data.
        widths: Feature maps at each size, from the smallest map to the image, as the generator's.
        blocks: Residual blocks before each halving, and at the end.
        expansion: How many times wider the inside of a block is.
        group_size: Feature maps in a group of the 3x3 convolutions.
        patch: Side of the squares of pixels that are folded into one place at first, a power of
            two; 1 is the paper's.
        num_classes: Number of classes, whose embedding makes the logit; 0 for none.
        plain: Whether maps are halved by means of 2 x 2 places, and the first and, without classes,
            the last layer have biases, where the authors' have none.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        widths: Sequence[int] = (128, 64, 32),
        blocks: int = 1,
        expansion: int = 2,
        group_size: int = 16,
        patch: int = 1,
        num_classes: int = 0,
        plain: bool = False,
    ) -> None:
        super().__init__(channels, image_size, num_classes)
        self.plain = plain
        check_range(self, at_least(1), blocks=blocks, expansion=expansion, group_size=group_size)
        start = _smallest_map(self, patch, widths)
        inside = (expansion, group_size, blocks * len(widths))
        self.fold = nn.PixelUnshuffle(patch)
        self.image = nn.Conv2d(self.channels * patch**2, widths[-1], 1, bias=plain)
        initialise(self.image)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(ResidualBlock(maps, *inside) for _ in range(blocks)), _pointwise(maps, outputs)
            )
            for maps, outputs in pairwise([*widths[::-1], widths[0]])
        )
        self.basis = nn.Conv2d(widths[0], widths[0], start, groups=widths[0], bias=False)
        initialise(self.basis)
        self.add_head(widths[0])

    def add_head(self, num_features: int) -> None:
        """Adds a logit, or where there are classes what is multiplied with their embedding."""
        self.num_features, self.projection = num_features, None
        gain = 1 / math.sqrt(num_features)
        outputs = num_features if self.num_classes else 1
        self.head = nn.Linear(num_features, outputs, bias=self.plain and not self.num_classes)
        nn.init.normal_(self.head.weight, 0.0, gain)
        if self.num_classes:
            self.projection = nn.Embedding(self.num_classes, num_features)
            nn.init.normal_(self.projection.weight, 0.0, gain / math.sqrt(self.num_classes))

    def logits_from(self, features: Tensor, labels: Tensor) -> Tensor:
        """Logits (N,): with classes the product with their embedding alone, without a bias."""
        if self.projection is None:
            return super().logits_from(features, labels)
        return (self.head(features) * self.projection(labels)).sum(dim=1)

    def features(self, samples: Tensor) -> Tensor:
        """One number for each map of the smallest size (N, widths[0])."""
        first, *others = self.stages
        maps = first(self.image(self.fold(samples)))
        for stage in others:
            maps = stage(F.avg_pool2d(maps, 2) if self.plain else _halved(maps))
        return self.basis(maps).flatten(1)
