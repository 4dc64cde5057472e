"""The classifiers that ship with the package, as extractors of their bounded features."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load
from torch import Tensor

from lightning_gan.basics.class_names import CIFAR10_NAMES, DIGIT_NAMES
from lightning_gan.errors import WeightsError
from lightning_gan.metrics.extractors.base import FeatureExtractor, to_channels, to_size
from lightning_gan.metrics.extractors.classifiers import (
    BoundedClassifier,
    DigitNetwork,
    PictureNetwork,
)

WEIGHTS_FOLDER = Path(__file__).resolve().parents[1] / "weights"

# SHA-256 of the bundled files, as scripts/train_extractors.py prints it.
WEIGHTS = {
    "digits_cnn": "398cf777b48b0c2feaea9599e940f646f74562a8b721b46d078e1c2d2323d116",
    "mnist_cnn": "9adb37468e4a72ed903f791ed8b5ad790d695d0a773750fbed69decbc57ec671",
    "cifar10_cnn": "cdbe6fc705a0d4606019af2f8dac35cb1428fbf80701bcdee0e73825637e88bc",
}


def load_bundled(name: str, folder: Path = WEIGHTS_FOLDER) -> dict[str, Tensor]:
    """The tensors of a bundled file, after its checksum was compared with the pinned one.

    Raises:
        WeightsError: If the file is missing or its SHA-256 differs from ``WEIGHTS``.
    """
    path = folder / f"{name}.safetensors"
    way_out = (
        "install the package again, or train it anew with "
        f"'python scripts/train_extractors.py {name} --root data'"
    )
    if not path.is_file():
        raise WeightsError(f"The bundled weights {path} are missing: {way_out}.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS[name]:
        raise WeightsError(
            f"The bundled weights {path} are damaged (SHA-256 {found[:12]}... instead of "
            f"{WEIGHTS[name][:12]}...): {way_out}."
        )
    return load(content)


class BundledClassifier(FeatureExtractor):
    """A small classifier that ships with the package, its bounded layer being the feature.

    Raises:
        WeightsError: If its file is missing or damaged.
    """

    network_class: ClassVar[Callable[[], BoundedClassifier]]
    channels: ClassVar[int] = 1
    image_size: ClassVar[int] = 28
    reads_features = True
    resizing = "bilinear, antialiased where shrunk"

    def __init__(self) -> None:
        super().__init__()
        network = type(self).network_class()
        weights = {key: value.float() for key, value in load_bundled(self.name).items()}
        network.load_state_dict(network.state_dict() | weights)  # which have no counters
        self.network = network.to(memory_format=torch.channels_last)
        self.num_features, self.num_classes = network.num_features, network.num_classes
        self.freeze()

    def _prepare(self, images: Tensor) -> Tensor:
        images = to_size(to_channels(images, self.channels), self.image_size)
        return images.contiguous(memory_format=torch.channels_last)

    def extract(self, images: Tensor) -> Tensor:
        """Features in (-1, 1) of the bounded layer."""
        return self.network.features(self._prepare(images))

    def logits(self, images: Tensor) -> Tensor:
        """Logits over ``class_names``."""
        return self.logits_of(self.extract(images))

    def logits_of(self, features: Tensor) -> Tensor:
        """Logits over ``class_names``, from the features."""
        return self.network.head(features)


class DigitsCNN(BundledClassifier):
    """Digits of scikit-learn, enlarged to 28 x 28 x 1; other images are resized to that."""

    name = "digits_cnn"
    network_class = DigitNetwork
    class_names = DIGIT_NAMES


class MnistCNN(BundledClassifier):
    """MNIST, 28 x 28 x 1; other images are resized to that, colours averaged."""

    name = "mnist_cnn"
    network_class = DigitNetwork
    class_names = DIGIT_NAMES


class Cifar10CNN(BundledClassifier):
    """CIFAR-10, 32 x 32 x 3; other images are resized to that, grey repeated."""

    name = "cifar10_cnn"
    network_class = PictureNetwork
    class_names = CIFAR10_NAMES
    channels = 3
    image_size = 32
