"""Generative adversarial networks for PyTorch Lightning."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["GAN", "__version__", "load"]

if TYPE_CHECKING:
    from lightning_gan.gan import GAN, load

HOMES = {"GAN": "gan", "load": "gan"}
"""Modules of what is offered here and imported late, since torch takes seconds."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever is asked for)
    """Imports what is offered here when it is first asked for."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
