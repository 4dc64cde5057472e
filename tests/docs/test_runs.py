"""The commands of docs/runs.md print what stands below them there."""

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from tiny import quiet_trainer

from lightning_gan.__main__ import main
from lightning_gan.datamodules import Digits
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import NonSaturating
from lightning_gan.runs.record import RunRecord

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs" / "runs.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```text\n\$ (lightning-gan (?:runs|table|compare)\b.*)\n((?s:.*?))```", TEXT)


@pytest.fixture
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of the page: their records, and their last evaluations as they were measured."""
    monkeypatch.chdir(tmp_path)
    for line in (HERE / "ring_runs.jsonl").read_text(encoding="utf-8").splitlines():
        content = json.loads(line)
        folder = Path(content["folder"])
        folder.mkdir(parents=True)
        for name, part in (("run.json", "record"), ("evaluations.jsonl", "evaluation")):
            (folder / name).write_text(json.dumps(content[part]) + "\n", encoding="utf-8")


def test_the_runs_are_of_the_recipe_as_it_is_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["lightning-gan"])
    brief = "--model.max_images 256 --trainer.limit_val_batches 0 --trainer.accelerator cpu"
    assert main(["fit", "--config", "mlp_ring", *brief.split()]) == 0
    identity = RunRecord.read(Path("runs/mlp_ring/version_0")).identity
    line = (HERE / "ring_runs.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert json.loads(line)["record"]["identity"] == identity  # or: scripts/walks/quote.py seeds


def test_every_command_about_many_runs_is_shown() -> None:
    assert {command.split()[1] for command, _ in SHOWN} == {"runs", "table", "compare"}


@pytest.mark.usefixtures("_runs")
@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_stands_below_it(
    command: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == output


def test_the_commands_that_draw_write_where_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of = {"channels": 1, "image_size": 28, "num_classes": 10}
    gan = GAN(MLPGenerator(**of), MLPDiscriminator(**of), NonSaturating(), max_images=64)
    trainer = quiet_trainer(tmp_path)
    trainer.fit(gan, Digits())
    run = Path("runs/cgan_mnist/version_0")
    trainer.save_checkpoint(run / "checkpoints" / "last.ckpt")
    commands = re.findall(r"^lightning-gan (?:predict|evaluate) .*", TEXT, flags=re.MULTILINE)
    for command in commands:
        words = shlex.split(command.replace("MNIST", "Digits"), comments=True)
        assert main([*words[1:], *(["--measures", "[modes]"] if "evaluate" in words else [])]) == 0
    for folder, count in {
        run / "predict" / "seed_0": 100,
        run / "predict" / "seed_1_class_7": 64,
        Path("fakes"): 1000,
    }.items():
        assert len([*folder.glob("0*.png")]) == count
        with Image.open(folder / "grid.png") as picture:
            assert picture.width > 28
    assert Path("evaluation.json").is_file()
