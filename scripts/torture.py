"""Kills trainings at random and at chosen moments, and compares all that they leave in the end.

Each run is `lightning-gan fit ... --ckpt_path last`, started again and again: killed with SIGKILL,
which no program can catch, then left alone, and then compared bit for bit with a run that nobody
disturbed, in everything that :mod:`traces` reads back. Kills come

* at any moment, from outside, from the first millisecond on,
* at the last batch of an epoch, before or after what is done there,
* at a validation, before, within or after it,
* within a write, of which half is on the disk: of a checkpoint, a curve, a picture, a record.

Every fifth run has two processes, which are killed in random order.

    python scripts/torture.py --runs 36 --seed 0 --table docs/torture.md

MNIST is read from `LIGHTNING_GAN_TEST_DATA`, or from `data/`. To be quick, one parent imports
everything once and forks; what is killed are true processes.
"""

from __future__ import annotations

import argparse
import builtins
import io
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, NamedTuple

import checkout  # noqa: F401 - finds the package
import lightning
import torch
from lightning.pytorch import Callback, Trainer
from provenance import commit
from tqdm import tqdm
from traces import disturbances, traces

from lightning_gan import __version__
from lightning_gan.checkpoints.files import TEMPORARY, read_checkpoint
from lightning_gan.cli import program
from lightning_gan.cli.training import CLI
from lightning_gan.gan import GAN

SHORT = """--trainer.enable_progress_bar false --trainer.accelerator cpu --tensorboard true
    --trainer.log_every_n_steps 10 --trainer.limit_val_batches 2 --trainer.callbacks+=LastCheckpoint
    --trainer.callbacks.every_minutes 0.0005 --trainer.callbacks+=SampleGrid
    --trainer.callbacks.rows 2 --trainer.callbacks+=Evaluation
    --trainer.callbacks.num_samples 200"""
"""Saves as often as it can: after each batch, or 30 ms."""
DIGITS = """--data Digits --data.batch_size 16 --model.max_images 640 --model.validate_every 200
    --trainer.limit_train_batches 15"""
WIDTHS = "--model.generator.width 4 --model.discriminator.width 4"
STYLES = f"{WIDTHS} --model.generator.max_width 8 --model.discriminator.max_width 8"
KINDS = {
    "mlp_ring": """--model.generator.width 16 --model.discriminator.width 16
        --trainer.limit_train_batches 70 --data.batch_size 64 --model.max_images 19200
        --model.validate_every 4000 --wandb offline""",
    "dcgan_digits": f"""{WIDTHS} --trainer.limit_train_batches 40 --data.batch_size 16
        --trainer.check_val_every_n_epoch 1 --model.max_images 1920
        --model.learning_rate LinearCurve --model.learning_rate.start 1
        --model.learning_rate.end 0 --model.learning_rate.images 1920""",
    "mlp_grid": """--model.generator.width 16 --model.discriminator.width 16
        --trainer.check_val_every_n_epoch 2 --trainer.limit_train_batches 40 --data.batch_size 64
        --model.alternation Phases --model.max_images 15360 --model.accumulate 2
        --model.gradient_clip 1 --trainer.callbacks+=CollapseGuard
        --trainer.callbacks.recover true --trainer.callbacks.patience 1
        --trainer.callbacks.margin 0 --trainer.callbacks.deviations 0
        --trainer.callbacks.factor 1""",
    "rpgan_small_stacked_mnist": f"""--trainer.callbacks.measures [modes] {WIDTHS}
        --trainer.limit_train_batches 25
        --data.batch_size 16 --model.max_images 960 --model.validate_every 300""",
    "cgan_mnist": """--model.generator.width 4 --model.discriminator.discriminator.width 4
        --trainer.limit_train_batches 25 --data.batch_size 16 --model.max_images 960
        --trainer.callbacks+=CollapseGuard --trainer.callbacks.recover true
        --trainer.callbacks.patience 1 --model.sync_batch_norm true
        --model.validate_every 300 --wandb offline""",
    "stylegan2_ada_digits": f"""{STYLES} {DIGITS}
        --model.augmentation.kimg 1 --model.ema_half_life 200""",
    "stylegan2_mnist": f"{STYLES} {DIGITS}",
    "unrolled_ring": """--model.generator.width 16 --model.discriminator.width 16
        --trainer.limit_train_batches 30 --data.batch_size 32 --model.max_images 2560
        --model.validate_every 800 --trainer.callbacks+=EquilibriumStopping
        --trainer.callbacks.tolerance 1 --trainer.callbacks.nearest_tolerance 1
        --trainer.callbacks.deviations 1000 --trainer.callbacks.patience 2
        --trainer.callbacks.stop true""",
    "logan_mnist": f"{WIDTHS} {DIGITS}",
    "began_mnist": f"{WIDTHS} {DIGITS} --wandb offline",
    "apa_digits": f"{WIDTHS} {DIGITS} --model.augmentation.kimg 1",
    "fastgan_digits": f"{WIDTHS} {DIGITS}",
}
"""Recipes, and what makes a run of each a matter of seconds. Between them they have points, digits,
MNIST and triples of it, labels, phases, accumulation, clipping, curves, averages, what adapts by
itself (ADA, APA, BEGAN's k, path length), penalties at intervals, unrolled steps, LOGAN, the
Trainer's own schedule of validations and that by images, returns from a collapse, and a stop at the
equilibrium."""
PATIENCE = 900.0
"""Seconds that a start may take before it counts as hanging, on a machine that is shared too."""
MOMENTS = ("any moment", "an epoch's end", "a validation", "a write")
FILES = ("last.ckpt", "best.ckpt", "healthy.ckpt", "metrics.csv", ".jsonl", ".png", "run.json")
"""Endings of what is written; a checkpoint has another one while it is."""


