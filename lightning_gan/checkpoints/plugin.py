"""How Lightning reads and writes the checkpoints of a GAN."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch import Trainer

from lightning_gan.checkpoints.files import read_checkpoint, write_whole
from lightning_gan.checkpoints.record import own_state


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
        """Reads a file as plain data, unless ``weights_only`` is False.

        Raises:
            WeightsError: If it cannot be read, or something else wrote it.
        """
        if "://" in str(path) or weights_only is False:
            return super().load_checkpoint(path, map_location, weights_only)
        checkpoint = read_checkpoint(path, map_location)
        own_state(checkpoint, str(path))
        return checkpoint


def write_whole_files(trainer: Trainer) -> None:
    """Makes a Trainer that was given no other plugin write its checkpoints whole."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeFiles()
