"""Arrays in files, opened without unpickling anything."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_gan.basics.texts import printable
from lightning_gan.datamodules.sources import some
from lightning_gan.errors import DataError, said

ENDINGS = (".npy", ".npz", ".pt", ".pth")
IMAGES, LABELS = "images", "labels"
"""Names of the arrays in a file that are taken where none is given."""

Values = NDArray[np.generic] | Tensor
Arrays = Mapping[str, Values]


@dataclass(frozen=True)
class Table:
    """Samples and their classes, as they stand in a file.

    Args:
        values: The samples, along the first axis.
        labels: The class of each; None where there are none.
    """

    values: Values
    labels: Values | None


def open_table(path: Path, images: str = "", labels: str = "", mend: str = "") -> Table:
    """Opens a file; what can be mapped is not read yet.

    Args:
        path: A file ``.npy``, ``.npz``, or ``.pt`` with a tensor, a dictionary of tensors, or a
            pair of samples and labels.
        images: Name of the samples in the file; where empty, "images", or the only array there is.
        labels: Name of the labels in the file; where empty, "labels", if there are any.
        mend: What to do where the samples are not found; to name them by an option where empty.

    Raises:
        DataError: If the file is missing or damaged, holds something else, or has no such array.
    """
    arrays = _read(path)
    for option, name in {"images_key": images, "labels_key": labels}.items():
        if name and name not in arrays:
            raise _none_of(path, arrays, name, f"set {option} to one of these")
    taken = images or _only(
        path, arrays, labels or LABELS, mend or "set images_key to one of these"
    )
    return Table(arrays[taken], arrays.get(labels or LABELS))


def are_real_numbers(values: Values) -> bool:
    """Whether an array holds booleans or real numbers, each in its place."""
    if isinstance(values, Tensor):
        plain = values.layout == torch.strided and not (values.is_quantized or values.is_nested)
        return plain and not (values.is_complex() or values.is_meta)
    return values.dtype.kind in "biuf"


def _only(path: Path, arrays: Arrays, labels: str, mend: str) -> str:
    """The array that is taken for the samples."""
    others = [name for name in arrays if name != labels]
    if IMAGES in others:
        return IMAGES
    if len(others) != 1:
        raise _none_of(path, arrays, IMAGES, mend)
    return others[0]


def _none_of(path: Path, arrays: Arrays, name: str, mend: str) -> DataError:
    if not arrays:
        return DataError(f"'{path}' holds no array at all: put another file in its place.")
    return DataError(f"'{path}' holds no array {printable(name)!r} but {some([*arrays])}: {mend}.")


def _read(path: Path) -> Arrays:
    ending = path.suffix.lower()
    if not path.is_file() or ending not in ENDINGS:
        what = f"is none of {', '.join(ENDINGS)}" if path.is_file() else "is no file"
        raise DataError(f"'{path}' {what}: set root to a file of arrays.")
    try:
        if ending == ".npy":
            return {IMAGES: np.lib.format.open_memmap(path, mode="r")}
        if ending == ".npz":
            return _Unpacked(path)
        return _tensors(path)
    except DataError:
        raise
    except Exception as error:  # headers are parsed as Python, and raise whatever that may
        raise DataError(
            f"'{path}' cannot be read ({_reason(error)}): put a whole one in its place."
        ) from error


class _Unpacked(Mapping[str, Values]):
    """The arrays of a ``.npz`` file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with zipfile.ZipFile(path) as file:
            names = [name for name in file.namelist() if name.endswith(".npy")]
        self._names = [name.removesuffix(".npy") for name in names]

    def __getitem__(self, name: str) -> Values:
        if name not in self._names:
            raise KeyError(name)
        try:
            with np.load(self._path, allow_pickle=False) as file:
                return file[name]
        except Exception as error:  # as above
            raise DataError(
                f"The array {printable(name)!r} of '{self._path}' cannot be read "
                f"({_reason(error)}): put a whole one in its place."
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _tensors(path: Path) -> Arrays:
    """The tensors of a file of torch's, mapped where it was written so that they can be."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # of an old file
        found = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(found, Tensor):
        found = {IMAGES: found}
    if isinstance(found, (list, tuple)) and len(found) == 2:
        found = dict(zip((IMAGES, LABELS), found, strict=True))
    if not isinstance(found, dict):
        raise ValueError("it holds neither a tensor nor a dictionary or pair of tensors")
    return {str(name): x.detach() for name, x in found.items() if isinstance(x, Tensor)}


def _reason(error: Exception) -> str:
    pickled = "allow_pickle" in str(error) or "Python objects" in str(error)
    if pickled or isinstance(error, pickle.UnpicklingError):
        return "it holds pickled objects, which could run code"
    return said(error)
