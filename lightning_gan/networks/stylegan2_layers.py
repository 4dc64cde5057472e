"""Layers of StyleGAN2: equalised learning rates, smooth resampling, modulated convolutions."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.basics.randomness import RandomStream, layer_normal
from lightning_gan.networks.layers import zero_bias

_SLOPE = 0.2


def activate(values: Tensor, gain: float = 1.0) -> Tensor:
    """A leaky ReLU that keeps the second moment, times ``gain``."""
    return F.leaky_relu(values, _SLOPE) * (math.sqrt(2) * gain)


def of_unit_moment(vectors: Tensor) -> Tensor:
    """Vectors (N, F), each divided by the root of the mean of its squares."""
    return vectors * (vectors.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class EqualisedLinear(nn.Linear):
    """A linear layer whose weights start at unit scale and are scaled when used.

    So that an optimizer that divides by the size of gradients moves all layers at one relative
    speed (progressive growing, Karras et al. 2018, section 4.1).

    Args:
        inputs: Number of inputs.
        outputs: Number of outputs.
        rate: Factor of the speed at which the layer learns.
        bias: What all biases start at.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__(inputs, outputs)
        self.rate = rate
        nn.init.normal_(self.weight, 0.0, 1 / rate)
        nn.init.constant_(self.bias, bias / rate)

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (N, outputs) from vectors (N, inputs)."""
        scale = self.rate / math.sqrt(self.in_features)
        return F.linear(vectors, self.weight * scale, self.bias * self.rate)


class EqualisedConv(nn.Conv2d):
    """A convolution that keeps or halves the size, as :class:`EqualisedLinear`.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out.
        side: Of the kernel, 1 or 3.
        bias: Whether there are biases.
        down: Whether the maps are smoothed and halved.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int, bias: bool = True, down: bool = False
    ) -> None:
        super().__init__(inputs, outputs, side, bias=bias)
        self.smooth = Smoothing()
        self.down = down
        nn.init.normal_(self.weight)
        zero_bias(self)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, outputs, H, W), or of half the height and width."""
        side = self.kernel_size[0]
        weight = self.weight / math.sqrt(self.weight[0].numel())
        if not self.down:
            return F.conv2d(maps, weight, self.bias, padding=side // 2)
        if side == 1:
            return F.conv2d(self.smooth.shrink(maps), weight, self.bias)
        return F.conv2d(self.smooth(maps, 2), weight, self.bias, stride=2)


class Smoothing(nn.Module):
    """The filter (1, 3, 3, 1) in both directions, of sum one, and resampling with it."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(line, line)[None, None], persistent=False)

    def _for(self, maps: Tensor) -> Tensor:
        return self.kernel.to(maps.dtype).expand(maps.shape[1], 1, 4, 4)

    def forward(self, maps: Tensor, padding: int) -> Tensor:
        """Maps (N, C, H + 2 padding - 3, W + 2 padding - 3)."""
        return F.conv2d(maps, self._for(maps), padding=padding, groups=maps.shape[1])

    def shrink(self, maps: Tensor) -> Tensor:
        """Maps of half the height and width."""
        return F.conv2d(maps, self._for(maps), stride=2, padding=1, groups=maps.shape[1])

    def enlarge(self, maps: Tensor) -> Tensor:
        """Maps of twice the height and width."""
        kernel = 4 * self._for(maps)
        return F.conv_transpose2d(maps, kernel, stride=2, padding=1, groups=maps.shape[1])


