"""What the command line means: recipes by name, sizes from the data, budgets, devices."""

from __future__ import annotations

import importlib
import inspect
import os
import re
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from lightning_gan.callbacks.preemption import under_slurm
from lightning_gan.cli.parser import did_you_mean, nearest
from lightning_gan.datamodules import Mixture
from lightning_gan.errors import ConfigurationError
from lightning_gan.recipes import RECIPES, recipe_names

SHARDED = ("fsdp", "deepspeed", "modelparallel")
"""Beginnings of the names of strategies that cut a network into pieces."""

DESCRIPTION = """Options come from a recipe, then from here; a later one wins.

  lightning-gan {subcommand} --model.help                      options of the model
  lightning-gan {subcommand} --model.objective.help            objectives to choose from
  lightning-gan {subcommand} --model.objective.help Hinge      what one is, and its options
  lightning-gan {subcommand} --data.help MNIST                 the same for data
  lightning-gan {subcommand} --trainer.callbacks.help Balance  and for callbacks
"""


def fill_sizes(config: Any) -> None:  # noqa: ANN401 (a Namespace)
    """Gives both networks the data's size where it was left open.

    Raises:
        ConfigurationError: If another size was asked for.
    """
    if not config.data:
        raise ConfigurationError("There are no data: give --config NAME or --data NAME.")
    check_nulls(config.model, "model")
    check_nulls(config.data, "data")
    data = _class_of(config.data)(**config.data.init_args.as_dict())
    for player in ("generator", "discriminator"):
        _fill_network(config.model.init_args[player], player, data.channels, data.image_size)


def _fill_network(network: Any, option: str, channels: int, image_size: Any) -> None:  # noqa: ANN401
    """Fills in the sizes of a network, and of the one that it is around."""
    arguments = network.init_args
    for size, actual in {"channels": channels, "image_size": image_size}.items():
        asked = arguments.get(size)
        if asked is not None and asked != actual:
            raise ConfigurationError(
                f"--model.{option}.{size} is {asked} but the data have {actual}: leave it out, "
                f"or change the data."
            )
        if size in arguments:
            arguments[size] = actual
    inner = arguments.get("discriminator")
    if inner is not None:
        around = _class_of(network)
        channels = around.inner_channels(channels, arguments.as_dict())
        _fill_network(inner, f"{option}.discriminator", channels, image_size)


def check_nulls(settings: Any, option: str) -> None:  # noqa: ANN401 (a Namespace, or anything)
    """Refuses null where an argument must have a value, which jsonargparse lets pass.

    Raises:
        ConfigurationError: With the option.
    """
    if isinstance(settings, list):
        for part in settings:
            check_nulls(part, option)
    if not hasattr(settings, "class_path") or not hasattr(settings, "init_args"):
        return
    parameters = inspect.signature(_class_of(settings)).parameters
    for name, value in vars(settings.init_args).items():
        known = parameters.get(name)
        if value is None and known is not None and known.default not in (None, known.empty):
            if not re.search("None|Optional", str(known.annotation)):
                raise ConfigurationError(f"--{option}.{name} must have a value, not null.")
        else:
            check_nulls(value, f"{option}.{name}")


def _class_of(settings: Any) -> Any:  # noqa: ANN401 (a Namespace, and the class it names)
    module, _, name = settings.class_path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def parser_options(subcommand: str) -> dict[str, Any]:
    """Usage and description of a command."""
    return {
        "usage": f"lightning-gan {subcommand} [--config NAME] [--model.OPTION VALUE] "
        "[--data NAME] [--data.OPTION VALUE] [--trainer.OPTION VALUE] ...",
        "description": DESCRIPTION.format(subcommand=subcommand),
    }


def with_defaults(arguments: list[str]) -> list[str]:
    """Puts the default networks, which follow the data, before what does not name any.

    They come as a file like a recipe. As defaults of the parser they would leave their arguments to
    whatever network is named instead.
    """
    if arguments[0] not in ("fit", "validate", "test") or has_networks(arguments):
        return arguments
    name = next((value for flag, value in pairs(arguments) if flag == "--data"), "")
    points = {part.__name__ for part in Mixture.__subclasses__()}
    defaults = "_defaults_points" if name.rpartition(".")[2] in points else "_defaults"
    return [arguments[0], "--config", str(RECIPES / f"{defaults}.yaml"), *arguments[1:]]


def has_networks(arguments: list[str]) -> bool:
    """Whether a recipe or file among the arguments names both networks."""
    for flag, value in pairs(arguments):
        if flag in ("-c", "--config") and Path(value).is_file():
            settings = yaml.safe_load(Path(value).read_text(encoding="utf-8")) or {}
            model = settings.get("model") if isinstance(settings, dict) else None
            named = model.get("init_args", {}) if isinstance(model, dict) else {}
            if {"generator", "discriminator", "objective"} <= named.keys():
                return True
    return False


