"""Trains with the callbacks that judge a training, in one group of processes.

Usage: ``python guard_worker.py FOLDER PROCESSES``, run by test_guard_distributed. Every process
writes what it ended with to ``FOLDER/<rank>.pt``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from collapsing import Collapse, Measure, Spoil, rates, spots_gan, train
from lightning.pytorch import Callback
from tiny import Points, latest, points_gan, quiet_trainer, weights, without_prefix
from torch import Tensor

from lightning_gan.callbacks import (
    Balance,
    CollapseGuard,
    EquilibriumStopping,
    LastCheckpoint,
    StopOnDivergence,
)
from lightning_gan.datamodules import Split
from lightning_gan.distributed import processes as group
from lightning_gan.gan import GAN
from lightning_gan.objectives import NonSaturating, Objective, RelativisticAverage
from lightning_gan.training.step import Step


class One(Points):
    """Points of which only one is held out, so that not all processes have any."""

    def read_splits(self) -> dict[str, Split]:
        splits = super().read_splits()
        return splits | {"val": Split(*(tensor[:1] for tensor in splits["val"]))}


class SpoiltOnOne(NonSaturating):
    """Spoils the generator's loss on the last process; the others would see it a batch later.

    Args:
        at: At which batch of 8.
    """

    def __init__(self, at: int = 21) -> None:
        super().__init__()
        self.at = at

    def generator_loss(self, step: Step) -> Tensor:
        images = int(step.value_of(lambda images: images))
        spoilt = images // 8 == self.at and group.rank() == group.world_size() - 1
        return super().generator_loss(step) * (float("nan") if spoilt else 1.0)


def held_out(processes: int, trainer: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The held-out balance with uneven shares, with a share of nothing, and of all together."""
    found = {}
    cases: list[tuple[str, type[Points], Objective | None]] = [
        ("uneven", Points, None),
        ("nothing for some", One, None),
        ("relative", Points, RelativisticAverage()),
    ]
    for name, kind, objective in cases:
        gan = points_gan(objective)
        arguments: dict[str, Any] = trainer | {"callbacks": [Balance()], "limit_val_batches": 1.0}
        quiet_trainer(**arguments).validate(gan, kind(24 // processes), verbose=False)
        found[name] = without_prefix(latest(gan.trainer, "val"))
    return found


def guarded(gan: GAN, folder: Path, trainer: dict[str, Any]) -> dict[str, Any]:
    """What a training ends with that collapses after batch 9 and is spoilt at times."""
    guard, measure = CollapseGuard(recover=True), Measure()
    watching: list[Callback] = [Collapse(9), guard, StopOnDivergence(1), Balance(every=1)]
    train(gan, 26, [*watching, measure, LastCheckpoint()], folder, **trainer)
    logged = gan.trainer.callback_metrics
    return {
        "weights": weights(gan),
        "rates": rates(gan),
        "rollbacks": guard.rollbacks,
        "missing": measure.missing,
        "logged": {k: float(x) for k, x in logged.items() if k.startswith("collapse/")},
        "progress": vars(gan.progress),
    }


def stopped(folder: Path, trainer: dict[str, Any]) -> dict[str, Any]:
    """Where a training ends that reaches the equilibrium at once."""
    judge, gan = EquilibriumStopping(patience=2, stop=True), spots_gan(rate=1e-5)
    train(gan, 40, [judge, Balance(), Measure(), LastCheckpoint()], folder, **trainer)
    return {"streak": judge.streak, "batches": gan.progress.batches, "weights": weights(gan)}


def everything(folder: Path, processes: int) -> dict[str, Any]:
    """All of it on one process or two; the balance alone on three, which do not divide 8."""
    several = {"strategy": "gan_ddp", "devices": processes} if processes > 1 else {}
    trainer = {"precision": "64-true", **several}
    balance = {"held out": held_out(processes, trainer)}
    return (
        balance
        if processes > 2
        else balance
        | {
            "guarded": guarded(spots_gan([Spoil([21])]), folder / "guarded", trainer),
            "spoilt on one": guarded(spots_gan(objective=SpoiltOnOne()), folder / "one", trainer),
            "stopped": stopped(folder / "stopped", trainer),
        }
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    into = Path(sys.argv[1])
    ended = everything(into, int(sys.argv[2]))
    torch.save(ended, into / f"{torch.distributed.get_rank()}.pt")
