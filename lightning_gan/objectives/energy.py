r"""Objectives whose discriminator is an autoencoder: its error is low for reals.

The logits are minus the error, so that real is high as everywhere: with :math:`\mathcal L(v)` the
error of a reconstruction, :math:`r = -\mathcal L(x)` and :math:`f = -\mathcal L(G(z))`.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError, above, at_least, at_most, check_range
from lightning_gan.objectives.base import Objective
from lightning_gan.training.step import Step


class BEGAN(Objective):
    r"""Holds the generator's error at a set share of the data's (boundary equilibrium GAN).

    .. math:: L_D = \mathcal L(x) - k_t \mathcal L(G(z)), \quad L_G = \mathcal L(G(z)), \quad
              k_{t+1} = k_t + \lambda_k(\gamma\mathcal L(x) - \mathcal L(G(z)))

    with k kept in [0, 1] (Berthelot et al. 2017, Eq. 5, section 3.3). The discriminator is an
    `AutoencoderDiscriminator`. ``state/BEGAN.k`` and the paper's measure of convergence,
    :math:`\mathcal L(x) + |\gamma\mathcal L(x) - \mathcal L(G(z))|`, are logged; k is of all
    processes and goes on with a checkpoint.

    Args:
        gamma: Diversity ratio, the share of the data's error that the generator's is held at;
            the paper takes 0.3 to 0.7.
        k_rate: Proportional gain of k, the paper's lambda_k.

    Raises:
        ConfigurationError: If gamma is outside (0, 1] or the rate is not positive.
    """

    discriminator_reads = ("fake", "real")
    wants_reconstruction = True
    logged = ("k", "convergence")
    k: Tensor
    convergence: Tensor

    def __init__(self, gamma: float = 0.5, k_rate: float = 1e-3) -> None:
        super().__init__()
        check_range(self, above(0), at_most(1), gamma=gamma)
        check_range(self, above(0), k_rate=k_rate)
        self.gamma, self.k_rate = gamma, k_rate
        self.register_buffer("k", torch.zeros(()))
        self.register_buffer("convergence", torch.zeros(()))

    def discriminator_loss(self, step: Step) -> Tensor:
        """L(x) - k L(G(z))."""
        return self.k * step.fake_logits.mean() - step.real_logits.mean()

    def generator_loss(self, step: Step) -> Tensor:
        """L(G(z))."""
        return -step.fake_logits.mean()

    @torch.no_grad()
    def observe(self, real_logits: Tensor, fake_logits: Tensor) -> None:
        """Moves k towards the equilibrium, by the errors on all processes."""
        means = torch.stack([real_logits.mean(), fake_logits.mean()])
        real, fake = -processes.mean(means.to(self.k.dtype))
        imbalance = self.gamma * real - fake
        self.k.add_(self.k_rate * imbalance).clamp_(0, 1)
        self.convergence.copy_(real + imbalance.abs())


def pull_away(codes: Tensor) -> Tensor:
    r"""How alike codes (N, F) of different samples are: their mean squared cosine, in [0, 1].

    .. math:: \frac{1}{N(N-1)}\sum_{i\ne j}
              \Big(\frac{s_i^\top s_j}{\lVert s_i\rVert\lVert s_j\rVert}\Big)^2

    (Zhao et al. 2017, Eq. 4.)
    """
    directions = normalize(codes, dim=1)
    with torch.autocast(codes.device.type, enabled=False):  # a loss keeps its precision
        cosines = directions @ directions.T
    count = len(codes)
    # The diagonal is the first of each row of n + 1 numbers, behind the very first one.
    others = cosines.flatten()[1:].view(count - 1, count + 1)[:, :-1].flatten()
    return others.square().sum() / (count * (count - 1))


class EBGAN(Objective):
    r"""Pushes the error of generated samples up to a margin (energy-based GAN).

    .. math:: L_D = \mathbb{E}\,\mathcal L(x) + \mathbb{E}[m - \mathcal L(G(z))]_+, \quad
              L_G = \mathbb{E}\,\mathcal L(G(z)) + \lambda\,\mathrm{PT}

    with PT the pull-away term on the codes of generated samples (Zhao et al. 2017, Eq. 1, 2 and 4),
    over all processes. The discriminator is an autoencoder.

    Args:
        margin: m, on the scale of the reconstruction's error.
        pull_away: Factor of the pull-away term; the paper takes 0.1, and 0 leaves it out.

    Raises:
        ConfigurationError: If the margin is not positive or the factor is negative.
    """

    discriminator_reads = ("fake", "real")
    wants_reconstruction = True
    per_sample = True

    def __init__(self, margin: float = 1.0, pull_away: float = 0.1) -> None:
        super().__init__()
        check_range(self, above(0), margin=margin)
        check_range(self, at_least(0), pull_away=pull_away)
        self.margin, self.pull_away = margin, pull_away
        self.looks_across = pull_away > 0

    def discriminator_loss(self, step: Step) -> Tensor:
        """The error of reals, and what the error of fakes lacks to the margin."""
        return torch.relu(self.margin + step.fake_logits).mean() - step.real_logits.mean()

    def generator_loss(self, step: Step) -> Tensor:
        """The error of fakes, and how alike their codes are."""
        error = -step.fake_logits.mean()
        if self.pull_away == 0:
            return error
        codes = step.gather(step.fake_features)
        if len(codes) < 2:
            raise ConfigurationError("EBGAN compares samples: take batches of at least 2.")
        return error + self.pull_away * pull_away(codes)
