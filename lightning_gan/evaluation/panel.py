"""All measures of generated samples against one data set, fed by one pass of generation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lightning_gan.basics.images import from_uint8, grid
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.exact import SampleMetric
from lightning_gan.metrics.extractors.base import FeatureExtractor, default_extractor, get_extractor
from lightning_gan.metrics.features import ReferenceFeatures
from lightning_gan.metrics.frechet import FrechetDistance
from lightning_gan.metrics.gathered import FeatureMetric, FeatureSuite, GatheredMetric
from lightning_gan.metrics.inception_score import ClassifierScore
from lightning_gan.metrics.kernel import KernelDistance
from lightning_gan.metrics.memorisation import Duplicates, Memorisation
from lightning_gan.metrics.modes import ClassCoverage, MixtureCoverage
from lightning_gan.metrics.neighbours import Neighbours
from lightning_gan.metrics.reference import ReferenceStatistics, content_hash
from lightning_gan.metrics.samples import SampleBatch
from lightning_gan.metrics.stacked import CLASSIFIER, StackedCoverage, StackedExtractor
from lightning_gan.metrics.vendi import VendiScore

Measure = Literal[
    "frechet", "kernel", "neighbours", "vendi", "score", "memorisation", "duplicates", "modes"
]
MEASURES: tuple[Measure, ...] = get_args(Measure)
OF_FEATURES: dict[Measure, type[FeatureMetric]] = {
    "kernel": KernelDistance,
    "neighbours": Neighbours,
    "vendi": VendiScore,
    "memorisation": Memorisation,
    "duplicates": Duplicates,
}
COLUMNS = 8
"""Of the pictures of pairs: four pairs in a row."""
SAMPLES = {"images": 10_000, "stacked": 26_000, "points": 2_500}
"""Samples for one value: of a thousand modes as in VEEGAN and PacGAN, likewise of points."""


def extractor_for(data: Any, name: str | None = None) -> FeatureExtractor:  # noqa: ANN401
    """The extractor of that name, or the usual one for these data; nothing that is downloaded.

    Args:
        data: A data module.
        name: As ``get_extractor`` takes it; that of the data where None.
    """
    stacked = getattr(data, "stacked", 0)
    if name is None and stacked:
        return StackedExtractor(get_extractor(CLASSIFIER), stacked, data.padding)
    return get_extractor(name or default_extractor(data.name, data.channels, data.image_size))


def usual_samples(data: Any) -> int:  # noqa: ANN401 (any fitting data module)
    """How many samples the literature measures on such data."""
    if getattr(data, "stacked", 0):
        return SAMPLES["stacked"]
    return SAMPLES["images" if data.image_size else "points"]


class Panel:
    """Measures of generated samples against the training split of a data set.

    Every process feeds its chunks and computes; values are equal on all of them.

    Args:
        data: A data module: ``split(name)``, ``name``, ``channels``, ``image_size``,
            ``num_classes``, and what it has of ``means``, ``sigma``, ``stacked``.
        measures: What is measured; where None, all of ``among`` that fit the data.
        extractor: Name of the extractor, or import path of a FeatureExtractor class; the data's
            own where None.
        classifier: Likewise what tells classes apart; the extractor where None.
        held_out: Split of the reals that the discriminator never saw.
        cache_dir: Where statistics of the reals are kept; the user's cache folder where None.
        device: Where everything is computed.
        among: What is chosen from where no measures are given.

    Raises:
        ConfigurationError: If a measure does not fit the data, or there is none.
    """

    def __init__(
        self,
        data: Any,  # noqa: ANN401 (any fitting data module)
        measures: Sequence[Measure] | None = None,
        extractor: str | None = None,
        classifier: str | None = None,
        held_out: Literal["val", "test"] = "test",
        cache_dir: str | os.PathLike[str] | None = None,
        device: torch.device | str = "cpu",
        among: Sequence[Measure] = MEASURES,
    ) -> None:
        self.data, self.held_out = data, held_out
        self.cache_dir, self.device = cache_dir, device
        self.extractor = extractor_for(data, extractor)
        self.classifier = self._classifier(classifier)
        self.measures = self._fitting(measures, among)
        self._suite: FeatureSuite | None = None
        self.modes: ClassCoverage | MixtureCoverage | StackedCoverage | None = None
        self.metrics: list[SampleMetric] = list(self._build())
        self._stamp = self._described()
        del self._train  # stacked digits would take 300 MB

    def _classifier(self, name: str | None) -> FeatureExtractor | None:
        """What tells the classes of the data apart, where anything does."""
        if getattr(self.data, "stacked", 0):
            if name is None and isinstance(self.extractor, StackedExtractor):
                return self.extractor
            single = get_extractor(name or CLASSIFIER)
            return StackedExtractor(single, self.data.stacked, self.data.padding)
        found = get_extractor(name) if name else self.extractor
        if name is None and found.num_classes not in (0, self.data.num_classes):
            return None
        if name is not None and found.num_classes != self.data.num_classes:
            raise ConfigurationError(
                f"{name} tells {found.num_classes} classes apart but the data have "
                f"{self.data.num_classes}: give a classifier for these data, or leave it out."
            )
        return found if found.num_classes else None

    def _fitting(
        self, measures: Sequence[Measure] | None, among: Sequence[Measure]
    ) -> tuple[Measure, ...]:
        unfit: dict[Measure, str] = {}
        stacked, points = getattr(self.data, "stacked", 0), hasattr(self.data, "means")
        if self.classifier is None or stacked:
            unfit["score"] = "an extractor that classifies whole images"
        if self.classifier is None and not points:
            unfit["modes"] = "a classifier of these data"
        if measures is None:
            return tuple(name for name in MEASURES if name in among and name not in unfit)
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

    def _build(self) -> Iterator[SampleMetric]:
        of_features = [OF_FEATURES[name] for name in self.measures if name in OF_FEATURES]
        reference = self._features if of_features else None
        if "frechet" in self.measures:
            yield FrechetDistance(self.extractor, self._statistics(reference))
        if of_features:
            self._suite = FeatureSuite([kind(self.extractor, reference) for kind in of_features])
            yield self._suite
        if "score" in self.measures and self.classifier is not None:
            yield ClassifierScore(self.classifier)
        if "modes" in self.measures:
            self.modes = self._coverage()
            yield self.modes

    def _coverage(self) -> ClassCoverage | MixtureCoverage | StackedCoverage:
        """Of clusters where the data have means, of classes or rows of them otherwise."""
        data = self.data
        if hasattr(data, "means"):
            return MixtureCoverage(data.means, data.sigma, data.name)
        assert self.classifier is not None  # or modes were refused
        if getattr(data, "stacked", 0):
            return StackedCoverage(data.digit_counts, data.name, self.classifier)
        counts = torch.bincount(self._train.labels, minlength=data.num_classes)
        return ClassCoverage(self.classifier, counts, data.name, data.class_names)

    @cached_property
    def _train(self) -> Any:  # noqa: ANN401 (the data module's own type of split)
        return self.data.split("train")

    @cached_property
    def _features(self) -> ReferenceFeatures:
        train, held_out = self._train, self.data.split(self.held_out)
        images = held_out.images if len(held_out.images) >= 2 else None
        labels = train.labels if 1 < self.data.num_classes <= 100 else None
        return ReferenceFeatures.load_or_build(
            train.images, self.extractor, images, labels, **self._place
        )

    def _statistics(self, reference: ReferenceFeatures | None) -> ReferenceStatistics:
        known = None if reference is None else reference.training
        return ReferenceStatistics.load_or_build(
            self._train.images, self.extractor, **self._place, features=known
        )

    @property
    def _place(self) -> dict[str, Any]:
        return {
            "split": "train",
            "data_name": self.data.name,
            "cache_dir": self.cache_dir,
            "device": self.device,
        }

    @property
    def total(self) -> int:
        """Number of classes or modes there are."""
        count: int = self.data.num_classes
        return count

    @torch.no_grad()
    def measure(self, chunks: Iterable[tuple[int, Tensor]]) -> dict[str, float]:
        """All values of the samples that the chunks of all processes hold.

        Args:
            chunks: Of this process: number of the chunk among all, and its images (N, C, H, W) in
                [-1, 1] or points (N, D), on the device where to compute.

        Returns:
            The values, with how many samples were seen, not finite, or out of range.
        """
        for metric in self.metrics:
            metric.reset()
            metric.to(self.device)
        for number, samples in chunks:
            batch = SampleBatch(samples)
            for metric in self.metrics:
                in_order = (number,) if isinstance(metric, GatheredMetric) else ()
                metric.update(batch, *in_order)
        values = {k: float(v) for metric in self.metrics for k, v in metric.compute().items()}
        counts = self.metrics[0].counted()
        for network in {self.extractor, self.classifier or self.extractor}:
            network.cpu()  # room for training; they follow the next samples
        return values | {f"eval/{name}": float(count) for name, count in counts.items()}

    def missing(self) -> list[str]:
        """Names of the classes or modes that are not found; all processes have to ask."""
        return [] if self.modes is None else self.modes.missing()

    def closest(self, measure: Literal["memorisation", "duplicates"]) -> Tensor:
        """Numbers (n, 2) of the fakes nearest to training images, or of the closest fakes."""
        for metric in () if self._suite is None else self._suite.metrics:
            if measure == "memorisation" and isinstance(metric, Memorisation):
                return metric.closest
            if measure == "duplicates" and isinstance(metric, Duplicates):
                return metric.pairs
        return torch.zeros(0, 2, dtype=torch.int64)

    def pictures(self, rows: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """What no number proves, where it was measured: pairs of pictures, closest first.

        Args:
            rows: Gives samples (n, C, H, W) by their numbers (n,).

        Returns:
            uint8 (3, H, W): under ``closest_pairs`` the fakes that are nearest to each other, and
            under ``nearest_training`` those nearest to a training image, that image to their right.
        """
        found: dict[str, Tensor] = {}
        if not self.data.image_size:
            return found
        pairs, copies = self.closest("duplicates"), self.closest("memorisation")
        if len(pairs):
            found["closest_pairs"] = grid(rows(pairs.flatten()).cpu(), COLUMNS)
        if len(copies):
            reals = from_uint8(self.data.split("train").images[copies[:, 1]])
            both = torch.stack([rows(copies[:, 0]).cpu(), reals], 1)
            found["nearest_training"] = grid(both.flatten(0, 1), COLUMNS)
        return found

    def stamp(self) -> dict[str, Any]:
        """What the values depend on besides the samples: two of other stamps do not compare."""
        return dict(self._stamp)

    def _described(self) -> dict[str, Any]:
        held_out = "memorisation" in self.measures
        return {
            "extractor": describe_extractor(self.extractor),
            "classifier": self.classifier and describe_extractor(self.classifier),
            "reference": self._describe("train"),
            "held_out": self._describe(self.held_out) if held_out else None,
            "neighbours": self._neighbours(),
        }

    def _neighbours(self) -> dict[str, int] | None:
        for metric in () if self._suite is None else self._suite.metrics:
            if isinstance(metric, Neighbours):
                names = ("manifold_k", "density_k", "most")
                return {name: getattr(metric, name) for name in names}
        return None

    def _describe(self, name: Literal["train", "val", "test"]) -> dict[str, Any]:
        images = (self._train if name == "train" else self.data.split(name)).images
        found = {"data": self.data.name, "split": name, "count": len(images)}
        return found | {"sha256": content_hash(images)}


def describe_extractor(extractor: FeatureExtractor) -> dict[str, str]:
    """Name, weights and rule of resizing of an extractor."""
    return {
        "name": extractor.name,
        "sha256": extractor.fingerprint,
        "resizing": extractor.resizing,
    }
