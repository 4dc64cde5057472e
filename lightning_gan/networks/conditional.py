"""Norms whose gains and shifts depend on the class, or on a vector such as a latent or embedding.

Each takes maps (N, C, H, W) and a condition, standardises, and applies the condition's gains and
shifts. Gains are kept as deviations from one.
"""

from torch import Tensor, nn

from lightning_gan.networks.layers import maybe_spectral, zero_bias


def modulated(maps: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Maps (N, C, H, W) times one plus the gain, plus the shift, both (N, C)."""
    return maps * (1 + gain[:, :, None, None]) + shift[:, :, None, None]


class ClassBatchNorm(nn.Module):
    """Batch norm with gains and shifts of their own for each class (de Vries et al. 2017).

    Called with maps (N, C, H, W) and class indices (N,). All classes start with gain one and shift
    zero, so that it starts as plain batch norm. With one set for each class it is the layer of
    Dumoulin et al. (2017) and of the conditional SNGAN (Miyato & Koyama 2018).

    Args:
        maps: Feature maps, C.
        num_classes: Number of classes; 0 for plain batch norm, which ignores the labels.
    """

    def __init__(self, maps: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=num_classes == 0)
        self.gain = _of_classes(num_classes, maps)
        self.shift = _of_classes(num_classes, maps)

    def forward(self, maps: Tensor, labels: Tensor) -> Tensor:
        """Maps (N, C, H, W) of the same shape."""
        normed: Tensor = self.norm(maps)
        if self.gain is None or self.shift is None:
            return normed
        return modulated(normed, self.gain(labels), self.shift(labels))


def _of_classes(num_classes: int, maps: int) -> nn.Embedding | None:
    """Zeros of each class (num_classes, maps), or None without classes."""
    if num_classes == 0:
        return None
    zeros = nn.Embedding(num_classes, maps)
    nn.init.zeros_(zeros.weight)
    return zeros


class _ConditionalNorm(nn.Module):
    """A norm without gains and shifts of its own: a layer each makes them of the condition."""

    def __init__(
        self, norm: nn.Module, gain: nn.Linear, shift: nn.Linear, spectral_norm: bool
    ) -> None:
        super().__init__()
        self.norm = norm
        self.gain = maybe_spectral(gain, spectral_norm)
        self.shift = maybe_spectral(shift, spectral_norm)

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        """Maps (N, C, H, W) of the same shape."""
        return modulated(self.norm(maps), self.gain(condition), self.shift(condition))


class ConditionalBatchNorm(_ConditionalNorm):
    """Batch norm with gains and shifts that are linear in a vector (BigGAN, Brock et al. 2019).

    Called with maps (N, C, H, W) and conditions (N, condition_dim), for instance the shared
    embedding of the class joined by a part of the latent (appendix B of the paper). There are no
    biases: the gain is one plus a linear function of the condition, the shift a linear one.

    Args:
        maps: Feature maps, C.
        condition_dim: Length of a condition.
        spectral_norm: Whether both linear functions are spectrally normalised.
    """

    def __init__(self, maps: int, condition_dim: int, spectral_norm: bool = False) -> None:
        gain = nn.Linear(condition_dim, maps, bias=False)
        shift = nn.Linear(condition_dim, maps, bias=False)
        for layer in (gain, shift):
            nn.init.orthogonal_(layer.weight)
        super().__init__(nn.BatchNorm2d(maps, affine=False), gain, shift, spectral_norm)


class AdaptiveInstanceNorm(_ConditionalNorm):
    """Instance norm with gains and shifts that are affine in a vector (Huang & Belongie 2017).

    Called with maps (N, C, H, W) and conditions (N, condition_dim). Each map of each image is
    standardised by itself, so that images of a batch do not depend on each other.

    Args:
        maps: Feature maps, C, each of one mean and deviation for each image.
        condition_dim: Numbers in a condition.
        spectral_norm: Whether both affine functions are spectrally normalised.
    """

    def __init__(self, maps: int, condition_dim: int, spectral_norm: bool = False) -> None:
        gain, shift = nn.Linear(condition_dim, maps), nn.Linear(condition_dim, maps)
        for layer in (gain, shift):
            nn.init.xavier_uniform_(layer.weight)
            zero_bias(layer)
        super().__init__(nn.InstanceNorm2d(maps), gain, shift, spectral_norm)
