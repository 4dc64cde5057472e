"""Every recipe is a complete run: it trains, saves, is loaded again and sampled from."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from resuming_recipes import representatives

import lightning_gan
from lightning_gan.checkpoints.parts import describe
from lightning_gan.cli import program, training
from lightning_gan.cli.usage import program_help
from lightning_gan.datamodules import CIFAR10, MNIST, ImageFolder, RealData, Split
from lightning_gan.recipes import recipe_file, recipe_names
from lightning_gan.training.schedule import PLAYERS, PerBatch
from scripts.recipe_table import assembled

NAMES = recipe_names()
WHOLE = {*representatives(), *(name for name in NAMES if not name.endswith("_cifar10"))}
MOST_DAILY = [
    pytest.param(name, marks=() if name in WHOLE else pytest.mark.weekly) for name in NAMES
]

# Recipes train at full size, but for those that would take some 6 seconds or more of one core:
# these have narrower layers, and nothing else changed. Their full size is built without numbers in
# test_recipe_table.py, and counted.
BIGGAN = "--model.generator.width 8 --model.discriminator.width 8"
NARROW = "--model.generator.width 64 --model.discriminator.width 32"
STYLEGAN2 = "--model.generator.max_width 32 --model.discriminator.max_width 32"
R3GAN = "--model.generator.widths [32,32,32,32] --model.discriminator.widths [32,32,32,32]"
SHRUNK = {
    "acgan_cifar10": NARROW,
    "adc_cifar10": BIGGAN,
    "biggan_cifar10": BIGGAN,
    "biggan_cr_cifar10": BIGGAN,
    "biggan_deep_cifar10": BIGGAN,
    "biggan_diffaugment_cifar10": BIGGAN,
    "biggan_icr_cifar10": BIGGAN,
    "biggan_lecam_cifar10": BIGGAN,
    "contragan_cifar10": BIGGAN,
    "dragan_cifar10": NARROW,
    "fastgan_folder": f"{BIGGAN} --data.image_size 64",
    "logan_cifar10": NARROW,
    "mhgan_cifar10": BIGGAN,
    "r3gan_cifar10": R3GAN,
    "reacgan_cifar10": BIGGAN,
    "ssgan_cifar10": NARROW,
    "stylegan2_ada_cifar10": f"{STYLEGAN2} --model.discriminator.minibatch_std 4",
    "stylegan2_cifar10": f"{STYLEGAN2} --model.discriminator.minibatch_std 4",
    "tac_cifar10": NARROW,
}
BATCH = 4
"""Samples in a batch, which packs and groups must divide."""


def noise(self: RealData) -> dict[str, Split]:
    """Random splits of the right shape in place of files."""
    shape = (160, self.channels, self.image_size, self.image_size)
    images = torch.randint(256, shape, dtype=torch.uint8)
    split = Split(images, torch.arange(160) % max(self.num_classes, 1))
    return dict.fromkeys(("train", "val", "test"), split)


@pytest.fixture(autouse=True)
def _made_up_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    for data in (MNIST, CIFAR10, ImageFolder):
        monkeypatch.setattr(data, "read_splits", noise)
        for look in ("check_place", "prepare_data"):
            monkeypatch.setattr(data, look, lambda self: None)


def options_of(name: str) -> dict[str, str]:
    """What a recipe is changed by: as few updates and as small a size as will do."""
    words = SHRUNK.get(name, "").split()
    options = dict(zip(words[::2], words[1::2], strict=True))
    if "discriminator_updates:" in recipe_file(name).read_text(encoding="utf-8"):
        options["--model.alternation.discriminator_updates"] = "1"  # so that both players move
    return options


@pytest.mark.parametrize("name", MOST_DAILY)
def test_a_recipe_trains_and_comes_back_from_its_checkpoint(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = SimpleNamespace(cli=None)
    monkeypatch.setattr(training.CLI, "after_fit", lambda self: setattr(kept, "cli", self))
    short = "--trainer.limit_train_batches 2 --trainer.max_epochs 1 --trainer.limit_val_batches 0"
    quiet = "--trainer.enable_progress_bar false --trainer.accelerator cpu"
    options = options_of(name) | {"--data.batch_size": str(BATCH)}
    words = [word for pair in options.items() for word in pair]
    assert program.run(["fit", "--config", name, *short.split(), *quiet.split(), *words]) == 0
    trained, data = kept.cli.model, kept.cli.datamodule
    assert trained.progress.images == 2 * BATCH
    assert isinstance(trained.alternation, PerBatch)
    fresh = trained.alternation.fresh_reals  # the second batch is then the generator's
    assert trained.progress.updates("discriminator") == (1 if fresh else 2)
    moves = trained.alternation.generator_updates
    assert trained.progress.updates("generator") == (1 if fresh else 2 * moves)
    gan = lightning_gan.load(f"runs/{name}/version_0/checkpoints/last.ckpt")
    for ours, theirs in zip(gan.parameters(), trained.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    shape = (3, 2) if data.image_size == 0 else (3, data.channels, data.image_size, data.image_size)
    assert gan.sample(3).shape == shape
    assert torch.isfinite(gan.sample(3)).all()
    assert_parts_are_the_files(name, trained)


def assert_parts_are_the_files(name: str, trained: Any) -> None:
    """What a file leaves out is the part's own default, not that of another network."""
    for key, part in assembled(name).items():
        found, meant = describe(getattr(trained, key)), describe(part)
        for option in options_of(name):
            for description in (found, meant) if key in PLAYERS else ():
                remove(description, option.split(".")[1:], key)
        if "--data.image_size" in options_of(name) and key in PLAYERS:
            found["init_args"]["image_size"] = meant["init_args"]["image_size"]
        assert found == meant, f"{name}: {key}"


def remove(description: dict[str, Any], path: list[str], key: str) -> None:
    """Takes out an argument that was changed."""
    if path[0] == key:
        description["init_args"].pop(path[1])


def test_no_recipe_is_shrunk_that_is_not_there() -> None:
    assert SHRUNK.keys() <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_says_what_it_is_and_cites_a_paper(name: str) -> None:
    lines = recipe_file(name).read_text(encoding="utf-8").splitlines()
    header = [line for line in lines if line.startswith("#")]
    assert lines[0].startswith("# ")
    assert not lines[0].endswith(".")
    assert lines[0].lstrip("# ") in program_help()
    assert re.search(r"[A-Z]\w+.* (19|20)\d\d", " ".join(header[1:]))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_a_budget_in_images(name: str) -> None:
    assert re.search(r"^    max_images: \d+", recipe_file(name).read_text(), re.MULTILINE)
