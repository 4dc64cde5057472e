"""What a run is: only as the same one does it go on from a checkpoint, or by asking for changes."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer

from lightning_gan.basics.classes import public_path
from lightning_gan.basics.plain import Plain, flat
from lightning_gan.basics.version import versions
from lightning_gan.checkpoints.parts import describe
from lightning_gan.errors import AnotherRunError, ConfigurationError
from lightning_gan.training.batches import batch_size_of
from lightning_gan.training.schedule import PLAYERS

FREE = {"max_images", "validate_every", "warm_start", "accumulate", "channels_last", "compile"}
"""Arguments of the model that may change in the midst of a run, which stays the same run."""

TELLING: dict[str, Plain] = {"warm_start": None, "accumulate": 1}
"""Free arguments that tell runs apart all the same, where they are not these."""

CHANGING: dict[str, Plain] = {
    "overfit_batches": 0,
    "limit_train_batches": "1.0",  # a text, since 1 is one batch and 1.0 are all
    "recover": False,
}
"""What a Trainer and its callbacks may change in a training, and where they do not.

A run that goes on may be told to recover, or not to: that may be why it goes on.
"""

PLACES = {"root", "cache_dir", "download", "batch_size", "follow_links", "skip_damaged"}
"""Arguments of data modules that say where the data lie, or how many a process takes at a time.

Which of a user's own files are read, ``content`` says.
"""

RATED = re.compile(r"model\.(learning_rate\b.*|regularizers|regularizers\..*\.every)")
"""What else rates and decays depend on: their curve, and how lazy a penalty is."""

SPLITS = re.compile(r"samples(\..*)?|data(\.(class_names|(val|test)_(size|fraction)))?")
"""What tells which samples a run was trained on, and which were held out."""

SHOWN = 3
"""How many changes an error names."""


def setting_of(trainer: Trainer) -> dict[str, Plain]:
    """What a run is besides its model: data, batches over all processes, and precision.

    What is not known, as with plain loaders, is None; samples that are known by their name alone,
    such as MNIST's, have no hash.
    """
    data = getattr(trainer, "datamodule", None)
    size = batch_size_of(data)
    content = getattr(data, "content", None)
    found: dict[str, Plain] = {} if content is None else {"samples": content}
    recover = any(getattr(each, "recover", False) for each in trainer.callbacks)  # type: ignore[attr-defined]
    overfit = getattr(trainer, "overfit_batches", 0)
    limit = "1.0" if overfit else str(getattr(trainer, "limit_train_batches", 1.0))
    changing = {"overfit_batches": overfit, "limit_train_batches": limit, "recover": recover}
    found |= {name: value for name, value in changing.items() if value != CHANGING[name]}
    return found | {
        "data": None if data is None else _describe_data(data),
        "global_batch_size": None if size is None else size * trainer.world_size,
        "precision": str(trainer.precision),
    }


def _describe_data(data: object) -> Plain:
    """The class of a data module, its arguments but for places, and the names of its classes."""
    names = sorted(inspect.signature(type(data)).parameters.keys() - PLACES)
    arguments = {name: _told(getattr(data, name)) for name in names if hasattr(data, name)}
    classes = getattr(data, "class_names", None)
    if classes is not None:
        arguments["class_names"] = list(classes)
    return {"class_path": public_path(type(data)), "init_args": arguments}


def _told(value: object) -> Plain:
    """An argument of anybody's data module; the class alone of what no checkpoint can hold."""
    try:
        return describe(value)
    except ConfigurationError:
        return public_path(type(value))


def identity_of(arguments: Mapping[str, Plain], setting: Mapping[str, Plain]) -> dict[str, Plain]:
    """What makes a run this one: the model's arguments but for the free ones, and the setting."""
    model = {
        key: value
        for key, value in arguments.items()
        if key not in FREE or (key in TELLING and value != TELLING[key])
    }
    return {"model": model, **setting}


