"""StyleGAN2 (Karras et al. 2020): styles scale the weights of convolutions, maps stay smooth.

Sizes as published: ``width=32`` for FFHQ at 1024 pixels; ``width=64`` at 256 pixels ("paper256" of
StyleGAN2-ADA); ``width=512, mapping_depth=2, style_mixing=0``, and for the discriminator
``width=512, residual=False, minibatch_std=32``, for CIFAR-10.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from lightning_gan.basics.randomness import RandomStream, layer_normal, layer_uniform
from lightning_gan.distributed import processes
from lightning_gan.errors import at_least, at_most, check_range
from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.layers import halvings
from lightning_gan.networks.minibatch import MinibatchStd
from lightning_gan.networks.stylegan2_layers import (
    EqualisedConv,
    EqualisedLinear,
    Mapping,
    Smoothing,
    StyledConv,
    ToImage,
    activate,
)

_AVERAGE_RATE = 0.002
"""Share of a batch in the running average of styles."""


def _widths(steps: int, width: int, max_width: int) -> list[int]:
    """Feature maps at each size, from the image down."""
    return [min(width * 2**step, max_width) for step in range(steps + 1)]


class StyleGAN2Generator(Generator):
    """A learned constant, doubled up to the image by convolutions that the style modulates.

    The "output skips" architecture: each size adds to the enlarged image of the size below it
    (Karras et al. 2020, section 4.1). Latents are mapped to styles, of which each layer takes one.

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 4 to 7 times a power of two; None to take it from
            the data.
        latent_dim: Length of a latent.
        style_dim: Length of a style.
        width: Feature maps at the size of the image; each size below it has twice as many.
        max_width: Largest number of feature maps.
        mapping_depth: Layers from the latent to the style; the paper takes 8, StyleGAN2-ADA 2 on
            CIFAR-10.
        style_mixing: Share of samples in training whose later layers take the style of another
            latent, drawn from the normal distribution, behind a layer drawn uniformly (Karras et
            al. 2019, section 3.1).
        num_classes: Number of classes that it is conditioned on; 0 for none.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    channels_last_pays = True

    draws_noise = True
    layers: nn.ModuleList
    w_average: Tensor

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        latent_dim: int = 512,
        style_dim: int = 512,
        width: int = 64,
        max_width: int = 512,
        mapping_depth: int = 8,
        style_mixing: float = 0.9,
        num_classes: int = 0,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, embed=False)
        check_range(self, at_least(1), style_dim=style_dim, width=width, max_width=max_width)
        check_range(self, at_least(1), mapping_depth=mapping_depth)
        check_range(self, at_least(0), at_most(1), style_mixing=style_mixing)
        self.style_mixing = style_mixing
        steps, smallest = halvings(self, self.size)
        widths = _widths(steps, width, max_width)[::-1]
        self.num_layers = 2 * steps + 2
        self.mapping = Mapping(latent_dim, num_classes, style_dim, mapping_depth)
        self.register_buffer("w_average", torch.zeros(style_dim))
        self.start = nn.Parameter(torch.randn(widths[0], *smallest))
        self.smooth = Smoothing()
        self.layers = nn.ModuleList([StyledConv(widths[0], widths[0], smallest, style_dim)])
        self.images = nn.ModuleList([ToImage(widths[0], self.channels, style_dim)])
        for step, (inputs, maps) in enumerate(pairwise(widths), start=1):
            size = (smallest[0] * 2**step, smallest[1] * 2**step)
            self.layers.append(StyledConv(inputs, maps, size, style_dim, up=True))
            self.layers.append(StyledConv(maps, maps, size, style_dim))
            self.images.append(ToImage(maps, self.channels, style_dim))

    def forward(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1]; the paper has no tanh."""
        return self.synthesise(self.styles(z, labels, random), random)

    def styles(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
        """Styles (N, num_layers, style_dim) for the layers, some of them mixed in training.

        Training moves ``w_average`` towards the mean style of the batches of all processes.
        """
        w: Tensor = self.mapping(z, labels)
        if self.training:
            pieces = 1 if random is None else random.shard.step
            self._update_average(w.detach(), pieces)
        styles = w[:, None].expand(-1, self.num_layers, -1)
        if self.training and self.style_mixing > 0:
            return self._mixed(styles, z, labels, random)
        return styles

    @torch.no_grad()
    def _update_average(self, w: Tensor, pieces: int) -> None:
        """Moves the average style; processes may have more or fewer rows than others, or none."""
        w = w.to(self.w_average.dtype)
        sums = processes.mean(torch.cat([w.sum(dim=0), w.new_full((1,), len(w))]))
        # Pieces of a batch move it together as far as the whole would.
        rate = _AVERAGE_RATE if pieces == 1 else 1 - (1 - _AVERAGE_RATE) ** (1 / pieces)
        self.w_average.lerp_(sums[:-1] / sums[-1], rate)

    def _mixed(
        self, styles: Tensor, z: Tensor, labels: Tensor, random: RandomStream | None
    ) -> Tensor:
        """Gives a share of the samples another style from a random layer onwards.

        Drawn for each sample, where the published code draws one layer for the batch.
        """
        chance = layer_uniform(z, random, 2).float()
        others: Tensor = self.mapping(layer_normal(z, random, self.latent_dim), labels)
        first = 1 + (chance[:, 1] * (self.num_layers - 1)).floor()
        first = torch.where(chance[:, 0] < self.style_mixing, first, self.num_layers)
        late = torch.arange(self.num_layers, device=z.device) >= first[:, None]
        return torch.where(late[:, :, None], others[:, None], styles)

    def synthesise(self, w: Tensor, random: RandomStream | None = None) -> Tensor:
        """Images (N, channels, height, width) in [-1, 1] of styles (N, num_layers, style_dim)."""
        maps = self.start.to(w.dtype).expand(w.shape[0], -1, -1, -1)
        maps = self.layers[0](maps, w[:, 0], random)
        image: Tensor = self.images[0](maps, w[:, 1])
        for step in range(1, len(self.images)):
            maps = self.layers[2 * step - 1](maps, w[:, 2 * step - 1], random)
            maps = self.layers[2 * step](maps, w[:, 2 * step], random)
            image = self.smooth.enlarge(image) + self.images[step](maps, w[:, 2 * step + 1])
        return image.tanh()

    def generate_truncated(
        self, z: Tensor, labels: Tensor, random: RandomStream | None, psi: float
    ) -> Tensor:
        """Images whose styles keep a share ``psi`` of their distance from the average."""
        return self.synthesise(self.truncate(self.styles(z, labels, random), psi), random)

    def truncate(self, w: Tensor, psi: float, layers: int | None = None) -> Tensor:
        """Styles pulled towards their average: less variety for more quality.

        Args:
            w: Styles (N, num_layers, style_dim).
            psi: What is left of the distance from the average; 1 for all of it, 0 for none.
            layers: Number of layers that it is done to, from the smallest maps; None for all.
        """
        layers = self.num_layers if layers is None else layers
        pulled = self.w_average.to(w.dtype).lerp(w[:, :layers], psi)
        return torch.cat([pulled, w[:, layers:]], dim=1)


class _Block(nn.Module):
    """Two convolutions, of which the second halves the maps, around a skip where residual."""

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.first = EqualisedConv(inputs, inputs, 3)
        self.second = EqualisedConv(inputs, outputs, 3, down=True)
        self.skip = EqualisedConv(inputs, outputs, 1, bias=False, down=True) if residual else None

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, outputs, H / 2, W / 2)."""
        halved = self.second(activate(self.first(maps)))
        if self.skip is None:
            return activate(halved)
        # Both halves of the variance, so that the sum keeps it.
        kept: Tensor = self.skip(maps)
        return activate(halved, math.sqrt(0.5)) + kept * math.sqrt(0.5)


