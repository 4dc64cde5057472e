"""The balance of the two players, as the discriminator's outputs show it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.base import ExactMetric
from lightning_gan.metrics.memorisation import mann_whitney

EPSILON = 1e-12
"""How far probabilities are kept from 0 and 1 where their logarithm is taken."""

Probability = Callable[[Tensor, Tensor], tuple[Tensor, Tensor] | None]
"""From logits of reals and of fakes to probabilities of being real, where there are any."""


class Spread(NamedTuple):
    """Mean and standard deviation (divided by N)."""

    mean: float
    std: float


class BalanceResult(NamedTuple):
    """What the discriminator makes of reals and of fakes; None is what was not measured.

    Args:
        real_logits: Its logits of the reals.
        fake_logits: Its logits of the fakes.
        real_probability: D(x), where the objective has probabilities.
        fake_probability: D(G(z)), likewise.
        acc_real: Share of the reals on the right side; None where no number divides the sides.
        acc_fake: Share of the fakes on the right side; likewise.
        r_t: Mean sign of the reals' logits.
        n: Number of the reals' logits.
        auc: Probability that a real has the larger logit than a fake.
        auc_sd: Its deviation where the two cannot be told apart.
        jsd_lower_bound: Lower bound of the Jensen-Shannon divergence.
        d_gap_train_val: Mean logit of reals of training minus that of held-out ones.
    """

    real_logits: Spread
    fake_logits: Spread
    real_probability: Spread | None
    fake_probability: Spread | None
    acc_real: float | None
    acc_fake: float | None
    r_t: float | None = None
    n: int | None = None
    auc: float | None = None
    auc_sd: float | None = None
    jsd_lower_bound: float | None = None
    d_gap_train_val: float | None = None

    def logged(self, prefix: str = "gan") -> dict[str, float]:
        """The values by their names in the logs, as in ``gan/d_real``."""
        found: dict[str, Any] = dict(zip(self._fields[4:], self[4:], strict=True))
        names = ("score_real", "score_fake", "d_real", "d_fake")
        for name, spread in zip(names, self[:4], strict=True):
            if spread is not None:
                found |= {name: spread.mean, f"{name}_std": spread.std}
        return {f"{prefix}/{name}": float(x) for name, x in found.items() if x is not None}


class DiscriminatorBalance(ExactMetric):
    r"""Mean, spread and accuracy of the discriminator on reals and on fakes.

    ``compute`` gives a :class:`BalanceResult`, logged as ``gan/score_real``, ``gan/score_fake``
    (means of the logits), ``gan/score_real_std``, ``gan/score_fake_std`` (over all samples, divided
    by N), ``gan/r_t`` (mean sign of the reals' logits; Karras et al. 2020, Eq. 1, take a mean near
    1 on the reals of training for overfitting), ``gan/acc_real`` and ``gan/acc_fake`` (share on the
    right side of 1/2, of 0 where there are only logits; a tie counts half), and, where the
    objective gives probabilities, ``gan/d_real`` and ``gan/d_fake`` with their ``_std``. At the
    equilibrium of the minimax game all probabilities are 1/2, pointwise (Goodfellow et al. 2014,
    Prop. 1): means of 1/2 are necessary, not sufficient, hence the spreads.

    Sums over all samples of all processes are kept in one float64 tensor, so that one reduction
    gives means that are right for batches of any size; an update waits for no device.

    Example:
        >>> from lightning_gan.metrics import DiscriminatorBalance
        >>> metric = DiscriminatorBalance()
        >>> metric.update(torch.tensor([2.0, 0.5, -0.5, 4.0]), torch.tensor([-1.0, -3.0]))
        >>> found = metric.compute()
        >>> found.real_logits.mean, found.acc_real, found.acc_fake
        (1.5, 0.75, 1.0)
    """

    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        # one row per group: count, sum, sum of squares, hits
        self.add_state("sums", torch.zeros(4, 4, dtype=torch.float64), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_probability: Tensor | None = None,
        fake_probability: Tensor | None = None,
    ) -> None:
        """Adds one forward pass.

        Args:
            real_logits: Logits of real images, any shape.
            fake_logits: Logits of generated images, any shape.
            real_probability: Their probabilities of being real, where the objective has any.
            fake_probability: Likewise for the generated ones.

        Raises:
            ConfigurationError: If only one of the two probabilities is given.
        """
        if (real_probability is None) != (fake_probability is None):
            raise ConfigurationError(
                "Probabilities were given for one of reals and fakes only: give both or none."
            )
        rows = [self._row(real_logits, 0.0, 1), self._row(fake_logits, 0.0, -1)]
        if real_probability is not None and fake_probability is not None:
            rows += [self._row(real_probability, 0.5, 1), self._row(fake_probability, 0.5, -1)]
        self.sums[: len(rows)] += torch.stack(rows)

    def _row(self, values: Tensor, threshold: float, side: int) -> Tensor:
        values = values.detach().to(self.sums.device).double().flatten()
        hits = ((values - threshold).sign() * side + 1).sum() / 2
        count = torch.full_like(hits, values.numel())
        return torch.stack([count, values.sum(), values.square().sum(), hits])

    def compute(self) -> BalanceResult:
        """The values; NaN before the first update."""
        count, total, squares, hits = self.sums.T
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        # In one transfer, since each waits for the device.
        found: list[list[float]] = torch.stack([mean, std, hits / count, count]).tolist()
        means, deviations, shares, counts = found
        logits_real, logits_fake, d_real, d_fake = map(Spread, means, deviations)
        probable = counts[2] > 0
        acc_real, acc_fake = shares[2:] if probable else shares[:2]
        return BalanceResult(
            logits_real,
            logits_fake,
            d_real if probable else None,
            d_fake if probable else None,
            acc_real,
            acc_fake,
            r_t=2 * shares[0] - 1,
        )


class ValidationBalance(ExactMetric):
    r"""The same on reals that the discriminator has not learnt from, and what only they can tell.

    ``compute`` gives a :class:`BalanceResult` over all samples of all processes: what
    :class:`DiscriminatorBalance` does but ``r_t``, and

    * ``n``: number of the reals' logits.
    * ``auc``: probability that a real has the larger logit than a fake, ties counting half
      (Mann and Whitney 1947): 1/2 for a discriminator that cannot tell them apart, whatever the
      objective; ``auc_sd``, :math:`\sqrt{(n+m+1)/(12nm)}`, its deviation if that is so.
    * ``jsd_lower_bound``: :math:`\log 2 - L/2` with :math:`L = -\mathbb{E}\log D(x) -
      \mathbb{E}\log(1 - D(G(z)))`, which is at most the Jensen-Shannon divergence of data and
      generator, and equal to it for the best discriminator (Goodfellow et al. 2014, Thm. 1). One
      that looks at several samples at once (batch norm, packs, minibatch layers) bounds that of
      what it looks at, which is larger. Only where each sample has a probability of its own.
    * ``d_gap_train_val``: :math:`\mathbb{E} D(x)` on reals of training minus that on held-out
      ones, in logits; above 0 the discriminator overfits. Only where such logits are given.

    Args:
        probability: What gives probabilities, such as :meth:`Objective.probability`.
        single: Whether they are of each sample by itself, not relative to others.

    Example:
        >>> from lightning_gan.metrics import ValidationBalance
        >>> metric = ValidationBalance()
        >>> metric.update(torch.tensor([3.0, 1.0]), torch.tensor([0.0, 2.0]))
        >>> metric.compute().auc  # three of the four pairs are in the right order
        0.75
    """

    real: Any  # a list of logits, or all of them once they are gathered
    fake: Any
    training: Any

    def __init__(self, probability: Probability | None = None, single: bool = True) -> None:
        super().__init__()
        self.probability = probability
        self.single = single
        for name in ("real", "fake", "training"):
            self.add_state(name, [], dist_reduce_fx="cat")

    @torch.no_grad()
    def update(
        self, real_logits: Tensor, fake_logits: Tensor, training_logits: Tensor | None = None
    ) -> None:
        """Adds logits; every process must, be there none, before the values are computed.

        Args:
            real_logits: Logits (N,) of held-out reals.
            fake_logits: Logits (M,) of generated samples.
            training_logits: Logits of reals of training, scored in the same way.
        """
        training = real_logits[:0] if training_logits is None else training_logits
        given = {"real": real_logits, "fake": fake_logits, "training": training}
        for name, logits in given.items():
            place = torch.device("cpu") if logits.device.type == "mps" else logits.device
            getattr(self, name).append(logits.detach().to(place).double().flatten())

    def compute(self) -> BalanceResult:
        """The values; NaN where there are no samples."""
        real, fake, training = map(_joined, (self.real, self.fake, self.training))
        found = self.probability(real, fake) if self.probability is not None else None
        sums = DiscriminatorBalance().to(real.device)
        sums.sync_on_compute = False  # the samples of all processes are here
        sums.update(real, fake, *(found or ()))
        result: BalanceResult = sums.compute()
        auc, deviation = area_under_curve(real, fake)
        return result._replace(
            r_t=None,
            n=len(real),
            auc=auc,
            auc_sd=deviation,
            jsd_lower_bound=float(divergence_bound(*found)) if found and self.single else None,
            d_gap_train_val=float(training.mean() - real.mean()) if len(training) else None,
        )


def _joined(parts: Any) -> Tensor:  # noqa: ANN401 (a list, or a tensor once gathered)
    if isinstance(parts, Tensor):
        return parts
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def area_under_curve(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Probability that a real has the larger logit, ties counting half, and its deviation.

    The deviation is that of logits with one law for both. NaN where a logit is, or there are none.

    Args:
        real: Logits (N,) of reals.
        fake: Logits (M,) of fakes.
    """
    n, m = len(real), len(fake)
    if not n or not m or bool(real.isnan().any()) or bool(fake.isnan().any()):
        return math.nan, math.nan
    deviation = ((n + m + 1) / (12 * n * m)) ** 0.5
    return float(0.5 + deviation * mann_whitney(real, fake)), deviation


def divergence_bound(real: Tensor, fake: Tensor) -> Tensor:
    """Lower bound of the Jensen-Shannon divergence, in nats.

    Every discriminator gives a bound, so also the one that is never surer than float64 can say.

    Args:
        real: Probabilities D(x) (N,) of reals.
        fake: Probabilities D(G(z)) (M,) of fakes.
    """
    real, fake = (p.double().clamp(EPSILON, 1 - EPSILON) for p in (real, fake))
    return math.log(2) + (real.log().mean() + (-fake).log1p().mean()) / 2
