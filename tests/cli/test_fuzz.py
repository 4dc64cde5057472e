"""Five hundred broken inputs: each ends in one sentence or works, and none hangs.

Mutations are drawn from seeds (see fuzzing.py), so that a failure names the seed that repeats it.
"""

from __future__ import annotations

import copy
import io
import random
import shutil
import signal
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from fuzzing import JUNK, broken, called, is_sentence, mutate, survey
from PIL import Image
from tiny import points_gan, quiet_trainer

from lightning_gan.cli import program
from lightning_gan.datamodules import CIFAR10, MNIST, ImageFolder, RealData, Ring
from lightning_gan.errors import ConfigurationError, DataError, WeightsError
from lightning_gan.gan import GAN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="there is no alarm to set"),
    pytest.mark.filterwarnings("ignore"),  # Pillow's and Lightning's, on what is broken here
]


def command(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str | None:
    """The same for a command line."""
    codes: list[int] = []
    fault = called(lambda: codes.append(program.run(arguments)))
    said = capsys.readouterr().err.strip().splitlines()
    if fault is not None or codes == [0]:
        return fault
    errors = [line for line in said if line.startswith("lightning-gan: error: ")]
    if codes != [2] or len(errors) != 1 or not is_sentence(errors[0]):
        return f"exit code {codes}: {said[-3:]}"
    return ""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])


# ------------------------------------------------------------------------ configurations

SETTINGS: dict[str, Any] = {
    "seed_everything": 0,
    "data": {"class_path": "Ring", "init_args": {"batch_size": 8, "seed": 0}},
    "model": {
        "class_path": "GAN",
        "init_args": {
            "generator": {"class_path": "MLPGenerator", "init_args": {"width": 8, "depth": 2}},
            "discriminator": {"class_path": "MLPDiscriminator", "init_args": {"width": 8}},
            "objective": {"class_path": "NonSaturating", "init_args": {"real_label": 0.9}},
            "regularizers": [{"class_path": "R1", "init_args": {"weight": 0.1, "every": 2}}],
            "alternation": {"class_path": "PerBatch", "init_args": {"discriminator_updates": 1}},
            "augmentation": {
                "class_path": "InstanceNoise",
                "init_args": {
                    "sigma": {
                        "class_path": "LinearCurve",
                        "init_args": {"start": 0.1, "end": 0, "images": 100},
                    }
                },
            },
            "generator_optimizer": {"class_path": "GANAdam", "init_args": {"lr": 1e-4}},
            "ema_half_life": 100,
            "gradient_clip": 1.0,
            "accumulate": 1,
            "max_images": 16,
        },
    },
    "trainer": {
        "fast_dev_run": True,
        "max_time": "00:00:00:05",
        "log_every_n_steps": 1,
        "callbacks": [{"class_path": "SampleGrid", "init_args": {"rows": 2, "columns": 2}}],
    },
}
FIXED = ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]


