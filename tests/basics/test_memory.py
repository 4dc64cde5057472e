"""Memory that has been freed is used again without asking the system for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ALLOCATES = """
import resource, sys
import numpy as np
from lightning_gan.basics.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
np.ones(4_000_000)  # the first time it has to be asked for anyway
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for size in range(3_000_000, 4_000_000, 50_000):
    np.ones(size)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

needs_gnu = pytest.mark.skipif(
    sys.platform != "linux" or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"),
    reason="needs GNU's C library",
)


def faults(how: str, **variables: str) -> tuple[bool, int]:
    """Whether memory is kept, and how many pages had to be mapped for twenty large arrays."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATES, how],
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    kept, count = done.stdout.split()
    return kept == "True", int(count)


@needs_gnu
def test_pages_are_mapped_once_where_memory_is_kept() -> None:
    kept, few = faults("keep")
    _, many = faults("give back")
    assert kept
    assert few < many / 10


@needs_gnu
def test_what_a_user_has_set_of_malloc_is_left_alone() -> None:
    assert not faults("keep", MALLOC_ARENA_MAX="2")[0]
    assert not faults("keep", GLIBC_TUNABLES="glibc.malloc.tcache_count=7")[0]
