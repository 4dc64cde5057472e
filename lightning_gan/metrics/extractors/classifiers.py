"""The networks behind the bundled extractors: classifiers whose bounded layer is the feature.

Pooled, unbounded features explode off the data (a little noise then costs forty times a missing
digit); a normalised and saturating penultimate layer keeps every image within the same box, so that
the Frechet distance ranks faults as an eye does.
"""

from torch import Tensor, nn


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (or halves it), batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def halved() -> nn.Sequential:
    """Half the size after a binomial blur, so that a shift moves features little (Zhang 2019)."""
    return nn.Sequential(nn.AvgPool2d(2, 1, padding=1), nn.AvgPool2d(2))


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
        return self.bound(self.trunk(images))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, C, H, W) in [-1, 1]."""
        return self.head(self.features(images))


class DigitNetwork(BoundedClassifier):
    """The classifier of digits: 28 x 28 x 1, 0.15 M parameters, 64 features.

    Args:
        num_classes: Number of digits.
    """

    def __init__(self, num_classes: int = 10) -> None:
        trunk = nn.Sequential(
            conv(1, 24, size=5, stride=2),
            conv(24, 48),
            halved(),
            conv(48, 64),
            conv(64, 64),
            halved(),
            conv(64, 48),
        )
        super().__init__(trunk, width=48 * 4 * 4, num_features=64, num_classes=num_classes)


def pooled(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, the first one followed by a halving of the size (Jordan 2024)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(outputs),
        nn.GELU(),
        nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.GELU(),
    )


class PictureNetwork(BoundedClassifier):
    """The classifier of small photographs: 32 x 32 x 3, 1.9 M parameters, 128 features.

    The trunk is that of airbench94 (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single
    GPU"): patches of 2 x 2 first, then three blocks that each halve the size.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int = 10) -> None:
        trunk = nn.Sequential(
            nn.Conv2d(3, 24, 2),
            nn.GELU(),
            pooled(24, 64),
            pooled(64, 256),
            pooled(256, 240),
            nn.MaxPool2d(3),
        )
        super().__init__(trunk, width=240, num_features=128, num_classes=num_classes)
