"""A run that goes on: its best, its segments and its pictures are those of what it goes on from."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback
from tiny import Points, points_gan

import lightning_gan
from lightning_gan.callbacks import Evaluation
from lightning_gan.evaluation.panel import Panel
from lightning_gan.evaluation.stamped_values import history
from lightning_gan.runs.listing import Distance, Run
from lightning_gan.runs.record import RunRecord

OPTIONS: dict[str, Any] = {"accelerator": "cpu", "enable_progress_bar": False}
CHECKPOINTS = Path("version_0/checkpoints")


@pytest.fixture
def distances(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the next evaluations find, in this order."""
    found: list[float] = []
    measure = Panel.measure

    def told(self: Panel, chunks: Any) -> Any:
        measured = measure(self, chunks)
        assert measured.frechet is not None
        return replace(measured, frechet=measured.frechet._replace(value=found.pop(0)))

    monkeypatch.setattr(Panel, "measure", told)
    return found


def train(root: Path, images: int, *callbacks: Callback, **options: Any) -> None:
    asked = [Evaluation(["frechet"], num_samples=40), *callbacks]
    gan, data = points_gan(max_images=images, validate_every=64), Points(8)
    lightning_gan.fit(gan, data, root, "last", callbacks=asked, **OPTIONS | options)


def kept(root: Path) -> tuple[dict[str, Any] | None, int]:
    """The best on record, and the images that the best checkpoint has seen."""
    images = lightning_gan.load(root / CHECKPOINTS / "best.ckpt").progress.images
    return RunRecord.read(root / "version_0").best, images


