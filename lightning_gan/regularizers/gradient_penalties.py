"""Penalties on the slope of the discriminator.

A penalty takes one norm per sample over all its dimensions, and the mean over the batch last. It
joins the player's loss, so that one backward pass and one optimizer step serve both.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from lightning_gan.basics.precision import outside_autocast
from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError, above, at_most, check_range
from lightning_gan.networks.base import Discriminator
from lightning_gan.networks.minibatch import MinibatchDiscrimination, judged_together
from lightning_gan.regularizers.base import Penalty
from lightning_gan.training.schedule import Curve
from lightning_gan.training.step import Step


def sample_gradients(logits: Tensor, samples: Tensor) -> Tensor:
    """Gradient of each logit by its own sample or pack, flattened to (N, D), differentiable."""
    # Autocast acts on what a backward pass computes, too.
    with outside_autocast(samples.device):
        (gradient,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return gradient.reshape(len(logits), -1)


def shared_by_packs(numbers: Tensor, step: Step) -> Tensor:
    """Numbers (N, ...) of single samples, made the same for all samples of a pack."""
    pack = step.discriminator.pack
    return numbers[::pack].repeat_interleave(pack, dim=0) if pack > 1 else numbers


class _SlopePenalty(Penalty):
    """A penalty on the discriminator's slope at each sample."""

    bounds_lipschitz = True
    differentiates_twice = True
    penalises_slope = True

    def __init__(self, weight: float | Curve = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)


class _SegmentPenalty(_SlopePenalty):
    """A penalty on the slope at points between reals and fakes."""

    def slopes(self, step: Step) -> Tensor:
        """Norms (N,) of the gradients, one point drawn uniformly between each real and its fake."""
        real, fake = step.real.detach(), step.fake.detach()
        if len(real) != len(fake):
            raise ConfigurationError(
                f"{type(self).__name__} looks between each real and its fake, and there are "
                f"{len(real)} reals and {len(fake)} fakes: give as many of both."
            )
        alpha = shared_by_packs(step.random.uniform(*(1 for _ in real.shape[1:])), step)
        between = torch.lerp(fake, real, alpha).requires_grad_()
        gradients = sample_gradients(step.precise_logits(between), between)
        # vector_norm has the subgradient 0 at 0, where the root of a sum of squares has NaN.
        return torch.linalg.vector_norm(gradients, dim=1)


class GradientPenalty(_SegmentPenalty):
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

    def __init__(
        self, weight: float | Curve = 10.0, every: int = 1, one_sided: bool = False
    ) -> None:
        super().__init__(weight, every)
        self.one_sided = one_sided

    def discriminator_term(self, step: Step) -> Tensor:
        """Mean squared excess of the slope over one, at points between reals and fakes."""
        excess = self.slopes(step) - 1
        return (torch.relu(excess) if self.one_sided else excess).square().mean()


class WassersteinDivergence(_SegmentPenalty):
    r"""Penalises a power of the slope between reals and fakes; with `Wasserstein`, WGAN-div.

    .. math:: \mathbb{E}_{\hat x}\lVert \nabla_{\hat x} D(\hat x)\rVert_2^p

    (Wu et al. 2018, Eq. 7), with points drawn as for `GradientPenalty`.

    Args:
        weight: k, the factor of the penalty.
        power: p.
        every: Interval in the discriminator's updates; the penalty is multiplied by it.

    Raises:
        ConfigurationError: If the power is not positive; with batch norm in the discriminator.
    """

    def __init__(self, weight: float | Curve = 2.0, power: float = 6.0, every: int = 1) -> None:
        super().__init__(weight, every)
        check_range(self, above(0), power=power)
        self.power = power

    def discriminator_term(self, step: Step) -> Tensor:
        """The mean power of the slope."""
        return self.slopes(step).pow(self.power).mean()


