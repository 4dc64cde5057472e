"""Pictures that are decoded once, to a file that all processes map into memory."""

import hashlib
import json
import math
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from lightning_gan.basics.cache import written_whole
from lightning_gan.datamodules.base import shuffled_rows
from lightning_gan.datamodules.listing import Found
from lightning_gan.datamodules.pictures import Levels, UnreadableError, decode, quietly
from lightning_gan.datamodules.sources import Picture

VERSION = 2
"""Raised when decoding changes."""
CHUNK = 512
"""Pictures that are handed to the threads at a time."""
THREADS = 8
"""How many decode at most."""
ENDING = ("SIGTERM", "SIGUSR1")
"""Signals by which a queue ends a job."""
PENDING = ""
"""The reason why a picture that an interruption has left out is not in the file."""

Mapped: TypeAlias = "np.memmap[tuple[int, ...], np.dtype[np.uint8]]"


class Decoded(NamedTuple):
    """Pictures, decoded, in the order in which splits are slices of them.

    Attributes:
        images: uint8 ``(N, C, H, W)``, mapped from the file.
        numbers: Which of the pictures that were found each of them is.
        damaged: Paths of those that are left out, with the reasons.
    """

    images: Tensor
    numbers: list[int]
    damaged: dict[str, str]


@dataclass
class _Index:
    """What the file holds.

    Args:
        file: Its name.
        rows: Keys of its pictures, in its order.
        damaged: The reasons, by the key, of pictures that are not decoded; the rows of those that
            are among ``rows`` mean nothing.
    """

    file: str = ""
    rows: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)

    def left_out(self, skip_damaged: bool) -> dict[str, str]:
        """Those of the damaged pictures that are passed over, without a second try."""
        return {key: why for key, why in self.damaged.items() if skip_damaged and why != PENDING}


