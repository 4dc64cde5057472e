"""Self-attention over the places of a map (SAGAN, Zhang et al. 2019)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.errors import ConfigurationError, name_of
from lightning_gan.networks.layers import maybe_spectral


class SelfAttention(nn.Module):
    r"""Lets every place of a map look at every other, and adds what it saw.

    .. math:: y_j = x_j + \gamma\, W_v \sum_i \beta_{j,i}\, W_h x_i, \qquad
        \beta_{j,\cdot} = \mathrm{softmax}_i\big((W_f x_i)^\top W_g x_j\big)

    (Zhang et al. 2019, Eqs. 1 to 3). The factor :math:`\gamma` is learned and starts at zero, so
    that the layer starts as the identity. Keys and values are max-pooled over squares of two
    places, as in the authors' code, which makes the weights (HW, HW / 4); the convolutions have no
    bias, as there.

    Args:
        maps: Feature maps that come in and go out, C; queries and keys have C / 8, values C / 2,
            at least one each.
        spectral_norm: Whether the four 1x1 convolutions are spectrally normalised, as in the paper.
    """

    def __init__(self, maps: int, spectral_norm: bool = False) -> None:
        super().__init__()
        keys, values = max(maps // 8, 1), max(maps // 2, 1)
        self.query = _pointwise(maps, keys, spectral_norm)
        self.key = _pointwise(maps, keys, spectral_norm)
        self.value = _pointwise(maps, values, spectral_norm)
        self.out = _pointwise(values, maps, spectral_norm)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) of the same shape."""
        query = self.query(maps).flatten(2)
        # An odd last row or column stays.
        key = F.max_pool2d(self.key(maps), 2, ceil_mode=True).flatten(2)
        value = F.max_pool2d(self.value(maps), 2, ceil_mode=True).flatten(2)
        # Plain products: fused attention has no double backward, which gradient penalties need.
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=2)
        seen = (value @ weights.transpose(1, 2)).reshape(maps.shape[0], -1, *maps.shape[2:])
        return maps + self.gamma * self.out(seen)


def _pointwise(inputs: int, outputs: int, spectral: bool) -> nn.Module:
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return maybe_spectral(layer, spectral)


def attention_at(
    network: object, attention: int, sides: Sequence[int], widths: Sequence[int], spectral: bool
) -> tuple[int | None, nn.Module]:
    """The first block whose map has ``attention`` pixels, and the self-attention that follows it.

    Args:
        network: The network, for the error.
        attention: Pixels on the shorter side of the map; 0 for none: then there is no such block.
        sides: Pixels on the shorter side of the map behind each block.
        widths: Feature maps behind each block.
        spectral: Whether the convolutions are spectrally normalised.

    Raises:
        ConfigurationError: If no map has this side.
    """
    if attention == 0:
        return None, nn.Identity()
    if attention not in sides:
        raise ConfigurationError(
            f"{name_of(network)}: attention={attention} is no side of a map: the blocks end in "
            f"maps of {', '.join(map(str, dict.fromkeys(sides)))} pixels on the shorter side; 0 "
            "leaves attention out."
        )
    place = sides.index(attention)
    return place, SelfAttention(widths[place], spectral)
