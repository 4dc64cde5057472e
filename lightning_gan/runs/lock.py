"""Whether a living process writes into the folder of a run, asked without getting in its way."""

from pathlib import Path

NAME = "run.lock"


def is_held(folder: Path) -> bool | None:
    """Whether a living process holds the lock of a run's folder; None where nobody can tell.

    It is shared for an instant, which a process that is about to take it waits out.
    """
    try:
        import fcntl
    except ImportError:  # Windows, where nothing is locked
        return None
    try:
        with (folder / NAME).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:  # not ours to read, or a file system without locks
        return None
    return False
