"""What is made of a parsed configuration, and what it must not ask for: sizes, budgets, devices."""

import inspect
import os
import pkgutil
import re
from collections.abc import Collection
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch.strategies import StrategyRegistry

from lightning_gan.basics.words import nearest
from lightning_gan.callbacks.preemption import under_slurm
from lightning_gan.callbacks.trainer_options import COMMAND_LINE, check_options, number_of
from lightning_gan.cli.construction import construct
from lightning_gan.distributed.strategy import refuse_strategy
from lightning_gan.errors import ConfigurationError, above, at_least, at_most, check_range
from lightning_gan.gan import GAN
from lightning_gan.networks.base import ImageSize
from lightning_gan.training.schedule import PLAYERS


def fill_sizes(config: Namespace) -> None:
    """Gives both networks the data's size where it was left open.

    Raises:
        ConfigurationError: If another size was asked for.
    """
    for name in ("trainer", "resume"):
        if not isinstance(config[name], Namespace):
            given = config[name]
            raise ConfigurationError(f"{name} must hold settings, not {given}: leave it out.")
    for name in ("model", "data"):
        if not config[name]:
            raise ConfigurationError(f"--{name} is missing: give it, or --config NAME.")
        _check_nulls(config[name], name)
    _check_model(config.model)
    data = construct(_class_of(config.data), **config.data.init_args.as_dict())
    for player in ("generator", "discriminator"):
        _fill_network(config.model.init_args[player], player, data.channels, data.image_size)


def _fill_network(network: Namespace, option: str, channels: int, image_size: ImageSize) -> None:
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
        channels = _class_of(network).inner_channels(channels, arguments.as_dict())
        _fill_network(inner, f"{option}.discriminator", channels, image_size)


def _check_model(model: Namespace) -> None:
    """Refuses a class of one's own that does not take what the command line gives a GAN.

    Raises:
        ConfigurationError: With the way to take it, and to train it otherwise.
    """
    lacking = [name for name in inspect.signature(GAN).parameters if name not in model.init_args]
    if lacking:
        raise ConfigurationError(
            f"--model {model.class_path} takes no {lacking[0]}, which it must here, as all that "
            "GAN takes: let its __init__ have **kwargs for super().__init__(**kwargs), or train it "
            "from Python by lightning_gan.fit."
        )


def _check_nulls(settings: object, option: str) -> None:
    """Refuses null where an argument must have a value, which jsonargparse lets pass.

    Raises:
        ConfigurationError: With the option.
    """
    if isinstance(settings, list):
        for part in settings:
            _check_nulls(part, option)
    if not isinstance(settings, Namespace) or "init_args" not in settings:
        return
    parameters = inspect.signature(_class_of(settings)).parameters
    for name, value in vars(settings.init_args).items():
        known = parameters.get(name)
        if value is None and known is not None and known.default not in (None, known.empty):
            if not re.search("None|Optional", str(known.annotation)):
                raise ConfigurationError(f"--{option}.{name} must have a value, not null.")
        else:
            _check_nulls(value, f"{option}.{name}")


def _class_of(settings: Namespace) -> type[Any]:
    return pkgutil.resolve_name(settings.class_path)


def fill_schedule(config: Namespace, asked: Collection[str]) -> None:
    """Lets validations be due by images, unless the Trainer's own schedule was asked for.

    Args:
        config: Of the command.
        asked: The options on the command line, by dotted name.

    Raises:
        ConfigurationError: If both schedules were asked for there.
    """
    trainer, model = config.trainer, config.model.init_args
    for option in ("check_val_every_n_epoch", "val_check_interval"):
        if {"model.validate_every", f"trainer.{option}"} <= {*asked}:
            raise ConfigurationError(
                f"--model.validate_every and --trainer.{option} are two schedules of validations: "
                "give one of them."
            )
    if trainer.check_val_every_n_epoch is None and trainer.val_check_interval is None:
        model["validate_every"] = model.get("validate_every") or 0
    else:
        model["validate_every"] = None


def epochs_between_validations(trainer: Namespace) -> int | None:
    """What the Trainer is told, which wants a number unless batches between them are given.

    The settings keep null, which they are repeated from: a number is a schedule of one's own.
    """
    given: int | None = trainer.check_val_every_n_epoch
    return given if isinstance(trainer.val_check_interval, int) else given or 1


def fill_rates(config: Namespace, asked: Collection[str]) -> None:
    """Gives the players' optimizers the rate of ``--lr``, but for one that was given its own.

    Args:
        config: Of the command.
        asked: The options on the command line, by dotted name.
    """
    if config.lr is not None:
        check_range("fit", above(0), lr=config.lr)
        for player in PLAYERS:
            if f"model.{player}_optimizer.lr" not in asked:
                optimizer = config.model.init_args[f"{player}_optimizer"]
                optimizer.init_args["lr"] = config.lr


def share_batches(config: Namespace) -> None:
    """Shares out ``--global_batch_size`` over the processes.

    Raises:
        ConfigurationError: If it cannot be shared out evenly.
    """
    total = config.global_batch_size
    if total is None:
        return
    processes = _devices(config.trainer) * config.trainer.num_nodes
    check_range("fit", at_least(1), global_batch_size=total)
    if total % processes:
        raise ConfigurationError(
            f"--global_batch_size {total} cannot be shared out over {processes} processes: take "
            f"{-(-total // processes) * processes}."
        )
    config.data.init_args["batch_size"] = total // processes


def check_trainer(trainer: Namespace) -> None:
    """Refuses options of the Trainer that cannot work with two players.

    Raises:
        ConfigurationError: With the option to take instead.
    """
    check_options(vars(trainer), COMMAND_LINE)
    counts = {name: trainer[name] for name in ("log_every_n_steps", "check_val_every_n_epoch")}
    check_range("Trainer", at_least(1), num_nodes=trainer.num_nodes, **counts)
    interval = trainer.val_check_interval
    if isinstance(interval, int | float):
        share = [at_most(1)] if isinstance(interval, float) else []
        check_range("Trainer", above(0), *share, val_check_interval=interval)


def fitting_strategy(trainer: Namespace) -> str | Namespace:
    """The strategy for the devices asked for.

    Raises:
        ConfigurationError: If one was asked for that does not exist, or that cannot train two
            players in turns.
    """
    asked: str | Namespace = trainer.strategy
    if asked == "auto":
        return "gan_ddp" if _devices(trainer) * trainer.num_nodes > 1 else "auto"
    if isinstance(asked, str):
        if asked not in StrategyRegistry:
            known = ["auto", *StrategyRegistry.available_strategies()]
            hint = f"did you mean {near}?" if (near := nearest(asked, known)) else "take gan_ddp."
            raise ConfigurationError(f"There is no --trainer.strategy {asked}: {hint}")
        name, kind = asked, StrategyRegistry[asked]["strategy"]
        arguments = StrategyRegistry[asked]["init_params"]
    else:
        kind, arguments = _class_of(asked), asked.get("init_args") or {}
        name = kind.__name__
    refuse_strategy(kind, arguments, f"--trainer.strategy {name}", "leave it out, or take gan_ddp.")
    return asked


def check_processes(trainer: Namespace) -> None:
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


def _devices(trainer: Namespace) -> int:
    """Devices of one machine."""
    devices = trainer.devices
    if devices in ("auto", -1, "-1"):
        on_gpu = trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
        return torch.cuda.device_count() if on_gpu else 1
    return number_of(devices, COMMAND_LINE)
