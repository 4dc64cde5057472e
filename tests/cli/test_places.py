"""Where commands write and read: devices stay, other files are kept, texts are texts."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from recorded_runs import record, report, write_run

import lightning_gan
from lightning_gan.__main__ import main
from lightning_gan.basics.cache import written_whole
from lightning_gan.cli.arguments import at_home, in_plain_form
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.extractors.registry import get_extractor

RUN = Path("runs/ring/version_0")
PROGRAM = [sys.executable, "-m", "lightning_gan"]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence on the error stream of a command that is refused."""
    capsys.readouterr()
    assert main([*arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_a_page_takes_the_place_of_pages_alone(capsys: pytest.CaptureFixture[str]) -> None:
    write_run(RUN, record(0), [report(0.5)])
    kept = (RUN / "run.json").read_bytes()
    said = complaint(capsys, "report", str(RUN), "--output", str(RUN / "run.json"))
    assert "holds something else than a page, and would be lost: give another name" in said
    assert (RUN / "run.json").read_bytes() == kept
    for _ in range(2):
        assert main(["report", str(RUN), "--output", "page.html"]) == 0


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="there are no devices")
def test_what_is_no_file_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    for place in (pipe, Path("/dev/null")):
        with written_whole(place) as part:
            part.write_bytes(b"a page")
    assert reader.communicate(timeout=60)[0] == b"a page"
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("asked", ["--version", "recipes mlp_ring", "fit --help"])
def test_an_answer_that_nobody_can_read_ends_without_a_traceback(asked: str) -> None:
    words = [*PROGRAM, *asked.split()]
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert told.returncode in (1, 2)
    assert told.stderr.count("\n") == 1
    assert "No space left on device" in told.stderr
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *words]
    told = subprocess.run(closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")


def test_a_name_that_looks_like_a_comment_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--config", "mlp_ring", "--run_name", "#3 lr", "--print_config"]
    assert main(words) == 0
    assert yaml.safe_load(capsys.readouterr().out)["run_name"] == "#3 lr"


@pytest.mark.parametrize("option", ["--lr", "--model.max_images", "--data.batch_size"])
def test_a_number_that_looks_like_a_comment_is_refused(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(capsys, "fit", "--config", "mlp_ring", f"{option}=#3", "--print_config")
    assert f"{option} #3: to YAML that is a comment; give a value." in said


def test_a_tilde_alone_is_home_only_where_a_place_is_wanted() -> None:
    words = ["--data.root=~", "~", "--run_name=~", "--model.lr=~", "--run_name=~/a", "--x=b~"]
    home = str(Path.home())
    kept = [f"--data.root={home}", home, "--run_name=~", "--model.lr=~", f"--run_name={home}/a"]
    assert at_home(words) == [*kept, "--x=b~"]


def test_texts_that_look_like_numbers_stay_texts() -> None:
    given = "--run_name 1e5 --trainer.default_root_dir=2e3 --model.max_images 1e5 --data.root 1e1"
    kept = "--run_name 1e5 --trainer.default_root_dir=2e3 --model.max_images 100000 --data.root 1e1"
    assert in_plain_form(given.split()) == kept.split()


@pytest.mark.parametrize(
    "given", ["report sweep/images=1e5", "predict --ckpt_path images=1e5", "runs 1e5"]
)
def test_places_whose_names_hold_numbers_stay_as_they_are(given: str) -> None:
    assert in_plain_form(given.split()) == given.split()


@pytest.mark.parametrize("option", ["--num_samples", "--trainer.callbacks.num_samples"])
def test_numbers_of_samples_may_be_written_as_other_numbers(option: str) -> None:
    for given in ([option, "1e4"], [f"{option}=1e4"]):
        assert in_plain_form(given) == [word.replace("1e4", "10000") for word in given]
    assert in_plain_form(["--samples", "1e4"]) == ["--samples", "1e4"]


def test_a_setting_that_a_file_has_twice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("twice.yaml").write_text("data:\n  class_path: Ring\n  batch_size: 32\n  batch_size: 48\n")
    said = complaint(capsys, "fit", "--config", "twice.yaml")
    assert "twice.yaml sets batch_size twice, in lines 3 and 4: leave one." in said
    Path("twice.yaml").write_text("data: {class_path: Ring, seed: 1, seed: 2}\n")
    said = complaint(capsys, "fit", "--config", "twice.yaml")
    assert "twice.yaml sets seed twice, in line 1: leave one." in said


@pytest.mark.parametrize("value", ["2024-13-45", "1" * 5000, "!!int abc", "!!timestamp x"])
def test_values_that_yaml_cannot_make_are_named(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("odd.yaml").write_text(f"run_name: {value}\n")
    assert "odd.yaml is not a YAML file: " in complaint(capsys, "fit", "--config", "odd.yaml")


def test_a_device_that_is_not_there_is_no_fault_of_the_file(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    for load, name in (
        (lightning_gan.pretrained, "mlp_ring"),
        (lightning_gan.load, "pretrained:mlp_ring"),
    ):
        with pytest.raises(ConfigurationError, match="The device cuda cannot be used here"):
            load(name, "cuda")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("./my", "cannot be imported"),
        ("..a", "cannot be imported"),
        ("collections.Counter", "no FeatureExtractor"),
    ],
)
def test_an_extractor_that_cannot_be_imported_is_named(name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        get_extractor(name)


def test_the_folder_of_a_run_stands_for_its_last_checkpoint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fit = ["fit", "--config", "mlp_ring", "--trainer.enable_progress_bar", "false"]
    fit += ["--trainer.limit_val_batches", "0"]
    assert main([*fit, "--model.max_images", "512"]) == 0
    folder = "runs/mlp_ring/version_0"
    assert main([*fit, "--model.max_images", "1024", "--ckpt_path", folder]) == 0
    assert json.loads(Path(folder, "run.json").read_text())["images"] == 1024
    for optimizer in ("LBFGS", "SparseAdam"):
        options = ["--model.generator_optimizer", f"torch.optim.{optimizer}"]
        said = complaint(capsys, *fit, *options)
        assert "The generator_optimizer cannot make a step here" in said


@pytest.mark.filterwarnings("ignore:Generated images leave")
def test_samples_of_another_range_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(40, 1, 28, 28, generator=random)
    few_beyond = noise.clamp(-1, 1)
    few_beyond[0, 0, 0, 0] = 3
    few_beyond[:, :, 10:14] *= 1.2  # as of a generator without a tanh
    evaluate = ["evaluate", "--data", "Digits", "--measures", "[frechet]", "--samples"]
    for name, samples in {"wide.pt": 2.5 * noise, "int8.pt": (40 * noise).char()}.items():
        torch.save(samples, name)
        assert "but samples lie in [-1, 1]: scale them" in complaint(capsys, *evaluate, name)
    torch.save(few_beyond.requires_grad_(), "few.pt")
    assert main([*evaluate, "few.pt"]) == 0
    pairs = [word.replace("frechet", "duplicates") for word in evaluate]
    assert main([*pairs, "few.pt", "--output", "/dev/null"]) == 0
    assert not [*Path("/dev").glob("null?*")]  # no pictures beside what is no file
    torch.save({"a": noise, "b": noise}, "two.pt")
    assert "no array 'images' but a, b: call the samples images" in complaint(
        capsys, *evaluate, "two.pt"
    )
    buffer = io.BytesIO()
    torch.save(noise.to("meta"), buffer)
    Path("meta.pt").write_bytes(buffer.getvalue())
    assert "give an array of real numbers" in complaint(capsys, *evaluate, "meta.pt")


def test_whole_numbers_of_a_file_may_be_written_with_an_exponent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = ["max_images: 1e5", "seed: 1e1", "ema_half_life: 2.5e3", "ema_rampup: 1e-1"]
    numbers = "\n    ".join(["model:\n  init_args:", *lines])
    Path("numbers.yaml").write_text(f"{numbers}\nrun_name: 1e5\n")  # a text stays one
    ring = ["fit", "-c", "mlp_ring", "-c", "numbers.yaml"]
    assert main([*ring, "--trainer.max_time", "00:01:30:00", "--print_config"]) == 0
    printed = capsys.readouterr().out
    found = yaml.safe_load(printed)
    given = found["model"]["init_args"]
    names = ("max_images", "seed", "ema_half_life", "ema_rampup")
    assert [given[name] for name in names] == [100_000, 10, 2500.0, 0.1]
    assert (found["run_name"], found["trainer"]["max_time"]) == ("1e5", "00:01:30:00")
    Path("again.yaml").write_text(printed)  # in which texts are texts again
    assert main(["fit", "-c", "again.yaml", "--print_config"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(("value", "other"), [("1:30", 90), ("010", 8), ("-1:0:00", -3600)])
def test_a_number_that_is_another_one_to_yaml_is_refused(
    value: str, other: int, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("odd.yaml").write_text(f"model:\n  init_args: {{max_images: {value}}}\n")
    said = complaint(capsys, "fit", "-c", "mlp_ring", "-c", "odd.yaml")
    assert f"odd.yaml has {value} in line 2, which YAML reads as {other}: write the number" in said
    if ":" in value:
        said = complaint(capsys, "fit", "-c", "mlp_ring", f"--model.max_images={value}")
        assert f"--model.max_images {value}: write a number without a colon." in said


def test_a_quoted_number_with_an_exponent_is_read_as_one_in_digits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("quoted.yaml").write_text(
        'model: {init_args: {max_images: "1e5", ema_half_life: "2.5e3", ema_rampup: "1e-1"}}\n'
        'run_name: "1e5"\ndata: {init_args: {batch_size: "1e2"}}\n'
        "trainer: {callbacks: [{class_path: SampleGrid, init_args: {rows: '1e1'}}]}\n"
    )
    ring = ["fit", "-c", "mlp_ring", "-c", "quoted.yaml", "--print_config"]
    assert main(ring) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    given = found["model"]["init_args"]
    assert [given[name] for name in ("max_images", "ema_half_life", "ema_rampup")] == [
        *(100_000, 2500.0, 0.1)
    ]
    assert (found["run_name"], found["data"]["init_args"]["batch_size"]) == ("1e5", 100)
    assert found["trainer"]["callbacks"][0]["init_args"]["rows"] == 10


@pytest.mark.parametrize("command", ["report", "table", "runs", "compare"])
def test_a_folder_may_be_called_like_a_time(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("1:30").mkdir()
    main([command, "1:30"])
    assert "write a number" not in capsys.readouterr().err


def test_a_whole_number_may_be_written_with_an_exponent_in_every_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["predict", "--pretrained", "mlp_ring", "--n", "1e1", "--output=1e1"]) == 0
    assert "10 samples" in capsys.readouterr().out
    assert Path("1e1/points.csv").is_file()
