"""The residual networks of WGAN-GP (Gulrajani et al. 2017), SNGAN (Miyato et al. 2018) and SAGAN.

One pair, whose arguments give the papers' networks for each size of image: see the two classes.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.errors import ConfigurationError, at_least, check_range, name_of
from lightning_gan.networks.attention import attention_at
from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.conditional import AdaptiveInstanceNorm, ClassBatchNorm
from lightning_gan.networks.layers import dense_to_map, halvings, maybe_spectral, zero_bias

_RELU_GAIN = math.sqrt(2)


def _layer(layer: nn.Conv2d | nn.Linear, spectral: bool, gain: float = 1.0) -> nn.Module:
    """``layer`` with Glorot's uniform weights times ``gain``, and no bias at the start.

    Both families take the gain of two ReLUs inside a block and one elsewhere. The weights are drawn
    before spectral norm looks at them.
    """
    nn.init.xavier_uniform_(layer.weight, gain)
    zero_bias(layer)
    return maybe_spectral(layer, spectral)


class UpBlock(nn.Module):
    """Norm, ReLU and 3x3 convolution, twice, around a skip; doubles the map.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out, and inside.
        norm: Makes the norm of so many maps, which is called with maps and a condition.
        spectral: Whether the convolutions are spectrally normalised.
    """

    def __init__(
        self, inputs: int, outputs: int, norm: Callable[[int], nn.Module], spectral: bool = False
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1 = _layer(nn.Conv2d(inputs, outputs, 3, padding=1), spectral, _RELU_GAIN)
        self.conv2 = _layer(nn.Conv2d(outputs, outputs, 3, padding=1), spectral, _RELU_GAIN)
        self.skip = _layer(nn.Conv2d(inputs, outputs, 1), spectral)

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        """Maps (N, C, H, W) to maps (N, outputs, 2 H, 2 W)."""
        inner = self.conv1(F.interpolate(F.relu(self.norm1(maps, condition)), scale_factor=2))
        inner = self.conv2(F.relu(self.norm2(inner, condition)))
        # A 1x1 convolution and doubling commute; this order costs a quarter.
        return inner + F.interpolate(self.skip(maps), scale_factor=2)


class PooledSum(nn.Module):
    """Layers around a skip, whose sum is halved by means where asked.

    Args:
        layers: From maps to maps of the same size.
        skip: A 1x1 convolution to as many maps; None for the identity.
        halve: Whether the map is halved.
    """

    def __init__(self, layers: nn.Module, skip: nn.Module | None, halve: bool) -> None:
        super().__init__()
        self.layers = layers
        self.pool = nn.AvgPool2d(2) if halve else nn.Identity()
        self.skip = skip or nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) to maps (N, outputs, H, W), or half as high and wide."""
        # A 1x1 convolution and means commute; this order costs a quarter.
        return self.pool(self.layers(maps)) + self.skip(self.pool(maps))


