"""Checkpoint files: read without running anything in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_gan.errors import DivergenceError, WeightsError


def read_checkpoint(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """The content of a checkpoint file, of which nothing is executed.

    Raises:
        WeightsError: If the file is missing, damaged, or holds anything but plain data.
    """
    if not Path(path).is_file():
        raise WeightsError(f"There is no checkpoint at {path}: check --ckpt_path.")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path} is not a whole checkpoint, or holds more than plain data "
            f"({type(error).__name__}): take another checkpoint of the run."
        ) from error
    if not isinstance(checkpoint, dict):
        raise WeightsError(f"{path} is not a checkpoint: it holds a {type(checkpoint).__name__}.")
    return checkpoint


def own_state(checkpoint: dict[str, Any], name: str) -> dict[str, Any]:
    """What the GAN itself added to a checkpoint.

    Raises:
        WeightsError: If nothing was added, because something else wrote it.
    """
    state = checkpoint.get("lightning_gan")
    if not isinstance(state, dict) or not {"progress", "parts"} <= state.keys():
        raise WeightsError(f"{name} was not written by lightning-gan: its progress is missing.")
    return state


def check_finite(weights: Iterable[tuple[str, Tensor]], images: int) -> None:
    """Refuses to save weights that are not finite, so that no good checkpoint is lost to them.

    Raises:
        DivergenceError: If a weight is NaN or infinite.
    """
    for name, value in weights:
        if not torch.isfinite(value).all():
            raise DivergenceError(
                f"{name} is not finite after {images} images, so no checkpoint was written and the "
                "last good one is kept: lower the learning rates or add a penalty, and go on from "
                "it."
            )


def check_same(name: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Refuses a checkpoint whose network ``name``, as described in it, is another one.

    Raises:
        WeightsError: With the first difference.
    """
    if theirs != ours:
        raise WeightsError(
            f"The checkpoint holds another {name}: {_difference(theirs, ours)}; build the model as "
            "it was, or start a new run without --ckpt_path."
        )


def _difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """The first difference between two described parts, in words."""
    if theirs["class_path"] != ours["class_path"]:
        return f"{theirs['class_path']} instead of {ours['class_path']}"
    a, b = theirs["init_args"], ours["init_args"]
    names = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
    return ", ".join(f"{name}={a.get(name)} instead of {b.get(name)}" for name in names)
