"""A training from Python has what the command line gives one."""

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_info
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, ProgressBar, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from tiny import Points, points_gan

import lightning_gan
from lightning_gan.callbacks import (
    Balance,
    CollapseGuard,
    EquilibriumStopping,
    Evaluation,
    default_callbacks,
    recorder,
)
from lightning_gan.callbacks.fitting import curve_of, forget_if_unused, silence_lightning
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import MLPGenerator
from lightning_gan.runs.record import RunRecord

QUIET = {"accelerator": "cpu", "enable_progress_bar": False}


class MyBalance(Balance):
    """One that takes the place of the usual one."""


def kinds(*asked: object, **options: bool) -> list[str]:
    return [type(each).__name__ for each in default_callbacks(Points(8), asked, **options)]  # type: ignore[arg-type]


def test_a_callback_of_ones_own_takes_the_place_of_the_usual_one_alone() -> None:
    usual = kinds()
    assert usual.count("Balance") == 1
    assert "MyBalance" in kinds(MyBalance())
    assert "Balance" not in kinds(MyBalance())
    assert {"BestCheckpoint", "ModelCheckpoint"} <= set(kinds(ModelCheckpoint()))
    assert "ImagesBar" not in kinds(bar=False)
    assert not {"BestCheckpoint", "LastCheckpoint"} & set(kinds(checkpoints=False))
    assert "BestCheckpoint" not in kinds(validating=False)
    assert "SampleGrid" not in kinds(fitting=False)


def test_a_run_from_python_has_its_record_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [Evaluation(num_samples=100)]
    trainer = lightning_gan.fit(
        points_gan(max_images=64), Points(8), tmp_path, callbacks=few, **QUIET
    )
    folder = tmp_path / "version_0"
    assert Path(trainer.log_dir or "") == folder
    record = RunRecord.read(folder)
    assert (record.state, record.images, record.recipe) == ("finished", 64, None)
    (line,) = (folder / "evaluations.jsonl").read_text().splitlines()
    assert json.loads(line)["run"]["id"] == record.id
    said = capsys.readouterr().out
    assert "Trained on 64 images" in said
    assert f"Curves      {folder / 'curves.png'}" in said
    assert (folder / "curves.png").is_file()
    assert f"Page        lightning-gan report {folder}\n" in said
    assert lightning_gan.load(folder).sample(3).shape == (3, 2)
    few = [Evaluation(num_samples=100)]
    gan = points_gan(max_images=128)
    lightning_gan.fit(gan, Points(8), tmp_path, "last", callbacks=few, **QUIET)
    assert [segment.images for segment in RunRecord.read(folder).segments] == [0, 64]
    assert not (folder / "run.lock").exists()


def test_a_callback_that_watches_what_is_not_logged_is_named(tmp_path: Path) -> None:
    few = [Evaluation(num_samples=100), EarlyStopping("gan/d_real")]
    words = r"EarlyStopping watches gan/d_real, .* val/d_real, or EarlyStopping\(strict=False\) to"
    with pytest.raises(ConfigurationError, match=words):
        lightning_gan.fit(points_gan(max_images=64), Points(8), tmp_path, callbacks=few, **QUIET)
    assert (tmp_path / "version_0" / "checkpoints" / "last.ckpt").is_file()


def test_commands_to_go_on_with_are_quoted_for_a_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "a b"
    lightning_gan.fit(points_gan(max_images=8), Points(8), place, limit_val_batches=0, **QUIET)
    said = capsys.readouterr().out
    assert f"Page        lightning-gan report '{place / 'version_0'}'\n" in said
    assert f"predict --ckpt_path '{place / 'version_0'}' --n 64\n" in said


def test_a_run_without_a_budget_is_refused_and_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no budget"):
        lightning_gan.fit(points_gan(), Points(8), tmp_path, **QUIET)
    with pytest.raises(ConfigurationError, match=r"fit\(limit_train_batches=0\) trains nothing"):
        lightning_gan.fit(points_gan(max_images=8), Points(8), tmp_path, limit_train_batches=0)
    assert not [*tmp_path.iterdir()]


