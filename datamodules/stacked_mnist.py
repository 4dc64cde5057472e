"""Stacked MNIST: three random digits as the colours of a picture, a thousand modes to count."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from lightning_gan.basics.randomness import data_generator
from lightning_gan.datamodules.base import SPLIT_SEED, RealData, SplitName
from lightning_gan.datamodules.memory import Batch, Samples, Split
from lightning_gan.datamodules.mnist import MNIST
from lightning_gan.errors import check_range, one_of

SIZES = {"train": 128_000, "val": 10_000, "test": 10_000}
STACKED = 3
DIGITS = 10
DIGIT_SIZE = 28


class StackedMNIST(RealData):
    """Three random digits as red, green and blue; class 407 shows a 4, a 0 and a 7.

    The 1000 modes of Metz et al. 2017 (Unrolled GAN, section 3.3.1) with the 128000 fixed triples
    of VEEGAN (Srivastava et al. 2017, section 4.2) and PacGAN (Lin et al. 2018). Those draw
    training and test digits together; here no digit is shared by two splits: training triples are
    made of the training files, without the ``val_size`` digits of the validation triples, and test
    triples of the test files. Triple i of a split is the same on every machine. Digits are read
    from ``root/MNIST/raw``, torchvision's place.

    Triples are put together batch by batch, so that memory holds the digits (55 MB) and three
    indices a triple (3 MB), not 128000 pictures (301 MB).

    Attributes:
        stacked: Digits in a picture, one a channel.
        padding: Black pixels on each side of the digits.

    Args:
        root: Folder in torchvision's layout.
        batch_size: Triples a batch and process.
        image_size: 28, or 32 for digits with two black pixels around them.
        val_size: Digits taken from the training files for validation, 0 or more.
        seed: Seed of the training order; the triples do not depend on it.
        download: Whether files that are missing are downloaded.

    Raises:
        DataError: If ``batch_size``, ``image_size`` or ``val_size`` is out of range, or, when the
            data is read, a file is missing or damaged.
    """

    name = "stacked_mnist"
    channels = STACKED
    num_classes = DIGITS**STACKED
    class_names = tuple(f"{label:0{STACKED}}" for label in range(DIGITS**STACKED))
    stacked = STACKED

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        image_size: int = DIGIT_SIZE,
        val_size: int = 5000,
        seed: int = 0,
        download: bool = True,
    ) -> None:
        super().__init__(batch_size, seed)
        check_range(self, one_of(DIGIT_SIZE, DIGIT_SIZE + 4), image_size=image_size)
        self.image_size = image_size
        self.padding = (image_size - DIGIT_SIZE) // 2
        self.digits = MNIST(root, val_size=val_size, download=download)

    @property
    def digit_counts(self) -> Tensor:
        """Training digits of each class, int64 ``(10,)``: they make some triples likelier."""
        self.setup()
        return self._splits["train"].labels.bincount(minlength=DIGITS)

    def check_place(self) -> None:
        """Refuses a missing folder that nothing will be downloaded to.

        Raises:
            DataError: With the first file that is missing.
        """
        self.digits.check_place()

    def prepare_data(self) -> None:
        """Downloads what is missing of MNIST, on one process of each machine.

        Raises:
            DataError: If files are missing or damaged and cannot be fetched.
        """
        self.digits.prepare_data()

    def read_splits(self) -> dict[str, Split]:
        """Reads the single digits of each split; :meth:`split` makes triples of them."""
        return {
            name: Split(pad(images, [self.padding] * 4), labels)
            for name, (images, labels) in self.digits.read_splits().items()
        }

    def split(self, name: SplitName) -> Split:
        """Returns all triples of a split; makes them anew each time, 301 MB for ``train``.

        Raises:
            DataError: If there is no such split, or the data is missing or damaged.
        """
        samples = self._samples_of(name, torch.device("cpu"))
        return samples.raw(torch.arange(len(samples)))

    def _samples_of(self, name: SplitName, device: torch.device) -> "Triples":
        digits = super().split(name)
        count = len(digits.labels)
        generator = data_generator(SPLIT_SEED, list(SIZES).index(name), count)
        shape = (SIZES[name] if count else 0, STACKED)
        return Triples(digits, torch.randint(max(count, 1), shape, generator=generator), device)


class Triples(Samples):
    """Digits that hand out triples on a device, and lie there wholly where they fit.

    Args:
        digits: The single digits, on the CPU.
        rows: Which of them make a triple, int64 ``(N, 3)``.
        device: Where batches are wanted; see :class:`~lightning_gan.datamodules.memory.Samples`.
    """

    def __init__(self, digits: Split, rows: Tensor, device: torch.device | str = "cpu") -> None:
        super().__init__(digits, device)
        self.rows = rows.to(self.images.device)

    def __len__(self) -> int:
        return self.rows.shape[0]

    def take(self, rows: Tensor, mirrored: Tensor | None = None) -> Batch:
        """Gathers a batch of triples; see :meth:`lightning_gan.datamodules.memory.Samples.take`."""
        singly = None if mirrored is None else mirrored.repeat_interleave(STACKED)
        return stack(*super().take(self.rows.index_select(0, rows).flatten(), singly))

    def raw(self, rows: Tensor) -> Split:
        """Gathers triples as they are, uint8 ``(N, 3, H, W)``, with their labels."""
        rows = self.rows.index_select(0, rows).flatten()
        return stack(self.images.index_select(0, rows), self.labels.index_select(0, rows))


def stack(images: Tensor, labels: Tensor) -> Split:
    """Makes pictures ``(N, 3, H, W)`` and labels 100 a + 10 b + c of digits ``(3 N, 1, H, W)``."""
    count = labels.shape[0] // STACKED
    first, second, third = labels.view(count, STACKED).unbind(1)
    pictures = images.reshape(count, STACKED, *images.shape[2:])
    return Split(pictures, 100 * first + 10 * second + third)
