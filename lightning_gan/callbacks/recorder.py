"""Writes down what a run is and how it goes, for lists, tables, pages, and for going on with it."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gan.basics.plain import flat
from lightning_gan.basics.waiting import waiting
from lightning_gan.callbacks.base import GANCallback, goes_on, is_dry_run, run_folder
from lightning_gan.callbacks.dashboards import show_settings
from lightning_gan.callbacks.loggers import (
    FIRST,
    SPEED,
    CSVCurve,
    TensorBoardHistory,
    cut_lines,
    free_name,
    put_on_axis,
)
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.callbacks.preemption import Interrupted
from lightning_gan.checkpoints.identity import environment, identity_of, setting_of
from lightning_gan.errors import ConfigurationError, DataError, DivergenceError, said
from lightning_gan.gan import GAN
from lightning_gan.runs import scores
from lightning_gan.runs.curves import NAME as CURVES
from lightning_gan.runs.drawing import draw_curves
from lightning_gan.runs.record import EVALUATIONS, NAME, RunRecord, Segment, State, utc_now
from lightning_gan.training.batches import batch_size_of
from lightning_gan.training.schedule import PLAYERS

DIGITS = 10
"""Of the number of images in the name of a picture."""


class Recorder(GANCallback):
    """Keeps ``run.json`` in the folder of the run, and every logger on the axis of images.

    A run that is gone on with keeps its record: a segment is added, and what lies beyond the
    checkpoint in its curve and its evaluations is dropped, since it comes again.

    Args:
        name: What ran, in short; of the recipe, what differs and the seed where empty.
        recipe: Name of the recipe or configuration file; None from Python.
        differs: What was asked for besides, by dotted name.
        config: Name of the file with the whole configuration; empty for none.
        run_id: Eight hexadecimal digits; new ones where None.
    """

    def __init__(
        self,
        name: str = "",
        recipe: str | None = None,
        differs: dict[str, Any] | None = None,
        config: str = "",
        run_id: str | None = None,
    ) -> None:
        self.name, self.recipe, self.differs, self.config = name, recipe, differs or {}, config
        self.run_id = run_id or secrets.token_hex(4)
        self.record: RunRecord | None = None
        self._began = False
        """Whether this start has added a segment."""
        self._batches = 0
        """Batches of training before this epoch."""
        self._rows: list[dict[str, str]] = []
        """Rows of the curve before, in a run that goes on."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Puts every logger on the axis of images."""
        super().setup(trainer, pl_module, stage)
        assert isinstance(pl_module, GAN)
        if stage == "fit":
            # Lightning would show the same settings nested, beside the flat ones of the record.
            pl_module._log_hyperparams = False
            for logger in trainer.loggers:
                put_on_axis(logger, trainer, pl_module)

    def on_fit_start(self, trainer: Trainer, gan: GAN) -> None:
        """Begins the record, or a further segment of it."""
        folder = run_folder(trainer)
        if is_dry_run(trainer) or not trainer.is_global_zero:
            return
        images, begun = gan.progress.images, goes_on(trainer, gan)
        if begun:
            for logger in trainer.loggers:
                if isinstance(logger, CSVCurve):
                    self._rows = logger.experiment.cut(images, gan.images_validated)
            cut_lines(folder / EVALUATIONS, _images_of, gan.images_validated)
            cut_lines(folder / scores.NAME, scores.images_of, gan.images_validated)
            _remove_pictures(folder / "samples", gan.images_validated)
        known = record_in(folder) if begun else None
        name = None if known is None else known.name
        self.record = known or self._new(trainer, gan)
        if self.record.best is not None and self.record.best["images"] > gan.images_validated:
            self.record.best = None
        if begun and any(isinstance(logger, CSVCurve) for logger in trainer.loggers):
            self.record.values = _last_values(self._rows)  # and none of updates that were lost
        spent = gan.max_images is not None and images >= gan.max_images
        self._began = known is None or not known.segments or not spent
        if self._began:
            self._begin_segment(trainer, gan)
        if spent:
            rank_zero_info(
                f"Nothing is left to train: {images:,} images have been seen. Give a larger "
                "--model.max_images to go on."
            )
        measurements(trainer).record = self.record
        self._write(trainer, gan, "running")
        for logger in trainer.loggers:
            show_settings(logger, self.settings(), name)

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Tells TensorBoard again what it has forgotten, now that the epoch is known."""
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardHistory):
                logger.tell_again(self._rows)

    def _begin_segment(self, trainer: Trainer, gan: GAN) -> None:
        """Writes down what begins; a run that is changed on the way bears another name."""
        assert self.record is not None
        identity = identity_of(gan.hparams, setting_of(trainer))
        if self.record.segments:  # whatever the command says now, it has begun from these weights
            before = self.record.identity.get("model", {})
            begun = {name: x for name, x in before.items() if name == "warm_start"}
            rest = {name: x for name, x in identity["model"].items() if name != "warm_start"}
            identity["model"] = rest | begun
        self.record.segments.append(self._segment(trainer, gan))
        self.record.identity = identity
        self.record.max_images = gan.max_images
        if gan.changes:
            self.record.differs |= {name: now for name, (_, now) in gan.changes.items()}
            self.record.seed = gan.game.seeds.seed
            title = title_of(self.record.recipe, self.record.differs, self.record.seed)
            self.record.name = f"{title} changed on the way"

    def settings(self) -> dict[str, Any]:
        """All that a logger should show of the run, by dotted names."""
        assert self.record is not None
        record = self.record
        last = record.segments[-1]
        return flat(record.identity) | {
            "run.name": record.name,
            "run.recipe": record.recipe,
            "run.seed": record.seed,
            "run.max_images": record.max_images,
            "run.processes": last.processes,
            "run.device": last.device,
            "run.threads": last.threads,
            **{f"parameters.{player}": count for player, count in record.parameters.items()},
            **{f"versions.{name}": version for name, version in last.versions.items()},
        }

    def on_train_epoch_start(self, trainer: Trainer, gan: GAN) -> None:
        """Notes where the epoch begins."""
        self._batches = gan.progress.batches

    def on_train_epoch_end(self, trainer: Trainer, gan: GAN) -> None:
        """Ends a run whose loader has nothing more to give, which would go on for ever.

        Raises:
            DataError: If an epoch had no batch.
        """
        if gan.progress.batches == self._batches and trainer.train_dataloader is not None:
            if not gan.progress.images:
                raise DataError(
                    "The loader of training gives no batch: it is empty, or can be read once and "
                    "was; give samples, or data whose __iter__ begins anew."
                )
            raise DataError(
                f"The loader of training gives no more batches after {gan.progress.images:,} "
                "images: give one whose __iter__ begins anew, since every epoch reads it, and the "
                "reference of the evaluation does too."
            )

    def on_validation_end(self, trainer: Trainer, gan: GAN) -> None:
        """Writes down where the run stands."""
        if self.record is not None and not is_dry_run(trainer):
            self._write(trainer, gan, self.record.state)

    def on_train_end(self, trainer: Trainer, gan: GAN) -> None:
        """Says that it came to its end."""
        self._write(trainer, gan, "finished")

    def on_fit_end(self, trainer: Trainer, gan: GAN) -> None:
        """Says so of a run that had come to its end before, of which nothing was left to train.

        Raises:
            DataError: If there was something left, and the loader of training gave no batch.
        """
        if trainer.num_training_batches == 0 and trainer.limit_train_batches:
            raise DataError(
                "The loader of training gives no batch, so nothing was trained: it has too few "
                "samples for one whole batch on each process, so set a smaller batch_size."
            )
        if self.record is not None and self.record.state == "running":
            if self._began and len(self.record.segments) > 1:
                self.record.segments.pop()
            self._write(trainer, gan, "finished")

    def on_exception(self, trainer: Trainer, gan: GAN, exception: BaseException) -> None:
        """Says what ended it."""
        stopped = isinstance(exception, (Interrupted, KeyboardInterrupt))
        diverged = isinstance(exception, DivergenceError)
        state: State = "stopped" if stopped else "diverged" if diverged else "failed"
        self._write(trainer, gan, state, said(exception))
        if self.record is not None and trainer.is_global_zero:
            draw_curves_of(trainer)

    def _new(self, trainer: Trainer, gan: GAN) -> RunRecord:
        seed = gan.game.seeds.seed
        return RunRecord(
            id=self.run_id,
            name=self.name or title_of(self.recipe, self.differs, seed),
            recipe=self.recipe,
            differs=self.differs,
            seed=seed,
            identity={},
            parameters={player: _count(getattr(gan, player)) for player in PLAYERS},
            max_images=gan.max_images,
        )

    def _segment(self, trainer: Trainer, gan: GAN) -> Segment:
        device = gan.device.type
        if device == "cuda":
            device = f"cuda ({torch.cuda.get_device_name(gan.device)})"
        data = getattr(trainer, "datamodule", None)
        return Segment(
            started=utc_now(),
            images=gan.progress.images,
            processes=trainer.world_size,
            batch_size=batch_size_of(data),
            device=device,
            threads=environment()["threads"],
            versions=environment()["versions"],
            config=self.config,
            changes=gan.changes,
            passed_over=getattr(data, "passed_over", 0),
            matmul_precision=environment()["matmul_precision"],
            waiting=waiting(),
        )

    def _write(self, trainer: Trainer, gan: GAN, state: State, why: str = "") -> None:
        if self.record is None:
            return
        best = measurements(trainer).best
        self.record.state, self.record.said = state, why
        self.record.images = gan.progress.images
        self.record.values |= _finite(trainer.callback_metrics)
        if best is not None:
            name = f"fid/{best.extractor}"
            self.record.best = {"name": name, "value": best.value, "images": best.images}
        self.record.write(run_folder(trainer))


def _remove_pictures(folder: Path, images: int) -> None:
    """Removes pictures of more images than were seen, which are drawn again."""
    for path in folder.glob("*.png"):
        when = path.stem.rpartition("_")[2]
        if len(when) == DIGITS and when.isdigit() and int(when) > images:
            path.unlink(missing_ok=True)


def draw_curves_of(trainer: Trainer) -> None:
    """Draws the curves of a run that has any; what hinders it is only warned of."""
    folder = run_folder(trainer)
    try:
        if (folder / CURVES).is_file():
            draw_curves(folder)
    except (OSError, ConfigurationError) as error:
        rank_zero_warn(f"The curves were not drawn: {said(error)}.")


def _finite(values: Mapping[str, torch.Tensor]) -> dict[str, float | None]:
    """The same as numbers, None in the place of what is not finite."""
    numbers = {name: float(value) for name, value in values.items()}
    return {name: x if x - x == 0 else None for name, x in numbers.items()}


def _last_values(rows: Sequence[Mapping[str, str]]) -> dict[str, float | None]:
    """The last value of everything in a curve, which a kill may have kept from the record."""
    found: dict[str, torch.Tensor] = {}
    for row in rows:
        others = FIRST if not row.get(SPEED) else ("step", "epoch")
        told = {name: x for name, x in row.items() if x and name not in others}
        found |= {name: torch.tensor(float(x)) for name, x in told.items()}
    return _finite(found)


def record_in(folder: Path) -> RunRecord | None:
    """The record in the folder of a run, if any; one that cannot be read is moved aside."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        return RunRecord.read(folder)
    except ConfigurationError as error:
        aside = free_name(path.with_name(f"{NAME}.damaged"))
        path.rename(aside)
        rank_zero_warn(f"{said(error)}: it is {aside.name} now, and a new record begins.")
        return None


def title_of(recipe: str | None, differs: dict[str, Any], seed: int) -> str:
    """What ran, in short: ``mlp_ring objective=Hinge seed=0``."""
    what = [f"{name.removeprefix('model.')}={value}" for name, value in differs.items()]
    return " ".join([recipe or "gan", *what, f"seed={seed}"])


def _images_of(line: str) -> int:
    return int(json.loads(line)["run"]["images_seen"])


def _count(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
