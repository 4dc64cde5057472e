"""Penalties on averages: of logits, of features, of weights."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError, at_least, below, check_range
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.regularizers.base import Penalty
from lightning_gan.training.latents import Prior
from lightning_gan.training.schedule import PLAYERS, Curve
from lightning_gan.training.step import Step


class LeCam(Penalty):
    r"""Holds logits near the running average of the other kind (for few data).

    .. math:: \mathbb{E}(r - \alpha_F)^2 + \mathbb{E}(f - \alpha_R)^2

    with :math:`\alpha_R, \alpha_F` running averages of the mean logits of reals and fakes (Tseng et
    al. 2021, Eq. 4), of all processes; they go on with a checkpoint. As in the authors' code the
    averages move with the present logits before the term is taken, without a gradient.

    Args:
        weight: Factor; the authors' BigGAN takes 0.3 on CIFAR-10.
        decay: Of the averages, for each update of the discriminator.
        start: Updates of the discriminator before the term begins; until then the averages follow
            the batch.
        one_sided: Whether only logits beyond the other average count, as in the authors' code:
            :math:`\mathbb{E}[r - \alpha_F]_+^2 + \mathbb{E}[\alpha_R - f]_+^2`.

    Raises:
        ConfigurationError: If the decay is outside [0, 1) or the start is negative.
    """

    logged = ("mean_real", "mean_fake")
    looks_across = True
    anchors_logits = True
    mean_real: Tensor
    mean_fake: Tensor
    updates: Tensor

    def __init__(
        self,
        weight: float | Curve = 0.3,
        decay: float = 0.99,
        start: int = 1000,
        one_sided: bool = False,
    ) -> None:
        super().__init__(weight)
        check_range(self, at_least(0), below(1), decay=decay)
        check_range(self, at_least(0), start=start)
        self.decay, self.start, self.one_sided = decay, start, one_sided
        for name in ("mean_real", "mean_fake"):
            self.register_buffer(name, torch.zeros(()))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    def discriminator_term(self, step: Step) -> Tensor:
        """Squared distances of both kinds from the other's average; 0 before the start."""
        # A curve and not a branch, so that no device is waited for.
        begun = (self.updates >= self.start).to(step.real_logits)
        means = step.mean(_means(step.real_logits, step.fake_logits))
        # What observe will make of them, once the logits of all pieces are there.
        mean_real, mean_fake = self._moved(means)
        real = step.real_logits - mean_fake
        fake = mean_real - step.fake_logits
        if self.one_sided:
            real, fake = torch.relu(real), torch.relu(fake)
        return begun * (real.square().mean() + fake.square().mean())

    @torch.no_grad()
    def observe(self, step: Step, real_logits: Tensor, fake_logits: Tensor) -> None:
        """Moves the averages after an update of the discriminator."""
        if step.player == "generator":
            return
        moved = self._moved(processes.mean(_means(real_logits, fake_logits)))
        for average, value in zip((self.mean_real, self.mean_fake), moved, strict=True):
            average.copy_(value)
        self.updates.add_(1)

    def _moved(self, means: Tensor) -> Tensor:
        """Both averages (2,) after the update whose mean logits these are."""
        means = means.to(self.mean_real.dtype)
        # Until the term is about to begin they are the batch's; what they start with never counts.
        follows = (self.updates + 1 < self.start) | (self.updates == 0)
        keep = torch.where(follows, 0.0, self.decay).to(means.dtype)
        return keep * torch.stack([self.mean_real, self.mean_fake]) + (1 - keep) * means


