"""Trainings on a user's own files, from the first sentence to going on with them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lightning_gan.__main__ import main

FIT = "fit --data ImageFolder --data.image_size 8 --data.batch_size 4"
SMALL = "--model.generator.width 4 --model.discriminator.width 4 --trainer.accelerator cpu"
QUIET = "--trainer.enable_progress_bar false"
EVALUATED = "--trainer.callbacks+=Evaluation --trainer.callbacks.num_samples 20"
LAST = "--ckpt_path last --model.max_images 32"


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])


def draw(folder: str, mode: str = "RGB", count: int = 20) -> None:
    for number in range(count):
        path = Path(folder) / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        channels = len(Image.new(mode, (1, 1)).getbands())
        shape = (16, 16, channels) if channels > 1 else (16, 16)
        pixels = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels, mode).save(path)


def fit(*words: str, images: int = 16) -> int:
    more = ["--model.max_images", str(images)] if LAST not in words else []
    return main(" ".join([FIT, SMALL, QUIET, EVALUATED, *words, *more]).split())


def record() -> dict[str, Any]:
    (path,) = Path("runs").rglob("run.json")
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def test_the_first_thing_said_is_what_was_found_and_the_record_counts_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    draw("data")
    Path("data/notes.txt").touch()
    Path("data/a/torn.png").write_bytes(b"torn")
    assert fit("--data.root data --data.skip_damaged true") == 0
    said = caplog.text
    assert "21 pictures in 2 classes (a 11, b 10) in 'data'; 1 passed over: 1 with" in said
    assert "1 passed over as damaged (a/torn.png)." in said
    written = record()
    assert written["segments"][0]["passed_over"] == 2
    assert written["identity"]["samples"]["count"] == 20


@pytest.mark.parametrize("change", ["nothing", "moved", "notes", "added", "replaced", "size"])
def test_a_run_goes_on_with_the_same_pictures_only(
    change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draw("data")
    assert fit("--data.root data") == 0
    root, said = "data", ""
    if change == "moved":
        root = shutil.move("data", "elsewhere")
    if change == "notes":
        Path("data/notes.txt").touch()
    if change == "added":
        draw("data", count=21)
        said = "samples.count is 20 there and 21 here"
    if change == "replaced":
        Image.new("RGB", (30, 30)).save("data/a/00.png")
        said = "samples.digest is"
    size = "--data.image_size 16" if change == "size" else ""
    said = "image_size" if change == "size" else said
    capsys.readouterr()
    code = fit(f"--data.root {root} --data.skip_damaged true {size}", LAST)
    assert code == (2 if said else 0)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("RGBA", "--data.channels 4"),
        ("RGB", "--data.image_size [8,16]"),
        ("L", "--data.channels 1 --data.image_size [16,8]"),
    ],
)
def test_other_channels_and_oblong_pictures_are_trained_measured_and_sampled(
    mode: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draw("data", mode)
    assert fit("--data.root data", words) == 0, capsys.readouterr().err
    (run,) = Path("runs").rglob("run.json")
    assert main(["predict", "--ckpt_path", str(run.parent), "--n", "8", "--output", "drawn"]) == 0
    options = f"--data ImageFolder --data.root data --data.image_size 8 {words}"
    few = ["--ckpt_path", str(run.parent), "--num_samples", "20"]
    assert main(["evaluate", *few, *options.split()]) == 0
    assert main(["evaluate", "--samples", "drawn", *options.split(), "--output", "b.json"]) == 0
    with Image.open("drawn/000000.png") as picture:
        assert picture.mode == ("RGBA" if mode == "RGBA" else "RGB")
    for path in [Path("drawn/grid.png"), *run.parent.glob("samples/*.png")]:
        with Image.open(path) as picture:
            assert picture.mode == "RGB"


@pytest.mark.parametrize(
    ("shape", "drawn"), [((5, 8, 8), "samples.npy"), ((1, 8, 16), ""), ((7,), "points.csv")]
)
def test_arrays_are_trained_measured_and_sampled(
    shape: tuple[int, ...], drawn: str, caplog: pytest.LogCaptureFixture
) -> None:
    values = np.random.default_rng(0).integers(-1000, 401, (60, *shape), dtype=np.int16)
    np.savez("scans.npz", images=values, labels=np.arange(60) % 3)
    data = "--data ArrayFile --data.root scans.npz --data.value_range [-1000,400]"
    networks = "--model.generator MLPGenerator --model.discriminator MLPDiscriminator"
    small = f"{networks} {SMALL} {QUIET} --data.batch_size 4 --model.max_images 16"
    assert main(f"fit {data} {small} {EVALUATED}".split()) == 0
    size = " x ".join(map(str, shape))
    expected = (
        f"60 samples of {size} numbers (int16) in 3 classes (0 20, 1 20, 2 20) in 'scans.npz'"
    )
    assert expected in caplog.text
    (run,) = Path("runs").rglob("run.json")
    assert main(["predict", "--ckpt_path", str(run.parent), "--n", "9", "--output", "drawn"]) == 0
    assert not drawn or Path("drawn", drawn).is_file()
    options = f"--samples drawn {data} --measures [frechet]"
    assert main(["evaluate", *options.split()]) == 0


def test_three_pictures_are_too_few_where_two_are_held_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    draw("data", count=3)
    few, none = "--data.root data --data.batch_size", "--data.val_fraction 0 --data.test_fraction 0"
    assert fit(few, "1") == 2
    said = capsys.readouterr().err
    assert "There is one training sample (held out: 2), and samples are measured" in said
    assert f"hold out none by {none}, or set" in said
    assert fit(few, "2 --trainer.limit_val_batches 0") == 2
    said = capsys.readouterr().err
    assert "has 1 sample, fewer than one batch of 2 on 1 process: give more, hold out" in said
    assert fit(few, "2", none) == 0
