r"""Relativistic objectives (Jolicoeur-Martineau 2018): only differences of logits matter.

Notation: :math:`r = D(x)` and :math:`f = D(G(z))` are logits, and
:math:`\mathrm{sp}(t) = \log(1 + e^t)` is the softplus.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lightning_gan.errors import ConfigurationError
from lightning_gan.objectives.base import Objective
from lightning_gan.training.step import Step


def _logistic(margin: Tensor) -> Tensor:
    return softplus(-margin)


def _squared(margin: Tensor) -> Tensor:
    return (margin - 1).square()


def _hinge(margin: Tensor) -> Tensor:
    return torch.relu(1 - margin)


class _Pairing(Objective):
    """Each real is scored against the fake of its pair; ``loss`` judges by how much it wins.

    Raises:
        ConfigurationError: If there are not as many fakes as reals.
    """

    paired = True
    generator_reads = ("real", "fake")

    def loss(self, margin: Tensor) -> Tensor:
        """What a margin costs (N,): the more it falls behind, the more."""
        raise NotImplementedError

    def _leads(self, step: Step) -> Tensor:
        """How far each real leads its fake (N,)."""
        real, fake = step.real_logits, step.fake_logits
        if len(real) != len(fake):
            raise ConfigurationError(
                f"{type(self).__name__} compares each real with a fake of its own, and there are "
                f"{len(real)} reals and {len(fake)} fakes: make as many fakes as reals."
            )
        return real - fake

    def discriminator_loss(self, step: Step) -> Tensor:
        """The mean cost of r - f, pair by pair."""
        return self.loss(self._leads(step)).mean()

    def generator_loss(self, step: Step) -> Tensor:
        """The mean cost of f - r, pair by pair."""
        return self.loss(-self._leads(step)).mean()


class RelativisticPairing(_Pairing):
    r"""Each real is scored against the fake of its pair (RpGAN, the loss of R3GAN).

    .. math:: L_D = \mathbb{E}\,\mathrm{sp}(-(r_i - f_i)), \quad
              L_G = \mathbb{E}\,\mathrm{sp}(-(f_i - r_i))

    (Jolicoeur-Martineau 2018; Huang et al. 2024, Eq. 2, in the non-saturating form of its code).
    Only differences matter. It wants `R1` and `R2` together: with R1 alone it diverges.
    """

    loss = staticmethod(_logistic)

    def probability(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """The probability that the real of a pair is the real one, and its complement."""
        real = (real_logits - fake_logits).sigmoid()
        return real, 1 - real


class RelativisticPairingLeastSquares(_Pairing):
    r"""Pulls the lead of each real over its fake to one by squares (Rp-LS).

    .. math:: L_D = \mathbb{E}(r_i - f_i - 1)^2, \quad L_G = \mathbb{E}(f_i - r_i - 1)^2

    (Jolicoeur-Martineau 2018, section 4, with the loss of LSGAN.)
    """

    loss = staticmethod(_squared)


class RelativisticPairingHinge(_Pairing):
    r"""Wants each real to lead its fake by one (Rp-hinge).

    .. math:: L_D = \mathbb{E}[1 - (r_i - f_i)]_+, \quad L_G = \mathbb{E}[1 - (f_i - r_i)]_+

    (Jolicoeur-Martineau 2018, section 4, with the hinge loss.)
    """

    loss = staticmethod(_hinge)


class _Average(Objective):
    """Each sample is scored against the mean of the other kind, over the whole batch.

    The means stay in the graph and are of all processes.
    """

    looks_across = True
    generator_reads = ("real", "fake")

    def loss(self, margin: Tensor) -> Tensor:
        """What a margin costs (N,): the more it falls behind, the more."""
        raise NotImplementedError

    def _leads(self, step: Step) -> tuple[Tensor, Tensor]:
        """How far reals lead the mean fake, and fakes the mean real."""
        real, fake = step.real_logits, step.fake_logits
        mean_real, mean_fake = step.gather(real).mean(), step.gather(fake).mean()
        return real - mean_fake, fake - mean_real

    def discriminator_loss(self, step: Step) -> Tensor:
        """Half the mean costs of reals that do not lead and of fakes that do."""
        real, fake = self._leads(step)
        return (self.loss(real).mean() + self.loss(-fake).mean()) / 2

    def generator_loss(self, step: Step) -> Tensor:
        """The same with reals and fakes exchanged."""
        real, fake = self._leads(step)
        return (self.loss(-real).mean() + self.loss(fake).mean()) / 2


class RelativisticAverage(_Average):
    r"""Each sample is scored against the mean of the other kind (RaGAN).

    .. math:: L_D = \tfrac12\big\{\mathbb{E}\,\mathrm{sp}(-(r-\bar f))
              + \mathbb{E}\,\mathrm{sp}(f-\bar r)\big\}, \quad
              L_G = \tfrac12\big\{\mathbb{E}\,\mathrm{sp}(r-\bar f)
              + \mathbb{E}\,\mathrm{sp}(-(f-\bar r))\big\}

    (Jolicoeur-Martineau 2018, section 4.2; the factor 1/2 is of the author's code.) The means are
    of the whole batch, over all processes, and gradients pass through them.
    """

    loss = staticmethod(_logistic)

    def probability(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """The probability of being more real than the mean of the other kind."""
        real = (real_logits - fake_logits.mean()).sigmoid()
        return real, (fake_logits - real_logits.mean()).sigmoid()


class RelativisticAverageLeastSquares(_Average):
    r"""Pulls the lead over the mean of the other kind to one by squares (RaLSGAN).

    .. math:: L_D = \tfrac12\big\{\mathbb{E}(r-\bar f-1)^2 + \mathbb{E}(f-\bar r+1)^2\big\}

    and the generator's with reals and fakes exchanged (Jolicoeur-Martineau 2018, appendix; the
    factor 1/2 is of the author's code).
    """

    loss = staticmethod(_squared)


class RelativisticAverageHinge(_Average):
    r"""Wants reals to lead the mean fake by one, and fakes to trail the mean real (RaHinge).

    .. math:: L_D = \tfrac12\big\{\mathbb{E}[1-(r-\bar f)]_+ + \mathbb{E}[1+(f-\bar r)]_+\big\}

    and the generator's with reals and fakes exchanged (Jolicoeur-Martineau 2018, appendix; the
    factor 1/2 is of the author's code).
    """

    loss = staticmethod(_hinge)