class Usual(NamedTuple):
    """An undisturbed run: what it left, and the seconds to its first checkpoint and from there."""

    left: dict[str, Any]
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
    equal: bool = False
    problem: str = ""

    def row(self) -> str:
        """As a row of the table."""
        result = "yes" if self.equal else f"NO {self.problem}"
        moments = ", ".join(self.kills) or "-"
        resumed = ", ".join(map(str, self.resumed)) or "-"
        cells = (self.number, self.kind, self.ranks, len(self.kills), moments, resumed, result)
        return "| " + " | ".join(map(str, cells)) + " |"


class Doom(NamedTuple):
    """When a process kills itself, as nothing from outside could.

    Args:
        moment: One of :data:`MOMENTS`; at any moment it does not.
        images: From which number of images on.
        hook: Where, at an epoch's end or a validation.
        first: Whether before what other callbacks do there.
        file: How the name of the file ends, in a write.
    """

    moment: str
    images: int
    hook: str = ""
    first: bool = False
    file: str = ""

    @classmethod
    def draw(cls, seen: int, budget: int, order: random.Random) -> Doom:
        """A random one, after some more images of those that are left."""
        moment = order.choice(MOMENTS)
        images = int(order.uniform(seen, seen + 0.7 * (budget - seen)))
        hooks = {
            MOMENTS[1]: ("on_train_batch_end", "on_train_epoch_end"),
            MOMENTS[2]: (
                "on_validation_start",
                "on_validation_batch_end",
                "on_validation_epoch_end",
                "on_validation_end",
            ),
        }
        hook = order.choice(hooks.get(moment, ("",)))
        return cls(moment, images, hook, order.random() < 0.5, order.choice(FILES))

    def said(self) -> str:
        """In the words of the table."""
        if self.moment == MOMENTS[3]:
            return f"in {self.file}"
        return f"{'before' if self.first else 'after'} {self.hook.removeprefix('on_')}"


class Executioner(Callback):
    """Kills its own process at the moment that was chosen, as a callback like any other."""

    def __init__(self, doom: Doom) -> None:
        self.doom = doom
        self.is_near = False
        """Whether so many images have been seen."""

    def join(self, trainer: Trainer) -> None:
        """Takes its place before the other callbacks, or after them."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        callbacks.insert(0 if self.doom.first else len(callbacks), self)
        if self.doom.moment == MOMENTS[3]:
            builtins.open = io.open = self.opener(io.open)  # type: ignore[assignment]
        elif self.doom.hook:
            setattr(self, self.doom.hook, self.act)

    def on_train_batch_start(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Watches the images."""
        self.is_near = gan.progress.images >= self.doom.images

    def act(self, trainer: Trainer, *_: object) -> None:
        """Kills the process where it is time."""
        ends = (
            self.doom.hook != "on_train_batch_end"
            or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        )
        if self.is_near and ends:
            os.kill(os.getpid(), signal.SIGKILL)

    def opener(self, before: Callable[..., IO[Any]]) -> Callable[..., object]:
        """A way to open files of which one cannot be written to its end."""
        writing = self.doom.file.replace(".ckpt", TEMPORARY)

        def opened(path: object, mode: str = "r", *more: object, **options: object) -> object:
            file = before(path, mode, *more, **options)
            meant = isinstance(path, (str, Path)) and str(path).endswith(writing)
            return Torn(file) if self.is_near and meant and set(mode) & set("wax") else file

        return opened


