"""``lightning-gan predict``: pictures and points from a checkpoint alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import Pictures, Points, points_gan, quiet_trainer

from lightning_gan.cli import program
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import NonSaturating


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on pictures of two classes."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = MLPGenerator(1, 8, num_classes=2)
    gan = GAN(generator, MLPDiscriminator(1, 8, num_classes=2), NonSaturating())
    trainer = quiet_trainer(folder, max_epochs=1)
    trainer.fit(gan, Pictures(8))
    trainer.save_checkpoint(folder / "checkpoints" / "last.ckpt")
    return folder


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on points."""
    folder = tmp_path_factory.mktemp("points")
    trainer = quiet_trainer(folder, max_epochs=1)
    trainer.fit(points_gan(), Points(8))
    trainer.save_checkpoint(folder / "checkpoints" / "last.ckpt")
    return folder


def predict(checkpoint: Path, output: Path, options: str = "--n 5") -> dict[str, np.ndarray]:
    where = ["--ckpt_path", str(checkpoint), "--output", str(output), "--device", "cpu"]
    assert program.run(["predict", *where, *options.split()]) == 0
    return {path.name: np.asarray(Image.open(path)) for path in sorted(output.glob("*.png"))}


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert program.run(["predict", *options]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_pictures_are_numbered_and_gathered_in_a_grid(pictures: Path, tmp_path: Path) -> None:
    found = predict(pictures, tmp_path / "out")
    assert list(found) == [f"{index:06d}.png" for index in range(5)] + ["grid.png"]
    assert found["000000.png"].shape == (8, 8, 3)


def test_a_file_and_the_folder_of_its_run_mean_the_same(pictures: Path, tmp_path: Path) -> None:
    by_folder = predict(pictures, tmp_path / "folder")
    by_file = predict(pictures / "checkpoints" / "last.ckpt", tmp_path / "file")
    assert all(np.array_equal(by_file[name], picture) for name, picture in by_folder.items())


def test_the_seed_chooses_the_samples_and_their_number_does_not(
    pictures: Path, tmp_path: Path
) -> None:
    few = predict(pictures, tmp_path / "few", "--n 3 --class 1")
    many = predict(pictures, tmp_path / "many", "--n 7 --class 1")
    others = predict(pictures, tmp_path / "others", "--n 3 --class 1 --seed 1")
    assert np.array_equal(few["000002.png"], many["000002.png"])
    assert not np.array_equal(few["000002.png"], others["000002.png"])


def test_the_class_is_the_one_asked_for(pictures: Path, tmp_path: Path) -> None:
    dark = predict(pictures, tmp_path / "dark", "--n 3 --class 0")
    light = predict(pictures, tmp_path / "light", "--n 3 --class 1")
    assert not np.array_equal(dark["000000.png"], light["000000.png"])


def test_truncation_brings_samples_closer_together(points: Path, tmp_path: Path) -> None:
    predict(points, tmp_path / "wide", "--n 200")
    predict(points, tmp_path / "narrow", "--n 200 --truncation 0.1")
    wide, narrow = (
        np.loadtxt(tmp_path / name / "points.csv", delimiter=",") for name in ("wide", "narrow")
    )
    assert narrow.std(axis=0).max() < wide.std(axis=0).min()


def test_points_are_written_as_numbers_and_drawn(points: Path, tmp_path: Path) -> None:
    found = predict(points, tmp_path / "out", "--n 20")
    assert list(found) == ["grid.png"]
    assert np.loadtxt(tmp_path / "out" / "points.csv", delimiter=",").shape == (20, 2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--n 0", "n=0 must be at least 1"),
        ("--n many", "--n takes a whole number, not many."),
        ("--class 7", "knows classes 0 to 1"),
        ("--truncation -1", "truncation=-1.0 must be above 0"),
        ("--device nowhere", "--device nowhere cannot be used here"),
        ("--colour red", "There is no option --colour."),
    ],
)
def test_options_that_make_no_sense_are_refused(
    pictures: Path, capsys: pytest.CaptureFixture[str], options: str, expected: str
) -> None:
    assert expected in refused(capsys, "--ckpt_path", str(pictures), *options.split())


def test_a_class_of_an_unconditional_generator_is_refused(
    points: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "--ckpt_path", str(points), "--class", "0")
    assert "was trained without classes" in said


def test_a_checkpoint_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "no checkpoint at missing.ckpt" in refused(capsys, "--ckpt_path", "missing.ckpt")
    assert "no last.ckpt below" in refused(capsys, "--ckpt_path", str(tmp_path))
    assert "--ckpt_path is missing" in refused(capsys)


def test_an_output_that_is_a_file_is_refused(
    pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("in the way")
    said = refused(capsys, "--ckpt_path", str(pictures), "--output", str(tmp_path / "out"))
    assert "--output" in said


def test_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["predict", "--help"]) == 0
    assert "--truncation" in capsys.readouterr().out


def test_nothing_is_trained_by_drawing(points: Path, tmp_path: Path) -> None:
    path = points / "checkpoints" / "last.ckpt"
    before = torch.load(path, weights_only=True)["state_dict"]
    predict(points, tmp_path / "out")
    after = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(before[name], after[name]) for name in before)