class MaximumPenalty(_SegmentPenalty):
    r"""Penalises the steepest point between reals and fakes only (MaxGP of Lipschitz GANs).

    .. math:: \max_i \lVert \nabla_{\hat x_i} D(\hat x_i)\rVert_2^2

    (Zhou et al. 2019, section 5), over the batch of all processes.

    Args:
        weight: Factor of the penalty; the paper's experiments take 10 with the logistic loss.
        every: Interval in the discriminator's updates; the penalty is multiplied by it.

    Raises:
        ConfigurationError: If the discriminator holds batch norm: the penalty is per sample.
    """

    looks_across = True

    def discriminator_term(self, step: Step) -> Tensor:
        """The largest squared slope of all."""
        return step.gather(self.slopes(step).max()[None]).max().square()


class DRAGAN(_SlopePenalty):
    r"""Pulls the slope of the discriminator around the reals towards one.

    .. math:: \mathbb{E}\big[(\lVert\nabla D(x + \alpha\,\tfrac12\,\mathrm{std}(X)\,u)
              \rVert_2 - 1)^2\big]

    with u uniform on [0, 1) for each number and alpha uniform on [0, 1) for each sample (Kodali et
    al. 2017, Eq. 3, as its authors' code draws it). std(X) is of all numbers in the batch of all
    processes.

    Args:
        weight: Factor of the penalty; the authors take 10.
        every: Interval in the discriminator's updates; the penalty is multiplied by it.

    Raises:
        ConfigurationError: If the discriminator holds batch norm: the penalty is per sample.
    """

    looks_across = True

    def discriminator_term(self, step: Step) -> Tensor:
        """Mean squared distance of the slope from one, at points beside the reals."""
        around = self.around(step).requires_grad_()
        gradients = sample_gradients(step.precise_logits(around), around)
        slopes: Tensor = torch.linalg.vector_norm(gradients, dim=1)
        return (slopes - 1).square().mean()

    def around(self, step: Step) -> Tensor:
        """Points (N, ...) beside the reals."""
        real = step.real.detach()
        mean = step.mean(real.mean())
        std = step.mean((real - mean).square().mean()).sqrt()
        alpha = shared_by_packs(step.random.uniform(*(1 for _ in real.shape[1:])), step)
        return real + alpha * 0.5 * std * step.random.uniform(*real.shape[1:])


