"""``lightning-gan evaluate`` and ``compare``: anybody's samples, a number with its stamp."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_gan.__main__ import main
from lightning_gan.basics.images import from_uint8, save_png
from lightning_gan.checkpoints.pretrained import weights_of
from lightning_gan.datamodules import Digits
from lightning_gan.evaluation.stamped_values import StampedValues

RING = ["--data", "Ring", "--measures", "[frechet, modes, neighbours]", "--num_samples", "300"]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["lightning-gan"])
        options = "--model.max_images 1024 --trainer.limit_val_batches 0 --trainer.accelerator cpu"
        assert main(["fit", "--config", "mlp_ring", *options.split()]) == 0
    (path,) = folder.rglob("last.ckpt")
    return path


def evaluated(*arguments: str) -> StampedValues:
    assert main(["evaluate", *arguments]) == 0
    return StampedValues.read(Path("evaluation.json"))


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence on the error stream of a command that is refused."""
    capsys.readouterr()
    assert main([*arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def digits(folder: Path, count: int) -> torch.Tensor:
    """The first test digits, as PNG files."""
    images = Digits().split("test").images[:count]
    for number, image in enumerate(images):
        save_png(image.expand(3, -1, -1), folder / f"{number:03d}.png")
    return images


def test_a_checkpoint_is_measured_with_a_stamp(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stamped = evaluated("--ckpt_path", str(checkpoint), *RING)
    assert {"fid/identity", "modes/ring8/covered", "nn1/identity_real"} <= stamped.values.keys()
    assert "fid/identity" in capsys.readouterr().out
    assert stamped.run["images_seen"] == 1024
    assert stamped.stamp["samples"]["count"] == stamped.values["eval/n"] == 300
    # the folder of a run stands for its last checkpoint
    shutil.rmtree("cache")
    Path("evaluation.json").unlink()
    again = evaluated("--ckpt_path", str(checkpoint.parents[1]), *RING)
    timeless = {key: x for key, x in stamped.values.items() if key != "eval/seconds"}
    assert again.values | timeless == again.values
    assert again.stamp == stamped.stamp


def test_what_predict_writes_is_measured_like_its_checkpoint(checkpoint: Path) -> None:
    assert main(["predict", "--ckpt_path", str(checkpoint), "--n", "300", "--output", "drawn"]) == 0
    stamped = evaluated("--samples", "drawn", *RING[:4])
    assert stamped.values["eval/n"] == 300
    points = np.loadtxt("drawn/points.csv", delimiter=",")
    assert stamped.values["fid/identity"] > 0
    assert stamped.stamp["samples"] == {
        "source": "files",
        "count": len(points),
        "quantisation": "none",
        "order": "content",
    }


def test_real_pictures_are_near_the_reals_and_a_blank_is_far(tmp_path: Path) -> None:
    digits(tmp_path / "real", 200)
    for number in range(200):
        save_png(torch.zeros(3, 28, 28, dtype=torch.uint8), tmp_path / "blank" / f"{number}.png")
    save_png(torch.zeros(3, 500, 500, dtype=torch.uint8), tmp_path / "real" / "grid.png")
    near = evaluated("--samples", "real", "--data", "Digits")
    assert near.values["eval/n"] == 200
    assert near.stamp["samples"]["quantisation"] == "uint8"
    assert Path("evaluation_closest_pairs.png").is_file()
    assert Path("evaluation_nearest_training.png").is_file()
    Path("evaluation.json").unlink()
    far = evaluated("--samples", "blank", "--data", "Digits", "--measures", "[frechet, modes]")
    name = "fid/digits_cnn"
    assert near.values[name] < 3 * near.values[f"{name}_floor"] < far.values[name] / 10
    assert near.values["modes/digits/covered"] == 10
    assert far.values["modes/digits/covered"] == 1


@pytest.mark.parametrize("kind", ["zip", "npy", "npy of uint8", "npz, channels last", "pt"])
def test_samples_in_files_are_measured_like_those_in_a_folder(kind: str, tmp_path: Path) -> None:
    images = digits(tmp_path / "real", 60)
    measures = ["--data", "Digits", "--measures", "[frechet, modes]"]
    folder = evaluated("--samples", "real", *measures)
    place = f"samples.{kind[:3].strip(',').strip()}"
    if kind == "zip":
        shutil.make_archive("samples", "zip", "real")
    elif kind == "npy":
        np.save(place, from_uint8(images).numpy())
    elif kind == "pt":
        torch.save(images, place)
    elif kind.startswith("npz"):
        np.savez(place, arr_0=images.movedim(1, -1).numpy())
    else:
        np.save(place, images.numpy())
    assert main(["evaluate", "--samples", place, *measures, "--output", "file.json"]) == 0
    found = StampedValues.read(Path("file.json"))
    assert found.stamp["samples"]["quantisation"] == ("none" if kind == "npy" else "uint8")
    for name, value in folder.values.items():
        assert name == "eval/seconds" or found.values[name] == pytest.approx(value, abs=1e-4)


def test_names_and_folders_of_pictures_change_no_value(tmp_path: Path) -> None:
    """A folder for each class, sorted: neighbours and splits of the score see all classes."""
    data = Digits()
    data.setup()
    train = data.split("train")
    for number, (image, label) in enumerate(zip(train.images, train.labels.tolist(), strict=True)):
        picture = image.expand(3, -1, -1)
        save_png(picture, tmp_path / "flat" / f"{number:04d}.png")
        save_png(picture, tmp_path / "sorted" / str(label) / f"{9999 - number}.png")
    measures = ["--data", "Digits", "--measures", "[frechet, neighbours, score]"]
    flat = evaluated("--samples", "flat", *measures)
    Path("evaluation.json").unlink()
    by_class = evaluated("--samples", "sorted", *measures)
    assert by_class.stamp == flat.stamp
    assert flat.stamp["samples"]["order"] == "content"
    timeless = {key: x for key, x in flat.values.items() if key != "eval/seconds"}
    assert by_class.values | timeless == by_class.values
    assert flat.values["is/digits_cnn"] > 9


def test_classes_that_are_missing_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    data = Digits()
    data.setup()
    test = data.split("test")
    kept = (test.labels != 3) & (test.labels != 8)
    for number, image in enumerate(test.images[kept]):
        save_png(image.expand(3, -1, -1), Path("few") / f"{number}.png")
    stamped = evaluated("--samples", "few", "--data", "Digits", "--measures", "[modes]")
    assert "\nMissing     3, 8\n" in capsys.readouterr().out
    assert stamped.run["missing"] == "3, 8"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give either --ckpt_path FILE or --samples PLACE"),
        (["--samples", "a", "--ckpt_path", "b"], "give either --ckpt_path FILE"),
        (
            ["--samples", "nowhere"],
            "--samples nowhere: there is nothing; give a folder, a zip file of pictures, or ",
        ),
        (["--samples", "readme.md"], "--samples readme.md: give a folder"),
        (["--samples", "torn.npy"], "cannot be read"),
        (
            ["--samples", "flat.npy"],
            "has the shape (3, 784), but samples of digits are images of 1",
        ),
        (["--samples", "loud.npy"], "has values from 0 to 255, but samples lie in [-1, 1]: scale"),
        (["--samples", "words.npy"], "holds <U1: give an array of real numbers"),
        (["--samples", "torn.zip"], "torn.zip"),
        (["--ckpt_path", "nowhere.ckpt"], "no checkpoint at nowhere.ckpt"),
        (["--samples", "few"], "give at least 2"),
        (["--samples", "large"], "has 32 x 32 pixels, but digits has 28 x 28"),
        (["--samples", "torn"], "cannot be read"),
        (["--samples", "few", "--measures", "[beauty]"], "--measures"),
        (["--samples", "two", "--extractor", "mnist_cn"], "did you mean 'mnist_cnn'"),
        (["--samples", "few", "--output", "few"], "is a folder"),
        (["--samples", "few", "--device", "tpu9"], "--device tpu9 cannot be used"),
        (["--samples", "few", "--num_sample", "3"], "--num_sample"),
        (["--samples", "two", "--import", "[no_such]"], "no_such"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    arguments: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits(tmp_path / "few", 1)
    digits(tmp_path / "two", 2)
    for number in range(3):
        save_png(torch.zeros(3, 32, 32, dtype=torch.uint8), tmp_path / "large" / f"{number}.png")
    digits(tmp_path / "torn", 2)
    (tmp_path / "torn" / "000.png").write_bytes(b"no picture")
    for name in ("torn.npy", "torn.zip", "readme.md"):
        Path(name).write_bytes(b"no array")
    np.save("flat.npy", np.zeros((3, 784), np.float32))
    np.save("loud.npy", np.linspace(0, 255, 3 * 784, dtype=np.float32).reshape(3, 1, 28, 28))
    np.save("words.npy", np.full((3, 1, 28, 28), "a"))
    assert expected in complaint(capsys, "evaluate", "--data", "Digits", *arguments)
    assert not Path("evaluation.json").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot be read as points"),
        ("a,b\n", "as points"),
        ("1,2,3\n" * 3, "3 numbers a line"),
    ],
)
def test_points_that_are_none_are_refused(
    content: str | None, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("drawn").mkdir()
    if content is not None:
        Path("drawn/points.csv").write_text(content)
    assert expected in complaint(capsys, "evaluate", "--samples", "drawn", "--data", "Ring")


def test_a_generator_of_something_else_is_refused(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = complaint(capsys, "evaluate", "--ckpt_path", str(checkpoint), "--data", "Digits")
    assert "makes points of 2 numbers, but digits has images of 1 x 28 x 28" in found


def test_pictures_are_called_after_the_file_of_their_values() -> None:
    words = ["--ckpt_path", "pretrained:rpgan_digits", "--data", "Digits", "--num_samples", "30"]
    for output in ("a.json", "a.json", "a.txt", "a.txt"):
        assert main(["evaluate", *words, "--measures", "[duplicates]", "--output", output]) == 0
    assert sorted(path.name for path in Path().glob("*.png")) == [
        "a-1.txt_closest_pairs.png",
        "a-1_closest_pairs.png",
        "a.txt_closest_pairs.png",
        "a_closest_pairs.png",
    ]
    Path("a.json").rename("kept.json")  # its pictures stay, and are not written over
    kept = Path("a_closest_pairs.png").read_bytes()
    other = [*words, "--seed", "1", "--measures", "[duplicates]", "--output", "a.json"]
    assert main(["evaluate", *other]) == 0
    assert Path("a_closest_pairs.png").read_bytes() == kept
    assert not Path("a.json").exists()
    assert Path("a-2_closest_pairs.png").is_file()


def test_two_measurements_are_compared_where_they_were_made_alike(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"a": [], "b": [], "c": ["--seed", "1"]}
    more: Any
    for name, more in names.items():
        output = ["--output", f"{name}.json"]
        assert main(["evaluate", "--ckpt_path", str(checkpoint), *RING, *more, *output]) == 0
    assert main(["compare", "a.json", "b.json"]) == 0
    assert "fid/identity" in capsys.readouterr().out
    assert "samples.seed is 0 and 1" in complaint(capsys, "compare", "a.json", "c.json")
    assert main(["compare", "a.json", "c.json", "--despite", "samples.seed"]) == 0


def test_a_test_writes_its_values_beside_the_run(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["lightning-gan"])
    short = ["--trainer.callbacks+=Evaluation", "--trainer.callbacks.num_samples", "60"]
    options = ["--config", "mlp_ring", "--ckpt_path", str(checkpoint), *short]
    assert main(["test", *options, "--trainer.accelerator", "cpu"]) == 0
    path = checkpoint.parents[1] / "test-0000001024.json"
    assert f"Measured    {path}" in capsys.readouterr().out
    stamped = StampedValues.read(path)
    assert {"kid/identity", "auth/identity", "fid/identity"} <= stamped.values.keys()
    assert (stamped.run["stage"], stamped.run["checkpoint"]) == ("test", str(checkpoint))


def test_pictures_of_a_test_stay_with_its_values(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["lightning-gan"])
    shutil.copy(weights_of("rpgan_digits"), "model.safetensors")
    evaluation = "--trainer.callbacks.Evaluation"
    options = ["--config", "rpgan_digits", "--ckpt_path", "model.safetensors"]
    options += [f"{evaluation}.num_samples", "40", f"{evaluation}.measures", "[duplicates]"]
    for seed in ("0", "1"):
        assert main(["test", *options, f"{evaluation}.seed", seed]) == 0
    said = capsys.readouterr().out
    values = sorted(Path().glob("test-*.json"))
    pictures = [Path("samples") / f"closest_pairs_{path.stem}.png" for path in values]
    assert len(values) == 2
    assert len({picture.read_bytes() for picture in pictures}) == 2
    for path in (*values, *pictures):
        assert f" {path}\n" in said
    values[0].rename("kept.json")  # its pictures stay, and are not written over
    kept = pictures[0].read_bytes()
    assert main(["test", *options, f"{evaluation}.seed", "2"]) == 0
    assert pictures[0].read_bytes() == kept
    assert len([*Path("samples").glob("closest_pairs_test-*.png")]) == 3


def test_no_measurement_and_no_file_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.json").write_text(json.dumps({}))
    assert "cannot be read" in complaint(capsys, "compare", "none.json", "empty.json")
    assert "holds no measurement" in complaint(capsys, "compare", "empty.json", "empty.json")
    assert "takes two measurements or more" in complaint(capsys, "compare", "empty.json")


def test_pictures_are_read_as_they_are(tmp_path: Path) -> None:
    from lightning_gan.cli.commands.evaluate import _of_files

    images = digits(tmp_path / "real", 5)
    source = _of_files(tmp_path / "real", Digits(), torch.device("cpu"))
    read = source.rows(torch.arange(5))
    levels = ((read + 1) * 127.5).round().to(torch.uint8)
    assert {x.numpy().tobytes() for x in levels} == {x.numpy().tobytes() for x in images}
    with Image.open(tmp_path / "real" / "000.png") as picture:
        assert picture.size == (28, 28)


@pytest.mark.parametrize(
    "option", [["--num_samples", "100"], ["--averaged", "false"], ["--truncation", "0.5"]]
)
def test_options_of_drawing_are_refused_where_samples_are_there(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("points.npy", np.zeros((300, 2), np.float32))
    said = complaint(capsys, "evaluate", "--data", "Ring", "--samples", "points.npy", *option)
    assert f"{option[0]} says how samples are drawn" in said


def test_a_file_of_lines_has_one_and_bright_samples_are_noted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save("half.npy", np.random.default_rng(0).random((300, 1, 28, 28), np.float32))
    words = ["evaluate", "--data", "Digits", "--samples", "half.npy", "--measures", "[frechet]"]
    assert main([*words, "--output", "a.jsonl"]) == 0
    assert "'half.npy' has no value below 0" in capsys.readouterr().err
    assert len(Path("a.jsonl").read_text().splitlines()) == 1
    assert main(["compare", "a.jsonl", "a.jsonl"]) == 0
