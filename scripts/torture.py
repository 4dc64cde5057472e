"""Kills trainings at random moments, lets them go on, and compares what they end with.

Each run is `lightning-gan fit ... --ckpt_path last`, started again and again: killed with SIGKILL,
which no program can catch, then left alone, and then compared bit for bit with a run that nobody
disturbed. About half of the kills wait for a checkpoint to be half written. Every fifth run has two
processes, which are killed one at once after the other, in random order.

    python scripts/torture.py --runs 50 --seed 0 --table docs/torture.md

To be quick, one parent imports everything once and forks; what is killed are true processes.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import checkout  # noqa: F401 - finds the package
import lightning
import torch
from tqdm import tqdm

from lightning_gan import __version__
from lightning_gan.checkpoints.files import TEMPORARY, read_checkpoint
from lightning_gan.cli import program

SHORT = """--trainer.enable_progress_bar false --trainer.accelerator cpu
    --trainer.log_every_n_steps 20 --trainer.limit_val_batches 2 --trainer.callbacks+=LastCheckpoint
    --trainer.callbacks.every_minutes 0.0005 --trainer.callbacks+=Evaluation
    --trainer.callbacks.num_samples 200 --trainer.callbacks+=SampleGrid
    --trainer.callbacks.rows 2"""
"""Saves as often as it can: after each batch, or 30 ms."""
KINDS = {
    "points": """--config mlp_ring --model.generator.width 16 --model.discriminator.width 16
        --trainer.check_val_every_n_epoch 1 --trainer.limit_train_batches 70 --data.batch_size 64
        --model.max_images 19200""",
    "digits": """--config dcgan_digits --model.generator.width 4 --model.discriminator.width 4
        --trainer.check_val_every_n_epoch 2 --data.batch_size 16 --model.max_images 4000
        --model.learning_rate LinearCurve --model.learning_rate.start 1 --model.learning_rate.end 0
        --model.learning_rate.images 4000""",
    "phases": """--config mlp_grid --model.generator.width 16 --model.discriminator.width 16
        --trainer.check_val_every_n_epoch 3 --trainer.limit_train_batches 40 --data.batch_size 64
        --model.alternation Phases --model.max_images 19200""",
}
"""300, 250 and 300 batches; epochs of 70, about 78 and 40."""
PATIENCE = 120.0
"""Seconds that a start may take before it counts as hanging."""


class Usual(NamedTuple):
    """Seconds until the first checkpoint, and from there to the end."""

    start: float
    training: float


@dataclass
class Run:
    """What happened to a run."""

    number: int
    kind: str
    ranks: int
    kills: list[str] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    torn: int = 0
    equal: bool = False
    problem: str = ""

    def row(self) -> str:
        """As a row of the table."""
        result = "yes" if self.equal else f"NO {self.problem}"
        moments = ", ".join(self.kills) or "-"
        resumed = ", ".join(map(str, self.resumed)) or "-"
        cells = (self.number, self.kind, self.ranks, len(self.kills), moments, resumed, result)
        return "| " + " | ".join(map(str, cells)) + " |"


class Training:
    """One start of a run, as one or two processes of a group of their own."""

    def __init__(self, kind: str, ranks: int, folder: Path) -> None:
        self.folder = folder
        self.started = time.monotonic()
        port = str(free_port())
        self.alive: dict[int, int] = {}
        self.codes: list[int] = []
        for rank in range(ranks):
            number = os.fork()
            if number == 0:
                become(kind, ranks, rank, port, folder)
            self.alive[number] = rank

    def poll(self) -> bool:
        """Whether a process still runs."""
        for number in list(self.alive):
            ended, status = os.waitpid(number, os.WNOHANG)
            if ended:
                del self.alive[number]
                self.codes.append(os.waitstatus_to_exitcode(status))
        return bool(self.alive)

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def kill(self, order: random.Random) -> None:
        """Ends all processes, in random order, as a power cut would."""
        numbers = list(self.alive)
        order.shuffle(numbers)
        for number in numbers:
            os.kill(number, signal.SIGKILL)
        while self.poll():
            time.sleep(0.001)


def become(kind: str, ranks: int, rank: int, port: str, folder: Path) -> None:
    """Turns a forked process into ``lightning-gan fit``; never returns."""
    code = 70
    try:
        with (folder / f"output_{rank}.txt").open("a") as output:
            for stream in (1, 2):
                os.dup2(output.fileno(), stream)
        if ranks > 1:  # what Lightning's launcher, or torchrun, tells a process
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
        lightning.pytorch.utilities.rank_zero_only.rank = rank  # type: ignore[attr-defined]
        options = [
            *KINDS[kind].split(),
            *SHORT.split(),
            "--trainer.devices",
            str(ranks),
            "--ckpt_path",
            "last",
        ]
        code = program.run(["fit", *options, "--trainer.default_root_dir", str(folder)])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def checkpoints(folder: Path) -> Path | None:
    """Where the run writes its checkpoints, once there are any."""
    found = sorted(folder.glob("version_*/checkpoints"))
    return found[-1] if found else None


def images(folder: Path) -> int:
    """Images seen at the last checkpoint; 0 where there is none."""
    place = checkpoints(folder)
    if place is None or not (place / "last.ckpt").is_file():
        return 0
    progress: dict[str, int] = read_checkpoint(place / "last.ckpt")["lightning_gan"]["progress"]
    return progress["images"]


def written(folder: Path, name: str) -> int:
    """When the file ``name`` beside the last checkpoint was changed; 0 where there is none."""
    place = checkpoints(folder)
    try:
        return 0 if place is None else (place / name).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def disturb(training: Training, run: Run, usual: Usual, order: random.Random) -> None:
    """Waits for a random moment, or from there on for a write, and kills; or lets it end."""
    early, in_write = order.random() < 0.2, order.random() < 0.5
    moment = order.uniform(0, usual.start if early else 0.6 * usual.training)
    last, half = "last.ckpt", f"last{TEMPORARY}"
    before = {name: written(training.folder, name) for name in (last, half)}
    while training.poll():
        seconds = training.seconds()
        if seconds > PATIENCE:
            training.kill(order)
            raise TimeoutError(f"no end after {PATIENCE:.0f} s")
        if not early and written(training.folder, last) != before[last]:
            early, moment = True, moment + seconds  # it trains
        is_half = written(training.folder, half) not in (0, before[half])
        if early and seconds >= moment and (is_half or not in_write):
            break
        time.sleep(0.0003 if early and seconds >= moment else 0.002)
    else:
        return
    training.kill(order)
    torn = written(training.folder, half) not in (0, before[half])
    run.torn += torn
    run.kills.append(f"{seconds:.2f} s{' (in a write)' if torn else ''}")


def finish(training: Training) -> Usual:
    """Waits for the end, which must be a good one; returns how long it took."""
    start = 0.0
    while training.poll():
        if training.seconds() > PATIENCE:
            training.kill(random.Random())
            raise TimeoutError(f"no end after {PATIENCE:.0f} s")
        if not start and written(training.folder, "last.ckpt"):
            start = training.seconds()
        time.sleep(0.002)
    if any(training.codes):
        raise RuntimeError(f"ended with {training.codes}")
    return Usual(start, training.seconds() - start)


def result(folder: Path) -> dict[str, Any]:
    """What a run ended with: weights, averages, optimizers and counters."""
    checkpoint = read_checkpoint(max(folder.glob("version_*/checkpoints/last.ckpt")))
    return {name: checkpoint[name] for name in ("state_dict", "optimizer_states", "lightning_gan")}


def same(one: object, other: object) -> bool:
    """Whether two nested values are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        if not isinstance(other, torch.Tensor):
            return False
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def torture(
    run: Run, folder: Path, truth: dict[str, Any], usual: Usual, most: int, seed: int
) -> None:
    """Kills a run up to ``most`` times, lets it end, and compares it with ``truth``."""
    order = random.Random(f"{seed} {run.number}")
    try:
        for _ in range(order.randint(1, most)):
            training = Training(run.kind, run.ranks, folder)
            before = len(run.kills)
            disturb(training, run, usual, order)
            if len(run.kills) == before:
                break
            run.resumed.append(images(folder))
        finish(Training(run.kind, run.ranks, folder))
        run.equal = same(truth, result(folder))
    except Exception as error:
        run.problem = f"{type(error).__name__}: {error}"