class StyleGAN2Discriminator(Discriminator):
    r"""Residual blocks down to the smallest map, whose spread over a group of samples joins it.

    With classes the logit is :math:`\langle e(y), \phi(x) \rangle / \sqrt{d}` with no other term,
    where :math:`e` maps the label as the generator maps latents (StyleGAN2-ADA, Karras et al.
    2020).

    Args:
        channels: Channels of an image; None to take it from the data.
        image_size: Height and width in pixels, 4 to 7 times a power of two; None to take it from
            the data.
        width: Feature maps at the size of the image; each size below it has twice as many.
        max_width: Largest number of feature maps.
        residual: Whether blocks have skips; StyleGAN2-ADA has none on CIFAR-10.
        minibatch_std: Samples in a group whose spread is seen; batches must be multiples of it in
            training. 0 for none.
        mapping_depth: Layers from the label to its vector, where there are classes.
        num_classes: Number of classes that it is conditioned on; 0 for none.

    Raises:
        ConfigurationError: If a number is out of range, or a batch no multiple of a group.
    """

    channels_last_pays = True

    def __init__(
        self,
        channels: int | None = None,
        image_size: ImageSize = None,
        width: int = 64,
        max_width: int = 512,
        residual: bool = True,
        minibatch_std: int = 4,
        mapping_depth: int = 8,
        num_classes: int = 0,
    ) -> None:
        super().__init__(channels, image_size, num_classes, width=width, max_width=max_width)
        check_range(self, at_least(1), mapping_depth=mapping_depth)
        steps, (high, wide) = halvings(self, self.size)
        widths = _widths(steps, width, max_width)
        last = widths[-1]
        self.image = EqualisedConv(self.channels, widths[0], 1)
        self.blocks = nn.Sequential(*(_Block(*maps, residual) for maps in pairwise(widths)))
        self.spread = MinibatchStd(minibatch_std) if minibatch_std else nn.Identity()
        self.mix = EqualisedConv(last + (1 if minibatch_std else 0), last, 3)
        self.flat = EqualisedLinear(last * high * wide, last)
        self.mapping_depth = mapping_depth
        self.add_head(last)

    def add_head(self, num_features: int) -> None:
        """Adds a linear head, or one to vectors that those of labels are compared with."""
        self.num_features, self.projection = num_features, None
        self.head = EqualisedLinear(num_features, num_features if self.num_classes else 1)
        if self.num_classes:
            self.projection = Mapping(0, self.num_classes, num_features, self.mapping_depth)

    def features(self, samples: Tensor) -> Tensor:
        """The last hidden layer (N, F), F the width of the smallest map."""
        maps = self.blocks(activate(self.image(samples)))
        maps = activate(self.mix(self.spread(maps)))
        return activate(self.flat(maps.flatten(1)))

    def logits_from(self, features: Tensor, labels: Tensor) -> Tensor:
        """Logits (N,) of features (N, F) with class indices (N,)."""
        found: Tensor = self.head(features)
        if self.projection is None:
            return found.squeeze(1)
        wanted: Tensor = self.projection(None, labels)
        return (found * wanted).sum(dim=1) / math.sqrt(self.num_features)
