"""Checks on a GPU, in at most 8 minutes, what no machine without one can check.

    python scripts/device_check.py                           all parts
    python scripts/device_check.py --record                  the same, and into docs/performance.md
    python scripts/device_check.py --parts throughput race   some of them
    python scripts/device_check.py --device cpu --quick      its logic, at sizes that say nothing

The parts: the tests that need a GPU, but for those of synchronisation; those of synchronisation;
what compiled updates compute against eager ones; a table of throughput, eager and in bfloat16, and
compiled; and a short race. Each runs in a process of its own with a time limit, the next one
follows where one fails, and each result is a line of JSON, written as it comes.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import checkout
import torch
from benchmarks.cases import MadeUp
from benchmarks.measure import RECORDS, environment, furthest, markdown, put_table, spread
from lightning.pytorch import Callback, Trainer
from provenance import provenance

from lightning_gan import networks as n
from lightning_gan.callbacks.fitting import default_callbacks
from lightning_gan.callbacks.loggers import CSVCurve
from lightning_gan.gan import GAN
from lightning_gan.objectives import Hinge, NonSaturating, Objective, RelativisticPairing
from lightning_gan.regularizers import R1, R2, Regularizer

RESULTS = RECORDS / "device_check.jsonl"
LIMITS = {
    "tests": 130,
    "synchronisation": 40,
    "compiled": 60,
    "throughput": 90,
    "throughput_compiled": 100,
    "race": 60,
}
"""Seconds of each part: eight minutes in all."""
PRESENT = "cuda.is_available()"
"""What tests that need a GPU ask."""
WAITS = "waits_for_the_gpu"
"""In the names of those of synchronisation."""
COMPARED, ALIKE = 10, 1e-3
"""Steps of compiled and eager updates whose losses are compared, and how much they may differ."""

VARIANTS: dict[str, dict[str, Any]] = {
    "eager": {},
    "bf16": {"precision": "bf16-mixed"},
    "compile": {"compiled": True},
    "compile, bf16": {"compiled": True, "precision": "bf16-mixed"},
    "reduce-overhead": {"compiled": True, "mode": "reduce-overhead"},
    "reduce-overhead, bf16": {
        "compiled": True,
        "mode": "reduce-overhead",
        "precision": "bf16-mixed",
    },
}
"""How updates are made."""
Precision = Literal["32-true", "bf16-mixed"]
BATCHES, QUICK_BATCHES = (64, 512), (4, 8)


@dataclass(frozen=True)
class Family:
    """What is trained.

    Args:
        channels: Of a picture.
        side: Its height and width in pixels.
        networks: The two classes.
        sizes: Arguments of both.
        tiny: Others in their place, to try the logic.
        objective: The losses.
        penalised: Whether R1 and R2 join them.
    """

    channels: int
    side: int
    networks: tuple[type[n.Generator], type[n.Discriminator]]
    sizes: dict[str, Any]
    tiny: dict[str, Any]
    objective: type[Objective] = NonSaturating
    penalised: bool = False

    def make(self, device: str, tiny: bool, compiled: bool = False, mode: str = "") -> GAN:
        """The model, with weights that depend on nothing else.

        Raises:
            NotOfferedError: If this version does not compile updates.
        """
        torch.manual_seed(0)
        size = {"channels": self.channels, "image_size": self.side}
        players = [make(**size, **(self.tiny if tiny else self.sizes)) for make in self.networks]
        penalties: list[Regularizer] = [R1(0.1), R2(0.1)] if self.penalised else []
        more = {"compile": True} if compiled else {}
        if compiled and "compile" not in inspect.signature(GAN).parameters:
            raise NotOfferedError("this version has no --model.compile")
        gan = GAN(*players, self.objective(), penalties, max_images=10**12, **more)
        if mode:
            gan.game.mode = mode  # type: ignore[attr-defined]  # of compiled games
        return gan


class NotOfferedError(Exception):
    """What is to be measured does not exist in this version."""


GREY_R3GAN = {"widths": [128, 64], "patch": 2, "plain": True}
FAMILIES = {
    "DCGAN 28": Family(1, 28, (n.DCGANGenerator, n.DCGANDiscriminator), {}, {"width": 4}),
    "DCGAN 32": Family(3, 32, (n.DCGANGenerator, n.DCGANDiscriminator), {}, {"width": 4}),
    "R3GAN small": Family(
        *(1, 28, (n.R3GANGenerator, n.R3GANDiscriminator), GREY_R3GAN),
        *({"widths": [8, 8], "patch": 2, "group_size": 4}, RelativisticPairing, True),
    ),
    "SNDCGAN": Family(
        *(3, 32, (n.SNDCGANGenerator, n.SNDCGANDiscriminator), {"width": 64}),
        *({"width": 4}, Hinge),
    ),
    "StyleGAN2": Family(
        *(3, 32, (n.StyleGAN2Generator, n.StyleGAN2Discriminator), {}),
        *({"width": 4, "max_width": 8}, NonSaturating),
    ),
    "BigGAN": Family(
        *(3, 32, (n.BigGANGenerator, n.BigGANDiscriminator), {"width": 64}), *({"width": 2}, Hinge)
    ),
}


# ----------------------------------------------------------------------------- what the parts do


class Emit:
    """Writes results of a part, a line of JSON each, to the standard output of its process.

    Args:
        part: Its name.
    """

    def __init__(self, part: str) -> None:
        self.part = part
        self._pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def __call__(self, **result: object) -> None:
        """Writes one."""
        self._pipe.write(json.dumps({"part": self.part, **result}) + "\n")
        self._pipe.flush()


@dataclass(frozen=True)
class Place:
    """Where the parts run.

    Args:
        device: "cuda" or "cpu".
        quick: Whether at sizes that say nothing.
        families: What is trained.
    """

    device: str
    quick: bool
    families: tuple[str, ...] = tuple(FAMILIES)

    @property
    def accelerator(self) -> str:
        """What the Trainer calls it."""
        return "gpu" if self.device == "cuda" else "cpu"


def test_files() -> list[str]:
    """The files of tests that need a GPU."""
    files = sorted((checkout.ROOT / "tests").rglob("test_*.py"))
    found = [path for path in files if PRESENT in path.read_text(encoding="utf-8")]
    return [str(path.relative_to(checkout.ROOT)) for path in found]


def tests(place: Place, emit: Emit) -> None:
    """Runs the tests that need a GPU, but those of synchronisation."""
    pytest_of(f"not {WAITS}", emit)


def synchronisation(place: Place, emit: Emit) -> None:
    """Runs those that forbid the host to wait for the device."""
    pytest_of(WAITS, emit)


def pytest_of(chosen: str, emit: Emit) -> None:
    """Runs tests, a result for each that is done, as it is done."""
    files = test_files()
    if not files:
        emit(ok=False, what="no such tests in this version")
        return
    words = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--color=no"]
    words += ["-k", chosen, *files]
    with subprocess.Popen(words, cwd=checkout.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            name, _, rest = line.strip().partition(" ")
            outcome = rest.partition(" ")[0]
            if "::" in name and outcome in ("PASSED", "FAILED", "ERROR", "SKIPPED"):
                emit(ok=outcome in ("PASSED", "SKIPPED"), what=name, outcome=outcome.lower())
            elif line.startswith(("FAILED", "ERROR", "E  ")):
                print(line.rstrip(), file=sys.stderr)
    emit(ok=process.returncode in (0, 5), what="all", outcome=f"exit code {process.returncode}")


class Meter(Callback):
    """Times windows of a training, and ends it.

    Args:
        warm: Steps before the first window.
        steps: Steps in a window.
        windows: How many.
        losses: Steps whose losses are kept.
    """

    def __init__(self, warm: int, steps: int, windows: int, losses: int = 0) -> None:
        self.warm, self.steps, self.windows, self.kept = warm, steps, windows, losses
        self.seconds: list[float] = []
        self.losses: list[list[float]] = []
        self._done = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:
        """Ends a window, and the training after the last."""
        self._done += 1
        if len(self.losses) < self.kept:
            self.losses.append([float(output.loss) for output in pl_module.outputs])
        done = self._done - self.warm
        if done < 0 or done % self.steps:
            return
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if done:
            self.seconds.append((now - self._started) / self.steps)
        self._started = now
        trainer.should_stop = len(self.seconds) >= self.windows


def train(
    gan: GAN,
    family: Family,
    batch: int,
    place: Place,
    meter: Meter,
    precision: Precision = "32-true",
) -> None:
    """Trains with the usual callbacks and the curve."""
    data = MadeUp(family.channels, family.side, max(4 * batch, 64), batch)
    usual = default_callbacks(data, bar=False, checkpoints=False, validating=False)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator=place.accelerator,
            devices=1,
            precision=precision,
            max_epochs=-1,
            logger=CSVCurve(folder),
            limit_val_batches=0,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            callbacks=[*usual, meter],
        )
        trainer.fit(gan, data)


@contextmanager
def reported(emit: Emit, **what: object) -> Iterator[None]:
    """Turns a failure into a result, so that what follows runs."""
    try:
        yield
    except NotOfferedError as error:
        emit(ok=False, **what, missing=str(error))
    except Exception as error:  # whatever a device or a compiler may do
        emit(ok=False, **what, error=f"{type(error).__name__}: {error}"[:500])


def compiled(place: Place, emit: Emit) -> None:
    """Compares the losses of compiled and of eager updates, step by step."""
    steps = 3 if place.quick else COMPARED
    for name in place.families:
        family = FAMILIES[name]
        for mode in ("", "reduce-overhead"):
            with reported(emit, family=name, mode=mode or "default"):
                meters = []
                for how in ({}, {"compiled": True, "mode": mode}):
                    gan = family.make(place.device, place.quick, **how)
                    meters.append(Meter(0, steps, 1, losses=steps))
                    batch = (QUICK_BATCHES if place.quick else BATCHES)[0]
                    train(gan, family, batch, place, meters[-1])
                differ = furthest(meters[0].losses, meters[1].losses)
                how = {"family": name, "mode": mode or "default"}
                emit(ok=differ <= ALIKE, **how, losses_differ=differ, steps=steps)


def throughput(place: Place, emit: Emit) -> None:
    """Images a second without a compiler."""
    table_of(place, emit, [name for name, how in VARIANTS.items() if "compiled" not in how])


def throughput_compiled(place: Place, emit: Emit) -> None:
    """Images a second of compiled updates; the small batches first, as time may run out."""
    table_of(place, emit, [name for name, how in VARIANTS.items() if "compiled" in how])


def table_of(place: Place, emit: Emit, variants: list[str]) -> None:
    """Images a second of all families, a result for each cell."""
    for batch in QUICK_BATCHES if place.quick else BATCHES:
        for variant in variants:
            for name in place.families:
                with reported(emit, family=name, batch=batch, variant=variant):
                    family = FAMILIES[name]
                    how = dict(VARIANTS[variant])
                    precision = how.pop("precision", "32-true")
                    gan = family.make(place.device, place.quick, **how)
                    meter = Meter(1, 1, 2) if place.quick else Meter(12, 20, 5)
                    train(gan, family, batch, place, meter, precision)
                    rate = spread([batch / seconds for seconds in meter.seconds])
                    cell = {"family": name, "batch": batch, "variant": variant}
                    emit(ok=True, **cell, images_a_second=rate, megabytes=peak(place))


def peak(place: Place) -> float | None:
    """The most memory of the device since the last call, in megabytes; None on a CPU."""
    if place.device == "cpu":
        return None
    found = torch.cuda.max_memory_allocated() / 1e6
    torch.cuda.reset_peak_memory_stats()
    return round(found)


def race(place: Place, emit: Emit) -> None:
    """Seconds until the digits that come with the package are drawn well."""
    from benchmarks import race as racing

    minutes = 0.02 if place.quick else 0.6
    tiny = "--model.generator.width 4 --model.discriminator.width 4" if place.quick else ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "race.jsonl"
        words = ["--races", "digits", "--seeds", "0", "--minutes", str(minutes)]
        words += ["--results", str(path), "--runs", folder]
        options = f"--trainer.accelerator {place.accelerator} {tiny}".strip()
        racing.main([*words, "--options", options])
        for line in racing.finished(path):
            last = line["looks"][-1] if line["looks"] else {}
            emit(ok=True, recipe=line["recipe"], goal=line["goal"], reached=line["reached"], **last)


PARTS: dict[str, Callable[[Place, Emit], None]] = {
    "tests": tests,
    "synchronisation": synchronisation,
    "compiled": compiled,
    "throughput": throughput,
    "throughput_compiled": throughput_compiled,
    "race": race,
}


# ------------------------------------------------------------------------ one part after the other


def run_part(part: str, place: Place, write: Callable[[dict[str, Any]], None]) -> None:
    """Runs a part in a process of its own; what it has not said at its limit is lost."""
    words = [sys.executable, __file__, "--inside", part, "--device", place.device]
    words += ["--quick"] if place.quick else []
    words += ["--families", *place.families]
    begun, said = time.perf_counter(), 0
    # Several threads on a busy CPU wait for each other longer than they work.
    around = environment(1) if place.device == "cpu" else None
    how = {"start_new_session": True, "cwd": checkout.ROOT, "env": around}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **how) as process:
        timer = threading.Timer(LIMITS[part], end_group, [process.pid])
        timer.start()
        assert process.stdout is not None
        for line in process.stdout:
            write(json.loads(line))
            said += 1
        process.wait()
        timer.cancel()
    seconds = time.perf_counter() - begun
    late = seconds >= LIMITS[part]
    ended = "its time was over" if late else f"exit code {process.returncode}"
    ok = process.returncode == 0
    write({"part": part, "ok": ok, "what": "end", "outcome": ended, "seconds": round(seconds, 1)})


def end_group(process: int) -> None:
    """Ends a part with all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def circumstances(place: Place) -> dict[str, Any]:
    """The first line of the results."""
    name = torch.cuda.get_device_name() if place.device == "cuda" else "cpu"
    start = {"part": "start", "ok": True, "device": name, "quick": place.quick}
    return start | provenance() | {"date": time.strftime("%Y-%m-%d"), "load": os.getloadavg()[0]}


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The results in a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def recorded_table(path: Path = RESULTS) -> str:
    """The results of a file as tables."""
    lines = lines_of(path)
    start, cells = lines[0], [line for line in lines if "images_a_second" in line]
    parts = [
        f"{start['device']}, {start['date']}, commit {start['commit']}, torch {start['torch']}."
        + (" A trial of the logic at tiny sizes." if start["quick"] else ""),
        markdown(("part", "good", "not good", "seconds"), part_rows(lines)),
    ]
    if cells:
        names = [name for name in VARIANTS if any(cell["variant"] == name for cell in cells)]
        rows = []
        for family, batch in dict.fromkeys((cell["family"], cell["batch"]) for cell in cells):
            own = {c["variant"]: c for c in cells if (c["family"], c["batch"]) == (family, batch)}
            found = [
                f"{own[x]['images_a_second']['median']:,.0f}" if x in own else "" for x in names
            ]
            rows.append((family, batch, *found))
        parts.append(markdown(("images/s", "batch", *names), rows))
    bad = [line for line in lines if not line["ok"]]
    parts += ["\n".join(f"* {json.dumps(line)}" for line in bad)] if bad else []
    return "\n\n".join(parts)


