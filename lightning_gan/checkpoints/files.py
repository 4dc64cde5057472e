"""Checkpoint files: written whole or not at all, read without running anything in them."""

import contextlib
import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from lightning_gan.basics.texts import quoted
from lightning_gan.checkpoints.exported import NAME, SUFFIX, read_export
from lightning_gan.checkpoints.pretrained import PREFIX, weights_of
from lightning_gan.errors import ConfigurationError, WeightsError

SWOLLEN = 20
"""How many times its size a file may unpack to. Ours are not packed at all; one that somebody has
packed shrinks to a third at most, since trained weights are as good as random."""

SHOWN = 3
"""Other checkpoints that a sentence names."""

TEMPORARY = ".ckpt.tmp"
"""How the names of checkpoints end while they are written."""


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a checkpoint file so that whatever happens it is the old one or the new one, whole.

    The content is written beside it, brought to the disk, and then given its name.

    Raises:
        WeightsError: If it cannot be written, with the newest checkpoint that is whole.
    """
    temporary = path.with_name(path.stem + TEMPORARY)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f"*{TEMPORARY}"):  # of a process that was killed
            stale.unlink(missing_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WeightsError(_not_written(path, error)) from error
    if os.name == "posix":  # elsewhere folders cannot be brought to the disk by themselves
        folder = os.open(path.parent, os.O_RDONLY)
        with contextlib.suppress(OSError):  # not all file systems can
            os.fsync(folder)
        os.close(folder)


def _not_written(path: Path, error: OSError) -> str:
    """Why a checkpoint could not be written, and where training can go on from."""
    with contextlib.suppress(OSError):
        whole = max(path.parent.glob("*.ckpt"), key=lambda file: file.stat().st_mtime, default=None)
        if whole is not None:
            place = "last" if whole.stem == "last" else quoted(whole)
            return (
                f"{path} could not be written ({error.strerror}), but {whole} is whole: mend "
                f"that, and go on with --ckpt_path {place}."
            )
    return (
        f"{path} could not be written ({error.strerror}), and there is no earlier checkpoint in "
        "its folder: mend that and start again."
    )


def read_checkpoint(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """The content of a checkpoint file, or of an export, of which nothing is executed.

    Raises:
        ConfigurationError: If there is no such device here.
        WeightsError: If the file is missing, damaged, or holds anything but plain data.
    """
    path = _bundled(path)
    if path.is_dir():
        raise WeightsError(f"{path} is a folder, and no checkpoint: move it away.")
    if not path.is_file():
        raise WeightsError(f"There is no checkpoint at {path}: check --ckpt_path.")
    try:
        torch.empty(0, device=map_location)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ConfigurationError(
            f"The device {map_location} cannot be used here: leave it out, or take cpu."
        ) from error
    if path.suffix == SUFFIX:
        return read_export(path, map_location)
    try:
        _refuse_swollen(path)
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        damaged = _damaged_part(path)
    except WeightsError:
        raise
    except Exception as error:
        if path.suffix != ".ckpt" and not _is_torchs(path):
            raise WeightsError(
                f"{path} is no checkpoint: give a .ckpt file, or the folder of a run."
            ) from error
        raise WeightsError(
            f"{path} is not a whole checkpoint, or holds more than plain data: {_another(path)}."
        ) from error
    if damaged:
        raise WeightsError(
            f"{path} is not a whole checkpoint, since the checksum of {damaged} in it is wrong: "
            f"{_another(path)}."
        )
    if not isinstance(checkpoint, dict):
        raise WeightsError(f"{path} is not a checkpoint: it holds a {type(checkpoint).__name__}.")
    return checkpoint


def _is_torchs(path: Path) -> bool:
    """Whether a file begins as torch writes it: as a zip file, or formerly a pickle."""
    with path.open("rb") as file:
        return file.read(1) in (b"P", b"\x80")


def _another(path: Path) -> str:
    """What to take in the place of a checkpoint, with those that lie beside it, newest first."""
    others = [file for file in path.parent.glob("*.ckpt") if file.is_file() and file != path]
    others.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    beside = " or ".join(file.name for file in others[:SHOWN])
    return "take another checkpoint of the run" + (
        f", such as {beside} beside it" if beside else ""
    )


def _refuse_swollen(path: Path) -> None:
    """Refuses a file that would fill the memory when it is unpacked, before it is.

    Raises:
        WeightsError: With both sizes.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as file:
        unpacked = sum(part.file_size for part in file.infolist())
    if unpacked > SWOLLEN * path.stat().st_size:
        raise WeightsError(
            f"{path} has {path.stat().st_size / 1e6:,.1f} MB and would unpack to "
            f"{unpacked / 1e6:,.0f} MB, as no checkpoint does: {_another(path)}."
        )


def _damaged_part(path: str | Path) -> str | None:
    """The first part whose checksum is wrong, which torch does not look at."""
    if not zipfile.is_zipfile(path):  # how torch saved before version 1.6
        return None
    with zipfile.ZipFile(path) as file:
        return file.testzip()


def _bundled(path: str | Path) -> Path:
    """The file of a model that comes with the package where one is named, else the path."""
    if str(path).startswith(PREFIX):
        return weights_of(str(path).removeprefix(PREFIX))
    return Path(path)


def called(path: str | Path) -> str:
    """What records call a checkpoint: its file, or ``pretrained:NAME``."""
    return str(path) if str(path).startswith(PREFIX) else str(checkpoint_in(path))


def newest_checkpoint(folder: Path, name: str = "last") -> Path | None:
    """The newest ``name.ckpt`` in the folder of a run, or in that of all runs of a recipe."""
    places = (f"{name}.ckpt", f"checkpoints/{name}.ckpt", f"*/checkpoints/{name}.ckpt")
    found = [path for place in places for path in folder.glob(place)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def checkpoint_in(path: str | Path) -> Path:
    """The file itself, or the newest ``last.ckpt`` of a run's folder, or the file of an export's.

    Args:
        path: A file or folder, or ``pretrained:NAME`` for a model that comes with the package.

    Raises:
        ConfigurationError: If there is no such model, or it is no path, or an empty one.
        WeightsError: If the folder has none.
    """
    named: object = path  # from Python it may be anything
    if not isinstance(named, (str, os.PathLike)) or not str(named):
        raise ConfigurationError(
            f"{named!r:.40} is no path of a checkpoint: give a .ckpt file, an export, or the "
            "folder of a run."
        )
    path = _bundled(path)
    if not path.is_dir():
        return path
    found = newest_checkpoint(path)
    if found is None and (path / NAME).is_file():
        return path / NAME
    if found is None:
        raise WeightsError(f"There is no last.ckpt below {path}: give a checkpoint file.")
    return found
