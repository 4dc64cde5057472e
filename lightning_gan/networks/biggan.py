"""BigGAN (Brock et al. 2019, appendix B): wide residual networks, told the class in every block."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from lightning_gan.errors import ConfigurationError, at_least, check_range, name_of
from lightning_gan.networks.attention import attention_at
from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.conditional import ConditionalBatchNorm
from lightning_gan.networks.layers import dense_to_map, halvings, zero_bias
from lightning_gan.networks.resnet import PooledSum, UpBlock

_EPS = 1e-6
"""Of the lengths that spectral norm divides by, as in the authors' scripts."""


def start_orthogonal(network: nn.Module, *normed: type[nn.Module]) -> None:
    """Orthogonal weights and no biases everywhere; spectral norm on layers of the kinds named.

    The weights are drawn before spectral norm looks at them, which then divides by one.
    """
    for module in list(network.modules()):
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
            nn.init.orthogonal_(module.weight)
            if not isinstance(module, nn.Embedding):
                zero_bias(module)
            if isinstance(module, normed):
                spectral_norm(module, eps=_EPS)


def widths_up(steps: int, width: int) -> list[int]:
    """Feature maps of the generator, from the smallest map to the image, for so many doublings.

    Three doublings are the authors' code for 32 pixels, four that for 64, five to seven the paper's
    Tables 4 to 6 for 128, 256 and 512.
    """
    if steps < 4:
        multiples = [4] * (steps + 1)
    elif steps < 6:
        multiples = [16, 16, 8, 4, 2, 1][: steps + 1]
    else:
        multiples = [16, 16, 8, 8, 4, 2, *[1] * (steps - 5)]
    return [width * multiple for multiple in multiples]


def widths_down(steps: int, width: int) -> list[int]:
    """Feature maps of the discriminator, from the image on; see :func:`widths_up`."""
    if steps == 4:
        return [width * multiple for multiple in (1, 2, 4, 8, 16)]
    return widths_up(steps, width)[::-1]


def number_halved(steps: int) -> int:
    """How often the discriminator halves the map: to 4 to 7 pixels, or 8 to 14 where few steps."""
    return steps if steps > 3 else max(steps - 1, 1)


def _attentions(
    network: nn.Module, attention: int, sides: Sequence[int], widths: Sequence[int]
) -> nn.ModuleList:
    """What stands behind each block: self-attention once, see :func:`attention_at`."""
    place, layer = attention_at(network, attention, sides, widths, spectral=False)
    return nn.ModuleList(
        layer if number == place else nn.Identity() for number in range(len(widths))
    )


class WideGenerator(Generator, base=True):
    """What the generators of BigGAN and BigGAN-deep share: all but their blocks.

    Subclasses call :meth:`begin`, set ``start`` and their blocks, and call :meth:`finish`.
    """

    channels_last_pays = bfloat16_pays = True

    def begin(self, width: int, embedding_dim: int) -> None:
        """Counts the maps, and adds the embedding of the classes where there are any."""
        self.steps, self.smallest = halvings(self, self.size)
        self.widths = widths_up(self.steps, width)
        self.known = embedding_dim if self.num_classes else 0
        self.shared = nn.Embedding(self.num_classes, embedding_dim) if self.num_classes else None

    def finish(self, attention: int) -> None:
        """Adds what stands behind the blocks, and starts all weights."""
        sides = [min(self.smallest) * 2 ** (step + 1) for step in range(self.steps)]
        self.attentions = _attentions(self, attention, sides, self.widths[1:])
        self.norm = nn.BatchNorm2d(self.widths[-1])
        self.image = nn.Conv2d(self.widths[-1], self.channels, 3, padding=1)
        # Spectral norm on the embedding cripples the generator, say the authors in their code.
        start_orthogonal(self, nn.Conv2d, nn.Linear)

    def image_of(self, maps: Tensor) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1] of the last block's maps."""
        return torch.tanh(self.image(F.relu(self.norm(maps))))