def test_the_best_of_a_run_begins_another_and_loggers_are_added(tmp_path: Path) -> None:
    few = [Evaluation(num_samples=100)]
    lightning_gan.fit(points_gan(max_images=64), Points(8), tmp_path, callbacks=few, **QUIET)
    few = [Evaluation(num_samples=100)]
    again = points_gan(max_images=128)
    lightning_gan.fit(again, Points(8), tmp_path, "best", few, logger=False, **QUIET)
    assert RunRecord.read(tmp_path / "version_0").images == 64
    assert [s.images for s in RunRecord.read(tmp_path / "version_1").segments] == [64]


def test_curves_that_cannot_be_drawn_cost_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(folder: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder, "draw_curves", full)
    few = [Evaluation(num_samples=100)]
    with pytest.warns(UserWarning, match="curves were not drawn.*No space left"):
        lightning_gan.fit(points_gan(max_images=64), Points(8), tmp_path, callbacks=few, **QUIET)
    assert RunRecord.read(tmp_path / "version_0").state == "finished"
    said = capsys.readouterr().out
    assert "Trained on 64 images" in said
    assert "Curves" not in said


def test_two_callbacks_that_would_save_their_states_as_one_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="There are 2 callbacks CollapseGuard: give one"):
        default_callbacks(None, [CollapseGuard(), CollapseGuard(margin=0.3)])
    guard = CollapseGuard()
    assert (
        default_callbacks(
            None, [guard, ModelCheckpoint(monitor="a"), ModelCheckpoint(monitor="b")]
        )[0]
        is guard
    )


def test_lightnings_hint_at_tf32_names_our_option(caplog: pytest.LogCaptureFixture) -> None:
    silence_lightning()
    with caplog.at_level(logging.INFO):
        rank_zero_info(
            "You are using a CUDA device ('NVIDIA H100') that has Tensor Cores. To properly "
            "utilize them, you should set "
            "`torch.set_float32_matmul_precision('medium' | 'high')` ..."
        )
    (said,) = caplog.messages
    assert "--matmul_precision high" in said
    assert "medium" not in said


def test_whole_numbers_may_be_floats_and_the_run_is_kept(tmp_path: Path) -> None:
    data = Points(8.0)  # type: ignore[arg-type]
    few = [Evaluation(num_samples=100)]
    lightning_gan.fit(points_gan(max_images=64.0), data, tmp_path, callbacks=few, **QUIET)
    record = RunRecord.read(tmp_path / "version_0")
    assert (record.max_images, record.segments[0].batch_size) == (64, 8)
    assert (tmp_path / "version_0" / "checkpoints" / "last.ckpt").is_file()
    with pytest.raises(ConfigurationError, match=r"GAN: max_images=0\.5 must be"):
        points_gan(max_images=0.5)


def test_a_folder_is_kept_whatever_its_record_looks_like(tmp_path: Path) -> None:
    curve = curve_of(tmp_path, None)
    folder = Path(curve.log_dir)
    (folder / "run.json").write_text("{")
    forget_if_unused(curve)
    assert folder.is_dir()
    (folder / "run.json").unlink()
    forget_if_unused(curve)
    assert not folder.exists()


def test_checkpoints_that_are_not_wanted_are_not_written(tmp_path: Path) -> None:
    few = [Evaluation(num_samples=100)]
    options = QUIET | {"enable_checkpointing": False}
    gan = points_gan(max_images=64, validate_every=16)
    lightning_gan.fit(gan, Points(8), tmp_path, callbacks=few, **options)
    assert not [*tmp_path.rglob("*.ckpt")]
    assert RunRecord.read(tmp_path / "version_0").state == "finished"


@pytest.mark.parametrize("options", [{"max_steps": 4}, {"fast_dev_run": True}])
def test_whatever_ends_a_training_is_a_budget(options: dict[str, Any], tmp_path: Path) -> None:
    trainer = lightning_gan.fit(points_gan(), Points(8), tmp_path, **QUIET, **options)
    assert 0 < trainer.lightning_module.progress.images <= 32


