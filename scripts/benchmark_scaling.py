"""Weak scaling from one to two gloo processes; run as ``python scripts/benchmark.py scaling``.

Every process keeps its batch, so that two see twice as many images a step. Runs of one and of two
processes take turns, each under the Trainer with the strategy that the command line chooses; of
each the fastest window counts, since a shared machine only ever adds time. The share of reduction
is the time that the averaging of gradients takes after the backward pass, waiting for the slower
process included. Beside it stand the same without overlap, and Lightning's DDP that searches for
unused parameters.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - finds the package
import torch
from benchmark import CASES, Case
from lightning.pytorch import Callback, Trainer

from lightning_gan.distributed.reduction import Reducer
from lightning_gan.gan import GAN
from lightning_gan.objectives import NonSaturating

OURS, OTHER = "gan_ddp", "ddp_find_unused_parameters_true"
VARIANTS = ((1, "auto", True), (2, OURS, True), (2, OURS, False), (2, OTHER, False))
"""Processes, strategy, and whether ours averages gradients during the backward pass."""
ROUNDS = 2
WINDOWS = 3
"""Windows of a run; the first one warms up."""
STEPS = {"DCGAN, 28 px, batch 64": 15, "MLP in the plane, batch 256": 200}
"""Steps in a window."""


class Watch(Callback):
    """Times windows of steps, and what of them the averaging takes after the backward pass."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.seconds: list[float] = []
        self.reducing: list[float] = []
        self._reducing = 0.0
        finish = Reducer.finish

        def timed(reducer: Reducer) -> None:
            started = time.perf_counter()
            finish(reducer)
            self._reducing += time.perf_counter() - started

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


def work(case: Case, processes: int, strategy: str, overlap: bool, path: Path) -> None:
    """Trains in this process, and in those that Lightning starts beside it; writes the times."""
    if not overlap:
        Reducer.arm = lambda self: None  # type: ignore[method-assign]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    watch = Watch(STEPS[case.name])
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
    trainer.fit(model, datamodule=case.data())
    if trainer.is_global_zero:
        times = {"seconds": watch.seconds[1:], "reducing": watch.reducing[1:]}
        path.write_text(json.dumps(times), encoding="utf-8")


def run(case: Case, processes: int, strategy: str, overlap: bool) -> list[tuple[float, float]]:
    """Seconds a step, and of it in reduction, of every window of one run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "times.json"
        numbers = (CASES.index(case), processes, int(overlap))
        arguments = [*map(str, numbers), strategy, str(path)]
        subprocess.run(
            [sys.executable, __file__, *arguments],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            check=True,
        )
        times = json.loads(path.read_text(encoding="utf-8"))
    return list(zip(times["seconds"], times["reducing"], strict=True))


def measure(case: Case) -> dict[str, Any]:
    """One row of the table."""
    found: dict[tuple[int, str, bool], list[tuple[float, float]]] = {key: [] for key in VARIANTS}
    for _ in range(ROUNDS):
        for key in VARIANTS:
            found[key] += run(case, *key)
    (one, _), (two, reducing), (apart, _), (other, _) = (min(found[key]) for key in VARIANTS)
    return {
        "case": case.name,
        "one_ms": 1e3 * one,
        "two_ms": 1e3 * two,
        "two_without_overlap_ms": 1e3 * apart,
        "two_by_unused_search_ms": 1e3 * other,
        "reduction_ms": 1e3 * reducing,
        "reduction_share": reducing / two,
        "throughput_factor": 2 * one / two,
        "efficiency": one / two,
        "windows_of_each": len(found[VARIANTS[0]]),
        "steps_a_window": STEPS[case.name],
    }


def scaling() -> None:
    """Prints the table of all cases, and the same as JSON; takes two to four minutes."""
    before = os.getloadavg()[0]
    rows = [measure(case) for case in CASES]
    cores = os.cpu_count()
    print(
        f"\ntorch {torch.__version__}, 1 thread a process, {cores} cores, {platform.machine()}; "
        f"load before: {before:.1f}"
    )
    print(
        f"{'':30}{'one':>10}{'two':>10}{'no overlap':>12}{'ddp':>10}{'reduction':>12}"
        f"{'throughput':>12}{'efficiency':>12}"
    )
    for row in rows:
        print(
            f"{row['case']:30}{row['one_ms']:8.2f}ms{row['two_ms']:8.2f}ms"
            f"{row['two_without_overlap_ms']:10.2f}ms{row['two_by_unused_search_ms']:8.2f}ms"
            f"{row['reduction_share']:12.1%}{row['throughput_factor']:11.2f}x"
            f"{row['efficiency']:12.1%}"
        )
    if before > 0.5:
        print("Other work was running: two processes had less than two cores, so this is a floor.")
    print(json.dumps({"cores": cores, "load_before": before, "rows": rows}))


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    warnings.filterwarnings("ignore")
    case, processes, overlap = map(int, sys.argv[1:4])
    work(CASES[case], processes, sys.argv[4], bool(overlap), Path(sys.argv[5]))