class DecodedPictures:
    """The file of a folder's pictures in one form; what it holds is never decoded again.

    A picture is known by its absolute path, size, times of change and inode, so that none of
    another folder, or put in its place since, is taken for it.

    Args:
        folder: The cache.
        root: Where the pictures lie.
        size: Height and width in pixels.
        channels: As of :func:`~lightning_gan.datamodules.pictures.decode`.
        levels: As there.
    """

    def __init__(
        self,
        folder: Path,
        root: Path,
        size: tuple[int, int],
        channels: int,
        levels: Levels | None = None,
    ) -> None:
        self.folder, self.size, self.channels, self.levels = folder, size, channels, levels
        self._root = os.path.realpath(root)
        self._name = f"pictures-{digest_of([VERSION, self._root, size, channels, levels])}"

    def read(self, found: Found, skip_damaged: bool) -> Decoded | None:
        """Maps the file; None where it does not hold these pictures, all of them decoded.

        Args:
            found: The pictures.
            skip_damaged: Whether those that are damaged are left out.
        """
        index, keys = self._index(), self._keys(found.pictures)
        numbers = _order(keys, index.left_out(skip_damaged))
        rows = [keys[number] for number in numbers]
        if index.rows != rows or not index.damaged.keys().isdisjoint(rows):
            return None
        images = self._mapped(index)
        path_of = {key: picture.path for key, picture in zip(keys, found.pictures, strict=True)}
        damaged = {path_of[key]: why for key, why in index.damaged.items() if key in path_of}
        return None if images is None else Decoded(torch.from_numpy(images), numbers, damaged)

    def write(self, found: Found, skip_damaged: bool) -> dict[str, str]:
        """Decodes what the file does not hold yet, and keeps it, also where it is interrupted.

        Returns:
            Paths of all pictures that cannot be decoded, with the reasons.

        Raises:
            OSError: If the file cannot be written.
        """
        keys = self._keys(found.pictures)
        left_out = self._index().left_out(skip_damaged)
        while True:
            numbers = _order(keys, left_out)
            index = self._fill(found, numbers, keys)
            index.damaged = {key: left_out[key] for key in keys if key in left_out} | index.damaged
            self._keep(index)
            if not skip_damaged or index.damaged.keys().isdisjoint(index.rows):
                return {
                    picture.path: index.damaged[key]
                    for picture, key in zip(found.pictures, keys, strict=True)
                    if key in index.damaged
                }
            left_out = index.damaged

    def _fill(self, found: Found, numbers: Sequence[int], keys: Sequence[str]) -> _Index:
        """Writes the file, of what is known and of what is decoded now."""
        old, rows = self._index(), [keys[number] for number in numbers]
        index = _Index(f"{self._name}-{digest_of(rows)}.npy", rows)
        if not rows:
            return index
        known = self._mapped(old)
        place = {} if known is None else {key: row for row, key in enumerate(old.rows)}
        missing = [r for r, key in enumerate(rows) if key not in place or key in old.damaged]
        done, interruption = set(), None
        with self._target(index, in_place=known is not None and old.file == index.file) as images:
            if old.file != index.file and known is not None:
                for row in set(range(len(rows))) - set(missing):
                    images[row] = known[place[rows[row]]]

            def fill(row: int) -> None:
                file = partial(found.source.file, found.pictures[numbers[row]].path)
                try:
                    images[row] = decode(file, self.size, self.channels, self.levels)
                except UnreadableError as error:
                    index.damaged[rows[row]] = str(error)
                done.add(row)

            try:
                with _ended_by_keyboard():
                    _in_threads(fill, missing)
            except KeyboardInterrupt as error:
                interruption = error
                index.damaged |= {rows[row]: PENDING for row in missing if row not in done}
            images.flush()
        if interruption is not None:
            self._keep(index)
            raise interruption
        return index

    @contextmanager
    def _target(self, index: _Index, in_place: bool) -> Iterator[Mapped]:
        """The file to fill: as it stands, where nobody reads it yet, or a new one."""
        path, shape = self.folder / index.file, self._shape(index)
        if in_place:
            yield np.lib.format.open_memmap(path, mode="r+")
            return
        with written_whole(path) as part:
            free = shutil.disk_usage(part.parent).free
            if math.prod(shape) >= free:  # a map onto a full disk would end in SIGBUS
                raise OSError(f"{math.prod(shape)} bytes are needed, {free} are free")
            yield np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)

    def _keep(self, index: _Index) -> None:
        """Makes the file the one that is read, and removes the one before."""
        old = self._index().file
        with written_whole(self.folder / f"{self._name}.json") as part:
            part.write_text(json.dumps(asdict(index)), encoding="utf-8")
        if old and old != index.file:
            with suppress(OSError):
                (self.folder / old).unlink()

    def _index(self) -> _Index:
        """What is in the file; nothing where there is none, or a damaged one."""
        try:
            content = json.loads((self.folder / f"{self._name}.json").read_text(encoding="utf-8"))
            index = _Index(**content)
            plain = {str(key): str(why) for key, why in index.damaged.items()}
            named = index.file == f"{self._name}-{digest_of(index.rows)}.npy"
            return _Index(index.file, list(map(str, index.rows)), plain) if named else _Index()
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return _Index()

    def _shape(self, index: _Index) -> tuple[int, ...]:
        return len(index.rows), self.channels, *self.size

    def _mapped(self, index: _Index) -> NDArray[np.uint8] | None:
        """Maps the file, sharing its pages between processes; None if it is missing or cut."""
        if not index.rows:
            return None
        try:
            images = np.lib.format.open_memmap(self.folder / index.file, mode="c")
        except Exception:  # a damaged header is parsed as Python, and raises whatever that may
            return None
        whole = images.dtype == np.uint8 and images.shape == self._shape(index)
        return images if whole else None

    def _keys(self, pictures: Sequence[Picture]) -> list[str]:
        return [digest_of([self._root, *picture]) for picture in pictures]


def _order(keys: Sequence[str], left_out: dict[str, str]) -> list[int]:
    """The numbers of the pictures that are not left out, in the order of the file."""
    kept = [number for number, key in enumerate(keys) if key not in left_out]
    return [kept[row] for row in shuffled_rows(len(kept)).tolist()]


@contextmanager
def _ended_by_keyboard() -> Iterator[None]:
    """Lets the signals by which queues end jobs interrupt as Ctrl-C does."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ENDING:
            number = getattr(signal, name, None)  # Windows lacks one
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_threads(fill: Callable[[int], None], rows: Sequence[int]) -> None:
    """Fills rows, with a bar."""
    bar = tqdm(total=len(rows), desc="decoding", unit="picture", disable=None)
    with bar, quietly(), ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(rows), CHUNK):
            for _ in pool.map(fill, rows[start : start + CHUNK]):
                bar.update()


def digest_of(content: object) -> str:
    """A hash, in hex, of what JSON can hold."""
    text = json.dumps(content).encode()  # escapes names that are no text
    return hashlib.blake2b(text, digest_size=16).hexdigest()
