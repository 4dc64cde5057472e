"""What a step of each recipe takes: images a second, memory, and its share of the machine's rate.

Each recipe is trained by the command line as it stands, in a process of its own, without
validations; pictures are noise in the place of files, which changes no time. The machine's rate is
that of products of 1024 x 1024 matrices in float32 on as many threads, which take turns with the
recipe; the share is the arithmetic of a step, as PyTorch counts it, over what the machine would
have done in the processor time of the step. Memory is the peak of the process, and what of it
training has added.
"""

from __future__ import annotations

import math
import sys
import tempfile
from typing import Any

import checkout  # noqa: F401 - finds the package
import torch
from lightning.pytorch import Trainer
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.cases import noise
from benchmarks.loops import TakeTurns
from benchmarks.measure import (
    Side,
    Turns,
    circumstances,
    finish,
    markdown,
    parser,
    peak_memory,
    per_step,
    rate,
    shown,
    spread,
    started,
    take_turns,
)
from lightning_gan.cli import program
from lightning_gan.datamodules import CIFAR10, MNIST, ImageFolder, RealData, Split
from lightning_gan.gan import GAN
from lightning_gan.recipes import recipe_names
from lightning_gan.training.schedule import PerBatch

RECIPES = (
    "mlp_ring",
    "dcgan_digits",
    "dcgan_mnist",
    "wgan_gp_mnist",
    "r3gan_mnist",
    "rpgan_small_stacked_mnist",
    "sagan_mnist",
    "biggan_mnist",
    "stylegan2_mnist",
    "fastgan_digits",
    "dcgan_cifar10",
    "sndcgan_cifar10",
)
"""One of each family that two cores can train."""
SIZE = 1024
"""Rows and columns of the matrices that the machine's rate is measured by."""
SECONDS = 1.0
"""What a window takes, about."""
PICTURES = 2000


