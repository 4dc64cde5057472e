"""A new run that begins with the players of another one."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from lightning_gan.checkpoints.compiled import named_as_in
from lightning_gan.checkpoints.files import read_checkpoint
from lightning_gan.checkpoints.record import own_state, part_of
from lightning_gan.errors import WeightsError


def warm_start(networks: Mapping[str, nn.Module], path: str | Path) -> None:
    """Gives networks the weights that a checkpoint has for them.

    Args:
        networks: Both players and the averaged generator, by their names in checkpoints.
        path: A checkpoint of a GAN with the same networks.

    Raises:
        WeightsError: If the file is missing or damaged, or holds other networks.
    """
    if not Path(path).is_file():
        raise WeightsError(f"There is no checkpoint at {path}: check warm_start.")
    checkpoint = read_checkpoint(path)
    own_state(checkpoint, str(path))
    weights = part_of(checkpoint, "state_dict")
    for name, network in networks.items():
        prefix = f"{name}."
        theirs = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        try:
            network.load_state_dict(named_as_in(network, theirs))
        except RuntimeError as error:
            raise WeightsError(
                f"The {name.replace('_', ' ')} in {path} is another one than this model's: give "
                "warm_start a checkpoint of the same networks."
            ) from error
