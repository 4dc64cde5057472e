"""Models that come with the package: whole, small, and worth what their index says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

import lightning_gan
from lightning_gan.checkpoints.exported import NAME
from lightning_gan.checkpoints.pretrained import FOLDER, pretrained_models, weights_of
from lightning_gan.cli import program
from lightning_gan.errors import ConfigurationError
from lightning_gan.recipes import Recipe, recipe_names

DATA = Path(
    os.environ.get("LIGHTNING_GAN_TEST_DATA", str(Path(__file__).resolve().parents[2] / "data"))
)
MODELS = pretrained_models()
NEED_DOWNLOAD = ("MNIST", "CIFAR10")
TOLERANCE = 1e-3
"""Relative, of a distance: other processors round convolutions otherwise."""


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert program.run([*words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_all_models_are_of_recipes_and_small() -> None:
    sizes = {path.parent.name: path.stat().st_size for path in FOLDER.glob(f"*/{NAME}")}
    assert sizes.keys() == MODELS.keys() <= set(recipe_names())
    assert max(sizes.values()) <= 1.5 * 2**20
    assert sum(sizes.values()) <= 6e6


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_the_file_that_the_index_means(name: str) -> None:
    assert hashlib.sha256(weights_of(name).read_bytes()).hexdigest() == MODELS[name].sha256


@pytest.mark.parametrize("name", MODELS)
def test_a_model_makes_samples_and_judges_them(name: str) -> None:
    gan = lightning_gan.pretrained(name)
    samples = gan.sample(4, seed=3)
    assert samples.shape == (4, *gan.generator.sample_shape)
    assert samples.isfinite().all()
    assert samples.std() > 0.1
    labels = torch.zeros(4, dtype=torch.long)
    assert gan.discriminator(samples, labels).isfinite().all()


@pytest.mark.parametrize("name", MODELS)
def test_a_card_says_what_was_measured_and_no_place_of_the_maker(name: str) -> None:
    about = json.loads((FOLDER / name / "config.json").read_text(encoding="utf-8"))
    assert about["name"] == name
    assert about["images_seen"] == MODELS[name].images
    for path in (FOLDER / name).iterdir():
        content = path.read_bytes()
        assert not any(place in content for place in (b"/tmp", b"/home", b"/root", b"/work"))


def test_an_export_of_a_model_says_what_its_card_says(tmp_path: Path) -> None:
    known = json.loads((FOLDER / "mlp_ring" / "config.json").read_text(encoding="utf-8"))
    for source, folder in (("pretrained:mlp_ring", "once"), (str(tmp_path / "once"), "twice")):
        lightning_gan.export(source, tmp_path / folder)
        about = json.loads((tmp_path / folder / "config.json").read_text(encoding="utf-8"))
        for name in ("name", "license", "run", "measured", "images_seen"):
            assert about[name] == known[name]
    lightning_gan.export("pretrained:mlp_ring", tmp_path / "mine", license="mit")
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["license"] == "mit"


@pytest.mark.parametrize("name", MODELS)
def test_a_model_finds_its_recorded_values(name: str, tmp_path: Path) -> None:
    setting = Recipe.read(name).data
    words = ["--data", setting, "--measures", "[frechet,modes]", "--device", "cpu"]
    if any(setting.endswith(data) for data in NEED_DOWNLOAD):
        if not (DATA / "MNIST" / "raw").is_dir():
            pytest.skip(f"there is no MNIST in {DATA}")
        words += ["--data.root", str(DATA)]
    output = tmp_path / "measured.json"
    words += ["--ckpt_path", f"pretrained:{name}", "--output", str(output)]
    assert program.run(["evaluate", *words]) == 0
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["run"]["checkpoint"] == f"pretrained:{name}"
    for key, value in MODELS[name].values.items():
        assert found["values"][key] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), key


def test_predict_draws_from_a_model_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert program.run(["predict", "--pretrained", "dcgan_digits", "--n", "3"]) == 0
    folder = tmp_path / "predict" / "dcgan_digits" / "seed_0"
    assert {path.name for path in folder.glob("0*.png")} == {f"{i:06d}.png" for i in range(3)}


def test_both_ways_to_name_a_model_draw_to_the_same_folder_and_none_into_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = shutil.copytree(FOLDER, tmp_path / "package")
    monkeypatch.setattr("lightning_gan.checkpoints.pretrained.FOLDER", package)
    monkeypatch.chdir(tmp_path)
    before = sorted(package.rglob("*"))
    assert program.run(["predict", "--ckpt_path", "pretrained:mlp_ring", "--n", "3"]) == 0
    assert sorted(package.rglob("*")) == before
    record = Path("predict", "mlp_ring", "seed_0", "predict.json")
    drawn = json.loads(record.read_text(encoding="utf-8"))
    assert program.run(["predict", "--pretrained", "mlp_ring", "--n", "3"]) == 0
    again = json.loads(record.read_text(encoding="utf-8"))
    assert again["checkpoint"] == drawn["checkpoint"] == "pretrained:mlp_ring"


@pytest.mark.parametrize("damaged", ["index.json", "mlp_ring/model.safetensors"])
@pytest.mark.parametrize("how", ["gone", "cut short", "a folder"])
def test_a_package_that_is_not_whole_is_to_be_installed_again(
    damaged: str,
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = shutil.copytree(FOLDER, tmp_path / "package")
    monkeypatch.setattr("lightning_gan.checkpoints.pretrained.FOLDER", package)
    monkeypatch.chdir(tmp_path)
    content = (package / damaged).read_bytes()
    (package / damaged).unlink()
    if how == "cut short":
        (package / damaged).write_bytes(content[: len(content) // 2])
    elif how == "a folder":
        (package / damaged).mkdir()
    said = refused(capsys, "predict", "--pretrained", "mlp_ring", "--n", "1")
    assert damaged in said
    assert "install lightning-gan again" in said


def test_either_a_checkpoint_or_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    both = "--ckpt_path FILE or --pretrained NAME"
    assert both in refused(capsys, "predict")
    assert both in refused(capsys, "predict", "--ckpt_path", "a", "--pretrained", "dcgan_digits")


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "--pretrained", "dcgan"],
        ["predict", "--ckpt_path", "pretrained:dcgan"],
        ["export", "pretrained:dcgan"],
        ["evaluate", "--ckpt_path", "pretrained:dcgan", "--data", "Digits"],
        ["fit", "--config", "dcgan_digits", "--model.warm_start", "pretrained:dcgan"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_an_unknown_model_is_named_with_those_that_there_are(
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = refused(capsys, *words)
    assert "no pretrained model 'dcgan'" in said
    assert "dcgan_digits" in said


def test_python_names_them_too() -> None:
    with pytest.raises(ConfigurationError, match="no pretrained model 'nothing'"):
        lightning_gan.pretrained("nothing")
    with pytest.raises(ConfigurationError, match="no pretrained model ''"):
        lightning_gan.pretrained("")


def test_a_training_begins_with_the_players_of_a_model(tmp_path: Path) -> None:
    known = lightning_gan.pretrained("dcgan_digits")
    root = ["--trainer.default_root_dir", str(tmp_path), "--trainer.logger", "false"]
    words = ["--config", "dcgan_digits", "--model.warm_start", "pretrained:dcgan_digits"]
    words += ["--model.max_images", "32", "--trainer.limit_val_batches", "0"]
    words += ["--model.generator_optimizer.lr", "0", "--model.discriminator_optimizer.lr", "0"]
    assert program.run(["fit", *words, *root]) == 0
    begun = lightning_gan.load(next(tmp_path.rglob("last.ckpt")))
    theirs = known.state_dict()
    for name, weight in begun.generator.named_parameters():
        assert torch.equal(weight, theirs[f"generator.{name}"]), name


def test_no_training_goes_on_from_a_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["fit", "--config", "dcgan_digits", "--ckpt_path", "pretrained:dcgan_digits"]
    said = refused(capsys, *words, "--trainer.default_root_dir", str(tmp_path))
    assert "model.warm_start" in said


def test_a_test_of_a_model_is_not_told_of_a_run_that_lies_where_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = ["--model.max_images", "32", "--trainer.limit_val_batches", "0"]
    root = ["--trainer.default_root_dir", str(tmp_path)]
    assert program.run(["fit", "--config", "mlp_ring", *quick, *root]) == 0
    monkeypatch.chdir(tmp_path / "version_0")
    words = ["--config", "mlp_ring", "--ckpt_path", "pretrained:mlp_ring"]
    assert program.run(["test", *words]) == 0
    (path,) = Path().glob("test-*.json")
    run = json.loads(Path("run.json").read_text(encoding="utf-8"))
    assert run["id"] not in path.read_text(encoding="utf-8")


def test_an_empty_place_to_begin_from_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--config", "mlp_ring", "--model.warm_start", "", "--trainer.logger", "false"]
    assert program.run(words) == 2  # after what is told of the run that begins
    assert "error: '' is no path of a checkpoint: give" in capsys.readouterr().err
