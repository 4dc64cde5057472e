"""Pictures of what the generator makes of the same latents, as training goes on."""

import contextlib
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor

from lightning_gan.basics.images import grid, save_png, scatter
from lightning_gan.callbacks.base import GANCallback, data_of, is_dry_run, run_folder
from lightning_gan.errors import ConfigurationError, at_least, check_range
from lightning_gan.gan import GAN


class SampleGrid(GANCallback):
    """Draws the averaged generator's samples from fixed latents, as PNG and in the loggers.

    A conditional generator shows one class in each row; points in the plane are drawn over the
    training points.

    Args:
        rows: Rows of the grid.
        columns: Columns of the grid.
        seed: Seed of the latents.

    Raises:
        ConfigurationError: If the grid has no cell.
    """

    def __init__(self, rows: int = 10, columns: int = 10, seed: int = 0) -> None:
        check_range(self, at_least(1), rows=rows, columns=columns)
        self.rows = rows
        self.columns = columns
        self.seed = seed

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Draws the untrained generator."""
        if gan.progress.images == 0:
            self.on_validation_epoch_end(trainer, gan)

    def on_validation_epoch_end(self, trainer: Trainer, gan: GAN) -> None:
        """Draws the generator as it is."""
        if is_dry_run(trainer):
            return
        folder = run_folder(trainer) / "samples"
        if not trainer.is_global_zero:
            return
        picture = self.draw(trainer, gan)
        save_png(picture, folder / f"{gan.progress.images:010d}.png")
        for logger in trainer.loggers:
            _log_picture(logger, picture, gan.progress.images)

    def draw(self, trainer: Trainer, gan: GAN) -> Tensor:
        """The picture, uint8 (3, H, W)."""
        if gan.generator.image_size == 0:
            data, real = data_of(trainer), None
            with contextlib.suppress(ConfigurationError):  # of a stream that cannot be read again
                real = None if data is None else data.split("train").images
            return scatter(gan.sample(5000, seed=self.seed).cpu(), real)
        classes = gan.generator.num_classes
        labels = torch.arange(self.rows).repeat_interleave(self.columns) % max(classes, 1)
        samples = gan.sample(self.rows * self.columns, labels, seed=self.seed)
        return grid(samples.float().cpu(), self.columns)


def _log_picture(logger: Logger, picture: Tensor, images: int) -> None:
    """Hands the picture to a logger that can show it."""
    if hasattr(logger, "log_image"):
        captions = [f"after {images:,} images"]
        logger.log_image("samples/grid", [picture.permute(1, 2, 0).numpy()], caption=captions)
        return
    experiment: Any = getattr(logger, "experiment", None)
    if hasattr(experiment, "add_image"):
        experiment.add_image("samples", picture, images)
