"""The record of a run from the command line: its folder, its files, and the way on."""

import csv
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from tiny import points_gan

import lightning_gan
from lightning_gan.cli import program
from lightning_gan.datamodules import Ring
from lightning_gan.networks import layout
from lightning_gan.recipes import recipe_file
from lightning_gan.runs.expected import expected_of
from lightning_gan.runs.record import RunRecord
from lightning_gan.training.schedule import PLAYERS

SMALL = "--model.generator.width 8 --model.discriminator.width 8 --data.batch_size 32"
QUIET = "--trainer.enable_progress_bar false --trainer.accelerator cpu"
FIT = ["fit", "--config", "mlp_ring", *f"{SMALL} {QUIET}".split()]
UNMEASURED = [*FIT, "--trainer.limit_val_batches", "0", "--model.max_images"]
RUN = Path("runs/mlp_ring/version_0")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])


def fit(images: str, *options: str) -> int:
    return program.run([*UNMEASURED, images, *options])


@pytest.fixture
def _same_matmul_afterwards() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def files(folder: Path = RUN) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_that_would_go_on_as_another_is_refused_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit("64") == 0
    before = {path: path.read_bytes() for path in sorted(RUN.rglob("*")) if path.is_file()}
    capsys.readouterr()
    assert fit("128", "--ckpt_path", "last", "--model.generator_optimizer.lr", "0.1") == 2
    said = capsys.readouterr().err
    assert "model.generator_optimizer.lr is 0.001 there and 0.1 here" in said
    assert "Traceback" not in said
    after = {path: path.read_bytes() for path in sorted(RUN.rglob("*")) if path.is_file()}
    assert after == before


def test_the_newest_run_that_matches_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("64") == 0
    assert fit("64", "--lr", "0.1") == 0
    capsys.readouterr()
    assert fit("128", "--ckpt_path", "last") == 2
    assert f"The newest run that matches is --ckpt_path {RUN}/checkpoints/last.ckpt." in (
        capsys.readouterr().err
    )


def test_a_change_that_is_allowed_applies_and_stands_in_the_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    assert fit("64") == 0
    allowed = ["--ckpt_path", "last", "--lr", "0.25", "--resume.allow_changes", "true"]
    assert fit("128", *allowed) == 0
    content = torch.load(RUN / "checkpoints" / "last.ckpt", weights_only=True)
    rates = [g["lr"] for o in content["optimizer_states"] for g in o["param_groups"]]
    assert rates == pytest.approx([0.25] * 2)  # the recipe's cosine has begun
    record = RunRecord.read(RUN)
    assert [segment.images for segment in record.segments] == [0, 64]
    assert record.segments[1].changes == {
        "model.generator_optimizer.lr": [0.001, 0.25],
        "model.discriminator_optimizer.lr": [0.006, 0.25],
    }
    assert "config.yaml" in files()
    assert record.segments[1].config == "config-2.yaml"
    assert "lr: 0.001" in (RUN / "config.yaml").read_text()
    assert "lr: 0.25" in (RUN / "config-2.yaml").read_text()
    assert "Going on with runs/mlp_ring/version_0/checkpoints/last.ckpt (mlp_ring" in caplog.text


def test_the_record_says_what_ran_and_where_it_stands() -> None:
    assert fit("64", "--model.objective", "Hinge", "--seed_everything", "3") == 0
    record = RunRecord.read(RUN)
    assert record.name == "mlp_ring " + " ".join(
        f"{name}={value}"
        for name, value in {
            "generator.width": 8,
            "discriminator.width": 8,
            "data.batch_size": 32,
            "objective": "Hinge",
            "seed": 3,
        }.items()
    )
    assert (record.recipe, record.seed, record.state, record.images) == (
        "mlp_ring",
        3,
        "finished",
        64,
    )
    assert record.identity["data"]["class_path"] == "lightning_gan.datamodules.Ring"
    assert record.identity["global_batch_size"] == 32
    (segment,) = record.segments
    assert (segment.processes, segment.batch_size, segment.device) == (1, 32, "cpu")
    assert segment.versions["torch"] == str(torch.__version__)


