"""Codes in the latent that can be found again in the sample."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.regularizers.base import AuxiliaryTask
from lightning_gan.training.latents import CodePrior, Prior
from lightning_gan.training.schedule import Curve, times
from lightning_gan.training.step import Step


class InfoGAN(AuxiliaryTask):
    r"""Both players make the codes of a latent readable from the sample (InfoGAN).

    .. math:: L_{D,Q},\, L_G \mathrel{+}= -\lambda\,\mathbb{E}\,\log Q(c \mid G(z, c))

    (Chen et al. 2016, Eq. 6): cross-entropy for categories, and for continuous codes the negative
    log-likelihood of a normal distribution. Q shares the discriminator's features and learns with
    it. The codes are those of the model's prior, which must be a `CodePrior`.

    Args:
        weight: Lambda of categories; the paper takes 1.
        continuous_weight: Lambda of continuous codes, relative to the other; the paper's is
            smaller, 0.1 for MNIST.
        learned_variance: Whether Q gives a variance too; otherwise it is 1.

    Raises:
        ConfigurationError: If the prior has no codes.
    """

    needs_codes = True

    def __init__(
        self,
        weight: float | Curve = 1.0,
        continuous_weight: float | Curve = 0.1,
        learned_variance: bool = True,
    ) -> None:
        super().__init__(weight)
        self.continuous_weight = continuous_weight
        self.learned_variance = learned_variance
        self.prior: CodePrior | None = None
        self.recognition: nn.Module = nn.Identity()

    def attach(self, generator: Generator, discriminator: Discriminator, prior: Prior) -> None:
        """Makes Q for the codes of the prior, on the features of the discriminator."""
        if not isinstance(prior, CodePrior):
            return
        self.prior = prior
        outputs = sum(prior.categories) + prior.continuous * (2 if self.learned_variance else 1)
        features = discriminator.num_features
        width = min(features, 128)
        self.recognition = nn.Sequential(
            nn.Linear(features, width), nn.LeakyReLU(0.1), nn.Linear(width, outputs)
        )

    def discriminator_term(self, step: Step) -> Tensor:
        """How badly Q reads the codes: it learns to, and the generator to make them readable."""
        assert self.prior is not None
        categories, continuous = self.prior.codes(step.z)
        found = self.recognition(step.fake_features)
        term: Tensor = found.new_zeros(())
        for code in categories:
            guess, found = found[:, : code.shape[1]], found[:, code.shape[1] :]
            term = term + cross_entropy(guess, code.argmax(dim=1))
        if self.prior.continuous:
            mean = found[:, : self.prior.continuous]
            variance = torch.ones_like(mean)
            if self.learned_variance:
                variance = found[:, self.prior.continuous :].exp()
            # summed over codes: the likelihood of all of them
            likelihood = _normal_likelihood(mean, variance, continuous)
            weight = step.value_of(self.continuous_weight)
            term = term + times(weight, likelihood) * self.prior.continuous
        return term

    generator_term = discriminator_term


def _normal_likelihood(mean: Tensor, variance: Tensor, value: Tensor) -> Tensor:
    """Mean negative log-likelihood of numbers (N, C), as torch's ``gaussian_nll_loss`` has it."""
    # Torch's looks for negative variances first, which waits for the device and is not traced.
    # As there, the gradient of one that is too small passes on.
    variance = variance + (variance.clamp(min=1e-6) - variance).detach()
    distance = variance.log() + (mean - value) ** 2 / variance
    return (0.5 * distance + 0.5 * math.log(2 * math.pi)).mean()
