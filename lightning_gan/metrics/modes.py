"""Which modes of the data the generator draws: classes of labelled images, parts of a mixture."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.base import SampleMetric
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.samples import SampleBatch

MIN_CERTAINTY = 0.9  # the classifier is certain of a picture that it gives more than this
MIN_SHARE = 0.1  # a class is drawn if its share is at least this part of the share in the data
RADIUS = 3.0  # a point is of high quality within so many standard deviations of a mean
ROBUST_PART = 20  # a mode is robustly covered from one 20th of its expected share on ...
MIN_POINTS = 5  # ... and from so many points on
STEP = 2.0**-18  # sigmas: offsets are rounded to it, so that the order of their sums changes no bit
BLOCK = 10_000  # points whose distances are held at once
SMALL = 8  # pixels of the small grey pictures whose variance is divided among and within classes
GREY = 2.0**-12  # their values are rounded to it, for the same reason
ALIKE = 0.2  # below this part of the variance within classes each class is nearly one picture


def divergence(histogram: Tensor, prior: Tensor) -> Tensor:
    """Kullback-Leibler divergence KL(histogram || prior) in nats, of shares (K,) that sum to 1.

    Classes without a share add nothing; one with a share but without a prior makes it infinite.
    """
    return torch.where(
        histogram > 0, histogram * (histogram / prior).log(), torch.zeros_like(histogram)
    ).sum()


def total_variation(histogram: Tensor, prior: Tensor) -> Tensor:
    """Half of the sum of the absolute differences of two histograms (K,): 0 equal, 1 disjoint."""
    return (histogram - prior).abs().sum() / 2


def shares_of(counts: Tensor | Sequence[float], what: str) -> Tensor:
    """Counts or shares (K,) as shares that sum to 1, float64 on the CPU.

    Raises:
        ConfigurationError: If they are none.
    """
    weights = torch.as_tensor(counts).detach().cpu().double()
    if not bool((weights >= 0).all() & (weights.sum() > 0) & weights.isfinite().all()):
        raise ConfigurationError(
            f"{weights.tolist()} are no shares: give the share or the number of {what}."
        )
    return weights / weights.sum()


class ModesResult(NamedTuple):
    """Which modes of the data samples cover; None is what a metric does not measure.

    Args:
        data: Name of the data.
        total: Number of modes, or classes.
        missing: Names of those that are not covered, by the stricter rule where there are two.
        covered: Number of those that are.
        covered_robust: The same by the stricter rule.
        min_share: The smallest share of a class.
        tv: Total variation to the data's shares.
        high_quality: Share of the points that lie near a mode.
        kl: Kullback-Leibler divergence from the data's shares, in nats, over classes of the data.
        kl_all: The same over all points, where ``kl`` is over those of high quality.
        kl_floor: What a perfect sampler scores.
        std_ratio: Standard deviation within a mode over the true one.
        unclassifiable: Share of the pictures that the classifier is not certain of.
        within_classes: Share of the variance of small grey pictures that lies within the classes.
        outside: Share of the pictures that are taken for a class that the data lack.
    """

    data: str
    total: int
    missing: list[str]
    covered: float
    covered_robust: float | None = None
    min_share: float | None = None
    tv: float | None = None
    high_quality: float | None = None
    kl: float | None = None
    kl_all: float | None = None
    kl_floor: float | None = None
    std_ratio: float | None = None
    unclassifiable: float | None = None
    within_classes: float | None = None
    outside: float | None = None

    @property
    def alike(self) -> bool:
        """Whether each class is nearly one picture, although all classes may be covered."""
        return self.within_classes is not None and self.within_classes < ALIKE

    @property
    def strictly_covered(self) -> float:
        """Number of modes that are covered, by the stricter rule where there are two."""
        return self.covered if self.covered_robust is None else self.covered_robust

    def missing_names(self, most: int = 20) -> str:
        """Which modes are missing, in words: so many names, and the number of the others."""
        more = len(self.missing) - most
        return ", ".join(self.missing[:most]) + (f" and {more} more" if more > 0 else "")

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs, as in ``modes/mnist/covered``."""
        values = zip(self._fields[3:], self[3:], strict=True)
        return {f"modes/{self.data}/{name}": x for name, x in values if x is not None}


class CoverageMetric(SampleMetric):
    """A metric that counts the samples of each mode; logged by the name of the data."""

    def __init__(self, data_name: str) -> None:
        super().__init__()
        self.data_name = data_name

    def add_counts(self, counts: Tensor, *modes: Tensor) -> None:
        """Adds to each row of counts (R, K) the samples of these modes (N,)."""
        for row, found in zip(counts, modes, strict=True):
            row += torch.bincount(found, minlength=len(row))

    def result(
        self, names: Iterable[str], present: Tensor, total: int, **values: Tensor | float
    ) -> ModesResult:
        """The result, by the names of the modes and whether each is present; NaN if unusable.

        ``total`` is the number of modes that the data have.
        """
        unusable = self.unusable()
        found = {name: math.nan if unusable else float(x) for name, x in values.items()}
        missing = [name for name, there in zip(names, present, strict=True) if not there]
        return ModesResult(self.data_name, total, missing, **found)


