"""What the Trainer costs: our update against a bare PyTorch loop of the same arithmetic.

    python scripts/benchmark.py overhead
    python scripts/benchmark.py scaling     one process against two, see benchmark_scaling.py
    python scripts/benchmark.py metrics     the Frechet distance, see benchmark_metrics.py

Both sides do the same updates on the same batches: fresh latents, a discriminator's step, a
generator's step through the frozen discriminator, Adam, the averaged generator. Ours runs under the
Trainer with the default callbacks and the CSV logger; the bare side is a plain loop. The sides take
turns in short windows of one process, and the ratio is between the fastest windows, since a shared
machine only ever adds time.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import checkout  # noqa: F401 - finds the package
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.nn.functional import softplus

from lightning_gan import callbacks
from lightning_gan.callbacks.loggers import CSVCurve
from lightning_gan.datamodules import Digits, RealData, Ring
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    Generator,
    MLPDiscriminator,
    MLPGenerator,
)
from lightning_gan.objectives import NonSaturating
from lightning_gan.training.optimizers import GANAdam


@dataclass
class Case:
    """One pair of networks on one data set, with the largest ratio that is acceptable."""

    name: str
    data: Callable[[], RealData]
    networks: Callable[[], tuple[Generator, Discriminator]]
    window: int
    """Steps in a window: a multiple of the 50 between two reports, so that each window has them."""
    windows: int
    aim: float


CASES = [
    Case(
        "DCGAN, 28 px, batch 64",
        lambda: Digits(batch_size=64),
        lambda: (DCGANGenerator(1, 28), DCGANDiscriminator(1, 28)),
        window=50,
        windows=10,
        aim=1.05,
    ),
    Case(
        "MLP in the plane, batch 256",
        lambda: Ring(batch_size=256),
        lambda: (MLPGenerator(2, 0), MLPDiscriminator(2, 0)),
        window=100,
        windows=40,
        aim=1.5,
    ),
]


class Bare:
    """The same update as a plain PyTorch loop, one step a call."""

    def __init__(self, case: Case, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
        torch.manual_seed(0)
        self.generator, self.discriminator = case.networks()
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.generator_optimizer = GANAdam(self.generator.parameters())
        self.discriminator_optimizer = GANAdam(self.discriminator.parameters())
        self.batches = batches

    def step(self) -> None:
        """One update of each player and of the average."""
        real, labels = next(self.batches)
        z = torch.randn(len(real), self.generator.latent_dim)
        with torch.no_grad():
            fake = self.generator(z, labels)
        loss = softplus(-self.discriminator(real, labels)).mean()
        loss = loss + softplus(self.discriminator(fake, labels)).mean()
        self.discriminator_optimizer.zero_grad()
        loss.backward()
        self.discriminator_optimizer.step()
        self.discriminator.requires_grad_(False)
        z = torch.randn(len(real), self.generator.latent_dim)
        loss = softplus(-self.discriminator(self.generator(z, labels), labels)).mean()
        self.generator_optimizer.zero_grad()
        loss.backward()
        self.generator_optimizer.step()
        self.discriminator.requires_grad_(True)
        self._average(0.999)

    @torch.no_grad()
    def _average(self, keep: float) -> None:
        pairs: list[nn.Module] = [self.average, self.generator]
        average, current = (list[Tensor](network.parameters()) for network in pairs)
        torch._foreach_lerp_(average, current, 1 - keep)
        for into, source in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            into.copy_(source)


class TakeTurns(Callback):
    """After every window of ours, runs and times as long a window of the bare loop."""

    def __init__(self, bare: Bare, window: int, windows: int) -> None:
        self.bare = bare
        self.window = window
        self.windows = windows
        self.ours: list[float] = []
        self.theirs: list[float] = []

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """Starts the clock."""
        self._clock = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:
        """Changes sides at the end of a window."""
        if pl_module.progress.batches % self.window != 0:
            return
        self.ours.append((time.perf_counter() - self._clock) / self.window)
        started = time.perf_counter()
        for _ in range(self.window):
            self.bare.step()
        self.theirs.append((time.perf_counter() - started) / self.window)
        trainer.should_stop = len(self.ours) >= self.windows
        self._clock = time.perf_counter()


def endless(data: RealData) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end, from the same loader that ours reads."""
    while True:
        yield from data.train_dataloader()


def measure(case: Case) -> dict[str, Any]:
    """Seconds a step of both sides, and their ratio."""
    turns = TakeTurns(Bare(case, endless(case.data())), case.window, case.windows)
    torch.manual_seed(0)
    model = GAN(*case.networks(), objective=NonSaturating(), max_images=10**12)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=-1,
            logger=CSVCurve(folder),
            limit_val_batches=0,
            enable_model_summary=False,
            callbacks=[
                callbacks.Balance(),
                callbacks.EquilibriumStopping(),
                callbacks.CollapseGuard(),
                callbacks.StopOnDivergence(),
                callbacks.Evaluation(),
                callbacks.SampleGrid(),
                callbacks.ImagesBar(),
                callbacks.LastCheckpoint(),
                turns,
            ],
        )
        trainer.fit(model, datamodule=case.data())
    # The first window of each side warms up.
    ours, theirs = turns.ours[1:], turns.theirs[1:]
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "case": case.name,
        "ours_ms": 1e3 * min(ours),
        "bare_ms": 1e3 * min(theirs),
        "ratio": min(ours) / min(theirs),
        "median_of_pairs": statistics.median(pairs),
        "aim": case.aim,
        "windows": len(ours),
        "steps_a_window": case.window,
    }


def overhead() -> None:
    """Prints the table of all cases, and the same as JSON; takes about two minutes."""
    rows = [measure(case) for case in CASES]
    print(f"\ntorch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(f"{'':30}{'bare':>10}{'ours':>10}{'ratio':>8}{'median':>8}{'aim':>8}")
    for row in rows:
        print(
            f"{row['case']:30}{row['bare_ms']:8.2f}ms{row['ours_ms']:8.2f}ms"
            f"{row['ratio']:8.3f}{row['median_of_pairs']:8.3f}{row['aim']:>8}"
        )
    print(json.dumps(rows))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["overhead", "scaling", "metrics"])
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    if options.what == "scaling":
        from benchmark_scaling import scaling

        scaling()
    elif options.what == "metrics":
        from benchmark_metrics import metrics

        metrics()
    else:
        overhead()


if __name__ == "__main__":
    main()
