"""Trained models that come with the package, each named after its recipe."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from lightning_gan.checkpoints.exported import NAME
from lightning_gan.errors import ConfigurationError, WeightsError, said

FOLDER = Path(__file__).with_name("weights")
"""An export of each model, and an index of what is known of them."""

INDEX = "index.json"
PREFIX = "pretrained:"
"""Before a name that stands in the place of a checkpoint's path."""
NOT_WHOLE = "is missing or damaged: install lightning-gan again"


class Pretrained(NamedTuple):
    """What is known of a model.

    Args:
        recipe: What it was made by, which is its name.
        seed: Seed of the run.
        commit: Of the code.
        images: Images it has seen.
        cpu_minutes: Minutes of CPU of its training, on one thread.
        values: What was measured of these weights, in half precision.
        sha256: Of the file.
    """

    recipe: str
    seed: int
    commit: str
    images: int
    cpu_minutes: float
    values: dict[str, float]
    sha256: str


def pretrained_models() -> dict[str, Pretrained]:
    """All of them by name.

    Raises:
        WeightsError: If the index is missing or damaged.
    """
    path = FOLDER / INDEX
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: Pretrained(recipe=name, **about) for name, about in found.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} {NOT_WHOLE} ({said(error)}).") from error


def weights_of(name: str) -> Path:
    """The file of a model.

    Raises:
        ConfigurationError: If there is none of that name.
        WeightsError: If it is missing, or not the file that the index means.
    """
    models = pretrained_models()
    if name not in models:
        raise ConfigurationError(
            f"There is no pretrained model {name!r}: the package has {', '.join(models)}; train "
            "others with lightning-gan fit --config NAME."
        )
    path = FOLDER / name / NAME
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} {NOT_WHOLE} ({said(error)}).") from error
    if found != models[name].sha256:
        raise WeightsError(f"{path} {NOT_WHOLE} (its hash is not that of {INDEX}).")
    return path
