"""The command line: short names, help, loggers, resuming, and measuring what was trained."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from recorded_runs import record, report, write_run

from lightning_gan import __main__, __version__
from lightning_gan.callbacks import SampleGrid
from lightning_gan.checkpoints.files import newest_checkpoint
from lightning_gan.cli import program
from lightning_gan.cli.arguments import run_name, with_default_networks, with_recipes
from lightning_gan.cli.help import help_text
from lightning_gan.recipes import recipe_file

QUIET = ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]
RING = ["fit", "--config", "mlp_ring", *QUIET, "--trainer.log_every_n_steps", "2"]
RUN = Path("runs/mlp_ring/version_0")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])


def run(*arguments: str) -> None:
    assert program.run(list(arguments)) == 0


def saved_images(folder: Path = RUN) -> int:
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    images: int = state["lightning_gan"]["progress"]["images"]
    return images


@pytest.fixture
def trained(capsys: pytest.CaptureFixture[str]) -> str:
    """A run of four batches on the ring, and what it has printed."""
    run(*RING, "--model.max_images", "1024")
    return capsys.readouterr().out


# ------------------------------------------------------------------------------------ help


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_the_first_question_is_answered_without_importing_torch(flag: str) -> None:
    code = f"import sys; from lightning_gan.__main__ import main; main([{flag!r}]); "
    code += "assert 'torch' not in sys.modules; assert 'lightning' not in sys.modules"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 5
    assert ("dcgan_digits" if flag == "--help" else __version__) in done.stdout


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["recipes"], 0),
        (["recipes", "mlp_ring"], 0),
        (["recipes", "mlp_rong"], 2),
        (["runs", "."], 0),
        (["runs", ".", "--format", "json"], 0),
        (["runs", ".", "--no_such"], 2),
        (["table", "."], 0),
        (["table", ".", "--format", "latex"], 0),
        (["compare", "0/version_0", "1/version_0"], 0),
        (["compare", "0/version_0", "nowhere"], 2),
        (["tabel"], 2),
    ],
)
def test_what_reads_files_alone_is_answered_without_importing_torch(
    command: list[str], code: int, tmp_path: Path
) -> None:
    for seed in (0, 1):
        write_run(tmp_path / str(seed) / "version_0", record(seed), [report(0.5 + seed)])
    script = f"import sys; from lightning_gan.__main__ import main; code = main({command!r}); "
    script += "heavy = {'torch', 'lightning', 'torchmetrics', 'numpy'} & {*sys.modules}; "
    script += "print(code, sorted(heavy))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"{code} []", done.stderr


def test_the_help_of_a_command_shows_how_to_ask_further(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["fit", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: lightning-gan fit")
    assert "--model.objective.help Hinge" in text
    assert "--trainer.max_epochs" in text


@pytest.mark.parametrize(
    ("flag", "name", "expected"),
    [
        ("--model.objective", "Hinge", "margin"),
        ("--model.objective", "", "NonSaturating"),
        ("--model.generator", "", "DCGANGenerator"),
        ("--model.generator", "MLPGenerator", "(default: 128)"),
        ("--model.regularizers", "", "GradientPenalty"),
        ("--model.generator_optimizer", "GANAdam", "lr"),
        ("--model", "", "averaging (default: 10000)"),
        ("--data", "", "FashionMNIST"),
        ("--data", "MNIST", "process (default: 64)"),
        ("--trainer.callbacks", "SampleGrid", "Rows of the grid (default: 10)"),
    ],
)
def test_parts_explain_themselves(flag: str, name: str, expected: str) -> None:
    arguments = ["fit", f"{flag}.help", *([name] if name else [])]
    assert expected in (help_text(arguments) or "")
    assert help_text(["fit", f"{flag}.help={name}"]) == help_text(arguments)


def test_other_help_is_left_to_the_parser() -> None:
    assert help_text(["predict", "--help"]) is None
    assert help_text(["fit", "--config.help"]) is None


# ---------------------------------------------------------------------------- configuration


def test_short_names_take_the_place_of_a_recipes_parts(capsys: pytest.CaptureFixture[str]) -> None:
    options = "--model.objective Hinge --model.regularizers+=R1 --model.regularizers.weight 7"
    arguments = ["fit", "--config", "hinge_mnist", "--data", "FashionMNIST", *options.split()]
    run(*arguments, "--print_config")
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["class_path"].endswith("FashionMNIST")
    assert config["model"]["init_args"]["objective"]["class_path"].endswith("Hinge")
    penalty = config["model"]["init_args"]["regularizers"][0]
    assert penalty["class_path"].endswith("R1")
    assert penalty["init_args"]["weight"] == 7
    assert config["model"]["init_args"]["generator"]["init_args"]["width"] == 32


def test_a_recipe_is_found_by_its_bare_name_and_a_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("data: Ring\n")
    assert with_recipes(["fit", "--config", str(path)]) == ["fit", "--config", str(path)]
    assert with_recipes(["fit", "-c", "mlp_ring"])[2] == str(recipe_file("mlp_ring"))
    assert with_recipes(["fit", "--config=mlp_ring"])[1].endswith("recipes/mlp_ring.yaml")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("fit --config mlp_ring", "mlp_ring"),
        ("fit -c=a/b/own.yaml --data MNIST", "own"),
        ("fit --data MNIST", "mnist"),
        ("fit --data lightning_gan.datamodules.Ring", "ring"),
        ("fit", "gan"),
    ],
)
def test_a_run_is_named_after_its_recipe_or_its_data(arguments: str, name: str) -> None:
    assert run_name(arguments.split()) == name


def test_what_is_printed_is_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """After recipe, rates and batches, with seeds and callbacks; and a run of it is the same."""
    options = "--lr 2e-3 --global_batch_size 128 --seed_everything 3 --model.objective Hinge"
    asked = [*RING, "--model.max_images", "1024", *options.split()]
    asked += ["--trainer.callbacks+=SampleGrid", "--trainer.callbacks.rows=2"]
    run(*asked, "--print_config")
    printed = capsys.readouterr().out
    config = yaml.safe_load(printed)
    model, trainer = config["model"]["init_args"], config["trainer"]
    assert model["discriminator_optimizer"]["init_args"]["lr"] == 2e-3
    assert (model["seed"], config["data"]["init_args"]) == (3, {"batch_size": 128, "seed": 3})
    assert model["generator"]["init_args"]["channels"] == 2
    assert trainer["default_root_dir"] == "runs/mlp_ring"
    names = [part["class_path"].rpartition(".")[2] for part in trainer["callbacks"]]
    assert names[0] == "SampleGrid"
    assert names.count("SampleGrid") == 1
    assert {"Balance", "Evaluation", "LastCheckpoint", "BestCheckpoint"} <= {*names}
    assert not Path("runs").exists()

    run(*asked)
    Path("own.yaml").write_text(printed)
    run("fit", "--config", "own.yaml")
    first, second = (Path(f"runs/mlp_ring/version_{number}") for number in (0, 1))
    picture = "samples/0000001024.png"
    assert (first / picture).read_bytes() == (second / picture).read_bytes()
    assert values_in(first) == values_in(second)
    states = [torch.load(run / "checkpoints/last.ckpt") for run in (first, second)]
    assert states[0]["hyper_parameters"] == states[1]["hyper_parameters"]
    weights = [state["state_dict"] for state in states]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert identity_in(first) == identity_in(second)


def values_in(folder: Path) -> list[dict[str, str]]:
    """The rows of a curve but for what the clock says."""
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    kept = ("loss/", "gan/", "fid/", "val/")
    return [
        {name: row[name] for name in row if name.startswith(kept) or name == "progress/images"}
        for row in rows
    ]


def identity_in(folder: Path) -> object:
    return json.loads((folder / "run.json").read_text())["identity"]


def test_a_run_and_its_own_configuration_validate_alike(trained: str) -> None:
    config = yaml.safe_load((RUN / "config.yaml").read_text())
    assert config["trainer"]["check_val_every_n_epoch"] is None
    assert config["model"]["init_args"]["validate_every"] == 1_000_000


def test_what_is_printed_can_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run([*RING, "--print_config", "--data.batch_size", "0"]) == 2
    assert "batch_size=0 must be at least 1" in capsys.readouterr().err
    run("test", "--config", "mlp_ring", "--ckpt_path", "last", "--print_config")
    assert yaml.safe_load(capsys.readouterr().out)["ckpt_path"] == "last"
    run("fit", "--print_config")  # a beginning of a file
    assert yaml.safe_load(capsys.readouterr().out)["data"] is None


@pytest.mark.parametrize(("given", "taken"), [("1", 1), ("1.0", 1.0), ("2", 2), ("0.5", 0.5)])
def test_one_batch_is_one_and_not_all_of_them(
    given: str, taken: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"trainer: {{limit_val_batches: {given}}}\n")
    more = ["--trainer.limit_train_batches", given, "--config", str(mine), "--print_config"]
    run(*RING, *more)
    trainer = yaml.safe_load(capsys.readouterr().out)["trainer"]
    for name in ("limit_train_batches", "limit_val_batches"):
        assert (type(trainer[name]), trainer[name]) == (type(taken), taken)


def test_what_is_printed_may_leave_out_what_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    run(*RING, "--print_config=skip_null")
    assert "null" not in capsys.readouterr().out
    assert program.run([*RING, "--print_config=skip_nil"]) == 2
    assert "no flag of --print_config skip_nil: did you mean skip_null?" in capsys.readouterr().err


@pytest.mark.parametrize("data", ["Ring", "lightning_gan.datamodules.Grid"])
def test_without_a_recipe_points_are_made_by_perceptrons(data: str) -> None:
    run("fit", "--data", data, "--model.max_images", "128", *QUIET)
    folder = f"runs/{data.rpartition('.')[2].lower()}/version_0"
    state = torch.load(f"{folder}/checkpoints/last.ckpt", weights_only=True)
    assert state["hyper_parameters"]["generator"]["class_path"].endswith("MLPGenerator")


def test_without_a_recipe_images_are_made_by_a_dcgan() -> None:
    short = "--model.generator.width 4 --model.discriminator.width 4 --trainer.fast_dev_run true"
    run("fit", "--data", "Digits", "--model.max_images", "128", *short.split(), *QUIET)


def test_a_run_can_be_repeated_from_its_own_configuration(trained: str) -> None:
    first = torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    again = ["--trainer.default_root_dir", "again"]
    run("fit", "--config", str(RUN / "config.yaml"), *again)
    second = torch.load("again/version_0/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(first[name], second[name]) for name in first)


# ----------------------------------------------------------------------------------- a run


def test_a_run_leaves_its_curve_pictures_checkpoint_and_configuration(trained: str) -> None:
    for file in ("metrics.csv", "config.yaml", "checkpoints/last.ckpt"):
        assert (RUN / file).is_file(), file
    assert {path.name for path in (RUN / "samples").iterdir()} == {
        "0000000000.png",
        "0000001024.png",
    }
    for word in ("Trained on 1,024 images", "Balance", "Frechet", "Modes", "predict --ckpt_path"):
        assert word in trained


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ("--trainer.fast_dev_run true", False),
        ("--trainer.limit_train_batches 2 --trainer.max_epochs 1", True),
        ("--trainer.enable_checkpointing false", False),
        ("--trainer.limit_val_batches 0", True),
        ("--trainer.callbacks SampleGrid --trainer.callbacks.rows 2", True),
        ("--trainer.callbacks+=Evaluation --trainer.callbacks.num_samples 50", True),
    ],
)
def test_the_trainers_options_work(options: str, written: bool) -> None:
    run(*RING, "--model.max_images", "1024", *options.split())
    assert (RUN / "checkpoints" / "last.ckpt").is_file() is written


def test_a_default_callback_gives_way_to_one_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grids: list[SampleGrid] = []
    monkeypatch.setattr(SampleGrid, "on_train_start", lambda self, *_: grids.append(self))
    run(*RING, "--model.max_images", "256", "--trainer.callbacks+=SampleGrid")
    assert len(grids) == 1


def test_without_a_logger_a_run_still_leaves_a_checkpoint_to_go_on_from() -> None:
    run(*RING, "--model.max_images", "512", "--trainer.logger", "false")
    assert newest_checkpoint(Path("runs/mlp_ring")) == RUN / "checkpoints" / "last.ckpt"
    off = ["--trainer.logger", "false", "--ckpt_path", "last"]
    run(*RING, "--model.max_images", "1024", *off)
    assert saved_images() == 1024


def test_tensorboard_writes_beside_the_curve() -> None:
    pytest.importorskip("tensorboard")
    run(*RING, "--model.max_images", "1024", "--tensorboard", "true")
    assert list(RUN.rglob("events.out.tfevents.*"))
    assert (RUN / "metrics.csv").is_file()


@pytest.mark.slow
def test_wandb_works_offline_without_an_account(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    command = [*RING, "--model.max_images", "1024", "--wandb", "offline"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    subprocess.run(
        [sys.executable, "-m", "lightning_gan", *command],
        env=environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert list(RUN.glob("wandb/offline-run-*/*.wandb"))


# -------------------------------------------------------------------- resuming, measuring


def test_a_resumed_run_goes_on_in_its_folder_and_loses_nothing(trained: str) -> None:
    def rows() -> list[dict[str, str]]:
        with (RUN / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    before = rows()
    run(*RING, "--model.max_images", "2048", "--ckpt_path", "last")
    after = rows()
    assert [path.name for path in Path("runs/mlp_ring").iterdir()] == ["version_0"]
    assert [row["progress/images"] for row in after[: len(before)]] == [
        row["progress/images"] for row in before
    ]
    images = [int(row["progress/images"]) for row in after if row["loss/generator"]]
    assert images == [512, 1024, 1536, 2048]
    assert saved_images() == 2048


def test_a_resumed_run_ends_where_an_unbroken_one_does(trained: str) -> None:
    run(*RING, "--model.max_images", "2048", "--ckpt_path", "last")
    run(*RING, "--model.max_images", "2048", "--trainer.default_root_dir", "unbroken")
    states = [
        torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for folder in (RUN, Path("unbroken/version_0"))
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_first_run_with_ckpt_path_last_starts_from_the_beginning() -> None:
    run(*RING, "--model.max_images", "512", "--ckpt_path", "last")
    assert saved_images() == 512


def test_a_second_run_does_not_touch_the_first(trained: str) -> None:
    run(*RING, "--model.max_images", "512")
    assert saved_images() == 1024
    assert saved_images(RUN.with_name("version_1")) == 512


@pytest.mark.parametrize("command", ["validate", "test"])
def test_a_trained_generator_is_measured(
    trained: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(command, "--config", "mlp_ring", "--ckpt_path", "last", *QUIET)
    text = capsys.readouterr().out
    assert "Trained on 1,024 images" in text
    assert "Frechet     fid/identity = " in text
    assert f"  {command[:4].replace('vali', 'val')}/acc_real" in text
    assert [path.name for path in Path("runs/mlp_ring").iterdir()] == ["version_0"]


def test_a_network_named_alone_has_its_own_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    # not those of the default network that it takes the place of
    words = "fit --data CIFAR10 --model.discriminator SNDCGANDiscriminator --print_config"
    assert __main__.main(words.split()) == 0
    said = capsys.readouterr().out
    assert "SNDCGANDiscriminator" in said
    assert "spectral_norm: true" in said
    assert "DCGANGenerator" in said


def test_default_networks_follow_the_data_and_give_way_to_a_recipe() -> None:
    assert with_default_networks(["fit", "--data", "Ring"])[2].endswith("_defaults_points.yaml")
    assert with_default_networks(["fit", "--data", "MNIST"])[2].endswith("_defaults.yaml")
    once = with_default_networks(["fit", "--data", "MNIST"])
    assert with_default_networks(once) == once
    recipe = with_recipes(["fit", "--config", "mlp_ring"])
    assert with_default_networks(recipe) == recipe
    assert run_name(once) == "mnist"
    assert with_default_networks(["predict", "--n", "3"]) == ["predict", "--n", "3"]
