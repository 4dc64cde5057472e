"""Features held in memory: of the reals, once; of generated images, for one evaluation."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.reference import CacheFile, Packed, Reference, feature_batches

T = TypeVar("T")


def once(known: dict[str, T], key: str, make: Callable[[], T]) -> T:
    """What is known under that key; what ``make`` returns where nothing is."""
    if key not in known:
        known[key] = make()
    return known[key]


def shuffled(count: int) -> Tensor:
    """The numbers below ``count`` in an order (count,) that is the same in every run.

    Data sets and folders are often sorted by class: the first ones would be of few.
    """
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


class FeatureBank:
    """Feature vectors in a fixed order, with what has been computed from them.

    Args:
        features: Finite vectors (N, D), float32.
        index: Number of each sample among all that were generated (N,); by default its row.
        digests: A hash of each sample's picture (N,), int64; by default none are known.
    """

    def __init__(
        self, features: Tensor, index: Tensor | None = None, digests: Tensor | None = None
    ) -> None:
        self.features = features
        self.index = torch.arange(len(features)) if index is None else index
        self.digests = digests
        self._known: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.features)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What ``make`` returned when first asked for under that key."""
        return once(self._known, key, make)

    def sample(self, count: int) -> "FeatureBank":
        """So many vectors from all over the bank, the same whenever asked; itself if no more."""
        if count >= len(self):
            return self
        chosen = shuffled(len(self))[:count]
        return self.once(
            f"sample {count}", lambda: FeatureBank(self.features[chosen], self.index[chosen])
        )


@dataclass(frozen=True, eq=False)
class ReferenceFeatures(Reference):
    """Features of the reals, read-only: what kernels, neighbours and tests of copying look at.

    Args:
        train: Features (N, D) of what the discriminator learns from, without augmentation.
        val: Features (H, D) of reals that it never saw, where there are any.
        labels: Classes (N,) of the training images, where they are known.
        name: Name of the extractor; empty where unknown.

    Raises:
        ConfigurationError: If there are fewer than two vectors, or they are not finite, or the
            sizes disagree.
    """

    train: Tensor
    val: Tensor | None = None
    labels: Tensor | None = None
    name: str = ""
    known: dict[str, FeatureBank] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, what in (("train", "training"), ("val", "held-out")):
            if (features := getattr(self, name)) is not None:
                object.__setattr__(self, name, features.detach().cpu().float())
                self._check(features, what)
        if self.labels is None:
            return
        object.__setattr__(self, "labels", self.labels.detach().cpu().long())
        if self.labels.shape != self.train.shape[:1]:
            raise ConfigurationError(
                f"{tuple(self.labels.shape)} labels do not fit {len(self.train)} training "
                "images: give one class per image, or none."
            )

    def _check(self, features: Tensor, what: str) -> None:
        if features.ndim != 2 or len(features) < 2 or not bool(features.isfinite().all()):
            raise ConfigurationError(
                f"The {what} features of shape {tuple(features.shape)} are no reference: it takes "
                "(N, D) with N of at least 2, all finite: give such samples."
            )
        if features.shape[1] != self.train.shape[1]:
            raise ConfigurationError(
                f"Held-out features of {features.shape[1]} numbers do not fit training features "
                f"of {self.train.shape[1]}: take both from the same extractor."
            )

    @property
    def size(self) -> int:
        """Length D of the vectors."""
        return self.train.shape[1]

    @cached_property
    def order(self) -> Tensor:
        """A shuffled order (N,) of the training images, the same in every run."""
        return shuffled(len(self.train))

    def sample(self, count: int, device: torch.device | str = "cpu") -> FeatureBank:
        """So many distinct training images, or all there are; the same whenever asked.

        What neighbours and diversity measure depends on the number of samples, so as many reals
        are compared as there are fakes.

        Args:
            count: Number of images.
            device: Where their features are wanted.
        """
        chosen = self.order[:count]
        key = f"sample on {device}"
        if key in self.known and len(self.known[key]) != len(chosen):
            del self.known[key]  # one sample is held at a time, with what was computed from it
        return once(self.known, key, lambda: FeatureBank(self.train[chosen].to(device), chosen))

    def train_bank(self, device: torch.device | str = "cpu") -> FeatureBank:
        """All training images in their order."""
        return once(self.known, f"train on {device}", lambda: FeatureBank(self.train.to(device)))

    def val_bank(self, device: torch.device | str = "cpu") -> FeatureBank | None:
        """All held-out reals in their order, where there are any."""
        val = self.val
        if val is None:
            return None
        return once(self.known, f"val on {device}", lambda: FeatureBank(val.to(device)))

    @classmethod
    @torch.no_grad()
    def from_samples(
        cls,
        images: Tensor,
        extractor: FeatureExtractor,
        val: Tensor | None = None,
        labels: Tensor | None = None,
        batch_size: int = 500,
        device: str | torch.device = "cpu",
    ) -> "ReferenceFeatures":
        """The features of all images, without augmentation, in their order.

        Args:
            images: Training images, uint8 (N, C, H, W), taken as x / 127.5 - 1; or float images
                in [-1, 1]; or points (N, D).
            extractor: Gives the features.
            val: Reals that were not trained on, likewise.
            labels: Classes (N,) of the training images.
            batch_size: Images per pass.
            device: Where the features are extracted.

        Raises:
            ConfigurationError: If there are fewer than two images.
        """

        def features(samples: Tensor) -> Tensor:
            return torch.cat([*feature_batches(samples, extractor, batch_size, device)])

        found = None if val is None else features(val)
        return cls(features(images), found, labels, extractor.name)

    @classmethod
    def load_or_build(
        cls,
        images: Tensor,
        extractor: FeatureExtractor,
        val: Tensor | None = None,
        labels: Tensor | None = None,
        split: str = "train",
        data_name: str = "data",
        cache_dir: str | os.PathLike[str] | None = None,
        device: str | torch.device = "cpu",
    ) -> "ReferenceFeatures":
        """The features from the cache, or computed and put there.

        There is a file for the training images and one for each set of held-out ones, so that
        validations and tests read the training images once. A file takes 4 bytes per number (15 MB
        for 60,000 images of 64 features, 490 MB of 2048). The key holds the extractor's weights and
        every byte of the images, as that of ``ReferenceStatistics`` does; the labels are not kept.

        Args:
            images: As in ``from_samples``.
            extractor: Gives the features.
            val: As in ``from_samples``.
            labels: As in ``from_samples``.
            split: Name of the split of the training images, part of the key.
            data_name: Name of the data, for the name of the file.
            cache_dir: Folder; by default the environment variable LIGHTNING_GAN_CACHE, else
                ``~/.cache/lightning-gan``.
            device: Where the features are extracted.
        """

        def kept(samples: Tensor, name: str) -> Tensor:
            file = CacheFile(samples, extractor, name, data_name, cache_dir, "features")
            found = file.read_or_build(
                lambda tensors, words: cls(tensors["training"], name=words["name"]),
                lambda: cls.from_samples(samples, extractor, device=device),
            )
            return found.train

        held_out = None if val is None else kept(val, "held-out")
        return cls(kept(images, split), held_out, labels, extractor.name)

    def pack(self) -> Packed:
        """The training features; held-out ones have a file of their own, labels come with data."""
        return {"training": self.train}, {"name": self.name}
