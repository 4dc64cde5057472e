"""Features held in memory: of the reals, once; of generated images, for one evaluation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.reference import (
    Packed,
    cache_path,
    content_hash,
    feature_batches,
    kept,
)

T = TypeVar("T")


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
        if key not in self._known:
            self._known[key] = make()
        return cast(T, self._known[key])

    def first(self, count: int) -> FeatureBank:
        """The bank of the first so many vectors; itself where there are no more."""
        if count >= len(self):
            return self
        digests = None if self.digests is None else self.digests[:count]
        return self.once(
            f"first {count}",
            lambda: FeatureBank(self.features[:count], self.index[:count], digests),
        )


@dataclass(frozen=True, eq=False)
class ReferenceFeatures:
    """Features of the reals, read-only: what kernels, neighbours and tests of copying look at.

    Args:
        training: Features (N, D) of what the discriminator learns from, without augmentation.
        held_out: Features (H, D) of reals that it never saw, where there are any.
        labels: Classes (N,) of the training images, where they are known.
        name: Name of the extractor; empty where unknown.

    Raises:
        ConfigurationError: If there are fewer than two vectors, or they are not finite, or the
            sizes disagree.
    """

    training: Tensor
    held_out: Tensor | None = None
    labels: Tensor | None = None
    name: str = ""
    known: dict[str, FeatureBank] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("training", "held_out", "labels"):
            value = getattr(self, name)
            if value is not None:
                value = value.detach().cpu()
                object.__setattr__(self, name, value.long() if name == "labels" else value.float())
        self._check(self.training, "training")
        if self.held_out is not None:
            self._check(self.held_out, "held-out")
        if self.labels is not None and self.labels.shape != self.training.shape[:1]:
            raise ConfigurationError(
                f"{tuple(self.labels.shape)} labels do not fit {len(self.training)} training "
                "images: give one class per image, or none."
            )

    def _check(self, features: Tensor, what: str) -> None:
        if features.ndim != 2 or len(features) < 2 or not bool(features.isfinite().all()):
            raise ConfigurationError(
                f"The {what} features of shape {tuple(features.shape)} are no reference: it takes "
                "(N, D) with N of at least 2, all finite. Check the folder and split of the data."
            )
        if features.shape[1] != self.training.shape[1]:
            raise ConfigurationError(
                f"Held-out features of {features.shape[1]} numbers do not fit training features "
                f"of {self.training.shape[1]}: take both from the same extractor."
            )

    @property
    def size(self) -> int:
        """Length D of the vectors."""
        return self.training.shape[1]

    @cached_property
    def order(self) -> Tensor:
        """A shuffled order (N,) of the training images, the same in every run."""
        return torch.randperm(len(self.training), generator=torch.Generator().manual_seed(0))

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
        return self._bank(key, lambda: (self.training[chosen], chosen), device)

    def everything(self, device: torch.device | str = "cpu") -> FeatureBank:
        """All training images in their order."""
        return self._bank(f"training on {device}", lambda: (self.training, None), device)

    def unseen(self, device: torch.device | str = "cpu") -> FeatureBank | None:
        """All held-out reals in their order, where there are any."""
        held_out = self.held_out
        if held_out is None:
            return None
        return self._bank(f"held-out on {device}", lambda: (held_out, None), device)

    def _bank(
        self,
        key: str,
        make: Callable[[], tuple[Tensor, Tensor | None]],
        device: torch.device | str,
    ) -> FeatureBank:
        if key not in self.known:
            features, index = make()
            self.known[key] = FeatureBank(features.to(device), index)
        return self.known[key]

    @classmethod
    @torch.no_grad()
    def from_samples(
        cls,
        images: Tensor,
        extractor: FeatureExtractor,
        held_out: Tensor | None = None,
        labels: Tensor | None = None,
        batch_size: int = 500,
        device: str | torch.device = "cpu",
    ) -> ReferenceFeatures:
        """The features of all images, without augmentation, in their order.

        Args:
            images: Training images, uint8 (N, C, H, W), taken as x / 127.5 - 1; or float images
                in [-1, 1]; or points (N, D).
            extractor: Gives the features.
            held_out: Reals that were not trained on, likewise.
            labels: Classes (N,) of the training images.
            batch_size: Images per pass.
            device: Where the features are extracted.

        Raises:
            ConfigurationError: If there are fewer than two images.
        """

        def features(samples: Tensor) -> Tensor:
            if not len(samples):
                return torch.zeros(0, extractor.num_features)
            return torch.cat([*feature_batches(samples, extractor, batch_size, device)])

        unseen = None if held_out is None else features(held_out)
        return cls(features(images), unseen, labels, extractor.name)

    @classmethod
    def load_or_build(
        cls,
        images: Tensor,
        extractor: FeatureExtractor,
        held_out: Tensor | None = None,
        labels: Tensor | None = None,
        split: str = "train",
        data_name: str = "data",
        cache_dir: str | os.PathLike[str] | None = None,
        device: str | torch.device = "cpu",
    ) -> ReferenceFeatures:
        """The features from the cache, or computed and put there.

        The file takes 4 bytes per number (15 MB for 60,000 images of 64 features, 490 MB of
        2048). The key holds the extractor's weights and every byte of the images, as that of
        ``ReferenceStatistics`` does; the labels are not kept.

        Args:
            images: As in ``from_samples``.
            extractor: Gives the features.
            held_out: As in ``from_samples``.
            labels: As in ``from_samples``.
            split: Name of the split of the training images, part of the key.
            data_name: Name of the data, for the name of the file.
            cache_dir: Folder; by default the environment variable LIGHTNING_GAN_CACHE, else
                ``~/.cache/lightning-gan``.
            device: Where the features are extracted.
        """
        unseen = "none" if held_out is None else content_hash(held_out)
        path, key = cache_path(
            images, extractor, split, data_name, cache_dir, part=f"features {unseen}"
        )

        def build() -> ReferenceFeatures:
            return cls.from_samples(images, extractor, held_out, labels, device=device)

        def unpack(tensors: dict[str, Tensor], words: dict[str, str]) -> ReferenceFeatures:
            return cls(tensors["training"], tensors.get("held_out"), labels, words["name"])

        return kept(path, key, build, _pack, unpack)


def _pack(reference: ReferenceFeatures) -> Packed:
    tensors = {"training": reference.training}
    if reference.held_out is not None:
        tensors["held_out"] = reference.held_out
    return tensors, {"name": reference.name}
