"""Where a run writes, and whom it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN


def of_gan(module: LightningModule) -> GAN:
    """``module`` as the GAN that these callbacks need.

    Raises:
        ConfigurationError: If it is something else.
    """
    if not isinstance(module, GAN):
        raise ConfigurationError(
            f"This callback reads a lightning_gan.gan.GAN, but the model is a "
            f"{type(module).__name__}: remove the callback or derive the model from GAN."
        )
    return module


_FOLDERS: WeakKeyDictionary[Trainer, Path] = WeakKeyDictionary()


def run_folder(trainer: Trainer) -> Path:
    """The folder of the run, the same on all processes.

    All processes must ask for it the first time, since rank zero then tells the others.
    """
    if trainer not in _FOLDERS:
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        if trainer.world_size > 1 and not torch.distributed.is_initialized():
            return folder
        _FOLDERS[trainer] = folder
    return _FOLDERS[trainer]


def is_dry(trainer: Trainer) -> bool:
    """Whether the Trainer only tries things out, so that nothing should be measured or written."""
    return bool(trainer.sanity_checking or getattr(trainer, "fast_dev_run", False))


def data_of(trainer: Trainer) -> Any:  # noqa: ANN401 (any data module that fits the protocol)
    """The data module of the run, or None."""
    return getattr(trainer, "datamodule", None)
