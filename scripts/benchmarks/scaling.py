"""How throughput changes with the batch, the size of images, the size of the data, and processes.

The sides of an axis take turns; each trains a DCGAN by lightning_gan.fit with all that it does by
itself. Processes: every process keeps its batch, so that two see twice as many images a step. Runs
of one and of two take turns, each under the Trainer with the strategy that the command line
chooses; of each the fastest window counts, since two processes wait for each other wherever one is
held up. The share of reduction is the time that the averaging of gradients takes after the backward
pass, waiting for the slower process included. Beside it stand the same without overlap, and
Lightning's DDP that searches for unused parameters.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - finds the package
import torch
from lightning.pytorch import Callback, Trainer
from tqdm import tqdm

import lightning_gan
from benchmarks.cases import CASES, MadeUp
from benchmarks.loops import TakeTurns
from benchmarks.measure import (
    Side,
    Turns,
    call,
    circumstances,
    finish,
    markdown,
    parser,
    per_step,
    rate,
    shown,
    started,
    take_turns,
)
from lightning_gan.distributed.reduction import Reducer
from lightning_gan.gan import GAN
from lightning_gan.networks import DCGANDiscriminator, DCGANGenerator
from lightning_gan.objectives import NonSaturating

AXES: dict[str, list[dict[str, int]]] = {
    "batch": [{"batch": batch} for batch in (16, 64, 256)],
    "image size": [{"side": side} for side in (16, 32, 64)],
    "data size": [{"count": count} for count in (1_000, 10_000, 100_000)],
}
"""What differs between the sides of an axis."""
OF_ALL = {"batch": 64, "side": 28, "count": 2_000, "channels": 1}
"""What is the same where nothing else is said."""
WINDOW = 512
"""Images in a window."""
OURS, OTHER = "gan_ddp", "ddp_find_unused_parameters_true"
VARIANTS = ((1, "auto", True), (2, OURS, True), (2, OURS, False), (2, OTHER, False))
"""Processes, strategy, and whether ours averages gradients during the backward pass."""
ROUNDS, WINDOWS = 2, 3
"""Runs of each variant, and windows of a run, the first of which warms up."""
STEPS = {"dcgan": 15, "ring": 200}
"""Steps in a window."""


def scaled(turns: Turns, batch: int, side: int, count: int, channels: int, folder: str) -> None:
    """The side of one DCGAN on pictures of noise."""
    networks = (DCGANGenerator(channels, side, width=32), DCGANDiscriminator(channels, side, 32))
    gan = GAN(*networks, NonSaturating(), max_images=10**12)
    lightning_gan.fit(
        gan,
        MadeUp(channels, side, count, batch),
        folder,
        callbacks=[TakeTurns(turns)],
        accelerator="cpu",
        limit_val_batches=0,
    )


def along(axis: str, rounds: int, threads: int, quick: bool) -> list[dict[str, Any]]:
    """One row for each place on an axis."""
    with tempfile.TemporaryDirectory() as folder:
        places = [OF_ALL | place for place in AXES[axis][: 2 if quick else None]]
        everyone = {
            str(number): Side(
                "benchmarks.scaling:scaled", threads, folder=str(Path(folder, str(number))), **place
            )
            for number, place in enumerate(places)
        }
        images = 64 if quick else WINDOW
        steps = {name: max(1, images // places[int(name)]["batch"]) for name in everyone}
        with started(everyone) as sides:
            take_turns(sides, 2, 1)  # warms up
            found = take_turns(sides, steps, rounds, axis)
    return [
        {
            "axis": axis,
            **place,
            "images_a_second": rate(windows, place["batch"]),
            "cpu_ms": per_step(windows),
            "memory": max(window.memory for window in windows),
        }
        for place, windows in zip(places, found.values(), strict=True)
    ]


class Watch(Callback):
    """Times windows of steps, and what of them the averaging takes after the backward pass."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.seconds: list[float] = []
        self.reducing: list[float] = []
        self._reducing = 0.0
        untimed = Reducer.finish

        def timed(reducer: Reducer) -> None:
            begun = time.perf_counter()
            untimed(reducer)
            self._reducing += time.perf_counter() - begun

        Reducer.finish = timed  # type: ignore[method-assign]

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """Starts the clock."""
        self._clock = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:
        """Ends a window, and the run after the last one."""
        if pl_module.progress.batches % self.window:
            return
        now = time.perf_counter()
        self.seconds.append((now - self._clock) / self.window)
        self.reducing.append(self._reducing / self.window)
        self._clock, self._reducing = now, 0.0
        trainer.should_stop = len(self.seconds) >= WINDOWS


