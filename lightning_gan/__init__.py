"""Generative adversarial networks for PyTorch Lightning."""

from typing import TYPE_CHECKING, Any

from lightning_gan.version import __version__

__all__ = ["GAN", "__version__", "load"]

if TYPE_CHECKING:
    from lightning_gan.gan import GAN
    from lightning_gan.loading import load


def __getattr__(name: str) -> Any:  # noqa: ANN401 (imported late: torch takes seconds)
    """Imports ``GAN`` and ``load`` when they are first asked for."""
    if name == "GAN":
        from lightning_gan.gan import GAN

        return GAN
    if name == "load":
        from lightning_gan.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
