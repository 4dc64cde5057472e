"""Samples of any channels and type in an array file: medical images, latents, spectra."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_gan.basics.cache import VARIABLE, written_whole
from lightning_gan.datamodules.base import named, shuffled_rows
from lightning_gan.datamodules.decoded import digest_of
from lightning_gan.datamodules.listing import MOST_CLASSES, in_classes
from lightning_gan.datamodules.memory import Split
from lightning_gan.datamodules.own import OwnData
from lightning_gan.datamodules.tables import Table, Values, are_real_numbers, open_table
from lightning_gan.errors import ConfigurationError, DataError, is_interval

VERSION = 1
"""Raised when what is prepared changes."""
ROUNDING = {"float32": 2**-24, "float16": 2**-11, "bfloat16": 2**-8}
"""How far from a number what a type has of it may be, as a share."""
CHUNK = 256
"""Samples that are prepared at a time."""


class ArrayFile(OwnData):
    """Arrays of any number of channels and any type of numbers, with a stated range.

    A file ``.npy``, ``.npz`` or ``.pt`` with samples (N, C, H, W), (N, H, W) of one channel, or
    (N, D), which are points to the networks (``image_size`` 0): spectra, latents, tables.
    ``value_range`` becomes [-1, 1]; a value outside is an error, and nothing is unpickled. Samples
    are prepared once, in a file that every process maps into memory.

    Args:
        root: The file.
        value_range: The smallest and largest value that there can be; may be left out for uint8
            (0 and 255) and bool.
        images_key: Name of the samples in a file of several arrays; where empty, "images", or the
            only array besides the labels.
        labels_key: Name of the labels (N,) in it; where empty, "labels", if there are any.
        channels_last: Whether samples are (N, H, W, C).
        batch_size: Samples a batch and process.
        flip: Whether a random half of the training images is mirrored left to right.
        val_fraction: Share of the samples held out for validation, from 0 to less than 1.
        test_fraction: Share of the samples held out for testing, from 0 to less than 1.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        cache_dir: Where prepared samples are kept; by default the environment variable
            ``LIGHTNING_GAN_CACHE``, or else ``~/.cache/lightning-gan``.

    Raises:
        ConfigurationError: If an argument is out of range, or the range of values not stated.
        DataError: If the file is missing or damaged, or has another shape; if, when it is read,
            values are out of range, or the cache cannot be written.
    """

    name = "array_file"

    def __init__(
        self,
        root: str,
        value_range: tuple[float, float] | None = None,
        images_key: str = "",
        labels_key: str = "",
        channels_last: bool = False,
        batch_size: int = 64,
        flip: bool = False,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__(root, batch_size, seed, flip, val_fraction, test_fraction, cache_dir)
        if value_range is not None and not is_interval(value_range):
            raise ConfigurationError(
                f"ArrayFile: value_range={value_range} must be the smallest value, then the "
                "largest."
            )
        self.value_range = value_range
        self.images_key, self.labels_key = images_key, labels_key
        self.channels_last = channels_last
        self._table: Table | None = open_table(self.root, images_key, labels_key)
        self._shape = self._shape_of(self._table.values)
        self.channels = self._shape[0]
        self.image_size = _image_size(self._shape[1:])
        if flip and not self.image_size:
            raise ConfigurationError("ArrayFile: points have no left and right: leave flip out.")

    def prepare_data(self) -> None:
        """Prepares the samples, on one process of each machine, where that has not been done.

        Raises:
            ConfigurationError: If the range of values is not stated.
            DataError: If they cannot be read, or the cache cannot be written.
        """
        if self._prepared() is None:
            self._prepare(self._open())

    def read_splits(self) -> dict[str, Split]:
        """Maps the samples into memory, preparing them first if need be.

        Raises:
            ConfigurationError: If the range of values is not stated.
            DataError: If they cannot be read, or the cache cannot be written.
        """
        table = self._open()
        self.prepare_data()
        prepared = self._prepared()
        if prepared is None:
            raise DataError(f"'{self.root}' changes while it is read: try again.")
        samples, digest = prepared
        labels = self._classes(table)
        self.num_classes = int(labels.max()) + 1 if labels.any() else 0
        self.class_names = tuple(map(str, range(self.num_classes)))
        self.content = {"count": len(samples), "digest": digest_of([digest, labels.tolist()])}
        what = f"{len(samples):,} samples of {' x '.join(map(str, self._shape))} numbers"
        counted = in_classes(labels.tolist(), self.class_names)
        self.say(f"{what} ({table.values.dtype}){counted} in '{self.root}'.")
        self._table = None  # may hold all of them in memory
        ends, labels = self.split_ends(len(samples)), labels[shuffled_rows(len(samples))]
        return named(*map(Split, samples.tensor_split(ends), labels.tensor_split(ends)))

    def _open(self) -> Table:
        if self._table is None:
            self._table = open_table(self.root, self.images_key, self.labels_key)
        return self._table

    def _shape_of(self, values: Values) -> tuple[int, ...]:
        """Channels, height and width of a sample, or how many numbers a point has.

        Raises:
            DataError: If the array has another shape, or holds no numbers.
        """
        shape = tuple(values.shape)
        if not are_real_numbers(values):
            raise DataError(f"'{self.root}' holds {values.dtype}: give an array of real numbers.")
        wanted = [4] if self.channels_last else [2, 3, 4]
        if len(shape) not in wanted or 0 in shape:
            shapes = "(N, H, W, C)" if self.channels_last else "(N, C, H, W), (N, H, W) or (N, D)"
            raise DataError(f"'{self.root}' has the shape {shape}: give an array {shapes}.")
        if self.channels_last:
            return shape[3], shape[1], shape[2]
        return (1, *shape[1:]) if len(shape) == 3 else shape[1:]

    def _classes(self, table: Table) -> Tensor:
        """The labels, int64 (N,); zeros where there are none.

        Raises:
            DataError: If they do not fit.
        """
        count = len(table.values)
        if table.labels is None:
            return torch.zeros(count, dtype=torch.int64)
        what = f"are {table.labels.dtype}"
        if are_real_numbers(table.labels):
            labels = torch.as_tensor(_numbers(table.labels))
            low, high = labels.aminmax() if labels.numel() else (labels.new_tensor(-1.0),) * 2
            whole = labels.shape == (count,) and bool((labels == labels.round()).all())
            if whole and 0 <= low <= high < MOST_CLASSES:
                return labels.to(torch.int64)
            what = f"have the shape {tuple(labels.shape)} and values from {low:g} to {high:g}"
        raise DataError(
            f"The labels in '{self.root}' {what}: give {count} whole numbers from 0 to at most "
            f"{MOST_CLASSES - 1:,}."
        )

    def _range(self, values: Values) -> tuple[float, float]:
        """The smallest and largest value that there can be.

        Raises:
            ConfigurationError: If nothing states it.
        """
        usual = {"bool": (0.0, 1.0), "uint8": (0.0, 255.0)}
        known = self.value_range or usual.get(str(values.dtype).removeprefix("torch."))
        if known is not None:
            return known
        ends = [(part.min(), part.max()) for _, part in self._parts(values)]
        low, high = (float(e) for e in (min(e[0] for e in ends), max(e[1] for e in ends)))
        raise ConfigurationError(
            f"Nothing says what range the {values.dtype} in '{self.root}' have: set value_range to "
            f"the smallest and largest value that there can be; those in the file are [{low!r}, "
            f"{high!r}]."
        )

    def _parts(self, values: Values) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Samples in the order in which splits are slices of them, with their numbers.

        Raises:
            DataError: If one holds a NaN or an infinity.
        """
        order = shuffled_rows(len(values)).numpy()
        for start in range(0, len(order), CHUNK):
            rows = order[start : start + CHUNK]
            part = _numbers(values[rows])
            finite = np.isfinite(part).reshape(len(rows), -1).all(1)
            if not finite.all():
                raise DataError(
                    f"Sample {rows[finite.argmin()]} in '{self.root}' is not finite: mend or "
                    "remove it."
                )
            yield rows, part

    def _scaled(
        self, part: NDArray[np.float64], low: float, high: float, kind: type[np.generic]
    ) -> NDArray[np.generic]:
        """Samples (n, C, H, W) or points (n, D) in [-1, 1], or grey levels as they are."""
        if self.channels_last:
            part = part.transpose(0, 3, 1, 2)
        scaled = part if kind is np.uint8 else (part - low) * (2 / (high - low)) - 1
        return scaled.reshape(len(part), *self._shape).astype(kind)

    @property
    def _file(self) -> Path:
        """Where the samples are prepared; another place whenever file or options change."""
        now = self.root.stat()
        state = [now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino]
        form = [self.value_range, self.images_key, self.channels_last]
        what = digest_of([VERSION, os.path.realpath(self.root), form])
        return self.cache_dir / f"arrays-{what}-{digest_of(state)}.npy"

    def _prepared(self) -> tuple[Tensor, str] | None:
        """The samples, mapped, and a hash of them; None where they are not prepared, or cut."""
        try:
            samples = np.lib.format.open_memmap(self._file, mode="c")
            digest = json.loads(self._file.with_suffix(".json").read_text(encoding="utf-8"))
        except Exception:  # a damaged header is parsed as Python, and raises whatever that may
            return None
        whole = samples.shape[1:] == self._shape and samples.dtype in (np.float32, np.uint8)
        return (torch.from_numpy(samples), str(digest)) if whole else None

    def _prepare(self, table: Table) -> None:
        """Writes the samples, scaled, in the order of the splits.

        Raises:
            ConfigurationError: If the range of values is not stated.
            DataError: If values are out of range, or the cache cannot be written.
        """
        values, digest, file = table.values, hashlib.sha256(), self._file
        self.split_ends(len(values))  # refused before anything is written
        low, high = self._range(values)
        levels = "uint8" in str(values.dtype) and (low, high) == (0, 255) and self.image_size != 0
        kind: type[np.generic] = np.uint8 if levels else np.float32
        shape, start = (len(values), *self._shape), 0
        size = math.prod(shape) * np.dtype(kind).itemsize
        try:
            with written_whole(file) as place:
                free = shutil.disk_usage(place.parent).free
                if size >= free:  # a map onto a full disk would end in SIGBUS
                    raise OSError(f"{size} bytes are needed, {free} are free")
                into = np.lib.format.open_memmap(place, mode="w+", dtype=kind, shape=shape)
                name = str(values.dtype).removeprefix("torch.")
                slack = ROUNDING.get(name, 0.0) * max(abs(low), abs(high))
                for rows, part in self._parts(values):
                    beyond = (part < low - slack) | (part > high + slack)
                    outside = beyond.reshape(len(rows), -1).any(1)
                    if outside.any():
                        row = int(outside.argmax())
                        raise DataError(
                            f"Sample {rows[row]} in '{self.root}' has values from "
                            f"{part[row].min():g} to {part[row].max():g}, beyond the value_range "
                            f"[{low:g}, {high:g}]: widen it, or mend the sample."
                        )
                    scaled = self._scaled(part, low, high, kind)
                    digest.update(scaled.tobytes())
                    into[start : start + len(rows)] = scaled
                    start += len(rows)
                into.flush()
            with written_whole(file.with_suffix(".json")) as place:
                place.write_text(json.dumps(digest.hexdigest()), encoding="utf-8")
        except OSError as error:
            raise DataError(
                f"Prepared samples cannot be written to '{self.cache_dir}' ({error}): set "
                f"cache_dir or the variable {VARIABLE} to another folder."
            ) from error
        self._forget_others(file)

    def _forget_others(self, file: Path) -> None:
        """Removes what was prepared of the file as it was before."""
        for other in file.parent.glob(f"{file.name.rpartition('-')[0]}-*"):
            if other.stem != file.stem:
                with suppress(OSError):
                    other.unlink()


def _image_size(sides: tuple[int, ...]) -> int | tuple[int, int]:
    if not sides:
        return 0
    height, width = sides
    return height if height == width else (height, width)


def _numbers(values: Values) -> NDArray[np.float64]:
    if isinstance(values, Tensor):
        return values.detach().to(torch.float64).numpy()
    return np.asarray(values).astype(np.float64)
