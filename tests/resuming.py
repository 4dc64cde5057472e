"""What of a checkpoint must be the same in a resumed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.precision import MixedPrecision

from scripts.traces import differences  # noqa: F401 (what tests of resuming compare with)

BATCH, EPOCH = 8, 8
"""Samples in a batch, and batches in an epoch of every data set here."""


def bits(path: Path) -> dict[str, Any]:
    """Everything in a checkpoint that the training depends on."""
    checkpoint = torch.load(path, weights_only=True)
    (data,) = (value for value in checkpoint.values() if "global_batch_size" in dict_of(value))
    position = {name: data[name] for name in ("epoch", "position")}
    names = ("state_dict", "optimizer_states", "global_step", "lightning_gan", "MixedPrecision")
    return {name: checkpoint.get(name) for name in names} | {"position": position}


def dict_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def with_scaler() -> list[MixedPrecision]:
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)
    return [MixedPrecision("16-mixed", "cpu", scaler)]