def changes(before: Mapping[str, Plain], now: Mapping[str, Plain]) -> dict[str, list[Plain]]:
    """Where two identities differ, by dotted names, with both values; the unknown is equal."""
    before, now = ({**CHANGING, **side, "recover": None} for side in (before, now))
    known = [name for name in now if None not in (before.get(name), now[name])]
    theirs, ours = (flat({name: side[name] for name in known}) for side in (before, now))
    names = [*ours, *(name for name in theirs if name not in ours)]
    found: dict[str, list[Plain]] = {}
    for name in names:
        inside = any(name.startswith(f"{part}.") for part in found)  # of a part that is another
        alone = inside and not (name in theirs and name in ours)
        free = name.removeprefix("model.") in FREE
        if theirs.get(name) != ours.get(name) and not (alone or free):
            found[name] = [theirs.get(name), ours.get(name)]
    return found


def refuse_changes(found: Mapping[str, list[Plain]]) -> None:
    """Refuses to go on with a run as if it were another.

    Raises:
        AnotherRunError: With the first differences, and the ways out.
    """
    if found:
        raise AnotherRunError(
            f"The checkpoint is of another run: {_told_apart(found)}. Leave --ckpt_path out for a "
            "new run, with --model.warm_start FILE to begin from its weights, or change the old "
            "run by --resume.allow_changes true."
        )


def warn_of_other_data(found: Mapping[str, list[Plain]]) -> None:
    """Says so where a run is measured beside samples that it was not made with."""
    if other := {name: both for name, both in found.items() if SPLITS.fullmatch(name)}:
        rank_zero_warn(
            f"The run was trained on other data: {_told_apart(other)}. It is measured beside those "
            "that are here; what is held out of them it may have been trained on."
        )


def _told_apart(found: Mapping[str, list[Plain]]) -> str:
    """The first differences of two runs."""
    named = [f"{name} is {_shown(a)} there and {_shown(b)} here" for name, (a, b) in found.items()]
    more = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
    return "; ".join(named[:SHOWN]) + more


def _shown(value: Plain) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."


def take_over_optimizers(
    checkpoint: dict[str, Any], found: Mapping[str, list[Plain]], optimizers: Iterable[Optimizer]
) -> None:
    """Makes the saved states of optimizers those of optimizers that are set otherwise now.

    One of the class that was saved keeps its averages; another begins anew.

    Args:
        checkpoint: With the states, which are changed in place.
        found: The changes of the run.
        optimizers: The players' new ones, in the order of :data:`PLAYERS`.
    """
    for number, (player, optimizer) in enumerate(zip(PLAYERS, optimizers, strict=True)):
        name, new = f"model.{player}_optimizer", optimizer.state_dict()
        saved = checkpoint["optimizer_states"][number]
        if name in found:
            checkpoint["optimizer_states"][number] = new
        elif any(x.startswith(f"{name}.") or RATED.fullmatch(x) for x in found):
            for group, theirs in zip(new["param_groups"], saved["param_groups"], strict=True):
                theirs |= {key: value for key, value in group.items() if key != "params"}


def environment() -> dict[str, Plain]:
    """What else the last bits depend on: versions, torch's threads, how float32 is multiplied."""
    matmul = torch.get_float32_matmul_precision()
    return {"versions": versions(), "threads": torch.get_num_threads(), "matmul_precision": matmul}


def warn_if_moved(before: Mapping[str, Plain] | None) -> None:
    """Says so where a training goes on in another environment than it was saved in."""
    theirs, ours = flat(before or {}), flat(environment())
    moved = [name for name in theirs if name in ours and theirs[name] != ours[name]]
    if moved:
        listed = ", ".join(f"{name} {theirs[name]}, now {ours[name]}" for name in moved)
        rank_zero_warn(
            f"The checkpoint was made with {listed}: the run goes on, but not bit for bit as "
            "without the change."
        )
