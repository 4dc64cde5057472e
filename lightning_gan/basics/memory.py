"""Memory that a program has freed stays with it, since the next step needs as much again."""

import ctypes
import os
import sys

TRIM, MAPPED = -1, -3
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of GNU's malloc.h."""
NEVER = -1
"""How much may be free before it is given back."""
LARGEST = 1 << 30, 1 << 25
"""From how many bytes a block is mapped alone; older GNU C libraries take the second at most."""
SETTINGS = ("MALLOC_", "GLIBC_TUNABLES")
"""How the variables begin by which a user sets malloc."""
_keeping = False
"""Whether this process keeps what it frees."""


def keep_freed_memory() -> bool:
    """Lets this process keep what it frees, where GNU's malloc is in use; whether it does.

    By default malloc gives large blocks back to the system and asks for them anew, several times in
    each step; the kernel then has to clear and to map every page of them. What has been freed is
    used again as before: the process is as large as it is at its peak, and somewhat larger where
    blocks of many sizes do not fit into each other, until :func:`give_back`.

    Nothing is changed where the user has set anything of malloc.
    """
    global _keeping
    if sys.platform != "linux" or _set_by_user():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    # First what may be refused: once anything is set, malloc raises its thresholds no more.
    _keeping = any(mallopt(MAPPED, size) for size in LARGEST) and bool(mallopt(TRIM, NEVER))
    return _keeping


def give_back() -> None:
    """Gives back what is free now: after an evaluation, which needs far more than a step."""
    if _keeping:
        ctypes.CDLL(None).malloc_trim(0)


def _set_by_user() -> bool:
    return any(value and name.startswith(SETTINGS) for name, value in os.environ.items())
