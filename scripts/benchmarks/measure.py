"""What all benchmarks share: sides in processes of their own that take turns, and their tables.

A side is a function that is given :class:`Turns` and calls ``turns.next()`` before its first step
and after each step. It runs in a process of its own, so that neither side inherits what the other
one has set or imported. The parent lets one side at a time do a window of steps, round after
round, so that whatever else the machine does falls on all sides alike; one that waits uses no
processor.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import checkout
from provenance import provenance
from tqdm import tqdm

FRONT = checkout.ROOT / "scripts" / "benchmark.py"
RECORDS = checkout.ROOT / "docs" / "performance"
PAGE = checkout.ROOT / "docs" / "performance.md"
NOT_INHERITED = ("PYTORCH_NVML_BASED_CUDA_CHECK", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Variables that Lightning, or a program that started this one, may have set for itself."""


# ------------------------------------------------------------------------------ in a side's process


class Turns:
    """When a side runs, as its parent says; it reports what each window took.

    What the parent must read goes to the pipe that was the standard output; whatever the side
    prints goes to the standard error from here on.
    """

    def __init__(self) -> None:
        self._pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self.facts: dict[str, Any] = {}
        """What else the parent is told with the next report."""
        self._left = self._steps = 0

    def next(self) -> None:
        """Ends a step, and waits at the end of a window until there is another one."""
        if self._left > 1:
            self._left -= 1
            return
        self._report()
        order = sys.stdin.readline()
        if not order:  # no more windows are wanted: nothing that would end a training matters
            os._exit(0)
        self._left = self._steps = int(order)
        self._wall, self._cpu = time.perf_counter(), processor_seconds()

    def _report(self) -> None:
        report: dict[str, Any] = {"steps": self._steps, "facts": self.facts}
        if self._steps:
            finish_device()
            report |= {
                "wall": time.perf_counter() - self._wall,
                "cpu": processor_seconds() - self._cpu,
                "memory": peak_memory(),
            }
        self._pipe.write(json.dumps(report) + "\n")
        self._pipe.flush()
        self.facts = {}


def run_part(kind: str, place: str, options: str) -> None:
    """Runs a function, named as ``module:function``, with options in JSON; a side has turns."""
    module, _, name = place.partition(":")
    function = getattr(importlib.import_module(module), name)
    if kind == "call":
        function(**json.loads(options))
    else:
        function(Turns(), **json.loads(options))
        sys.exit(f"{place} has ended by itself.")


