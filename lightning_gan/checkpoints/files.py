"""Checkpoint files: written whole or not at all, read without running anything in them."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_gan.errors import DivergenceError, WeightsError
from lightning_gan.training.progress import Player

TEMPORARY = ".ckpt.tmp"
"""How the names of checkpoints end while they are written."""


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a checkpoint file so that whatever happens it is the old one or the new one, whole.

    The content is written beside it, brought to the disk, and then given its name.

    Raises:
        WeightsError: If it cannot be written, with the newest checkpoint that is whole.
    """
    temporary = path.with_name(path.stem + TEMPORARY)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f"*{TEMPORARY}"):  # of a process that was killed
            stale.unlink(missing_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WeightsError(_not_written(path, error)) from error
    if os.name == "posix":  # elsewhere folders cannot be brought to the disk by themselves
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # not all file systems can
            os.fsync(number)
    finally:
        os.close(number)


def _not_written(path: Path, error: OSError) -> str:
    """Why a checkpoint could not be written, and where training can go on from."""
    with contextlib.suppress(OSError):
        whole = max(path.parent.glob("*.ckpt"), key=lambda file: file.stat().st_mtime, default=None)
        if whole is not None:
            return (
                f"{path} could not be written ({error.strerror}), but {whole} is whole: mend "
                f"that, and go on with --ckpt_path {'last' if whole.stem == 'last' else whole}."
            )
    return (
        f"{path} could not be written ({error.strerror}), and there is no earlier checkpoint in "
        "its folder: mend that and start again."
    )


def read_checkpoint(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """The content of a checkpoint file, of which nothing is executed.

    Raises:
        WeightsError: If the file is missing, damaged, or holds anything but plain data.
    """
    if not Path(path).is_file():
        raise WeightsError(f"There is no checkpoint at {path}: check --ckpt_path.")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        damaged = _damaged_part(path)
    except Exception as error:
        raise WeightsError(
            f"{path} is not a whole checkpoint, or holds more than plain data "
            f"({type(error).__name__}): take another checkpoint of the run."
        ) from error
    if damaged:
        raise WeightsError(
            f"{path} is not a whole checkpoint, since the checksum of {damaged} in it is wrong: "
            "take another checkpoint of the run."
        )
    if not isinstance(checkpoint, dict):
        raise WeightsError(f"{path} is not a checkpoint: it holds a {type(checkpoint).__name__}.")
    return checkpoint


def _damaged_part(path: str | Path) -> str | None:
    """The first part whose checksum is wrong, which torch does not look at."""
    if not zipfile.is_zipfile(path):  # how torch saved before version 1.6
        return None
    with zipfile.ZipFile(path) as file:
        return file.testzip()


def own_state(checkpoint: dict[str, Any], name: str) -> dict[str, Any]:
    """What the GAN itself added to a checkpoint.

    Raises:
        WeightsError: If nothing was added, because something else wrote it.
    """
    state = checkpoint.get("lightning_gan")
    kinds = {"progress": dict, "parts": dict, "images_in_average": int}
    for key, kind in kinds.items():
        if not isinstance(state, dict) or not isinstance(state.get(key), kind):
            raise WeightsError(
                f"{name} was not written by lightning-gan: its {key.replace('_', ' ')} is missing."
            )
    assert isinstance(state, dict)
    return state


def fitting_state(
    checkpoint: dict[str, Any],
    players: dict[Player, dict[str, Any]],
    weights: dict[str, Tensor],
    training: bool,
) -> dict[str, Any]:
    """The GAN's own part of a checkpoint, after checking that the model can take all of it.

    Args:
        checkpoint: The whole checkpoint.
        players: The networks of the model, as described in checkpoints.
        weights: What the model would load the weights into, by name.
        training: Whether the training goes on, which takes more than the weights.

    Raises:
        WeightsError: If it was made by something else, with other networks, or is not complete.
    """
    state = own_state(checkpoint, "The checkpoint")
    for player, ours in players.items():
        check_same(player, state["parts"].get(player), ours)
    theirs = checkpoint.get("state_dict")
    theirs = theirs if isinstance(theirs, dict) else {}
    for name, ours_ in weights.items():
        if not isinstance(theirs.get(name), Tensor) or theirs[name].shape != ours_.shape:
            raise WeightsError(
                f"The checkpoint does not fit the networks that it names: {name} is missing or has "
                "another shape; take another checkpoint of the run."
            )
    missing = {"optimizer_states", "lr_schedulers", "loops"} - checkpoint.keys()
    if training and missing:
        raise WeightsError(
            f"The checkpoint can be sampled from but not be trained on: its {min(missing)} are "
            "missing; take last.ckpt."
        )
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


def check_same(name: str, theirs: Any, ours: dict[str, Any]) -> None:  # noqa: ANN401 (a file's)
    """Refuses a checkpoint whose network ``name``, as described in it, is another one.

    Raises:
        WeightsError: With the first difference.
    """
    if theirs != ours:
        raise WeightsError(
            f"The checkpoint holds another {name}: {_difference(theirs, ours)}; build the model as "
            "it was, or start a new run without --ckpt_path."
        )


def _difference(theirs: Any, ours: dict[str, Any]) -> str:  # noqa: ANN401 (a file's)
    """The first difference between two described parts, in words."""
    if not isinstance(theirs, dict) or not {"class_path", "init_args"} <= theirs.keys():
        return f"nothing instead of {ours['class_path']}"
    if theirs["class_path"] != ours["class_path"]:
        return f"{theirs['class_path']} instead of {ours['class_path']}"
    a, b = theirs["init_args"], ours["init_args"]
    names = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
    return ", ".join(f"{name}={a.get(name)} instead of {b.get(name)}" for name in names)