class Torn:
    """A file whose first write ends halfway, and the process with it."""

    def __init__(self, file: IO[Any]) -> None:
        self.file = file

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, content: str | bytes) -> None:
        """Writes half of it."""
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


class Doomed(CLI):
    """``lightning-gan fit`` whose process kills itself."""

    doom = Doom(MOMENTS[0], 0)

    def before_fit(self) -> None:
        """Lets the executioner join the callbacks."""
        Executioner(self.doom).join(self.trainer)
        super().before_fit()


class Training:
    """One start of a run, as one or two processes of a group of their own."""

    def __init__(self, kind: str, ranks: int, folder: Path, doom: Doom | None = None) -> None:
        self.folder = folder
        self.started = time.monotonic()
        port = str(free_port())
        self.alive: dict[int, int] = {}
        self.codes: list[int] = []
        for rank in range(ranks):
            number = os.fork()
            if number == 0:
                become(kind, ranks, rank, port, folder, doom)
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

    def was_killed(self) -> bool:
        """Whether a process has killed itself."""
        return -signal.SIGKILL in self.codes


def become(kind: str, ranks: int, rank: int, port: str, folder: Path, doom: Doom | None) -> None:
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
        if doom is not None:
            Doomed.doom = doom
            program.CLI = Doomed  # type: ignore[misc, assignment]
        code = program.run(options(kind, ranks, folder))
        if "wandb" in sys.modules:  # which waits for an end that the one below is not
            sys.modules["wandb"].teardown()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def options(kind: str, ranks: int, folder: Path) -> list[str]:
    """The command line of a run."""
    words = ["fit", "--config", kind, *SHORT.split(), *KINDS[kind].split()]
    if "mnist" in kind and "Digits" not in words:
        words += ["--data.root", str(mnist())]
    place = ["--trainer.default_root_dir", str(folder)]
    return [*words, "--trainer.devices", str(ranks), "--ckpt_path", "last", *place]


def mnist() -> Path:
    """Where MNIST lies."""
    return Path(os.environ.get("LIGHTNING_GAN_TEST_DATA", "data"))


def budget(kind: str) -> int:
    """Images of a run."""
    words = KINDS[kind].split()
    return int(words[words.index("--model.max_images") + 1])


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


def disturb(training: Training, usual: Usual, order: random.Random) -> str:
    """Kills at a random moment; returns when, or nothing where the training ended before."""
    early = order.random() < 0.2
    moment = order.uniform(0, usual.start if early else 0.6 * usual.training)
    before = written(training.folder, "last.ckpt")
    while wait(training, order):
        seconds = training.seconds()
        if not early and written(training.folder, "last.ckpt") != before:
            early, moment = True, moment + seconds  # it trains
        if early and seconds >= moment:
            training.kill(order)
            return f"{seconds:.2f} s"
        time.sleep(0.001)
    return ""


def wait(training: Training, order: random.Random) -> bool:
    """Whether a process still runs; raises where it takes too long."""
    if training.seconds() > PATIENCE:
        training.kill(order)
        raise TimeoutError(f"no end after {PATIENCE:.0f} s")
    return training.poll()


def let_die(training: Training, doom: Doom, order: random.Random) -> str:
    """Waits for the process to kill itself, and kills the others; as :func:`disturb`."""
    while wait(training, order):
        if training.was_killed():
            training.kill(order)
        time.sleep(0.002)
    return doom.said() if training.was_killed() else ""


def finish(training: Training) -> tuple[float, float]:
    """Waits for a good end; returns the seconds to the first checkpoint and from there."""
    start = 0.0
    while wait(training, random.Random()):
        if not start and written(training.folder, "last.ckpt"):
            start = training.seconds()
        time.sleep(0.002)
    if any(training.codes):
        raise RuntimeError(f"ended with {training.codes}")
    return start, training.seconds() - start


def result(folder: Path) -> dict[str, Any]:
    """What a run has left; one that was killed before its first checkpoint begins a new folder."""
    return traces(max(folder.glob("version_*")))


def undisturbed(kind: str, ranks: int, folder: Path) -> Usual:
    """A run that nobody disturbs."""
    folder.mkdir()
    seconds = finish(Training(kind, ranks, folder))
    return Usual(result(folder), *seconds)


