"""What commands without a Trainer share: checkpoints by folder, devices, modules of one's own."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch

from lightning_gan.cli.configuration import newest_checkpoint
from lightning_gan.errors import ConfigurationError


class PlainParser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with an option."""

    def error(self, message: str) -> NoReturn:
        """Ends the command."""
        command = self.prog.rpartition(" ")[2]
        raise ConfigurationError(f"{command}: {message}; see lightning-gan {command} --help.")


def import_modules(names: Sequence[str], command: str) -> None:
    """Imports modules with parts that a checkpoint names.

    Raises:
        ConfigurationError: If one cannot be imported.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigurationError(
                f"{command}: --import {name}: {error}; the module must lie in this folder or be "
                "installed."
            ) from error


def checkpoint_in(path: Path) -> Path:
    """The file itself, or the newest ``last.ckpt`` of a run's folder.

    Raises:
        ConfigurationError: If the folder has none.
    """
    if not path.is_dir():
        return path
    found = newest_checkpoint(path)
    if found is None:
        raise ConfigurationError(f"There is no last.ckpt below {path}: give a checkpoint file.")
    return found


def usual_device() -> str:
    """The first GPU, where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_called(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ConfigurationError: If torch cannot use it.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ConfigurationError(
            f"--device {name} cannot be used here: leave it out, or take cpu."
        ) from error
    return device