class ClassCoverage(CoverageMetric):
    """How a classifier counts the classes of generated images.

    ``compute`` gives a :class:`ModesResult`, logged under ``modes/<data>/``: ``covered``,
    the number of classes whose share is at least a tenth of their share in the data (the errors of
    the classifier hit every class now and then, so "at least one" would mean nothing);
    ``min_share``, the smallest share; ``tv``, the total variation to the data's shares; ``kl``,
    KL(histogram || prior) in nats; ``within_classes``, the share of the variance of the pictures,
    made grey and 8 x 8 pixels small, that lies within the classes: 0 for a generator that draws one
    picture of each class, which none of the others sees, 0.70 for the training images of MNIST,
    0.92 for those of CIFAR-10; ``unclassifiable``, the share of the pictures that the classifier is
    not certain of (0.9 or less for the likeliest class), as of what lies between two classes.
    Count at least 1000 images.

    Where the data lack a class, one picture that the classifier takes for it would make the
    divergence infinite. So ``kl`` is then that of the pictures of the data's classes alone, and
    ``outside`` says which share of all pictures is of the others; ``tv`` counts both. With none of
    the data's classes ``kl`` is NaN.

    Args:
        classifier: An extractor with as many classes as the data has.
        prior: Share of each class in the data (K,); counts do as well.
        data_name: Name in the keys.
        class_names: Names of missing classes; by default the classifier's own.

    Raises:
        ConfigurationError: If classifier, prior and names do not have as many classes.

    Example:
        >>> from lightning_gan.metrics import ClassCoverage, get_extractor
        >>> metric = ClassCoverage(get_extractor("digits_cnn"), [0.1] * 10, "digits")
        >>> metric.update(torch.zeros(8, 1, 28, 28))  # one picture, eight times
        >>> metric.compute().covered, len(metric.compute().missing)
        (1.0, 9)
    """

    histogram: Tensor
    certain: Tensor
    sums: Tensor
    squares: Tensor
    classifier: FeatureExtractor

    def __init__(
        self,
        classifier: FeatureExtractor,
        prior: Tensor | Sequence[float],
        data_name: str,
        class_names: Sequence[str] = (),
    ) -> None:
        super().__init__(data_name)
        names = tuple(class_names) or classifier.class_names or tuple(map(str, range(len(prior))))
        if not len(prior) == classifier.num_classes == len(names):
            raise ConfigurationError(
                f"The classifier {classifier.name!r} knows {classifier.num_classes} classes, the "
                f"prior has {len(prior)} and {len(names)} are named: take a classifier of the "
                f"classes of {data_name!r}."
            )
        self.set_unregistered(classifier=classifier.freeze())
        self.prior = shares_of(prior, "images of each class")
        self.class_names = names
        histogram = torch.zeros(len(prior), dtype=torch.int64)
        self.add_state("histogram", histogram, dist_reduce_fx="sum")
        self.add_state("certain", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        pixels = torch.zeros(len(prior), SMALL**2, dtype=torch.float64)
        self.add_state("sums", pixels, dist_reduce_fx="sum")
        self.add_state("squares", pixels.clone(), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, images: Tensor | SampleBatch) -> None:
        """Counts generated images (N, C, H, W) in [-1, 1]; N may be 0."""
        batch = self.clean(images)
        if len(batch.kept):
            logits = batch.logits(self.classifier)
            classes = logits.argmax(1)
            self.certain += (logits.softmax(1).amax(1) > MIN_CERTAINTY).sum()
            self.add_counts(self.histogram[None], classes)
            grey = adaptive_avg_pool2d(batch.kept.mean(1, keepdim=True), SMALL).flatten(1)
            small = (grey.to(self.sums.device).double() / GREY).round() * GREY
            classes = classes.to(self.sums.device)
            self.sums.index_add_(0, classes, small)
            self.squares.index_add_(0, classes, small.square())

    def _within_classes(self) -> float:
        """Of the sum of squared deviations from the mean, the part from the means of classes."""
        counts = self.histogram[:, None].double()
        square = self.squares.sum(0)
        whole = square - self.sums.sum(0).square() / counts.sum()
        within = square - (self.sums.square() / counts.clamp(min=1)).sum(0)
        return float(within.sum() / whole.sum()) if whole.sum() > 0 else math.nan

    def compute(self) -> ModesResult:
        """The result; NaN without images."""
        share = self.histogram.cpu().double() / self.histogram.sum().cpu()
        if self.unusable():
            share = torch.full_like(share, math.nan)
        expected, covered = self.prior > 0, share >= MIN_SHARE * self.prior
        lacking = {} if expected.all() else {"outside": share[~expected].sum()}
        inside = share[expected]
        return self.result(
            self.class_names,
            covered,
            int(expected.sum()),
            covered=covered[expected].sum(),
            min_share=inside.min(),
            tv=total_variation(share, self.prior),
            # NaN where no picture is of a class of the data, as in the mixtures' below.
            kl=divergence(inside / inside.sum(), self.prior[expected]) + 0 / inside.sum(),
            within_classes=self._within_classes(),
            unclassifiable=1 - self.certain.cpu().double() / self.histogram.sum().cpu(),
            **lacking,
        )


class MixtureCoverage(CoverageMetric):
    r"""How points cover a mixture of isotropic Gaussians.

    A point belongs to the nearest mean and is of high quality within three standard deviations of
    it. ``compute`` gives a :class:`ModesResult`, logged under ``modes/<data>/``:

    * ``covered``: modes with at least one point of high quality (PacGAN, Lin et al. 2018; VEEGAN,
      Srivastava et al. 2017).
    * ``covered_robust``: modes with at least max(5, N / 20K) of them.
    * ``high_quality``: their share of all points; :math:`1 - e^{-9/2} = 0.989` for a perfect
      sampler in the plane, more means that the modes are too tight.
    * ``kl``: KL(shares || uniform) over points of high quality, as in PacGAN; ``kl_all`` over all
      points; ``kl_floor`` = (K-1) / 2N, what a perfect sampler scores.
    * ``std_ratio``: standard deviation within a mode over the true one, over points of high
      quality, averaged over the modes; 0.974 for a perfect sampler in the plane (the cut at three
      standard deviations), 0 for a generator of K points. Count 100000 points for it.

    Args:
        means: Means (K, D).
        sigma: Standard deviation of every mode, in each direction.
        data_name: Name in the keys.

    Raises:
        ConfigurationError: If there is no mean or sigma is not above 0.

    Example:
        >>> from lightning_gan.metrics import MixtureCoverage
        >>> metric = MixtureCoverage(torch.tensor([[0.0, 0.0], [5.0, 0.0]]), 0.1, "two")
        >>> metric.update(torch.full((20, 2), 0.05))  # all near the first mean
        >>> metric.compute().covered, metric.compute().high_quality, metric.compute().missing
        (1.0, 1.0, ['mode 1'])
        >>> metric.compute().logged()["modes/two/covered"]
        1.0
    """

    counts: Tensor
    spread: Tensor

    def __init__(self, means: Tensor, sigma: float, data_name: str) -> None:
        super().__init__(data_name)
        if means.ndim != 2 or not len(means) or not sigma > 0:
            raise ConfigurationError(
                f"Means of shape {tuple(means.shape)} with sigma = {sigma} are no mixture: give "
                "means (K, D) and a standard deviation above 0."
            )
        self.means = means.detach().cpu().double()
        self.sigma = float(sigma)
        modes, size = means.shape
        # points of each mode: all, and those of high quality
        self.add_state("counts", torch.zeros(2, modes, dtype=torch.int64), dist_reduce_fx="sum")
        # sums over the latter, in steps: offset from the mean, then its square
        self.add_state(
            "spread", torch.zeros(modes, size + 1, dtype=torch.int64), dist_reduce_fx="sum"
        )

    @torch.no_grad()
    def update(self, points: Tensor | SampleBatch) -> None:
        """Adds points (N, D); N may be 0."""
        for block in torch.split(self.clean(points).kept, BLOCK):
            self._add(block.to(self.spread.device).double())

    def _add(self, points: Tensor) -> None:
        if points.shape[1:] != self.means.shape[1:]:
            raise ConfigurationError(
                f"Points of {tuple(points.shape)} do not fit means of {tuple(self.means.shape)}: "
                "generate as many numbers per point as the mixture has."
            )
        offsets = (points[:, None] - self.means.to(points.device)) / self.sigma
        nearest = offsets.square().sum(2).argmin(1)
        offset = offsets[torch.arange(len(points), device=points.device), nearest]
        square = offset.square().sum(1)
        good = square <= RADIUS**2
        self.add_counts(self.counts, nearest, nearest[good])
        steps = (offset[good] / STEP).round().long()
        sums = torch.cat([steps, steps.square().sum(1, keepdim=True)], 1)
        self.spread.index_add_(0, nearest[good], sums)

    def compute(self) -> ModesResult:
        """The result; NaN without points."""
        everything, good = self.counts.cpu().double()
        total, modes = everything.sum(), len(good)
        robust = good >= max(MIN_POINTS, float(total) / (ROBUST_PART * modes))
        uniform = torch.full_like(good, 1 / modes)
        return self.result(
            [f"mode {index}" for index in range(modes)],
            robust,
            modes,
            covered=(good >= 1).sum(),
            covered_robust=robust.sum(),
            high_quality=good.sum() / total,
            kl=divergence(good / good.sum(), uniform) + 0 * good.sum() / good.sum(),
            kl_all=divergence(everything / total, uniform),
            kl_floor=(modes - 1) / (2 * total),
            std_ratio=self._std_ratio(good),
        )

    def _std_ratio(self, good: Tensor) -> Tensor:
        """Mean over the modes with two points or more; NaN if there is none."""
        enough = good >= 2
        count, sums = good[enough], self.spread.cpu()[enough].double()
        offset, square = STEP * sums[:, :-1], STEP**2 * sums[:, -1]
        scatter = (square - offset.square().sum(1) / count).clamp(min=0)
        return (scatter / (offset.shape[1] * (count - 1))).sqrt().mean()