def work(name: str, steps: int, processes: int, strategy: str, overlap: bool, path: str) -> None:
    """Trains in this process, and in those that Lightning starts beside it; writes the times."""
    if not overlap:
        Reducer.arm = lambda self: None  # type: ignore[method-assign]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    case, watch = CASES[name], Watch(steps)
    trainer = Trainer(
        accelerator="cpu",
        devices=processes,
        strategy=strategy,
        max_epochs=-1,
        logger=False,
        limit_val_batches=0,
        enable_model_summary=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        callbacks=[watch],
    )
    model = GAN(*case.networks(), objective=NonSaturating(), max_images=10**12)
    trainer.fit(model, datamodule=case.data(case.batch))
    if trainer.is_global_zero:
        times = {"seconds": watch.seconds[1:], "reducing": watch.reducing[1:]}
        Path(path).write_text(json.dumps(times), encoding="utf-8")


def run(
    name: str, steps: int, processes: int, strategy: str, overlap: bool
) -> list[tuple[float, float]]:
    """Seconds a step, and of it in reduction, of every window of one run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "times.json"
        how = {"name": name, "steps": steps, "processes": processes, "strategy": strategy}
        call("benchmarks.scaling:work", 1, **how, overlap=overlap, path=str(path))
        times = json.loads(path.read_text(encoding="utf-8"))
    return list(zip(times["seconds"], times["reducing"], strict=True))


def by_processes(name: str, steps: int, rounds: int) -> dict[str, Any]:
    """One row of the table of processes."""
    found: dict[tuple[int, str, bool], list[tuple[float, float]]] = {key: [] for key in VARIANTS}
    for _ in tqdm(range(rounds), f"processes, {name}", leave=False, disable=None):
        for key in VARIANTS:
            found[key] += run(name, steps, *key)
    (one, _), (two, reducing), (apart, _), (other, _) = (min(found[key]) for key in VARIANTS)
    return {
        "case": name,
        "one_ms": 1e3 * one,
        "two_ms": 1e3 * two,
        "two_without_overlap_ms": 1e3 * apart,
        "two_by_unused_search_ms": 1e3 * other,
        "reduction_share": reducing / two,
        "throughput_factor": 2 * one / two,
        "efficiency": one / two,
        "windows_of_each": len(found[VARIANTS[0]]),
        "steps_a_window": steps,
    }


def table(result: dict[str, Any]) -> str:
    """The tables of a result."""
    head = ("DCGAN, batch, pixels, samples", "images/s", "processor, ms a step", "memory, MB")
    rows = [
        (
            f"{row['batch']}, {row['side']}, {row['count']:,}",
            shown(row["images_a_second"], ".0f"),
            shown(row["cpu_ms"], ".1f"),
            f"{row['memory']:.0f}",
        )
        for row in result["rows"]
    ]
    processes_head = (
        "processes",
        "one, ms a step",
        "two",
        "two without overlap",
        "two by the unused search",
        "reduction",
        "images/s",
        "efficiency",
    )
    processes = [
        (
            CASES[row["case"]].name,
            *(f"{row[key]:.2f}" for key in ("one_ms", "two_ms")),
            *(f"{row[key]:.2f}" for key in ("two_without_overlap_ms", "two_by_unused_search_ms")),
            f"{row['reduction_share']:.1%}",
            f"{row['throughput_factor']:.2f} times",
            f"{row['efficiency']:.1%}",
        )
        for row in result["processes"]
    ]
    found = [markdown(head, rows)] if rows else []
    found += [markdown(processes_head, processes)] if processes else []
    return "\n\n".join(found)


def main(arguments: list[str]) -> None:
    """Measures; takes about four minutes."""
    options = parser(__doc__)
    axes = [*AXES, "processes"]
    options.add_argument("--axes", nargs="+", choices=axes, default=axes)
    asked = options.parse_args(arguments)
    rounds, runs = (2, 1) if asked.quick else (asked.rounds, ROUNDS)
    with circumstances(asked.threads) as how:
        how["quick"] = asked.quick
        rows = [
            row
            for axis in AXES
            if axis in asked.axes
            for row in along(axis, rounds, asked.threads, asked.quick)
        ]
        processes = [
            by_processes(name, 3 if asked.quick else steps, runs)
            for name, steps in STEPS.items()
            if "processes" in asked.axes
        ]
    result = {"circumstances": how, "rows": rows, "processes": processes}
    finish("scaling", result, asked.record)
