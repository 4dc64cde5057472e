"""Which samples of a generator are measured: functions of a seed and of their numbers alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError, DataError
from lightning_gan.evaluation.panel import EvaluationData
from lightning_gan.gan import GAN
from lightning_gan.metrics.chunks import chunks
from lightning_gan.metrics.extractors.base import exact_float32
from lightning_gan.training.sampling import BLOCK, Sampling

WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True)
class MeasuredSamples:
    """Samples 0 to ``count`` of a generator, by blocks.

    They depend on the seed and the sample's number, so that k processes measure what one does, and
    the random numbers of training are not touched. Networks in float32 make them without TF32 and
    autocast, on any device.

    Args:
        count: Number of samples, over all processes.
        sampling: How they are drawn.
        averaged: Whether the averaged generator makes them, rather than the one that moves.

    Raises:
        ConfigurationError: If there are fewer than 2 samples.
    """

    count: int
    sampling: Sampling = field(default_factory=Sampling)
    averaged: bool = True

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ConfigurationError(f"num_samples={self.count} must be at least 2.")

    def with_classes_of(self, data: EvaluationData, gan: GAN) -> "MeasuredSamples":
        """The same samples, but with as many of each class as the training split has of it.

        A generator with classes learns how each of them looks, and is told how many there are of
        each: drawn evenly, even a perfect one would be far from data that are uneven.

        Args:
            data: What it is measured against. Its classes are the generator's by their names, where
                both have some, or by their numbers.
            gan: What is measured; where the data have not the classes of its generator, and where
                all are as many, nothing changes.

        Raises:
            DataError: If the labels are no class indices (N,).
        """
        known = gan.generator.num_classes
        ours, theirs = gan.class_names, tuple(data.class_names)
        others = bool(ours and theirs) and {*ours} != {*theirs}
        if known < 2 or data.num_classes != known or others:
            return self
        labels = getattr(data.split("train"), "labels", None)
        if labels is None:
            return self
        labels = torch.as_tensor(labels)
        whole = labels.ndim == 1 and labels.dtype in WHOLE
        if not (whole and len(labels) and 0 <= int(labels.min()) <= int(labels.max()) < known):
            raise DataError(
                f"The labels of {data.name} must be whole numbers (N,) from 0 to {known - 1}, as "
                "the generator knows the classes: mend them."
            )
        counts = torch.bincount(labels, minlength=known).tolist()
        if len({*ours} & {*theirs}) == known:
            counts = [counts[theirs.index(name)] for name in ours]
        if min(counts) == max(counts):
            return self
        return replace(self, sampling=replace(self.sampling, class_counts=tuple(counts)))

    def blocks(self, gan: GAN, rank: int = 0, world: int = 1) -> Iterator[tuple[int, Tensor]]:
        """The blocks of one process, each with its number, float32 on the model's device."""
        for number, _, count in chunks(self.count, BLOCK, rank, world):
            yield number, self._generate(gan, number, slice(0, count))

    def rows(self, gan: GAN, numbers: Tensor) -> Tensor:
        """The samples of those numbers (n,), each generated again by itself."""
        made = [
            self._generate(gan, number // BLOCK, slice(number % BLOCK, number % BLOCK + 1))
            for number in numbers.tolist()
        ]
        return torch.cat(made)

    def _generate(self, gan: GAN, block: int, chosen: slice) -> Tensor:
        network = gan.generator_ema if self.averaged else gan.generator
        with exact_float32(gan.device):
            return self.sampling.generate(network, gan.prior, block, chosen).float()

    def stamp(self) -> dict[str, Any]:
        """What the values of a measurement depend on here."""
        counts = self.sampling.class_counts
        return {
            "count": self.count,
            "seed": self.sampling.seed,
            "truncation": self.sampling.truncation,
            "psi": self.sampling.psi,
            "weights": "averaged" if self.averaged else "raw",
            "source": "generator",
            "quantisation": "none",
            **({} if counts is None else {"classes": f"as in training, {_digest(counts)}"}),
        }


def _digest(counts: tuple[int, ...]) -> str:
    """What tells counts of classes from others."""
    return blake2b(repr(counts).encode(), digest_size=4).hexdigest()
