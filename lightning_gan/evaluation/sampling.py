"""Which samples of a generator are measured: functions of a seed and of their numbers alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.metrics.chunks import chunks
from lightning_gan.metrics.extractors.base import exact_float32
from lightning_gan.training.sampling import BLOCK, Sampling


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

    def with_classes_of(self, labels: Tensor, gan: GAN) -> "MeasuredSamples":
        """The same samples, but with as many of each class as these labels have of theirs.

        A generator with classes learns how each of them looks, and is told how many there are of
        each: drawn evenly, even a perfect one would be far from data that are uneven.

        Args:
            labels: Class indices (N,) of what it is measured against.
            gan: What is measured; where its generator knows no classes, or others than these
                labels, and where all are as many, nothing changes.
        """
        known = gan.generator.num_classes
        if known < 2 or not len(labels) or not 0 <= int(labels.min()) <= int(labels.max()) < known:
            return self
        counts = torch.bincount(labels, minlength=known).tolist()
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
        return {
            "count": self.count,
            "seed": self.sampling.seed,
            "truncation": self.sampling.truncation,
            "psi": self.sampling.psi,
            "weights": "averaged" if self.averaged else "raw",
            "source": "generator",
            "quantisation": "none",
            **({} if self.sampling.class_counts is None else {"classes": "as in training"}),
        }
