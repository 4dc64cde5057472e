"""``lightning-gan predict``: pictures and points from a checkpoint alone."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import Pictures, Points, points_gan, quiet_trainer

from lightning_gan.__main__ import main
from lightning_gan.cli import program
from lightning_gan.cli.commands import predict as command
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
        (f"--n {'9' * 400}", "must be at least 1 and at most 1e+12"),
        ("--class lihgt", "did you mean light?"),
        ("--class dog", "knows classes 0 to 1: dark, light"),
        ("--class 2", "knows classes 0 to 1"),
        ("--truncation nan", "--truncation takes a number, not nan."),
        ("--truncation .nan", "truncation=nan must be above 0"),
        ("--truncation .inf", "truncation=inf must be above 0 and below inf"),
        ("--psi .nan", "psi=nan must be"),
        ("--n many", "--n takes a whole number, not many."),
        ("--class 7", "knows classes 0 to 1"),
        ("--truncation -1", "truncation=-1.0 must be above 0"),
        ("--device nowhere", "--device nowhere cannot be used here"),
        ("--device meta", "--device meta cannot be used here"),
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
    assert "give either --ckpt_path FILE or --pretrained NAME" in refused(capsys)


def test_an_output_that_is_a_file_is_refused(
    pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("in the way")
    said = refused(capsys, "--ckpt_path", str(pictures), "--output", str(tmp_path / "out"))
    assert "--output" in said


def test_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--help"]) == 0
    assert "--truncation" in capsys.readouterr().out


def test_nothing_is_trained_by_drawing(points: Path, tmp_path: Path) -> None:
    path = points / "checkpoints" / "last.ckpt"
    before = torch.load(path, weights_only=True)["state_dict"]
    predict(points, tmp_path / "out")
    after = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(before[name], after[name]) for name in before)


# ------------------------------------------------------------------------------ where they lie


def test_samples_lie_in_the_folder_of_their_run_by_how_they_were_drawn(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--ckpt_path", str(pictures), "--device", "cpu", "--n", "3"]
    assert program.run(["predict", *where, "--seed", "7", "--class", "light"]) == 0
    folder = pictures / "predict" / "seed_7_class_light"
    assert f"Pictures    {folder / 'grid.png'}" in capsys.readouterr().out
    record = json.loads((folder / "predict.json").read_text())
    assert record["class"] == 1
    assert record["complete"] is True
    assert program.run(["predict", *where]) == 0
    assert (pictures / "predict" / "seed_0" / "000002.png").is_file()


def test_a_class_by_name_is_that_by_number(pictures: Path, tmp_path: Path) -> None:
    by_name = predict(pictures, tmp_path / "name", "--n 3 --class light")
    by_number = predict(pictures, tmp_path / "number", "--n 3 --class 1")
    assert all(np.array_equal(by_number[name], picture) for name, picture in by_name.items())


def test_fewer_samples_leave_nothing_of_more(pictures: Path, tmp_path: Path) -> None:
    predict(pictures, tmp_path / "out", "--n 12 --seed 1")
    few = predict(pictures, tmp_path / "out", "--n 2")
    assert list(few) == ["000000.png", "000001.png", "grid.png"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*few, "predict.json"}


def test_points_take_the_place_of_pictures(pictures: Path, points: Path, tmp_path: Path) -> None:
    predict(pictures, tmp_path / "out")
    predict(points, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"points.csv", "grid.png", "predict.json"}


def foreign(folder: Path) -> None:
    (folder / "holiday.png").write_bytes(b"mine")


def foreign_number(folder: Path) -> None:
    (folder / "000007.png").write_bytes(b"mine")


def changed(folder: Path) -> None:
    path = folder / "000001.png"
    path.write_bytes(b"mine")
    later = (folder / "predict.json").stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))


def linked(folder: Path) -> None:
    (folder / "000001.png").unlink()
    (folder / "000001.png").symlink_to(folder.parent / "precious")


def linked_part(folder: Path) -> None:
    (folder / ".predict.part").symlink_to(folder.parent)


def inner(folder: Path) -> None:
    (folder / "000009.png").mkdir()


def damaged(folder: Path) -> None:
    (folder / "predict.json").write_text("[" * 100_000)


def claiming(folder: Path) -> None:
    """Names a file that predict does not write."""
    (folder / "mine.txt").write_text("mine")
    record = json.loads((folder / "predict.json").read_text())
    record["files"]["others"] = ["mine.txt", "../precious"]
    (folder / "predict.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    "spoil",
    [foreign, foreign_number, changed, linked, linked_part, inner, damaged, claiming],
    ids=lambda spoil: spoil.__name__,
)
def test_what_predict_did_not_write_is_left_alone(
    spoil: object, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(spoil)
    (tmp_path / "precious").write_bytes(b"precious")
    out = tmp_path / "out"
    predict(pictures, out)
    spoil(out)
    before = contents(out)
    said = refused(capsys, "--ckpt_path", str(pictures), "--output", str(out), "--n", "3")
    assert str(out) in said
    assert contents(out) == before
    assert (tmp_path / "precious").read_bytes() == b"precious"


def contents(folder: Path) -> dict[str, object]:
    return {
        path.name: path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.iterdir()
    }


@pytest.mark.parametrize("kind", ["pictures", "points"])
@pytest.mark.parametrize("again", [False, True])
def test_a_full_disk_leaves_all_as_it_was(
    kind: str,
    again: bool,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, out = request.getfixturevalue(kind), tmp_path / "new" / "out"
    if again:
        predict(run, out)
    before = contents(out) if again else {}

    def full(picture: torch.Tensor, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(command, "save_png", full)
    said = refused(capsys, "--ckpt_path", str(run), "--output", str(out), "--device", "cpu")
    assert f"cannot be written to {out} (No space left on device)" in said
    assert contents(out) == before if again else not out.parent.exists()


def test_a_call_that_was_killed_is_made_up_for(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".predict.part").mkdir(parents=True)
    (out / ".predict.part" / "000005.png").write_bytes(b"half")
    assert list(predict(pictures, out, "--n 1")) == ["000000.png", "grid.png"]
    assert not (out / ".predict.part").exists()


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("/proc/nowhere", "cannot be written"),
        ("x" * 300, "File name too long"),
        ("file/inside", "Not a directory"),
        ("loop", "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(
    place: str,
    why: str,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("loop").symlink_to("loop")
    assert why in refused(capsys, "--ckpt_path", str(pictures), "--output", place)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "loop"}


def test_two_calls_do_not_write_into_one_folder(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fcntl = pytest.importorskip("fcntl")
    part = tmp_path / "out" / ".predict.part"
    part.mkdir(parents=True)
    with (part / "run.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said = refused(capsys, "--ckpt_path", str(pictures), "--output", str(tmp_path / "out"))
    assert "is being written by" in said
    assert "give another --output" in said


# --------------------------------------------------------------------------- many, and broken


def test_any_number_of_samples_is_drawn_block_by_block(
    points: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million and one are asked for, and the writing is stopped after a thousand."""
    seen = []

    def write(blocks: object, count: int, folder: Path) -> None:
        for block in blocks:  # type: ignore[attr-defined]
            seen.append(len(block))
            if len(seen) == 4:
                raise OSError(errno.ENOSPC, "stop", "here")

    monkeypatch.setattr(command, "_write_points", write)
    options = ["--ckpt_path", str(points), "--output", str(tmp_path / "out"), "--n", str(10**9)]
    assert program.run(["predict", *options]) == 2
    assert seen == [250] * 4


def test_weights_that_are_not_finite_are_said(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = torch.load(pictures / "checkpoints" / "last.ckpt", weights_only=True)
    for name, weight in checkpoint["state_dict"].items():
        if name.startswith("generator"):
            weight.fill_(float("nan"))
    torch.save(checkpoint, tmp_path / "nan.ckpt")
    said = refused(capsys, "--ckpt_path", str(tmp_path / "nan.ckpt"))
    assert "makes samples that are not finite" in said
    assert not (tmp_path / "predict").exists()
