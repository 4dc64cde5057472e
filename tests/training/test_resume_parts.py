"""Every part goes on from a checkpoint bit for bit, with whatever state it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import Pictures, Points, quiet_trainer
from torch import Tensor
from zoo import examples

from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.gan import GAN

EXAMPLES = examples()
BATCH, HALF, WHOLE = 8, 5, 10
"""Batches: adaptive augmentation moves p at every fourth update, so after 4 and after 8."""


def train(gan: GAN, folder: Path, batches: int, resume: Path | None = None) -> Path:
    """Trains until so many batches have been seen in all; returns the checkpoint."""
    gan.max_images = batches * BATCH
    trainer = quiet_trainer(folder, callbacks=[LastCheckpoint()])
    data = Pictures(BATCH) if gan.generator.image_size else Points(BATCH)
    trainer.fit(gan, data, ckpt_path=resume, weights_only=True)
    return folder / "checkpoints" / "last.ckpt"


def flat(value: object, where: str = "") -> dict[str, object]:
    """Every tensor and number of nested dictionaries and lists, by its place."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = dict(enumerate(value)).items()  # type: ignore[assignment]
    else:
        return {where: value}
    return {k: v for name, item in items for k, v in flat(item, f"{where}/{name}").items()}


def state(path: Path) -> dict[str, object]:
    """What the training depends on."""
    checkpoint = torch.load(path, weights_only=True)
    names = ("state_dict", "optimizer_states", "lightning_gan", "global_step")
    return flat({name: checkpoint[name] for name in names})


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_part_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    straight = state(train(EXAMPLES[name](), tmp_path / "straight", WHOLE))
    half = train(EXAMPLES[name](), tmp_path / "half", HALF)
    torch.manual_seed(99)  # whatever the process draws does not matter
    stopped = state(train(EXAMPLES[name](), tmp_path / "rest", WHOLE, resume=half))
    assert straight.keys() == stopped.keys()
    for place, value in straight.items():
        other = stopped[place]
        same = torch.equal(value, other) if isinstance(value, Tensor) else value == other  # type: ignore[arg-type]
        assert same, place


def test_what_adapts_has_moved_by_then(tmp_path: Path) -> None:
    for name, buffer in {
        "BEGAN": "objective.k",
        "AdaptiveAugmentation": "augmentation.controller.trillionths",
        "LeCam": "regularizers.0.mean_real",
        "PathLength": "regularizers.0.mean_length",
    }.items():
        gan = EXAMPLES[name]()
        before = gan.state_dict()[buffer].clone()
        train(gan, tmp_path / name, HALF)
        assert not torch.equal(gan.state_dict()[buffer], before), name
