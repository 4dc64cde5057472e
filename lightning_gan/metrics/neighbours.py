"""What nearest neighbours tell: fidelity, diversity, whether fakes can be told from reals."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gan.errors import above, at_least, below, check_range
from lightning_gan.metrics.base import named
from lightning_gan.metrics.distances import (
    ROUNDING,
    distance_blocks,
    distances_by_index,
    neighbourhood,
)
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.features import FeatureBank, ReferenceFeatures
from lightning_gan.metrics.gathered import FeatureMetric


class Nearest(NamedTuple):
    """Squared distance (N,) to the nearest vector, and how many are as near (N,)."""

    distance: Tensor
    ties: Tensor


class Crossing(NamedTuple):
    """How two sets of vectors lie to each other; balls are closed.

    Attributes:
        to_fake: The nearest fake to each real.
        to_real: The nearest real to each fake.
        in_manifold: Whether each fake lies in a manifold ball of a real (M,).
        recalled: Whether each real lies in a manifold ball of a fake (N,).
        balls: In how many density balls of reals each fake lies (M,), int64.
    """

    to_fake: Nearest
    to_real: Nearest
    in_manifold: Tensor
    recalled: Tensor
    balls: Tensor


def crossing(
    real: Tensor, fake: Tensor, manifold: tuple[Tensor, Tensor], density: Tensor
) -> Crossing:
    """All that is asked of the distances between the two sets, in one pass over them.

    Args:
        real: Features (N, D).
        fake: Features (M, D).
        manifold: Squared radii of the balls around reals (N,) and around fakes (M,).
        density: Squared radii of the balls around reals (N,) for the density.
    """
    to_fake, recalled, columns = [], [], []
    in_manifold = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    balls = torch.zeros(len(fake), dtype=torch.int64, device=fake.device)
    for rows, block in distance_blocks(real, fake):
        row = distances_by_index(real[rows], fake, block.min(1).indices)
        to_fake.append(Nearest(row, (block <= row[:, None]).sum(1)))
        column = distances_by_index(fake, real[rows], block.min(0).indices)
        columns.append(Nearest(column, (block <= column).sum(0)))
        in_manifold |= (block <= manifold[0][rows, None]).any(0)
        balls += (block <= density[rows, None]).sum(0)
        recalled.append((block <= manifold[1]).any(1))
    return Crossing(
        Nearest(*(torch.cat(parts) for parts in zip(*to_fake, strict=True))),
        _nearest_of(Nearest(*(torch.stack(parts) for parts in zip(*columns, strict=True)))),
        in_manifold,
        torch.cat(recalled),
        balls,
    )


def _nearest_of(parts: Nearest) -> Nearest:
    """The nearest over several parts of a set, (parts, M) of each to (M,)."""
    distance = parts.distance.amin(0)
    as_near = parts.distance <= distance * (1 + ROUNDING)
    return Nearest(distance, (parts.ties * as_near).sum(0))


def own_share(own: Nearest, other: Nearest) -> Tensor:
    """Mean share of a set's own members among the nearest neighbours of its members.

    Neighbours at one distance count by their fractions, so that no order of the samples decides.
    """
    nearest = torch.minimum(own.distance, other.distance) * (1 + ROUNDING)
    mine = own.ties * (own.distance <= nearest)
    theirs = other.ties * (other.distance <= nearest)
    return (mine.double() / (mine + theirs)).mean()


class NeighboursResult(NamedTuple):
    """What nearest neighbours tell; see :class:`Neighbours`.

    Besides the values: how many samples of each side were compared, and how many held-out reals.
    """

    extractor: str
    precision: float = math.nan
    recall: float = math.nan
    density: float = math.nan
    coverage: float = math.nan
    nn1_real: float = math.nan
    nn1_fake: float = math.nan
    nn1_real_held_out: float | None = None
    nn1_fake_held_out: float | None = None
    compared: int = 0
    held_out: int = 0

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs, as in ``precision/mnist_cnn``."""
        shares = ("precision/{}", "recall/{}", "density/{}", "coverage/{}")
        nearest = ("nn1/{}_real", "nn1/{}_fake")
        return named(self, *shares, *nearest, *(f"{name}_held_out" for name in nearest))


