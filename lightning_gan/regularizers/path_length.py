"""The generator's style space should be as wide everywhere."""

import math
from typing import Any

import torch
from torch import Tensor

from lightning_gan.basics.precision import outside_autocast
from lightning_gan.errors import above, at_least, at_most, check_range, whole
from lightning_gan.regularizers.base import Penalty
from lightning_gan.training.schedule import Curve
from lightning_gan.training.step import Step


class PathLength(Penalty):
    r"""Steps of one length in style space should change images by one length.

    .. math:: \mathbb{E}_{w, y}\big(\lVert J_w^\top y\rVert_2 - a\big)^2, \quad
              y \sim \mathcal N(0, I / HW)

    with the norm over the mean of the layers' styles, and a the running mean of the lengths (Karras
    et al. 2020, Eq. 4 and appendix B). a is of all processes, logged, and goes on with a
    checkpoint; it is a constant to the gradient, where the authors' code lets through what the
    present lengths add to it (0.8 % of the gradient). For generators with styles, such as
    `StyleGAN2Generator`.

    Args:
        weight: Factor; the authors take 2.
        every: Interval in the generator's updates; the authors take 4. The term is multiplied by
            it.
        decay: Share of the present lengths in the new mean.
        one_in: Every so many samples of the batch take part, for memory; the authors take 2.

    Raises:
        ConfigurationError: If the generator has no styles, or a number is out of range.
    """

    differentiates_twice = True
    needs_styles = True
    generator_reads = ()
    logged = ("mean_length",)
    mean_length: Tensor

    def __init__(
        self, weight: float | Curve = 2.0, every: int = 4, decay: float = 0.01, one_in: int = 2
    ) -> None:
        super().__init__(weight, every)
        check_range(self, at_least(1), one_in=one_in)
        check_range(self, above(0), at_most(1), decay=decay)
        self.decay, self.one_in = decay, whole(self, "one_in", one_in)
        self.register_buffer("mean_length", torch.zeros(()))

    def generator_term(self, step: Step) -> Tensor:
        """The mean squared distance of the lengths from their running mean, which moves first."""
        lengths = self.lengths(step)
        # Of the rows at hand more or fewer may take part than of others, so that the mean over all
        # that do is not the mean of means; none at all is no mean.
        shard = step.random.shard
        rounds, rest = divmod(shard.total, shard.step * self.one_in)
        share = shard.total / shard.count / (rounds * shard.step + min(rest, shard.step))
        mean = step.mean(share * lengths.detach().sum()).to(self.mean_length.dtype)
        # Pieces move it together as far as the whole batch would.
        decay = self.decay if shard.step == 1 else 1 - (1 - self.decay) ** (1 / shard.step)
        self.mean_length.lerp_(mean, decay)
        return share * (lengths - self.mean_length).square().sum()

    def lengths(self, step: Step) -> Tensor:
        """How far images move for a step in the styles, along a random image (N,)."""
        # Counted over the global batch, so that any number of processes chooses the same samples;
        # where it is in pieces, in each of them.
        shard = step.random.shard
        chosen = slice(-(shard.first // shard.step) % self.one_in, None, self.one_in)
        random = step.random.subset(chosen)
        generator: Any = step.generator  # with styles, or it was refused
        with outside_autocast(step.z.device):
            styles = generator.styles(step.z[chosen], step.labels[chosen], random)
            images = generator.synthesise(styles, random)
            scale = (images.shape[2] * images.shape[3]) ** 0.5
            along = random.normal(*images.shape[1:]).to(images.dtype) / scale
            (gradient,) = torch.autograd.grad((images * along).sum(), styles, create_graph=True)
        # vector_norm has the subgradient 0 at 0, where the root of a sum of squares has NaN.
        lengths: Tensor = torch.linalg.vector_norm(gradient, dim=(1, 2))
        return lengths / math.sqrt(gradient.shape[1])
