"""Beginning a new run from the players of another one."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lightning_gan.checkpoints.files import own_state, read_checkpoint
from lightning_gan.errors import WeightsError
from lightning_gan.training.progress import PLAYERS


def warm_start(model: nn.Module, path: str | Path) -> None:
    """Gives both players, and the averaged generator, the weights of a checkpoint.

    Args:
        model: The GAN.
        path: A checkpoint of a GAN with the same networks.

    Raises:
        WeightsError: If the file is missing or damaged, or holds other networks.
    """
    if not Path(path).is_file():
        raise WeightsError(f"There is no checkpoint at {path}: check warm_start.")
    checkpoint = read_checkpoint(path)
    own_state(checkpoint, str(path))
    weights = checkpoint.get("state_dict")
    weights = weights if isinstance(weights, dict) else {}
    for player in (*PLAYERS, "generator_ema"):
        prefix = f"{player}."
        theirs = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        try:
            getattr(model, player).load_state_dict(theirs)
        except RuntimeError as error:
            raise WeightsError(
                f"The {player.replace('_', ' ')} in {path} is another one than this model's: give "
                "warm_start a checkpoint of the same networks."
            ) from error
