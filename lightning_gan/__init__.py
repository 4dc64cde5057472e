"""Generative adversarial networks for PyTorch Lightning."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_gan.basics.version import __version__ as __version__

if TYPE_CHECKING:
    from lightning_gan.callbacks.fitting import fit as fit
    from lightning_gan.exports.export import export as export
    from lightning_gan.exports.pretrained import pretrained as pretrained
    from lightning_gan.gan import GAN as GAN
    from lightning_gan.gan import load as load
    from lightning_gan.training.composition import Composition as Composition
    from lightning_gan.training.game import Game as Game
    from lightning_gan.training.latents import CodePrior as CodePrior
    from lightning_gan.training.latents import Prior as Prior
    from lightning_gan.training.latents import UniformPrior as UniformPrior
    from lightning_gan.training.optimizers import GANAdam as GANAdam
    from lightning_gan.training.players import Player as Player
    from lightning_gan.training.schedule import Alternation as Alternation
    from lightning_gan.training.schedule import CosineCurve as CosineCurve
    from lightning_gan.training.schedule import Curve as Curve
    from lightning_gan.training.schedule import DecayCurve as DecayCurve
    from lightning_gan.training.schedule import LinearCurve as LinearCurve
    from lightning_gan.training.schedule import PerBatch as PerBatch
    from lightning_gan.training.schedule import Phases as Phases
    from lightning_gan.training.schedule import Progress as Progress
    from lightning_gan.training.step import Step as Step
    from lightning_gan.training.step import StepOutput as StepOutput

OFFERED = {
    "callbacks.fitting": "fit",
    "exports.export": "export",
    "exports.pretrained": "pretrained",
    "gan": "GAN load",
    "training.composition": "Composition",
    "training.game": "Game",
    "training.latents": "CodePrior Prior UniformPrior",
    "training.optimizers": "GANAdam",
    "training.players": "Player",
    "training.schedule": "Alternation PerBatch Phases Progress "
    "Curve CosineCurve DecayCurve LinearCurve",
    "training.step": "Step StepOutput",
}
"""Names by module; imported when they are first asked for, since torch takes seconds."""

HOMES = {name: module for module, names in OFFERED.items() for name in names.split()}

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


def __dir__() -> list[str]:
    """What is offered here, whether it was imported before or not."""
    return sorted({*globals(), *HOMES} - {"HOMES", "OFFERED", "Any", "Path", "import_module"})
