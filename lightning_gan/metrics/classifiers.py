"""The networks behind the bundled extractors: classifiers whose bounded layer is the feature.

Pooled, unbounded features explode off the data (a little noise then costs forty times a missing
digit); a normalised and saturating penultimate layer keeps every image within the same box, so that
the Frechet distance ranks faults as an eye does.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (or halves it), batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class BoundedClassifier(nn.Module):
    """A convolutional trunk, a bounded feature layer, and a linear head.

    The features are ``tanh(BN(W h))`` with a batch norm without gain: of unit variance before the
    tanh, hence neither saturated nor without bound.

    Args:
        trunk: Maps images (N, C, H, W) to anything that flattens to (N, width).
        width: Numbers per image that the trunk gives.
        num_features: Length of the feature vector.
        num_classes: Number of logits.
    """

    def __init__(self, trunk: nn.Module, width: int, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.num_classes = num_classes
        self.trunk = trunk
        self.bound = nn.Sequential(
            nn.Flatten(),
            nn.Linear(width, num_features, bias=False),
            nn.BatchNorm1d(num_features, affine=False),
            nn.Tanh(),
        )
        self.head = nn.Linear(num_features, num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Features in (-1, 1), (N, num_features), of images (N, C, H, W) in [-1, 1]."""
        features: Tensor = self.bound(self.trunk(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, C, H, W) in [-1, 1]."""
        logits: Tensor = self.head(self.features(images))
        return logits


class DigitNetwork(BoundedClassifier):
    """The classifier of digits: 28 x 28 x 1, 0.15 M parameters, 64 features.

    Args:
        num_classes: Number of digits.
    """

    def __init__(self, num_classes: int = 10) -> None:
        trunk = nn.Sequential(
            conv(1, 24, size=5, stride=2),
            conv(24, 48),
            conv(48, 64, stride=2),
            conv(64, 64),
            conv(64, 48, stride=2),
        )
        super().__init__(trunk, width=48 * 4 * 4, num_features=64, num_classes=num_classes)


class Residual(nn.Module):
    """Two convolutions around which the input is carried.

    Args:
        width: Number of feature maps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of the same shape (N, width, H, W)."""
        return F.relu(x + self.second(self.first(x)))


class PictureNetwork(BoundedClassifier):
    """The classifier of small photographs: 32 x 32 x 3, 0.4 M parameters, 96 features.

    The pixels are folded 2 x 2 into channels at once, so that no layer runs at full resolution.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int = 10) -> None:
        trunk = nn.Sequential(
            nn.PixelUnshuffle(2),
            conv(12, 48),
            Residual(48),
            conv(48, 96, stride=2),
            Residual(96),
            conv(96, 128, stride=2),
            nn.MaxPool2d(2),
        )
        super().__init__(trunk, width=128 * 2 * 2, num_features=96, num_classes=num_classes)
