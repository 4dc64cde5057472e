"""A user's own pictures, decoded once to a file that all processes map into memory."""

import hashlib
import json
import math
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lightning_gan.basics.cache import VARIABLE, cache_folder, written_whole
from lightning_gan.datamodules.base import RealData, named, shuffled_rows
from lightning_gan.datamodules.memory import Split
from lightning_gan.datamodules.pictures import Picture, decode, find_pictures
from lightning_gan.errors import ConfigurationError, DataError, at_least, check_range, one_of

CACHE_VERSION = 1  # raise it when decoding changes
CHUNK = 512  # pictures handed to the threads at a time


class ImageFolder(RealData):
    """Pictures of any size directly in a folder, or in one subfolder for each class.

    Each is turned as its EXIF data says, resized (shorter side), centre cropped and converted to
    ``channels``; transparency becomes white. They are decoded once, to a file of uint8 that every
    process maps into memory and that the next run finds again as long as names, sizes and times
    of the pictures are the same. ``num_classes`` and ``class_names`` are 0 and empty until
    ``setup`` has listed the folder, and stay so without subfolders (all labels are 0 then).

    Args:
        root: The folder. Links that lead out of it are not followed.
        image_size: Height and width in pixels, 1 or more.
        channels: 3 for colour, 1 for grey.
        batch_size: Samples a batch and process.
        flip: Whether a random half of the training images is mirrored left to right.
        val_fraction: Share of the pictures held out for validation, from 0 to less than 1.
        test_fraction: Share of the pictures held out for testing, from 0 to less than 1.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        cache_dir: Where decoded pictures are kept; by default the environment variable
            ``LIGHTNING_GAN_CACHE``, or else ``~/.cache/lightning-gan``.

    Raises:
        ConfigurationError: If an argument is out of range.
        DataError: If, when the data is read, the folder is missing, holds no picture or one that
            cannot be read, or the cache cannot be written.
    """

    name = "image_folder"

    def __init__(
        self,
        root: str,
        image_size: int = 64,
        channels: int = 3,
        batch_size: int = 64,
        flip: bool = True,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__(batch_size, seed, flip)
        check_range(self, at_least(1), image_size=image_size)
        check_range(self, one_of(1, 3), channels=channels)
        check_range(self, at_least(0), val_fraction=val_fraction, test_fraction=test_fraction)
        if val_fraction + test_fraction >= 1:
            raise ConfigurationError(
                f"ImageFolder: val_fraction={val_fraction} and test_fraction={test_fraction} must "
                "be below 1 together."
            )
        self.root = Path(root).expanduser()
        self.image_size = image_size
        self.channels = channels
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.cache_dir = cache_folder(cache_dir)
        self.num_classes = 0
        self.class_names = ()

    def prepare_data(self) -> None:
        """Decodes the pictures, on one process of each machine, where that has not been done.

        Raises:
            DataError: If there is no picture, one cannot be read, or the cache cannot be written.
        """
        pictures = self._pictures()
        path = self._cache_file(pictures)
        if self._mapped(path, len(pictures)) is not None:
            return
        try:
            self._decode_all(pictures, path)
        except OSError as error:
            raise DataError(
                f"Decoded pictures cannot be written to '{path.parent}' ({error}): set cache_dir "
                f"or the variable {VARIABLE} to another folder."
            ) from error

    def read_splits(self) -> dict[str, Split]:
        """Maps the decoded pictures into memory, decoding them first if need be.

        Raises:
            DataError: If there is no picture, one cannot be read, or the cache cannot be written.
        """
        pictures = self._pictures()
        ends = self._ends(len(pictures))
        path = self._cache_file(pictures)
        images = self._mapped(path, len(pictures))
        if images is None:
            self.prepare_data()
            images = self._mapped(path, len(pictures))
        if images is None:
            raise DataError(f"The folder '{self.root}' changes while it is read: try again.")
        folders = sorted({picture.folder for picture in pictures})
        if folders != [""]:
            self.class_names, self.num_classes = tuple(folders), len(folders)
        labels = torch.tensor([folders.index(picture.folder) for picture in pictures])
        return named(*map(Split, images.tensor_split(ends), labels.tensor_split(ends)))

    def _pictures(self) -> list[Picture]:
        """Lists the pictures in the order of the cache, which makes each split a slice of it."""
        pictures = find_pictures(self.root)
        return [pictures[row] for row in shuffled_rows(len(pictures)).tolist()]

    def _ends(self, count: int) -> list[int]:
        """Where the training and the validation split end."""
        val, test = math.ceil(count * self.val_fraction), math.ceil(count * self.test_fraction)
        if val + test >= count:
            raise DataError(
                f"'{self.root}' has {count} pictures, too few to hold out {val} for validation and "
                f"{test} for testing: add pictures, or lower val_fraction and test_fraction."
            )
        return [count - val - test, count - test]

    def _cache_file(self, pictures: list[Picture]) -> Path:
        key = json.dumps([CACHE_VERSION, self.image_size, self.channels, sorted(pictures)])
        digest = hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=16).hexdigest()
        return self.cache_dir / f"pictures-{digest}.npy"

    def _mapped(self, path: Path, count: int) -> torch.Tensor | None:
        """Maps the cache, sharing its pages between processes; None if it is missing or cut."""
        try:
            images = np.load(path, mmap_mode="c")  # private: torch asks for writable memory
        except Exception:  # a damaged header is parsed as Python, and raises whatever that may
            return None
        shape = (count, self.channels, self.image_size, self.image_size)
        whole = isinstance(images, np.memmap) and images.dtype == np.uint8
        return torch.from_numpy(images) if whole and images.shape == shape else None

    def _decode_all(self, pictures: list[Picture], path: Path) -> None:
        shape = (len(pictures), self.channels, self.image_size, self.image_size)
        with written_whole(path) as part:
            free = shutil.disk_usage(part.parent).free
            if math.prod(shape) >= free:  # a map onto a full disk would end in SIGBUS
                raise OSError(f"{math.prod(shape)} bytes are needed, {free} are free")
            images = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)

            def fill(row: int) -> None:
                path = self.root / pictures[row].path
                images[row] = decode(path, self.image_size, self.channels)

            bar = tqdm(total=len(pictures), desc="decoding", unit="picture", disable=None)
            with bar, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                for start in range(0, len(pictures), CHUNK):
                    for _ in pool.map(fill, range(start, min(start + CHUNK, len(pictures)))):
                        bar.update()
            images.flush()
