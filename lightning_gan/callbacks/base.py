"""What callbacks share: a GAN that is known to be one, and what the Trainer is up to."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast
from weakref import WeakKeyDictionary

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from lightning_gan.basics.arguments import Checked
from lightning_gan.checkpoints.files import read_checkpoint
from lightning_gan.checkpoints.record import not_finite, own_state
from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.evaluation.loaders import LoaderData
from lightning_gan.evaluation.panel import EvaluationData
from lightning_gan.gan import GAN
from lightning_gan.training.batches import split_of


class GANCallback(Checked, Callback):
    """A callback whose hooks are given a :class:`~lightning_gan.GAN`, or it refuses to start.

    Lightning promises any LightningModule; what is checked in :meth:`setup` no hook has to check.

    The hooks around each batch and each update are there in subclasses that define them: Lightning
    passes over a None, and prepares a profile for each call of an empty function.
    """

    on_train_batch_start = None  # type: ignore[assignment]  # as all of these, and is never called
    on_train_batch_end = None  # type: ignore[assignment]
    on_before_zero_grad = None  # type: ignore[assignment]
    on_before_backward = None  # type: ignore[assignment]
    on_after_backward = None  # type: ignore[assignment]
    on_before_optimizer_step = None  # type: ignore[assignment]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Checks the model.

        Raises:
            ConfigurationError: If it is something else.
        """
        if not isinstance(pl_module, GAN):
            raise ConfigurationError(
                f"{type(self).__name__} reads a lightning_gan.GAN, but the model is a "
                f"{type(pl_module).__name__}: remove the callback or derive the model from GAN."
            )
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and not pl_module.progress.images:  # a checkpoint is taken up later
            self.forget()

    def forget(self) -> None:
        """Forgets what it has seen of another run, before a new one begins."""

    def on_test_epoch_end(self, trainer: Trainer, gan: GAN) -> None:
        """Does what is done at the end of a validation."""
        self.on_validation_epoch_end(trainer, gan)


def check_state(callback: Callback, state: Mapping[str, object], *free: str) -> None:
    """Refuses the state of a callback that would steer a training by numbers that are none.

    Args:
        callback: Whose it is.
        state: As in a checkpoint.
        free: What in it is only told, and may be NaN or infinite.

    Raises:
        WeightsError: With the first number that is not finite.
    """
    place = not_finite({name: value for name, value in state.items() if name not in free})
    if place is not None:
        raise WeightsError(
            f"{type(callback).__name__}{place} in the checkpoint is not finite; take another one."
        )


def goes_on(trainer: Trainer, gan: GAN) -> bool:
    """Whether a run has begun before, be it that its checkpoint has seen no image yet."""
    return bool(gan.progress.images or trainer.ckpt_path)


def drop_lost(trainer: Trainer, gan: GAN, checkpoint: Path, then: str) -> bool:
    """Removes a checkpoint in the folder of the run if it is of updates that were lost.

    A run that goes on from an earlier one writes it anew, and nothing on record tells of it. All
    processes must ask.

    Args:
        trainer: The Trainer.
        gan: The model, which has taken up its progress.
        checkpoint: The file.
        then: What follows, in words.

    Returns:
        Whether it was one.
    """
    seen = gan.progress.images
    lost = goes_on(trainer, gan) and checkpoint.is_file() and _images_in(checkpoint) > seen
    if not processes.any_true([lost], gan.device)[0]:
        return False
    rank_zero_warn(
        f"{checkpoint} is of more images than the {seen:,} after which the run goes on: it is "
        f"dropped, and {then}."
    )
    if trainer.is_global_zero:
        checkpoint.unlink(missing_ok=True)
    return True


def _images_in(checkpoint: Path) -> int:
    """Images that had been seen when it was written; 0 where it does not say so."""
    try:
        return int(own_state(read_checkpoint(checkpoint), str(checkpoint))["progress"]["images"])
    except WeightsError:
        return 0


_FOLDERS: WeakKeyDictionary[Trainer, Path] = WeakKeyDictionary()


def run_folder(trainer: Trainer) -> Path:
    """The folder of the run, the same on all processes.

    All processes must ask for it the first time, since rank zero then tells the others.
    """
    if trainer not in _FOLDERS:
        folder = _folder_of(trainer)
        # Before the processes have met, each may have a folder of its own in mind.
        if trainer.world_size > 1 and not torch.distributed.is_initialized():
            return folder
        _FOLDERS[trainer] = folder
    return _FOLDERS[trainer]


def _folder_of(trainer: Trainer) -> Path:
    """The folder of the first logger's run, of which Lightning may know the root alone."""
    root = Path(trainer.log_dir or trainer.default_root_dir)
    first = trainer.logger
    if first is None or isinstance(first, (CSVLogger, TensorBoardLogger)):
        return root
    version = first.version
    version = version if isinstance(version, str) else f"version_{version or 0}"
    return Path(trainer.strategy.broadcast(str(root / str(first.name or "") / version)))


def is_dry_run(trainer: Trainer) -> bool:
    """Whether the Trainer only tries things out, so that nothing should be measured or written."""
    return bool(trainer.sanity_checking or getattr(trainer, "fast_dev_run", False))


def is_fitting(trainer: Trainer) -> bool:
    """Whether the Trainer trains in earnest, or validates in the course of that."""
    return trainer.state.fn == TrainerFn.FITTING and not is_dry_run(trainer)


_LOADED: WeakKeyDictionary[Trainer, LoaderData] = WeakKeyDictionary()


def data_of(trainer: Trainer) -> EvaluationData | None:
    """The data module of the run where it hands out its splits, or else what its loaders give."""
    data = getattr(trainer, "datamodule", None)
    if split_of(data) is not None:
        return cast("EvaluationData", data)
    if trainer.train_dataloader is not None:
        assert isinstance(trainer.lightning_module, GAN)
        held_out = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
        _LOADED[trainer] = LoaderData.of(
            trainer.lightning_module.generator,
            trainer.train_dataloader,
            held_out,
            _LOADED.get(trainer),
        )
    return _LOADED.get(trainer)


def epoch_of(trainer: Trainer, gan: GAN) -> int:
    """The epoch of the last batch; Lightning's own count errs after some resumes."""
    batches = trainer.num_training_batches
    if not 0 < batches < math.inf:
        return trainer.current_epoch
    return int(max(gan.progress.batches - 1, 0) // batches)


def log_late(trainer: Trainer, gan: GAN, values: dict[str, float]) -> None:
    """Logs what Lightning's own log is closed for, or would average."""
    # Where ModelCheckpoint and whoever asks for the Trainer's metrics look.
    trainer.callback_metrics.update({name: torch.tensor(x) for name, x in values.items()})
    for logger in trainer.loggers:
        logger.log_metrics(values, step=gan.progress.batches)
        logger.save()  # or a checkpoint would know of a row that a kill then loses
