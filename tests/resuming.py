"""What of a checkpoint must be the same in a resumed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor

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


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two nested values differ in a single bit; NaN, for what was not measured, is NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return [f"{where}: {sorted(map(str, one.keys() ^ other.keys()))}"]
        return [d for key in one for d in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)}"]
        pairs = enumerate(zip(one, other, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{where}/{i}")]
    same = torch.equal(one, other) if isinstance(one, Tensor) else repr(one) == repr(other)
    return [] if same and type(one) is type(other) else [f"{where}: {one} and {other}"]


def with_scaler() -> list[MixedPrecision]:
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)
    return [MixedPrecision("16-mixed", "cpu", scaler)]
