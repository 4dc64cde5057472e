"""Small versions of recipes that are stopped and go on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from resuming import BATCH, EPOCH, bits, differences

from lightning_gan.cli import program, training
from lightning_gan.datamodules import CIFAR10, MNIST, ImageFolder, RealData, Split
from lightning_gan.datamodules.mixtures import Mixture
from lightning_gan.recipes import recipe_names
from scripts.recipe_table import KINDS, data_of, settings_of

SMALL = {
    "Autoencoder": {"width": "4", "code_dim": "4"},
    "BEGAN": {"width": "4"},
    "BigGAN": {"width": "2"},
    "BigGANDeep": {"width": "4"},
    "Conv": {"width": "4"},
    "DCGAN": {"width": "4"},
    "FastGAN": {"width": "4"},
    "MLP": {"width": "8"},
    "MLPAutoencoder": {"width": "8", "code_dim": "4"},
    "R3GAN": {"group_size": "4"},
    "ResNet": {"width": "8"},
    "SNDCGAN": {"width": "4"},
    "StyleGAN2": {"width": "4", "max_width": "8"},
}
"""What makes the networks of a family small; R3GAN's number of widths depends on the image."""


FEW_FIRST = ["Ring", "Grid", "Digits", "MNIST", "StackedMNIST", "CIFAR10", "ImageFolder"]
"""Kinds of data, the smallest first."""


def made_up(self: RealData) -> dict[str, Split]:
    """Eight batches of random samples of the right shape in place of files."""
    count = BATCH * EPOCH
    random = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % max(self.num_classes, 1)
    if self.image_size == 0:
        points = torch.randn(count, 2, generator=random)
        return dict.fromkeys(("train", "val", "test"), Split(points, labels))
    shape = (count, self.channels, self.image_size, self.image_size)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=random)
    return dict.fromkeys(("train", "val", "test"), Split(images, labels))


def parts_in(setting: Any) -> set[str]:
    """The classes of all parts that the settings of a recipe name."""
    if isinstance(setting, dict):
        return set().union(*map(parts_in, setting.values()))
    if isinstance(setting, list):
        return set().union(*map(parts_in, setting))
    return {setting} if isinstance(setting, str) and setting in KINDS else set()


def representatives() -> list[str]:
    """Recipes in which every part that occurs in any recipe is resumed at least once.

    A run resumes bit for bit or not by its parts: networks, objectives, regularizers,
    augmentations, priors, alternations and curves. So from the smallest data to the largest those
    recipes are taken, the one with the most new parts first, that have a part which none taken
    before has. All that keep a state are among them, for each has a class of its own.
    """
    parts = {name: parts_in(settings_of(name)) for name in recipe_names()}
    taken: list[str] = []
    for data in FEW_FIRST:
        names = [name for name in recipe_names() if data_of(name) == data]
        while names:
            known = set().union(*(parts[name] for name in taken))
            best = max(names, key=lambda name: len(parts[name] - known))
            if parts[best] <= known:
                break
            taken.append(best)
    return taken


def shrunken(name: str) -> list[str]:
    """Options that make a recipe small."""
    words = []
    for player in ("generator", "discriminator"):
        option, setting = f"--model.{player}", settings_of(name)["model"]["init_args"][player]
        while "discriminator" in setting["init_args"]:
            option, setting = f"{option}.discriminator", setting["init_args"]["discriminator"]
        kind = setting["class_path"].removesuffix("Generator").removesuffix("Discriminator")
        small = dict(SMALL[kind])
        if kind == "R3GAN":
            small["widths"] = str([8] * len(setting["init_args"]["widths"])).replace(" ", "")
        if setting["init_args"].get("minibatch_std", 0) > BATCH:
            small["minibatch_std"] = str(BATCH)
        words += [word for key, value in small.items() for word in (f"{option}.{key}", value)]
    return words


@pytest.fixture
def _no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    for data in (MNIST, CIFAR10, ImageFolder, Mixture):
        monkeypatch.setattr(data, "read_splits", made_up)
        monkeypatch.setattr(data, "prepare_data", lambda self: None)
    monkeypatch.setattr(training.CLI, "after_fit", lambda self: None)


def assert_resumes(name: str, accelerator: str, *more_options: str) -> None:
    """A small version of a recipe ends in the same bits, stopped twice or not at all."""
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", accelerator]
    options = [*quiet, "--data.batch_size", str(BATCH), "--trainer.limit_val_batches", "0"]
    options += more_options
    if data_of(name) in ("Digits", "StackedMNIST"):  # real digits, or many triples of few
        options += ["--trainer.limit_train_batches", str(EPOCH)]

    def run(folder: str, batches: int, *more: str) -> Path:
        budget = ["--model.max_images", str(batches * BATCH)]
        place = ["--trainer.default_root_dir", folder]
        arguments = ["fit", "--config", name, *shrunken(name), *options, *budget, *place, *more]
        assert program.run(arguments) == 0
        return Path(folder, "version_0", "checkpoints", "last.ckpt")

    straight = bits(run("straight", 20))
    for seed, batches in enumerate((5, 8, 20)):
        torch.manual_seed(seed)  # whatever the process drew before does not matter
        stopped = run("stopped", batches, "--ckpt_path", "last")
    assert differences(straight, bits(stopped)) == []
    assert straight["lightning_gan"]["progress"]["images"] == 20 * BATCH