def test_a_logger_of_two_runs_has_the_axis_of_each(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path / "both"))
    few = [Evaluation(num_samples=100)]
    for name in ("a", "b"):
        gan = points_gan(max_images=32)
        options = QUIET | {"log_every_n_steps": 1}
        lightning_gan.fit(
            gan, Points(8), tmp_path / name, callbacks=few, loggers=[logger], **options
        )
    text = (Path(logger.log_dir) / "metrics.csv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(text.splitlines()) if row["loss/generator"]]
    assert [int(row["progress/images"]) for row in rows] == [8, 16, 24, 32] * 2


def test_a_trainer_that_logs_nothing_trains(tmp_path: Path) -> None:
    gan = points_gan(max_images=64)
    few = [Evaluation(num_samples=100)]
    lightning_gan.fit(gan, Points(8), tmp_path, callbacks=few, **QUIET, log_every_n_steps=0)
    assert gan.progress.images == 64


def test_callbacks_that_wait_for_validations_are_asked_once_after_each(tmp_path: Path) -> None:
    class Seen(EarlyStopping):
        def __init__(self) -> None:
            super().__init__("fid/identity", patience=100)
            self.at: list[int] = []

        def _run_early_stopping_check(self, trainer: Trainer) -> None:
            self.at.append(trainer.lightning_module.progress.images)  # type: ignore[union-attr]
            super()._run_early_stopping_check(trainer)

    seen = Seen()
    callbacks = [seen, Evaluation(num_samples=50)]
    gan = points_gan(max_images=64, validate_every=24)
    lightning_gan.fit(gan, [torch.randn(8, 2)] * 2, tmp_path, callbacks=callbacks, **QUIET)
    assert seen.at == [24, 48, 64]


def test_the_best_of_the_record_is_the_best_checkpoint_at_the_end_of_epochs_too(
    tmp_path: Path,
) -> None:
    callbacks = [Evaluation(num_samples=50)]
    gan = points_gan(validate_every=24)
    lightning_gan.fit(gan, Points(8), tmp_path, callbacks=callbacks, max_epochs=1, **QUIET)
    lines = (tmp_path / "version_0" / "evaluations.jsonl").read_text().splitlines()
    seen = [json.loads(line)["run"]["images_seen"] for line in lines]
    assert seen[-1] == gan.progress.images == 200
    best = RunRecord.read(tmp_path / "version_0").best
    assert best is not None
    kept = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    assert lightning_gan.load(kept).progress.images == best["images"]


def test_a_best_that_was_measured_otherwise_counts_no_longer(tmp_path: Path) -> None:
    for images, count in ((64, 400), (128, 50)):  # with a larger bias, so that it seems worse
        gan = points_gan(max_images=images)
        gan.validate_every = 64
        callbacks = [Evaluation(num_samples=count)]
        lightning_gan.fit(gan, Points(8), tmp_path, "last", callbacks=callbacks, **QUIET)
    best = RunRecord.read(tmp_path / "version_0").best
    assert best is not None
    assert best["images"] == 128
    kept = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    assert lightning_gan.load(kept).progress.images == 128


def test_another_progress_bar_takes_the_place_of_ours(tmp_path: Path) -> None:
    bar = TQDMProgressBar()
    options = QUIET | {"enable_progress_bar": True}
    trainer = lightning_gan.fit(
        points_gan(max_images=8), Points(8), tmp_path, None, [bar], **options
    )
    assert [each for each in trainer.callbacks if isinstance(each, ProgressBar)] == [bar]  # type: ignore[attr-defined]


def test_a_best_beside_other_data_counts_no_longer(tmp_path: Path) -> None:
    for images, mean in ((64, 0.0), (128, 9.0)):  # the first are nearer to what is generated
        gan = points_gan(max_images=images)
        gan.validate_every, gan.allow_changes = 64, True
        callbacks = [Evaluation(num_samples=400)]
        data = torch.randn(64, 2) + mean
        lightning_gan.fit(gan, data, tmp_path, "last", callbacks, batch_size=8, **QUIET)
    best = RunRecord.read(tmp_path / "version_0").best
    assert best is not None
    assert best["images"] == 128


@pytest.mark.parametrize("kind", [CollapseGuard, EquilibriumStopping])
def test_patience_is_a_whole_number(kind: Any) -> None:
    assert kind(patience=3.0).patience == 3
    with pytest.raises(ConfigurationError, match=r"patience=2\.5 must be a whole number"):
        kind(patience=2.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None, torch.randn(8, 2)), "fit: None is no GAN: give a GAN first, then its data"),
        ((MLPGenerator(2, 0), Points(8)), "fit: MLPGenerator is no GAN"),
        ((lightning_gan.GAN, Points(8)), "fit: the class GAN is no GAN"),
        ((torch.randn(8, 2), points_gan(max_images=8)), "the GAN comes first, then its data: swap"),
    ],
)
def test_what_is_no_gan_is_refused(arguments: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=words):
        lightning_gan.fit(*arguments, tmp_path, **QUIET)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["callbacks", "loggers"])