class WideDiscriminator(Discriminator, base=True):
    """What the discriminators of BigGAN and BigGAN-deep share, as :class:`WideGenerator`."""

    channels_last_pays = bfloat16_pays = True

    def begin(self, width: int) -> None:
        """Counts the maps, and how often they are halved."""
        steps, _ = halvings(self, self.size)
        self.halved, self.widths = number_halved(steps), widths_down(steps, width)

    def finish(self, attention: int, widths: Sequence[int]) -> None:
        """Adds what stands behind blocks of so many maps, and starts all weights."""
        sides = [min(self.size) // 2 ** min(step + 1, self.halved) for step in range(len(widths))]
        self.attentions = _attentions(self, attention, sides, widths)
        self.add_head(widths[-1])
        start_orthogonal(self, nn.Conv2d, nn.Linear, nn.Embedding)

    def summed(self, maps: Tensor, blocks: nn.ModuleList) -> Tensor:
        """The sum over all places of each map of the last block (N, F)."""
        for block, attention in zip(blocks, self.attentions, strict=True):
            maps = attention(block(maps))
        return F.relu(maps).sum(dim=(2, 3))


class DownBlock(PooledSum):
    """ReLU and 3x3 convolution, twice, around a skip; halves the map by means where asked.

    Unlike SNGAN's, it widens in the first convolution.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out, and inside.
        halve: Whether the map is halved.
        first: Whether images come in: then there is no ReLU before the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool, first: bool = False) -> None:
        layers = nn.Sequential(
            nn.Identity() if first else nn.ReLU(),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        widens = halve or inputs != outputs
        super().__init__(layers, nn.Conv2d(inputs, outputs, 1) if widens else None, halve)


class BigGANGenerator(WideGenerator):
    """Residual blocks whose batch norms are set by the class and a part of the latent each.

    The latent is split: its first chunk makes the smallest map, and each other one, joined by an
    embedding of the class that all blocks share, sets the gains and shifts of the batch norms of a
    block by linear functions, gains around one (Brock et al. 2019, appendix B). Without classes the
    chunks do so alone. All layers but the embedding are spectrally normalised and start orthogonal.

    The networks of the paper and of the authors' PyTorch code:

    - 32 pixels (the code's): ``width=64``, whose maps are all 256; StudioGAN's for CIFAR-10 has
      ``width=96, latent_dim=80, attention=16``.
    - 64 pixels (the code's): ``width=64, attention=32``.
    - 128 pixels (Table 4): ``width=96, attention=64``.
    - 256 pixels (Table 5): ``width=96, latent_dim=140, attention=128``.
    - 512 pixels (Table 6): ``width=96, latent_dim=160, attention=64``.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 32, 64 or 128;
            None to take it from the data.
        latent_dim: Length of a latent; best a multiple of one plus the doublings, that is of 4 for
            32 pixels, 5 for 64 and 6 for 128, so that all chunks are as long.
        width: Number that all layers' feature maps are multiples of, the paper's ch: 4 times it
            everywhere below 64 pixels, else 16 times it in the smallest map and 1 or 2 times it in
            the largest.
        embedding_dim: Length of the embedding of a class.
        attention: Pixels on the shorter side of the map at which places attend to each other; 0 for
            none.
        num_classes: Number of classes, whose embedding all norms see; 0 for none.

    Raises:
        ConfigurationError: If the latent cannot be split, or the place of attention does not fit.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 120,
        width: int = 64,
        embedding_dim: int = 128,
        attention: int = 0,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, embed=False)
        check_range(self, at_least(1), width=width, embedding_dim=embedding_dim)
        self.begin(width, embedding_dim)
        parts = self.steps + 1
        if latent_dim < parts:
            raise ConfigurationError(
                f"{name_of(self)}: latent_dim={latent_dim} cannot be split over the smallest map "
                f"and {self.steps} blocks: take {parts} or a multiple of it."
            )
        each, more = divmod(latent_dim, parts)
        first, *chunks = self.chunks = [each + (number < more) for number in range(parts)]
        self.start = dense_to_map(first, self.widths[0], self.smallest)
        self.blocks = nn.ModuleList(
            UpBlock(*widths, partial(ConditionalBatchNorm, condition_dim=self.known + chunk))
            for widths, chunk in zip(pairwise(self.widths), chunks, strict=True)
        )
        self.finish(attention)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1]."""
        first, *chunks = torch.split(z, self.chunks, dim=1)
        if self.shared is not None:
            known = self.shared(labels)
            chunks = [torch.cat([known, chunk], dim=1) for chunk in chunks]
        maps = self.start(first)
        for block, attention, condition in zip(self.blocks, self.attentions, chunks, strict=True):
            maps = attention(block(maps, condition))
        return self.image_of(maps)


class BigGANDiscriminator(WideDiscriminator):
    """Residual blocks that halve the map, then the sum over all places, and projection.

    The generator's mirror image, with the same ``width`` in the paper and the authors' code; all of
    the paper's attend at 64 pixels. StudioGAN's for CIFAR-10 has half the maps, ``width=48`` where
    its generator has 96, and ``attention=16``. All layers and the projection are spectrally
    normalised and start orthogonal.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 4 to 7 times a power of two such as 32 or 64; None
            to take it from the data.
        width: Number that all layers' feature maps are multiples of, the paper's ch: 4 times it
            everywhere below 64 pixels, else 1 times it in the largest map and 16 times it in the
            smallest.
        attention: Pixels on the shorter side of the map that attends to itself; 0 for none.
        num_classes: Number of classes that the logit is projected on; 0 for none.

    Raises:
        ConfigurationError: If the place of attention does not fit the image.
    """

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 64,
        attention: int = 0,
        num_classes: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width)
        self.begin(width)
        self.blocks = nn.ModuleList(
            DownBlock(inputs, outputs, halve=step < self.halved, first=step == 0)
            for step, (inputs, outputs) in enumerate(pairwise([self.channels, *self.widths]))
        )
        self.finish(attention, self.widths)

    def features(self, samples: Tensor) -> Tensor:
        """The sum over all places of each map of the last block (N, F)."""
        return self.summed(samples, self.blocks)
