"""Does the generator copy: the training images, or itself?"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gan.errors import at_least, at_most, check_range
from lightning_gan.metrics.base import named
from lightning_gan.metrics.distances import nearest, neighbourhood
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.features import FeatureBank, ReferenceFeatures
from lightning_gan.metrics.gathered import FeatureMetric

NUM_PAIRS = 20  # pairs that are kept for a picture
MIN_FAKES = 20  # fakes in a cell from which on its test counts
MAX_ROUNDS = 25  # of the clustering
NO_PAIRS = torch.zeros(0, 2, dtype=torch.int64)


class MemorisationResult(NamedTuple):
    """How near samples are to the training images.

    Args:
        extractor: Name of the extractor.
        authentic: Share of authentic fakes, in %.
        authentic_real: That of held-out reals, where there are any.
        ct: The statistic C_T, likewise.
        closest: Numbers (n, 2) of the fakes nearest to a training image, and of that image.
        distances: How far apart these are.
    """

    extractor: str
    authentic: float = math.nan
    authentic_real: float | None = None
    ct: float | None = None
    closest: Tensor = NO_PAIRS
    distances: tuple[float, ...] = ()

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs, as in ``auth/mnist_cnn``."""
        return named(self, "auth/{}", "auth/{}_real", "ct/{}")


class DuplicatesResult(NamedTuple):
    """Whether samples repeat each other.

    Args:
        extractor: Name of the extractor.
        min_pair_ratio: Distance of the closest pair of fakes over that of as many reals.
        exact: Images that repeat an earlier one bit for bit.
        closest: Numbers (n, 2) of the closest pairs, closest first.
        distances: How far apart these are.
    """

    extractor: str
    min_pair_ratio: float = math.nan
    exact: float = math.nan
    closest: Tensor = NO_PAIRS
    distances: tuple[float, ...] = ()

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs, as in ``dup/exact``."""
        return named(self, "dup/{}_min_pair_ratio", "dup/exact")


class Memorisation(FeatureMetric[MemorisationResult]):
    r"""How near generated images are to the training images, against what chance allows.

    ``compute`` gives a :class:`MemorisationResult`, the last two values where there are held-out
    reals, logged as

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

    Its ``closest`` (20, 2) names the fakes that lie nearest to a training image, and that image, by
    their numbers: to be looked at, since no scalar proves memorisation (Stein et al. 2023).

    Args:
        extractor: The features; in the keys, e is its name.
        reference: Features of all that was trained on, without augmentation, and of held-out
            reals.
        clusters: Number of cells where the reference has no labels.

    Raises:
        ConfigurationError: If the reference is from another extractor, or there are not as many
            training images as clusters.

    Example:
        >>> from lightning_gan.metrics import Memorisation, ReferenceFeatures, get_extractor
        >>> reals = torch.tensor([[0.0], [1.0], [3.0], [6.0]])
        >>> metric = Memorisation(get_extractor("identity"), ReferenceFeatures(reals), clusters=1)
        >>> metric.update(torch.tensor([[3.0], [-5.0]]))  # a copy of the third, and something new
        >>> metric.compute().authentic, metric.compute().closest[0].tolist()
        (50.0, [0, 2])
    """

    min_samples, min_reals = 1, 10
    reference: ReferenceFeatures

    def __init__(
        self, extractor: FeatureExtractor, reference: ReferenceFeatures, clusters: int = 10
    ) -> None:
        super().__init__(extractor, reference)
        check_range(self, at_least(1), at_most(len(reference.train)), clusters=clusters)
        self.clusters = clusters

    def nothing(self) -> MemorisationResult:
        """NaN in every value."""
        nan = None if self.reference.val is None else math.nan
        return MemorisationResult(self.extractor.name, authentic_real=nan, ct=nan)

    def measure(self, bank: FeatureBank) -> MemorisationResult:
        """The values of a bank of generated samples."""
        device = bank.features.device
        train, val = self.reference.train_bank(device), self.reference.val_bank(device)
        to_fakes, near = nearest(bank.features, train.features)
        order = to_fakes.argsort(stable=True)[:NUM_PAIRS]
        result = MemorisationResult(
            self.extractor.name,
            float(authenticity(train, to_fakes, near)),
            closest=torch.stack([bank.index[order.cpu()], near[order].cpu()], 1),
            distances=tuple(to_fakes[order].sqrt().tolist()),
        )
        if val is None:
            return result
        reals = val.features
        to_reals, beside = val.once("train", lambda: nearest(reals, train.features))
        cells = train.once(f"cells {self.clusters}", lambda: self._cells(train))
        real = val.once("authentic", lambda: float(authenticity(train, to_reals, beside)))
        ct = float(copying(to_fakes, cells[near], to_reals, cells[beside]))
        if math.isnan(ct):
            self.warn_once(
                "cells",
                f"No cell has {MIN_FAKES} generated samples and a held-out real, so C_T is NaN: "
                "evaluate on more samples or take fewer clusters.",
            )
        return result._replace(authentic_real=real, ct=ct)

    def _cells(self, train: FeatureBank) -> Tensor:
        labels = self.reference.labels
        if labels is None:
            return clusters(train.features, self.reference.order, self.clusters)
        return labels.to(train.features.device)


def authenticity(training: FeatureBank, distances: Tensor, near: Tensor) -> Tensor:
    """Share, in %, of samples whose nearest training image has a nearer one among its own.

    Args:
        training: All training images.
        distances: Squared distances (N,) of the samples to their nearest training images.
        near: Which those are (N,).
    """
    with torch.inference_mode(False):  # what is kept must serve others, in that mode or not
        known = training.once(
            "own nearest", lambda: distances.new_full((len(training),), torch.nan)
        )
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
        if len(fakes) >= MIN_FAKES:
            total = total + len(reals) * mann_whitney(fakes, reals)
            weights = weights + len(reals)
    return total / weights


def mann_whitney(a: Tensor, b: Tensor) -> Tensor:
    """How far, in standard deviations, a (N,) lies above b (M,) in rank; ties count half."""
    b = b.sort().values
    below, up_to = (torch.searchsorted(b, a, right=right) for right in (False, True))
    n, m = len(a), len(b)
    u = (below + up_to).sum().double() / 2
    return (u - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5


def clusters(features: Tensor, order: Tensor, count: int) -> Tensor:
    """Cells (N,) of vectors (N, D), by Lloyd's algorithm (1982) from the first ones in an order."""
    centres = features[order[:count]].double()
    cells = nearest(features, centres)[1]
    for _ in range(MAX_ROUNDS):
        sums = torch.stack(
            [features[cells == cell].sum(0, dtype=torch.float64) for cell in range(count)]
        )
        sizes = torch.bincount(cells, minlength=count)[:, None]
        centres = torch.where(sizes > 0, sums / sizes, centres)  # an empty cell stays where it is
        before, cells = cells, nearest(features, centres)[1]
        if torch.equal(before, cells):
            break
    return cells


