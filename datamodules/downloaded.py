"""Data sets in files that torchvision downloads and checks."""

import contextlib
import http.client
import tarfile
import zlib
from pathlib import Path
from typing import Any

from lightning_gan.datamodules.base import RealData, named, rows_of, shuffled_rows
from lightning_gan.datamodules.memory import Split
from lightning_gan.errors import DataError, at_least, check_range, said, whole

DOWNLOAD_ERRORS = (
    OSError,  # among them URLError and the errors of gzip
    RuntimeError,  # torchvision's for a wrong checksum
    EOFError,
    http.client.HTTPException,
    tarfile.TarError,
    zlib.error,
)


class DownloadedData(RealData):
    """Training and test files below a folder, fetched where they are not there yet.

    The validation split is taken from the training files; the test split is the test files.

    Attributes:
        source: Torchvision's data set, which knows addresses, file names and checksums.

    Args:
        root: Folder in torchvision's layout.
        batch_size: Samples a batch and process.
        flip: Whether a random half of the training images is mirrored left to right.
        val_size: Samples taken from the training files for validation, 0 or more.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        download: Whether files that are missing are downloaded.

    Raises:
        ConfigurationError: If ``batch_size`` or ``val_size`` is out of range.
    """

    is_base = True  # no choice on the command line
    source: type[Any]

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        flip: bool = False,
        val_size: int = 5000,
        seed: int = 0,
        download: bool = True,
    ) -> None:
        super().__init__(batch_size, seed, flip)
        check_range(self, at_least(0), val_size=val_size)
        self.root = Path(root).expanduser()
        self.val_size = whole(self, "val_size", val_size)
        self.download = download
        self._whole = False

    @property
    def folder(self) -> Path:
        """The folder below ``root`` that holds the files."""
        raise NotImplementedError

    def fault(self) -> str | None:
        """Returns what is wrong with the files, naming the first one, or None if all are whole."""
        raise NotImplementedError

    def fetch(self) -> None:
        """Downloads and unpacks what is missing, and checks it."""
        self.source(self.root, download=True)

    def read_files(self, train: bool) -> Split:
        """Reads the training or the test files, which are whole."""
        raise NotImplementedError

    def check_place(self) -> None:
        """Refuses a missing folder that nothing will be downloaded to.

        Raises:
            DataError: With the first file that is missing.
        """
        if not (self.download or self.folder.is_dir()):
            self._check(self._first_fault())

    def prepare_data(self) -> None:
        """Downloads what is missing, on one process of each machine.

        Raises:
            DataError: If files are missing or damaged and cannot be fetched.
        """
        fault = self._first_fault()
        if fault is not None and self.download:
            around = [self.folder, *self.folder.parents]
            missing = [folder for folder in around if not folder.exists()]
            try:
                self.fetch()
            except DOWNLOAD_ERRORS as error:
                for folder in missing:  # from within
                    with contextlib.suppress(OSError):  # something lies in it by now
                        folder.rmdir()
                raise DataError(
                    f"For {self.name}, {fault}, and the download failed ({_reason(error)}): "
                    "connect to the network and try again, or put the files into "
                    f"'{self.folder}'."
                ) from error
            fault = self.fault()
        self._check(fault)

    def read_splits(self) -> dict[str, Split]:
        """Reads the files and takes the validation split from the training files.

        Raises:
            DataError: If a file is missing or damaged, or ``val_size`` leaves nothing to train on.
        """
        if not self._whole:
            self._check(self._first_fault())
        images, labels = self.read_files(train=True)
        if self.val_size >= len(images):
            raise DataError(
                f"val_size is {self.val_size}, but {self.name} has {len(images)} training samples "
                "in all: set it to less."
            )
        parts = shuffled_rows(len(images)).tensor_split([self.val_size])
        val, train = (rows_of(images, labels, rows) for rows in parts)
        return named(train, val, self.read_files(train=False))

    def _first_fault(self) -> str | None:
        if self.root.exists() and not self.root.is_dir():
            raise DataError(f"The data folder '{self.root}' is a file: set root to a folder.")
        return self.fault()

    def _check(self, fault: str | None) -> None:
        if fault is not None:
            mend = "delete that file, if it is there, and run again with download=true"
            raise DataError(f"For {self.name}, {fault}: {mend}, or put a whole one in its place.")
        self._whole = True


def _reason(error: BaseException) -> str:
    """Why a download failed: of several addresses, whose reasons are lines, the last one's."""
    *_, last = str(error).strip().splitlines() or [""]
    return last.strip().rstrip(".") or said(error)
