"""CIFAR-10 and CIFAR-100: 32 x 32 colour pictures in pickled batches."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from lightning_gan.basics.class_names import CIFAR10_NAMES
from lightning_gan.datamodules.downloaded import DownloadedData
from lightning_gan.datamodules.memory import Split


class CIFAR10(DownloadedData):
    """Colour pictures of ten classes, 50000 for training and 10000 for testing, 32 x 32.

    Krizhevsky: Learning multiple layers of features from tiny images (2009). Read from
    ``root/cifar-10-batches-py``, torchvision's place; every file's checksum is verified.

    Args:
        root: Folder in torchvision's layout.
        batch_size: Samples a batch and process.
        flip: Whether a random half of the training images is mirrored left to right.
        val_size: Pictures of the five training batches that are for validation, 0 or more.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        download: Whether batches that are missing or damaged are downloaded.

    Raises:
        ConfigurationError: If ``batch_size`` or ``val_size`` is out of range.
        DataError: If, when the data is read, a file is missing or damaged.
    """

    source: type[Any] = datasets.CIFAR10
    name = "cifar10"
    channels = 3
    image_size = 32
    num_classes = 10
    class_names = CIFAR10_NAMES

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        flip: bool = True,
        val_size: int = 5000,
        seed: int = 0,
        download: bool = True,
    ) -> None:
        super().__init__(root, batch_size, flip, val_size, seed, download)

    @property
    def folder(self) -> Path:
        """``root/cifar-10-batches-py``, or ``root/cifar-100-python``."""
        return self.root / str(self.source.base_folder)

    def fault(self) -> str | None:
        """Returns the first file whose checksum is not torchvision's, or None if all are whole."""
        for file, checksum in self.source.train_list + self.source.test_list:
            path = self.folder / file
            if not path.is_file():
                return f"'{path}' is missing"
            if not check_integrity(path, checksum):
                return f"'{path}' is damaged (its checksum is wrong)"
        return None

    def read_files(self, train: bool) -> Split:
        """Reads the batches, whose checksums were verified before they are unpickled."""
        files = self.source.train_list if train else self.source.test_list
        batches = [_unpickle(self.folder / file) for file, _ in files]
        key = "labels" if "labels" in batches[0] else "fine_labels"
        images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
        labels = [label for batch in batches for label in batch[key]]
        return Split(torch.from_numpy(images), torch.tensor(labels, dtype=torch.int64))


class CIFAR100(CIFAR10):
    """Colour pictures of a hundred classes, 50000 for training and 10000 for testing, 32 x 32.

    Krizhevsky: Learning multiple layers of features from tiny images (2009). Read from
    ``root/cifar-100-python``, torchvision's place; every file's checksum is verified.

    Args:
        root: Folder in torchvision's layout.
        batch_size: Samples a batch and process.
        flip: Whether training pictures are mirrored left to right, every other one at random.
        val_size: Pictures of the training file that are for validation, 0 or more.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        download: Whether files that are missing or damaged are downloaded.

    Raises:
        ConfigurationError: If ``batch_size`` or ``val_size`` is out of range.
        DataError: If, when it is read, the training or test file is missing or damaged.
    """

    source = datasets.CIFAR100
    name = "cifar100"
    num_classes = 100
    class_names = tuple(
        """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
        butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
        crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
        keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
        mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain
        plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
        skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
        television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman
        worm""".split()  # noqa: SIM905 - a hundred quoted lines are harder to read
    )


def _unpickle(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, warnings.catch_warnings():
        # numpy 2.4 warns of how the files, written in 2009, spell their dtype
        warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
        batch: dict[str, Any] = pickle.load(file, encoding="latin1")
    return batch
