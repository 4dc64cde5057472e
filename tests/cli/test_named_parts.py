"""Parts are given options by the names of their classes, in every form, or one sentence."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_gan.cli import program
from lightning_gan.cli.named_parts import split
from lightning_gan.runs.record import RunRecord

ROOT = Path(__file__).resolve().parents[2]
RING = ("fit", "--config", "mlp_ring")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The configuration that a command line leads to."""
    capsys.readouterr()
    assert program.run([*arguments, "--print_config"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def regularizers(config: Any) -> list[tuple[str, Any]]:
    """Names and weights, of a curve the number that it starts with."""

    def first(weight: Any) -> Any:
        return weight["init_args"]["start"] if isinstance(weight, dict) else weight

    listed = config["model"]["init_args"]["regularizers"]
    return [
        (each["class_path"].rpartition(".")[2], first(each["init_args"]["weight"]))
        for each in listed
    ]


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert program.run([*RING, "--model.max_images", "64", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert not Path("runs").exists()
    return line.removeprefix("lightning-gan: error: ")


@pytest.mark.parametrize(
    "options",
    [
        ("--model.regularizers.R1.weight", "7"),
        ("--model.regularizers.R1.weight=7",),
        ("--model.regularizers.R1.weight=3", "--lr", "0.1", "--model.regularizers.R1.weight=7"),
    ],
)
def test_one_of_several_parts_is_called_by_its_name(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert regularizers(shown(capsys, *RING, *options)) == [("R1", 7.0), ("R2", 0.1)]


def test_a_part_is_found_that_is_added_later_and_keeps_its_other_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = ("--model.regularizers.LeCam.weight=3", "--model.regularizers+=LeCam")
    config = shown(capsys, *RING, *late, "--model.regularizers.R2.every=4")
    assert regularizers(config) == [("R1", 0.1), ("R2", 0.1), ("LeCam", 3.0)]
    listed = config["model"]["init_args"]["regularizers"]
    assert [each["init_args"].get("every") for each in listed[:2]] == [1, 4]


def test_curves_and_parts_inside_others_are_reached(capsys: pytest.CaptureFixture[str]) -> None:
    weight = "--model.regularizers.R1.weight"
    inside = '{"class_path": "TopK", "init_args": {"objective": "NonSaturating"}}'
    options = [weight, "LinearCurve", f"{weight}.start", "1", f"{weight}.end=0"]
    options += [f"{weight}.images=640", "--model.objective", inside]
    options += [
        "--model.objective.NonSaturating.real_label=0.9",
        "--model.generator_optimizer.GANAdam.lr=0.5",
    ]
    model = shown(capsys, *RING, *options)["model"]["init_args"]
    curve = model["regularizers"][0]["init_args"]["weight"]
    assert curve["class_path"].endswith("LinearCurve")
    assert curve["init_args"]["start"] == 1.0
    assert model["objective"]["init_args"]["objective"]["init_args"]["real_label"] == 0.9
    assert model["generator_optimizer"]["init_args"]["lr"] == 0.5
    assert model["discriminator_optimizer"]["init_args"]["lr"] == 0.006


def test_a_usual_callback_needs_not_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    guard = "--trainer.callbacks.CollapseGuard"
    options = (f"{guard}.recover", "true", f"{guard}.margin=0.25")
    for more in ([], ["--trainer.callbacks+=SampleGrid"]):
        callbacks = shown(capsys, *RING, *more, *options)["trainer"]["callbacks"]
        (found,) = [each for each in callbacks if each["class_path"].endswith("CollapseGuard")]
        assert (found["init_args"]["recover"], found["init_args"]["margin"]) == (True, 0.25)
        names = [each["class_path"].rpartition(".")[2] for each in callbacks]
        assert names.count("SampleGrid") == 1


def test_a_run_is_named_by_what_was_said_and_its_file_repeats_it() -> None:
    small = "--model.generator.width 8 --model.discriminator.width 8 --data.batch_size 32"
    quiet = "--trainer.enable_progress_bar false --trainer.limit_val_batches 0"
    named = ["--model.max_images", "64", "--model.regularizers.R1.weight=0.7"]
    assert program.run([*RING, *small.split(), *quiet.split(), *named]) == 0
    folder = Path("runs/mlp_ring/version_0")
    record = RunRecord.read(folder)
    assert record.differs["model.regularizers.R1.weight"] == "0.7"
    assert "regularizers.R1.weight=0.7" in record.name
    assert regularizers({"model": {"init_args": record.identity["model"]}}) == [
        ("R1", 0.7),
        ("R2", 0.1),
    ]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert regularizers(config) == [("R1", 0.7), ("R2", 0.1)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--model.regularizers.R1.weight x", "--model.regularizers.R1.weight takes a number"),
        ("--model.regularizers.R1.weight -1", "R1: weight=-1.0 must be at least 0"),
        ("--model.regularizers.R1.wieght 1", "did you mean --model.regularizers.R1.weight?"),
        ("--model.regularizers.R1.weight", "--model.regularizers.R1.weight needs a value."),
        (
            "--model.regularizers.R7.weight 1",
            "There is no R7 in --model.regularizers: there are R1",
        ),
        ("--model.regularizers.LeCan.weight 1 --model.regularizers+=LeCam", "did you mean LeCam?"),
        (
            "--model.augmentation.DiffAugment.policy color",
            "is no DiffAugment in --model.augmentation, which is empty",
        ),
        ("--model.regularisers.R1.weight 1", "There is no option regularisers in --model: did you"),
        ("--model.seed.R1.weight 1", "There is no R1 in --model.seed"),
        ("--model.seed.inner.R1.weight 1", "There is no option"),
        ("--trainer.callbacks.ColapseGuard.recover true", "did you mean CollapseGuard?"),
        (
            "--trainer.callbacks.EarlyStopping.patience 3",
            "There is no EarlyStopping in --trainer.callbacks yet: add it as well, by "
            "--trainer.callbacks+=EarlyStopping.",
        ),
        ("--model.regularizers.LeCam.weight 3", "as well, by --model.regularizers+=LeCam."),
        (
            "--trainer.callbacks+=Evaluation --trainer.callbacks.Nothing.n 3",
            "there are Evaluation, Balance, CollapseGuard, StopOnDivergence, EquilibriumStopping, "
            "LastCheckpoint,",
        ),
        (
            "--trainer.callbacks+=EarlyStopping --trainer.callbacks.EarlyStopping.patience 3",
            "--trainer.callbacks.EarlyStopping.monitor is missing: give it.",
        ),
        (
            "--model.regularizers+=R1 --model.regularizers.R1.weight 1",
            "there are 2 R1 in --model.regularizers: give each its own options in a file",
        ),
        (
            "--model.regularizers.weight 1",
            "there are R1, R2 in --model.regularizers: say whose weight, as in "
            "--model.regularizers.R2.weight.",
        ),
        ("--model.regularizers.weight=1", "say whose weight"),
        ("--model.init_args.regularizers.init_args.weight=1", "say whose weight"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    options: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in complaint(capsys, *options.split())


def test_what_was_just_added_needs_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    added = ("--model.regularizers+=LeCam", "--model.regularizers.weight=4")
    assert regularizers(shown(capsys, *RING, *added))[-1] == ("LeCam", 4.0)


@pytest.mark.parametrize(
    "added", ["+=EarlyStopping", "+=lightning.pytorch.callbacks.EarlyStopping"]
)
def test_what_an_added_part_requires_is_given_by_its_name(
    added: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = "--trainer.callbacks.EarlyStopping"
    before = (f"{stop}.monitor", "val/d_real", f"{stop}.patience=5")
    options = (*before, f"--trainer.callbacks{added}", "--trainer.callbacks+", "Timer")
    inside = ("--model.objective.TopK.objective", "Hinge", "--model.objective", "TopK")
    config = shown(capsys, *RING, *options, *inside)
    early = config["trainer"]["callbacks"][0]["init_args"]
    assert (early["monitor"], early["patience"]) == ("val/d_real", 5)
    objective = config["model"]["init_args"]["objective"]["init_args"]["objective"]
    assert objective["class_path"].endswith("Hinge")


def test_a_part_explains_itself_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run([*RING, "--model.regularizers.R1.help"]) == 0
    assert "every" in capsys.readouterr().out


def test_a_command_line_without_names_stays_as_it_is() -> None:
    words = ["fit", "--config", "a", "--model.lr=3", "--data.Root.x", "y", "--print_config", "-h"]
    assert split(words).rest == words
    assert split(["--model.a.B.c", "--model.a.D.e", "1"]).named == {
        "--model.a.B": ["--model.a.B.c"],
        "--model.a.D": ["--model.a.D.e", "1"],
    }


DOCUMENTED = re.findall(
    r"^lightning-gan (.*)",
    (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize("command", DOCUMENTED)
def test_the_commands_of_the_docs_parse(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "model" in shown(capsys, *shlex.split(command, comments=True))


def test_the_sweep_of_the_docs_asks_for_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    sweeps = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    sweep = yaml.safe_load((ROOT / "docs" / "sweep.yaml").read_text(encoding="utf-8"))
    values = {
        name: {"value": each["values"][0] if "values" in each else each["min"]}
        for name, each in sweep["parameters"].items()
    }
    flags = sweeps.create_sweep_command_args({"args": values})["args"]
    *command, last = sweep["command"]
    assert (command[0], last) == ("lightning-gan", "${args}")
    model = shown(capsys, *command[1:], *flags)["model"]["init_args"]
    assert model["regularizers"][0]["init_args"]["weight"] == 0.01
    assert sweep["metric"]["name"] == "fid/digits_cnn"
