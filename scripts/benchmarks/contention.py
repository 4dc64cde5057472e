"""How fast a training on several threads is beside other busy programs, by how threads wait.

Every way to wait has a training in a process of its own, under the Trainer with all the usual
callbacks. They take turns, one at a time, alone and beside each kind of neighbour; those whose turn
it is not sleep. What the program itself would choose beside each neighbour is asked as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
ONE = "one thread"
WAYS: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spins 1,000 times": {"GOMP_SPINCOUNT": "1000"},
    "spins 10,000 times": {"GOMP_SPINCOUNT": "10000"},
    "spins 100,000 times": {"GOMP_SPINCOUNT": "100000"},
    ONE: {"OMP_NUM_THREADS": "1"},
}
"""What is set for each way to wait; all but the last with the threads that are asked for."""
ALONE = "alone"
LOOPS = {
    "a Python loop": "while True: pass",
    "bursts of 10 ms": "import time\n"
    "while True:\n    end = time.time() + 0.01\n    while time.time() < end: pass\n"
    "    time.sleep(0.01)",
}
"""Neighbours that are a line of Python."""
TRAINING = "a one-thread training"
NEIGHBOURS = (ALONE, *LOOPS, TRAINING)
WARM_UP = 1.0
"""Seconds of each turn that do not count: whoever has slept finds his memory again."""
ASK = "from lightning_gan.basics.waiting import *; choose_waiting(); print(waiting())"


class Turns(Callback):
    """Lets a training run only when it is told to: a line of its input is a number of seconds."""

    def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
        """Waits for a turn where there is none."""
        if not hasattr(self, "_ends"):
            print("ready", flush=True)
            self._begin()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Counts images; tells how many a second at the end of a turn."""
        now, images = time.perf_counter(), pl_module.progress.images
        if now < self._counts:
            self._first = (now, images)
        elif now >= self._ends:
            then, before = self._first or (self._began, 0)
            rate = (images - before) / (now - then) if images > before else 0.0
            print(json.dumps(rate), flush=True)
            self._begin()

    def _begin(self) -> None:
        line = sys.stdin.readline()
        if not line:  # nobody asks any more
            os._exit(0)
        self._began = time.perf_counter()
        self._counts = self._began + WARM_UP
        self._ends = self._counts + float(line)
        self._first: tuple[float, int] | None = None


def train(recipe: str, folder: str) -> None:
    """Trains without end, in turns."""
    from lightning_gan.cli.program import run

    arguments = f"fit --config {recipe} --model.max_images 1000000000 --trainer.accelerator cpu"
    arguments += f" --trainer.limit_val_batches 0 --trainer.default_root_dir {folder}"
    arguments += " --trainer.callbacks+=contention.Turns"
    run([*arguments.split(), "--trainer.enable_progress_bar", "false"])


class Training:
    """A training in a process of its own.

    Args:
        recipe: What it trains.
        settings: What is set of OpenMP.
        folder: Where it writes.
    """

    def __init__(self, recipe: str, settings: dict[str, str], folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, recipe, folder],
            env=without_openmp() | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        while self._line().strip() != "ready":
            pass

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit("A training has ended; what it said stands above.")
        return line

    def begin(self, seconds: float) -> None:
        """Gives it a turn."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def images_a_second(self) -> float:
        """Waits for the end of its turn."""
        return float(self._line())

    def end(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()


def without_openmp() -> dict[str, str]:
    """The environment, with the package, without what it says of OpenMP."""
    kept = {k: x for k, x in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    return kept | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(Path(__file__).parent)))}


@contextmanager
def beside(name: str, training: Training, seconds: float) -> Iterator[None]:
    """Runs a neighbour for at least so many seconds."""
    if name in LOOPS:
        process = subprocess.Popen([sys.executable, "-c", LOOPS[name]])
        try:
            yield
        finally:
            process.kill()
            process.wait()
    elif name == TRAINING:
        training.begin(seconds)
        yield
        training.images_a_second()
    else:
        yield


def load() -> dict[str, Any]:
    """What runs on the machine by itself."""
    path = Path("/proc/loadavg")
    running = path.read_text().split()[3] if path.exists() else None
    return {"load": [round(x, 2) for x in os.getloadavg()], "running": running}


def measure(options: argparse.Namespace, rounds: int) -> dict[str, Any]:
    """Images a second of every way beside every neighbour, in each round."""
    found: dict[str, dict[str, list[float]]] = {
        way: {name: [] for name in options.neighbours} for way in options.ways
    }
    loads, chosen = [], {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        trainings = {}
        for way in [*options.ways, TRAINING]:
            settings = {"OMP_NUM_THREADS": str(options.threads)} | WAYS.get(way, WAYS[ONE])
            trainings[way] = Training(options.recipe, settings, f"{folder}/{len(trainings)}")
            stack.callback(trainings[way].end)
        neighbour = trainings.pop(TRAINING)
        for _ in tqdm(range(rounds)):
            loads.append(load())
            for name in options.neighbours:
                with beside(name, neighbour, 3.0):
                    time.sleep(0.5)
                    chosen[name] = asked()
                for way, training in trainings.items():
                    with beside(name, neighbour, options.seconds + 2 * WARM_UP):
                        training.begin(options.seconds)
                        found[way][name].append(training.images_a_second())
    return {"rates": found, "loads": loads, "chosen": chosen}


def asked() -> str:
    """What the program chooses now."""
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, env=without_openmp(), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def table(result: dict[str, Any]) -> str:
    """Medians with the least and the most, what the program chooses, and whether that is enough."""
    from benchmarks.measure import markdown, shown, spread

    rates: dict[str, dict[str, list[float]]] = result["rates"]
    names = [*next(iter(rates.values()))]
    rows = [
        [way, *(shown(spread(each), ",.0f") for each in by_name.values())]
        for way, by_name in rates.items()
    ]
    chosen = [f"* Chosen {name}: {choice}." for name, choice in result["chosen"].items()]
    judged = [f"* {line}." for line in aims(rates)]
    whole = markdown(("threads wait: images/s", *names), rows)
    return "\n".join([whole, "", *chosen, *judged])


def aims(rates: dict[str, dict[str, list[float]]]) -> Iterator[str]:
    """What should hold of each way: idle 0.9 of the default's; busy 0.7 of one thread's."""
    for way, by_name in rates.items():
        for name, each in by_name.items():
            against = "default" if name == ALONE else ONE
            if against in rates and way != against:
                base = statistics.median(rates[against][name])
                ratio, worst = statistics.median(each) / base, min(each) / base
                yield f"{way}, {name}: {ratio:.2f} of {against}'s median, {worst:.2f} at the least"


def main(arguments: list[str]) -> None:
    """Measures; takes about ten minutes."""
    from benchmarks.measure import circumstances, finish, parser

    options = parser(__doc__, rounds=5)
    options.add_argument("--recipe", default="dcgan_digits", help="what is trained")
    options.add_argument("--seconds", type=float, default=5.0, help="of each turn, that count")
    options.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS])
    options.add_argument("--neighbours", nargs="+", choices=NEIGHBOURS, default=[*NEIGHBOURS])
    options.set_defaults(threads=os.cpu_count())
    asked = options.parse_args(arguments)
    with circumstances(asked.threads) as how:
        how["quick"] = asked.quick
        measured = measure(asked, 2 if asked.quick else asked.rounds)
    finish("contention", {"circumstances": how, "recipe": asked.recipe, **measured}, asked.record)


if __name__ == "__main__":  # a process that trains in turns
    train(*sys.argv[1:])
