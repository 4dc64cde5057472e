"""The folder that predict writes: whole, and in the place of what it wrote there before alone."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_gan.basics.plain import Plain
from lightning_gan.errors import ConfigurationError, said
from lightning_gan.runs.lock import NAME as LOCK
from lightning_gan.runs.lock import hold, release

RECORD = "predict.json"
"""What was drawn, from what and how, and which files hold it."""
GRID = "grid.png"
POINTS, ARRAY = "points.csv", "samples.npy"
"""What is written beside the numbered pictures, and instead of them."""
OTHERS = (GRID, POINTS, ARRAY)
PART = ".predict.part"
"""Folder inside, where files are written before they take their places."""
NUMBERED = re.compile(r"\d{6,15}\.png")


def picture_name(number: int) -> str:
    """The name of the picture of a sample."""
    return f"{number:06d}.png"


@dataclass(frozen=True)
class Files:
    """Names of files that a call has written.

    Args:
        numbered: Pictures 0 to ``numbered``.
        others: Further files.
    """

    numbered: int
    others: tuple[str, ...]

    def __contains__(self, name: str) -> bool:
        """Whether one of them has that name."""
        if NUMBERED.fullmatch(name) is None:
            return name in self.others
        number = int(name.removesuffix(".png"))
        return number < self.numbered and picture_name(number) == name

    def __or__(self, other: "Files") -> "Files":
        """What either holds."""
        names = dict.fromkeys((*self.others, *other.others))
        return Files(max(self.numbered, other.numbered), tuple(names))

    def __iter__(self) -> Iterator[str]:
        """All names."""
        yield from map(picture_name, range(self.numbered))
        yield from self.others


NONE = Files(0, ())


@contextlib.contextmanager
def replaced(folder: Path, files: Files, about: dict[str, Plain]) -> Iterator[Path]:
    """Gives a folder to write files to, which then take the place of those of the last call.

    Nothing else is ever removed: a folder that holds anything but files that its record names, as
    they were written, is refused. If the writing fails, all is as before. Links are not followed.

    Args:
        folder: Where they shall lie.
        files: What is going to be written.
        about: How they are made, for the record.

    Raises:
        ConfigurationError: If the folder holds other things, cannot be written, or is being written
            by another process.
    """
    part, new = folder / PART, []
    try:
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        _written_before(folder)
        _make(part)
        try:
            yield part
            before = _written_before(folder)
            _record(folder, before | files, about | {"complete": False})
            for name in before:
                (folder / name).unlink(missing_ok=True)
            for name in files:
                (part / name).rename(folder / name)
            _record(folder, files, about | {"complete": True})
        finally:
            _remove(part)
    except OSError as error:
        raise ConfigurationError(
            f"The samples cannot be written to {folder} ({error.strerror or said(error)}): mend "
            "that, or give another place with --output."
        ) from error
    finally:
        for made in new:  # those that are still empty
            with contextlib.suppress(OSError):
                made.rmdir()


def _written_before(folder: Path) -> Files:
    """What an earlier call has written there and nobody has changed.

    Raises:
        ConfigurationError: If anything else is there, but for hidden files.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"--output {folder} is a file: give a folder.")
    if not folder.exists():
        return NONE
    files, record = NONE, folder / RECORD
    if record.is_file() and not record.is_symlink():
        files, when = _read(record), record.stat().st_mtime_ns
    for path in folder.iterdir():
        known = path == record or path.name.startswith(".")
        if path.is_symlink() or not (known or path.name in files):
            raise ConfigurationError(
                f"{folder} holds {path.name}, which predict did not write: give a new folder with "
                "--output, or move it away."
            )
        if not known and (not path.is_file() or path.stat().st_mtime_ns > when):
            raise ConfigurationError(
                f"{path} was changed after predict had written it: give a new folder with "
                "--output, or move it away."
            )
    return files


def _read(record: Path) -> Files:
    """The names in a record.

    Raises:
        ConfigurationError: If predict has not written it.
    """
    try:
        files = json.loads(record.read_text(encoding="utf-8"))["files"]
        numbered, others = files["numbered"], tuple(files["others"])
        if not isinstance(numbered, int) or {*others} - {*OTHERS}:
            raise ValueError
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ConfigurationError(
            f"{record} is damaged: give a new folder with --output, or move its folder away."
        ) from error
    return Files(numbered, others)


def _record(folder: Path, files: Files, about: dict[str, Plain]) -> None:
    """Writes the record, whole or not at all."""
    temporary = folder / PART / RECORD
    text = json.dumps({"format": 1, **about, "files": asdict(files)}, indent=1)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(folder / RECORD)


def _make(part: Path) -> None:
    """Makes the folder to write to, for this process alone and without what a killed one left."""
    part.mkdir(parents=True, exist_ok=True)
    if part.is_symlink():
        raise ConfigurationError(f"{part} is a link, which is not followed: remove it.")
    hold(part, "give another --output")
    _clear(part)


def _clear(part: Path) -> None:
    for path in part.iterdir():
        if NUMBERED.fullmatch(path.name) or path.name in (*OTHERS, RECORD):
            path.unlink()


def _remove(part: Path) -> None:
    """Removes what was not taken from the folder that was written to, and itself."""
    with contextlib.suppress(OSError):
        _clear(part)
    release(part)
    with contextlib.suppress(OSError):
        (part / LOCK).unlink(missing_ok=True)
        part.rmdir()