def torture(run: Run, folder: Path, undisturbed: Callable[[], Usual], most: int, seed: int) -> None:
    """Kills a run up to ``most`` times, lets it end, and compares it with an undisturbed one."""
    order = random.Random(f"{seed} {run.number}")
    try:
        usual = undisturbed()
        for _ in range(order.randint(1, most)):
            doom = Doom.draw(images(folder), budget(run.kind), order)
            if doom.moment == MOMENTS[0]:
                when = disturb(Training(run.kind, run.ranks, folder), usual, order)
            else:
                when = let_die(Training(run.kind, run.ranks, folder, doom), doom, order)
            if not when:
                break
            run.kills.append(when)
            run.resumed.append(images(folder))
        finish(Training(run.kind, run.ranks, folder))
        found = disturbances(usual.left, result(folder))
        run.equal = not found
        run.problem = "; ".join(each[:200] for each in found[:5])
    except Exception as error:
        run.problem = f"{type(error).__name__}: {error}"


@contextmanager
def scratch(keep: str | None) -> Iterator[Path]:
    """A folder for the runs, removed at the end unless it was asked for."""
    folder = Path(keep or tempfile.mkdtemp(prefix="torture_"))
    folder.mkdir(parents=True, exist_ok=True)
    quiet = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}
    os.environ |= quiet | {"LIGHTNING_GAN_CACHE": str(folder / "cache")}
    try:
        yield folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def report(runs: list[Run], arguments: argparse.Namespace, seconds: float) -> str:
    """The table, with what it was made with."""
    command = "python scripts/torture.py " + " ".join(arguments.words)
    kills = [when for run in runs for when in run.kills]
    counts = {
        "at any moment": sum(when.endswith(" s") for when in kills),
        "at an epoch's end": sum("train" in when for when in kills),
        "at a validation": sum("validation" in when for when in kills),
        "in the midst of a write": sum(when.startswith("in ") for when in kills),
    }
    return "\n".join(
        [
            "# Runs that were killed and went on",
            "",
            f"`{command.strip()}` on {datetime.now(timezone.utc):%Y-%m-%d}, in {seconds:.0f} s on "
            f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), with "
            f"lightning-gan {__version__} ({commit()}), torch {torch.__version__}, Lightning "
            f"{lightning.__version__} and Python {platform.python_version()}. All models have seed "
            f"0; the moments are drawn from seed {arguments.seed}.",
            "",
            f"**{sum(run.equal for run in runs)} of {len(runs)} runs** of "
            f"{len({run.kind for run in runs})} recipes, made small, left what the undisturbed one "
            f"left, after {len(kills)} kills with SIGKILL: "
            f"{', '.join(f'{count} {where}' for where, count in counts.items())}.",
            "",
            "Compared to the last bit are, in `last.ckpt`, `best.ckpt` and `healthy.ckpt`, the "
            "weights, averages, optimizers, counters and states of callbacks; `metrics.csv` and "
            "`evaluations.jsonl` without times and rates; all pictures in `samples/`; the history "
            "that TensorBoard's own reader shows; the values of each pair of images and key in "
            "W&B's offline files, which must be one (W&B holds up to 32 kB back, which a kill "
            "loses); and what `run.json` says besides its starts.",
            "",
            "| run | of | processes | kills | when | resumed from image | equal |",
            "|---|---|---|---|---|---|---|",
            *(run.row() for run in runs),
            "",
        ]
    )


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=3 * len(KINDS), help="Runs to disturb.")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), help="Recipes; all if left out.")
    parser.add_argument("--kills", type=int, default=4, help="Most kills of one run.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the moments.")
    parser.add_argument("--table", help="File to write the table to, besides showing it.")
    parser.add_argument("--folder", help="Where the runs are written and kept.")
    arguments = parser.parse_args(words)
    arguments.words = words
    torch.set_num_threads(1)
    started = time.monotonic()
    kinds = arguments.kinds or list(KINDS)
    with scratch(arguments.folder) as folder:
        usual: dict[tuple[str, int], Usual] = {}
        runs = []
        for number in tqdm(range(1, arguments.runs + 1), desc="torture", unit="run"):
            kind = kinds[(number - 1) % len(kinds)]
            run = Run(number, kind, 2 if number % 5 == 0 else 1)
            key = (kind, run.ranks)
            place = folder / f"run_{number}"
            place.mkdir()

            def known(key: tuple[str, int] = key) -> Usual:
                if key not in usual:
                    usual[key] = undisturbed(*key, folder / f"undisturbed_{key[0]}_{key[1]}")
                return usual[key]

            torture(run, place, known, arguments.kills, arguments.seed)
            runs.append(run)
            if run.equal and not arguments.folder:
                shutil.rmtree(place)
            elif not run.equal:
                tqdm.write(run.row())
            text = report(runs, arguments, time.monotonic() - started)
            if arguments.table:  # so far, in case that it is cut short
                Path(arguments.table).parent.mkdir(parents=True, exist_ok=True)
                Path(arguments.table).write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    different = sum(not run.equal for run in runs)
    sys.stdout.write(f"{len(runs)} runs, {different} different\n")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