def check_trainer(trainer: Any) -> None:  # noqa: ANN401 (a Namespace)
    """Refuses options of the Trainer that cannot work with two players.

    Raises:
        ConfigurationError: With the option to take instead.
    """
    if trainer.gradient_clip_val is not None:
        raise ConfigurationError(
            "--trainer.gradient_clip_val clips one player only: take --model.gradient_clip."
        )
    if trainer.accumulate_grad_batches != 1:
        raise ConfigurationError(
            "--trainer.accumulate_grad_batches is for one player only: take --model.accumulate."
        )
    if trainer.sync_batchnorm:
        raise ConfigurationError(
            "--trainer.sync_batchnorm runs on GPUs only, and processes would wait for each other "
            "where held-out batches are shared out unevenly: take --model.sync_batch_norm true."
        )
    for name in ("log_every_n_steps", "check_val_every_n_epoch"):
        number = getattr(trainer, name)
        if number is not None and number < 1:
            raise ConfigurationError(f"--trainer.{name}={number} must be at least 1.")
    if isinstance(trainer.accelerator, str):
        known = ["auto", "gpu", *AcceleratorRegistry.available_accelerators()]
        if trainer.accelerator not in known:
            raise ConfigurationError(
                f"There is no --trainer.accelerator {trainer.accelerator}: "
                + did_you_mean(trainer.accelerator, known)
            )
        works = torch.cuda.is_available() or torch.backends.mps.is_available()
        if trainer.accelerator in ("gpu", "cuda") and not works:
            raise ConfigurationError(
                f"--trainer.accelerator {trainer.accelerator}: there is no such device here that "
                "torch can use: leave it out, or take cpu."
            )


def fitting_strategy(trainer: Any) -> Any:  # noqa: ANN401 (a Namespace; a name or a description)
    """The strategy for the devices asked for.

    Raises:
        ConfigurationError: If one was asked for that does not exist, or that cannot train two
            players in turns.
    """
    asked = trainer.strategy
    if asked == "auto":
        return "gan_ddp" if _devices(trainer) * trainer.num_nodes > 1 else "auto"
    is_name = isinstance(asked, str)
    name = asked if is_name else str(asked.get("class_path", "")).rpartition(".")[2]
    if name.lower().replace("_", "").startswith(SHARDED):
        raise ConfigurationError(
            f"--trainer.strategy {name} cuts networks into pieces, which go astray when one player "
            "is frozen while the other moves, and a GAN fits one device: leave it out, or take "
            "gan_ddp."
        )
    arguments = {} if is_name else asked.get("init_args") or {}
    waits = name == "DDPStrategy" and not arguments.get("find_unused_parameters")
    if waits or re.fullmatch(r"ddp(_spawn|_fork|_notebook)?(_find_unused_parameters_false)?", name):
        raise ConfigurationError(
            f"--trainer.strategy {name} waits for gradients of the player that is frozen and "
            "fails: leave it out, or take gan_ddp."
        )
    if not is_name:
        return asked
    known = ["auto", *StrategyRegistry.available_strategies()]
    if asked not in known:
        hint = f"did you mean {near}?" if (near := nearest(asked, known)) else "take gan_ddp."
        raise ConfigurationError(f"There is no --trainer.strategy {asked}: {hint}")
    return asked


def check_processes(trainer: Any) -> None:  # noqa: ANN401 (a Namespace)
    """Refuses other numbers of devices than of the processes that torchrun or srun started.

    Each of them would train a model of its own, or wait for processes that never come.

    Raises:
        ConfigurationError: With the numbers to take.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        by, each = "torchrun", os.environ.get("LOCAL_WORLD_SIZE", "1")
        total = int(os.environ.get("WORLD_SIZE", "1"))
    elif under_slurm():
        by, total = "srun", int(os.environ["SLURM_NTASKS"])
        each = os.environ.get("SLURM_NTASKS_PER_NODE", "1" if total == 1 else "")
        if not each.isdecimal():
            raise ConfigurationError(
                f"SLURM was asked for --ntasks={total}, which leaves open how many run on a node: "
                "ask for --nodes and --ntasks-per-node."
            )
    else:
        return
    on_a_node = min(int(each), total)
    devices = _devices(trainer)
    if (devices, devices * trainer.num_nodes) != (on_a_node, total):
        raise ConfigurationError(
            f"{by} started {total} processes, {on_a_node} on a node, but --trainer.devices "
            f"{devices} and --trainer.num_nodes {trainer.num_nodes} ask for others: give "
            f"--trainer.devices {on_a_node} --trainer.num_nodes {-(-total // on_a_node)}."
        )


def _devices(trainer: Any) -> int:  # noqa: ANN401 (a Namespace)
    """Devices of one machine."""
    devices = trainer.devices
    if devices in ("auto", -1, "-1"):
        on_gpu = trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
        return torch.cuda.device_count() if on_gpu else 1
    names = devices if isinstance(devices, list) else str(devices).split(",")
    if len(names) > 1:
        return len(names)
    try:
        return int(names[0])
    except ValueError as error:
        raise ConfigurationError(
            f"--trainer.devices {devices} must be auto, a number of devices, or a list of indices."
        ) from error


def newest_checkpoint(folder: Path, name: str = "last") -> Path | None:
    """The newest ``name.ckpt`` in the folder of a run, or in that of all runs of a recipe."""
    places = (f"{name}.ckpt", f"checkpoints/{name}.ckpt", f"version_*/checkpoints/{name}.ckpt")
    found = [path for place in places for path in folder.glob(place)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


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
    names = [name for name in names if not name.startswith("_defaults")]
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
            _check_yaml(Path(value))
            continue
        if value not in recipe_names():
            hint = did_you_mean(value, recipe_names())
            raise ConfigurationError(f"There is no recipe or file {value}: {hint}")
        path = str(RECIPES / f"{value}.yaml")
        if equals:
            replaced[index] = f"{flag}={path}"
        else:
            replaced[index + 1] = path
    return replaced


def _check_yaml(path: Path) -> None:
    """Refuses a file that holds no settings, with the line at fault."""
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "it is no text"
        raise ConfigurationError(
            f"{path} is not a YAML file: {reason}{where}; mend it, or give a recipe."
        ) from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path} holds no settings: start it with model:, data: or so.")
