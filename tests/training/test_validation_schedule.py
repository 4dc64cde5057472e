"""Validations are due by images, each once, whenever the run was stopped."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback
from resuming import bits, differences
from tiny import Points, points_gan, quiet_trainer

from lightning_gan import GAN
from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.checkpoints.schedule import IMAGES_BETWEEN

BATCH = 8


class StoppedError(Exception):
    """Ends a run as a signal does."""


class Watch(Callback):
    """Notes the images of each validation, and may stop the run after a batch."""

    def __init__(self, stop: int = 0) -> None:
        self.seen: list[int] = []
        self.stop = stop

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self.seen.append(pl_module.progress.images)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: object) -> None:
        if pl_module.progress.batches == self.stop:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "stopped.ckpt")
            raise StoppedError


def fit(
    folder: Path,
    images: int,
    every: int | None,
    watch: Watch,
    trainer_options: dict[str, Any] | None = None,
    **options: Any,
) -> GAN:
    gan = points_gan(max_images=images, validate_every=every)
    trainer = quiet_trainer(folder, **{"limit_val_batches": 1.0} | (trainer_options or {}))
    trainer.callbacks.append(watch)  # type: ignore[attr-defined]
    trainer.fit(gan, Points(BATCH), **options)
    return gan


def test_validations_come_at_multiples_of_images_whatever_the_epochs(tmp_path: Path) -> None:
    watch = Watch()
    fit(tmp_path, 480, 100, watch)  # an epoch has 200 images
    assert watch.seen == [104, 200, 304, 400, 480]


def test_the_last_one_is_made_once(tmp_path: Path) -> None:
    watch = Watch()
    gan = fit(tmp_path, 200, 100, watch)
    assert watch.seen == [104, 200]
    assert gan.images_validated == 200


@pytest.mark.parametrize("stop", [12, 13, 14, 25, 26, 38, 50])
def test_a_run_that_was_stopped_makes_the_validations_of_one_that_was_not(
    stop: int, tmp_path: Path
) -> None:
    """Stops before a validation (13, 25, 38, 50), at an epoch's end (25, 50), and elsewhere."""
    straight = Watch()
    fit(tmp_path, 480, 100, straight)
    first, second = Watch(stop), Watch()
    with pytest.raises(StoppedError):
        fit(tmp_path, 480, 100, first)
    path = tmp_path / "stopped.ckpt"
    fit(tmp_path, 480, 100, second, ckpt_path=path, weights_only=True)
    assert first.seen + second.seen == straight.seen


OWN: dict[str, dict[str, Any]] = {
    "each epoch": {"check_val_every_n_epoch": 1},
    "every other epoch": {"check_val_every_n_epoch": 2},
    "within epochs": {"val_check_interval": 10},
    "across epochs": {"val_check_interval": 20, "check_val_every_n_epoch": None},
}


@pytest.mark.parametrize("stop", [10, 20, 24, 25, 26, 40, 50, 59, 60])
@pytest.mark.parametrize("name", OWN)
def test_the_trainers_own_schedule_loses_none_where_the_run_was_stopped(
    name: str, stop: int, tmp_path: Path
) -> None:
    """Stops at an epoch's end (25, 50), where one is due (10 to 60), at the end (60), elsewhere."""
    straight = Watch()
    fit(tmp_path, 480, None, straight, OWN[name])
    first, second = Watch(stop), Watch()
    with pytest.raises(StoppedError):
        fit(tmp_path, 480, None, first, OWN[name])
    path = tmp_path / "stopped.ckpt"
    fit(tmp_path, 480, None, second, OWN[name], ckpt_path=path, weights_only=True)
    assert first.seen + second.seen == straight.seen


@pytest.mark.parametrize("every", [100, None])
def test_the_last_one_is_made_where_the_run_was_stopped_right_before_it(
    every: int | None, tmp_path: Path
) -> None:
    first, second, larger = Watch(30), Watch(), Watch()
    with pytest.raises(StoppedError):
        fit(tmp_path, 240, every, first)
    path = tmp_path / "stopped.ckpt"
    fit(tmp_path, 240, every, second, ckpt_path=path, weights_only=True)
    assert second.seen == [240]
    # with a larger budget that was not the end, and no validation is due there
    fit(tmp_path, 400, every, larger, ckpt_path=path, weights_only=True)
    assert larger.seen == ([304, 400] if every else [400])


def test_a_finished_run_makes_none_again(tmp_path: Path) -> None:
    gan = points_gan(max_images=200, validate_every=100)
    trainer = quiet_trainer(tmp_path, limit_val_batches=1.0)
    last = LastCheckpoint()
    trainer.callbacks += [last]  # type: ignore[attr-defined]
    trainer.fit(gan, Points(BATCH))
    again = Watch()
    fit(tmp_path, 200, 100, again, ckpt_path=last.path(trainer), weights_only=True)
    assert again.seen == []


def test_where_there_are_no_validations_none_is_due_and_nothing_is_saved_for_one(
    tmp_path: Path,
) -> None:
    due: list[str] = []

    class Looks(Callback):
        def on_train_batch_end(self, trainer: Any, gan: Any, *_: object) -> None:
            due.append(gan.validation_due)
            assert not (tmp_path / "checkpoints" / "last.ckpt").exists()

    callbacks = [LastCheckpoint(), Looks()]
    trainer = quiet_trainer(tmp_path, callbacks=callbacks, limit_val_batches=0)
    trainer.fit(points_gan(max_images=320, validate_every=64), Points(BATCH))
    assert due == [""] * 40


def test_one_that_fails_loses_nothing(tmp_path: Path) -> None:
    class Failing(Callback):
        def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if pl_module.progress.images == 200:
                raise StoppedError

    def run(folder: str, *callbacks: Callback, **options: Any) -> tuple[Path, Watch]:
        last, watch = LastCheckpoint(), Watch()
        trainer = quiet_trainer(tmp_path / folder, limit_val_batches=1.0)
        trainer.callbacks += [*callbacks, watch, last]  # type: ignore[attr-defined]
        trainer.fit(points_gan(max_images=400, validate_every=100), Points(BATCH), **options)
        return last.path(trainer), watch

    straight, watched = run("straight")
    with pytest.raises(StoppedError):
        run("failed", Failing())
    path = tmp_path / "failed" / "checkpoints" / "last.ckpt"
    mended, made_up = run("failed", ckpt_path=path, weights_only=True)
    assert watched.seen == [104, 200, 304, 400]
    assert made_up.seen == [200, 304, 400]
    assert differences(bits(straight), bits(mended)) == []


def test_without_a_number_the_trainer_has_its_own_schedule(tmp_path: Path) -> None:
    watch = Watch()
    fit(tmp_path, 400, None, watch)
    assert watch.seen == [200, 400]


def test_zero_leaves_the_number_to_the_size_of_the_data(tmp_path: Path) -> None:
    watch = Watch()
    gan = fit(tmp_path, 400, 0, watch)
    assert gan.validate_every == IMAGES_BETWEEN
    assert watch.seen == [400]
