"""BigGAN-deep (Brock et al. 2019, appendix B): bottlenecks around skips that stay the identity."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.errors import at_least, check_range
from lightning_gan.networks.base import ImageSize
from lightning_gan.networks.biggan import WideDiscriminator, WideGenerator
from lightning_gan.networks.conditional import ConditionalBatchNorm
from lightning_gan.networks.layers import dense_to_map

_RATIO = 4
"""How many times fewer feature maps the 3x3 convolutions have than the block."""


def _bottleneck(inputs: int, inner: int, outputs: int) -> nn.ModuleList:
    """Convolutions of 1x1, 3x3, 3x3 and 1x1."""
    widths = pairwise([inputs, inner, inner, inner, outputs])
    return nn.ModuleList(
        nn.Conv2d(*maps, side, padding=side // 2)
        for maps, side in zip(widths, (1, 3, 3, 1), strict=True)
    )


class BottleneckUp(nn.Module):
    """Conditional batch norm, ReLU and convolution, four times, around a skip (Figure 16b).

    The skip keeps the first feature maps and drops the others.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out, no more than come in.
        condition_dim: Length of a condition.
        double: Whether the map is doubled, before the 3x3 convolutions.
    """

    def __init__(self, inputs: int, outputs: int, condition_dim: int, double: bool) -> None:
        super().__init__()
        inner = max(inputs // _RATIO, 1)
        self.outputs, self.doubles = outputs, double
        self.norms = nn.ModuleList(
            ConditionalBatchNorm(maps, condition_dim) for maps in (inputs, inner, inner, inner)
        )
        self.convolutions = _bottleneck(inputs, inner, outputs)

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) to maps (N, outputs, H, W), or twice as high and wide."""
        inner, skip = maps, maps[:, : self.outputs]
        for number, (norm, conv) in enumerate(zip(self.norms, self.convolutions, strict=True)):
            inner = F.relu(norm(inner, condition))
            if number == 1 and self.doubles:
                inner = F.interpolate(inner, scale_factor=2.0, mode="nearest")
                skip = F.interpolate(skip, scale_factor=2.0, mode="nearest")
            inner = conv(inner)
        return inner + skip


class BottleneckDown(nn.Module):
    """ReLU and convolution, four times, around a skip (Figure 16c).

    Where there are more feature maps to give than come in, the skip adds what a 1x1 convolution
    makes of them to those that come in.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out, no fewer than come in.
        halve: Whether the map is halved by means, before the last convolution.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        self.convolutions = _bottleneck(inputs, max(outputs // _RATIO, 1), outputs)
        self.more = nn.Conv2d(inputs, outputs - inputs, 1) if outputs > inputs else None
        self.pool = nn.AvgPool2d(2) if halve else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) to maps (N, outputs, H, W), or half as high and wide."""
        skip = self.pool(maps)
        if self.more is not None:
            skip = torch.cat([skip, self.more(skip)], dim=1)
        *first, last = self.convolutions
        for convolution in first:
            maps = convolution(F.relu(maps))
        return last(self.pool(F.relu(maps))) + skip


class BigGANDeepGenerator(WideGenerator):
    """Bottleneck blocks whose batch norms are all set by the class and the whole latent.

    The latent, joined by an embedding of the class where there are any, makes the smallest map and
    sets gains and shifts of the batch norms of every block by linear functions. Two blocks at each
    size, of which the second doubles. All layers but the embedding are spectrally normalised and
    start orthogonal.

    The paper's have ``width=128, attention=64`` at 128, 256 and 512 pixels (Tables 7 to 9).

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 4 to 7 times a power of two; None for the data's.
        latent_dim: Length of a latent.
        width: The paper's ch: maps are as many times it as in :class:`BigGANGenerator`, a quarter
            of that inside blocks.
        depth: Blocks at each size.
        embedding_dim: Length of the embedding of a class.
        attention: Pixels on the shorter side of the map with self-attention; 0 for none.
        num_classes: Number of classes, whose embedding joins the latent; 0 for none.

    Raises:
        ConfigurationError: If the place of attention does not fit the image.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 128,
        width: int = 128,
        depth: int = 2,
        embedding_dim: int = 128,
        attention: int = 0,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, embed=False)
        check_range(self, at_least(1), width=width, depth=depth, embedding_dim=embedding_dim)
        self.begin(width, embedding_dim)
        condition_dim = latent_dim + self.known
        self.start = dense_to_map(condition_dim, self.widths[0], self.smallest)
        self.stages = nn.ModuleList(
            nn.ModuleList(
                BottleneckUp(inputs, outputs if last else inputs, condition_dim, double=last)
                for last in [False] * (depth - 1) + [True]
            )
            for inputs, outputs in pairwise(self.widths)
        )
        self.finish(attention)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1]."""
        condition = z if self.shared is None else torch.cat([self.shared(labels), z], dim=1)
        maps = self.start(condition)
        for stage, attention in zip(self.stages, self.attentions, strict=True):
            for block in stage:  # type: ignore[attr-defined]  # a list of modules
                maps = block(maps, condition)
            maps = attention(maps)
        return self.image_of(maps)


class BigGANDeepDiscriminator(WideDiscriminator):
    """Bottleneck blocks, the first at each size halving, then the sum over all places.

    The generator's mirror image. All layers and the projection are spectrally normalised and start
    orthogonal. The paper's have ``width=128, attention=64`` (Tables 7 to 9).

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 4 to 7 times a power of two; None for the data's.
        width: The paper's ch: maps are as many times it as in :class:`BigGANDiscriminator`, a
            quarter of that inside blocks.
        depth: Blocks at each size, of which the first halves.
        attention: Pixels on the shorter side of the map with self-attention; 0 for none.
        num_classes: Number of classes, for the projection; 0 for none.

    Raises:
        ConfigurationError: If the place of attention does not fit the image.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 128,
        depth: int = 2,
        attention: int = 0,
        num_classes: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width, depth=depth)
        self.begin(width)
        self.image = nn.Conv2d(self.channels, self.widths[0], 3, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(
                BottleneckDown(inputs, outputs, halve=step < self.halved),
                *(BottleneckDown(outputs, outputs, halve=False) for _ in range(depth - 1)),
            )
            for step, (inputs, outputs) in enumerate(pairwise(self.widths))
        )
        self.finish(attention, self.widths[1:])

    def features(self, samples: Tensor) -> Tensor:
        """The sum over all places of each map of the last block (N, F)."""
        return self.summed(self.image(samples), self.stages)
