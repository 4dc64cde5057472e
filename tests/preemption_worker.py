"""One of two SLURM tasks that are sent signals in all orders. Used by test_preemption.py."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from tiny import Points, points_gan, quiet_trainer

from lightning_gan.callbacks import Interrupted, LastCheckpoint
from lightning_gan.distributed import strategy as _registers_gan_ddp  # noqa: F401 (named below)

USR1, TERM, INT = signal.SIGUSR1, signal.SIGTERM, signal.SIGINT

# Who gets what in the midst of which batch, counted from 0; processes agree after 10 batches.
CASES: dict[str, list[tuple[int, int, int]]] = {
    f"{number.name} {where}": [(rank, batch, number) for rank, batch in times]
    for number in (USR1, TERM, INT)
    for where, times in {
        "to all": [(0, 3), (1, 3)],
        "to rank 0": [(0, 3)],
        "to rank 1": [(1, 3)],
        "to rank 1, later to rank 0": [(1, 3), (0, 7)],
        "to rank 1, last to rank 0": [(1, 0), (0, 9)],
    }.items()
} | {
    "SIGUSR1 to rank 1, SIGTERM to rank 0": [(1, 4, USR1), (0, 2, TERM)],
    "SIGTERM twice to all": [(0, 3, TERM), (0, 4, TERM), (1, 3, TERM), (1, 4, TERM)],
    "SIGTERM to all, again while it is saved": [
        (0, 3, TERM),
        (1, 3, TERM),
        (0, -1, TERM),
        (1, -1, TERM),
    ],
}


class Send(Callback):
    """Sends signals to this process; -1 is the moment of saving.

    Args:
        signals: Rank, batches seen before, and signal.
    """

    def __init__(self, signals: list[tuple[int, int, int]]) -> None:
        self.signals = signals

    def _send(self, trainer: Trainer, now: int) -> None:
        for rank, batch, number in self.signals:
            if rank == trainer.global_rank and batch == now:
                os.kill(os.getpid(), number)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._send(trainer, pl_module.progress.batches)

    def on_save_checkpoint(self, trainer: Trainer, *_: Any) -> None:
        self._send(trainer, -1)


class SendOnce(Send):
    """The same for the command line, which knows no lists of tuples."""

    def __init__(self, rank: int = 1, batch: int = 25, number: int = int(USR1)) -> None:
        super().__init__([(rank, batch, number)])


def stopped(signals: list[tuple[int, int, int]], folder: Path) -> dict[str, Any]:
    """What a training came to that got these signals."""
    os.environ["SCONTROL_LOG"] = str(folder / "scontrol")
    folder.mkdir(exist_ok=True)
    trainer = quiet_trainer(
        folder, strategy="gan_ddp", devices=2, callbacks=[Send(signals), LastCheckpoint()]
    )
    saves = []
    save = trainer.save_checkpoint
    trainer.save_checkpoint = lambda *a, **k: (saves.append(a), save(*a, **k))  # type: ignore[method-assign, assignment, func-returns-value]
    gan = points_gan(max_images=16 * 40)
    began = time.monotonic()
    code = 0
    try:
        trainer.fit(gan, Points(8))
    except Interrupted as stop:
        code = stop.code  # type: ignore[assignment]
    return {
        "batches": gan.progress.batches,
        "code": code,
        "saves": len(saves),
        "seconds": time.monotonic() - began,
        "handlers": [signal.getsignal(n) == before for n, before in BEFORE.items()],
    }


BEFORE = {number: signal.getsignal(number) for number in (USR1, TERM, INT)}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    asked = []
    _TrainingEpochLoop._broadcast_sigterm_tensor = lambda _: asked.append(1)  # type: ignore[method-assign]
    found: dict[str, Any] = {
        name: stopped(signals, folder / str(place))
        for place, (name, signals) in enumerate(CASES.items())
    }
    found["broadcasts"] = len(asked)
    (folder / f"{os.environ['SLURM_PROCID']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
