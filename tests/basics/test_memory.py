"""Memory that has been freed is used again without asking the system for it."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lightning_gan.basics import memory

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


@needs_gnu
def test_a_variable_that_is_empty_or_of_something_else_sets_nothing() -> None:
    assert faults("keep", MALLOC_ARENA_MAX="")[0]
    assert faults("keep", LD_PRELOAD="libm.so.6")[0]


HOLDS = """
from pathlib import Path
import numpy as np
from lightning_gan.basics import memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

before = resident()
memory.keep_freed_memory()
for size in range(1, 20):
    np.ones(1_000_000 * size)
after = resident()
memory.give_back()
print(before, after, resident())
"""


@needs_gnu
def test_what_is_kept_can_be_given_back() -> None:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(memory.SETTINGS)}
    command = [sys.executable, "-c", HOLDS]
    done = subprocess.run(command, env=inherited, capture_output=True, text=True, check=True)
    before, after, given = map(int, done.stdout.split())
    assert after - before > 20_000  # pages of 4 KiB
    assert given - before < (after - before) / 10


def test_nothing_is_given_back_where_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_keeping", False)
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    memory.give_back()


def tried(most: int, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, dict[int, int]]:
    """Whether memory is kept by a malloc that maps blocks of so many bytes at most, and its state.

    Whatever is set of a malloc, it no longer finds its thresholds by itself.
    """
    state: dict[int, int] = {}

    def mallopt(setting: int, value: int) -> int:
        if setting == memory.MAPPED and value > most:
            return 0
        state[setting] = value
        return 1

    monkeypatch.setattr(sys, "platform", "linux")
    for name in [name for name in os.environ if name.startswith(memory.SETTINGS)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=mallopt))
    monkeypatch.setattr(memory, "_keeping", False)  # and what it was afterwards
    return memory.keep_freed_memory(), state


def test_a_malloc_of_lower_limits_is_set_as_far_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, state = tried(1 << 25, monkeypatch)  # as older ones of GNU's
    assert kept
    assert state == {memory.TRIM: -1, memory.MAPPED: 1 << 25}


def test_a_malloc_that_maps_blocks_all_the_same_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tried(0, monkeypatch) == (False, {})
