"""What the files of the bundled classifiers tell of themselves."""

from __future__ import annotations

from safetensors import safe_open

from lightning_gan.metrics.extractors.bundled import WEIGHTS_FOLDER


def record_of(name: str) -> dict[str, str]:
    """How a classifier was made: accuracy, seed, epochs, data, command, seconds."""
    with safe_open(WEIGHTS_FOLDER / f"{name}.safetensors", framework="pt") as file:
        return dict(file.metadata())