class Operations(TorchDispatchMode):
    """Counts the arithmetic of products and convolutions, by the formulas of PyTorch.

    Its own counter also attributes them to modules, by hooks that penalties cannot pass.
    """

    total = 0

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Calls an operator and counts it."""
        found = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=found)
        return found


class Watch(TakeTurns):
    """Takes turns, and counts the arithmetic of the first window."""

    turns_of_process: Turns
    """Those of this process, as the command line makes the callback without arguments."""

    def __init__(self) -> None:
        super().__init__(self.turns_of_process)
        self._counted: list[int] = []

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """Tells what a window must be a multiple of, and waits."""
        self._period = period_of(pl_module)
        batch = trainer.train_dataloader.batch_size
        self.turns.facts = {"period": self._period, "batch": batch, "memory": peak_memory()}
        super().on_train_start(trainer, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:
        """Begins to count."""
        if len(self._counted) < self._period:
            self._counter = Operations()
            self._counter.__enter__()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:
        """Counts, and ends a step."""
        if len(self._counted) < self._period:
            self._counter.__exit__(None, None, None)
            self._counted.append(self._counter.total)
            self.turns.facts["operations"] = sum(self._counted) / len(self._counted)
        super().on_train_batch_end(trainer, pl_module)


def period_of(gan: GAN) -> int:
    """After how many batches everything that is not done with each batch has been done as often."""
    turns = gan.alternation
    periods = [penalty.every for penalty in gan.game.parts.penalties]
    if isinstance(turns, PerBatch):
        more = turns.generator_updates if turns.fresh_reals else 0
        periods.append(turns.discriminator_updates + more)
    return math.lcm(*periods)


def recipe(turns: Turns, name: str, folder: str, options: list[str]) -> None:
    """The side of a recipe."""
    Watch.turns_of_process = turns
    for data in (MNIST, CIFAR10, ImageFolder):
        data.read_splits = made_up  # type: ignore[method-assign]
        data.prepare_data = lambda self: None  # type: ignore[method-assign]
    sys.argv = ["lightning-gan"]
    quiet = ["--trainer.limit_val_batches", "0", "--trainer.accelerator", "cpu"]
    place = ["--trainer.default_root_dir", folder, "--trainer.callbacks", "benchmarks.step.Watch"]
    budget = ["--model.max_images", str(10**12)]
    sys.exit(program.run(["fit", "--config", name, *quiet, *place, *budget, *options]))


def made_up(self: RealData) -> dict[str, Split]:
    """Noise in the place of files."""
    side = self.image_size if isinstance(self.image_size, int) else self.image_size[0]
    split = noise(self.channels, side, PICTURES, max(self.num_classes, 1))
    return dict.fromkeys(("train", "val", "test"), split)


def products(turns: Turns) -> None:
    """The side that multiplies matrices, one product a step."""
    first, second = torch.randn(2, SIZE, SIZE)
    while True:
        turns.next()
        torch.mm(first, second)


def measure(
    name: str, matrices: Side, rounds: int, threads: int, quick: bool, options: list[str]
) -> dict[str, Any]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        side = Side("benchmarks.step:recipe", threads, name=name, folder=folder, options=options)
        with started({"recipe": side}):
            told = side.facts
            first = side.window(told["period"])
            seconds = side.window(told["period"]).wall / told["period"]  # without the counting
            wanted = 1 if quick else SECONDS / seconds
            steps = {
                "recipe": told["period"] * math.ceil(wanted / told["period"]),
                "products": 2 if quick else 10,
            }
            found = take_turns({"recipe": side, "products": matrices}, steps, rounds, name)
    pairs = zip(found["recipe"], found["products"], strict=True)
    work = first.facts["operations"]
    return {
        "recipe": name,
        "batch": told["batch"],
        "images_a_second": rate(found["recipe"], told["batch"]),
        "cpu_ms": per_step(found["recipe"]),
        "operations_a_step": work,
        "machine": spread([2 * SIZE**3 * w.steps / w.cpu for w in found["products"]]),
        "share": spread(
            [work * a.steps / a.cpu / (2 * SIZE**3 * b.steps / b.cpu) for a, b in pairs]
        ),
        "memory": max(window.memory for window in found["recipe"]),
        "memory_before": told["memory"],
        "steps_a_window": steps["recipe"],
    }


def table(result: dict[str, Any]) -> str:
    """The table of a result."""
    head = (
        "recipe",
        "batch",
        "images/s",
        "processor, ms a step",
        "Gflop a step",
        "share of the rate",
        "memory, MB",
        "of it training",
    )
    rows = [
        (
            f"`{row['recipe']}`",
            row["batch"],
            shown(row["images_a_second"], ".0f"),
            shown(row["cpu_ms"], ".1f"),
            f"{row['operations_a_step'] / 1e9:.3g}",
            shown(row["share"], ".0%"),
            f"{row['memory']:.0f}",
            f"{row['memory'] - row['memory_before']:.0f}",
        )
        for row in result["rows"]
    ]
    machine = spread([row["machine"]["median"] / 1e9 for row in result["rows"]])
    rated = (
        f"The machine's rate beside them: {shown(machine, '.0f')} Gflop a second of a processor."
    )
    return f"{markdown(head, rows)}\n\n{rated}"


def main(arguments: list[str]) -> None:
    """Measures; takes about four minutes."""
    options = parser(__doc__)
    options.add_argument("--recipes", nargs="+", default=list(RECIPES), help="names, or: all")
    options.add_argument(
        "--options", default="", help="more options of lightning-gan fit, in one word"
    )
    asked = options.parse_args(arguments)
    names = recipe_names() if asked.recipes == ["all"] else asked.recipes
    with circumstances(asked.threads) as how:
        how["quick"] = asked.quick
        more = asked.options.split()
        if more:
            how["options"] = more
        rounds = 2 if asked.quick else asked.rounds
        with started({"products": Side("benchmarks.step:products", asked.threads)}) as sides:
            sides["products"].window(2)
            rows = [
                measure(name, sides["products"], rounds, asked.threads, asked.quick, more)
                for name in names
            ]
    finish("step", {"circumstances": how, "rows": rows}, asked.record)
