"""Discriminators that look across the batch, so that samples which are all alike give it away."""

import math

import torch
from torch import Tensor, nn

from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError, at_least, check_range
from lightning_gan.networks.base import Discriminator, wide


def judged_together(discriminator: Discriminator) -> int:
    """Consecutive samples that a discriminator judges together: those of whole packs and groups."""
    groups = [part.group for part in discriminator.modules() if isinstance(part, MinibatchStd)]
    return int(discriminator.pack) * math.lcm(*groups)


class MinibatchStd(nn.Module):
    r"""Appends how much the samples of a group differ, as one more map or feature.

    .. math:: \frac{1}{CHW} \sum_{c,h,w} \sqrt{\mathrm{Var}_i\,x_{ichw} + 10^{-8}}

    with the biased variance over the group (progressive growing, Karras et al. 2018, section 3).
    Groups are consecutive samples, so that several processes make the groups that one would make.
    In evaluation a group is the largest divisor of the batch that is not above ``group``.

    Args:
        group: Samples in a group; the paper takes 4, and StyleGAN2-ADA 32 on CIFAR-10.

    Raises:
        ConfigurationError: If ``group`` is below 1, or in training if it does not divide the batch.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        check_range(self, at_least(1), group=group)
        self.group = group

    def forward(self, samples: Tensor) -> Tensor:
        """Maps (N, C + 1, H, W) from maps (N, C, H, W), or (N, F + 1) from features (N, F)."""
        group = self._group_of(len(samples))
        groups = wide(samples).reshape(-1, group, *samples.shape[1:])
        spread = (groups.var(dim=1, unbiased=False) + 1e-8).sqrt().flatten(1).mean(dim=1)
        spread = spread.to(samples.dtype).repeat_interleave(group)
        column = spread.view(-1, *[1] * (samples.ndim - 1))
        return torch.cat([samples, column.expand(-1, 1, *samples.shape[2:])], dim=1)

    def _group_of(self, count: int) -> int:
        """Samples in a group of a batch of ``count``."""
        if count % self.group == 0:
            return self.group
        if self.training:
            raise ConfigurationError(
                f"MinibatchStd compares groups of {self.group} samples, and a batch of {count} is "
                "no multiple of it: change the batch size, or drop the last, incomplete batch."
            )
        return max(size for size in range(1, self.group + 1) if count % size == 0)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"group={self.group}"


class MinibatchDiscrimination(Discriminator):
    r"""Adds to the features of a sample how close the other samples of its batch are.

    .. math:: M_i = T h_i, \quad o(i)_k = \sum_{j \ne i} \exp(-\lVert M_{ik} - M_{jk} \rVert_1)

    with :math:`h_i` the features of any other discriminator and :math:`M_i` of shape
    (kernels, dims); the features are (h, o(h)), and the head is a fresh one (Salimans et al. 2016,
    section 3.2, whose sum has the constant :math:`j = i` as well). The batch is that of all
    processes in training and the one at hand in evaluation, and the opinion of a sample depends on
    it. Memory grows with the square of the batch.

    The heads of the wrapped discriminator, ``head`` and ``projection``, are taken away.

    Args:
        discriminator: Where the features come from.
        kernels: Numbers added to the features.
        dims: Coordinates that samples are compared by, for each of the numbers.

    Raises:
        ConfigurationError: If ``kernels`` or ``dims`` is below 1, or the discriminator reconstructs
            or needs labels for its features.
    """

    def __init__(self, discriminator: Discriminator, kernels: int = 50, dims: int = 5) -> None:
        check_range(self, at_least(1), kernels=kernels, dims=dims)
        if discriminator.reconstructs or discriminator.num_features < 1:
            raise ConfigurationError(
                f"MinibatchDiscrimination replaces the head on the features of a discriminator, "
                f"and {type(discriminator).__name__} has none: take another one inside."
            )
        if any(getattr(module, "joins_labels", False) for module in discriminator.modules()):
            raise ConfigurationError(
                "MinibatchDiscrimination asks for features without labels: put LabelMaps around it "
                "instead of into it."
            )
        super().__init__(discriminator.channels, discriminator.size, discriminator.num_classes)
        for inner in discriminator.modules():
            if isinstance(inner, Discriminator):
                inner.head, inner.projection = nn.Identity(), None
        self.discriminator = discriminator
        self.pack = discriminator.pack
        self.channels_last_pays = discriminator.channels_last_pays
        self.bfloat16_pays = discriminator.bfloat16_pays
        self.kernels, self.dims = kernels, dims
        inputs = discriminator.num_features
        # The paper gives no law; with this one M is on the scale of the features.
        self.mix = nn.Parameter(torch.randn(inputs, kernels * dims) / inputs**0.5)
        self.add_head(inputs + kernels)

    def features(self, samples: Tensor) -> Tensor:
        """The features of the wrapped discriminator and the closeness (N, F + kernels)."""
        features = self.discriminator.features(samples)
        return torch.cat([features, self.closeness(features).to(features.dtype)], dim=1)

    def closeness(self, features: Tensor) -> Tensor:
        """How close the other samples are in each of the kernels (N, kernels), from 0 to B - 1."""
        own = (features @ self.mix).view(-1, self.kernels, self.dims)
        everyone = processes.gather(own) if self.training else own
        others = 1 - torch.eye(len(everyone), device=own.device, dtype=own.dtype)
        others = processes.own_rows(others) if self.training else others
        distances = (own[:, None] - everyone[None]).abs().sum(dim=3)
        return ((-distances).exp() * others[:, :, None]).sum(dim=1)