def test_a_dashboard_is_told_the_same_name_where_a_run_goes_on_from_its_own_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []

    def wandb_logger(*_: object, **options: object) -> CSVLogger:
        told.append((options["title"], options["recipe"]))
        return CSVLogger("elsewhere")

    monkeypatch.setattr("lightning_gan.cli.training.wandb_logger", wandb_logger)
    monkeypatch.setattr("lightning_gan.cli.training.open_wandb", lambda _: None)
    assert fit("64", "--model.objective", "Hinge", "--wandb", "offline") == 0
    again = ["--config", str(RUN / "config.yaml"), "--model.max_images", "128"]
    assert program.run(["fit", *again, "--ckpt_path", "last"]) == 0
    again += ["--model.max_images", "192", "--resume.allow_changes", "true"]
    assert program.run(["fit", *again, "--ckpt_path", "last"]) == 0
    assert len(RunRecord.read(RUN).segments) == 3
    assert told == [(RunRecord.read(RUN).name, "mlp_ring")] * 3


@pytest.mark.parametrize(
    "loggers",
    [["--trainer.logger", "false"], ["--trainer.logger+=lightning.pytorch.loggers.CSVLogger"]],
)
def test_a_run_has_its_folder_whatever_else_logs(loggers: list[str]) -> None:
    more = ["--trainer.logger.save_dir=elsewhere"] if "+=" in loggers[0] else []
    for number in range(2):
        assert fit("64", *loggers, *more) == 0
        folder = RUN.with_name(f"version_{number}")
        assert {"run.json", "checkpoints", "config.yaml"} <= files(folder)
    assert Path("elsewhere").is_dir() == bool(more)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--trainer.max_steps", "1", "--trainer.limit_train_batches", "-7"],
        ["--wandb", "offline", "--trainer.plugins", "nothing"],
        ["--trainer.strategy", "ddp_spawn"],
        ["--ckpt_path", "missing.ckpt"],
    ],
)
def test_a_start_that_fails_leaves_no_folder(wrong: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_SILENT", "true")
        code = fit("64", *wrong)
    assert code == 2
    assert not Path("runs").exists()


def test_an_explicit_seed_of_zero_is_kept() -> None:
    assert fit("64", "--seed_everything", "5", "--model.seed", "0") == 0
    model = RunRecord.read(RUN).identity["model"]
    data = RunRecord.read(RUN).identity["data"]
    assert (model["seed"], data["init_args"]["seed"]) == (0, 5)


def test_whole_numbers_come_in_any_form() -> None:
    assert program.run([*FIT, "--trainer.limit_val_batches", "0", "--model.max_images=6.4e1"]) == 0
    assert RunRecord.read(RUN).images == 64


def test_batches_over_all_processes_are_shared_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert fit("64", "--data.global_batch_size", "16") == 0
    assert RunRecord.read(RUN).identity["global_batch_size"] == 16
    assert "Batches of 16; 4 batches for 64 images" in caplog.text


def test_a_run_that_was_killed_is_told_as_stopped_where_its_checkpoint_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    assert fit("64") == 0
    record = RunRecord.read(RUN)
    record.state, record.images = "running", 0
    record.write(RUN)
    assert fit("128", "--ckpt_path", "last") == 0
    assert f"last.ckpt ({record.name}; stopped after 64 images)" in caplog.text


def test_the_start_names_all_that_may_end_the_training(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert fit("64", "--trainer.max_steps", "1", "--trainer.max_time", "00:01:00:00") == 0
    others = "or 1 update of the generator, or a time of 00:01:00:00, whichever comes first"
    assert f"for 64 images, {others}" in caplog.text


DIGITS = [
    *("fit", "--config", "dcgan_digits", "--trainer.limit_val_batches", "0", *QUIET.split()),
    *("--model.generator.width=4", "--model.discriminator.width=4", "--model.max_images=32"),
]


@pytest.mark.parametrize(
    ("options", "processor", "said"),
    [([], True, True), ([], False, False), (["--trainer.precision", "bf16-mixed"], True, False)],
)
def test_a_start_says_that_bfloat16_would_be_faster_where_it_would(
    options: list[str],
    processor: bool,
    said: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(layout, "has_bfloat16", lambda: processor)
    caplog.set_level("INFO")
    assert program.run([*DIGITS, *options]) == 0
    assert ("--trainer.precision bf16-mixed makes networks" in caplog.text) == said


def test_a_start_is_silent_about_bfloat16_where_points_would_not_gain(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(layout, "has_bfloat16", lambda: True)
    caplog.set_level("INFO")
    assert fit("64") == 0
    assert "bf16-mixed" not in caplog.text


def test_an_evaluation_says_which_run_it_is_of_and_is_made_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = ["--trainer.callbacks+=Evaluation", "--trainer.callbacks.num_samples=100"]
    assert program.run([*FIT, "--model.max_images", "64", *few]) == 0
    record = RunRecord.read(RUN)
    lines = (RUN / "evaluations.jsonl").read_text().splitlines()
    assert [json.loads(line)["run"]["id"] for line in lines] == [record.id]
    said = capsys.readouterr().out
    for path in re.findall(r"^\w+ +(runs\S+)$", said, re.MULTILINE):
        assert Path(path).exists(), path
    assert program.run([*FIT, "--model.max_images", "64", "--ckpt_path", "last", *few]) == 0
    assert (RUN / "evaluations.jsonl").read_text().splitlines() == lines
    assert record.best is not None
    assert (RUN / "checkpoints" / "best.ckpt").is_file()


def test_a_run_that_was_changed_says_so_and_counts_in_no_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = ["--trainer.callbacks+=Evaluation", "--trainer.callbacks.num_samples=100"]
    assert program.run([*FIT, "--model.max_images", "64", *few]) == 0
    again = ["--model.max_images", "128", "--ckpt_path", "last", "--lr", "0.1", *few]
    assert program.run([*FIT, *again, "--resume.allow_changes", "true"]) == 0
    record = RunRecord.read(RUN)
    assert record.name.endswith("seed=0 changed on the way")
    assert record.differs["model.generator_optimizer.lr"] == 0.1
    capsys.readouterr()
    assert program.run(["table", "runs"]) == 2
    assert f"{RUN} was changed on the way: left out" in capsys.readouterr().err


def test_a_budget_that_is_spent_says_so_and_leaves_the_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert fit("64") == 0
    record, before = RunRecord.read(RUN), files()
    caplog.set_level("INFO")
    assert fit("32", "--ckpt_path", "last") == 0
    assert "Nothing is left to train: 64 images have been seen" in caplog.text
    after = RunRecord.read(RUN)
    assert (after.segments, after.max_images) == (record.segments, 64)
    assert files() == before


@pytest.mark.parametrize("seed", ["-1", "99999999999999", "false"])
def test_a_seed_that_is_none_is_a_sentence(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("64", "--seed_everything", seed) == 2
    assert "seed_everything" in capsys.readouterr().err


def test_batches_over_all_processes_tell_runs_apart() -> None:
    assert fit("64", "--global_batch_size", "16") == 0
    differs = RunRecord.read(RUN).differs
    assert differs["global_batch_size"] == "16"
    assert "data.batch_size" not in differs


def test_a_batch_larger_than_the_data_leaves_no_folder() -> None:
    assert fit("64", "--data.batch_size", "1000000") == 2
    assert not Path("runs").exists()


def test_tensorboard_shows_no_row_of_beyond_the_checkpoint() -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = ["--tensorboard", "true", "--trainer.log_every_n_steps", "1"]
    assert fit("96", *log) == 0
    shutil.copy(RUN / "checkpoints" / "last.ckpt", "early.ckpt")
    assert fit("192", "--ckpt_path", "last", *log) == 0
    shutil.copy("early.ckpt", RUN / "checkpoints" / "last.ckpt")  # as after a kill
    assert fit("160", "--ckpt_path", "last", *log) == 0
    reader = events.EventAccumulator(str(RUN / "tensorboard"), size_guidance={"scalars": 0})
    reader.Reload()
    assert [event.step for event in reader.Scalars("loss/generator")] == [32, 64, 96, 128, 160]


def test_a_spent_budget_in_a_new_folder_has_a_record_too() -> None:
    assert fit("64") == 0
    shutil.copy(RUN / "checkpoints" / "last.ckpt", "early.ckpt")
    assert fit("32", "--ckpt_path", "early.ckpt") == 0
    (segment,) = RunRecord.read(RUN.with_name("version_1")).segments
    assert segment.images == 64


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', ""])
def test_a_damaged_record_is_moved_aside_and_the_run_goes_on(content: str) -> None:
    assert fit("64") == 0
    (RUN / "run.json").write_text(content)
    with pytest.warns(UserWarning, match=r"it is run\.json\.damaged now"):
        assert fit("128", "--ckpt_path", "last") == 0
    assert (RUN / "run.json.damaged").read_text() == content
    assert RunRecord.read(RUN).images == 128


@pytest.mark.usefixtures("_same_matmul_afterwards")
def test_how_float32_is_multiplied_is_an_option_and_stands_in_the_record() -> None:
    assert fit("64") == 0
    assert torch.get_float32_matmul_precision() == "highest"
    with pytest.warns(UserWarning, match="made with matmul_precision highest, now high"):
        assert fit("128", "--ckpt_path", "last", "--matmul_precision", "high") == 0
    assert torch.get_float32_matmul_precision() == "high"
    segments = RunRecord.read(RUN).segments
    assert [segment.matmul_precision for segment in segments] == ["highest", "high"]


def test_a_rate_of_a_players_own_stands_beside_that_of_both() -> None:
    own = ["--lr", "1e-4", "--model.discriminator_optimizer.lr", "4e-4"]
    assert fit("64", *own) == 0
    model = RunRecord.read(RUN).identity["model"]
    rates = [model[f"{player}_optimizer"]["init_args"]["lr"] for player in PLAYERS]
    assert dict(zip(PLAYERS, rates, strict=True)) == {"generator": 1e-4, "discriminator": 4e-4}


@pytest.mark.parametrize("option", ["check_val_every_n_epoch", "val_check_interval"])
def test_two_schedules_of_validations_are_refused(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit("64", "--model.validate_every", "32", f"--trainer.{option}", "2") == 2
    words = f"--model.validate_every and --trainer.{option} are two schedules of validations"
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_file_of_ones_own_called_like_a_recipe_is_not_that_recipe(tmp_path: Path) -> None:
    shutil.copyfile(recipe_file("mlp_ring"), "mlp_ring.yaml")
    shutil.copyfile(recipe_file("mlp_ring"), "mine.yaml")
    for file, recipe in {"mlp_ring.yaml": "mlp_ring.yaml", "mine.yaml": "mine"}.items():
        command = [*FIT, "--trainer.limit_val_batches", "0", "--model.max_images", "64"]
        command[2] = file
        assert program.run(command) == 0
        record = RunRecord.read(Path("runs") / Path(file).stem / "version_0")
        assert (record.recipe, record.name.split()[0]) == (recipe, recipe)
        assert expected_of(record) is None
    assert fit("64") == 0  # the package's own
    assert RunRecord.read(RUN.with_name("version_1")).recipe == "mlp_ring"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_run_goes_on_from_a_file_in_its_own_folder(elsewhere: bool) -> None:
    assert fit("64") == 0
    more = ["--trainer.default_root_dir", "other"] if elsewhere else []
    assert fit("128", "--ckpt_path", str(RUN / "checkpoints" / "last.ckpt"), *more) == 0
    record = RunRecord.read(Path("other/version_0") if elsewhere else RUN)
    assert (record.images, len(record.segments)) == (128, 1 if elsewhere else 2)
    assert RunRecord.read(RUN).images == (64 if elsewhere else 128)
    assert not RUN.with_name("version_1").exists()


def test_a_home_folder_is_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert fit("64", "--trainer.default_root_dir=~/mine") == 0
    here = tmp_path / "home" / "mine" / "version_0"
    assert {"run.json", "config.yaml", "checkpoints", "samples"} <= files(here)
    assert program.run(["predict", "--ckpt_path=~/mine/version_0", "--output=~/drawn"]) == 0
    assert (tmp_path / "home" / "drawn" / "predict.json").is_file()
    assert not Path("~").exists()
    gan, folder = points_gan(max_images=16), "~/python"
    lightning_gan.fit(gan, Ring(8), folder, limit_val_batches=0, accelerator="cpu")
    assert {"run.json", "checkpoints"} <= files(tmp_path / "home" / "python" / "version_0")
    assert not Path("~").exists()


def test_a_run_whose_folder_was_renamed_goes_on_in_it() -> None:
    assert fit("64") == 0
    RUN.rename(RUN.with_name("good run"))
    assert fit("128", "--ckpt_path", "last") == 0
    again = ["--trainer.default_root_dir", str(RUN.with_name("good run"))]
    assert fit("192", "--ckpt_path", "last", *again) == 0
    (folder,) = RUN.parent.iterdir()
    record = RunRecord.read(folder)
    assert (record.images, len(record.segments)) == (192, 3)


def test_each_start_has_a_configuration_of_its_own_though_one_was_deleted() -> None:
    for images in ("64", "128"):
        assert fit(images, "--ckpt_path", "last") == 0
    (RUN / "config.yaml").unlink()
    assert fit("192", "--ckpt_path", "last") == 0
    assert {name for name in files() if name.startswith("config")} == {
        "config-2.yaml",
        "config-3.yaml",
    }


@pytest.mark.parametrize("end", [["--trainer.max_steps", "2"], ["--trainer.max_epochs", "1"]])
def test_a_run_that_had_ended_stays_finished_when_it_is_started_again(end: list[str]) -> None:
    end = [*end, "--trainer.limit_train_batches", "2"]
    for _ in range(2):
        assert fit("6400", "--ckpt_path", "last", *end) == 0
        record = RunRecord.read(RUN)
        assert (record.state, record.images, len(record.segments)) == ("finished", 64, 1)


@pytest.mark.filterwarnings("ignore:You requested to overfit")
def test_what_a_run_began_with_and_is_trained_on_tells_it_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = ["--trainer.callbacks+=Evaluation", "--trainer.callbacks.num_samples=100"]
    each = {
        "usual": [],
        "begun": ["--model.warm_start", str(RUN)],
        "overfitted": ["--trainer.overfit_batches", "1"],
        "limited": ["--trainer.limit_train_batches", "1"],
    }
    for options in each.values():
        assert program.run([*FIT, "--model.max_images", "64", *few, *options]) == 0
    begun, overfitted, limited = (RUN.with_name(f"version_{number}") for number in (1, 2, 3))
    capsys.readouterr()
    assert program.run(["table", "runs", "--format", "csv"]) == 0
    rows = csv.DictReader(capsys.readouterr().out.splitlines())
    assert [row["n"] for row in rows] == ["1", "1", "1", "1"]
    more = [*FIT, "--trainer.limit_val_batches", "0", "--model.max_images", "128", "--ckpt_path"]
    last = "checkpoints/last.ckpt"
    assert program.run([*more, str(begun / last)]) == 0  # its beginning is behind it
    assert RunRecord.read(begun).identity["model"]["warm_start"] == str(RUN)
    assert program.run([*more, str(overfitted / last)]) == 2
    assert "overfit_batches is 1 there and 0 here" in capsys.readouterr().err
    assert program.run([*more, str(limited / last)]) == 2
    assert "limit_train_batches is 1 there and 1.0 here" in capsys.readouterr().err


def test_what_a_run_is_measured_with_tells_it_apart_from_recorded_ones() -> None:
    assert fit("64", "--trainer.callbacks+=Evaluation", "--trainer.callbacks.num_samples=500") == 0
    record = RunRecord.read(RUN)
    assert record.differs == {"trainer.callbacks.num_samples": "500"} | {
        name: value for name, value in record.differs.items() if not name.startswith("trainer")
    }
    assert expected_of(record) is None
