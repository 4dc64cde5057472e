"""The version of this package, and of what computes for it."""

import importlib.metadata

__version__ = "0.1.0"


def versions() -> dict[str, str]:
    """Of this package, torch and Lightning."""
    import torch  # here, since the version alone is wanted at once

    lightning = importlib.metadata.version("lightning")
    return {"lightning_gan": __version__, "torch": str(torch.__version__), "lightning": lightning}
