"""Small handwritten digits that come with the package: no download, a run in minutes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_gan.basics.class_names import DIGIT_NAMES
from lightning_gan.datamodules.base import RealData, named, rows_of, shuffled_rows
from lightning_gan.datamodules.memory import Split
from lightning_gan.errors import at_least, check_range, whole

TRAIN_SIZE, VAL_SIZE = 1297, 200  # the other 300 are for testing


class Digits(RealData):
    """1797 handwritten digits, 8 x 8 with 17 grey levels, enlarged to ``image_size``.

    The test set of Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998, UCI
    Machine Learning Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0), the same
    pictures as scikit-learn's ``load_digits``. Split into 1297, 200 and 300.

    Args:
        batch_size: Samples a batch and process.
        image_size: Height and width in pixels, 8 or more; enlarged by bicubic interpolation.
        seed: Seed of the training order; the splits do not depend on it.
        flip: Whether a random half of the training images is mirrored left to right; mirrored
            digits are not digits.

    Raises:
        ConfigurationError: If ``batch_size`` or ``image_size`` is out of range.

    Example:
        >>> images, labels = next(iter(Digits(batch_size=32).train_dataloader()))
        >>> images.shape, labels.shape
        (torch.Size([32, 1, 28, 28]), torch.Size([32]))
        >>> images.amin().item(), images.amax().item()
        (-1.0, 1.0)
    """

    name = "digits"
    channels = 1
    image_size: int
    num_classes = 10
    class_names = DIGIT_NAMES

    def __init__(
        self, batch_size: int = 64, image_size: int = 28, seed: int = 0, flip: bool = False
    ) -> None:
        super().__init__(batch_size, seed, flip)
        check_range(self, at_least(8), image_size=image_size)
        self.image_size = whole(self, "image_size", image_size)

    def read_splits(self) -> dict[str, Split]:
        """Reads the pictures from the package and enlarges them."""
        with np.load(Path(__file__).with_name("digits.npz")) as file:
            levels = torch.from_numpy(file["images"])
            labels = torch.from_numpy(file["labels"]).to(torch.int64)
        images = enlarge(levels[:, None].to(torch.float32) * (255 / 16), self.image_size)
        parts = shuffled_rows(len(images)).tensor_split([TRAIN_SIZE, TRAIN_SIZE + VAL_SIZE])
        return named(*(rows_of(images, labels, rows) for rows in parts))


def enlarge(images: Tensor, image_size: int) -> Tensor:
    """Resizes square float images ``(N, C, H, H)`` of 0..255 and rounds them to uint8."""
    if image_size != images.shape[-1]:
        images = interpolate(images, size=(image_size, image_size), mode="bicubic")
    return images.round().clamp(0, 255).to(torch.uint8)
