r"""The objectives that score each sample by itself.

Notation: :math:`r = D(x)` and :math:`f = D(G(z))` are logits, real is high, and
:math:`\mathrm{sp}(t) = \log(1 + e^t)` is the softplus.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lightning_gan.errors import ConfigurationError, above, at_most, check_range
from lightning_gan.objectives.base import Objective
from lightning_gan.training.step import Step


class _Logistic(Objective):
    """The discriminator as a binary classifier; see the subclasses for the generator.

    Args:
        real_label: Target for real images, in (0.5, 1]. Below 1 it is one-sided label smoothing
            (Salimans et al. 2016, section 3.4, with 0.9); the target for fakes stays 0.

    Raises:
        ConfigurationError: If the target is outside (0.5, 1].
    """

    def __init__(self, real_label: float = 1.0) -> None:
        super().__init__()
        check_range(self, above(0.5), at_most(1), real_label=real_label)
        self.real_label = real_label

    @property
    def has_sign(self) -> bool:
        """A logit above 0 is a probability above 1/2; not of smoothed labels."""
        return self.real_label == 1

    def discriminator_loss(self, step: Step) -> Tensor:
        """E[s sp(-r) + (1 - s) sp(r)] + E sp(f), with s the target for reals."""
        real = softplus(-step.real_logits)
        if self.real_label < 1:
            real = self.real_label * real + (1 - self.real_label) * softplus(step.real_logits)
        return real.mean() + softplus(step.fake_logits).mean()

    def probability(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """The sigmoid of each logit, divided by the target for reals and at most 1.

        For the best discriminator that is p / (p + q), of the densities of reals and fakes, as
        without label smoothing, under which its sigmoid is smaller by that target.
        """
        real, fake = real_logits.sigmoid(), fake_logits.sigmoid()
        if self.real_label == 1:
            return real, fake
        return (real / self.real_label).clamp(max=1), (fake / self.real_label).clamp(max=1)


class Minimax(_Logistic):
    r"""The original game, whose generator loss saturates once the discriminator wins.

    .. math:: L_D = \mathbb{E}\,\mathrm{sp}(-r) + \mathbb{E}\,\mathrm{sp}(f), \quad
              L_G = -\mathbb{E}\,\mathrm{sp}(f)

    (Goodfellow et al. 2014, Eq. 1). At f = -10 the generator's gradient is 4.5e-5 per sample where
    the non-saturating form has 1.

    Args:
        real_label: Target for real images, in (0.5, 1]; 0.9 is one-sided label smoothing.
    """

    def generator_loss(self, step: Step) -> Tensor:
        """-E sp(f)."""
        return -softplus(step.fake_logits).mean()


class NonSaturating(_Logistic):
    r"""The game in the form that trains: the generator maximises log D(G(z)).

    .. math:: L_D = \mathbb{E}\,\mathrm{sp}(-r) + \mathbb{E}\,\mathrm{sp}(f), \quad
              L_G = \mathbb{E}\,\mathrm{sp}(-f)

    (Goodfellow et al. 2014, section 3; "logistic" in StyleGAN).

    Args:
        real_label: Target for real images, in (0.5, 1]; 0.9 is one-sided label smoothing.
    """

    def generator_loss(self, step: Step) -> Tensor:
        """E sp(-f)."""
        return softplus(-step.fake_logits).mean()


class LeastSquares(Objective):
    r"""Pulls logits to targets by squares instead of classifying (LSGAN).

    .. math:: L_D = \tfrac12\mathbb{E}(r-b)^2 + \tfrac12\mathbb{E}(f-a)^2, \quad
              L_G = \tfrac12\mathbb{E}(f-c)^2

    (Mao et al. 2017, Eq. 2). With (a, b, c) = (-1, 1, 0) it minimises a Pearson chi-squared
    divergence; the default (0, 1, 1) is the paper's other choice.

    Args:
        a: Target of the discriminator for fakes.
        b: Target of the discriminator for reals; change it instead of smoothing labels.
        c: Target of the generator for fakes.

    Raises:
        ConfigurationError: If a and b are equal.
    """

    def __init__(self, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> None:
        super().__init__()
        if a == b:
            raise ConfigurationError(
                f"LeastSquares: a and b are both {a}, so reals and fakes have the same target; "
                "take for instance a=0 and b=1."
            )
        self.a, self.b, self.c = a, b, c

    @property
    def has_sign(self) -> bool:
        """Whether zero lies half-way between the two targets, and that of reals above it."""
        return -self.a == self.b > 0

    def discriminator_loss(self, step: Step) -> Tensor:
        """Half the mean square distance of reals from b and of fakes from a."""
        real = (step.real_logits - self.b).square().mean()
        return (real + (step.fake_logits - self.a).square().mean()) / 2

    def generator_loss(self, step: Step) -> Tensor:
        """Half the mean square distance of fakes from c."""
        return (step.fake_logits - self.c).square().mean() / 2

    def probability(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """The logit itself on the scale from a to b, which estimates p_data / (p_data + p_G)."""
        span = self.b - self.a
        real, fake = (real_logits - self.a) / span, (fake_logits - self.a) / span
        return real.clamp(0, 1), fake.clamp(0, 1)


class Wasserstein(Objective):
    r"""The critic estimates the earth mover's distance between data and generator.

    .. math:: L_D = \mathbb{E} f - \mathbb{E} r, \quad L_G = -\mathbb{E} f

    (Arjovsky et al. 2017, Eq. 2 and 3). It needs a critic of bounded slope: `WeightClipping` as in
    that paper, a `GradientPenalty` (WGAN-GP), or spectral normalisation.
    """

    discriminator_reads = ("fake", "real")
    needs_lipschitz = True
    unbounded = True

    def discriminator_loss(self, step: Step) -> Tensor:
        """E f - E r."""
        return step.fake_logits.mean() - step.real_logits.mean()

    def generator_loss(self, step: Step) -> Tensor:
        """-E f."""
        return -step.fake_logits.mean()


class Hinge(Objective):
    r"""A margin between reals and fakes; scores beyond the margin teach nothing more.

    .. math:: L_D = \mathbb{E}[1-r]_+ + \mathbb{E}[1+f]_+, \quad L_G = -\mathbb{E} f

    (Lim & Ye 2017; Miyato et al. 2018, Eq. 16 and 17). There is no hinge for the generator.
    """

    unbounded = True

    @property
    def has_sign(self) -> bool:
        """Zero is the middle of the margin."""
        return True

    def discriminator_loss(self, step: Step) -> Tensor:
        """E max(0, 1 - r) + E max(0, 1 + f)."""
        return torch.relu(1 - step.real_logits).mean() + torch.relu(1 + step.fake_logits).mean()

    def generator_loss(self, step: Step) -> Tensor:
        """-E f."""
        return -step.fake_logits.mean()
