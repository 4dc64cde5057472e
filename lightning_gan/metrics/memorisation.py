"""Does the generator copy: the training images, or itself?"""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.distances import nearest, neighbourhood
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.features import FeatureBank, ReferenceFeatures
from lightning_gan.metrics.gathered import FeatureMetric

SHOWN = 20  # pairs that are kept for a picture
LEAST_FAKES = 20  # fakes in a cell from which on its test counts
ROUNDS = 25  # of the clustering


class Memorisation(FeatureMetric):
    r"""How near generated images are to the training images, against what chance allows.

    ``compute`` gives float64 scalars, the last two where there are held-out reals:

    * ``auth/<e>``: share, in %, of authentic fakes: those whose nearest training image x is nearer
      to another training image than to the fake (Alaa et al. 2022, authenticity). 0 for copies;
      about 60, not 100, for new images of the same kind.
    * ``auth/<e>_real``: the same of held-out reals, the value to reach.
    * ``ct/<e>``: :math:`C_T` (Meehan et al. 2020). Within each cell of the space, the
      Mann-Whitney statistic U counts the pairs of a fake and a held-out real in which the fake is
      farther from its nearest training image (ties half);
      :math:`Z = (U - nm/2) / \sqrt{nm(n+m+1)/12}` is averaged over the cells that have 20 fakes,
      weighted by their held-out reals. Far below 0: copies; far above: far from the data.
      A cell holds what is nearest to the training images of one class, or of one cluster where
      there are no labels: without cells, a change of the classes' shares would look like copying.

    ``closest`` (20, 2) then names the fakes that lie nearest to a training image, and that image,
    by their numbers: to be looked at, since no scalar proves memorisation (Stein et al. 2023).
    ``closest_distances`` (20,) are their distances; both are empty before the first value.

    Args:
        extractor: The features; in the keys, e is its name.
        reference: Features of all that was trained on, without augmentation, and of held-out
            reals.
        clusters: Number of cells where the reference has no labels.

    Raises:
        ConfigurationError: If the reference is from another extractor, or there are not as many
            training images as clusters.
    """

    reference: ReferenceFeatures
    closest: Tensor
    closest_distances: Tensor

    def __init__(
        self, extractor: FeatureExtractor, reference: ReferenceFeatures, clusters: int = 10
    ) -> None:
        super().__init__(extractor, reference)
        if not 1 <= clusters <= len(reference.training):
            raise ConfigurationError(
                f"Memorisation: clusters={clusters} must be at least 1 and at most the number of "
                f"training images, {len(reference.training)}."
            )
        self.clusters = clusters
        self.frozen(
            closest=torch.zeros(0, 2, dtype=torch.int64),
            closest_distances=torch.zeros(0, dtype=torch.float64),
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """``auth/<e>``, and what takes held-out reals."""
        name = self.extractor.name
        held_out = (f"auth/{name}_real", f"ct/{name}")
        return (f"auth/{name}", *(held_out if self.reference.held_out is not None else ()))

    @property
    def least(self) -> int:
        """One."""
        return 1

    def measure(self, bank: FeatureBank) -> tuple[Tensor, ...]:
        """The values of a bank of generated samples."""
        device = bank.features.device
        training, held_out = self.reference.everything(device), self.reference.unseen(device)
        to_fakes, near = nearest(bank.features, training.features)
        self._show(bank, to_fakes, near)
        authentic = authenticity(training, to_fakes, near)
        if held_out is None:
            return (authentic,)
        unseen = held_out.features
        to_reals, beside = held_out.once("training", lambda: nearest(unseen, training.features))
        cells = training.once(f"cells {self.clusters}", lambda: self._cells(training))
        real = held_out.once("authentic", lambda: authenticity(training, to_reals, beside))
        statistic = copying(to_fakes, cells[near], to_reals, cells[beside])
        if statistic.isnan():
            self.warn_once(
                "cells",
                f"No cell has {LEAST_FAKES} generated samples and a held-out real, so C_T is NaN: "
                "evaluate on more samples or take fewer clusters.",
            )
        return authentic, real, statistic

    def _cells(self, training: FeatureBank) -> Tensor:
        labels = self.reference.labels
        if labels is None:
            return clusters(training.features, self.reference.order, self.clusters)
        return labels.to(training.features.device)

    def _show(self, bank: FeatureBank, distances: Tensor, near: Tensor) -> None:
        order = distances.argsort(stable=True)[:SHOWN]
        fakes = bank.index[order.cpu()]
        self.frozen(
            closest=torch.stack([fakes, near[order].cpu()], 1),
            closest_distances=distances[order].sqrt().cpu(),
        )


def authenticity(training: FeatureBank, distances: Tensor, near: Tensor) -> Tensor:
    """Share, in %, of samples whose nearest training image has a nearer one among its own.

    Args:
        training: All training images.
        distances: Squared distances (N,) of the samples to their nearest training images.
        near: Which those are (N,).
    """
    known = training.once("own nearest", lambda: distances.new_full((len(training),), torch.nan))
    hit = torch.zeros_like(known, dtype=torch.bool)
    hit[near] = True
    missing = (hit & known.isnan()).nonzero().flatten()  # what was looked up is known
    features = training.features
    known[missing] = nearest(features[missing], features, own=missing)[0]
    return 100 * (known[near] < distances).double().mean()


def copying(fake: Tensor, fake_cells: Tensor, real: Tensor, real_cells: Tensor) -> Tensor:
    """The statistic C_T, a float64 scalar; NaN where no cell has enough fakes and a held-out real.

    Args:
        fake: Distances (M,) of fakes to their nearest training images.
        fake_cells: In which cells they are (M,).
        real: Distances (N,) of held-out reals to theirs.
        real_cells: In which cells they are (N,).
    """
    total = weights = fake.new_zeros((), dtype=torch.float64)
    for cell in sorted({*real_cells.tolist()}):
        fakes, reals = fake[fake_cells == cell], real[real_cells == cell]
        if len(fakes) >= LEAST_FAKES:
            total = total + len(reals) * mann_whitney(fakes, reals)
            weights = weights + len(reals)
    return total / weights


def mann_whitney(a: Tensor, b: Tensor) -> Tensor:
    """How far, in standard deviations, a (N,) lies above b (M,) in rank; ties count half."""
    b = b.sort().values
    below, up_to = (torch.searchsorted(b, a, right=right) for right in (False, True))
    n, m = len(a), len(b)
    u = (below + up_to).sum().double() / 2
    z: Tensor = (u - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5
    return z


def clusters(features: Tensor, order: Tensor, count: int) -> Tensor:
    """Cells (N,) of vectors (N, D), by Lloyd's algorithm (1982) from the first ones in an order."""
    centres = features[order[:count]].double()
    cells = nearest(features, centres)[1]
    for _ in range(ROUNDS):
        sums = torch.stack(
            [features[cells == cell].sum(0, dtype=torch.float64) for cell in range(count)]
        )
        sizes = torch.bincount(cells, minlength=count)[:, None]
        centres = torch.where(sizes > 0, sums / sizes, centres)  # an empty cell stays where it is
        before, cells = cells, nearest(features, centres)[1]
        if torch.equal(before, cells):
            break
    return cells


class Duplicates(FeatureMetric):
    """Whether the generator repeats itself: how near its closest pairs are to each other.

    ``compute`` gives ``dup/<e>_min_pair_ratio``, the distance of the two fakes that are closest to
    each other over that of the two closest of as many training images (infinite where some of
    these are equal), and ``dup/exact``, the number of images that repeat an earlier one bit for
    bit in uint8.

    With duplicates in at least half of all draws of s samples, the support holds about s^2 images
    at most (Arora and Zhang 2017, Theorem 1). Whether the closest pairs are duplicates, an eye
    decides: ``pairs`` (20, 2) holds their numbers, closest first, and ``pair_distances`` (20,) how
    far apart they are; both are empty before the first value.

    Args:
        extractor: The features; in ``dup/<e>``, e is its name.
        reference: Features of the reals from the same extractor.

    Raises:
        ConfigurationError: If the reference is from another extractor.
    """

    reference: ReferenceFeatures
    pairs: Tensor
    pair_distances: Tensor

    def __init__(self, extractor: FeatureExtractor, reference: ReferenceFeatures) -> None:
        super().__init__(extractor, reference)
        self.frozen(
            pairs=torch.zeros(0, 2, dtype=torch.int64),
            pair_distances=torch.zeros(0, dtype=torch.float64),
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """``dup/<e>_min_pair_ratio`` and ``dup/exact``."""
        return f"dup/{self.extractor.name}_min_pair_ratio", "dup/exact"

    def measure(self, bank: FeatureBank) -> tuple[Tensor, ...]:
        """The values of a bank of generated samples."""
        real = self.reference.sample(len(bank), bank.features.device)
        pairs, distances = closest_pairs(bank)
        self.frozen(pairs=bank.index[pairs.cpu()], pair_distances=distances.cpu())
        fakes = bank.first(len(real))  # the minimum over more pairs would be smaller
        ratio = neighbourhood(fakes).distances.min() / neighbourhood(real).distances.min()
        assert bank.digests is not None  # generated samples have them
        repeated = len(bank) - len({*bank.digests.tolist()})
        return ratio.sqrt(), torch.tensor(repeated, dtype=torch.float64)


def closest_pairs(bank: FeatureBank, count: int = SHOWN) -> tuple[Tensor, Tensor]:
    """The closest pairs of a bank, closest first: rows (count, 2) and distances (count,).

    Args:
        bank: Two vectors or more.
        count: Number of pairs, at most twice as many as ``distances.DEPTH``.
    """
    found = neighbourhood(bank)
    rows = torch.arange(len(bank), device=found.indices.device)[:, None].expand_as(found.indices)
    low, high = torch.minimum(rows, found.indices), torch.maximum(rows, found.indices)
    keys = (low * len(bank) + high).flatten()
    order = keys.argsort(stable=True)
    keys, distances = keys[order], found.distances.flatten()[order]
    first = torch.ones_like(keys, dtype=torch.bool)
    first[1:] = keys[1:] != keys[:-1]  # each pair was found from both of its ends, perhaps
    keys, distances = keys[first], distances[first]
    order = distances.argsort(stable=True)[:count]
    keys = keys[order]
    return torch.stack([keys // len(bank), keys % len(bank)], 1), distances[order].sqrt()
