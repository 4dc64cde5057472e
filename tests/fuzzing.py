"""Ways to break things, each drawn from a seed, and how to tell whether that was answered well.

``LIGHTNING_GAN_FUZZ_SEED`` is the first seed, so that other five hundred inputs can be tried.
"""

from __future__ import annotations

import copy
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SECONDS = 30
"""What one input may take before it counts as hanging."""

FIRST = int(os.environ.get("LIGHTNING_GAN_FUZZ_SEED", "0"))


class Hang(BaseException):
    """Not caught by anything that catches exceptions."""


@contextmanager
def alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def survey(count: int, case: Callable[[random.Random], tuple[str, str | None]]) -> None:
    """Runs ``case`` with many seeds; it returns what was tried and what is wrong, if anything."""
    wrong, ended = [], 0
    for seed in range(FIRST, FIRST + count):
        tried, fault = case(random.Random(seed))
        ended += fault == ""  # with a sentence, rather than by working
        if fault:
            wrong.append(f"seed {seed}: {tried}: {fault}")
    assert not wrong, f"{len(wrong)} of {count}\n" + "\n".join(wrong)
    assert ended > count // 10  # the mutations do break something


def is_sentence(text: str) -> bool:
    return "\n" not in text and "Traceback" not in text and text.endswith((".", "?"))


def called(action: Callable[[], Any], *known: type[Exception]) -> str | None:
    """What is wrong with how ``action`` ends: None if it works, "" if in a sentence."""
    try:
        with alarm():
            action()
    except known as error:
        return "" if is_sentence(str(error)) else f"no sentence: {error}"
    except (Exception, Hang) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


JUNK = [
    *(None, "", "abc", -1, 0, 3, 1e-30, 0.5, float("inf"), float("nan"), 10**30, -(10**30), True),
    *([], {}, [1, [2]], {"a": 1}, ["abc"], "R1", "MLPGenerator", "torch.nn.Linear", "os.system"),
    *("\N{COLLISION SYMBOL}", "../..", "1e3", {"class_path": "R2"}, {"class_path": 3}, " "),
    {"class_path": "NonSaturating", "init_args": {"real_label": 7}},
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything inside nested dictionaries and lists."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((*path, key))
        if isinstance(value[key], (dict, list)):
            found += places(value[key], (*path, key))
    return found


def mutate(value: Any, random: random.Random, junk: list[Any]) -> str:
    """Breaks something inside ``value``; returns what."""
    *way, key = random.choice(places(value))
    for step in way:
        value = value[step]
    where = "/".join(map(str, (*way, key)))
    kind = random.choice(["delete", "rename", "junk", "junk", "junk", "wrap", "add"])
    if kind == "delete":
        del value[key]
    elif kind == "rename" and isinstance(value, dict):
        letters = list(str(key))
        random.shuffle(letters)
        value["".join(letters)] = value.pop(key)
    elif kind == "wrap":
        value[key] = random.choice([[value[key]], {"init_args": value[key]}, {key: value[key]}])
    elif kind == "add" and isinstance(value, dict):
        value[random.choice(["extra", "class_path", "init_args", 7])] = random.choice(junk)
    else:
        kind = "junk"
        value[key] = copy.deepcopy(random.choice(junk))
        where += f" = {value[key]!r}"
    return f"{kind} {where}"


def broken(content: bytes, random: random.Random) -> tuple[str, bytes]:
    """A file's bytes with something wrong."""
    data = bytearray(content)
    kind = random.choice(["cut", "flip", "flip", "head", "zeros", "insert", "double", "empty"])
    if kind == "cut":
        del data[random.randrange(len(data)) :]
    elif kind in ("flip", "head"):
        for _ in range(random.choice([1, 1, 5, 50])):
            end = min(len(data), 64) if kind == "head" else len(data)
            data[random.randrange(end)] ^= 1 << random.randrange(8)
    elif kind == "zeros":
        start = random.randrange(len(data))
        data[start : start + 100] = bytes(len(data[start : start + 100]))
    elif kind == "insert":
        data[random.randrange(len(data)) : 0] = random.randbytes(random.choice([1, 40]))
    elif kind == "double":
        data += bytes(data)
    else:
        data.clear()
    return kind, bytes(data)
