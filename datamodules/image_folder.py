"""A user's own pictures, in a folder or a zip file."""

import torch

from lightning_gan.basics.cache import VARIABLE
from lightning_gan.datamodules.base import named
from lightning_gan.datamodules.decoded import DecodedPictures, digest_of
from lightning_gan.datamodules.listing import Found, find_pictures
from lightning_gan.datamodules.memory import Split
from lightning_gan.datamodules.own import OwnData
from lightning_gan.datamodules.pictures import refuse_damaged
from lightning_gan.datamodules.sources import some, source_at
from lightning_gan.errors import (
    ConfigurationError,
    DataError,
    at_least,
    check_range,
    is_interval,
    one_of,
    sides,
)


class ImageFolder(OwnData):
    """Pictures of any size directly in a folder or zip file, or in a subfolder for each class.

    Each is turned as its EXIF data says, resized (shorter side), centre cropped and converted to
    ``channels``; transparency becomes white, unless there are four channels. They are decoded once,
    to a file of uint8 that every process maps into memory, and again only where their path, size,
    times or inode change. A class is a folder with all that lies below it; labels in a
    ``dataset.json``, as StyleGAN's tools write them, go before folders. What is found, and what is
    passed over for which reason, is said at the start. ``num_classes`` and ``class_names`` are 0
    and empty until ``setup`` has listed the pictures, and stay so without classes (all labels are 0
    then).

    Args:
        root: The folder, or a ``.zip`` file, which is not unpacked.
        image_size: Height and width in pixels, 1 or more; one number where they are equal.
        channels: 3 for colour, 1 for grey, 4 for colour and opacity.
        batch_size: Samples a batch and process.
        flip: Whether a random half of the training images is mirrored left to right.
        val_fraction: Share of the pictures held out for validation, from 0 to less than 1.
        test_fraction: Share of the pictures held out for testing, from 0 to less than 1.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        cache_dir: Where decoded pictures are kept; by default the environment variable
            ``LIGHTNING_GAN_CACHE``, or else ``~/.cache/lightning-gan``.
        levels: The values of black and white in pictures of more than 8 bits, beyond which they are
            cut; where None, 0 and 65535 for 16 bits, 0 and 1 for floating point, and others are
            refused.
        skip_damaged: Whether pictures that cannot be read are passed over, with a count.
        follow_links: Whether links that lead out of the folder are followed.

    Raises:
        ConfigurationError: If an argument is out of range.
        DataError: If, when the data is read, the folder is missing, holds no picture or some that
            cannot be read, or the cache cannot be written.
    """

    name = "image_folder"
    image_size: int | tuple[int, int]

    def __init__(
        self,
        root: str,
        image_size: int | tuple[int, int] = 64,
        channels: int = 3,
        batch_size: int = 64,
        flip: bool = True,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        seed: int = 0,
        cache_dir: str | None = None,
        levels: tuple[float, float] | None = None,
        skip_damaged: bool = False,
        follow_links: bool = False,
    ) -> None:
        super().__init__(root, batch_size, seed, flip, val_fraction, test_fraction, cache_dir)
        self.size = sides(self, image_size)
        check_range(self, at_least(1), image_size=min(self.size))
        check_range(self, one_of(1, 3, 4), channels=channels)
        if levels is not None and not is_interval(levels):
            raise ConfigurationError(f"ImageFolder: levels={levels} must be black, then white.")
        self.image_size = self.size[0] if self.size[0] == self.size[1] else self.size
        self.channels = channels
        self.levels = levels
        self.skip_damaged = skip_damaged
        self.follow_links = follow_links
        self._decoded = DecodedPictures(self.cache_dir, self.root, self.size, channels, levels)
        self._found: Found | None = None

    def check_place(self) -> None:
        """Refuses a folder or file that is not there.

        Raises:
            DataError: If it is not.
        """
        if not self.root.exists():
            source_at(self.root, self.follow_links)

    def prepare_data(self) -> None:
        """Decodes the pictures, on one process of each machine, where that has not been done.

        Raises:
            DataError: If there is no picture, some cannot be read, or the cache cannot be written.
        """
        self._found = self._find()  # of a hundred thousand that takes seconds
        if self._decoded.read(self._found, self.skip_damaged) is None:
            self._decode(self._found)

    def read_splits(self) -> dict[str, Split]:
        """Maps the decoded pictures into memory, decoding them first if need be.

        Raises:
            DataError: If there is no picture, some cannot be read, or the cache cannot be written.
        """
        found = self._found or self._find()
        self._found = None
        decoded = self._decoded.read(found, self.skip_damaged)
        if decoded is None:
            self._decode(found)
            decoded = self._decoded.read(found, self.skip_damaged)
        if decoded is None:
            raise DataError(f"The folder '{self.root}' changes while it is read: try again.")
        self.class_names, self.num_classes = found.class_names, len(found.class_names)
        self.passed_over = found.passed_over.count + len(decoded.damaged)
        if decoded.damaged:
            damaged = some([*decoded.damaged])
            self.say(f"{len(decoded.damaged):,} passed over as damaged ({damaged}).")
        labels = [found.labels[number] for number in decoded.numbers]
        files = [found.pictures[number][:2] for number in decoded.numbers]
        self.content = {"count": len(labels), "digest": digest_of([files, labels])}
        ends = self.split_ends(len(labels))
        parts = torch.tensor(labels).tensor_split(ends)
        return named(*map(Split, decoded.images.tensor_split(ends), parts))

    def _find(self) -> Found:
        found = find_pictures(self.root, self.follow_links)
        self.say(f"{found}.")
        return found

    def _decode(self, found: Found) -> None:
        self.split_ends(len(found.pictures))  # refused before hours of decoding
        try:
            damaged = self._decoded.write(found, self.skip_damaged)
        except OSError as error:
            raise DataError(
                f"Decoded pictures cannot be written to '{self.cache_dir}' ({error}): set "
                f"cache_dir or the variable {VARIABLE} to another folder."
            ) from error
        if not self.skip_damaged or len(damaged) == len(found.pictures):
            paths = {str(self.root / path): why for path, why in damaged.items()}
            others = ", or pass them over with skip_damaged: true"
            refuse_damaged(paths, "" if self.skip_damaged else others)
