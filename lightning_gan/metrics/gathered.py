"""Metrics that need all samples at once: gathered in one order, whoever generated them.

Process r of W makes the chunks r, r + W, ... (``lightning_gan.metrics.chunks``) and updates its
metric once per chunk. The number of the update, then the process, then the place in the batch are
therefore the order of the samples, and every value equals that of one process bit for bit.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.base import Result, SampleMetric
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.features import FeatureBank, ReferenceFeatures
from lightning_gan.metrics.samples import SampleBatch

R = TypeVar("R", bound=Result)


class GatheredMetric(SampleMetric, Generic[R]):
    """A metric computed from one vector per generated sample, all of them held in memory.

    A subclass gives ``vectors``, ``measure`` and ``nothing``. Memory: 4 D bytes per sample and
    process, and on every process those of all samples while it computes.
    """

    min_samples = 2
    """With fewer samples every value is NaN."""
    rows: Any  # a list of vectors (n, D), or all of them once they are gathered
    marks: Any  # likewise (n, 2): number of the chunk, hash of the picture

    def __init__(self) -> None:
        super().__init__()
        self.add_state("rows", [], dist_reduce_fx="cat")
        self.add_state("marks", [], dist_reduce_fx="cat")

    def vectors(self, batch: SampleBatch) -> Tensor:
        """What is kept (n, K), float32, of the n finite samples of a batch."""
        raise NotImplementedError(f"{type(self).__name__} has to define vectors(batch).")

    def measure(self, bank: FeatureBank) -> R:
        """The result for a bank of at least ``min_samples`` samples."""
        raise NotImplementedError(f"{type(self).__name__} has to define measure(bank).")

    def nothing(self) -> R:
        """The result where there are too few samples: NaN in every value."""
        raise NotImplementedError(f"{type(self).__name__} has to define nothing().")

    @torch.no_grad()
    def update(self, images: Tensor | SampleBatch, chunk: int | None = None) -> None:
        """Adds generated samples.

        Args:
            images: Images (N, C, H, W) in [-1, 1], or points (N, D); N may be 0.
            chunk: Number of the chunk that they are; by default the number of updates so far,
                which is right for whoever takes the chunks of ``metrics.chunks`` in turn.
        """
        number = self._update_count - 1 if chunk is None else chunk
        batch = self.clean(images)
        if not len(batch):
            return
        device, kept = self.tally.device, len(batch.kept)
        found = self.vectors(batch).to(device) if kept else torch.zeros(0, 0, device=device)
        self.tally[1] += kept - int(found.isfinite().all(1).sum())  # an extractor that overflows
        # samples that are not finite keep their place, so that an index counts all of them
        rows = torch.full((len(batch), found.shape[1]), float("nan"), device=device)
        marks = torch.full((len(batch), 2), number, dtype=torch.int64, device=device)
        finite = batch.finite.to(device)
        rows[finite], marks[finite, 1] = found, batch.hashes.to(device)
        self.rows.append(rows)
        self.marks.append(marks)

    def gathered(self) -> FeatureBank:
        """All finite samples in their order; on several processes only while it computes."""
        if not isinstance(self.rows, Tensor):
            self._fill(self._width())
        rows, marks = dim_zero_cat(self.rows), dim_zero_cat(self.marks)
        order = marks[:, 0].argsort(stable=True)
        finite = rows[order].isfinite().all(1)
        index = finite.nonzero().flatten().cpu()
        chosen = order[finite]
        # float64 is needed from here on, so what has none computes on the CPU
        device = torch.device("cpu") if rows.device.type == "mps" else rows.device
        return FeatureBank(rows[chosen].to(device), index, marks[chosen, 1].cpu())

    @torch.no_grad()
    def compute(self) -> R:
        """The result; NaN with too few samples."""
        return self.nothing() if self.unusable(self.min_samples) else self.measure(self.gathered())

    def _sync_dist(
        self,
        dist_sync_fn: Callable[..., list[Tensor]] = gather_all_tensors,
        process_group: Any | None = None,  # noqa: ANN401 (torch's groups have no common type)
    ) -> None:
        """Gathers, after a process without samples got zero rows as wide as those of the others."""
        width = torch.tensor(self._width(), device=self.tally.device)
        widths = dist_sync_fn(width, group=process_group or self.process_group)
        self._fill(int(torch.stack(widths).max()))
        super()._sync_dist(dist_sync_fn, process_group)

    def _width(self) -> int:
        return max((part.shape[1] for part in self.rows), default=0)

    def _fill(self, width: int) -> None:
        """Gives all rows that width: a batch of which nothing was finite has none of its own."""
        device = self.tally.device
        wide = [x if x.shape[1] else x.new_full((len(x), width), torch.nan) for x in self.rows]
        self.rows = wide or [torch.zeros(0, width, device=device)]
        self.marks = self.marks or [torch.zeros(0, 2, dtype=torch.int64, device=device)]


class FeatureMetric(GatheredMetric[R]):
    """A metric of the features of generated images, most often against those of the reals.

    Args:
        extractor: The features; its name stands in the keys.
        reference: Features of the reals from the same extractor, where they are needed.

    Raises:
        ConfigurationError: If the reference is from another extractor.
    """

    min_reals = 2
    """Fewer training samples than these are no reference of its default arguments."""
    extractor: FeatureExtractor
    reference: ReferenceFeatures | None

    def __init__(
        self, extractor: FeatureExtractor, reference: ReferenceFeatures | None = None
    ) -> None:
        super().__init__()
        if reference is not None:
            reference.check_extractor(extractor)
        self.set_unregistered(extractor=extractor.freeze())
        self.reference = reference

    def vectors(self, batch: SampleBatch) -> Tensor:
        """The features.

        Raises:
            ConfigurationError: If there are not as many as in the reference.
        """
        features = batch.features(self.extractor)
        if self.reference is None:
            return features
        return self.reference.check_features(features, batch)


class SuiteResult(NamedTuple):
    """The results of the metrics of a suite, in their order."""

    results: tuple[Any, ...]

    def logged(self) -> dict[str, float]:
        """All values by their names in the logs."""
        return {key: x for result in self.results for key, x in result.logged().items()}


class FeatureSuite(FeatureMetric[SuiteResult]):
    """Several metrics of one extractor that share the features, the gathering and the distances.

    Only the suite is updated and computed.

    Args:
        metrics: Metrics with the same extractor.

    Raises:
        ConfigurationError: If there is none, or their extractors differ.

    Example:
        >>> from lightning_gan.metrics import Duplicates, FeatureSuite, VendiScore, get_extractor
        >>> reals, points = ReferenceFeatures(torch.eye(3)), get_extractor("identity")
        >>> suite = FeatureSuite([VendiScore(points), Duplicates(points, reals)])
        >>> suite.update(torch.eye(3).repeat(2, 1))
        >>> diversity, duplicates = suite.compute().results
        >>> round(diversity.value, 6), duplicates.exact
        (3.0, 3.0)
    """

    metrics: tuple[FeatureMetric[Any], ...]

    def __init__(self, metrics: Sequence[FeatureMetric[Any]]) -> None:
        names = sorted({metric.extractor.name for metric in metrics})
        if len(names) != 1:
            raise ConfigurationError(
                f"A suite shares one extractor, and {len(names)} were given ({', '.join(names)}): "
                "make a suite for each."
            )
        reference = next((m.reference for m in metrics if m.reference is not None), None)
        super().__init__(metrics[0].extractor, reference)
        self.metrics = tuple(metrics)

    @torch.no_grad()
    def compute(self) -> SuiteResult:
        """The results of all metrics; NaN in those that need more samples."""
        bank = self.gathered()
        results = (
            m.nothing() if self.unusable(m.min_samples) else m.measure(bank) for m in self.metrics
        )
        return SuiteResult(tuple(results))