class Duplicates(FeatureMetric[DuplicatesResult]):
    """Whether the generator repeats itself: how near its closest pairs are to each other.

    ``compute`` gives a :class:`DuplicatesResult`, logged as ``dup/<e>_min_pair_ratio``, the
    distance of the two fakes that are closest to each other over that of the two closest of as many
    training images (infinite where some of these are equal), and as ``dup/exact``, the number of
    images that repeat an earlier one bit for bit in uint8.

    With duplicates in at least half of all draws of s samples, the support holds about s^2 images
    at most (Arora and Zhang 2017, Theorem 1). Whether the closest pairs are duplicates, an eye
    decides: ``closest`` (20, 2) holds their numbers, closest first.

    Args:
        extractor: The features; in ``dup/<e>``, e is its name.
        reference: Features of the reals from the same extractor.

    Raises:
        ConfigurationError: If the reference is from another extractor.

    Example:
        >>> from lightning_gan.metrics import Duplicates, ReferenceFeatures, get_extractor
        >>> metric = Duplicates(get_extractor("identity"), ReferenceFeatures(torch.eye(3)))
        >>> metric.update(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
        >>> metric.compute().exact, metric.compute().closest[0].tolist()
        (1.0, [0, 2])
    """

    reference: ReferenceFeatures

    def __init__(self, extractor: FeatureExtractor, reference: ReferenceFeatures) -> None:
        super().__init__(extractor, reference)

    def nothing(self) -> DuplicatesResult:
        """NaN in every value."""
        return DuplicatesResult(self.extractor.name)

    def measure(self, bank: FeatureBank) -> DuplicatesResult:
        """The values of a bank of generated samples."""
        real = self.reference.sample(len(bank), bank.features.device)
        # The minimum over more pairs would be smaller.
        fakes = bank.sample(len(real))
        fake_pair, real_pair = (neighbourhood(x).distances.min() for x in (fakes, real))
        ratio = fake_pair / real_pair if real_pair > 0 else torch.full_like(real_pair, math.inf)
        assert bank.digests is not None  # generated samples have them
        pairs, distances = closest_pairs(bank)
        return DuplicatesResult(
            self.extractor.name,
            float(ratio.sqrt()),
            float(len(bank) - len({*bank.digests.tolist()})),
            bank.index[pairs.cpu()],
            tuple(distances.tolist()),
        )


def closest_pairs(bank: FeatureBank, count: int = NUM_PAIRS) -> tuple[Tensor, Tensor]:
    """The closest pairs of a bank, closest first: rows (count, 2) and distances (count,).

    Args:
        bank: Two vectors or more.
        count: Number of pairs, at most twice as many as ``distances.MIN_DEPTH``.
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