def unequal_shares(discriminator: Discriminator, penalty: Penalty, rows: int) -> Iterator[str]:
    """Shares of which processes would have other numbers of rows, and one waits for all of them.

    Args:
        discriminator: Who judges the rows.
        penalty: Whose share it is.
        rows: Samples of a process, or of a piece of them.
    """
    one_in = penalty.one_in if isinstance(penalty, _SquaredSlope) else 1
    if one_in == 1 or processes.world_size() == 1:
        return
    gathers = any(isinstance(part, MinibatchDiscrimination) for part in discriminator.modules())
    every = one_in * judged_together(discriminator)
    if gathers and rows % every:
        has = (
            f"MinibatchDiscrimination looks at as many samples of each process, and {rows} on each"
        )
        near = -(-rows // every) * every
        yield (
            f"{has} do not give {type(penalty).__name__} the same share={1 / one_in:g} of them: "
            f"set --data.batch_size to a multiple of {every}, such as {near}, or leave share out."
        )


class _SquaredSlope(_SlopePenalty):
    """Half the mean squared slope at the reals or at the fakes, exact or by differences."""

    def __init__(
        self,
        weight: float | Curve = 1.0,
        every: int = 1,
        difference: float | None = None,
        share: float = 1.0,
    ) -> None:
        super().__init__(weight, every)
        check_range(self, above(0), difference=difference)
        check_range(self, above(0), at_most(1), share=share)
        self.one_in = round(1 / share)
        name = type(self).__name__
        if abs(share * self.one_in - 1) > 1e-6:
            raise ConfigurationError(
                f"{name}: share={share} must be one over a whole number, such as 0.25."
            )
        if self.one_in > 1 and difference is None:
            raise ConfigurationError(
                f"{name}: share={share} spares nothing with the exact slope, whose pass is that of "
                "the loss: give a difference, or leave share out."
            )
        self.difference = difference
        self.differentiates = () if difference or self.flattens is None else (self.flattens,)
        self.differentiates_twice = difference is None

    def discriminator_term(self, step: Step) -> Tensor:
        """Half the mean squared slope."""
        samples = step.real if self.flattens == "real" else step.fake
        if self.difference is not None:
            return self._by_differences(step, samples.detach(), self.difference)
        logits = step.real_logits if self.flattens == "real" else step.fake_logits
        return sample_gradients(logits, samples).square().sum(dim=1).mean() / 2

    def _by_differences(self, step: Step, samples: Tensor, difference: float) -> Tensor:
        """From two looks at each sample that takes part, under the same augmentation."""
        shard, pack = step.random.shard, step.discriminator.pack
        unit = judged_together(step.discriminator)
        # Of whole packs and groups, or other samples would be judged beside each look. Counted over
        # the global batch, so that any number of processes chooses the same ones; where it is in
        # pieces, in each of them.
        first = shard.first // shard.step // unit
        for reason in unequal_shares(step.discriminator, self, shard.count):
            raise ConfigurationError(reason)
        rows: slice | list[int] = slice(-first % self.one_in, None, self.one_in)
        if unit > 1:
            units = (first + row // unit for row in range(shard.count))
            rows = [row for row, number in enumerate(units) if number % self.one_in == 0]
        here, labels, random = samples[rows], step.labels[rows], step.random.subset(rows)
        there = here + difference * random.normal(*samples.shape[1:])
        with outside_autocast(samples.device):
            # One pass for both, so that spectral norm is the same in both.
            looks = step.discriminate(
                torch.cat([here, there]), labels.repeat(2), random.repeated(2)
            )
        one, other = looks.logits.chunk(2)
        squares = ((other - one) / difference).square()
        if self.one_in == 1:
            return squares.mean() / 2
        # Of the rows at hand more or fewer may take part than of others.
        pieces = (-(-(shard.total - piece) // shard.step) for piece in range(shard.step))
        everywhere = sum(-(-(count // unit) // self.one_in) for count in pieces) * unit // pack
        return squares.sum() * (shard.total / shard.count / everywhere) / 2


class R1(_SquaredSlope):
    r"""Flattens the discriminator at the reals.

    .. math:: \tfrac12\,\mathbb{E}_{x}\lVert \nabla_x D(x)\rVert^2

    (Mescheder et al. 2018, Eq. 9), so that ``weight`` is the papers' gamma. It has units: gamma
    scales with the number of pixels, and here images lie in [-1, 1]. Before the augmentation, the
    gradient is taken by the sample itself.

    Args:
        weight: Gamma, the factor of the penalty.
        every: Interval in the discriminator's updates; the penalty is multiplied by it.
        difference: Length s of a finite difference in a random direction, 0.001 to 0.01, which
            needs no second derivative (approximated R1, Lin et al. 2025): the mean of
            ((D(x + s e) - D(x)) / s)^2 over standard normal e, both looks under the same
            augmentation. None for the exact slope.
        share: Share of the batch that a difference is taken at, one over a whole number.

    Raises:
        ConfigurationError: If the discriminator holds batch norm: the penalty is per sample; if
            the share is none, or without a difference.
    """

    flattens = "real"


class R2(_SquaredSlope):
    r"""Flattens the discriminator at the fakes.

    .. math:: \tfrac12\,\mathbb{E}_{z}\lVert \nabla_{\tilde x} D(\tilde x)\rVert^2,
              \quad \tilde x = G(z)

    (Mescheder et al. 2018, Eq. 10), on detached fakes. Relativistic pairing needs it beside R1.

    Args:
        weight: Gamma, the factor of the penalty.
        every: Interval in the discriminator's updates; the penalty is multiplied by it.
        difference: Length of a finite difference, as for `R1`; None for the exact slope.
        share: Share of the batch that a difference is taken at, as for `R1`.

    Raises:
        ConfigurationError: As for `R1`.
    """

    flattens = "fake"
