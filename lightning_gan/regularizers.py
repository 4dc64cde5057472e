"""Penalties and constraints on the players.

A gradient penalty takes one norm per sample over all its dimensions, and the mean over the batch
last. It joins the player's loss, so that one backward pass and one optimizer step serve both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from lightning_gan.batch import ScoredBatch
from lightning_gan.curves import Curve, value_at
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks.base import Discriminator
from lightning_gan.networks.layers import has_batch_norm, has_spectral_norm
from lightning_gan.parts import Part


class Regularizer(Part):
    """A term added to the loss of either player, or a constraint after its step.

    A subclass overrides at least one of :meth:`discriminator_term`, :meth:`generator_term` and
    :meth:`constrain`.

    Args:
        weight: Factor of the term; a curve moves it with the images seen.
        every: Interval in the player's own updates; the term is multiplied by it, so that the
            mean gradient stays the same (lazy regularization, Karras et al. 2020, section 3.1).

    Raises:
        ConfigurationError: If ``every`` is not positive, or the weight is negative.
    """

    differentiates: ClassVar[tuple[str, ...]] = ()
    """Which inputs ("real", "fake") the term takes the logits' gradient by."""

    bounds_slope: ClassVar[bool] = False
    """Whether it keeps the discriminator's slope bounded, as a Wasserstein critic needs."""

    def __init__(self, weight: float | Curve = 1.0, every: int = 1) -> None:
        hooks = ("discriminator_term", "generator_term", "constrain")
        if all(getattr(type(self), hook) is getattr(Regularizer, hook) for hook in hooks):
            raise TypeError(f"{type(self).__name__} must define one of {', '.join(hooks)}.")
        if every < 1:
            raise ConfigurationError(f"{type(self).__name__}: every={every} must be at least 1.")
        if isinstance(weight, (int, float)) and weight < 0:
            raise ConfigurationError(f"{type(self).__name__}: weight={weight} is negative.")
        self.weight = weight
        self.every = every

    def check(self, discriminator: Discriminator, others: Sequence[Regularizer]) -> None:
        """Refuses, with a ConfigurationError, a discriminator or companion it cannot live with."""

    def is_due(self, update: int) -> bool:
        """Whether the term joins the player's update number ``update``."""
        return update % self.every == 0

    def factor(self, images_seen: int) -> float:
        """What the bare term is multiplied by, the interval included."""
        return value_at(self.weight, images_seen) * self.every

    def discriminator_term(self, batch: ScoredBatch) -> Tensor | None:
        """The bare term of the discriminator's loss, a scalar; None where there is none."""
        return None

    def generator_term(self, batch: ScoredBatch) -> Tensor | None:
        """The bare term of the generator's loss, a scalar; None where there is none."""
        return None

    def constrain(self, discriminator: Discriminator) -> None:
        """Changes the discriminator in place after its step."""


