"""Keeps the run resumable, whatever ends it."""

import sys
import time
from itertools import compress
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from lightning_gan.callbacks import preemption
from lightning_gan.callbacks.base import GANCallback, is_dry_run, run_folder
from lightning_gan.callbacks.preemption import Interrupted, Signals
from lightning_gan.distributed.processes import any_true
from lightning_gan.errors import above, check_range
from lightning_gan.gan import GAN

AGREE_EVERY = 10
"""Batches between two agreements of several processes on whether to save or stop."""

NEVER = (-1, -1)
"""What no checkpoint holds."""


class LastCheckpoint(GANCallback, Checkpoint):
    """Writes ``checkpoints/last.ckpt`` from time to time, and where training pauses or ends.

    Those are the batches before a validation, the last one, and where it is told to stop.

    It saves only between two batches, so that the file is never torn between the players. Ctrl-C,
    SIGTERM and SIGUSR1, on any process, set a flag; all processes end the same batch, rank zero
    saves, and training ends with :class:`Interrupted`. SIGUSR1, which SLURM sends ahead of a time
    limit, puts a SLURM job back into the queue as well. A second Ctrl-C stops at once.

    Args:
        every_minutes: Minutes between two checkpoints.
        requeue: Whether SIGUSR1 puts a SLURM job back into the queue.

    Raises:
        ConfigurationError: If the interval is not positive.
    """

    def __init__(self, every_minutes: float = 5.0, requeue: bool = True) -> None:
        check_range(self, above(0), every_minutes=every_minutes)
        self.every_minutes = every_minutes
        self.requeue = requeue
        self._signals = Signals()
        self._numbers: tuple[int, ...] = ()
        self._saved_at = 0.0
        self._saved = NEVER
        """Batches, and images at the last validation, in the file."""

    def path(self, trainer: Trainer) -> Path:
        """Where the checkpoint is written."""
        return run_folder(trainer) / "checkpoints" / "last.ckpt"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listens for signals from here on, in the place of Lightning.

        Raises:
            ConfigurationError: If Lightning would load a checkpoint that nobody asked for.
        """
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            preemption.refuse_slurm_checkpoints(trainer.default_root_dir, trainer.ckpt_path)
            self._listen(trainer)

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Starts the clock."""
        self._saved_at = time.monotonic()
        self._listen(trainer)

    def _listen(self, trainer: Trainer) -> None:
        if is_dry_run(trainer):
            return
        preemption.take_over_signals(trainer)
        self._saved = NEVER
        self._numbers = preemption.stop_signals(preemption.cluster_environment(trainer))
        self._signals.listen(self._numbers)

    def on_train_batch_end(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Saves where it is due; stops where a signal has come."""
        if is_dry_run(trainer):
            return
        if trainer.should_stop:
            self._save(trainer, gan)
        elif gan.validation_due:  # which takes its time, and may fail
            self._save(trainer, gan)
            self._saved = NEVER  # an end of the epoch that follows is to be in the file as well
        elif trainer.world_size > 1 and gan.progress.batches % AGREE_EVERY != 0:
            return
        number, due = self._agree(trainer)
        if due or number:
            self._save(trainer, gan)
        if number:
            raise self._stop(trainer, number, gan.progress.images)

    def _agree(self, trainer: Trainer) -> tuple[int, bool]:
        """The first of the signals that any process received, and whether it is time to save."""
        due = time.monotonic() - self._saved_at > 60 * self.every_minutes
        flags = [number in self._signals.received for number in self._numbers] + [due]
        *came, due = any_true(flags, trainer.strategy.root_device)
        return next(compress(self._numbers, came), 0), due

    def _stop(self, trainer: Trainer, number: int, images: int) -> Interrupted:
        """Puts the job back into the queue where that is asked for; no process leaves before."""
        job = preemption.slurm_job() if self.requeue and number == self._numbers[0] else ""
        failure = preemption.requeue(job) if job and trainer.is_global_zero else ""
        if any_true([bool(failure)], trainer.strategy.root_device)[0]:
            failure = failure or "as rank zero says"
        return Interrupted(number, self.path(trainer), images, job, failure)

    def on_train_end(self, trainer: Trainer, gan: GAN) -> None:
        """Saves the end of the training."""
        if not is_dry_run(trainer):
            self._save(trainer, gan)

    def on_exception(self, trainer: Trainer, gan: GAN, exception: BaseException) -> None:
        """Says how to go on, and puts the handlers back."""
        if isinstance(exception, Interrupted) and trainer.is_global_zero:
            sys.stderr.write(f"{exception}\n")
        self.teardown(trainer, gan, "fit")

    def teardown(self, trainer: Trainer, gan: GAN, stage: str) -> None:
        """Puts the handlers back."""
        preemption.release_signals(trainer)
        self._signals.restore()

    def _save(self, trainer: Trainer, gan: GAN) -> None:
        # A validation after the last batch counts, or a finished run would make it again.
        now = gan.progress.batches, gan.images_validated
        if self._saved != now:
            trainer.save_checkpoint(self.path(trainer))
            self._saved = now
        self._saved_at = time.monotonic()
