"""MNIST and Fashion-MNIST: 28 x 28 grey pictures in the IDX format."""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from lightning_gan.basics.class_names import DIGIT_NAMES
from lightning_gan.datamodules.downloaded import DownloadedData
from lightning_gan.datamodules.memory import Split

IMAGES_MAGIC, LABELS_MAGIC = 0x803, 0x801  # unsigned bytes in three and in one dimension
PARTS = ("train", "t10k")


class MNIST(DownloadedData):
    """Handwritten digits, 60000 for training and 10000 for testing, 28 x 28 grey.

    LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition
    (1998). Read from ``root/MNIST/raw``, torchvision's place.

    Args:
        root: Folder in torchvision's layout.
        batch_size: Samples a batch and process.
        flip: Whether a random half of the training images is mirrored left to right; mirrored
            digits are not digits.
        val_size: Digits taken from the training files for validation, 0 or more.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        download: Whether files that are missing are downloaded.

    Raises:
        ConfigurationError: If ``batch_size`` or ``val_size`` is out of range.
        DataError: If, when the data is read, a file is missing or damaged.
    """

    source: type[Any] = datasets.MNIST
    name = "mnist"
    channels = 1
    image_size = 28
    num_classes = 10
    class_names = DIGIT_NAMES

    @property
    def folder(self) -> Path:
        """``root/MNIST/raw``, or ``root/FashionMNIST/raw``."""
        return self.root / self.source.__name__ / "raw"

    def fault(self) -> str | None:
        """Returns what is wrong with the four files, or None if all are whole."""
        for part in PARTS:
            images, labels = self._paths(part)
            fault = _idx_fault(images, IMAGES_MAGIC) or _idx_fault(labels, LABELS_MAGIC)
            if fault is not None:
                return fault
            count, *size = _idx_shape(images)
            if size != [self.image_size] * 2:
                return f"'{images}' holds pictures of {size}, not 28 x 28, pixels"
            if _idx_shape(labels) != [count]:
                return f"'{labels}' does not hold as many labels as '{images}' pictures"
        return None

    def fetch(self) -> None:
        """Downloads what is missing.

        Where all files are there, torchvision takes them for whole, and so a damaged one is left
        for the user to delete.
        """
        if not all(path.is_file() for part in PARTS for path in self._paths(part)):
            super().fetch()

    def read_files(self, train: bool) -> Split:
        """Reads two of the four files."""
        images, labels = self._paths("train" if train else "t10k")
        return Split(_read_idx(images)[:, None], _read_idx(labels).to(torch.int64))

    def _paths(self, part: str) -> tuple[Path, Path]:
        return self.folder / f"{part}-images-idx3-ubyte", self.folder / f"{part}-labels-idx1-ubyte"


class FashionMNIST(MNIST):
    """Pictures of clothes, 60000 for training and 10000 for testing, 28 x 28 grey.

    Xiao, Rasul, Vollgraf: Fashion-MNIST, a novel image dataset for benchmarking machine learning
    algorithms (2017). Read from ``root/FashionMNIST/raw``, torchvision's place.

    Args:
        root: Folder of torchvision's, in which ``FashionMNIST/raw`` lies.
        batch_size: Samples a batch and process.
        flip: Whether a random half of the clothes in training is mirrored left to right.
        val_size: Pictures of the training files held out for validation, 0 or more.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        download: Whether files that are missing are downloaded.

    Raises:
        ConfigurationError: If ``batch_size`` or ``val_size`` is out of range.
        DataError: If, when the data is read, a file is missing or damaged.
    """

    source = datasets.FashionMNIST
    name = "fashion_mnist"
    class_names = tuple(
        "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")  # noqa: SIM905 - as many lines as words
    )


def _idx_fault(path: Path, magic: int) -> str | None:
    """Checks the header and the length; torchvision asks only whether the file is there."""
    if not path.is_file():
        return f"'{path}' is missing"
    start = 4 + 4 * (magic & 0xFF)
    with path.open("rb") as file:
        header = file.read(start)
    if len(header) < start or struct.unpack(">I", header[:4])[0] != magic:
        return f"'{path}' is damaged (it does not begin as an IDX file does)"
    size, expected = path.stat().st_size, start + math.prod(_idx_shape(path))
    if size != expected:
        return f"'{path}' is damaged ({size} bytes long where its header promises {expected})"
    return None


def _idx_shape(path: Path) -> list[int]:
    with path.open("rb") as file:
        dimensions = file.read(4)[3]
        return list(struct.unpack(f">{dimensions}I", file.read(4 * dimensions)))


def _read_idx(path: Path) -> Tensor:
    shape = _idx_shape(path)
    values = np.fromfile(path, dtype=np.uint8, offset=4 + 4 * len(shape))
    return torch.from_numpy(values.reshape(shape))