@pytest.mark.parametrize("value", [3, [3], None, Balance(), [Balance], "all"])
def test_what_is_no_list_of_them_is_refused(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"fit: {name} must be a list of .*instances"):
        lightning_gan.fit(points_gan(max_images=8), Points(8), tmp_path, **{name: value}, **QUIET)


@pytest.mark.parametrize("name", ["folder", "ckpt_path"])
def test_what_is_no_path_is_refused(name: str, tmp_path: Path) -> None:
    place = {"folder": tmp_path} | {name: 3}
    with pytest.raises(ConfigurationError, match=f"fit: {name}=3 must be a path"):
        lightning_gan.fit(points_gan(max_images=8), Points(8), **place, **QUIET)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_epoch": 3}, r"fit has no option max_epoch; did you mean max_epochs\?"),
        ({"epochs": 3}, r"fit has no option epochs; did you mean max_epochs\?"),
        ({"batchsize": 3}, r"fit has no option batchsize; did you mean batch_size\?"),
        ({"max_images": 3}, r"fit has no option max_images: it is the GAN's, GAN\(max_images=\.\."),
        ({"foo": 3}, r"fit has no option foo: it takes those of lightning\.pytorch\.Trainer\."),
        ({"accelerator": "tpu"}, r"fit\(accelerator='tpu'\): there is no such device here"),
        ({"accelerator": "cpuu"}, r"no fit\(accelerator=\.\.\.\) cpuu: did you mean cpu\?"),
        ({"accelerator": 3}, "The Trainer refuses an option of fit: You selected an invalid acc"),
        ({"devices": 0}, "Trainer: devices=0 must be at least 1"),
        ({"devices": "many"}, r"fit\(devices='many'\) must be auto, a number of devices, or a"),
        ({"devices": None}, r"fit\(devices=None\) must be auto"),
        ({"devices": [7]}, "The Trainer refuses an option of fit: `devices` selected with"),
        ({"max_epochs": "3"}, "Trainer: max_epochs='3' must be a number"),
        ({"max_epochs": 2.5}, r"Trainer: max_epochs=2\.5 must be an integer"),
        ({"max_epochs": 0}, "Trainer: max_epochs=0 must be at least 1"),
        ({"max_steps": -7}, "Trainer: max_steps=-7 must be at least 1"),
        ({"max_time": "soon"}, "The Trainer refuses an option of fit: .*DD:HH:MM:SS"),
        ({"precision": "17"}, "The Trainer refuses an option of fit: Precision '17'"),
        ({"gradient_clip_val": 1.0}, r"fit\(gradient_clip_val=\.\.\.\) clips .*GAN\(gradient_cl"),
        ({"benchmark": "x"}, "The Trainer refuses an option of fit: set_benchmark_cudnn"),
    ],
)
def test_an_option_that_the_trainer_has_not_or_refuses_is_named(
    options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        lightning_gan.fit(points_gan(max_images=8), Points(8), tmp_path, **(QUIET | options))
    assert not [*tmp_path.iterdir()]


def test_a_compiled_gan_is_one(tmp_path: Path) -> None:
    compiled: Any = torch.compile(points_gan())
    with pytest.raises(ConfigurationError, match="There is no budget"):
        lightning_gan.fit(compiled, Points(8), tmp_path)


def test_what_the_package_offers_is_listed() -> None:
    assert {"GAN", "fit", "load", "pretrained"} <= {*dir(lightning_gan)}