class Neighbours(FeatureMetric[NeighboursResult]):
    r"""Precision, recall, density, coverage and the 1-nearest-neighbour test, in one pass.

    With :math:`B_k(x)` the closed ball around x up to its k-th nearest neighbour in its own set,
    ``compute`` gives a :class:`NeighboursResult`, logged as

    * ``precision/<e>``: share of fakes in some :math:`B_k` of a real; ``recall/<e>``: share of
      reals in some :math:`B_k` of a fake (Kynkaanniemi et al. 2019, Eqs. 1 and 2; k = 3).
    * ``density/<e>``: :math:`\frac{1}{kM}` times the number of pairs of a fake inside the
      :math:`B_k` of a real, about 1 for equal distributions, not bounded by it; ``coverage/<e>``:
      share of reals whose :math:`B_k` holds a fake (Naeem et al. 2020, Sec. 3; k = 5),
      about :math:`1-2^{-k}` for equal distributions, and below where a mode is missing.
    * ``nn1/<e>_real`` and ``nn1/<e>_fake``: share of reals, and of fakes, whose nearest neighbour
      among all others is of their own kind (Lopez-Paz and Oquab 2017, Sec. 3; Xu et al. 2018).
      1/2: indistinguishable; above: told apart; below: the generator repeats the training images.
      Neighbours at one distance count by their fractions. ``nn1/<e>_real_held_out`` and
      ``nn1/<e>_fake_held_out`` are the same with reals that were not trained on in place of the
      fakes, where the reference has them: other people's digits are told apart, too.

    All of them depend on the number of samples, so as many reals as fakes are compared: all, up to
    ``max_samples``, of the smaller side and as many of the other, by a fixed shuffle. Only values
    with equal numbers and equal k compare with each other.

    Args:
        extractor: The features; in the keys, e is its name.
        reference: Features of the reals from the same extractor, as many as samples or more.
        manifold_k: Neighbours that the balls of precision and recall reach.
        density_k: Neighbours that the balls of density and coverage reach.
        max_samples: Samples of each side that are compared; the time grows with the square.

    Raises:
        ConfigurationError: If the reference is from another extractor, or k does not fit it.

    Example:
        >>> from lightning_gan.metrics import Neighbours, ReferenceFeatures, get_extractor
        >>> reals = torch.arange(20.0)[:, None]
        >>> reals[10:] += 1000  # ten on each side of a gap
        >>> metric = Neighbours(get_extractor("identity"), ReferenceFeatures(reals))
        >>> metric.update(reals[:10].repeat(2, 1))  # one side only
        >>> metric.compute().precision, metric.compute().coverage
        (1.0, 0.5)
    """

    min_reals = 6
    reference: ReferenceFeatures

    def __init__(
        self,
        extractor: FeatureExtractor,
        reference: ReferenceFeatures,
        manifold_k: int = 3,
        density_k: int = 5,
        max_samples: int = 10_000,
    ) -> None:
        super().__init__(extractor, reference)
        reals = len(reference.train)
        check_range(self, at_least(1), below(reals), manifold_k=manifold_k, density_k=density_k)
        check_range(self, above(max(manifold_k, density_k)), max_samples=max_samples)
        self.manifold_k, self.density_k = manifold_k, density_k
        self.max_samples = max_samples
        self.min_samples = max(manifold_k, density_k) + 1  # as many as have a k-th neighbour

    def nothing(self) -> NeighboursResult:
        """NaN in every value."""
        return NeighboursResult(self.extractor.name)

    def measure(self, bank: FeatureBank) -> NeighboursResult:
        """The values of a bank of generated samples."""
        real = self.reference.sample(min(len(bank), self.max_samples), bank.features.device)
        found = self._compared(real, bank.sample(len(real)))
        unseen = real.once(f"held out {self.min_samples}", lambda: self._held_out(real))
        if unseen is None:
            return found
        return found._replace(
            nn1_real_held_out=unseen.nn1_real,
            nn1_fake_held_out=unseen.nn1_fake,
            held_out=unseen.compared,
        )

    def _held_out(self, real: FeatureBank) -> NeighboursResult | None:
        """What held-out reals give in place of fakes, where there are enough."""
        val = self.reference.val_bank(real.features.device)
        count = 0 if val is None else min(len(val), len(real))
        if val is None or count < self.min_samples:
            return None
        return self._compared(real.sample(count), val.sample(count))

    def _compared(self, real: FeatureBank, fake: FeatureBank) -> NeighboursResult:
        """The values of two banks of one size."""
        reals, fakes = (neighbourhood(x, self.min_samples - 1) for x in (real, fake))
        manifold = reals.distances[:, self.manifold_k - 1], fakes.distances[:, self.manifold_k - 1]
        density = reals.distances[:, self.density_k - 1]
        found = crossing(real.features, fake.features, manifold, density)
        own_real = Nearest(reals.distances[:, 0], reals.ties)
        own_fake = Nearest(fakes.distances[:, 0], fakes.ties)
        return NeighboursResult(
            self.extractor.name,
            precision=float(found.in_manifold.double().mean()),
            recall=float(found.recalled.double().mean()),
            density=float(found.balls.double().mean() / self.density_k),
            coverage=float((found.to_fake.distance <= density).double().mean()),
            nn1_real=float(own_share(own_real, found.to_fake)),
            nn1_fake=float(own_share(own_fake, found.to_real)),
            compared=len(real),
        )
