"""Options of the Trainer that a GAN cannot use, as the command line and ``fit`` are given them."""

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import AcceleratorRegistry

from lightning_gan.basics.words import nearest, unknown
from lightning_gan.errors import (
    INTEGER,
    ConfigurationError,
    LightningGANError,
    at_least,
    at_most,
    check_range,
    said,
)
from lightning_gan.gan import GAN

MOST_DEVICES = 1024
"""Of one machine."""

FOR_ONE_PLAYER = {
    "gradient_clip_val": (None, "clips one player only", "gradient_clip"),
    "accumulate_grad_batches": (1, "is for one player only", "accumulate"),
    "sync_batchnorm": (
        False,
        "runs on GPUs only, and processes would wait for each other where held-out batches are "
        "shared out unevenly",
        "sync_batch_norm",
    ),
}
"""Options that must stay as they are, why, and which of the model to take instead."""

REFUSED = (
    *(TypeError, ValueError, OverflowError, ImportError, RuntimeError),
    MisconfigurationException,
)
"""What the Trainer raises where it refuses an option."""


class Spelling(NamedTuple):
    """How options are written, with places for a name and, in the last one, its value."""

    trainer: str
    model: str
    value: str


COMMAND_LINE = Spelling("--trainer.{}", "--model.{}", "--trainer.{} {}")
PYTHON = Spelling("fit({}=...)", "GAN({}=...)", "fit({}={!r})")


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of the Trainer, with its defaults for those that are left out.

    Raises:
        ConfigurationError: If there is no such option, with the nearest, or whose it is.
    """
    known = {name: each.default for name, each in inspect.signature(Trainer).parameters.items()}
    for name in options:
        if name in known:
            continue
        hint = ": it takes those of lightning.pytorch.Trainer."
        usual = [each for each in known if not each.startswith("min_")]  # as near as max_
        if near := nearest(name, [*usual, "batch_size", "folder", "loggers"]):
            hint = f"; did you mean {near}?"
        if name in inspect.signature(GAN).parameters:
            hint = f": it is the GAN's, {PYTHON.model.format(name)}."
        raise ConfigurationError(f"fit has no option {name}{hint}")
    return known | dict(options)


def check_options(options: Mapping[str, Any], spelling: Spelling) -> None:
    """Refuses options that cannot work with two players, and devices that there are not.

    Raises:
        ConfigurationError: With what to take instead.
    """
    for name, (harmless, reason, instead) in FOR_ONE_PLAYER.items():
        if options[name] != harmless:
            option, own = spelling.trainer.format(name), spelling.model.format(instead)
            raise ConfigurationError(f"{option} {reason}: take {own}.")
    accelerator = options["accelerator"]
    if not isinstance(accelerator, str) or accelerator == "auto":
        return
    known = {name: [name] for name in AcceleratorRegistry.available_accelerators()}
    known["gpu"] = ["cuda", "mps"]
    if accelerator not in known:
        raise unknown(spelling.trainer.format("accelerator"), accelerator, ["auto", *known])
    kinds = [AcceleratorRegistry[name]["accelerator"] for name in known[accelerator]]
    if not any(kind.is_available() for kind in kinds):
        raise ConfigurationError(
            f"{spelling.value.format('accelerator', accelerator)}: there is no such device here "
            "that torch can use: leave it out, or take cpu."
        )


def check_budget(options: Mapping[str, Any], max_images: int | None, spelling: Spelling) -> None:
    """Refuses a training that would not begin, or not end.

    Raises:
        ConfigurationError: With the option to change.
    """
    for name in ("max_epochs", "max_steps"):
        if options[name] != -1:  # no limit
            check_range("Trainer", INTEGER, **{name: options[name]})  # each has words of its own
            check_range("Trainer", at_least(1), **{name: options[name]})
    unlimited = options["max_epochs"] in (None, -1) and options["max_steps"] == -1
    if unlimited and max_images is None and not (options["max_time"] or options["fast_dev_run"]):
        raise ConfigurationError(
            f"There is no budget: give {spelling.model.format('max_images')}, for instance "
            f"1000000, or {spelling.trainer.format('max_epochs')}."
        )
    if options["limit_train_batches"] == 0:
        option = spelling.value.format("limit_train_batches", 0)
        raise ConfigurationError(f"{option} trains nothing: leave it out.")


def number_of(devices: object, spelling: Spelling) -> int:
    """How many devices of one machine are asked for, if not all there are.

    Raises:
        ConfigurationError: If they are none.
    """
    if isinstance(devices, list) and devices:
        return len(devices)
    names = str(devices).split(",")
    try:
        count = len(names) if len(names) > 1 else int(names[0])
    except ValueError as error:
        raise ConfigurationError(
            f"{spelling.value.format('devices', devices)} must be auto, a number of devices, or a "
            "list of indices."
        ) from error
    check_range("Trainer", at_least(1), at_most(MOST_DEVICES), devices=count)
    return count


@contextlib.contextmanager
def refusals(where: str) -> Iterator[None]:
    """Says in one sentence what the Trainer refuses.

    Raises:
        ConfigurationError: With its reason.
    """
    try:
        yield
    except LightningGANError:
        raise
    except REFUSED as error:
        raise ConfigurationError(
            f"The Trainer refuses an option of {where}: {said(error)}."
        ) from error
