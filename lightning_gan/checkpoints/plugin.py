"""How Lightning reads and writes the checkpoints of a GAN."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_gan.checkpoints.files import read_checkpoint, write_whole


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that are never torn, whatever ends the process that writes them.

    Lightning's own writes to the system's folder for temporary files and moves the result, which
    is a copy, and can be cut short, where that lies on another disk. Nor does it wait until the
    content has reached the disk. Addresses such as s3://... are left to it.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: _PATH,
        storage_options: Any = None,  # noqa: ANN401 (as the base class has it)
    ) -> None:
        """Writes a file, whole or not at all."""
        if "://" in str(path) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getbuffer())

    def load_checkpoint(
        self,
        path: _PATH,
        map_location: Any = "cpu",  # noqa: ANN401 (as the base class has it)
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Reads a file as plain data, unless ``weights_only`` is False."""
        if "://" in str(path) or weights_only is False:
            return super().load_checkpoint(path, map_location, weights_only)
        return read_checkpoint(path, map_location)


def write_whole_files(trainer: Trainer) -> None:
    """Makes a Trainer that was given no other plugin write its checkpoints whole."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeFiles()


def epoch_of(trainer: Trainer) -> int:
    """The epoch of the data; Lightning's where they do not count, which errs after some resumes."""
    return int(getattr(trainer.train_dataloader, "epoch", trainer.current_epoch))


def made_by(trainer: Trainer) -> dict[str, int | None]:
    """The processes, and the samples that each takes at a time where that is known."""
    data = getattr(trainer, "datamodule", None)
    return {"processes": trainer.world_size, "batch_size": getattr(data, "batch_size", None)}


def warn_if_moved(state: dict[str, Any], trainer: Trainer) -> None:
    """Says so where a training goes on with other processes or batches than it was saved with."""
    theirs, ours = state.get("made_by"), made_by(trainer)
    if theirs is None or theirs == ours or not trainer.training:
        return
    rank_zero_warn(
        f"The checkpoint was made by {theirs['processes']} processes with batches of "
        f"{theirs['batch_size']}, and goes on with {ours['processes']} and {ours['batch_size']}: "
        "that works, but not bit for bit as without the change."
    )