class DownBlock(PooledSum):
    """ReLU and 3x3 convolution, twice, around a skip; halves the map by means where asked.

    Args:
        inputs: Feature maps that come in, and inside.
        outputs: Feature maps that go out.
        halve: Whether the map is halved.
        first: Whether images come in: then there is no ReLU before the first convolution, and
            ``outputs`` maps are inside.
        layer_norm: Whether each ReLU follows a norm over all places and maps of a sample.
        spectral: Whether the convolutions are spectrally normalised.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        halve: bool,
        first: bool = False,
        layer_norm: bool = False,
        spectral: bool = False,
    ) -> None:
        inner = outputs if first else inputs
        layers: list[nn.Module] = []
        for step, (come, go) in enumerate([(inputs, inner), (inner, outputs)]):
            if layer_norm and not first:
                layers.append(nn.GroupNorm(1, come))
            if step > 0 or not first:
                layers.append(nn.ReLU())
            layers.append(_layer(nn.Conv2d(come, go, 3, padding=1), spectral, _RELU_GAIN))
        widens = halve or inputs != outputs
        skip = _layer(nn.Conv2d(inputs, outputs, 1), spectral) if widens else None
        super().__init__(nn.Sequential(*layers), skip, halve)


class ResNetGenerator(Generator):
    """A dense layer to the smallest map, then residual blocks that double it up to the image.

    The networks of the papers, from the smallest map to the image:

    - WGAN-GP, 32 pixels (Gulrajani et al. 2017, the appendix): ``width=128``; with classes, too.
    - SNGAN, 32 pixels (Miyato et al. 2018, Table 4): ``width=256``.
    - SNGAN, 48 pixels (Table 5): ``widths=(512, 256, 128, 64)``.
    - SNGAN, 64 pixels (the authors' code): ``widths=(1024, 512, 256, 128, 64)``.
    - SNGAN, 128 pixels (Table 6): ``widths=(1024, 1024, 512, 256, 128, 64)``.
    - SAGAN, 128 pixels (Zhang et al. 2019): as the last, with ``attention=32`` and
      ``spectral_norm=True``.

    Where there are classes, batch norm inside the blocks has gains and shifts of its own for each
    of them (de Vries et al. 2017), as in both papers; the last norm has not.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32, 48 or
            128; None to take it from the data.
        latent_dim: Length of a latent.
        width: Feature maps of every map, where ``widths`` is empty.
        widths: Feature maps of each map, from the smallest to the image: one more than there are
            doublings, four for 32 pixels. Empty for ``width`` everywhere.
        attention: Pixels on the shorter side of the map at which places attend to each other
            (SAGAN); 0 for none.
        adain: Whether the latent, joined by the embedding of the label where there are classes,
            sets gains and shifts of instance norm (Huang & Belongie 2017) in place of batch norm.
        spectral_norm: Whether all layers but batch norm are spectrally normalised, as in SAGAN.
        num_classes: Number of classes that it is conditioned on; 0 for none.

    Raises:
        ConfigurationError: If the widths or the place of attention do not fit the image.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 128,
        width: int = 128,
        widths: Sequence[int] = (),
        attention: int = 0,
        adain: bool = False,
        spectral_norm: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, embed=adain, width=width)
        steps, start = halvings(self, self.size)
        maps = list(widths or [width] * (steps + 1))
        check_range(self, at_least(1), widths=min(maps))
        if len(maps) != steps + 1:
            raise ConfigurationError(
                f"{name_of(self)}: images of {min(self.size)} pixels take {steps + 1} widths, one "
                f"for each map from {min(start)} to {min(self.size)} pixels, but widths={maps} has "
                f"{len(maps)}."
            )
        self.adain = adain

        def norm(width: int, classes: int = num_classes) -> nn.Module:
            if adain:
                return AdaptiveInstanceNorm(width, self.input_dim, spectral_norm)
            return ClassBatchNorm(width, classes)

        self.start = dense_to_map(self.input_dim, maps[0], start)
        _layer(self.start[0], spectral_norm)  # type: ignore[arg-type]  # the dense layer
        self.blocks = nn.ModuleList(
            UpBlock(inputs, outputs, norm, spectral_norm) for inputs, outputs in pairwise(maps)
        )
        sides = [min(start) * 2 ** (step + 1) for step in range(steps)]
        self._attends, self.attention = attention_at(
            self, attention, sides, maps[1:], spectral_norm
        )
        self.norm = norm(maps[-1], 0)
        self.image = _layer(nn.Conv2d(maps[-1], self.channels, 3, padding=1), spectral_norm)
        # Gains of the classes from N(1, 0.02), so that the label matters from the start. SNGAN's
        # own code starts them at one; its PyTorch ports (mimicry) start them so.
        for module in self.modules():
            if isinstance(module, ClassBatchNorm) and module.gain is not None:
                nn.init.normal_(module.gain.weight, 0.0, 0.02)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1]."""
        latent = self.conditioned(z, labels)
        condition = latent if self.adain else labels
        maps = self.start(latent)
        for number, block in enumerate(self.blocks):
            maps = block(maps, condition)
            if number == self._attends:
                maps = self.attention(maps)
        return torch.tanh(self.image(F.relu(self.norm(maps, condition))))


class ResNetDiscriminator(Discriminator):
    """Residual blocks, the first of which halve the map, then the sum over all places.

    The networks of the papers, from the image on:

    - WGAN-GP, 32 pixels (Gulrajani et al. 2017, the appendix): ``width=128, mean_pool=True``.
    - SNGAN, 32 pixels (Miyato et al. 2018, Table 4): ``width=128, spectral_norm=True``.
    - SNGAN, 48 pixels (Table 5): ``widths=(64, 128, 256, 512, 1024), halved=4``.
    - SNGAN, 64 pixels (the authors' code): ``widths=(64, 128, 256, 512, 1024), halved=5``.
    - SNGAN, 128 pixels (Table 6): ``widths=(64, 128, 256, 512, 1024, 1024), halved=5``.
    - SAGAN, 128 pixels (Zhang et al. 2019): as the last, with ``attention=32``.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels: 4 to 7 times a power of two, such as 28, 32, 48 or
            128; None to take it from the data.
        width: Feature maps of every block, where ``widths`` is empty.
        widths: Feature maps of each block, from the image on. Empty for ``width`` in all blocks,
            two more than halve the map.
        halved: Number of blocks, from the image on, that halve the map; None for as many as leave 8
            to 15 pixels on the shorter side (the papers' two for 32 pixels), at least one.
        attention: Pixels on the shorter side of the map at which places attend to each other
            (SAGAN); 0 for none.
        mean_pool: Whether features are means over all places, as in WGAN-GP, not sums.
        layer_norm: Whether all blocks but the first have layer norm before each ReLU, which
            WGAN-GP recommends where a critic needs a norm (section 4).
        spectral_norm: Whether all layers are spectrally normalised, the projection included.
        num_classes: Number of classes that it is conditioned on; 0 for none.

    Raises:
        ConfigurationError: If the widths, halved blocks or place of attention do not fit the image.
    """

    channels_last_pays = bfloat16_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 128,
        widths: Sequence[int] = (),
        halved: int | None = None,
        attention: int = 0,
        mean_pool: bool = False,
        layer_norm: bool = False,
        spectral_norm: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width)
        steps, _ = halvings(self, self.size)
        halved = max(steps - 1, 1) if halved is None else halved
        if halved < 1 or any(side % 2**halved for side in self.size):
            raise ConfigurationError(
                f"{name_of(self)}: halved={halved} must be at least 1 and small enough that "
                f"{self.size[0]} x {self.size[1]} pixels can be halved as often."
            )
        maps = list(widths or [width] * (halved + 2))
        check_range(self, at_least(1), widths=min(maps))
        if len(maps) < halved:
            raise ConfigurationError(
                f"{name_of(self)}: halved={halved} blocks of only {len(maps)} (widths={maps}) "
                "cannot halve the map: pass as many widths, or halve less."
            )
        self.mean_pool = mean_pool
        self.blocks = nn.ModuleList(
            DownBlock(inputs, outputs, step < halved, step == 0, layer_norm, spectral_norm)
            for step, (inputs, outputs) in enumerate(pairwise([self.channels, *maps]))
        )
        sides = [min(self.size) // 2 ** min(step + 1, halved) for step in range(len(maps))]
        self._attends, self.attention = attention_at(self, attention, sides, maps, spectral_norm)
        self.add_head(maps[-1])
        self.head = _layer(nn.Linear(maps[-1], 1), spectral_norm)
        if self.projection is not None:
            nn.init.xavier_uniform_(self.projection.weight)  # type: ignore[arg-type] # an embedding
            self.projection = maybe_spectral(self.projection, spectral_norm)

    def features(self, samples: Tensor) -> Tensor:
        """The sum, or mean, over all places of each map of the last block (N, F)."""
        maps = samples
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number == self._attends:
                maps = self.attention(maps)
        active = F.relu(maps)
        return active.mean(dim=(2, 3)) if self.mean_pool else active.sum(dim=(2, 3))