class ModulatedConv(nn.Module):
    r"""A convolution whose weights are scaled by the style, and rescaled to unit norm.

    .. math:: w'_{ijk} = s_i w_{ijk}, \quad w''_{ijk} = w'_{ijk} \Big/
              \sqrt{\textstyle\sum_{i,k} {w'_{ijk}}^2 + 10^{-8}}

    (Karras et al. 2020, Eq. 1 and 3), with the scales :math:`s` affine in the style. Inputs are
    multiplied by them and outputs by the norms, which is the same as a kernel for each sample and
    cheaper to differentiate twice.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out.
        side: Height and width of the kernel, 1 or 3.
        style_dim: Length of a style.
        up: Whether the maps are doubled and smoothed.
        demodulate: Whether the weights are rescaled.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        style_dim: int,
        up: bool = False,
        demodulate: bool = True,
    ) -> None:
        super().__init__()
        self.scales = EqualisedLinear(style_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.smooth = Smoothing()
        self.up = up
        self.demodulate = demodulate

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Maps (N, outputs, H, W), or of twice the size, from maps and styles (N, style_dim)."""
        weight = self.weight / math.sqrt(self.weight[0].numel())
        scales = self.scales(style)
        maps = maps * scales[:, :, None, None]
        if self.up:
            maps = F.conv_transpose2d(maps, weight.transpose(0, 1), stride=2)
            maps = 4 * self.smooth(maps, 1)
        else:
            maps = F.conv2d(maps, weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            norms = scales.square() @ weight.square().sum(dim=(2, 3)).T
            maps = maps * (norms + 1e-8).rsqrt()[:, :, None, None]
        return maps


class StyledConv(nn.Module):
    """A modulated convolution, noise of learned strength, biases and an activation.

    Noise is drawn anew in training; in evaluation it is one fixed picture.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out.
        size: Height and width of the maps that go out.
        style_dim: Length of a style.
        up: Whether the maps are doubled.
    """

    noise: Tensor

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, int], style_dim: int, up: bool = False
    ) -> None:
        super().__init__()
        self.convolution = ModulatedConv(inputs, outputs, 3, style_dim, up)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise", torch.randn(size))

    def forward(self, maps: Tensor, style: Tensor, random: RandomStream | None = None) -> Tensor:
        """Maps (N, outputs, H, W) from maps and styles (N, style_dim)."""
        maps = self.convolution(maps, style)
        noise = layer_normal(maps, random, 1, *self.noise.shape) if self.training else self.noise
        return activate(maps + self.strength * noise.to(maps.dtype) + self.bias[:, None, None])


class ToImage(nn.Module):
    """A modulated 1 x 1 convolution to the channels of the image, without rescaling.

    Args:
        inputs: Feature maps that come in.
        channels: Channels of the image.
        style_dim: Length of a style.
    """

    def __init__(self, inputs: int, channels: int, style_dim: int) -> None:
        super().__init__()
        self.convolution = ModulatedConv(inputs, channels, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Images (N, channels, H, W), of any range, from maps and styles (N, style_dim)."""
        return self.convolution(maps, style) + self.bias[:, None, None]


class Mapping(nn.Module):
    """From latents, labels, or both, to styles (Karras et al. 2019, figure 1).

    Latents and the embeddings of labels are each brought to unit second moment and joined
    (Karras et al. 2020, StyleGAN2-ADA, appendix).

    Args:
        latent_dim: Length of a latent; 0 for labels alone.
        num_classes: Number of classes; 0 for latents alone.
        style_dim: Length of a style, and units of a hidden layer.
        depth: Number of layers.
        rate: Factor of the speed at which the layers learn.
    """

    def __init__(
        self, latent_dim: int, num_classes: int, style_dim: int, depth: int, rate: float = 0.01
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding = EqualisedLinear(num_classes, style_dim) if num_classes else None
        inputs = latent_dim + (style_dim if num_classes else 0)
        sides = [inputs, *[style_dim] * depth]
        self.layers = nn.ModuleList(EqualisedLinear(side, style_dim, rate) for side in sides[:-1])

    def forward(self, z: Tensor | None, labels: Tensor) -> Tensor:
        """Styles (N, style_dim) of latents (N, latent_dim) and class indices (N,)."""
        parts = [] if z is None else [of_unit_moment(z)]
        if self.embedding is not None:
            codes = F.one_hot(labels, self.num_classes).to(self.embedding.weight.dtype)
            parts.append(of_unit_moment(self.embedding(codes)))
        style = torch.cat(parts, dim=1)
        for layer in self.layers:
            style = activate(layer(style))
        return style
