"""What the command line means: recipes by name, sizes from the data, budgets, devices."""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path
from typing import Any

import torch

from lightning_gan.__main__ import RECIPES, recipe_names
from lightning_gan.errors import ConfigurationError


def fill_sizes(config: Any) -> None:  # noqa: ANN401 (a Namespace)
    """Gives both networks the data's size where it was left open.

    Raises:
        ConfigurationError: If another size was asked for.
    """
    module, _, name = config.data.class_path.rpartition(".")
    data = getattr(sys.modules[module], name)(**config.data.init_args.as_dict())
    for player in ("generator", "discriminator"):
        arguments = config.model.init_args[player].init_args
        for size in ("channels", "image_size"):
            asked, actual = arguments.get(size), getattr(data, size)
            if asked is not None and asked != actual:
                raise ConfigurationError(
                    f"--model.{player}.{size} is {asked} but the data have {actual}: leave it out, "
                    f"or change the data."
                )
            if size in arguments:
                arguments[size] = actual


def fitting_strategy(trainer: Any) -> Any:  # noqa: ANN401 (a Namespace; a name or a description)
    """The strategy for the devices asked for.

    Raises:
        ConfigurationError: If one was asked for that cannot train two players in turns.
    """
    asked = trainer.strategy
    if isinstance(asked, str) and re.fullmatch(r"ddp(_spawn|_fork|_notebook)?", asked):
        raise ConfigurationError(
            f"--trainer.strategy {asked} waits for gradients of the player that is frozen and "
            "fails: leave it out, or take gan_ddp."
        )
    if asked != "auto":
        return asked
    devices = trainer.devices
    if devices in ("auto", -1, "-1"):
        on_gpu = trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
        count = torch.cuda.device_count() if on_gpu else 1
    elif isinstance(devices, list):
        count = len(devices)
    else:
        count = len(str(devices).split(",")) if "," in str(devices) else int(devices)
    return "gan_ddp" if count * trainer.num_nodes > 1 else "auto"


def check_budget(trainer: Any, max_images: int | None) -> None:  # noqa: ANN401 (a Namespace)
    """Refuses a training that would not begin, or not end.

    Raises:
        ConfigurationError: With the option to change.
    """
    for name in ("max_epochs", "max_steps"):
        number = getattr(trainer, name)
        if number is not None and (number == 0 or number < -1):
            raise ConfigurationError(
                f"--trainer.{name}={number} must be positive (or -1: no limit)."
            )
    unlimited = trainer.max_epochs in (None, -1) and trainer.max_steps == -1
    if unlimited and max_images is None and not (trainer.max_time or trainer.fast_dev_run):
        raise ConfigurationError(
            "There is no budget: give --model.max_images, for instance 1000000, or "
            "--trainer.max_epochs."
        )


def run_name(arguments: list[str]) -> str:
    """The name of the run: the last configuration file's, or the data's."""
    names = [Path(value).stem for flag, value in pairs(arguments) if flag in ("-c", "--config")]
    names += [value for flag, value in pairs(arguments) if flag == "--data" and not names]
    return names[-1].split(".")[-1].lower() if names else "gan"


def pairs(arguments: list[str]) -> list[tuple[str, str]]:
    """Flags with their values, whether joined by a space or by an equals sign."""
    found = []
    for index, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if equals:
            found.append((flag, value))
        elif index + 1 < len(arguments):
            found.append((argument, arguments[index + 1]))
    return found


def with_recipes(arguments: list[str]) -> list[str]:
    """Replaces the bare name of a recipe by its file.

    Raises:
        ConfigurationError: If there is neither a file nor a recipe of that name.
    """
    replaced = list(arguments)
    for index, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag not in ("-c", "--config") or (not equals and index + 1 == len(arguments)):
            continue
        value = value if equals else arguments[index + 1]
        if Path(value).is_file():
            continue
        if value not in recipe_names():
            near = difflib.get_close_matches(value, recipe_names(), 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(recipe_names())}."
            raise ConfigurationError(f"There is no recipe or file {value}: {hint}")
        path = str(RECIPES / f"{value}.yaml")
        if equals:
            replaced[index] = f"{flag}={path}"
        else:
            replaced[index + 1] = path
    return replaced


def plain(message: str) -> str:
    """What jsonargparse says, in one sentence with the nearest match."""
    return " ".join(message.split())