def sample_gradients(logits: Tensor, samples: Tensor) -> Tensor:
    """Gradient of each logit by its own sample, flattened to (N, D), itself differentiable."""
    (gradient,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return gradient.flatten(1)


class _SlopePenalty(Regularizer):
    """A penalty on the discriminator's slope; it is per sample and so refuses batch norm."""

    def check(self, discriminator: Discriminator, others: Sequence[Regularizer]) -> None:
        """Refuses batch norm in the discriminator."""
        if has_batch_norm(discriminator):
            raise ConfigurationError(
                f"{type(self).__name__} penalises the slope of each sample, but batch norm in "
                f"{type(discriminator).__name__} mixes the samples of a batch: set its "
                "batch_norm to false."
            )


class GradientPenalty(_SlopePenalty):
    r"""Pulls the slope of the discriminator between reals and fakes towards one.

    .. math:: \mathbb{E}_{\hat x}\big[(\lVert \nabla_{\hat x} D(\hat x)\rVert_2 - 1)^2\big]

    with :math:`\hat x` uniform on the segment between a real and a fake sample, drawn per pair
    (WGAN-GP, Gulrajani et al. 2017, Eq. 3). The one-sided form :math:`[\lVert\cdot\rVert - 1]_+^2`
    is WGAN-LP's (Petzka et al. 2018, Eq. 8).

    Args:
        weight: Factor of the penalty; the paper takes 10.
        every: Interval in the discriminator's updates; the penalty is multiplied by it.
        one_sided: Whether slopes below one go free.

    Raises:
        ConfigurationError: If the discriminator holds batch norm: the penalty is per sample.
    """

    bounds_slope = True

    def __init__(
        self, weight: float | Curve = 10.0, every: int = 1, one_sided: bool = False
    ) -> None:
        super().__init__(weight, every)
        self.one_sided = one_sided

    def discriminator_term(self, batch: ScoredBatch) -> Tensor:
        """Mean squared excess of the slope over one, at points between reals and fakes."""
        real, fake = batch.real.detach(), batch.fake.detach()
        alpha = batch.draws.uniform(*(1 for _ in real.shape[1:]))
        between = torch.lerp(fake, real, alpha).requires_grad_()
        gradients = sample_gradients(batch.precise_logits(between), between)
        # vector_norm has the subgradient 0 at 0, where the root of a sum of squares has NaN.
        excess = torch.linalg.vector_norm(gradients, dim=1) - 1
        return (torch.relu(excess) if self.one_sided else excess).square().mean()


class R1(_SlopePenalty):
    r"""Flattens the discriminator at the reals.

    .. math:: \tfrac12\,\mathbb{E}_{x}\lVert \nabla_x D(x)\rVert^2

    (Mescheder et al. 2018, Eq. 9), so that ``weight`` is the papers' gamma. It has units: gamma
    scales with the number of pixels, and here images lie in [-1, 1]. Before the augmentation, the
    gradient is taken by the sample itself.

    Args:
        weight: Gamma, the factor of the penalty.
        every: Interval in the discriminator's updates; the penalty is multiplied by it.

    Raises:
        ConfigurationError: If the discriminator holds batch norm: the penalty is per sample.
    """

    differentiates = ("real",)
    bounds_slope = True

    def discriminator_term(self, batch: ScoredBatch) -> Tensor:
        """Half the mean squared slope at the reals."""
        return sample_gradients(batch.real_logits, batch.real).square().sum(dim=1).mean() / 2


class R2(_SlopePenalty):
    r"""Flattens the discriminator at the fakes.

    .. math:: \tfrac12\,\mathbb{E}_{z}\lVert \nabla_{\tilde x} D(\tilde x)\rVert^2,
              \quad \tilde x = G(z)

    (Mescheder et al. 2018, Eq. 10), on detached fakes. Relativistic pairing needs it beside R1.

    Args:
        weight: Gamma, the factor of the penalty.
        every: Interval in the discriminator's updates; the penalty is multiplied by it.

    Raises:
        ConfigurationError: If the discriminator holds batch norm: the penalty is per sample.
    """

    differentiates = ("fake",)
    bounds_slope = True

    def discriminator_term(self, batch: ScoredBatch) -> Tensor:
        """Half the mean squared slope at the fakes."""
        return sample_gradients(batch.fake_logits, batch.fake).square().sum(dim=1).mean() / 2


class WeightClipping(Regularizer):
    """Clips the critic's weights after each of its steps (Arjovsky et al. 2017, Algorithm 1).

    Scales and shifts of normalisation layers are left alone: clipping them would scale the data,
    not bound a slope.

    Args:
        bound: Largest absolute value of a weight; the paper takes 0.01.

    Raises:
        ConfigurationError: If the bound is not positive, or with spectral normalisation, which
            rescales the clipped weights.
    """

    bounds_slope = True

    def __init__(self, bound: float = 0.01) -> None:
        super().__init__()
        if bound <= 0:
            raise ConfigurationError(f"WeightClipping: bound={bound} must be positive.")
        self.bound = bound

    def check(self, discriminator: Discriminator, others: Sequence[Regularizer]) -> None:
        """Refuses spectral normalisation."""
        if has_spectral_norm(discriminator):
            raise ConfigurationError(
                "WeightClipping does nothing under spectral normalisation, which rescales the "
                "clipped weights: use one of the two."
            )

    @torch.no_grad()
    def constrain(self, discriminator: Discriminator) -> None:
        """Clips every weight outside normalisation layers to [-bound, bound]."""
        norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
        for module in discriminator.modules():
            if not isinstance(module, norms):
                for parameter in module.parameters(recurse=False):
                    parameter.clamp_(-self.bound, self.bound)
