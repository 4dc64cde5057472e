"""A new run that begins with the players of another one."""

from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from lightning_gan.checkpoints.compiled import named_as_in
from lightning_gan.checkpoints.files import checkpoint_in, read_checkpoint
from lightning_gan.checkpoints.record import own_state, part_of
from lightning_gan.errors import WeightsError

LEAST = 0.25
"""Share of a network's numbers that must fit; below it, it is another network."""

NAMED = 5
"""Weights that a sentence names."""


def warm_start(networks: Mapping[str, nn.Module], path: str | Path) -> int:
    """Gives networks what fits of the weights that a checkpoint has for them, and names the rest.

    Weights of the same name and shape fit. So networks for other classes or another size keep what
    does not depend on these; what does stays new.

    Args:
        networks: Both players and the averaged generator, by their names in checkpoints.
        path: A checkpoint of a GAN, the folder of a run, an export, whose discriminator may be
            missing, or ``pretrained:NAME``.

    Returns:
        Images that the averaged generator has behind it; 0 where some of its weights are new.

    Raises:
        WeightsError: If the file is missing or damaged, or holds other networks.
    """
    path = checkpoint_in(path)
    if not path.exists():
        raise WeightsError(f"There is no checkpoint at {path}: check warm_start.")
    checkpoint = read_checkpoint(path)
    state, weights = own_state(checkpoint, str(path)), part_of(checkpoint, "state_dict")
    taken = {name: _fitting(network, name, weights) for name, network in networks.items()}
    if not any(taken.values()):
        raise WeightsError(f"{path} holds no weights of a GAN: give warm_start another file.")
    for name, network in networks.items():
        if any(weight.startswith(f"{name}.") for weight in weights):
            _refuse_another(name, network, taken[name], path)
    for name, network in networks.items():
        network.load_state_dict(taken[name], strict=False)
        if name != "generator_ema":
            _name_new(name, network, taken[name], path)
    average = networks["generator_ema"].state_dict().keys() <= taken["generator_ema"].keys()
    return state["images_in_average"] + state.get("images_before", 0) if average else 0


def _fitting(network: nn.Module, name: str, weights: Mapping[str, object]) -> dict[str, Tensor]:
    """The weights in a file that a network can take."""
    found, prefix = {}, f"{name}."
    inside = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    theirs = named_as_in(network, inside)
    for weight, ours in network.state_dict().items():
        given = theirs.get(weight)
        if isinstance(given, Tensor) and given.shape == ours.shape:
            found[weight] = given
    return found


def _refuse_another(name: str, network: nn.Module, taken: Mapping[str, Tensor], path: Path) -> None:
    """Refuses a network of which next to nothing fits.

    Raises:
        WeightsError: With the share that does.
    """
    total = sum(weight.numel() for weight in network.state_dict().values())
    share = sum(weight.numel() for weight in taken.values()) / max(total, 1)
    if share < LEAST:
        raise WeightsError(
            f"The {name.replace('_', ' ')} in {path} is another one than this model's: of its "
            f"numbers {share:.0%} fit, so give warm_start a checkpoint of the same networks."
        )


def _name_new(name: str, network: nn.Module, taken: Mapping[str, Tensor], path: Path) -> None:
    """Says which weights stay as they are."""
    every = network.state_dict()
    new = [weight for weight in every if weight not in taken]
    if not taken:
        rank_zero_warn(f"{path} holds no {name}, which starts anew.")
    elif new:
        more = f" and {len(new) - NAMED} more" if len(new) > NAMED else ""
        rank_zero_warn(
            f"The {name} takes {len(taken)} of its {len(every)} weights from {path}; new are "
            f"{', '.join(new[:NAMED])}{more}."
        )
