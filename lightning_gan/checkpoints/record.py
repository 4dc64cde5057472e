"""What a GAN adds to a checkpoint, and whether a model can take it."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lightning_gan.basics.plain import Plain
from lightning_gan.checkpoints.exported import EXPORTED
from lightning_gan.checkpoints.identity import environment, setting_of
from lightning_gan.errors import DivergenceError, WeightsError
from lightning_gan.training.schedule import PLAYERS, PlayerName, Progress

LARGEST = 2**63
"""Counts are smaller."""

FORMAT = 1
"""Of what stands under ``KEY``; read are this one and earlier ones."""

KEY = "lightning_gan"
ARGUMENTS = "hyper_parameters"
"""Where Lightning puts the model's arguments."""


def state_of(
    progress: Progress,
    images_in_average: int,
    images_before: int,
    images_validated: int,
    trainer: Trainer,
) -> dict[str, Plain]:
    """What goes into a checkpoint beside weights, optimizers and the model's arguments."""
    return {
        "format": FORMAT,
        "progress": asdict(progress),
        "images_in_average": images_in_average,
        "images_before": images_before,
        "images_validated": images_validated,
        "setting": setting_of(trainer),
        "environment": environment(),
        "optimizers": {
            player: len(optimizer.state)
            for player, optimizer in zip(PLAYERS, trainer.optimizers, strict=False)
        },
    }


def own_state(checkpoint: Mapping[str, Any], name: str) -> dict[str, Plain]:
    """What the GAN itself added to a checkpoint.

    Raises:
        WeightsError: If nothing was added, because something else wrote it, or what was added is
            damaged.
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
    counts = [
        *state["progress"].values(),
        *(state.get(key, 0) for key in ("images_in_average", "images_validated")),
    ]
    if state["progress"].keys() != asdict(Progress()).keys() or not all(map(_is_count, counts)):
        raise WeightsError(f"{name}: its progress is damaged; take another checkpoint of the run.")
    if not isinstance(checkpoint.get(ARGUMENTS), dict):
        raise WeightsError(f"{name} was not written by lightning-gan: its parts are missing.")
    for what, holds in {
        "arguments": _is_described(checkpoint[ARGUMENTS]),
        "setting": _is_setting(state.get("setting", {})),
        "environment": isinstance(state.get("environment", {}), dict),
    }.items():
        if not holds:
            raise WeightsError(f"{name}: its {what} cannot be read; take another checkpoint.")
    return state


def _is_setting(setting: Plain) -> bool:
    """Whether it says what data a run has, or nothing of them."""
    if not isinstance(setting, dict) or not _is_described(setting):
        return False
    return setting.get("data") is None or "class_path" in part_of(setting, "data")


def _is_described(nested: Plain) -> bool:
    """Whether names are texts, and every part in it has a class and arguments."""
    if isinstance(nested, list | tuple):
        return all(map(_is_described, nested))
    if not isinstance(nested, dict):
        return True
    if {"class_path", "init_args"} & nested.keys():
        kind, arguments = nested.get("class_path"), nested.get("init_args")
        if not isinstance(kind, str) or not isinstance(arguments, dict):
            return False
    return all(isinstance(name, str) and _is_described(x) for name, x in nested.items())


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < LARGEST


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
    if training:
        _check_going_on(checkpoint, state)
    return state


def _check_going_on(checkpoint: Mapping[str, Any], state: Mapping[str, Plain]) -> None:
    """Refuses to train on what is not whole, or holds NaN: it would go on as if it were."""
    if EXPORTED in state:
        raise WeightsError(
            "No training goes on from an export, which has no optimizers: begin a new one with its "
            "weights by --model.warm_start in the place of --ckpt_path."
        )
    missing = {"optimizer_states", "lr_schedulers", "loops", "callbacks"} - checkpoint.keys()
    if missing:
        raise WeightsError(
            f"The checkpoint can be sampled from but not be trained on: its {min(missing)} are "
            "missing; take last.ckpt."
        )
    states = dict(zip(PLAYERS, checkpoint["optimizer_states"], strict=False))
    counts = state.get("optimizers", {})
    for player in PLAYERS:
        averages = states.get(player, {}).get("state", {})
        whole = player in states and len(averages) == counts.get(player, len(averages))
        if not whole or not_finite(states[player]):
            raise WeightsError(
                f"The checkpoint's optimizer of the {player} is damaged: weights are missing in it "
                "or not finite; take another checkpoint of the run."
            )
    for name in ("state_dict", "loops", "lr_schedulers"):
        if (place := not_finite(checkpoint[name])) is not None:
            raise WeightsError(
                f"{place.removeprefix('.')} in the checkpoint is not finite; take another one."
            )
    for place, value in _leaves(checkpoint["loops"]):
        if place.endswith(COUNTED) and not _is_count(value):
            raise WeightsError(
                f"{place.removeprefix('.')} in the checkpoint is no count; take another one."
            )


COUNTED = (".ready", ".started", ".processed", ".completed")
"""What Lightning counts in its loops."""


def not_finite(nested: Plain) -> str | None:
    """The dotted name of the first number or tensor that is NaN or infinite, if there is one."""
    for place, value in _leaves(nested):
        bad = isinstance(value, float) and not math.isfinite(value)
        if bad or (isinstance(value, Tensor) and not bool(torch.isfinite(value).all())):
            return place
    return None


def _leaves(nested: Plain, place: str = "") -> Iterator[tuple[str, Plain]]:
    """All that is in nested dictionaries and lists, with where it is."""
    if isinstance(nested, Mapping):
        for name, value in nested.items():
            yield from _leaves(value, f"{place}.{name}")
    elif isinstance(nested, list | tuple):
        for number, value in enumerate(nested):
            yield from _leaves(value, f"{place}.{number}")
    else:
        yield place, nested


def check_finite(weights: Iterable[tuple[str, Tensor]], images: int) -> None:
    """Refuses to save weights that are not finite, so that no good checkpoint is lost to them.

    Raises:
        DivergenceError: If a weight is NaN or infinite.
    """
    for name, value in weights:
        if not torch.isfinite(value).all():
            raise DivergenceError(
                f"{name} is not finite after {images:,} images, so no checkpoint was written and "
                "the last good one is kept: lower the learning rates or add a penalty, and go on "
                "from it."
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
