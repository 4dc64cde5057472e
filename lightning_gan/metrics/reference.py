"""Statistics of the real images: computed once, kept on disk, read-only."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from tqdm.auto import tqdm

from lightning_gan.basics.cache import VARIABLE, cache_folder, written_whole
from lightning_gan.basics.images import from_uint8
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.extractors.bundled import WEIGHTS_FOLDER
from lightning_gan.metrics.frechet import bias_coefficient, covariance_factor

BUNDLED_FOLDER = WEIGHTS_FOLDER / "statistics"
VERSION = "1"  # of the file and of the way the statistics are computed

UNREADABLE = (OSError, SafetensorError, ValueError, KeyError)
"""What reading a file of statistics may end in."""

T = TypeVar("T")
Packed = tuple[dict[str, Tensor], dict[str, str]]  # tensors and words


@dataclass(frozen=True, eq=False)
class ReferenceStatistics:
    """Mean and covariance of the reals' features, with what the Frechet distance needs of them.

    Args:
        mean: Mean (D,), float64.
        covariance: Covariance (D, D) with 1/(N-1), float64.
        count: Number N of images.
        name: Name of the extractor; empty where unknown.
    """

    mean: Tensor
    covariance: Tensor
    count: int
    name: str = ""
    known: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @cached_property
    def factor(self) -> Tensor:
        """A matrix R (D, D) with R R^T = covariance."""
        found = self.known.get("factor")
        return covariance_factor(self.covariance) if found is None else found

    @cached_property
    def bias(self) -> float:
        """The coefficient c of the floor c (1/N_f + 1/N_r)."""
        found = self.known.get("bias")
        return bias_coefficient(self.covariance) if found is None else float(found)

    @classmethod
    @torch.no_grad()
    def from_samples(
        cls,
        images: Tensor,
        extractor: FeatureExtractor,
        batch_size: int = 500,
        device: str | torch.device = "cpu",
        features: Tensor | None = None,
    ) -> ReferenceStatistics:
        """The statistics of all images, without augmentation, in their order.

        Args:
            images: uint8 (N, C, H, W), taken as x / 127.5 - 1; or float images in [-1, 1]; or
                points (N, D).
            extractor: Gives the features.
            batch_size: Images per pass; does not change the result.
            device: Where the features are extracted.
            features: Their features (N, D), where they are known already.

        Raises:
            ConfigurationError: If there are fewer than two images.
        """
        if len(images) < 2:
            raise ConfigurationError(
                f"A reference needs at least 2 images and has {len(images)}: check the folder and "
                "the split of the data."
            )
        shift: Tensor | None = None
        total = outer = torch.zeros((), dtype=torch.float64)
        known = None if features is None else torch.split(features, batch_size)
        for batch in known or feature_batches(images, extractor, batch_size, device):
            rows = batch.double()
            shift = rows.mean(0) if shift is None else shift
            rows = rows - shift
            total = total + rows.sum(0)
            outer = outer + rows.T @ rows
        assert shift is not None  # there are two images at least
        count, offset = len(images), total / len(images)
        covariance = (outer - count * torch.outer(offset, offset)) / (count - 1)
        return cls(shift + offset, (covariance + covariance.T) / 2, count, extractor.name)

    @classmethod
    def load_or_build(
        cls,
        images: Tensor,
        extractor: FeatureExtractor,
        split: str = "train",
        data_name: str = "data",
        cache_dir: str | os.PathLike[str] | None = None,
        device: str | torch.device = "cpu",
        features: Tensor | None = None,
    ) -> ReferenceStatistics:
        """The statistics that come with the package, from the cache, or computed and put there.

        The key holds the extractor's weights and every byte of the images, so that nothing stale
        is ever read; a damaged file is rebuilt with a warning, and a folder that cannot be
        written costs a warning too.

        Args:
            images: As in ``from_samples``.
            extractor: Gives the features.
            split: Name of the split, part of the key.
            data_name: Name of the data, for the name of the file.
            cache_dir: Folder; by default the environment variable LIGHTNING_GAN_CACHE, else
                ``~/.cache/lightning-gan``.
            device: Where the features are extracted.
            features: Their features (N, D), where they are known already.
        """
        path, key = cache_path(images, extractor, split, data_name, cache_dir)
        with contextlib.suppress(*UNREADABLE):  # of data that the package does not know
            return _unpack(*_read(BUNDLED_FOLDER / path.name, key))

        def build() -> ReferenceStatistics:
            return cls.from_samples(images, extractor, device=device, features=features)

        return kept(path, key, build, _pack, _unpack)


def feature_batches(
    images: Tensor, extractor: FeatureExtractor, batch_size: int, device: str | torch.device
) -> Iterator[Tensor]:
    """Features on the CPU, batch by batch, of images uint8 or float in [-1, 1], or of points."""
    parts = torch.split(images, batch_size)
    for batch in tqdm(parts, "features of the reals", leave=False, delay=2.0, disable=None):
        batch = from_uint8(batch) if batch.dtype == torch.uint8 else batch
        yield extractor(batch.to(device)).cpu()


def kept(
    path: Path,
    key: str,
    build: Callable[[], T],
    pack: Callable[[T], Packed],
    unpack: Callable[[dict[str, Tensor], dict[str, str]], T],
) -> T:
    """What the file of that key holds, or what is built and put there; whatever fails is a warning.

    Args:
        path: The file.
        key: Everything that the content depends on, as a hash.
        build: Makes the content anew.
        pack: Content to tensors and words.
        unpack: Tensors and words to content.
    """
    if path.is_file():
        try:
            return unpack(*_read(path, key))
        except UNREADABLE as error:
            warnings.warn(
                f"The cached statistics {path} are damaged ({error}) and are built anew.",
                UserWarning,
                stacklevel=3,
            )
    content = build()
    try:
        _write(path, key, *pack(content))
    except OSError as error:
        warnings.warn(
            f"The statistics of the reals cannot be kept in {path.parent} ({error}): set "
            f"{VARIABLE} to a folder that can be written.",
            UserWarning,
            stacklevel=3,
        )
    return content


def content_hash(images: Tensor) -> str:
    """SHA-256, in hex, over shape, type and every byte."""
    digest = hashlib.sha256(f"{tuple(images.shape)}:{images.dtype};".encode())
    digest.update(images.detach().cpu().contiguous().numpy().reshape(-1).view("uint8").data)
    return digest.hexdigest()


def cache_key(images: Tensor, extractor: FeatureExtractor, split: str) -> str:
    """SHA-256, in hex, of all that the statistics depend on."""
    parts = (VERSION, extractor.fingerprint, content_hash(images), split)
    return hashlib.sha256(":".join(parts).encode()).hexdigest()


def cache_path(
    images: Tensor,
    extractor: FeatureExtractor,
    split: str,
    data_name: str,
    cache_dir: str | os.PathLike[str] | None,
    part: str = "",
) -> tuple[Path, str]:
    """The file of those statistics, and their key; ``part`` says what else is in them."""
    key = cache_key(images, extractor, f"{split}:{part}" if part else split)
    names = [data_name, split, extractor.name, *part.split()[:1]]
    plain = re.sub(r"[^\w.-]+", "-", "-".join(names))
    return cache_folder(cache_dir) / f"{plain}-{key[:16]}.safetensors", key


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _pack(statistics: ReferenceStatistics) -> Packed:
    tensors = {
        "mean": statistics.mean,
        "covariance": statistics.covariance,
        "factor": statistics.factor,
        "bias": torch.tensor(statistics.bias, dtype=torch.float64),
    }
    return tensors, {"name": statistics.name, "count": str(statistics.count)}


def _unpack(tensors: dict[str, Tensor], words: dict[str, str]) -> ReferenceStatistics:
    return ReferenceStatistics(
        tensors.pop("mean"), tensors.pop("covariance"), int(words["count"]), words["name"], tensors
    )


def _write(path: Path, key: str, tensors: dict[str, Tensor], words: dict[str, str]) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = words | {"key": key, "digest": _digest(tensors)}
    with written_whole(path) as part:
        part.write_bytes(save(tensors, metadata=metadata))


def _read(path: Path, key: str) -> Packed:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    if metadata.get("key") != key or metadata.get("digest") != _digest(tensors):
        raise ValueError("its checksum is wrong")
    return tensors, metadata
