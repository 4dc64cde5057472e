"""A GAN from its checkpoint alone."""

from __future__ import annotations

from pathlib import Path

import torch

from lightning_gan.checkpoint import own_state, read_checkpoint
from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.gan import GAN
from lightning_gan.parts import build
from lightning_gan.progress import Progress


def load(path: str | Path, map_location: str | torch.device = "cpu") -> GAN:
    """Builds the GAN of a checkpoint, ready to sample from.

    Parts defined outside this package must be imported first. No code of the file is run.

    Args:
        path: A checkpoint written during ``fit``.
        map_location: Device to put it on.

    Raises:
        WeightsError: If the file is missing, damaged, unsafe, or not a checkpoint of a GAN.
    """
    checkpoint = read_checkpoint(path, map_location)
    state = own_state(checkpoint, str(path))
    try:
        parts = {name: build(part) for name, part in state["parts"].items()}
        model = GAN(**parts)
        model.load_state_dict(checkpoint["state_dict"])
        model.progress = Progress(**state["progress"])
        model.images_in_average = state["images_in_average"]
    except (ConfigurationError, WeightsError):
        raise
    except Exception as error:  # whatever a description that was changed makes a part do
        raise WeightsError(
            f"The weights in {path} do not fit the parts that it names "
            f"({type(error).__name__}): take another checkpoint of the run."
        ) from error
    return model.to(map_location).eval()
