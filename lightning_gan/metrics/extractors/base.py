"""Feature extractors: frozen functions from images to vectors, bundled or supplied by the user.

An extractor takes what a generator gives: float images (N, C, H, W) in [-1, 1], or points (N, D).
It is in eval mode and float32 always, follows the device of its input, and its name is part of
every key: Frechet distances of two extractors never compare.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_gan.basics.class_names import CIFAR10_NAMES, DIGIT_NAMES
from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.metrics.extractors.bundled import load_bundled
from lightning_gan.metrics.extractors.classifiers import (
    BoundedClassifier,
    DigitNetwork,
    PictureNetwork,
)


@contextlib.contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """No gradients, no autocast, no TF32, no algorithm picked by the stopwatch; restored after."""
    precision = torch.get_float32_matmul_precision()
    try:
        if precision != "highest":
            torch.set_float32_matmul_precision("highest")
        with (
            torch.no_grad(),
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            yield
    finally:
        if precision != "highest":
            torch.set_float32_matmul_precision(precision)


class FeatureExtractor(nn.Module):
    """A frozen map from images to feature vectors; a classifier as well where it has classes.

    A subclass gives ``name`` and ``extract``, and ``logits`` where it classifies; both receive
    float32 images on the extractor's own device, without gradients and without autocast. A name
    is part of the logged key and of the cache's, so another rule of resizing needs another name.

    Attributes:
        name: What stands in the key, as in ``fid/mnist_cnn``.
        num_features: Length D of the feature vectors; 0 where the images decide it.
        num_classes: Number of logits; 0 where the extractor does not classify.
        class_names: One name per class.
        reads_features: Whether the logits are a function of the features, ``logits_of``, so that
            one pass gives both.
        resizing: What happens to images of another size, in words, for records.
    """

    name: ClassVar[str] = ""
    num_features: int = 0
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    reads_features: bool = False
    resizing: str = "none"

    def extract(self, images: Tensor) -> Tensor:
        """Features (N, D) of float32 images (N, C, H, W) in [-1, 1] or points (N, D)."""
        raise NotImplementedError(f"{type(self).__name__} has to define extract(images).")

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of float32 images (N, C, H, W) in [-1, 1]."""
        raise ConfigurationError(
            f"The extractor {self.name!r} does not classify: take 'mnist_cnn', 'digits_cnn', "
            "'cifar10_cnn' or a class of your own that defines logits(images)."
        )

    def logits_of(self, features: Tensor) -> Tensor:
        """Logits (N, K) of features (N, D), where ``reads_features`` says so."""
        raise NotImplementedError(f"{type(self).__name__} has to define logits_of(features).")

    def head(self, features: Tensor) -> Tensor:
        """Logits (N, K), float32, of features (N, D) that it gave."""
        with exact_float32(features.device):
            return self.logits_of(features).float()

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, D), float32, of images (N, C, H, W) in [-1, 1] or points (N, D)."""
        with exact_float32(images.device):
            return self.extract(self._follow(images).float()).float()

    def classify(self, images: Tensor) -> Tensor:
        """Logits (N, K), float32, of images (N, C, H, W) in [-1, 1].

        Raises:
            ConfigurationError: If the extractor has no classes.
        """
        with exact_float32(images.device):
            return self.logits(self._follow(images).float()).float()

    def _follow(self, images: Tensor) -> Tensor:
        """Freezes what is not frozen yet and moves the weights to the images."""
        if self.training:
            self.freeze()
        weight = next(self.parameters(), None)
        if weight is not None and weight.device != images.device:
            self.to(images.device)
        return images

    def freeze(self) -> FeatureExtractor:
        """Eval mode and no gradients, for good."""
        super().train(False)
        return self.requires_grad_(False)

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Does nothing: an extractor in train mode would drift with what it measures."""
        return self

    def eval(self) -> FeatureExtractor:
        """The only mode there is."""
        return self.freeze()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the name, the class and every weight."""
        digest = hashlib.sha256(f"{self.name}:{type(self).__qualname__}".encode())
        for key, value in sorted(self.state_dict().items()):
            digest.update(f"{key}:{tuple(value.shape)}:{value.dtype};".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def to_channels(images: Tensor, channels: int) -> Tensor:
    """Images (N, channels, H, W): colour averaged to grey, grey repeated to colour.

    Raises:
        ConfigurationError: If the images are points, or have neither 1 nor ``channels`` channels
            where colour is wanted.
    """
    if images.ndim != 4 or (channels != 1 and images.shape[1] not in (1, channels)):
        raise ConfigurationError(
            f"The extractor takes images (N, 1 or {channels}, H, W) and was given "
            f"{tuple(images.shape)}: choose 'pixel' for images of other channels and 'identity' "
            "for points."
        )
    if channels == 1:
        return images.mean(1, keepdim=True) if images.shape[1] > 1 else images
    return images.expand(-1, channels, -1, -1)


def to_size(images: Tensor, size: int) -> Tensor:
    """Images (N, C, size, size), resized bilinearly, averaged over the pixels where shrunk."""
    if images.shape[-2:] == (size, size):
        return images
    shrinks = images.shape[-2] > size or images.shape[-1] > size
    return F.interpolate(
        images, (size, size), mode="bilinear", align_corners=False, antialias=shrinks
    )


class BundledClassifier(FeatureExtractor):
    """A small classifier that ships with the package, its bounded layer being the feature.

    Raises:
        WeightsError: If its file is missing, damaged, or not the one that the code was made for.
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
        counters = {key for key in network.state_dict() if key.endswith("num_batches_tracked")}
        result = network.load_state_dict(weights, strict=False)
        if result.unexpected_keys or set(result.missing_keys) - counters:
            raise WeightsError(
                f"The weights of {self.name!r} are for another network: train them anew with "
                f"scripts/train_extractors.py {self.name}."
            )
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
        logits: Tensor = self.network.head(features)
        return logits


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


def _inception() -> FeatureExtractor:
    from lightning_gan.metrics.extractors.inception import Inception

    return Inception()


REGISTRY: dict[str, Callable[[], FeatureExtractor]] = {
    "digits_cnn": DigitsCNN,
    "mnist_cnn": MnistCNN,
    "cifar10_cnn": Cifar10CNN,
    "pixel": PixelFeatures,
    "identity": IdentityFeatures,
    "inception": _inception,
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
        return _import(name)().freeze()
    near = difflib.get_close_matches(name, REGISTRY, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}, or" if near else "choose"
    raise ConfigurationError(
        f"There is no extractor {name!r}: {hint} one of {', '.join(REGISTRY)}, or the import path "
        "of a FeatureExtractor of your own?"
    )


def _import(path: str) -> type[FeatureExtractor]:
    module, _, attribute = path.rpartition(".")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
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


def default_extractor(data_name: str, channels: int, image_size: int) -> str:
    """The extractor to take where the user names none; nothing that needs a download.

    Args:
        data_name: Name of the data, as in ``mnist``.
        channels: Channels of the images, or numbers per point.
        image_size: Side of the images in pixels; 0 for points.
    """
    if image_size == 0:
        return "identity"
    if data_name == "cifar100" and channels == 3:
        return "cifar10_cnn"  # photographs of the same size: its features carry over
    return default_classifier(data_name) or "pixel"
