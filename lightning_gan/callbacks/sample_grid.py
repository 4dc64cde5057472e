"""Pictures of what the generator makes of the same latents, as training goes on."""

import contextlib
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor

from lightning_gan.basics.images import beside, grid, in_range, save_png
from lightning_gan.callbacks.base import GANCallback, data_of, is_dry_run, run_folder
from lightning_gan.errors import ConfigurationError, at_least, check_range, whole
from lightning_gan.evaluation.panel import EvaluationData, Samples
from lightning_gan.gan import GAN
from lightning_gan.runs.drawing import scatter
from lightning_gan.runs.pictures import BESIDE_REALS, REALS
from lightning_gan.training.sampling import Sampling

WAYS = 4
"""Rows of the picture of interpolations."""


class SampleGrid(GANCallback):
    """Draws the averaged generator's samples from fixed latents, as PNG and in the loggers.

    A conditional generator shows one class in each row; points in the plane are drawn over the
    training points. Of images there are two pictures more: ``samples/interpolation_...``, in each
    row the way from one latent to another, and, once, ``reals.png``, training images laid out as
    the samples are; in the end ``beside_reals.png`` has the samples, and these to the right of
    them. Nothing is drawn from the random numbers of the training.

    Args:
        rows: Rows of the grid.
        columns: Columns of the grid.
        seed: Seed of the latents, and of which training images are shown.

    Raises:
        ConfigurationError: If the grid has no cell.
    """

    def __init__(self, rows: int = 10, columns: int = 10, seed: int = 0) -> None:
        check_range(self, at_least(1), rows=rows, columns=columns)
        self.rows = whole(self, "rows", rows)
        self.columns = whole(self, "columns", columns)
        self.seed = seed

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Draws real images, where they have not been drawn, and the untrained generator."""
        if gan.progress.images == 0:
            self.on_validation_epoch_end(trainer, gan)
        data = data_of(trainer)
        if is_dry_run(trainer) or data is None or not gan.generator.image_size:
            return
        path = run_folder(trainer) / f"{REALS}.png"
        if trainer.is_global_zero and not path.exists():
            picture = grid(self.reals(gan, data.split("train")), self.columns)
            classes = self._classes(trainer, gan, self.rows)
            save_png(picture, path, classes)
            _log(trainer, "samples/reals", picture, _sentence("training images", classes), 0)

    def on_train_end(self, trainer: Trainer, gan: GAN) -> None:
        """Draws the last samples beside real images."""
        data = data_of(trainer)
        if is_dry_run(trainer) or data is None or not gan.generator.image_size:
            return
        if trainer.is_global_zero:
            reals = grid(self.reals(gan, data.split("train")), self.columns)
            picture = beside(self.draw(trainer, gan), reals)
            said = f"left: after {gan.progress.images:,} images; right: training images"
            caption = _sentence(said, self._classes(trainer, gan, self.rows))
            save_png(picture, run_folder(trainer) / f"{BESIDE_REALS}.png", caption)

    def on_validation_epoch_end(self, trainer: Trainer, gan: GAN) -> None:
        """Draws the generator as it is."""
        if is_dry_run(trainer):
            return
        folder, images = run_folder(trainer) / "samples", gan.progress.images
        if not trainer.is_global_zero:
            return
        picture, classes = self.draw(trainer, gan), self._classes(trainer, gan, self.rows)
        save_png(picture, folder / f"{images:010d}.png", classes)
        when = f"after {images:,} images"
        _log(trainer, "samples/grid", picture, _sentence(when, classes), images)
        if gan.generator.image_size:
            picture, classes = self.interpolation(gan), self._classes(trainer, gan, WAYS)
            save_png(picture, folder / f"interpolation_{images:010d}.png", classes)
            _log(trainer, "samples/interpolation", picture, _sentence(when, classes), images)

    def draw(self, trainer: Trainer, gan: GAN) -> Tensor:
        """The picture of the samples, uint8 (3, H, W)."""
        if gan.generator.image_size == 0:
            data, real = data_of(trainer), None
            with contextlib.suppress(ConfigurationError):  # of a stream that cannot be read again
                real = None if data is None else data.split("train").images
            return scatter(gan.sample(5000, seed=self.seed).float().cpu(), real)
        labels = self._labels(gan, self.rows)
        samples = gan.sample(self.rows * self.columns, labels, seed=self.seed)
        return grid(samples.float().cpu(), self.columns)

    def interpolation(self, gan: GAN) -> Tensor:
        """In each row the way from one latent to another, uint8 (3, H, W)."""
        sampling, labels = Sampling(self.seed), self._labels(gan, WAYS)
        ways = sampling.between(gan.generator_ema, gan.prior, WAYS, self.columns, labels)
        return grid(ways.float().cpu(), self.columns)

    def reals(self, gan: GAN, train: Samples) -> Tensor:
        """Training images (rows * columns, C, H, W) in [-1, 1], a class in each row as samples are.

        None is shown twice: cells for which there are too few, of a class or of all, are white.
        """
        order = torch.randperm(
            len(train.images), generator=torch.Generator().manual_seed(self.seed)
        )
        count = self.rows * self.columns
        found = torch.ones(count, *train.images.shape[1:])
        if not gan.generator.num_classes:
            own = _distinct(train.images, order, count)
            found[: len(own)] = in_range(train.images[own])
            return found
        labels, classes = self._labels(gan, self.rows), train.labels[order]
        for label in range(gan.generator.num_classes):
            cells = (labels == label).nonzero()[:, 0]
            own = _distinct(train.images, order[classes == label], len(cells))
            found[cells[: len(own)]] = in_range(train.images[own])
        return found

    def _labels(self, gan: GAN, rows: int) -> Tensor:
        """The class of each cell (rows * columns,): one in each row."""
        return torch.arange(rows).repeat_interleave(self.columns) % max(
            gan.generator.num_classes, 1
        )

    def _classes(self, trainer: Trainer, gan: GAN, rows: int) -> str:
        """What a conditional generator shows in the rows, in words; empty for any other."""
        count = gan.generator.num_classes
        if not count or not gan.generator.image_size:
            return ""
        names = _class_names(data_of(trainer), count)
        return f"a class in each row: {', '.join(names[:rows])}"


def _distinct(images: Tensor, rows: Tensor, most: int) -> Tensor:
    """The first of some rows (n,) whose pictures are all different, at most so many."""
    found: dict[bytes, int] = {}
    for row in rows.tolist():
        if len(found) == most:
            break
        found.setdefault(images[row].numpy().tobytes(), row)
    return torch.tensor([*found.values()], dtype=torch.long)


def _class_names(data: EvaluationData | None, count: int) -> list[str]:
    names = () if data is None else data.class_names
    return list(names) if len(names) == count else [str(label) for label in range(count)]


def _sentence(what: str, classes: str) -> str:
    return f"{what}; {classes}" if classes else what


def _log(trainer: Trainer, name: str, picture: Tensor, caption: str, images: int) -> None:
    """Hands a picture to the loggers that can show it."""
    for logger in trainer.loggers:
        _log_picture(logger, name, picture, caption, images)


def _log_picture(logger: Logger, name: str, picture: Tensor, caption: str, images: int) -> None:
    if hasattr(logger, "log_image"):
        logger.log_image(name, [picture.permute(1, 2, 0).numpy()], caption=[caption])
        return
    experiment: Any = getattr(logger, "experiment", None)
    if hasattr(experiment, "add_image"):
        experiment.add_image(name, picture, images)
