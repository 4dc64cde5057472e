"""What is computed from the real images once: features, and files that are never stale."""

import contextlib
import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from tqdm.auto import tqdm

from lightning_gan.basics.cache import VARIABLE, cache_folder, written_whole
from lightning_gan.basics.images import in_range
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.extractors.bundled import WEIGHTS_FOLDER
from lightning_gan.metrics.samples import SampleBatch

BUNDLED_FOLDER = WEIGHTS_FOLDER / "statistics"
VERSION = "1"  # of the file and of the way the statistics are computed

UNREADABLE = (OSError, SafetensorError, ValueError, KeyError)
"""What reading a file may end in."""

Packed = tuple[dict[str, Tensor], dict[str, str]]
"""What a file holds: tensors, and words."""


class Reference:
    """What is known of the reals' features, and which samples compare with it."""

    name: str
    """Name of the extractor; empty where unknown."""

    @property
    def size(self) -> int:
        """Length D of the vectors."""
        raise NotImplementedError

    def check_extractor(self, extractor: FeatureExtractor) -> None:
        """Refuses another extractor.

        Raises:
            ConfigurationError: If it is another one.
        """
        if self.name not in ("", extractor.name):
            raise ConfigurationError(
                f"The reference is of {self.name!r} and the extractor is {extractor.name!r}: build "
                f"the reference with {type(self).__name__}.from_samples(images, extractor)."
            )

    def check_features(self, features: Tensor, batch: SampleBatch) -> Tensor:
        """The features (n, D) of a batch.

        Raises:
            ConfigurationError: If there are not as many as of the reals.
        """
        if features.shape[1] != self.size:
            raise ConfigurationError(
                f"Samples of {tuple(batch.kept.shape[1:])} have {features.shape[1]} features and "
                f"the reference has {self.size}: generate images of the size and channels of the "
                "reals."
            )
        return features

    def pack(self) -> Packed:
        """Its tensors and words."""
        raise NotImplementedError


P = TypeVar("P", bound=Reference)


def feature_batches(
    images: Tensor, extractor: FeatureExtractor, batch_size: int, device: str | torch.device
) -> Iterator[Tensor]:
    """Features on the CPU, batch by batch, of images uint8 or float in [-1, 1], or of points."""
    parts = torch.split(images, batch_size)
    for batch in tqdm(parts, "features of the reals", leave=False, delay=2.0, disable=None):
        batch = in_range(batch)
        yield extractor(batch.to(device)).cpu()


def content_hash(images: Tensor) -> str:
    """SHA-256, in hex, over shape, type and every byte."""
    digest = hashlib.sha256(f"{tuple(images.shape)}:{images.dtype};".encode())
    digest.update(images.detach().cpu().contiguous().numpy().reshape(-1).view("uint8").data)
    return digest.hexdigest()


class CacheFile:
    """A file whose name and content tell all that it depends on.

    Attributes:
        path: Where it is, or will be.
        key: SHA-256, in hex, of the extractor's weights, every byte of the images, and the split.
    """

    def __init__(
        self,
        images: Tensor,
        extractor: FeatureExtractor,
        split: str,
        data_name: str,
        cache_dir: str | os.PathLike[str] | None,
        content: str = "",
    ) -> None:
        """The file of these images; ``content`` says what is in it besides the usual."""
        whole = f"{split}:{content}" if content else split
        parts = (VERSION, extractor.fingerprint, content_hash(images), whole)
        self.key = hashlib.sha256(":".join(parts).encode()).hexdigest()
        names = [data_name, split, extractor.name, *content.split()[:1]]
        name = re.sub(r"[^\w.-]+", "-", "-".join(names))
        self.path = cache_folder(cache_dir) / f"{name}-{self.key[:16]}.safetensors"

    def read_bundled(self) -> Packed | None:
        """What comes with the package under that name; None where nothing does."""
        with contextlib.suppress(*UNREADABLE):
            return self._read(BUNDLED_FOLDER / self.path.name)
        return None

    def read_or_build(self, unpack: Callable[..., P], build: Callable[[], P]) -> P:
        """What the file holds, or what is built and put there; whatever fails is a warning.

        Args:
            unpack: Makes the content from tensors and words.
            build: Makes it anew.
        """
        there = False
        with contextlib.suppress(OSError):  # of a folder that may not be looked into
            there = self.path.is_file()
        if there:
            try:
                return unpack(*self._read(self.path))
            except UNREADABLE as error:
                warnings.warn(
                    f"The cached statistics {self.path} are damaged ({error}) and are built anew.",
                    UserWarning,
                    stacklevel=3,
                )
        content = build()
        try:
            self.write(*content.pack())
        except OSError as error:
            warnings.warn(
                f"The statistics of the reals cannot be kept in {self.path.parent} ({error}): set "
                f"{VARIABLE} to a folder that can be written.",
                UserWarning,
                stacklevel=3,
            )
        return content

    def write(self, tensors: dict[str, Tensor], words: dict[str, str]) -> None:
        """Writes tensors and words with their checksum."""
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        metadata = words | {"key": self.key, "digest": _digest(tensors)}
        with written_whole(self.path) as part:
            part.write_bytes(save(tensors, metadata=metadata))

    def _read(self, path: Path) -> Packed:
        """The tensors and words of a file with that key.

        Raises:
            ValueError: If they are of something else, or damaged; or one of ``UNREADABLE``.
        """
        with safe_open(path, framework="pt") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if words.get("key") != self.key or words.get("digest") != _digest(tensors):
            raise ValueError("its checksum is wrong")
        return tensors, words


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
