"""How long the program takes until it says or does something: every help, and the first batch.

    python scripts/benchmarks/startup.py --repeats 7

Seconds of the processor, since the machine may be shared, and by the clock. The first batch is
counted from after the imports of torch and Lightning, which are told by themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from lightning.pytorch import Callback

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    *("fit", "validate", "test", "predict", "evaluate", "export"),
    *("report", "runs", "table", "compare", "recipes"),
)
QUESTIONS = [["--version"], ["--help"], *([command, "--help"] for command in COMMANDS)]
ANSWER = 1.0
"""Seconds of the processor that an answer may take."""
FIRST = 3.0
"""Seconds of the processor until the first batch is done, after the imports."""
PARTS = ("import torch", "import Lightning", "until the first batch", "the first batch")

FIT = """
import sys, time
marks = [time.process_time()]
import torch
marks.append(time.process_time())
import lightning.pytorch
marks.append(time.process_time())
import startup
startup.marks = marks
from lightning_gan.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
marks: list[float] = []
"""Of the processor's clock: at the start, after each import, and around the first batch."""


class Stop(Callback):
    """Tells when the first batch begins and ends, and ends the program."""

    def on_train_batch_start(self, *_: object) -> None:
        """Everything is there."""
        marks.append(time.process_time())

    def on_train_batch_end(self, *_: object) -> None:
        """The first batch is done."""
        marks.append(time.process_time())
        spent = [later - sooner for sooner, later in pairwise(marks)]
        print("spent", json.dumps(spent), flush=True)
        os._exit(0)


def run(command: Sequence[str], folder: str) -> tuple[float, float, str]:
    """Seconds of the processor and by the clock, and what a program said."""
    path = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} has failed:\n{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, done.stdout


def first_batch(recipe: str, data: str | None, folder: str) -> dict[str, float]:
    """Seconds of the processor that each part of a training's start takes."""
    options = f"fit --config {recipe} --trainer.callbacks+=startup.Stop --trainer.accelerator cpu"
    arguments = [*options.split(), *(["--data.root", data] if data else [])]
    _, _, said = run(["-c", FIT, *arguments], folder)
    (line,) = (line for line in said.splitlines() if line.startswith("spent "))
    return dict(zip(PARTS, json.loads(line.removeprefix("spent ")), strict=True))


def measure(options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Seconds by what is asked or trained; all take turns."""
    found: dict[str, dict[str, list[float]]] = {}

    def add(name: str, **seconds: float) -> None:
        for part, spent in seconds.items():
            found.setdefault(name, {}).setdefault(part, []).append(spent)

    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.repeats):
            print(f"round {number + 1}, load {os.getloadavg()}", file=sys.stderr)
            for question in QUESTIONS:
                cpu, wall, _ = run(["-m", "lightning_gan", *question], folder)
                add(" ".join(question), processor=cpu, clock=wall)
            for recipe in options.recipes:
                add(f"fit --config {recipe}", **first_batch(recipe, options.data, folder))
    return found


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """Medians, and the most."""
    lines = []
    for name, parts in found.items():
        cells = [f"{part} {statistics.median(x):.2f} ({max(x):.2f})" for part, x in parts.items()]
        spent = statistics.median(parts.get("processor", [0.0]))
        late = spent > ANSWER
        if PARTS[0] in parts:
            late = sum(statistics.median(parts[part]) for part in PARTS[2:]) > FIRST
        lines.append(f"{name:32}{', '.join(cells)}{'  TOO LONG' if late else ''}")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Reads the command line, measures, prints the table and writes the JSON."""
    parser = argparse.ArgumentParser(
        prog="startup", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7, help="of everything")
    parser.add_argument("--recipes", nargs="*", default=["dcgan_digits", "mlp_ring"])
    parser.add_argument("--data", help="folder of the recipes' data")
    parser.add_argument("--output", type=Path, default=Path("startup.json"), help="the JSON")
    options = parser.parse_args(arguments)
    found = measure(options)
    about = {"machine": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()}
    options.output.write_text(json.dumps(about | found, indent=1) + "\n", encoding="utf-8")
    print(f"{about}, written to {options.output}\nseconds: median (most)\n{table(found)}")


if __name__ == "__main__":
    main(sys.argv[1:])
