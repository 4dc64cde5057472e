"""Extractors by name: those that need no training, those that are bundled, and a user's own."""

import importlib
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from lightning_gan.basics.words import nearest
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.extractors.bundled import Cifar10CNN, DigitsCNN, MnistCNN
from lightning_gan.metrics.extractors.inception import Inception


class PixelFeatures(FeatureExtractor):
    """The pixels themselves, area-averaged to at most 16 x 16: no training, no classes.

    Crude, but honest where no classifier fits the data: it sees means, colours and coarse
    shapes, and no fine texture.
    """

    name = "pixel"
    resizing = "area average to at most 16 x 16"

    def extract(self, images: Tensor) -> Tensor:
        """The flattened small picture, (N, C * min(H, 16) * min(W, 16))."""
        if images.ndim == 4:
            height, width = (min(int(size), 16) for size in images.shape[-2:])
            images = F.adaptive_avg_pool2d(images, (height, width))
        return images.flatten(1)


class IdentityFeatures(FeatureExtractor):
    """The samples themselves, flattened: for points in the plane."""

    name = "identity"

    def extract(self, images: Tensor) -> Tensor:
        """The samples as vectors (N, D)."""
        return images.flatten(1)


REGISTRY: dict[str, Callable[[], FeatureExtractor]] = {
    "digits_cnn": DigitsCNN,
    "mnist_cnn": MnistCNN,
    "cifar10_cnn": Cifar10CNN,
    "pixel": PixelFeatures,
    "identity": IdentityFeatures,
    "inception": Inception,
}


def get_extractor(name: str) -> FeatureExtractor:
    """The frozen extractor of that name.

    Args:
        name: One of ``REGISTRY``, or the import path of a subclass of ``FeatureExtractor`` that
            needs no arguments (``my_package.features.MyExtractor``).

    Raises:
        ConfigurationError: If there is no such extractor.
        WeightsError: If its weights are missing or damaged.
    """
    if name in REGISTRY:
        return REGISTRY[name]().freeze()
    if "." in name:
        kind = _import(name)
        try:
            return kind().freeze()
        except TypeError as error:
            raise ConfigurationError(
                f"The extractor {name!r} cannot be made without arguments ({error}): give a class "
                "that needs none."
            ) from error
    near = nearest(name, REGISTRY, 0.4)
    hint = f"did you mean {near!r}, or" if near else "choose"
    raise ConfigurationError(
        f"There is no extractor {name!r}: {hint} one of {', '.join(REGISTRY)}, or the import path "
        "of a FeatureExtractor of your own?"
    )


def _import(path: str) -> type[FeatureExtractor]:
    module, _, attribute = path.rpartition(".")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"The extractor {path!r} cannot be imported ({error}): give the full path of a class, "
            "as in my_package.features.MyExtractor."
        ) from error
    if not (isinstance(found, type) and issubclass(found, FeatureExtractor) and found.name):
        raise ConfigurationError(
            f"{path!r} is no FeatureExtractor with a name: derive it from "
            "lightning_gan.metrics.FeatureExtractor and set `name`."
        )
    return found


def default_classifier(data_name: str) -> str | None:
    """The bundled classifier of exactly these classes, or None."""
    return {"digits": "digits_cnn", "mnist": "mnist_cnn", "cifar10": "cifar10_cnn"}.get(data_name)


def default_extractor(data_name: str, channels: int, image_size: int | tuple[int, int]) -> str:
    """The extractor to take where the user names none; nothing that needs a download.

    Args:
        data_name: Name of the data, as in ``mnist``.
        channels: Channels of the images, or numbers per point.
        image_size: Height and width in pixels, one number where they are equal; 0 for points.
    """
    if image_size == 0:
        return "identity"
    if data_name == "cifar100" and channels == 3:
        return "cifar10_cnn"  # photographs of the same size: its features carry over
    return default_classifier(data_name) or "pixel"
