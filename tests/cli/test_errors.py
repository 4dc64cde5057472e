"""Every mistake on the command line costs one sentence and exit code 2, and no traceback."""

from __future__ import annotations

import json
import struct
import sys
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from PIL import Image

from lightning_gan.cli import program, training
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import NonSaturating
from lightning_gan.regularizers import Penalty
from lightning_gan.training.step import Step

RING = ["fit", "--config", "mlp_ring", "--trainer.enable_progress_bar", "false"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])


def sentence(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs a command that must fail, and returns the one sentence that it says."""
    assert program.run(list(arguments)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    said = [line for line in lines if not line.startswith("Writing to ")]
    assert len(said) == 1, lines
    assert said[0].startswith("lightning-gan: error: ")
    assert said[0].endswith((".", "?"))
    return said[0].removeprefix("lightning-gan: error: ")


@pytest.mark.parametrize("ended", [True, False])
def test_a_process_beside_the_first_one_says_what_that_has_not_said(
    ended: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parents = iter([1, 1])
    monkeypatch.setattr("os.getppid", lambda: next(parents, 2 if ended else 1))
    monkeypatch.setattr(program, "PATIENCE", 0.3)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert program.run([*RING, "--lr", "-1"]) == 2
    assert capsys.readouterr().err.count("lightning-gan: error: ") == (0 if ended else 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--model.objective Hinje", "there is no Objective Hinje; did you mean Hinge?"),
        ("--data MNITS", "--data: there is no data set MNITS; did you mean MNIST?"),
        ("--model.generator MLPGenerater", "did you mean MLPGenerator?"),
        ("--model.regularizers+=R9", "R9; --model.regularizers.help lists what there is."),
        ("--trainer.callbacks+=SampleGird", "SampleGird; did you mean SampleGrid?"),
        ("--model.generator_optimizer Adamm", "did you mean Adam?"),
        ("--model.objective NonSaturating --model.objective.real_lable 0.9", "real_label?"),
        (
            "--model.generator.widht 3",
            "no option --model.generator.widht; did you mean --model.generator.width?",
        ),
        ("--model.regularizers+=R1 --model.regularizers.wieght 3", "--model.regularizers.weight?"),
        (
            "--model.regularizer R1",
            "no option --model.regularizer; did you mean --model.regularizers?",
        ),
        ("--data.batchsize 3", "no option --data.batchsize; did you mean --data.batch_size?"),
        ("--trainer.max_epoch 3", "--trainer.max_epoch; did you mean --trainer.max_epochs?"),
        ("--trainer.callbacks.rows 3", "There is no option --trainer.callbacks.rows"),
        ("--foo 3", "There is no option --foo."),
        (
            "--data.root X",
            "Ring has no option root: --data.root is for ArrayFile, CIFAR10, CIFAR100, "
            "FashionMNIST, ImageFolder, MNIST and ",  # and those that other tests have made
        ),
        ("--data.roots X", "There is no option --data.roots."),
        (
            "--model.objective Hinge --model.objective.real_label 0.9",
            "Hinge has no option real_label: --model.objective.real_label is for ",
        ),
        ("stray", "stray stands by itself"),
        ("--config", "--config needs a value."),
        ("--run_name -x", "--run_name needs a value: write --run_name=-x for one that begins"),
        ("--model.objective.a -1e-5", "--model.objective.a needs a value: write --model.obj"),
        ("--model.max_images abc", "--model.max_images takes a whole number, not abc."),
        ("--data.batch_size abc", "--data.batch_size takes a whole number, not abc."),
        ("--lr 1e300", "lr=1e+300 is larger than any number of 32 bits."),
        ("--model.generator_optimizer.lr 1e300", "GANAdam: lr=1e+300 is larger than any number"),
        ("--data.batch_size=", "--data.batch_size takes a whole number, not nothing."),
        ("--model.generator_optimizer.lr abc", "optimizer.lr takes a number, not abc."),
        ("--trainer.limit_train_batches abc", "takes a whole number or a number, not abc"),
        ("--seed_everything abc", "--seed_everything takes a whole number, not abc."),
        ("--wandb maybe", "--wandb takes off, offline, or online, not maybe."),
        ("--model.objective null", "--model.objective is missing: give it."),
        ("--data ImageFolder", "--data.root is missing: give it."),
        ("--data ImageFolder --data.root=", "ImageFolder: root is empty: give a place."),
        ("--model.max_images 0", "max_images=0 must be at least 1"),
        ("--model.max_images -5", "max_images=-5 must be at least 1"),
        ("--model.gradient_clip -1", "gradient_clip=-1.0 must be above 0"),
        ("--model.generator.latent_dim 0", "latent_dim=0 must be at least 1"),
        ("--data.batch_size 0", "Ring: batch_size=0 must be at least 1"),
        ("--trainer.max_epochs 0", "Trainer: max_epochs=0 must be at least 1"),
        ("--trainer.max_steps -7", "Trainer: max_steps=-7 must be at least 1"),
        ("--trainer.log_every_n_steps 0", "Trainer: log_every_n_steps=0 must be at least 1"),
        ("--model.max_images null", "There is no budget: give --model.max_images"),
        ("--trainer.strategy ddp", "take gan_ddp"),
        ("--trainer.strategy gan_dpp", "did you mean gan_ddp?"),
        ("--trainer.accelerator cpuu", "did you mean cpu?"),
        ("--trainer.devices many", "--trainer.devices many must be auto, a number"),
        ("--trainer.gradient_clip_val 1", "take --model.gradient_clip"),
        ("--trainer.accumulate_grad_batches 2", "take --model.accumulate"),
        ("--trainer.callbacks SampleGrid --trainer.callbacks.rows 0", "SampleGrid: rows=0"),
        (
            "--model.generator DCGANGenerator",
            "DCGANGenerator makes images, but the data are points",
        ),
        ("--data Digits --model.generator.channels 3", "--model.generator.channels is 3 but the"),
        ("--model.discriminator.num_classes 3", "num_classes=0 but the discriminator has"),
        ("--ckpt_path missing.ckpt", "There is no checkpoint at missing.ckpt: check --ckpt_path"),
    ],
)
def test_a_mistake_on_the_ring_is_answered(
    capsys: pytest.CaptureFixture[str], options: str, expected: str
) -> None:
    assert expected in sentence(capsys, *RING, *options.split())


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("--batch_size 64", "--data.batch_size"),
        ("--batch-size 64", "--data.batch_size"),
        ("--max_images 1000", "--model.max_images"),
        ("--learning_rate 1e-3", "--lr"),
        ("--epochs 3", "--trainer.max_epochs"),
        ("--gpus 2", "--trainer.devices"),
        ("--trainer.gpus 2", "--trainer.devices"),
        ("--output there", "--trainer.default_root_dir"),
        ("--seed 3", "--seed_everything"),
        ("--objective Hinge", "--model.objective"),
        ("--precision 16", "--trainer.precision"),
        ("--weight 3", "--model.regularizers.weight"),
        ("--width 3", "--model.generator.width or --model.discriminator.width"),
        ("--resume last", "--ckpt_path"),
        ("--recipe mlp_ring", "--config"),
        ("--name mine", "--run_name"),
        ("--dataset MNIST", "--data"),
        ("--model.max-images 3", "--model.max_images"),
        ("--model.batch_size 3", "--data.batch_size"),
        ("--modle.max_images 3", "--model.max_images"),
        ("mlp_rnig", "--config mlp_ring"),
    ],
)
def test_an_option_that_there_is_not_is_answered_with_the_nearest_of_all(
    capsys: pytest.CaptureFixture[str], option: str, meant: str
) -> None:
    said = sentence(capsys, *RING, *option.split())
    assert said.endswith(f"; did you mean {meant}?")
    assert option.split()[0] in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--model.regularizers R1", "is a list: write --model.regularizers+=R1 to add one"),
        ("--model.objective hinge", "--model.objective: there is no Objective hinge; did you mean"),
        ("--model.generator mlp", "no Generator mlp; --model.generator.help lists what there is"),
        ("--data mnist", "--data: there is no data set mnist; did you mean MNIST?"),
        ("--lr abc", "--lr takes a number, not abc."),
        ("--tensorboard maybe", "--tensorboard takes true or false, not maybe."),
        ("--trainer.precision bf17", "64-true, or bf16, not bf17; did you mean bf16?"),
        ("--trainer.callbacks samplegrid", "no Callback samplegrid; did you mean SampleGrid?"),
        ("--model.regularizers+=R1 --model.regularizers.weight x", "a number or Curve, not x"),
        ("mlp_ring", "mlp_ring stands by itself: write --config mlp_ring."),
        ("own.yaml", "own.yaml stands by itself: write --config own.yaml."),
    ],
)
def test_a_value_that_an_option_does_not_take_is_answered_with_what_it_takes(
    capsys: pytest.CaptureFixture[str], options: str, expected: str
) -> None:
    assert expected in sentence(capsys, *RING, *options.split())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--trainer.strategy GANStrategy --trainer.strategy.timeout_minutes 1e300", "too large"),
        (
            "--trainer.strategy GANStrategy --trainer.strategy.timeout_minutes nan",
            "--trainer.strategy.timeout_minutes does not take nan.",
        ),
        ("--seed_everything -1", "a whole number from 0 to 4,294,967,295, not -1."),
        ("--seed_everything 100000000000000000000", "not 100000000000000000000."),
        ("--seed_everything false", "not False."),
        ("--trainer.devices []", "--trainer.devices [] must be auto, a number of devices, or a"),
        ("--trainer.devices 0", "devices=0 must be at least 1"),
        ("--trainer.devices 100000000000000000000", "must be at least 1 and at most 1024"),
        ("--trainer.num_nodes 0", "num_nodes=0 must be at least 1"),
        ("--trainer.accelerator tpu", "--trainer.accelerator tpu: there is no such device here"),
        ("--trainer.devices [7] --trainer.accelerator cpu", "refuses an option of --trainer: `dev"),
        ("--trainer.precision transformer-engine", "Requirement 'transformer_engine"),
        ("--trainer.val_check_interval 0", "val_check_interval=0 must be above 0"),
        ("--trainer.val_check_interval 2.0", "must be above 0 and at most 1"),
        ("--trainer.max_time 99999999999:00:00:00", "The Trainer refuses an option of --trainer"),
        ("--trainer.callbacks 3", "--trainer.callbacks"),
        ("--trainer.limit_train_batches 0", "--trainer.limit_train_batches 0 trains nothing: leav"),
        ("--trainer.limit_train_batches 2.5", "limit_train_batches"),
        ("--trainer 3", "--trainer: "),
        ("--trainer null", "--trainer: "),
        ("--ckpt_path=", "--ckpt_path is empty: give last, best, or a checkpoint file."),
        ("--model={a:&a[*a]}", "--model has an alias inside what it repeats"),
    ],
)
def test_a_value_of_the_right_kind_that_cannot_be_is_answered(
    capsys: pytest.CaptureFixture[str], options: str, expected: str
) -> None:
    values = [option.replace(":&a[", ": &a [") for option in options.split()]
    assert expected in sentence(capsys, *RING, *values)


HELD = object()


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        ("GradientAccumulationScheduler", "--model.accumulate."),
        ("BackboneFinetuning", "FreezeD."),
        ("BatchSizeFinder", "--data.batch_size"),
        ("LearningRateFinder", "give --lr."),
        ("StochasticWeightAveraging", "--model.ema_half_life."),
        ("EMAWeightAveraging", "--model.ema_half_life."),
    ],
)
def test_a_callback_of_lightnings_that_cannot_watch_two_players_is_refused_at_the_start(
    capsys: pytest.CaptureFixture[str], callback: str, expected: str
) -> None:
    arguments = {
        "GradientAccumulationScheduler": {"scheduling": {0: 2}},
        "StochasticWeightAveraging": {"swa_lrs": 0.1},
    }
    whole = {"class_path": callback, "init_args": arguments.get(callback, {})}
    said = sentence(capsys, *RING, f"--trainer.callbacks+={json.dumps(whole)}")
    assert callback in said
    assert expected in said
    assert not Path("runs").exists()


class Holder(Callback):
    """Has a default that is no plain value."""

    def __init__(self, held: object = HELD) -> None:
        self.held = held


def test_a_setting_that_no_file_can_hold_is_refused_at_the_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = sentence(capsys, *RING, f"--trainer.callbacks+={__name__}.Holder")
    assert "object object at" in said
    assert "which no file can hold" in said
    assert not Path("runs").exists()


def test_a_callback_whose_default_is_a_choice_works() -> None:
    few = ["--model.max_images", "128", "--data.batch_size", "64"]
    timer = ["--trainer.callbacks+=Timer", "--trainer.callbacks.duration", "00:01:00:00"]
    assert program.run([*RING, *few, *timer]) == 0
    written = Path("runs/mlp_ring/version_0/config.yaml").read_text(encoding="utf-8")
    assert "interval: step" in written
    assert program.run(["fit", "-c", "runs/mlp_ring/version_0/config.yaml"]) == 0


@pytest.mark.parametrize(
    ("kind", "watched", "mend"),
    [
        ("EarlyStopping", "val/d_reel", ", or --trainer.callbacks.EarlyStopping.strict false to"),
        ("ModelCheckpoint", "gan/d_real", "."),
    ],
)
def test_a_callback_that_watches_what_is_not_logged_is_named(
    kind: str, watched: str, mend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--model.max_images", "128", "--data.batch_size", "64"]
    few += [f"--trainer.callbacks+={kind}", "--trainer.callbacks.monitor", watched]
    assert program.run([*RING, *few]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"error: The callback {kind} watches {watched}, which is not logged" in said
    assert f"such as val/d_real{mend}" in said
    assert Path("runs/mlp_ring/version_0/checkpoints/last.ckpt").is_file()


class Narrow(GAN):
    """A GAN that chooses its parts by itself."""

    def __init__(self, maps: int = 4) -> None:
        networks = MLPGenerator(2, 0, width=maps), MLPDiscriminator(2, 0, width=maps)
        super().__init__(*networks, NonSaturating())


def test_a_gan_of_ones_own_that_takes_less_than_gan_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = sentence(capsys, "fit", "--model", f"{__name__}.Narrow", "--data", "Ring")
    assert "Narrow takes no generator" in said
    assert said.endswith("from Python by lightning_gan.fit.")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trainer: null", "trainer must hold settings, not None: leave it out."),
        ("trainer: []", "trainer must hold settings, not []"),
        ("trainer: {callbacks: 3}", "--trainer.callbacks"),
        ("trainer: {devices: {}}", "--trainer.devices"),
        ("resume: null", "resume must hold settings, not None"),
        ("model: null", "--model is missing"),
        ("data: []", "--data"),
        ("data: &a [*a]", "own.yaml has an alias inside what it repeats"),
        ("model: &a {class_path: GAN, init_args: {generator: *a}}", "an alias inside what it"),
        (BOMB, "own.yaml has 490,329,064 settings"),
        ("a: " + "[" * 900 + "]" * 900, "own.yaml is nested more than 50 levels deep"),
        ("data: " + "{a: " * 60 + "1" + "}" * 60, "own.yaml is nested more than 50 levels deep"),
    ],
    ids=lambda text: text[:20],
)
def test_a_file_that_cannot_be_meant_is_answered(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "own.yaml").write_text(text)
    assert expected in sentence(capsys, *RING, "--config", "own.yaml")


def test_an_alias_that_stands_for_settings_once_more_is_read(tmp_path: Path) -> None:
    adam = "{class_path: GANAdam, init_args: {lr: 1.0e-3}}"
    (tmp_path / "own.yaml").write_text(
        f"model:\n  class_path: GAN\n  init_args:\n    generator_optimizer: &adam {adam}\n"
        "    discriminator_optimizer: *adam\n"
    )
    assert program.run([*RING, "--config", "own.yaml", "--print_config"]) == 0


@pytest.mark.parametrize("name", [".", "..", ".x", "a b"])
def test_a_module_that_cannot_be_imported_is_answered(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    said = sentence(capsys, "evaluate", "--samples", ".", "--data", "Ring", "--import", name)
    assert said.startswith(f"--import {name}: ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "evaluate --samples nowhere --data Digits",
            "--samples nowhere: there is nothing; give a folder",
        ),
        ("evaluate --ckpt_path nowhere --data Digits", "no checkpoint at nowhere: check --"),
        ("evaluate --samples .", "--data is missing: give it, as in lightning-gan evaluate"),
        ("evaluate --data Digits --root here", "no option --root; did you mean --data.root?"),
        ("evaluate --data Digits --measures fid", "a list of frechet, kernel, neighbours, vendi"),
        ("evaluate --data Digits --measures frechet", "write --measures '[frechet]'"),
        ("predict", "give either --ckpt_path FILE or --pretrained NAME"),
        ("predict runs/ring", "runs/ring stands by itself; did you mean --ckpt_path runs/ring?"),
        ("predict --ckpt_path . --samples 3", "no option --samples; did you mean --n?"),
        ("runs --format yaml", "--format takes text, markdown, csv, or json, not yaml."),
        ("table runs --metrics fid", "no option --metrics; did you mean --metric?"),
        ("table --by", "--by needs a value."),
        ("predict --ckpt_path .  --n 3", "An argument is empty: give a value, or leave it out."),
        ("predict --ckpt_path= --n 3", "--ckpt_path is empty: give a value, or leave it out."),
        ("evaluate --data Ring --samples ", "--samples is empty: give a value, or leave it out."),
        ("report ", "An argument is empty: give a value, or leave it out."),
        ("report --output=", "--output is empty: give a value, or leave it out."),
        ("report nowhere --output=lr=", "nowhere holds no run.json"),  # lr= is a name
        ("predict --ckpt_path . --label 3", "no option --label; did you mean --class?"),
        ("predict --ckpt_path . --modules x", "no option --modules; did you mean --import?"),
        ("report -x", "There is no option -x."),
        ("report -x/version_0", "-x/version_0 begins with a dash, as options do: write ./-x/v"),
        ("predict --ckpt_path -x", "needs a value: write --ckpt_path=-x for one that begins"),
        ("report", "RUNS is missing: give it, as in lightning-gan report runs/"),
    ],
)
def test_a_mistake_with_a_command_without_a_trainer_is_answered(
    capsys: pytest.CaptureFixture[str], arguments: str, expected: str
) -> None:
    assert expected in sentence(capsys, *arguments.split(" "))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("fit --config mlp_rnig", "no recipe or file mlp_rnig: did you mean mlp_ring?"),
        ("fit --config=other.yaml", "error: There is no file other.yaml: check --config."),
        ("fit -c conf/mlp_rnig.yaml", "error: There is no file conf/mlp_rnig.yaml: check -c."),
        ("fit -c mlp_rnig.yaml", "no recipe or file mlp_rnig.yaml: did you mean mlp_ring?"),
        ("fit -c other", "no recipe or file other: lightning-gan recipes lists what there is."),
        ("fit -c .", "-c . is a folder: give a file, such as the config.yaml of a run, or a recip"),
        ("fit --config=", "--config is empty: give a recipe or a file."),
        ("recipes other", "There is no recipe other: lightning-gan recipes lists what there is."),
        ("recipes mlp_rnig", "There is no recipe mlp_rnig: did you mean mlp_ring?"),
        ("fit", "--data is missing: give it, or --config NAME"),
        ("fit --data Ring", "There is no budget"),
        ("frobnicate", "no command frobnicate: there are fit, validate, test, recipes"),
        ("fti", "did you mean fit?"),
        ("fit --model.objective.help Hinje", "did you mean Hinge?"),
        ("validate --config mlp_ring", "validate measures a trained generator: give --ckpt_path"),
        ("test --config mlp_ring --ckpt_path best", "no best.ckpt below runs/mlp_ring"),
        ("fit --config lsgan_mnist --model.regularizers+=GradientPenalty", "batch norm"),
        ("fit --config lsgan_mnist --model.objective RelativisticPairing", "batch norm"),
        ("fit --config lsgan_mnist --model.objective Wasserstein", "needs a critic of bounded"),
        ("fit --config dcgan_digits --data.image_size 30", "30"),
    ],
)
def test_a_mistaken_command_is_answered(
    capsys: pytest.CaptureFixture[str], arguments: str, expected: str
) -> None:
    assert expected in f"error: {sentence(capsys, *arguments.split())}"


def test_a_mistake_in_a_configuration_file_is_answered(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "data: Ring\nmodel:\n  class_path: GAN\n  init_args:\n    generator:\n"
        "      class_path: MLPGenerator\n      init_args: {widht: 3}\n"
    )
    said = sentence(capsys, "fit", "--config", str(path))
    assert "no option --model.generator.widht; did you mean --model.generator.width?" in said


def test_a_file_that_is_no_configuration_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("model: [unclosed\n")
    assert "own.yaml" in sentence(capsys, "fit", "--config", str(path))


def test_data_that_cannot_be_downloaded_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any, **__: Any) -> NoReturn:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    said = sentence(capsys, "fit", "--config", "lsgan_mnist")
    assert "mnist" in said
    assert "connect to the network" in said


def test_a_truncated_data_file_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        head = struct.pack(">IIII", 0x803, 10, 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(head + b"\0" * 100)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 10) + bytes(10))
    said = sentence(capsys, "fit", "--config", "lsgan_mnist")
    assert "train-images-idx3-ubyte' is damaged" in said


def folder_of_pictures(root: Path, count: int = 40) -> Path:
    root.mkdir()
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{index:02d}.png")
    return root


FOLDER = "fit --data ImageFolder --data.root pictures --data.image_size 32 --model.max_images 64"


def test_a_folder_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'pictures' does not exist" in sentence(capsys, *FOLDER.split())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("ImageFolder --data.image_size 32", "'nosuch' does not exist"),
        ("ArrayFile", "'nosuch'"),
        ("MNIST --data.download false", "'nosuch/MNIST/raw/train-images-idx3-ubyte' is missing"),
        ("CIFAR10 --data.download false", "'nosuch/cifar-10-batches-py/data_batch_1' is missing"),
        ("StackedMNIST --data.download false", "'nosuch/MNIST/raw/"),
    ],
)
def test_data_that_are_not_there_are_missed_before_a_folder_is_made(
    data: str, expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: Any) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(training, "curve_of", too_late)
    words = ["fit", "--data", *data.split(), "--data.root", "nosuch", "--model.max_images", "64"]
    assert expected in sentence(capsys, *words)


def test_an_empty_folder_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    assert "no picture in 'pictures'" in sentence(capsys, *FOLDER.split())


def test_a_picture_that_cannot_be_read_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = folder_of_pictures(tmp_path / "pictures")
    (root / "07.png").write_bytes(b"no picture")
    assert "07.png' cannot be read" in sentence(capsys, *FOLDER.split())


def test_a_size_that_the_networks_cannot_make_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder_of_pictures(tmp_path / "pictures")
    said = sentence(capsys, *FOLDER.split(), "--data.image_size", "30")
    assert "30" in said
    assert "28" in said or "32" in said


@pytest.fixture
def checkpoint(capsys: pytest.CaptureFixture[str]) -> Path:
    """The checkpoint of a short run on the ring."""
    assert program.run([*RING, "--model.max_images", "512"]) == 0
    capsys.readouterr()
    return Path("runs/mlp_ring/version_0/checkpoints/last.ckpt")


def test_a_checkpoint_of_another_architecture_is_refused(
    capsys: pytest.CaptureFixture[str], checkpoint: Path
) -> None:
    said = sentence(capsys, *RING, "--ckpt_path", str(checkpoint), "--model.generator.width", "64")
    assert "width=128 instead of 64" in said


@pytest.mark.parametrize("content", ["damaged", "foreign", "text"])
def test_a_checkpoint_that_is_none_is_refused(
    capsys: pytest.CaptureFixture[str], checkpoint: Path, content: str
) -> None:
    if content == "damaged":
        checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    elif content == "text":
        checkpoint.write_text("no checkpoint")
    else:
        torch.save({"state_dict": {}, "pytorch-lightning_version": "2.6.6"}, checkpoint)
    for command in (["predict"], RING):
        said = sentence(capsys, *command, "--ckpt_path", str(checkpoint))
        assert "checkpoint" in said


def test_another_checkpoint_is_named_and_what_is_none_is_told_apart(
    capsys: pytest.CaptureFixture[str], checkpoint: Path
) -> None:
    whole = checkpoint.read_bytes()
    checkpoint.with_name("healthy.ckpt").write_bytes(whole)
    checkpoint.with_name("best.ckpt").unlink(missing_ok=True)
    checkpoint.write_bytes(whole[:5000])
    said = sentence(capsys, *RING, "--ckpt_path", "last")
    assert "or holds more than plain data: take another checkpoint of the run, such as " in said
    assert said.endswith("healthy.ckpt beside it.")
    record = checkpoint.parents[1] / "run.json"
    assert f"{record} is no checkpoint" in sentence(capsys, "predict", "--ckpt_path", str(record))
    torch.save({"weights": 1}, "other.pt")
    for command in (["predict"], RING, ["test", *RING[1:]]):
        said = sentence(capsys, *command, "--ckpt_path", "other.pt")
        assert "other.pt was not written by lightning-gan" in said
    checkpoint.unlink()
    checkpoint.mkdir()
    said = sentence(capsys, *RING, "--ckpt_path", "last")
    assert f"{checkpoint} is a folder, and no checkpoint" in said


class Exploding(Penalty):
    """Is not a number from the 21st batch of 256 samples on."""

    def __init__(self) -> None:
        super().__init__()
        self.updates = 0

    def discriminator_term(self, step: Step) -> torch.Tensor:
        self.updates += 1
        return step.real_logits.mean() * (float("nan") if self.updates > 20 else 0.0)


def test_a_diverging_run_names_itself_the_step_and_the_mend(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--model.regularizers+=Exploding", "--trainer.log_every_n_steps", "5"]
    every = ["--trainer.callbacks+=LastCheckpoint", "--trainer.callbacks.every_minutes", "1e-9"]
    said = sentence(capsys, *RING, *options, *every, "--model.max_images", "100000")
    assert said.startswith("mlp_ring: ")
    assert "not finite after" in said
    assert "lower the learning rates" in said
    saved = torch.load("runs/mlp_ring/version_0/checkpoints/last.ckpt", weights_only=True)
    assert saved["lightning_gan"]["progress"]["images"] == 5120
    assert all(torch.isfinite(value).all() for value in saved["state_dict"].values())


def test_ctrl_c_outside_of_the_training_has_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(training.CLI, "before_instantiate_classes", interrupted)
    assert program.run(RING) == 130
    assert "Stopped by a signal" in capsys.readouterr().err


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> NoReturn:
        raise KeyError("a defect")

    monkeypatch.setattr(training.CLI, "before_instantiate_classes", broken)
    with pytest.raises(KeyError, match="a defect"):
        program.run(RING)
