"""A model from its checkpoint alone."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from lightning_gan.basics.plain import Plain
from lightning_gan.checkpoints.exported import EXPORTED
from lightning_gan.checkpoints.files import checkpoint_in, read_checkpoint
from lightning_gan.checkpoints.parts import build
from lightning_gan.checkpoints.record import ARGUMENTS, own_state
from lightning_gan.errors import LightningGANError, WeightsError

Model = TypeVar("Model", bound=nn.Module)


def build_model(
    kind: type[Model],
    path: str | Path,
    map_location: str | torch.device,
    given: Mapping[str, nn.Module | None],
) -> tuple[Model, dict[str, Plain]]:
    """Builds the model of a checkpoint, of which no code is run.

    Args:
        kind: Class of the model.
        path: A checkpoint, or the folder of a run.
        map_location: Device to put it on.
        given: Parts that stand in the place of the file's, by name; None is none.

    Returns:
        The model with its weights, in evaluation mode, and what was recorded besides.

    Raises:
        WeightsError: If the file is missing, damaged, unsafe, or not a checkpoint of a GAN.
    """
    path = checkpoint_in(path)
    checkpoint = read_checkpoint(path, map_location)
    state = own_state(checkpoint, str(path))
    own = {name: part for name, part in given.items() if part is not None}
    named = {name: part for name, part in checkpoint[ARGUMENTS].items() if name not in own}
    _refuse_arguments_of_a_subclass(kind, named, path)
    try:
        model = kind(**{name: build(part) for name, part in named.items()} | own)
        weights = checkpoint["state_dict"].items()
        types = {x.dtype for name, x in weights if name.startswith("generator")}
        if torch.float64 in types and torch.float32 not in types:
            model.double()
        lacking = model.load_state_dict(checkpoint["state_dict"], strict=EXPORTED not in state)
        if any(name.startswith("generator") for name in lacking.missing_keys):
            raise WeightsError(f"{path} lacks weights of the generator: export it again.")
    except LightningGANError:
        raise
    except Exception as error:  # whatever a description that was changed makes a part do
        raise WeightsError(
            f"The weights in {path} do not fit the parts that it names, or that were given "
            f"({type(error).__name__}): take another checkpoint of the run."
        ) from error
    return model.to(map_location).eval(), state


def _refuse_arguments_of_a_subclass(
    kind: type[nn.Module], named: Mapping[str, Plain], path: Path
) -> None:
    """Refuses what a class does not take: the model was one of another class, derived from it.

    Raises:
        WeightsError: With the way to load it.
    """
    parameters = inspect.signature(kind).parameters
    unknown = [name for name in named if name not in parameters]
    if unknown and not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        raise WeightsError(
            f"{path} is of a class of somebody's own, since {kind.__name__} takes no "
            f"{', '.join(unknown)}: load it from Python by that class's load_from_checkpoint."
        )
