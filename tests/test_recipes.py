"""Every recipe is a complete run: it is built at full size, trained, saved and loaded again."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import lightning_gan
from datamodules import CIFAR10, CIFAR100, MNIST, RealData, Split
from lightning_gan import cli
from lightning_gan.__main__ import RECIPES, recipe_names, usage

NAMES = recipe_names()


def noise_of(data: type[RealData]) -> Callable[[RealData], dict[str, Split]]:
    """Random splits of the right shape in place of files."""

    def read_splits(self: RealData) -> dict[str, Split]:
        shape = (160, data.channels, data.image_size, data.image_size)
        images = torch.randint(256, shape, dtype=torch.uint8)
        split = Split(images, torch.arange(160) % data.num_classes)
        return dict.fromkeys(("train", "val", "test"), split)

    return read_splits


@pytest.fixture(autouse=True)
def _made_up_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    for data in (MNIST, CIFAR10, CIFAR100):
        monkeypatch.setattr(data, "read_splits", noise_of(data))
        monkeypatch.setattr(data, "prepare_data", lambda self: None)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_trains_and_comes_back_from_its_checkpoint(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = SimpleNamespace(cli=None)
    monkeypatch.setattr(cli.CLI, "after_fit", lambda self: setattr(kept, "cli", self))
    short = "--trainer.limit_train_batches 2 --trainer.max_epochs 1 --trainer.limit_val_batches 0"
    quiet = "--trainer.enable_progress_bar false --trainer.accelerator cpu --data.batch_size 4"
    assert cli.run(["fit", "--config", name, *short.split(), *quiet.split()]) == 0
    trained, data = kept.cli.model, kept.cli.datamodule
    assert trained.progress.images == 8
    gan = lightning_gan.load(f"runs/{name}/version_0/checkpoints/last.ckpt")
    for ours, theirs in zip(gan.parameters(), trained.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    shape = (3, 2) if data.image_size == 0 else (3, data.channels, data.image_size, data.image_size)
    assert gan.sample(3).shape == shape
    assert torch.isfinite(gan.sample(3)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_says_what_it_is_and_cites_a_paper(name: str) -> None:
    lines = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    header = [line for line in lines if line.startswith("#")]
    assert lines[0].startswith("# ")
    assert not lines[0].endswith(".")
    assert lines[0].lstrip("# ") in usage()
    assert re.search(r"[A-Z]\w+.* (19|20)\d\d", " ".join(header[1:]))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_a_budget_in_images(name: str) -> None:
    assert re.search(r"^    max_images: \d+", (RECIPES / f"{name}.yaml").read_text(), re.MULTILINE)
