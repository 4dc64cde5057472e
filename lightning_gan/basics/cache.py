"""The cache folder, and files that are written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

VARIABLE = "LIGHTNING_GAN_CACHE"
PREFIX, LOCK = ".writing-", ".lock"
"""Of the folder in which a file is written, and of the lock in it."""


def cache_folder(chosen: str | os.PathLike[str] | None = None) -> Path:
    """``chosen``, else the environment variable, else ``~/.cache/lightning-gan``."""
    return Path(chosen or os.environ.get(VARIABLE) or "~/.cache/lightning-gan").expanduser()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives another path to write to; the file takes its name once all has gone well.

    Whoever else reads or writes the same file meets the old one or a new one, never half of one.
    What is no regular file, such as a terminal or a pipe, stays what it is and is written into.

    Args:
        path: The file to be; its folder is made if need be.

    Raises:
        OSError: If the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    near = None if is_device(path) else path.parent  # in whose file system it can be renamed
    if near is not None:
        _remove_what_was_killed(near)
    with tempfile.TemporaryDirectory(dir=near, prefix=PREFIX) as folder:
        part = Path(folder) / path.name
        with _locked(Path(folder)):
            yield part
            if is_device(path):
                path.write_bytes(part.read_bytes())
            else:
                part.replace(path)


def is_device(path: Path) -> bool:
    """Whether a path leads to something that is written into, and is neither file nor folder."""
    place = path.absolute()
    return place.exists() and (
        place.parts[:2] in (("/", "dev"), ("/", "proc")) or not (place.is_file() or place.is_dir())
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Shows others that a living process writes there, as far as the file system can."""
    unseen = folder / f"{LOCK}.new"  # until it is locked, or others would take it
    with unseen.open("w") as file:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unseen.replace(folder / LOCK)
        yield


def _remove_what_was_killed(parent: Path) -> None:
    """Removes what processes were writing that died of it, which nobody would else."""
    for folder in parent.glob(f"{PREFIX}*") if fcntl is not None else ():
        with suppress(OSError), (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
