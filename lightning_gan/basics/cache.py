"""The cache folder, and files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "LIGHTNING_GAN_CACHE"


def cache_folder(chosen: str | os.PathLike[str] | None = None) -> Path:
    """``chosen``, else the environment variable, else ``~/.cache/lightning-gan``."""
    return Path(chosen or os.environ.get(VARIABLE) or "~/.cache/lightning-gan").expanduser()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives another path to write to; the file takes its name once all has gone well.

    Whoever else reads or writes the same file meets the old one or a new one, never half of one.

    Args:
        path: The file to be; its folder is made if need be.

    Raises:
        OSError: If the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        part = Path(folder) / path.name  # in the same file system, or it could not be renamed
        yield part
        part.replace(path)