def finish_device() -> None:
    """Waits for what runs on a GPU, where one is used."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def processor_seconds() -> float:
    """Of this process and of those of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_memory() -> float:
    """The most memory that this process has had so far, in megabytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most / 1e3


# ------------------------------------------------------------------------------------ in the parent


@dataclass(frozen=True)
class Window:
    """What a side has done in its turn.

    Args:
        steps: How many.
        wall: Seconds by the clock.
        cpu: Seconds of processors, of all threads.
        memory: Megabytes at the peak of its process so far.
        facts: What else the side has told.
    """

    steps: int
    wall: float
    cpu: float
    memory: float
    facts: dict[str, Any]


class Side:
    """A side of a comparison, in a process of its own.

    Args:
        place: The function, as ``module:function``.
        threads: Threads of torch.
        options: Its arguments besides the turns.
    """

    def __init__(self, place: str, threads: int = 1, **options: object) -> None:
        self.place, self.threads, self.options = place, threads, options
        self.facts: dict[str, Any] = {}
        """What it has told before its first window."""

    def start(self) -> None:
        """Starts its process."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, str(FRONT), "side", self.place, json.dumps(self.options)],
            env=environment(self.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def ready(self) -> None:
        """Waits until it could begin."""
        self.facts = self._read()["facts"]

    def window(self, steps: int) -> Window:
        """Lets it do so many steps."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return Window(**self._read())

    def close(self) -> None:
        """Ends its process."""
        with self._process, self._errors, contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").splitlines()[-15:]
            sys.exit("\n".join([*last, f"{self.place} has failed; its last lines are above."]))
        found: dict[str, Any] = json.loads(line)
        return found


def call(place: str, threads: int = 1, **options: object) -> None:
    """Runs a function to its end in a process of its own, which may start further ones.

    Raises:
        SystemExit: If it fails, with its last lines.
    """
    words = [sys.executable, str(FRONT), "call", place, json.dumps(options)]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    done = subprocess.run(words, env=environment(threads), text=True, check=False, **streams)
    if done.returncode:
        last = done.stderr.splitlines()[-15:]
        sys.exit("\n".join([*last, f"{place} has failed; its last lines are above."]))


def environment(threads: int) -> dict[str, str]:
    """The variables of a side's process."""
    kept = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    return kept | {"OMP_NUM_THREADS": str(threads)}


@contextmanager
def started(sides: Mapping[str, Side]) -> Iterator[Mapping[str, Side]]:
    """Starts sides, as many beside each other as there are processors, and ends them at last."""
    waiting = list(sides.values())
    with ExitStack() as stack:
        while waiting:
            some, waiting = waiting[: os.cpu_count()], waiting[os.cpu_count() :]
            for side in some:
                side.start()
                stack.callback(side.close)
            for side in some:
                side.ready()
        yield sides


def take_turns(
    sides: Mapping[str, Side], steps: int | Mapping[str, int], rounds: int, title: str = ""
) -> dict[str, list[Window]]:
    """Windows of so many steps, in every round one of each side; who begins changes."""
    counts = dict.fromkeys(sides, steps) if isinstance(steps, int) else steps
    found: dict[str, list[Window]] = {name: [] for name in sides}
    for number in tqdm(range(rounds), title, leave=False, disable=None):
        for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
            found[name].append(sides[name].window(counts[name]))
    return found


def joined(windows: Sequence[Window], count: int) -> list[Window]:
    """Each ``count`` windows that follow each other, as one.

    Short turns that alternate see the same machine, however its speed changes; together they are
    long enough to hold all that is done now and then.
    """
    groups = [windows[i : i + count] for i in range(0, len(windows), count)]
    return [
        Window(
            sum(window.steps for window in group),
            sum(window.wall for window in group),
            sum(window.cpu for window in group),
            group[-1].memory,
            group[-1].facts,
        )
        for group in groups
    ]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least, most, and how many."""
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "n": len(values),
    }


def per_step(windows: Sequence[Window], clock: str = "cpu") -> dict[str, float]:
    """Milliseconds a step, by ``cpu`` or ``wall``."""
    return spread([1e3 * getattr(window, clock) / window.steps for window in windows])


def rate(windows: Sequence[Window], samples: int, clock: str = "wall") -> dict[str, float]:
    """Samples a second, with so many a step."""
    return spread([samples * window.steps / getattr(window, clock) for window in windows])


def ratio(
    first: Sequence[Window], second: Sequence[Window], clock: str = "cpu"
) -> dict[str, float]:
    """How many times as long a step of the first takes, round by round."""
    pairs = zip(first, second, strict=True)
    return spread([getattr(a, clock) / a.steps / (getattr(b, clock) / b.steps) for a, b in pairs])


def furthest(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """The largest difference of losses, step by step, relative where they are larger than one."""
    return max(
        abs(a - b) / max(1.0, abs(a))
        for ours, theirs in zip(first, second, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


def refuse_other_losses(name: str, difference: float, most: float, steps: int) -> None:
    """Ends the benchmark where two sides that are meant to compute the same do not."""
    if not difference <= most:
        sys.exit(
            f"{name}: the losses of the first {steps} steps differ by up to {difference:.1e}, more "
            f"than {most:.0e}: the sides do not compute the same, so their times do not compare."
        )


# --------------------------------------------------------------------------- options, tables, files


def parser(description: str | None, rounds: int = 7) -> argparse.ArgumentParser:
    """The options that all commands have."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    found.add_argument("--rounds", type=int, default=rounds, help="windows of each side")
    found.add_argument("--threads", type=int, default=1, help="threads of torch on each side")
    found.add_argument("--quick", action="store_true", help="few and short windows, to try it out")
    found.add_argument(
        "--record", action="store_true", help="write the result into docs/performance and its page"
    )
    return found


@contextmanager
def circumstances(threads: int) -> Iterator[dict[str, Any]]:
    """Commit, machine and date, with the load of the machine before and after."""
    found = provenance() | {"threads": threads, "date": time.strftime("%Y-%m-%d")}
    found["load_before"] = round(os.getloadavg()[0], 1)
    start = time.perf_counter()
    yield found
    found["load_after"] = round(os.getloadavg()[0], 1)
    found["seconds"] = round(time.perf_counter() - start)


def finish(command: str, result: dict[str, Any], record: bool) -> None:
    """Prints the table and the result in JSON; writes both down where asked."""
    print(table_of(command, result), flush=True)
    print(json.dumps(result))
    if record:
        RECORDS.mkdir(exist_ok=True)
        text = json.dumps(result, indent=1) + "\n"
        (RECORDS / f"{command}.json").write_text(text, encoding="utf-8")
        put_table(command)


def module_of(command: str) -> ModuleType:
    """Where a command stands."""
    place = command if command == "device_check" else f"benchmarks.{command}"
    return importlib.import_module(place)


def table_of(command: str, result: dict[str, Any]) -> str:
    """The table of a command's result, in Markdown, with the circumstances below."""
    table: str = module_of(command).table(result)
    return f"{table}\n\n{told(result['circumstances'])}"


def told(how: Mapping[str, Any]) -> str:
    """The circumstances in a sentence."""
    threads = "1 thread" if how["threads"] == 1 else f"{how['threads']} threads"
    quick = " A quick trial with few repetitions: not for comparisons." if how.get("quick") else ""
    return (
        f"{how['date']}, commit {how['commit']}, torch {how['torch']}, {how['machine']}, {threads} "
        f"a side; load of the machine {how['load_before']} before and {how['load_after']} after, "
        f"{how['seconds']} s.{quick}"
    )


def marks(command: str) -> tuple[str, str]:
    """Between which the page has the table of a command."""
    return f"<!-- made by benchmark.py {command} -->", f"<!-- end of {command} -->"


def put_table(command: str) -> None:
    """Puts the recorded table of a command into the page.

    Raises:
        SystemExit: If the page has no place for it.
    """
    begin, end = marks(command)
    before, found, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{PAGE} has no place for the table: put {begin} and {end} where it belongs.")
    whole = f"{before}{begin}\n\n{recorded_table(command)}\n\n{end}{after}"
    PAGE.write_text(whole, encoding="utf-8")


def recorded_table(command: str) -> str:
    """The table of the results that were recorded last."""
    own = getattr(module_of(command), "recorded_table", None)
    if own is not None:  # of lines that were added one by one
        found: str = own()
        return found
    text = (RECORDS / f"{command}.json").read_text(encoding="utf-8")
    return table_of(command, json.loads(text))


def recorded_commands(folder: Path = RECORDS) -> list[str]:
    """The commands with a recorded result."""
    return sorted(path.stem for path in folder.glob("*.json*"))


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def shown(values: Mapping[str, float], form: str = ".2f") -> str:
    """A median with its spread, as in ``1.02 (1.00 to 1.05)``."""
    low, high = format(values["low"], form), format(values["high"], form)
    return f"{values['median']:{form}} ({low} to {high})"
