"""Batches by index from a data set that lies in memory: sharded without padding, resumable.

The order of an epoch, and which pictures are mirrored in it, is a function of the seed and of the
number of the epoch alone. Batch ``b`` of ``W`` processes that take ``B`` samples each is rows
``b W B`` to ``(b + 1) W B`` of that order, and rank ``r`` takes the ``r``-th ``B`` of them: ``W``
processes see together, in order, what one process with batches of ``W B`` sees.
"""

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gan.basics.images import in_range
from lightning_gan.basics.randomness import data_generator
from lightning_gan.basics.texts import counted
from lightning_gan.errors import DataError, at_least, check_range

Batch = tuple[Tensor, Tensor]
"""``(images (N, C, H, W) in [-1, 1] or points (N, D), labels (N,))``."""


class Split(NamedTuple):
    """The raw samples of a split.

    Attributes:
        images: Pictures, uint8 ``(N, C, H, W)``, or points, float32 ``(N, D)``.
        labels: Classes, int64 ``(N,)``.
    """

    images: Tensor
    labels: Tensor


class Samples:
    """A split that hands out batches on a device, and lies there wholly where it fits.

    Args:
        split: The raw samples, on the CPU; they may be mapped from a file.
        device: Where batches are wanted. On a CUDA device the split moves there once if it takes
            at most a quarter of the free memory; otherwise rows are gathered on the CPU.
    """

    def __init__(self, split: Split, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        place = self.device if _fits(split.images, self.device) else torch.device("cpu")
        self.images = split.images.to(place)
        self.labels = split.labels.to(place)

    def __len__(self) -> int:
        return self.images.shape[0]

    def take(self, rows: Tensor, mirrored: Tensor | None = None) -> Batch:
        """Gathers a batch.

        Args:
            rows: Indices, int64 ``(N,)``, on the device of ``images``.
            mirrored: Which of them to flip left to right, bool ``(N,)``, on the same device.

        Returns:
            Images in [-1, 1] (points as they are) and labels, on ``device``.
        """
        images, labels = self._gather(self.images, rows), self._gather(self.labels, rows)
        if mirrored is not None:
            where = mirrored.to(self.device, non_blocking=True)[:, None, None, None]
            images = torch.where(where, images.flip(-1), images)
        return in_range(images), labels

    def _gather(self, tensor: Tensor, rows: Tensor) -> Tensor:
        if self.device.type != "cuda" or tensor.is_cuda:
            return tensor.index_select(0, rows).to(self.device)
        shape = (rows.shape[0], *tensor.shape[1:])
        pinned = torch.empty(shape, dtype=tensor.dtype, pin_memory=True)
        torch.index_select(tensor, 0, rows, out=pinned)
        return pinned.to(self.device, non_blocking=True)


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return 4 * images.numel() * images.element_size() <= free


class _Batches:
    """What passes over a split have in common: ``samples`` shared out between processes."""

    def __init__(self, samples: Samples, batch_size: int, rank: int, world_size: int) -> None:
        check_range(self, at_least(1), batch_size=batch_size)
        self.samples = samples
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size

    @property
    def global_batch_size(self) -> int:
        """Samples that all processes together take at a time."""
        return self.batch_size * self.world_size


class TrainingBatches(_Batches):
    """Endless epochs of whole batches in a seeded order; what does not fill a batch is left out.

    An iterator starts when its first batch is asked for. It plays the epoch that was set by
    :meth:`set_epoch` or :meth:`load_state_dict`, from the position set there; after an epoch that
    was begun, finished or not, the next iterator plays the next epoch. ``position`` counts the
    batches handed out, so that a state saved while a batch is being handled counts that batch.

    With a trainer, the next iterator goes on where an epoch was left before its end. Lightning 2.6
    ends one early, counts one without batches, or begins to count its batches anew, depending on
    what ended the run that it resumes; so its count says nothing here after a resume.

    Args:
        samples: The training split.
        batch_size: Samples a batch and process.
        seed: Seed of the order and of the flips; the same on every process.
        flip: Whether a random half of the pictures is mirrored left to right.
        shuffle: Whether the order changes; without it neither order nor flips do.
        rank: Number of this process among all.
        world_size: Number of processes.
        limit: Tells, when asked, the largest number of batches in an epoch.

    Raises:
        ConfigurationError: If ``batch_size`` is not positive.
        DataError: If the split is smaller than one batch.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        seed: int = 0,
        flip: bool = False,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        limit: Callable[[], float] = lambda: math.inf,
    ) -> None:
        super().__init__(samples, batch_size, rank, world_size)
        self.seed, self.flip, self.shuffle = seed, flip, shuffle
        self.epoch = self.position = 0
        self._limit = limit
        self._begun = self._placed = False
        if len(self) == 0:
            raise DataError(
                f"The training split has {counted(len(samples), 'sample')}, fewer than one batch "
                f"of {batch_size} on {counted(world_size, 'process')}: give more, hold out fewer, "
                f"or set a smaller batch_size, at most {len(samples) // world_size}."
            )

    @property
    def sampler(self) -> SimpleNamespace:
        """What Lightning tells the number of its epoch, which it does to a loader's sampler."""
        return SimpleNamespace(set_epoch=self.follow)

    def __len__(self) -> int:
        return len(self.samples) // self.global_batch_size

    def __iter__(self) -> Iterator[Batch]:
        end = int(min(len(self), self._limit()))
        if self._begun or self.position >= end:
            self.epoch, self.position = self.epoch + 1, 0
        self._begun = self._placed = True
        order, mirrored = self._epoch_order()
        for position in range(self.position, end):
            start = position * self.global_batch_size + self.rank * self.batch_size
            rows = slice(start, start + self.batch_size)
            batch = self.samples.take(order[rows], None if mirrored is None else mirrored[rows])
            self.position = position + 1
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that is played next; a position loaded for that epoch is kept."""
        if epoch != self.epoch or self._begun:
            self.epoch, self.position, self._begun = epoch, 0, False
        self._placed = True

    def follow(self, trainer_epoch: int) -> None:
        """Hears from the trainer that its epoch of this number starts.

        The number counts only where nothing was played or loaded here before.
        """
        if not self._placed:
            self.epoch = trainer_epoch
        self._begun = False

    def state_dict(self) -> dict[str, int]:
        """Returns where the epoch stands: the same on every process, whatever their number."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "global_batch_size": self.global_batch_size,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues a saved epoch with the batch after the last one handed out.

        Where the processes now take other numbers of samples together, the epoch goes on with the
        batch that holds the first sample not yet handed out.
        """
        self.epoch = state["epoch"]
        self.position = state["position"] * state["global_batch_size"] // self.global_batch_size
        self._begun, self._placed = False, True

    def _epoch_order(self) -> tuple[Tensor, Tensor | None]:
        """Returns this epoch's rows ``(N,)``, in order, and which are mirrored, bool ``(N,)``."""
        count = len(self.samples)
        place = self.samples.images.device
        if not self.shuffle:
            return torch.arange(count, device=place), None
        generator = data_generator(self.seed, self.epoch)
        order = torch.randperm(count, generator=generator).to(place)
        if not self.flip:
            return order, None
        return order, (torch.rand(count, generator=generator) < 0.5).to(place)


class EvaluationBatches(_Batches):
    """One pass in the split's own order; no sample is seen twice or left out.

    Every process yields the same number of batches. The last one is divided as evenly as it
    goes, so that a process may get a batch of zero rows. An empty split is one such batch: without
    any, Lightning would leave out validations and all that is measured there of other data.

    Args:
        samples: The split.
        batch_size: Samples a batch and process.
        rank: Number of this process among all.
        world_size: Number of processes.

    Raises:
        ConfigurationError: If ``batch_size`` is not positive.
    """

    def __init__(
        self, samples: Samples, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        super().__init__(samples, batch_size, rank, world_size)
        self.rows = torch.arange(len(samples))
        """Which samples to pass over and in which order, int64 ``(n,)``."""

    def __len__(self) -> int:
        return max(-(-len(self.rows) // self.global_batch_size), 1)

    def __iter__(self) -> Iterator[Batch]:
        for batch in torch.split(self.rows, self.global_batch_size):
            first = len(batch) * self.rank // self.world_size
            last = len(batch) * (self.rank + 1) // self.world_size
            yield self.samples.take(batch[first:last].to(self.samples.images.device))