@pytest.mark.parametrize("how", ["same", "spelt otherwise", "renamed"])
def test_the_best_is_kept_wherever_the_folder_is(
    how: str, distances: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = Path("run")
    distances += [5.0, 9.0, 8.0]
    train(root, 128)
    if how == "renamed":
        root = root.rename("another")
    train(root.absolute() if how == "spelt otherwise" else root, 192)
    assert kept(root) == ({"name": "fid/identity", "value": 5.0, "images": 64}, 64)


def test_a_best_of_updates_that_were_lost_is_dropped(
    distances: list[float], tmp_path: Path
) -> None:
    seen: list[RunRecord] = []

    class Looks(Callback):
        def on_train_batch_start(self, *_: object) -> None:
            seen.append(RunRecord.read(tmp_path / "version_0"))

    distances += [9.0, 5.0, 9.5, 9.6]
    train(tmp_path, 64)
    early = shutil.copy(tmp_path / CHECKPOINTS / "last.ckpt", tmp_path / "early.ckpt")
    train(tmp_path, 128)
    assert kept(tmp_path)[1] == 128
    shutil.copy(early, tmp_path / CHECKPOINTS / "last.ckpt")  # as if the other were never written
    with (
        pytest.warns(UserWarning, match=r"best\.ckpt .* is dropped, and the next distance is the"),
        pytest.warns(UserWarning, match=r"healthy\.ckpt .* is dropped, and the next healthy state"),
    ):
        train(tmp_path, 192, Looks())
    assert seen[0].best == {"name": "fid/identity", "value": 9.0, "images": 64}
    assert kept(tmp_path) == ({"name": "fid/identity", "value": 9.5, "images": 128}, 128)


def test_the_best_of_another_run_is_left_alone(distances: list[float], tmp_path: Path) -> None:
    distances += [9.0, 5.0, 9.5]
    one, other = tmp_path / "one", tmp_path / "other"
    train(one, 64)
    early = shutil.copy(one / CHECKPOINTS / "last.ckpt", tmp_path / "early.ckpt")
    train(one, 128)
    callbacks, gan = [Evaluation(["frechet"], num_samples=40)], points_gan(max_images=128)
    gan.validate_every = 64
    lightning_gan.fit(gan, Points(8), other, early, callbacks=callbacks, **OPTIONS)
    assert kept(one) == ({"name": "fid/identity", "value": 5.0, "images": 128}, 128)
    assert kept(other)[1] == 128


def test_values_of_updates_that_were_lost_are_not_on_record(
    distances: list[float], tmp_path: Path
) -> None:
    seen: list[tuple[dict[str, float | None], Distance | None]] = []

    class Saves(Callback):
        def on_train_batch_end(self, trainer: Any, gan: Any, *_: object) -> None:
            if gan.progress.images == 32:
                trainer.save_checkpoint(tmp_path / "early.ckpt")

    class Looks(Callback):
        def on_train_batch_start(self, *_: object) -> None:
            run = Run.read(tmp_path / "version_0")
            seen.append((run.record.values, run.last))

    distances += [5.0, 9.0]
    train(tmp_path, 64, Saves(), log_every_n_steps=3)
    assert "fid/identity" in RunRecord.read(tmp_path / "version_0").values
    shutil.copy(tmp_path / "early.ckpt", tmp_path / CHECKPOINTS / "last.ckpt")
    with pytest.warns(UserWarning, match="is dropped"):  # best.ckpt and healthy.ckpt
        train(tmp_path, 64, Looks(), log_every_n_steps=3)
    values, last = seen[0]
    assert (values["progress/images"], last) == (24, None)
    assert not any(name.startswith(("fid/", "val/")) for name in values)


def test_pictures_of_updates_that_were_lost_go_as_well(
    distances: list[float], tmp_path: Path
) -> None:
    distances += [9.0, 5.0, 9.5]
    train(tmp_path, 64)
    early = shutil.copy(tmp_path / CHECKPOINTS / "last.ckpt", tmp_path / "early.ckpt")
    train(tmp_path, 128)
    samples = tmp_path / "version_0" / "samples"
    (samples / "mine_1.png").write_bytes(b"")
    shutil.copy(early, tmp_path / CHECKPOINTS / "last.ckpt")
    with pytest.warns(UserWarning, match="is dropped"):
        train(tmp_path, 96)
    names = {path.stem for path in samples.glob("*.png")}
    assert {"0000000064", "0000000096", "mine_1"} <= names
    assert not any(name.endswith("0000000128") for name in names)


def test_a_run_goes_on_from_its_folder(tmp_path: Path) -> None:
    options = OPTIONS | {"limit_val_batches": 0}
    trainer = lightning_gan.fit(points_gan(max_images=64), Points(8), tmp_path, **options)
    gan = points_gan(max_images=96)
    again = lightning_gan.fit(gan, Points(8), tmp_path, trainer.log_dir, **options)
    assert again.log_dir == trainer.log_dir
    segments = RunRecord.read(tmp_path / "version_0").segments
    assert [segment.images for segment in segments] == [0, 64]


def test_a_run_goes_on_from_a_checkpoint_that_has_seen_nothing_yet(
    distances: list[float], tmp_path: Path
) -> None:
    class Saves(Callback):
        def on_train_batch_start(self, trainer: Any, gan: Any, *_: object) -> None:
            if not gan.progress.images:
                trainer.save_checkpoint(tmp_path / "early.ckpt")

    distances += [9.0, 5.0, 9.5]
    train(tmp_path, 128, Saves())
    folder = tmp_path / "version_0"
    before = RunRecord.read(folder)
    shutil.copy(tmp_path / "early.ckpt", tmp_path / CHECKPOINTS / "last.ckpt")
    with pytest.warns(UserWarning, match="is of more images than the 0"):
        train(tmp_path, 64)
    after = RunRecord.read(folder)
    assert (after.id, [s.images for s in after.segments]) == (before.id, [0, 0])
    assert [each.images_seen for each in history(folder / "evaluations.jsonl")] == [64]
    assert {int(path.stem) for path in (folder / "samples").glob("[0-9]*.png")} == {0, 64}
    assert kept(tmp_path) == ({"name": "fid/identity", "value": 9.5, "images": 64}, 64)


def test_a_run_that_had_ended_keeps_its_segments(distances: list[float], tmp_path: Path) -> None:
    distances += [9.0, 5.0]
    for images in (64, 128):
        train(tmp_path, images, max_steps=images // 8)
    for _ in range(2):
        train(tmp_path, 128, max_steps=16)
        segments = RunRecord.read(tmp_path / "version_0").segments
        assert [segment.images for segment in segments] == [0, 64]


def test_a_line_that_is_torn_is_passed_over(distances: list[float], tmp_path: Path) -> None:
    distances += [9.0, 5.0]
    train(tmp_path, 128)
    file = tmp_path / "version_0" / "evaluations.jsonl"
    first, second = file.read_text().splitlines()
    file.write_text(f'{first}\n{{"torn": 1\n{second}\n')
    assert [measured.images_seen for measured in history(file)] == [64, 128]
