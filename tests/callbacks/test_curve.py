"""The curve of a run: every row on the axis of images, whatever ended the run before."""

import csv
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from tiny import Points, points_gan, quiet_trainer

from lightning_gan.callbacks import Balance, LastCheckpoint
from lightning_gan.callbacks.loggers import AXIS, CSVCurve
from lightning_gan.callbacks.recorder import Recorder
from lightning_gan.gan import GAN
from lightning_gan.regularizers import R1
from lightning_gan.runs.record import EVALUATIONS, RunRecord


class StoppedError(Exception):
    """Ends a run as a power cut does."""


class Kill(Callback):
    """Ends a run after a batch, whatever was saved before."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: object) -> None:
        if pl_module.progress.batches == self.batches:
            raise StoppedError


class Save(Callback):
    """Saves after a batch."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: object) -> None:
        if pl_module.progress.batches == self.batches:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "saved.ckpt")


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "version_0" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.pop("progress/images_per_second", None)
    return rows


def fit(folder: Path, *callbacks: Callback, version: str | None = None, **options: Any) -> None:
    trainer = quiet_trainer(
        folder,
        limit_val_batches=1.0,
        log_every_n_steps=3,
        logger=CSVCurve(str(folder), version=version),
    )
    trainer.callbacks += [Balance(), *callbacks, Recorder()]  # type: ignore[attr-defined]
    gan = points_gan(regularizers=[R1(0.1)], max_images=320, validate_every=100)
    trainer.fit(gan, Points(8), **options)


@pytest.mark.parametrize(("saved", "killed"), [(10, 17), (13, 14), (25, 31), (12, 12), (20, 39)])
def test_a_killed_run_ends_with_the_curve_of_one_that_was_not(
    saved: int, killed: int, tmp_path: Path
) -> None:
    fit(tmp_path / "straight")
    with pytest.raises(StoppedError):
        fit(tmp_path / "killed", Save(saved), Kill(killed))
    path = tmp_path / "killed" / "saved.ckpt"
    fit(tmp_path / "killed", version="version_0", ckpt_path=path, weights_only=True)
    assert rows_of(tmp_path / "killed") == rows_of(tmp_path / "straight")
    record = RunRecord.read(tmp_path / "killed" / "version_0")
    assert [segment.images for segment in record.segments] == [0, saved * 8]
    assert (record.state, record.images) == ("finished", 320)


class Mine(GAN):
    """A model that logs something of its own in training, and at validations."""

    def training_step(self, batch: object, batch_idx: int) -> None:
        super().training_step(batch, batch_idx)
        self.log("mine", float(self.progress.images))

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log("val_mine", float(self.progress.images))


@pytest.mark.parametrize(("saved", "killed"), [(17, 19), (13, 14), (12, 14)])
def test_rows_of_ones_own_come_once_after_a_kill(
    saved: int, killed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiny.GAN", Mine)
    fit(tmp_path / "straight")
    with pytest.raises(StoppedError):
        fit(tmp_path / "killed", Save(saved), Kill(killed))
    path = tmp_path / "killed" / "saved.ckpt"
    fit(tmp_path / "killed", version="version_0", ckpt_path=path, weights_only=True)
    rows = rows_of(tmp_path / "straight")
    assert sum(bool(row["mine"]) for row in rows) >= 13
    assert rows_of(tmp_path / "killed") == rows


def test_every_row_has_the_images_and_they_stand_in_front(tmp_path: Path) -> None:
    fit(tmp_path)
    rows = rows_of(tmp_path)
    assert list(rows[0])[:3] == ["step", AXIS, "epoch"]
    assert [int(row[AXIS]) for row in rows] == [8 * int(row["step"]) for row in rows]
    assert [row[AXIS] for row in rows if row["val/auc"]] == ["104", "200", "304", "320"]


def test_a_line_without_an_end_is_cut(tmp_path: Path) -> None:
    fit(tmp_path / "a")
    with pytest.raises(StoppedError):
        fit(tmp_path / "b", Save(13), Kill(14))
    with (tmp_path / "b" / "version_0" / "metrics.csv").open("a") as file:
        file.write("99,79")
    path = tmp_path / "b" / "saved.ckpt"
    fit(tmp_path / "b", version="version_0", ckpt_path=path, weights_only=True)
    assert rows_of(tmp_path / "b") == rows_of(tmp_path / "a")


@pytest.mark.parametrize("damage", ["not text", "a digit", "the axis"])
def test_a_curve_that_cannot_be_read_is_moved_aside_with_a_warning(
    damage: str, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        fit(tmp_path, Save(13), Kill(14))
    curve = tmp_path / "version_0" / "metrics.csv"
    content = curve.read_bytes()
    last = content.rstrip().rpartition(b"\n")[2]
    step, images, rest = last.split(b",", 2)
    broken = {
        "not text": b"\xff\xfe\x00step\n\n",
        "a digit": content.replace(last, last.replace(b".", b"q", 1)),
        "the axis": content.replace(last, b",".join([step, b"inf", rest])),
    }
    assert float(images) > 0
    curve.write_bytes(broken[damage])
    path = tmp_path / "saved.ckpt"
    with pytest.warns(UserWarning, match=r"metrics\.csv cannot be read .* metrics.csv.damaged"):
        fit(tmp_path, version="version_0", ckpt_path=path, weights_only=True)
    assert curve.with_name("metrics.csv.damaged").read_bytes() == broken[damage]
    assert [row["step"] for row in rows_of(tmp_path)][-1] == "40"


def test_evaluations_of_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        fit(tmp_path, Save(14), Kill(16))
    lines = [f'{{"run": {{"images_seen": {images}}}}}\n' for images in (50, 100, 104, 200)]
    evaluations = tmp_path / "version_0" / EVALUATIONS
    evaluations.write_text("".join(lines) + '{"run": {"ima')
    path = tmp_path / "saved.ckpt"
    fit(tmp_path, version="version_0", ckpt_path=path, weights_only=True)
    assert evaluations.read_text() == "".join(lines[:3])


def test_a_finished_run_that_is_resumed_adds_nothing(tmp_path: Path) -> None:
    last = LastCheckpoint()
    fit(tmp_path, last)
    before = rows_of(tmp_path)
    path = tmp_path / "version_0" / "checkpoints" / "last.ckpt"
    fit(tmp_path, version="version_0", ckpt_path=path, weights_only=True)
    assert rows_of(tmp_path) == before


@pytest.mark.parametrize("logger", [False, True])
def test_values_of_training_can_be_monitored(logger: bool, tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path / "kept", monitor="loss/generator", every_n_train_steps=3)
    trainer = quiet_trainer(tmp_path, log_every_n_steps=3)
    if logger:
        trainer.logger = CSVCurve(str(tmp_path))
    trainer.callbacks += [Balance(), keep]  # type: ignore[attr-defined]
    trainer.fit(points_gan(max_images=80), Points(8))
    assert keep.best_model_path
    assert float(keep.best_model_score) == pytest.approx(
        float(trainer.callback_metrics["loss/generator"]), abs=1.0
    )
