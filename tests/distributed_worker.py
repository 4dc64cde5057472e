"""Trains and evaluates every configuration in one group of processes; run by test_distributed.

Usage: ``python distributed_worker.py STRATEGY FOLDER``. Every process writes what it ended with to
``FOLDER/<rank>.pt``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tiny import Pictures, Points, picture_gan, points_gan, quiet_trainer, weights

from lightning_gan import strategy as _registers_gan_ddp  # noqa: F401 (named on the command line)
from lightning_gan.alternation import PerBatch
from lightning_gan.augment import InstanceNoise
from lightning_gan.callbacks import (
    Balance,
    FrechetDistance,
    LastCheckpoint,
    ModeCoverage,
    SampleGrid,
    StopOnDivergence,
)
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPGenerator
from lightning_gan.objectives import (
    Hinge,
    LeastSquares,
    NonSaturating,
    RelativisticPairing,
    Wasserstein,
)
from lightning_gan.regularizers import R1, R2, GradientPenalty, WeightClipping

BATCH = 8
"""Samples over all processes."""
BATCHES = 4

CONFIGURATIONS: dict[str, Callable[[], GAN]] = {
    "non-saturating": lambda: points_gan(NonSaturating(0.9), num_classes=3),
    "least squares": lambda: points_gan(LeastSquares(), gradient_clip=0.1),
    "wasserstein with penalty": lambda: points_gan(
        Wasserstein(), [GradientPenalty()], alternation=PerBatch(2)
    ),
    "wasserstein with clipping": lambda: points_gan(
        Wasserstein(), [WeightClipping(0.05)], alternation=PerBatch(1, 2)
    ),
    "hinge on pictures": lambda: picture_gan(Hinge(), [R1(0.1, every=2)]),
    "relativistic with r1, r2, noise and average": lambda: points_gan(
        RelativisticPairing(),
        [R1(0.5), R2(0.5)],
        augmentation=InstanceNoise(0.1),
        ema_half_life=20,
        ema_rampup=1,
    ),
    "pictures in two pieces": lambda: picture_gan(
        RelativisticPairing(), [GradientPenalty(), R1(0.5), R2(0.5)], accumulate=2
    ),
}


def train(name: str, trainer: dict[str, Any], processes: int) -> dict[str, Any]:
    """The weights and counters after a few batches, in float64."""
    gan = CONFIGURATIONS[name]()
    if torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
        with torch.no_grad():  # processes that start apart must be brought together
            gan.discriminator.head.weight.add_(1)  # type: ignore[union-attr, operator, arg-type]
    gan.max_images = BATCH * BATCHES
    kind = Pictures if gan.generator.image_size else Points
    quiet_trainer(precision="64-true", **trainer).fit(gan, kind(BATCH // processes))
    return {
        "weights": weights(gan),
        "progress": vars(gan.progress),
        "global_step": gan.trainer.global_step,
    }


def watch(folder: Path, trainer: dict[str, Any], processes: int) -> dict[str, Any]:
    """What the callbacks say of a training and of a validation before it."""
    balance, frechet = Balance(every=2), FrechetDistance(num_samples=600)
    modes = ModeCoverage(num_samples=600)
    watching = [balance, frechet, modes, SampleGrid(2, 2), StopOnDivergence(1), LastCheckpoint()]
    gan, data = points_gan(regularizers=[R1(0.1)]), Points(BATCH // processes)
    arguments = {
        **trainer,
        "precision": "64-true",
        "callbacks": watching,
        "default_root_dir": folder,
        "limit_val_batches": 1.0,
        "max_epochs": 1,
    }
    quiet_trainer(**arguments).validate(gan, data, verbose=False)
    values = {"held out": balance.held_out, "frechet": frechet.latest, "modes": modes.latest}
    quiet_trainer(**arguments).fit(gan, data)
    values["training"] = {
        name: value for name, value in balance.latest.items() if "per_second" not in name
    }
    quiet_trainer(**arguments).test(gan, data, verbose=False)
    return values | {"test": balance.held_out}


def statistics(trainer: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The buffers of a batch-normalised generator after a validation in the midst of training."""
    gan = points_gan(generator=MLPGenerator(2, 0, width=8, batch_norm=True))
    limits = {"limit_train_batches": BATCHES, "limit_val_batches": 1, "max_epochs": 1}
    quiet_trainer(**trainer, **limits).fit(gan, Points(4))
    return {name: buffer.clone() for name, buffer in gan.named_buffers()}


def main(strategy: str, folder: Path) -> None:
    """Runs everything on two processes and writes it down."""
    torch.set_num_threads(1)
    trainer = {"strategy": strategy, "devices": 2}
    found: dict[str, Any] = {name: train(name, trainer, 2) for name in CONFIGURATIONS}
    found["watched"] = watch(folder, trainer, 2)
    found["statistics"] = statistics(trainer)
    torch.save(found, folder / f"{torch.distributed.get_rank()}.pt")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
