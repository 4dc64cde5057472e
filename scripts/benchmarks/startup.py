"""How long the program takes until it says or does something: every help, and the first batch.

Seconds of the processor, since the machine may be shared, and by the clock. The first batch is
counted from after the imports of torch and Lightning, which are told by themselves.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    *("fit", "validate", "test", "predict", "evaluate", "export"),
    *("report", "runs", "table", "compare", "recipes"),
)
QUESTIONS = [["--version"], ["--help"], *([command, "--help"] for command in COMMANDS)]
QUESTIONS += [["recipes"], ["recipes", "mlp_ring"], ["runs", "."]]
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


def measure(rounds: int, recipes: list[str], data: str | None) -> dict[str, dict[str, list[float]]]:
    """Seconds by what is asked or trained; all take turns."""
    found: dict[str, dict[str, list[float]]] = {}

    def add(name: str, **seconds: float) -> None:
        for part, spent in seconds.items():
            found.setdefault(name, {}).setdefault(part, []).append(spent)

    with tempfile.TemporaryDirectory() as folder:
        for _ in tqdm(range(rounds)):
            for question in QUESTIONS:
                cpu, wall, _ = run(["-m", "lightning_gan", *question], folder)
                add(" ".join(question), processor=cpu, clock=wall)
            for recipe in recipes:
                add(f"fit --config {recipe}", **first_batch(recipe, data, folder))
    return found


def table(result: dict[str, Any]) -> str:
    """The tables of a result: of the answers, and of the first batch."""
    from benchmarks.measure import markdown, shown, spread

    asked, trained = [], []
    for name, parts in result["seconds"].items():
        cells = [f"`{name}`", *(shown(spread(seconds)) for seconds in parts.values())]
        if PARTS[0] in parts:
            spent = sum(statistics.median(parts[part]) for part in PARTS[2:])
            trained.append([*cells, verdict(spent, FIRST)])
        else:
            asked.append([*cells, verdict(statistics.median(parts["processor"]), ANSWER)])
    answers = markdown(("question", "processor, s", "clock, s", f"aim {ANSWER:g} s"), asked)
    aim = f"aim {FIRST:g} s after the imports"
    return f"{answers}\n\n{markdown(('training', *(f'{p}, s' for p in PARTS), aim), trained)}"


def verdict(seconds: float, most: float) -> str:
    """Whether it is quick enough."""
    return "too long" if seconds > most else "reached"


def main(arguments: list[str]) -> None:
    """Measures; takes about six minutes."""
    from benchmarks.measure import circumstances, finish, parser

    options = parser(__doc__)
    options.add_argument("--recipes", nargs="+", default=["dcgan_digits", "mlp_ring"])
    options.add_argument("--data", help="folder of the recipes' data")
    asked = options.parse_args(arguments)
    with circumstances(asked.threads) as how:
        how["quick"] = asked.quick
        found = measure(2 if asked.quick else asked.rounds, asked.recipes, asked.data)
    finish("startup", {"circumstances": how, "seconds": found}, asked.record)
