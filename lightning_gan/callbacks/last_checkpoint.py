"""Keeps the run resumable, whatever ends it."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint

from lightning_gan.callbacks.run import is_dry, run_folder
from lightning_gan.errors import ConfigurationError

STRIDE = 10
"""Batches between two agreements of several processes on whether to save or stop."""


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """Training was told to stop; everything up to the last whole batch is saved.

    Args:
        signal_number: The signal that asked for it.
        checkpoint: Where training can go on from.
        images: Images seen.
    """

    def __init__(self, signal_number: int, checkpoint: Path, images: int) -> None:
        self.signal_number = signal_number
        name = signal.Signals(signal_number).name
        super().__init__(
            f"Stopped by {name} after {images} images; everything is in {checkpoint}: "
            "run the same command with --ckpt_path last to go on."
        )


class LastCheckpoint(Checkpoint):
    """Writes ``checkpoints/last.ckpt`` from time to time, at the end, and when told to stop.

    It saves only between two batches, so that the file is never torn between the players. Ctrl-C
    and SIGTERM set a flag; the batch at hand is finished, saved, and training ends with
    :class:`Interrupted`. A second Ctrl-C stops at once.

    Args:
        every_minutes: Minutes between two checkpoints.

    Raises:
        ConfigurationError: If the interval is not positive.
    """

    def __init__(self, every_minutes: float = 5.0) -> None:
        if every_minutes <= 0:
            raise ConfigurationError(
                f"LastCheckpoint: every_minutes={every_minutes} must be positive."
            )
        self.every_minutes = every_minutes
        self._signal = 0
        self._saved_at = 0.0
        self._saved_batch = -1
        self._handlers: dict[int, Any] = {}

    def path(self, trainer: Trainer) -> Path:
        """Where the checkpoint is written."""
        return run_folder(trainer) / "checkpoints" / "last.ckpt"

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Listens for signals from here on; Lightning has set up its own handlers before."""
        self._saved_at = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._handlers[number] = signal.signal(number, self._note)
            except ValueError:  # not in the main thread, where Python allows no handlers
                return

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signal:
            raise KeyboardInterrupt
        self._signal = number

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:  # noqa: ANN401
        """Saves where it is due; stops where a signal has come."""
        if is_dry(trainer):
            return
        if trainer.should_stop:
            self._save(trainer, pl_module)
        if trainer.world_size > 1 and pl_module.progress.batches % STRIDE != 0:
            return
        number, due = self._agreed(trainer)
        if due or number:
            self._save(trainer, pl_module)
        if number:
            raise Interrupted(number, self.path(trainer), pl_module.progress.images)

    def _agreed(self, trainer: Trainer) -> tuple[int, bool]:
        """The signal that any process received, and whether it is time to save."""
        due = time.monotonic() - self._saved_at > 60 * self.every_minutes
        if trainer.world_size == 1:
            return self._signal, due
        flags = torch.tensor([self._signal, int(due)], device=trainer.strategy.root_device)
        torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
        number, due_anywhere = flags.tolist()
        return number, bool(due_anywhere)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Saves the end of the training."""
        if not is_dry(trainer):
            self._save(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:  # noqa: ANN401
        """Puts the handlers back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        self._signal = 0

    def _save(self, trainer: Trainer, gan: Any) -> None:  # noqa: ANN401
        if self._saved_batch != gan.progress.batches:
            trainer.save_checkpoint(self.path(trainer))
            self._saved_batch = gan.progress.batches
        self._saved_at = time.monotonic()
