"""Whatever a regularizer holds goes on with a checkpoint, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from resuming import bits, differences
from tiny import Pictures, Points, distance, quiet_trainer, weights
from zoo import own, with_regularizer

from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.gan import GAN
from lightning_gan.regularizers import (
    R1,
    R2,
    ConditionalContrastive,
    DataToDataCrossEntropy,
    FreezeD,
    HistoricalAveraging,
    LeCam,
    OrthogonalRegularization,
    PathLength,
    Regularizer,
    SpectralNormalization,
)
from lightning_gan.training.game import Game

KINDS = own(Regularizer)
ARGUMENTS: dict[type[Any], dict[str, Any]] = {
    ConditionalContrastive: {"embedding_dim": 5},
    DataToDataCrossEntropy: {"embedding_dim": 5},
    FreezeD: {"layers": 1},
    LeCam: {"start": 2, "decay": 0.9},
    OrthogonalRegularization: {"weight": 0.1, "discriminator": True},
    PathLength: {"every": 2, "decay": 0.1},
    R1: {"every": 3},
    R2: {"difference": 0.01},
    SpectralNormalization: {"generator": True},
}
"""So that state has had an effect after 3 batches, and has one after 6."""
STATES = {
    LeCam: {"mean_real", "mean_fake", "updates"},
    PathLength: {"mean_length"},
    HistoricalAveraging: {"counts"},
}


def model(kind: type[Regularizer]) -> GAN:
    return with_regularizer(kind(**ARGUMENTS.get(kind, {})))


def train(kind: type[Regularizer], folder: Path, batches: int, resume: bool = False) -> GAN:
    gan = model(kind)
    gan.max_images = batches * 8
    data = Pictures(8) if gan.generator.image_size else Points(8)
    path = folder / "checkpoints" / "last.ckpt"
    trainer = quiet_trainer(folder, callbacks=[LastCheckpoint()])
    trainer.fit(gan, data, ckpt_path=path if resume else None, weights_only=True)
    assert gan.progress.batches == batches
    return gan


@pytest.mark.parametrize("kind", KINDS)
def test_a_regularizer_goes_on_bit_for_bit_from_a_checkpoint(
    kind: type[Regularizer], tmp_path: Path
) -> None:
    train(kind, tmp_path / "straight", 6)
    train(kind, tmp_path / "stopped", 3)
    torch.manual_seed(9)  # whatever the process drew before does not matter
    train(kind, tmp_path / "stopped", 6, resume=True)
    straight, stopped = (
        bits(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("straight", "stopped")
    )
    assert differences(straight, stopped) == []
    assert all(torch.isfinite(value).all() for value in straight["state_dict"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_regularizer_changes_the_training(kind: type[Regularizer], tmp_path: Path) -> None:
    with_it = train(kind, tmp_path / "with", 3)
    gan = model(kind)
    gan.game = Game(replace(gan.game.parts, regularizers=[]), gan.game.seeds.seed)
    gan.max_images = 24
    data = Pictures(8) if gan.generator.image_size else Points(8)
    if kind not in (FreezeD, SpectralNormalization):  # those have changed the networks
        quiet_trainer(tmp_path).fit(gan, data)
        changed = [
            player
            for player in ("generator", "discriminator")
            if distance(weights(getattr(with_it, player)), weights(getattr(gan, player))) > 0
        ]
        assert changed
    assert STATES.get(kind, set()) <= {name for name, _ in with_it.regularizers[0].named_buffers()}


@pytest.mark.parametrize("kind", STATES)
def test_state_that_is_lost_shows(kind: type[Regularizer], tmp_path: Path) -> None:
    train(kind, tmp_path / "straight", 6)
    train(kind, tmp_path / "stopped", 3)
    path = tmp_path / "stopped" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    for name, value in checkpoint["state_dict"].items():
        if name.startswith("regularizers."):
            value.zero_()
    torch.save(checkpoint, path)
    train(kind, tmp_path / "stopped", 6, resume=True)
    straight, stopped = (
        bits(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("straight", "stopped")
    )
    changed = [name for name in differences(straight, stopped) if "/state_dict/" in name]
    assert any("regularizers" not in name for name in changed)