def test_a_configuration_of_wrong_keys_values_and_structures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def case(random: random.Random) -> tuple[str, str | None]:
        settings = copy.deepcopy(SETTINGS)
        tried = [mutate(settings, random, JUNK) for _ in range(random.choice([1, 1, 2]))]
        text = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False)
        (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
        return ", ".join(tried), command(capsys, ["fit", "--config", "own.yaml", *FIXED])

    assert program.run(["fit", "--print_config"]) == 0
    survey(110, case)


def test_a_configuration_file_that_is_damaged(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = yaml.safe_dump(SETTINGS, sort_keys=False).encode()

    def case(random: random.Random) -> tuple[str, str | None]:
        kind, content = broken(text, random)
        (tmp_path / "own.yaml").write_bytes(content)
        return kind, command(capsys, ["fit", "--config", "own.yaml", *FIXED])

    survey(40, case)


def test_a_command_line_of_misspelt_and_misplaced_words(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--data Ring --data.batch_size 8 --model.max_images 16 --model.objective Hinge"
    words += " --model.regularizers+=R1 --model.regularizers.weight 2 --model.accumulate 2"
    words += " --trainer.fast_dev_run true --trainer.max_time 00:00:00:05 --seed_everything 1"

    def case(random: random.Random) -> tuple[str, str | None]:
        arguments = words.split()
        index = random.randrange(len(arguments))
        kind = random.choice(["delete", "double", "swap", "misspell", "junk"])
        if kind == "delete":
            del arguments[index]
        elif kind == "double":
            arguments.insert(index, arguments[index])
        elif kind == "swap":
            other = random.randrange(len(arguments))
            arguments[index], arguments[other] = arguments[other], arguments[index]
        elif kind == "misspell":
            letters = list(arguments[index])
            letters[random.randrange(len(letters))] = random.choice("abc.=+-0[{\"' ")
            arguments[index] = "".join(letters)
        else:
            arguments[index] = str(random.choice(JUNK))
        whole = [random.choice(["fit"] * 9 + ["test"]), *arguments, *FIXED]
        return " ".join(whole[:-4]), command(capsys, whole)

    survey(60, case)


# --------------------------------------------------------------------------- checkpoints


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint of a short run, with all that resuming needs."""
    path = tmp_path_factory.mktemp("whole") / "last.ckpt"
    gan = points_gan(max_images=32)
    trainer = quiet_trainer(path.parent)
    trainer.fit(gan, Ring(8))
    trainer.save_checkpoint(path)
    return path.read_bytes()


def altered(checkpoint: bytes, random: random.Random) -> tuple[str, bytes]:
    """A checkpoint with damaged bytes, or with whole bytes of something wrong."""
    if random.random() < 0.5:
        return broken(checkpoint, random)
    content = torch.load(io.BytesIO(checkpoint), weights_only=True)
    junk = [*JUNK, torch.ones(3), torch.full((8, 2), torch.nan)]
    part = random.choice([content, content["lightning_gan"], content["state_dict"]])
    tried = mutate(part, random, junk)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return tried, buffer.getvalue()


def test_a_checkpoint_that_is_loaded(checkpoint: bytes, tmp_path: Path) -> None:
    def case(random: random.Random) -> tuple[str, str | None]:
        tried, content = altered(checkpoint, random)
        path = tmp_path / "broken.ckpt"
        path.write_bytes(content)
        return tried, called(
            lambda: GAN.load_from_checkpoint(path).sample(3), WeightsError, ConfigurationError
        )

    survey(120, case)


def test_a_checkpoint_that_training_goes_on_from(
    capsys: pytest.CaptureFixture[str], checkpoint: bytes, tmp_path: Path
) -> None:
    sizes = "--model.generator.width 8 --model.generator.depth 2 --model.discriminator.width 8"
    fit = f"fit --data Ring --data.batch_size 8 {sizes} --model.discriminator.depth 2"
    fit += " --model.max_images 64 --trainer.limit_val_batches 0 --trainer.fast_dev_run true"

    def case(random: random.Random) -> tuple[str, str | None]:
        tried, content = altered(checkpoint, random)
        (tmp_path / "broken.ckpt").write_bytes(content)
        arguments = [*fit.split(), *FIXED, "--ckpt_path", "broken.ckpt"]
        return tried, command(capsys, arguments)

    (tmp_path / "broken.ckpt").write_bytes(checkpoint)
    assert command(capsys, [*fit.split(), *FIXED, "--ckpt_path", "broken.ckpt"]) is None
    survey(50, case)


# ---------------------------------------------------------------------------------- data


def used(data: RealData) -> None:
    """Reads all splits and a batch of each, as a training does."""
    data.prepare_data()
    data.setup()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        images, labels = next(iter(loader))
        assert images.abs().max() <= 1
        assert not data.num_classes or labels.max() < data.num_classes


def break_one(paths: list[Path], random: random.Random) -> str:
    path = random.choice(paths)
    if random.random() < 0.1:
        path.unlink()
        return f"{path.name} missing"
    kind, content = broken(path.read_bytes(), random)
    path.write_bytes(content)
    return f"{kind} {path.name}"


def test_files_of_mnist(tmp_path: Path) -> None:
    whole = tmp_path / "whole" / "MNIST" / "raw"
    whole.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 12)):
        pixels = np.random.default_rng(0).integers(0, 256, count * 784, dtype=np.uint8).tobytes()
        head = struct.pack(">IIII", 0x803, count, 28, 28)
        (whole / f"{part}-images-idx3-ubyte").write_bytes(head + pixels)
        labels = bytes(index % 10 for index in range(count))
        head = struct.pack(">II", 0x801, count)
        (whole / f"{part}-labels-idx1-ubyte").write_bytes(head + labels)

    def case(random: random.Random) -> tuple[str, str | None]:
        shutil.rmtree(tmp_path / "MNIST", ignore_errors=True)
        shutil.copytree(whole.parent, tmp_path / "MNIST")
        tried = break_one(sorted((tmp_path / "MNIST" / "raw").iterdir()), random)
        data = MNIST(str(tmp_path), batch_size=4, val_size=8, download=False)
        return tried, called(lambda: used(data), DataError)

    survey(50, case)


def test_files_of_cifar(tmp_path: Path) -> None:
    def case(random: random.Random) -> tuple[str, str | None]:
        folder = tmp_path / "cifar-10-batches-py"
        folder.mkdir(exist_ok=True)
        for name in ("data_batch_1", "test_batch"):
            (folder / name).write_bytes(random.randbytes(random.choice([0, 10, 5000])))
        return "noise", called(lambda: used(CIFAR10(str(tmp_path), download=False)), DataError)

    survey(10, case)


def test_pictures_and_their_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = tmp_path / "pictures", tmp_path / "pictures-cache"
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(cache))
    whole = tmp_path / "whole"
    whole.mkdir()
    for index, ending in enumerate(["png", "jpg", "gif", "bmp", "webp", "tiff", "ppm"] * 3):
        pixels = np.random.default_rng(index).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(whole / f"{index}.{ending}")

    def data() -> RealData:
        return ImageFolder(str(root), image_size=8, batch_size=4)

    def case(random: random.Random) -> tuple[str, str | None]:
        for folder in (root, cache):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, root)
        if random.random() < 0.2:
            used(data())
            tried = break_one(list(cache.iterdir()), random)
        else:
            tried = break_one(sorted(root.iterdir()), random)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tried, called(lambda: used(data()), DataError)

    survey(80, case)
