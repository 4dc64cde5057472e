"""What W&B and TensorBoard are told, read back from their files by their own readers."""

import json
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from tiny import Pictures, Points, points_gan, quiet_trainer

from lightning_gan.callbacks import Balance, LastCheckpoint, SampleGrid
from lightning_gan.callbacks.dashboards import open_wandb, wandb_logger
from lightning_gan.callbacks.loggers import AXIS, CSVCurve, TensorBoardHistory
from lightning_gan.callbacks.recorder import Recorder
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.regularizers import R1
from lightning_gan.runs.record import RunRecord
from scripts.traces import differences, tensorboard, wandb_history, wandb_records

wandb = pytest.importorskip("wandb")


class StoppedError(Exception):
    """Ends a run as a power cut does."""


class SaveAndKill(Callback):
    """Saves after one batch, and ends the run after another."""

    def __init__(self, saved: int, killed: int) -> None:
        self.saved, self.killed = saved, killed

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: object) -> None:
        if pl_module.progress.batches == self.saved:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "saved.ckpt")
        if pl_module.progress.batches == self.killed:
            raise StoppedError


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}.items():
        monkeypatch.setenv(name, value)


def fit(
    folder: Path, *callbacks: Callback, loggers: list[Any], weight: float = 0.1, **options: Any
) -> None:
    trainer = quiet_trainer(folder, limit_val_batches=1.0, log_every_n_steps=5)
    trainer.loggers = [CSVCurve(str(folder), version="version_0"), *loggers]
    recorder = Recorder(recipe="ring", differs={"model.objective": "Hinge"}, run_id="0123abcd")
    trainer.callbacks += [Balance(), SampleGrid(2, 2), *callbacks, recorder]  # type: ignore[attr-defined]
    gan = points_gan(regularizers=[R1(weight)], max_images=320, validate_every=100)
    gan.allow_changes = weight != 0.1
    trainer.fit(gan, Points(8), **options)


def wandb_fit(folder: Path, *callbacks: Callback, name: str = "", **options: Any) -> None:
    logger = wandb_logger(folder / "version_0", "0123abcd", "offline", name=name)
    open_wandb(logger)
    try:
        fit(folder, *callbacks, loggers=[logger], **options)
    finally:
        wandb.finish()
        wandb.teardown()


