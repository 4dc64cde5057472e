"""Exports in safetensors: the averaged generator, which is read as if it were a checkpoint."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lightning_gan.basics.plain import Plain
from lightning_gan.errors import WeightsError

SUFFIX = ".safetensors"
NAME = f"model{SUFFIX}"
"""Of the file in the folder of an export."""

CHECKPOINT = "checkpoint"
"""Of what stands in the file's header: all of a checkpoint but the weights, as JSON."""

EXPORTED = "exported"
"""Of the mark in a checkpoint's own part that it was read from an export, with what that holds."""


def exported_bytes(weights: Mapping[str, Tensor], rest: Mapping[str, Plain]) -> bytes:
    """A file of weights by name and, in its header, all else of a checkpoint."""
    # Two names may stand for one tensor, or for parts of one, which the format does not take.
    own = {name: weight.detach().cpu().contiguous().clone() for name, weight in weights.items()}
    return save(own, {"format": "pt", CHECKPOINT: json.dumps(rest)})


def read_export(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """A checkpoint of the weights in an export, whose generator is the averaged one.

    Raises:
        WeightsError: If the file is damaged, or was written by something else.
    """
    try:
        with safe_open(str(path), "pt", device=str(map_location)) as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (its own)
        checkpoint = json.loads(header[CHECKPOINT])
    except (OSError, SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise WeightsError(
            f"{path} is damaged, or was not written by lightning-gan export "
            f"({type(error).__name__}): export the checkpoint again."
        ) from error
    if not isinstance(checkpoint, dict):
        raise WeightsError(f"{path} was not written by lightning-gan export: its header says so.")
    averaged = {
        name.replace("generator.", "generator_ema.", 1): weight
        for name, weight in weights.items()
        if name.startswith("generator.")
    }
    return checkpoint | {"state_dict": weights | averaged}
