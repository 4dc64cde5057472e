"""One process writes into the folder of a run, and others can ask whether one does."""

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import IO

from lightning_gan.errors import ConfigurationError

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

NAME = "run.lock"

TRIES, PAUSE = 5, 0.02
"""How often, and how many seconds apart, a lock is tried, which others hold while they look."""

_HELD: dict[Path, IO[str]] = {}


def hold(folder: Path, instead: str = "start a run of its own without --ckpt_path last") -> None:
    """Keeps other runs out of ``folder`` until :func:`release`, or until this process ends.

    The system gives the lock back with the death of the process, so that a killed run leaves none.

    Args:
        folder: The folder.
        instead: What who finds it locked may do.

    Raises:
        ConfigurationError: If a living process writes there, with its number and machine.
    """
    path = (folder / NAME).absolute()
    if fcntl is None or path in _HELD:
        return
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            _lock(file)
        except BlockingIOError as error:
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise ConfigurationError(
                f"{folder} is being written by {owner}: wait for its end or stop it, or {instead}."
            ) from error
        except OSError:  # a file system without locks
            file.close()
            return
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                break
        file.close()  # the file was released, and removed, in between
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    _HELD[path] = file


def release(folder: Path | None = None) -> None:
    """Lets other runs into a folder that this process holds; into all of them where None."""
    for path in [*_HELD] if folder is None else [(folder / NAME).absolute()]:
        if (file := _HELD.pop(path, None)) is not None:
            path.unlink(missing_ok=True)
            file.close()


def _lock(file: IO[str]) -> None:
    """Locks a file for this process alone.

    Raises:
        BlockingIOError: If another one holds it, and keeps it.
        OSError: If the file system has no locks.
    """
    for tried in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if tried + 1 == TRIES:
                raise
            time.sleep(PAUSE)


def is_held(folder: Path) -> bool | None:
    """Whether a living process holds the lock of a run's folder; None where nobody can tell.

    It is shared for an instant, which a process that is about to take it waits out.
    """
    try:
        with (folder / NAME).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except (OSError, AttributeError):  # not ours to read, or a system without locks
        return None
    return False