def test_a_run_in_wandb_is_one_run_with_one_value_for_each_image_and_key(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        wandb_fit(tmp_path, SaveAndKill(13, 27))
    path = tmp_path / "saved.ckpt"
    wandb_fit(tmp_path, ckpt_path=path, weights_only=True)
    runs = [r.run for r in wandb_records(tmp_path) if r.WhichOneof("record_type") == "run"]
    assert {run.run_id for run in runs} == {"0123abcd"}
    assert {run.project for run in runs} == {"lightning-gan"}
    values: dict[tuple[int, str], set[float]] = {}
    for row in wandb_history(tmp_path):
        assert AXIS in row
        for name, value in row.items():
            timed = name.startswith("_") or name == "progress/images_per_second"
            if not timed and isinstance(value, int | float):
                values.setdefault((row[AXIS], name), set()).add(value)
    assert {key: found for key, found in values.items() if len(found) > 1} == {}
    images = {key[0] for key in values}
    assert {104, 200, 304, 320} <= images
    names = {key[1] for key in values if "/" in key[1]} - {"trainer/global_step"}
    assert len({name.split("/")[0] for name in names} | {"samples"}) <= 8


@pytest.mark.parametrize("own", ["", "mine"])
def test_a_run_that_is_changed_bears_in_wandb_the_name_of_its_record(
    own: str, tmp_path: Path
) -> None:
    name = own or "ring objective=Hinge seed=0"
    with pytest.raises(StoppedError):
        wandb_fit(tmp_path, SaveAndKill(13, 27), name=name)
    path = tmp_path / "saved.ckpt"
    wandb_fit(tmp_path, name=name, weight=0.2, ckpt_path=path, weights_only=True)
    runs = [r.run for r in wandb_records(tmp_path) if r.WhichOneof("record_type") == "run"]
    record = RunRecord.read(tmp_path / "version_0")
    assert record.name.endswith("changed on the way")
    assert runs[0].display_name == name
    assert runs[-1].display_name == (own or record.name)


def test_wandb_knows_the_configuration_and_the_axis(tmp_path: Path) -> None:
    wandb_fit(tmp_path)
    config: dict[str, Any] = {}
    for record in wandb_records(tmp_path):
        if record.WhichOneof("record_type") == "config":
            for item in record.config.update:
                config["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    assert config["model.objective"] == "NonSaturating"
    assert config["model.regularizers.R1.weight"] == 0.1
    assert config["data.class_names"] == ["a", "b", "c"]
    assert config["global_batch_size"] == 8
    assert config["run.recipe"] == "ring"
    assert config["versions.torch"].startswith("2")
    assert config["parameters.generator"] > 0
    nested = {"generator", "discriminator", "objective", "regularizers", "max_images", "seed"}
    assert not nested & {name.split("/")[0] for name in config}
    assert not any(isinstance(value, dict) for name, value in config.items() if name != "_wandb")
    metrics = [r.metric for r in wandb_records(tmp_path) if r.WhichOneof("record_type") == "metric"]
    by_name = {metric.glob_name or metric.name: metric for metric in metrics}
    assert by_name["*"].step_metric == AXIS


class Falls(Callback):
    """Logs distances of which the smallest is not the last."""

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        seen = pl_module.progress.images
        pl_module.log_dict({f"fid/{name}": abs(seen - 200.0) for name in "abcdef"})


def test_the_summary_of_a_distance_is_its_smallest_value(tmp_path: Path) -> None:
    wandb_fit(tmp_path, Falls())
    summary: dict[str, Any] = {}
    for record in wandb_records(tmp_path):
        for item in record.summary.update:
            summary["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    distances = {name: value for name, value in summary.items() if name.startswith("fid/")}
    assert distances == {f"fid/{name}": {"min": 0} for name in "abcdef"}
    assert summary["progress/images"] == 320


def test_pictures_have_captions(tmp_path: Path) -> None:
    wandb_fit(tmp_path)
    found = [row.get("samples/grid/captions") for row in wandb_history(tmp_path)]
    grids = [captions for captions in found if captions]
    assert grids == [[f"after {images} images"] for images in (0, 104, 200, 304, 320)]


@pytest.mark.parametrize("classes", [0, 2])
def test_all_pictures_of_images_are_shown_once_each_time(classes: int, tmp_path: Path) -> None:
    logger = wandb_logger(tmp_path / "version_0", "0123abcd", "offline")
    open_wandb(logger)
    trainer = quiet_trainer(tmp_path, limit_val_batches=1.0, log_every_n_steps=1)
    trainer.loggers = [CSVCurve(str(tmp_path), version="version_0"), logger]
    trainer.callbacks += [SampleGrid(2, 2), Recorder(run_id="0123abcd")]  # type: ignore[attr-defined]
    kinds = {"num_classes": classes, "width": 4}
    gan = points_gan(
        generator=MLPGenerator(1, 8, **kinds),
        discriminator=MLPDiscriminator(1, 8, **kinds),
        max_images=16,
        validate_every=8,
    )
    trainer.fit(gan, Pictures(8))
    wandb.finish()
    wandb.teardown()
    rows = "; a class in each row: dark, light" if classes else ""
    when = [f"after {images} images{rows}" for images in (0, 8, 16)]
    expected = {"grid": when, "interpolation": when, "reals": [f"training images{rows}"]}
    for name, captions in expected.items():
        found = [row.get(f"samples/{name}/captions") for row in wandb_history(tmp_path)]
        assert [caption for each in found for caption in each or []] == captions


def test_what_the_environment_says_is_honoured_and_arguments_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"PROJECT": "p", "NAME": "n", "RUN_GROUP": "g", "TAGS": "a,b"}
    for name, value in said.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    init = wandb_logger(tmp_path, "0", "offline", title="t", recipe="r")._wandb_init
    assert (init["project"], init["name"], init["group"]) == ("p", "n", "g")
    assert init["tags"] == ["a", "b"]
    chosen = {"project": "q", "name": "m", "group": "h", "tags": ["c"]}
    init = wandb_logger(tmp_path, "0", "offline", **chosen)._wandb_init  # type: ignore[arg-type]
    assert (init["project"], init["name"], init["group"]) == ("q", "m", "h")
    assert init["tags"] == ["c"]


@pytest.mark.parametrize("given", [" a, ,b b,", "a,b b"])
def test_tags_are_the_words_between_commas(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    init = wandb_logger("runs", "0", "offline", tags=given.split(","))._wandb_init
    assert init["tags"] == ["a", "b b"]
    monkeypatch.setenv("WANDB_TAGS", given)
    assert wandb_logger("runs", "0", "offline")._wandb_init["tags"] == ["a", "b b"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tags": ["a", "x" * 70]}, r"is 70 characters. Tags .* 64 characters\): give"),
        ({"project": "a/b"}, r"Invalid project name 'a/b'.*\): give another --wandb_project, or"),
    ],
)
def test_a_project_or_tag_that_wandb_refuses_is_one_sentence(given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        wandb_logger("runs", "0", "offline", **given)


@pytest.mark.parametrize("name", ["PROJECT", "NAME", "RUN_GROUP", "JOB_TYPE", "TAGS"])
def test_an_empty_word_of_the_environment_is_none(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = wandb_logger("runs", "0", "offline", title="t", recipe="r")._wandb_init
    monkeypatch.setenv(f"WANDB_{name}", "")
    assert wandb_logger("runs", "0", "offline", title="t", recipe="r")._wandb_init == usual


def test_wandb_that_refuses_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise wandb.errors.UsageError("api_key not configured (no-tty)")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(ConfigurationError, match=r"api_key not configured.*wandb login.*offline"):
        open_wandb(wandb_logger(tmp_path, "0", "online"))


def test_without_the_package_wandb_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named wandb")

    monkeypatch.setattr(WandbLogger, "__init__", missing)
    with pytest.raises(ConfigurationError, match="pip install wandb"):
        wandb_logger(tmp_path, "0", "online")


def test_tensorboard_lies_on_the_axis_of_images_with_the_configuration(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logger = TensorBoardLogger(tmp_path / "version_0", name="", version="tensorboard")
    fit(tmp_path, loggers=[logger])
    reader = events.EventAccumulator(logger.log_dir, size_guidance={"scalars": 0, "images": 0})
    reader.Reload()
    steps = [event.step for event in reader.Scalars("loss/generator")]
    assert steps == [40, 80, 120, 160, 200, 240, 280, 320]
    assert [event.step for event in reader.Scalars("val/auc")] == [104, 200, 304, 320]
    assert [event.step for event in reader.Images("samples/grid")] == [0, 104, 200, 304, 320]
    assert "model.objective" in str(reader.SummaryMetadata("_hparams_/session_start_info"))


@pytest.mark.parametrize(("saved", "validated"), [(13, 0), (15, 104), (25, 104), (26, 200)])
def test_tensorboard_of_a_run_that_was_killed_has_each_value_once(
    saved: int, validated: int, tmp_path: Path
) -> None:
    """Checkpoints of before a validation (13, 25), with a row of training at its step (25)."""
    pytest.importorskip("tensorboard")
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    fit(straight, loggers=[TensorBoardHistory(str(straight))])
    with pytest.raises(StoppedError):
        fit(killed, SaveAndKill(saved, 27), loggers=[TensorBoardHistory(str(killed))])
    goes_on = TensorBoardHistory(str(killed), 8 * saved, validated)
    fit(killed, loggers=[goes_on], ckpt_path=killed / "saved.ckpt", weights_only=True)
    history = tensorboard(killed / "tensorboard")
    assert differences(tensorboard(straight / "tensorboard"), history) == []
    for points in history.values():
        steps = [step for step, _ in points]
        assert sorted(set(steps)) == steps
    assert "hp_metric" not in history


def test_runs_of_a_plain_trainer_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for run_id in ("first", "second"):
        logger = WandbLogger(save_dir="logs", project="mine", version=run_id, offline=True)
        try:
            trainer = quiet_trainer(
                callbacks=[LastCheckpoint()], logger=logger, log_every_n_steps=1
            )
            trainer.fit(points_gan(max_images=16), Points(8))
        finally:
            wandb.finish()
            wandb.teardown()
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("last.ckpt")}
    assert found == {f"logs/mine/{run}/checkpoints/last.ckpt" for run in ("first", "second")}