def part_rows(lines: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """How many results of each part were good."""
    rows = []
    for part in PARTS:
        own = [line for line in lines if line["part"] == part]
        results = [line for line in own if line.get("what") != "end"]
        good = sum(line["ok"] for line in results)
        seconds = sum(line.get("seconds", 0) for line in own if line.get("what") == "end")
        if own:
            rows.append((part, good, len(results) - good, seconds))
    return rows


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the logic")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--results", type=Path, default=RESULTS, help="file for the lines")
    parser.add_argument("--record", action="store_true", help="write the page anew as well")
    parser.add_argument("--inside", choices=list(PARTS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        print("This machine has no GPU that PyTorch can use: nothing was checked.", file=sys.stderr)
        sys.exit(2)
    place = Place(asked.device, asked.quick, tuple(asked.families))
    if asked.inside:
        PARTS[asked.inside](place, Emit(asked.inside))
        return
    asked.results.parent.mkdir(parents=True, exist_ok=True)
    with asked.results.open("w", encoding="utf-8") as file:

        def write(line: dict[str, Any]) -> None:
            text = json.dumps(line)
            print(text, flush=True)
            file.write(text + "\n")
            file.flush()

        write(circumstances(place))
        for part in asked.parts:
            run_part(part, place, write)
    print(recorded_table(asked.results))
    if asked.record:
        put_table("device_check")


if __name__ == "__main__":
    main()