def _means(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Mean logits (2,) of reals and fakes, without a gradient."""
    return torch.stack([real_logits.detach().mean(), fake_logits.detach().mean()])


class Drift(Penalty):
    r"""Keeps the logits of reals from drifting away from zero.

    .. math:: \mathbb{E}\,r^2

    (Karras et al. 2018, appendix A.1.)

    Args:
        weight: Factor; the paper takes 0.001.
        every: Interval in the discriminator's updates; the term is multiplied by it.
    """

    def __init__(self, weight: float | Curve = 1e-3, every: int = 1) -> None:
        super().__init__(weight, every)

    def discriminator_term(self, step: Step) -> Tensor:
        """The mean squared logit of reals."""
        return step.real_logits.square().mean()


class FeatureMatching(Penalty):
    r"""The generator matches the mean of the discriminator's features.

    .. math:: \lVert \mathbb{E}\,h(x) - \mathbb{E}\,h(G(z)) \rVert_2^2

    with h the features below the discriminator's logit (Salimans et al. 2016, section 3.1), over
    the batch of all processes.

    Args:
        weight: Factor.
        absolute: Whether the mean absolute difference is taken instead, as MHGAN's authors do.
        every: Interval in the generator's updates; the term is multiplied by it.
    """

    looks_across = True
    generator_reads = ("real", "fake")

    def __init__(self, weight: float | Curve = 1.0, absolute: bool = False, every: int = 1) -> None:
        super().__init__(weight, every)
        self.absolute = absolute

    def generator_term(self, step: Step) -> Tensor:
        """The distance between the means of features."""
        real = step.mean(step.real_features.detach().mean(dim=0))
        difference = real - step.mean(step.fake_features.mean(dim=0))
        return difference.abs().mean() if self.absolute else difference.square().sum()


class HistoricalAveraging(Penalty):
    r"""Pulls a player's weights to the mean of all that they have been.

    .. math:: \Big\lVert\theta - \frac1t\sum_{i=1}^t \theta_i\Big\rVert^2

    with the weights after each of the player's updates, for either player (Salimans et al. 2016,
    section 3.3). The means go on with a checkpoint.

    Args:
        weight: Factor.
        generator: Whether the generator has it.
        discriminator: Whether the discriminator has it.

    Raises:
        ConfigurationError: If neither player has it.
    """

    counts: Tensor

    def __init__(
        self, weight: float | Curve = 1.0, generator: bool = True, discriminator: bool = True
    ) -> None:
        super().__init__(weight)
        if not (discriminator or generator):
            raise ConfigurationError(
                "HistoricalAveraging of neither player does nothing: set one of them."
            )
        self.players = {"discriminator": discriminator, "generator": generator}
        self.register_buffer("counts", torch.zeros(2, dtype=torch.long))

    def attach(self, generator: Generator, discriminator: Discriminator, prior: Prior) -> None:
        """Makes the means."""
        networks: tuple[nn.Module, nn.Module] = (discriminator, generator)
        for player, network in zip(PLAYERS, networks, strict=True):
            weights = _in_order(network) if self.players[player] else []
            for place, weight in enumerate(weights):
                self.register_buffer(f"{player}_{place}", torch.zeros_like(weight.detach()))

    def discriminator_term(self, step: Step) -> Tensor | None:
        """Squared distance of the player's weights from their mean."""
        if not self.players[step.player]:
            return None
        begun = (self.counts[PLAYERS.index(step.player)] > 0).to(step.real.dtype)
        distances = [(weight - mean).square().sum() for weight, mean in self._pairs(step)]
        return begun * torch.stack(distances).sum()

    generator_term = discriminator_term

    @torch.no_grad()
    def observe(self, step: Step, real_logits: Tensor, fake_logits: Tensor) -> None:
        """Takes the new weights of the player into their mean."""
        if not self.players[step.player]:
            return
        count = self.counts[PLAYERS.index(step.player)]
        count += 1
        for weight, mean in self._pairs(step):
            mean.add_((weight - mean) / count)

    def _pairs(self, step: Step) -> list[tuple[Tensor, Tensor]]:
        """Each weight of the player, with its mean."""
        network: nn.Module = step.generator
        if step.player == "discriminator":
            network = step.discriminator
        means = [mean for name, mean in self.named_buffers() if name.startswith(f"{step.player}_")]
        return list(zip(_in_order(network), means, strict=True))


def _in_order(network: nn.Module) -> list[nn.Parameter]:
    """The weights in an order that spectral normalisation, which moves them, does not change."""
    weights = {
        name.replace(".parametrizations", "").removesuffix(".original"): weight
        for name, weight in network.named_parameters()
    }
    return [weights[name] for name in sorted(weights)]


class Reconstruction(Penalty):
    """A self-supervised discriminator paints reals again from its smaller maps (FastGAN).

    The mean absolute difference of what its decoders make of reals from the reals themselves (Liu
    et al. 2021, Eq. 4, whose perceptual distance needs another network). For discriminators with
    decoders, such as `FastGANDiscriminator`.

    Args:
        weight: Factor.
        every: Interval in the discriminator's updates; the term is multiplied by it.

    Raises:
        ConfigurationError: If the discriminator has no decoders.
    """

    needs_decoders = True

    def __init__(self, weight: float | Curve = 1.0, every: int = 1) -> None:
        super().__init__(weight, every)

    def discriminator_term(self, step: Step) -> Tensor:
        """The mean absolute error of the decoders on reals."""
        discriminator: Any = step.discriminator  # with decoders, or it was refused
        pairs = discriminator.reconstructions(step.real.detach(), step.random)
        return torch.stack([(made - wanted).abs().mean() for made, wanted in pairs]).sum()
