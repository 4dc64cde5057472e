"""What data modules of a user's own files share."""

import math
from pathlib import Path

from lightning_gan.basics.cache import cache_folder
from lightning_gan.basics.texts import counted
from lightning_gan.datamodules.base import RealData
from lightning_gan.errors import ConfigurationError, DataError, at_least, check_range


class OwnData(RealData):
    """Samples of a user's own, of which shares are held out, prepared once in a cache.

    Attributes:
        passed_over: Files that are not read, known after ``setup``.

    Args:
        root: Where the samples lie.
        batch_size: Samples a batch and process.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        flip: Whether a random half of the training images is mirrored left to right.
        val_fraction: Share of the samples held out for validation, from 0 to less than 1.
        test_fraction: Share of the samples held out for testing, from 0 to less than 1.
        cache_dir: Where prepared samples are kept; by default the environment variable
            ``LIGHTNING_GAN_CACHE``, or else ``~/.cache/lightning-gan``.

    Raises:
        ConfigurationError: If an argument is out of range.
    """

    is_base = True  # no choice on the command line

    def __init__(
        self,
        root: str,
        batch_size: int,
        seed: int,
        flip: bool,
        val_fraction: float,
        test_fraction: float,
        cache_dir: str | None,
    ) -> None:
        super().__init__(batch_size, seed, flip)
        check_range(self, at_least(0), val_fraction=val_fraction, test_fraction=test_fraction)
        if val_fraction + test_fraction >= 1:
            raise ConfigurationError(
                f"{type(self).__name__}: val_fraction={val_fraction} and "
                f"test_fraction={test_fraction} must be below 1 together."
            )
        if not str(root):
            raise ConfigurationError(f"{type(self).__name__}: root is empty: give a place.")
        self.root = Path(root).expanduser()
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.cache_dir = cache_folder(cache_dir)
        self.num_classes = 0
        self.class_names = ()
        self.passed_over = 0

    def split_ends(self, count: int) -> list[int]:
        """Where, of so many samples, the training and the validation split end.

        Raises:
            DataError: If there are too few to train on.
        """
        val, test = math.ceil(count * self.val_fraction), math.ceil(count * self.test_fraction)
        if val + test >= count:
            raise DataError(
                f"'{self.root}' has {counted(count, 'sample')}, too few to hold out {val} for "
                f"validation and {test} for testing: add some, or set val_fraction and "
                "test_fraction to 0."
            )
        return [count - val - test, count - test]
