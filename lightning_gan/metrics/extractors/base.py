"""What a feature extractor is: a frozen function from images to vectors.

An extractor takes what a generator gives: float images (N, C, H, W) in [-1, 1], or points (N, D).
It is in eval mode and float32 always, follows the device of its input, and its name is part of
every key: Frechet distances of two extractors never compare.
"""

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_gan.basics.precision import outside_autocast
from lightning_gan.errors import ConfigurationError

OUT_OF_RANGE = 1e-4  # what rounding may add beyond [-1, 1] without being counted


@contextlib.contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """No gradients, no autocast, no TF32, no algorithm picked by the stopwatch; restored after."""
    precision = torch.get_float32_matmul_precision()
    try:
        if precision != "highest":
            torch.set_float32_matmul_precision("highest")
        with (
            torch.no_grad(),
            outside_autocast(device),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            yield
    finally:
        if precision != "highest":
            torch.set_float32_matmul_precision(precision)


def check_samples(samples: Tensor) -> None:
    """Refuses what is neither images in [-1, 1] nor points.

    Args:
        samples: Images (N, C, H, W), or points (N, D), which may lie anywhere.

    Raises:
        ConfigurationError: If they are integers, or images that leave [-1, 1] by more than rounding
            adds; NaN and infinities pass.
    """
    check_floats(samples)
    if samples.ndim == 4 and outside(samples).any():
        low, high = (float(x) for x in samples[samples.isfinite()].aminmax())
        raise ConfigurationError(
            f"The images reach from {low:.3g} to {high:.3g}, and those in [-1, 1] are measured: "
            "give images / 127.5 - 1 for grey levels from 0 to 255, end a generator with a tanh, "
            "or clamp."
        )


def check_floats(samples: Tensor) -> None:
    """Refuses integers, whose range nobody knows.

    Args:
        samples: Of any shape.

    Raises:
        ConfigurationError: If they are integers.
    """
    if not samples.is_floating_point():
        raise ConfigurationError(
            f"The samples are {samples.dtype}, and floats in [-1, 1] are measured: give "
            "images / 127.5 - 1 for grey levels from 0 to 255."
        )


def outside(images: Tensor) -> Tensor:
    """Which images (N, C, H, W) have a finite entry outside of [-1, 1], bool (N,)."""
    beyond = (images.abs() > 1 + OUT_OF_RANGE) & images.isfinite()
    return beyond.flatten(1).any(1)


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
        return self._exactly(self.logits_of, features)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, D), float32, of images (N, C, H, W) in [-1, 1] or points (N, D).

        Raises:
            ConfigurationError: If they are integers, or images out of that range.
        """
        return self._exactly(self.extract, images)

    def classify(self, images: Tensor) -> Tensor:
        """Logits (N, K), float32, of images (N, C, H, W) in [-1, 1].

        Raises:
            ConfigurationError: If the extractor has no classes, or the images are integers or out
                of that range.
        """
        return self._exactly(self.logits, images)

    def _exactly(self, function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """A function of float32 inputs, by frozen weights that follow their device."""
        check_samples(inputs)
        if self.training:
            self.freeze()
        weight = next(itertools.chain(self.parameters(), self.buffers()), None)
        if weight is not None and weight.device != inputs.device:
            self.to(inputs.device)
        with exact_float32(inputs.device):
            return function(inputs.float()).float()

    def freeze(self) -> "FeatureExtractor":
        """Eval mode and no gradients, for good."""
        super().train(False)
        return self.requires_grad_(False)

    def train(self, mode: bool = True) -> "FeatureExtractor":
        """Freezes, whatever the mode: a batch norm in train mode would drift with its inputs."""
        return self.freeze()

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the name, the class and every weight, as they are now.

        An argument that the features depend on has to be one of its buffers, or in its name.
        """
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
