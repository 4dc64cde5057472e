"""What a GAN adds to a checkpoint, and whether a model can take it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_gan.checkpoints.parts import Plain
from lightning_gan.errors import DivergenceError, WeightsError
from lightning_gan.training.schedule import PlayerName, Progress

FORMAT = 1
"""Of what stands under ``KEY``; read are this one and earlier ones."""

KEY = "lightning_gan"
ARGUMENTS = "hyper_parameters"
"""Where Lightning puts the model's arguments."""


def state_of(progress: Progress, images_in_average: int, trainer: Trainer) -> dict[str, Plain]:
    """What goes into a checkpoint beside weights, optimizers and the model's arguments."""
    return {
        "format": FORMAT,
        "progress": asdict(progress),
        "images_in_average": images_in_average,
        "made_by": made_by(trainer),
    }


def own_state(checkpoint: Mapping[str, Any], name: str) -> dict[str, Plain]:
    """What the GAN itself added to a checkpoint.

    Raises:
        WeightsError: If nothing was added, because something else wrote it.
    """
    state = part_of(checkpoint, KEY)
    wanted = {"format": int, "progress": dict, "images_in_average": int}
    for key, kind in wanted.items():
        if not isinstance(state.get(key), kind):
            raise WeightsError(
                f"{name} was not written by lightning-gan: its {key.replace('_', ' ')} is missing."
            )
    if state["format"] > FORMAT:
        raise WeightsError(f"{name} was written by a newer lightning-gan: install that one.")
    kinds = {key: type(count) for key, count in state["progress"].items()}
    if kinds != dict.fromkeys(asdict(Progress()), int):
        raise WeightsError(f"{name}: its progress is damaged; take another checkpoint of the run.")
    if not isinstance(checkpoint.get(ARGUMENTS), dict):
        raise WeightsError(f"{name} was not written by lightning-gan: its parts are missing.")
    return state


def part_of(checkpoint: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What stands under that name; empty where there is nothing, or no dictionary."""
    found = checkpoint.get(name)
    return found if isinstance(found, dict) else {}


def fitting_state(
    checkpoint: Mapping[str, Any],
    players: Mapping[PlayerName, Plain],
    weights: Mapping[str, Tensor],
    training: bool,
) -> dict[str, Plain]:
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
        theirs = checkpoint[ARGUMENTS].get(player)
        if theirs != ours:
            raise WeightsError(
                f"The checkpoint holds another {player}: {_difference(theirs, ours)}; build the "
                "model as it was, or start a new run without --ckpt_path."
            )
    saved = part_of(checkpoint, "state_dict")
    for name, value in weights.items():
        if not isinstance(saved.get(name), Tensor) or saved[name].shape != value.shape:
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


def _difference(theirs: Plain, ours: Plain) -> str:
    """The first difference between two described parts, in words."""
    if not isinstance(theirs, dict) or not {"class_path", "init_args"} <= theirs.keys():
        return f"nothing instead of {ours['class_path']}"
    if theirs["class_path"] != ours["class_path"]:
        return f"{theirs['class_path']} instead of {ours['class_path']}"
    a, b = theirs["init_args"], ours["init_args"]
    names = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
    return ", ".join(f"{name}={a.get(name)} instead of {b.get(name)}" for name in names)


def made_by(trainer: Trainer) -> dict[str, int | None]:
    """The processes, and the samples that each takes at a time where that is known."""
    data = getattr(trainer, "datamodule", None)
    return {"processes": trainer.world_size, "batch_size": getattr(data, "batch_size", None)}


def warn_if_moved(state: Mapping[str, Plain], trainer: Trainer) -> None:
    """Says so where a training goes on with other processes or batches than it was saved with."""
    theirs, ours = state.get("made_by"), made_by(trainer)
    if theirs is None or theirs == ours or not trainer.training:
        return
    rank_zero_warn(
        f"The checkpoint was made by {theirs['processes']} processes with batches of "
        f"{theirs['batch_size']}, and goes on with {ours['processes']} and {ours['batch_size']}: "
        "that works, but not bit for bit as without the change."
    )
