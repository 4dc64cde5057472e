"""What metrics look at: generated samples, cleaned once, with what extractors make of them."""

import hashlib
from functools import cached_property

import torch
from torch import Tensor

from lightning_gan.basics.images import to_uint8
from lightning_gan.metrics.extractors.base import (
    FeatureExtractor,
    check_floats,
    check_samples,
    outside,
)


class SampleBatch:
    """Generated samples as several metrics see them: each extractor looks at them once.

    A generator may leave [-1, 1] while it learns, so its images are clamped and counted here; a
    metric that is given bare images refuses those.

    Args:
        samples: Images (N, C, H, W) in [-1, 1], or points (N, D).

    Raises:
        ConfigurationError: If they are integers.

    Attributes:
        finite: Which samples are finite, bool (N,).
        kept: The finite ones, float32 or wider, images clamped to [-1, 1].
        low: Smallest entry before the clamping.
        high: Largest entry before the clamping.
        outside: Number of images that left [-1, 1].
    """

    def __init__(self, samples: Tensor) -> None:
        check_floats(samples)
        samples = samples.detach()
        if samples.dtype not in (torch.float32, torch.float64):
            samples = samples.float()
        flat = samples.flatten(1) if samples.ndim > 1 else samples[:, None]
        self.finite = flat.isfinite().all(1)
        kept = samples if bool(self.finite.all()) else samples[self.finite]
        self.low, self.high, self.outside = -1.0, 1.0, 0
        if kept.ndim == 4 and kept.numel():
            self.outside = int(outside(kept).sum())
            self.low, self.high = float(kept.min()), float(kept.max())
            kept = kept.clamp(-1, 1)
        self.kept = kept
        self._features: dict[FeatureExtractor, Tensor] = {}
        self._logits: dict[FeatureExtractor, Tensor] = {}

    def __len__(self) -> int:
        return len(self.finite)

    @classmethod
    def of(cls, samples: "Tensor | SampleBatch") -> "SampleBatch":
        """The batch itself, or the samples as one.

        Raises:
            ConfigurationError: If they are integers, or images that leave [-1, 1].
        """
        if isinstance(samples, SampleBatch):
            return samples
        check_samples(samples)
        return cls(samples)

    def features(self, extractor: FeatureExtractor) -> Tensor:
        """Features (n, D), float32, of the n finite samples."""
        if extractor not in self._features:
            self._features[extractor] = extractor(self.kept)
        return self._features[extractor]

    def logits(self, extractor: FeatureExtractor) -> Tensor:
        """Logits (n, K), float32, of the n finite samples, from the features where they do."""
        if extractor not in self._logits:
            if extractor.reads_features:
                found = extractor.head(self.features(extractor))
            else:
                found = extractor.classify(self.kept)
            self._logits[extractor] = found
        return self._logits[extractor]

    @cached_property
    def hashes(self) -> Tensor:
        """A hash (n,), int64 on the CPU, of each finite sample; see :func:`picture_hashes`."""
        return picture_hashes(self.kept)


def picture_hashes(images: Tensor) -> Tensor:
    """A hash (N,), int64 on the CPU, of each image as uint8, or of each point as it is."""
    rows = to_uint8(images) if images.ndim == 4 else images
    digests = (
        hashlib.blake2b(row.tobytes(), digest_size=8).digest()
        for row in rows.cpu().contiguous().flatten(1).numpy()
    )
    numbers = [int.from_bytes(digest, "little", signed=True) for digest in digests]
    return torch.tensor(numbers, dtype=torch.int64)
