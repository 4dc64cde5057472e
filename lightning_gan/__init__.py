"""Generative adversarial networks for PyTorch Lightning."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lightning_gan.gan import GAN, load
    from lightning_gan.training.composition import Composition
    from lightning_gan.training.game import Game, Player
    from lightning_gan.training.latents import CodePrior, Prior, UniformPrior
    from lightning_gan.training.optimizers import GANAdam
    from lightning_gan.training.schedule import (
        Alternation,
        CosineCurve,
        Curve,
        DecayCurve,
        LinearCurve,
        PerBatch,
        Phases,
        Progress,
    )
from lightning_gan.training.step import Step, StepOutput

HOMES = {
    "GAN": "gan",
    "load": "gan",
    "Composition": "training.composition",
    "Game": "training.game",
    "Player": "training.game",
    "CodePrior": "training.latents",
    "Prior": "training.latents",
    "UniformPrior": "training.latents",
    "GANAdam": "training.optimizers",
    "Alternation": "training.schedule",
    "CosineCurve": "training.schedule",
    "Curve": "training.schedule",
    "DecayCurve": "training.schedule",
    "LinearCurve": "training.schedule",
    "PerBatch": "training.schedule",
    "Phases": "training.schedule",
    "Progress": "training.schedule",
    "Step": "training.step",
    "StepOutput": "training.step",
}
"""Modules of what is offered here and imported late, since torch takes seconds."""

__all__ = [
    "GAN",
    "Alternation",
    "CodePrior",
    "Composition",
    "CosineCurve",
    "Curve",
    "DecayCurve",
    "GANAdam",
    "Game",
    "LinearCurve",
    "PerBatch",
    "Phases",
    "Player",
    "Prior",
    "Progress",
    "Step",
    "StepOutput",
    "UniformPrior",
    "__version__",
    "load",
]

if Path(__file__).with_name("datamodules").is_file():  # how git on Windows writes links by default
    raise ImportError(
        "lightning_gan/datamodules is a text file and must be a link to the folder datamodules: "
        "allow symbolic links (Windows: developer mode), run `git config core.symlinks true` and "
        "`git checkout -- lightning_gan/datamodules`, or install the wheel instead."
    )


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever is asked for)
    """Imports what is offered here when it is first asked for."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
