"""All measures of generated samples against one data set, fed by one pass of generation."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor

from lightning_gan.basics.images import grid, in_range
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.base import SampleMetric
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.extractors.registry import default_extractor, get_extractor
from lightning_gan.metrics.features import ReferenceFeatures
from lightning_gan.metrics.frechet import FrechetDistance, FrechetResult, ReferenceStatistics
from lightning_gan.metrics.gathered import FeatureMetric, FeatureSuite, GatheredMetric
from lightning_gan.metrics.inception_score import ClassifierScore, ClassifierScoreResult
from lightning_gan.metrics.kernel import KernelDistance, KernelResult
from lightning_gan.metrics.memorisation import (
    Duplicates,
    DuplicatesResult,
    Memorisation,
    MemorisationResult,
)
from lightning_gan.metrics.modes import ClassCoverage, MixtureCoverage, ModesResult
from lightning_gan.metrics.neighbours import Neighbours, NeighboursResult
from lightning_gan.metrics.reference import content_hash
from lightning_gan.metrics.samples import SampleBatch
from lightning_gan.metrics.stacked import CLASSIFIER, StackedCoverage, StackedExtractor
from lightning_gan.metrics.vendi import VendiResult, VendiScore

Measure = Literal[
    "frechet", "kernel", "neighbours", "vendi", "score", "memorisation", "duplicates", "modes"
]
MEASURES: tuple[Measure, ...] = get_args(Measure)
FEATURE_METRICS: dict[Measure, type[FeatureMetric[Any]]] = {
    "kernel": KernelDistance,
    "neighbours": Neighbours,
    "vendi": VendiScore,
    "memorisation": Memorisation,
    "duplicates": Duplicates,
}
SUITE = "features"
"""Name of the metric that has all of these."""
COUNTS = ("n", "nonfinite", "out_of_range", "seconds")
"""What the logs tell of a measurement besides the measures."""
COLUMNS = 8
"""Of the pictures of pairs: four pairs in a row."""
NUM_SAMPLES = {"images": 10_000, "stacked": 26_000, "points": 2_500}
"""Samples for one value: of a thousand modes as in VEEGAN and PacGAN, likewise of points."""


class Samples(Protocol):
    """A split of real samples."""

    @property
    def images(self) -> Tensor:
        """Images (N, C, H, W), uint8, or points (N, D)."""

    @property
    def labels(self) -> Tensor:
        """Class indices (N,)."""


class EvaluationData(Protocol):
    """What a data module tells of real samples."""

    name: str
    channels: int
    num_classes: int
    class_names: tuple[str, ...]

    @property
    def image_size(self) -> int | tuple[int, int]:
        """Height and width, one number where they are equal; 0 for points."""

    def split(self, name: Literal["train", "val", "test"]) -> Samples:
        """The samples of a split."""


@runtime_checkable
class MixtureData(EvaluationData, Protocol):
    """Points around known means."""

    means: Tensor
    sigma: float


@runtime_checkable
class StackedData(EvaluationData, Protocol):
    """Pictures that show a digit in each channel."""

    stacked: int
    padding: int

    @property
    def digit_counts(self) -> Tensor:
        """Training digits of each class (K,)."""


@dataclass(frozen=True)
class Measured:
    """What has been measured of generated samples; None is what has not.

    Args:
        n: Samples seen, over all processes.
        nonfinite: How many of them held a NaN or an infinity.
        out_of_range: How many images left [-1, 1].
        frechet: The Frechet distance to the reals.
        kernel: The kernel distance to them.
        neighbours: Precision, recall, density, coverage and the 1-nearest-neighbour test.
        vendi: The Vendi score.
        score: The Inception score.
        memorisation: How near the samples are to the training images.
        duplicates: How near they are to each other.
        modes: Which classes or modes they cover.
        seconds: How long generating and measuring took.
    """

    n: int
    nonfinite: int = 0
    out_of_range: int = 0
    frechet: FrechetResult | None = None
    kernel: KernelResult | None = None
    neighbours: NeighboursResult | None = None
    vendi: VendiResult | None = None
    score: ClassifierScoreResult | None = None
    memorisation: MemorisationResult | None = None
    duplicates: DuplicatesResult | None = None
    modes: ModesResult | None = None
    seconds: float | None = None

    def missing(self) -> dict[str, str]:
        """Names of the modes that are missing, under ``missing``; nothing where none is."""
        names = self.modes.missing_names() if self.modes else ""
        return {"missing": names} if names else {}

    def logged(self) -> dict[str, float]:
        """All values by their names in the logs."""
        numbers = {name: getattr(self, name) for name in COUNTS}
        found = {f"eval/{name}": float(x) for name, x in numbers.items() if x is not None}
        for measure in MEASURES:
            if (result := getattr(self, measure)) is not None:
                found |= result.logged()
        return found


def extractor_for(data: EvaluationData, name: str | None = None) -> FeatureExtractor:
    """The extractor of that name, or the usual one for these data; nothing that is downloaded.

    Args:
        data: A data module.
        name: As ``get_extractor`` takes it; that of the data where None.
    """
    if name is None and isinstance(data, StackedData):
        return _stacked_classifier(data)
    return get_extractor(name or default_extractor(data.name, data.channels, data.image_size))


def _stacked_classifier(data: StackedData, name: str | None = None) -> StackedExtractor:
    return StackedExtractor(get_extractor(name or CLASSIFIER), data.stacked, data.padding)


def default_num_samples(data: EvaluationData) -> int:
    """How many samples the literature measures on such data."""
    if isinstance(data, StackedData):
        return NUM_SAMPLES["stacked"]
    return NUM_SAMPLES["images" if data.image_size else "points"]


class Panel:
    """Measures of generated samples against the training split of a data set.

    Every process feeds its chunks and computes; values are equal on all of them.

    Args:
        data: A data module.
        measures: What is measured; where None, all of ``default_measures`` that fit the data.
        extractor: Name of the extractor, or import path of a FeatureExtractor class; the data's
            own where None.
        classifier: Likewise what tells classes apart; the extractor where None.
        val_split: Split of the reals that the discriminator never saw.
        cache_dir: Where statistics of the reals are kept; the user's cache folder where None.
        device: Where everything is computed.
        default_measures: What is chosen from where no measures are given.

    Raises:
        ConfigurationError: If a measure does not fit the data, or there is none.
    """

    def __init__(
        self,
        data: EvaluationData,
        measures: Sequence[Measure] | None = None,
        extractor: str | None = None,
        classifier: str | None = None,
        val_split: Literal["val", "test"] = "test",
        cache_dir: str | os.PathLike[str] | None = None,
        device: torch.device | str = "cpu",
        default_measures: Sequence[Measure] = MEASURES,
    ) -> None:
        self.data, self.val_split = data, val_split
        self.cache_dir, self.device = cache_dir, device
        self.extractor = extractor_for(data, extractor)
        self.classifier = self._find_classifier(classifier)
        self.remarks: list[str] = []
        """What a user should know before believing the values, in sentences."""
        train = data.split("train")  # not kept: stacked digits would take 300 MB
        self.measures = self._fitting(measures, default_measures, len(train.images))
        self.metrics: dict[str, SampleMetric] = dict(self._build(train))
        self._stamp = self._describe(train)

    def _find_classifier(self, name: str | None) -> FeatureExtractor | None:
        """What tells the classes of the data apart, where anything does."""
        if isinstance(self.data, StackedData):
            if name is None and isinstance(self.extractor, StackedExtractor):
                return self.extractor
            return _stacked_classifier(self.data, name)
        found = get_extractor(name) if name else self.extractor
        fits = found.num_classes == self.data.num_classes
        if name is not None and not fits:
            raise ConfigurationError(
                f"{name} tells {found.num_classes} classes apart but the data have "
                f"{self.data.num_classes}: give a classifier for these data, or leave it out."
            )
        return found if fits and found.num_classes else None

    def _fitting(
        self, measures: Sequence[Measure] | None, default: Sequence[Measure], reals: int
    ) -> tuple[Measure, ...]:
        unfit: dict[Measure, str] = {
            name: f"at least {kind.min_reals} training samples"
            for name, kind in FEATURE_METRICS.items()
            if reals < kind.min_reals
        }
        if self.classifier is None or isinstance(self.data, StackedData):
            unfit["score"] = "an extractor that classifies whole images"
        if self.classifier is None and not isinstance(self.data, MixtureData):
            unfit["modes"] = "a classifier of these data"
        if measures is None:
            return tuple(name for name in MEASURES if name in default and name not in unfit)
        for measure in measures:
            if measure in unfit or measure not in MEASURES:
                needs = unfit.get(measure, f"to be one of {', '.join(MEASURES)}")
                raise ConfigurationError(
                    f"The measure {measure!r} needs {needs}, which {self.data.name!r} with the "
                    f"extractor {self.extractor.name!r} does not have: leave it out."
                )
        if not measures:
            raise ConfigurationError(f"There is no measure: give some of {', '.join(MEASURES)}.")
        return tuple(name for name in MEASURES if name in measures)

    def _build(self, train: Samples) -> Iterator[tuple[str, SampleMetric]]:
        known = None
        place: dict[str, Any] = {
            "data_name": self.data.name,
            "cache_dir": self.cache_dir,
            "device": self.device,
        }
        if kinds := [FEATURE_METRICS[measure] for measure in self._feature_measures]:
            val = self.data.split(self.val_split).images
            reference = ReferenceFeatures.load_or_build(
                train.images,
                self.extractor,
                val if len(val) >= 2 else None,
                train.labels if 1 < self.data.num_classes <= 100 else None,
                **place,
            )
            known = reference.train
            yield SUITE, FeatureSuite([kind(self.extractor, reference) for kind in kinds])
        if "frechet" in self.measures:
            statistics = ReferenceStatistics.load_or_build(
                train.images, self.extractor, **place, features=known
            )
            self._note_if_few(statistics)
            yield "frechet", FrechetDistance(self.extractor, statistics)
        if "score" in self.measures and self.classifier is not None:
            yield "score", ClassifierScore(self.classifier)
        if "modes" in self.measures:
            yield "modes", self._coverage(train)

    def _note_if_few(self, statistics: ReferenceStatistics) -> None:
        """Notes where the reals are too few for their covariance."""
        if statistics.count > statistics.size:
            return
        name = f"fid/{self.extractor.name}"
        self.remarks.append(
            f"The reference has {statistics.count} samples and {self.extractor.name} has "
            f"{statistics.size} features, so that {name} measures chance more than the generator: "
            f"read it beside {name}_floor, or give more than {statistics.size} samples."
        )

    @property
    def _feature_measures(self) -> list[Measure]:
        return [measure for measure in self.measures if measure in FEATURE_METRICS]

    def _coverage(self, train: Samples) -> SampleMetric:
        """Of clusters where the data have means, of classes or rows of them otherwise."""
        data = self.data
        if isinstance(data, MixtureData):
            return MixtureCoverage(data.means, data.sigma, data.name)
        assert self.classifier is not None  # or modes were refused
        if isinstance(data, StackedData):
            return StackedCoverage(data.digit_counts, data.name, self.classifier)
        counts = torch.bincount(train.labels, minlength=data.num_classes)
        return ClassCoverage(self.classifier, counts, data.name, data.class_names)

    @torch.no_grad()
    def measure(self, chunks: Iterable[tuple[int, Tensor]]) -> Measured:
        """What the samples are worth that the chunks of all processes hold.

        Args:
            chunks: Of this process: number of the chunk among all, and its images (N, C, H, W) in
                [-1, 1] or points (N, D), on the device where to compute.
        """
        for metric in self.metrics.values():
            metric.reset()
            metric.to(self.device)
        for number, samples in chunks:
            batch = SampleBatch(samples)
            for metric in self.metrics.values():
                in_order = (number,) if isinstance(metric, GatheredMetric) else ()
                metric.update(batch, *in_order)
        found: dict[str, Any] = {name: metric.compute() for name, metric in self.metrics.items()}
        if (suite := found.pop(SUITE, None)) is not None:
            found |= zip(self._feature_measures, suite.results, strict=True)
        counts = next(iter(self.metrics.values())).sample_counts()
        for network in {self.extractor, self.classifier or self.extractor}:
            network.cpu()  # room for training; they follow the next samples
        return Measured(*counts, **found)

    def pictures(self, measured: Measured, rows: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """What no number proves, where it was measured: pairs of pictures, closest first.

        Args:
            measured: What was measured.
            rows: Gives samples (n, C, H, W) by their numbers (n,).

        Returns:
            uint8 (3, H, W): under ``closest_pairs`` the fakes that are nearest to each other, and
            under ``nearest_training`` those nearest to a training image, that image to their right.
        """
        found: dict[str, Tensor] = {}
        if not self.data.image_size:
            return found
        if measured.duplicates is not None and len(pairs := measured.duplicates.closest):
            found["closest_pairs"] = grid(rows(pairs.flatten()).cpu(), COLUMNS)
        if measured.memorisation is not None and len(copies := measured.memorisation.closest):
            reals = in_range(self.data.split("train").images[copies[:, 1]])
            both = torch.stack([rows(copies[:, 0]).cpu(), reals], 1)
            found["nearest_training"] = grid(both.flatten(0, 1), COLUMNS)
        return found

    def stamp(self) -> dict[str, Any]:
        """What the values depend on besides the samples: two of other stamps do not compare."""
        return dict(self._stamp)

    def _describe(self, train: Samples) -> dict[str, Any]:
        suite, neighbours, held_out = self.metrics.get(SUITE), None, None
        for metric in suite.metrics if isinstance(suite, FeatureSuite) else ():
            if isinstance(metric, Neighbours):
                k = {"manifold_k": metric.manifold_k, "density_k": metric.density_k}
                neighbours = k | {"most": metric.max_samples, "order": "shuffled"}
        if {"memorisation", "neighbours"} & set(self.measures):
            held_out = self._describe_split(self.val_split, self.data.split(self.val_split))
        return {
            "extractor": _describe_extractor(self.extractor),
            "classifier": self.classifier and _describe_extractor(self.classifier),
            "reference": self._describe_split("train", train),
            "held_out": held_out,
            "neighbours": neighbours,
            "score": self._describe_score(),
        }

    def _describe_score(self) -> dict[str, Any] | None:
        score = self.metrics.get("score")
        if not isinstance(score, ClassifierScore):
            return None
        return {"splits": score.splits, "order": "shuffled"}

    def _describe_split(self, name: str, samples: Samples) -> dict[str, Any]:
        found = {"data": self.data.name, "split": name, "count": len(samples.images)}
        return found | {"sha256": content_hash(samples.images)}


def _describe_extractor(extractor: FeatureExtractor) -> dict[str, str]:
    return {"name": extractor.name, "sha256": extractor.fingerprint, "resizing": extractor.resizing}