@contextmanager
def scratch(keep: str | None) -> Iterator[Path]:
    """A folder for the runs, removed at the end unless it was asked for."""
    folder = Path(keep or tempfile.mkdtemp(prefix="torture_"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["LIGHTNING_GAN_CACHE"] = str(folder / "cache")
    try:
        yield folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def report(runs: list[Run], arguments: argparse.Namespace, seconds: float) -> str:
    """The table, with what it was made with."""
    command = "python scripts/torture.py " + " ".join(arguments.words)
    kills, torn = sum(len(run.kills) for run in runs), sum(run.torn for run in runs)
    return "\n".join(
        [
            "# Runs that were killed and went on",
            "",
            f"`{command.strip()}` on {datetime.now(timezone.utc):%Y-%m-%d}, in {seconds:.0f} s on "
            f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), with "
            f"lightning-gan {__version__}, torch {torch.__version__}, Lightning "
            f"{lightning.__version__} and Python {platform.python_version()}.",
            "",
            f"**{sum(run.equal for run in runs)} of {len(runs)} runs** ended in the bits of the "
            f"undisturbed one (weights, average, optimizers, counters), after {kills} kills with "
            f"SIGKILL, {torn} of them while a checkpoint was being written.",
            "",
            "| run | of | processes | kills | after | resumed from image | equal |",
            "|---|---|---|---|---|---|---|",
            *(run.row() for run in runs),
            "",
        ]
    )


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=50, help="Runs to disturb.")
    parser.add_argument("--kills", type=int, default=4, help="Most kills of one run.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the moments.")
    parser.add_argument("--table", help="File to write the table to, besides showing it.")
    parser.add_argument("--folder", help="Where the runs are written and kept.")
    arguments = parser.parse_args(words)
    arguments.words = words
    torch.set_num_threads(1)
    started = time.monotonic()
    with scratch(arguments.folder) as folder:
        truths: dict[tuple[str, int], tuple[dict[str, Any], Usual]] = {}
        runs = []
        for number in tqdm(range(1, arguments.runs + 1), desc="torture", unit="run"):
            kind = list(KINDS)[number % len(KINDS)]
            run = Run(number, kind, 2 if number % 5 == 0 or arguments.runs == number else 1)
            key = (kind, run.ranks)
            place = folder / f"run_{number}"
            place.mkdir()
            if key not in truths:
                undisturbed = folder / f"undisturbed_{kind}_{run.ranks}"
                undisturbed.mkdir()
                usual = finish(Training(*key, undisturbed))
                truths[key] = result(undisturbed), usual
            torture(run, place, *truths[key], arguments.kills, arguments.seed)
            runs.append(run)
            if run.equal and not arguments.folder:
                shutil.rmtree(place)
            elif not run.equal:
                tqdm.write(run.row())
        text = report(runs, arguments, time.monotonic() - started)
    if arguments.table:
        Path(arguments.table).parent.mkdir(parents=True, exist_ok=True)
        Path(arguments.table).write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    different = sum(not run.equal for run in runs)
    sys.stdout.write(f"{len(runs)} runs, {different} different\n")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
