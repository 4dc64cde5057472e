"""What nearest neighbours tell: fidelity, diversity, whether fakes can be told from reals."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.distances import (
    ROUNDING,
    direct_by_index,
    distance_blocks,
    neighbourhood,
)
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.features import FeatureBank, ReferenceFeatures
from lightning_gan.metrics.gathered import FeatureMetric

NAMES = (
    "precision/{}",
    "recall/{}",
    "density/{}",
    "coverage/{}",
    "nn1/{}_real",
    "nn1/{}_fake",
)


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
        row = direct_by_index(real[rows], fake, block.min(1).indices)
        to_fake.append(Nearest(row, (block <= row[:, None]).sum(1)))
        column = direct_by_index(fake, real[rows], block.min(0).indices)
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


class Neighbours(FeatureMetric):
    r"""Precision, recall, density, coverage and the 1-nearest-neighbour test, in one pass.

    With :math:`B_k(x)` the closed ball around x up to its k-th nearest neighbour in its own set,
    ``compute`` gives six float64 scalars:

    * ``precision/<e>``: share of fakes in some :math:`B_k` of a real; ``recall/<e>``: share of
      reals in some :math:`B_k` of a fake (Kynkaanniemi et al. 2019, Eqs. 1 and 2; k = 3).
    * ``density/<e>``: :math:`\frac{1}{kM}` times the number of pairs of a fake inside the
      :math:`B_k` of a real, about 1 for equal distributions, not bounded by it; ``coverage/<e>``:
      share of reals whose :math:`B_k` holds a fake (Naeem et al. 2020, Sec. 3; k = 5),
      about :math:`1-2^{-k}` for equal distributions, and below where a mode is missing.
    * ``nn1/<e>_real`` and ``nn1/<e>_fake``: share of reals, and of fakes, whose nearest neighbour
      among all others is of their own kind (Lopez-Paz and Oquab 2017, Sec. 3; Xu et al. 2018).
      1/2: indistinguishable; above: told apart; below: the generator repeats the training images.
      Neighbours at one distance count by their fractions.

    All of them depend on the number of samples, so as many reals as fakes are compared: all, up to
    ``most``, of the smaller side and the first of the other. Only values with equal numbers and
    equal k compare with each other.

    Args:
        extractor: The features; in the keys, e is its name.
        reference: Features of the reals from the same extractor, as many as samples or more.
        manifold_k: Neighbours that the balls of precision and recall reach.
        density_k: Neighbours that the balls of density and coverage reach.
        most: Samples of each side that are compared at most; the time grows with the square.

    Raises:
        ConfigurationError: If the reference is from another extractor, or k does not fit it.
    """

    reference: ReferenceFeatures

    def __init__(
        self,
        extractor: FeatureExtractor,
        reference: ReferenceFeatures,
        manifold_k: int = 3,
        density_k: int = 5,
        most: int = 10_000,
    ) -> None:
        super().__init__(extractor, reference)
        if not 1 <= min(manifold_k, density_k) <= max(manifold_k, density_k) < self.reals:
            raise ConfigurationError(
                f"Neighbours: manifold_k={manifold_k} and density_k={density_k} must be at least 1 "
                f"and below the number of reals, {self.reals}."
            )
        if most <= max(manifold_k, density_k):
            raise ConfigurationError(
                f"Neighbours: most={most} must be above manifold_k and density_k."
            )
        self.manifold_k, self.density_k, self.most = manifold_k, density_k, most

    @property
    def reals(self) -> int:
        """Training images that there are."""
        return len(self.reference.training)

    @property
    def least(self) -> int:
        """As many as have a k-th neighbour."""
        return max(self.manifold_k, self.density_k) + 1

    @property
    def keys(self) -> tuple[str, ...]:
        """The six of ``NAMES``."""
        return tuple(name.format(self.extractor.name) for name in NAMES)

    def measure(self, bank: FeatureBank) -> tuple[Tensor, ...]:
        """The values of a bank of generated samples."""
        real = self.reference.sample(min(len(bank), self.most), bank.features.device)
        return self._values_of(real, bank.first(len(real)))

    def _values_of(self, real: FeatureBank, fake: FeatureBank) -> tuple[Tensor, ...]:
        reals, fakes = (neighbourhood(bank, self.least - 1) for bank in (real, fake))
        manifold = reals.distances[:, self.manifold_k - 1], fakes.distances[:, self.manifold_k - 1]
        density = reals.distances[:, self.density_k - 1]
        found = crossing(real.features, fake.features, manifold, density)
        return (
            found.in_manifold.double().mean(),
            found.recalled.double().mean(),
            found.balls.double().mean() / self.density_k,
            (found.to_fake.distance <= density).double().mean(),
            own_share(Nearest(reals.distances[:, 0], reals.ties), found.to_fake),
            own_share(Nearest(fakes.distances[:, 0], fakes.ties), found.to_real),
        )
