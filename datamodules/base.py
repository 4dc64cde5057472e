"""What every data module promises."""

import math
from typing import Literal, get_args

import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_gan.basics.arguments import Checked
from lightning_gan.basics.randomness import data_generator
from lightning_gan.datamodules.memory import EvaluationBatches, Samples, Split, TrainingBatches
from lightning_gan.errors import DataError, at_least, check_range, whole

SplitName = Literal["train", "val", "test"]

HELD_OUT: dict[str | None, SplitName] = {"fit": "val", "validate": "val", "test": "test"}
"""The split that nobody trains on which a stage of the Trainer asks for."""

FINITE = 1024
"""Samples that are looked at together, since a split may be larger than memory."""

SPLIT_SEED = 0
"""Splits, and drawn points, do not depend on a run's seed: runs compare on the same samples."""


class RealData(Checked, LightningDataModule):
    """Real samples with their classes, in three disjoint splits.

    Batches are ``(images, labels)``: float32 ``(N, C, H, W)`` in [-1, 1], or points ``(N, D)`` as
    they are, and int64 ``(N,)``. With a trainer attached they lie on its device and are shared
    between its processes without padding (see :mod:`lightning_gan.datamodules.memory`).

    Attributes:
        name: Short name of the data, such as ``"mnist"``.
        channels: Channels of an image, or coordinates of a point.
        image_size: Height and width in pixels, one number where they are equal; 0 for points.
        num_classes: Number of classes; 0 where there are none.
        class_names: Their names, by label.
        content: What the samples are, where the arguments do not say it: how many, and a hash. Only
            with the same does a run go on.
        all_finite: Whether no batch can hold a NaN or an infinity: every sample is looked at when
            it is read.

    Args:
        batch_size: Samples a batch and process.
        seed: Seed of the training order and of the flips; the splits do not depend on it.
        flip: Whether a random half of the training images is mirrored left to right.

    Raises:
        ConfigurationError: If ``batch_size`` is not positive.
    """

    is_base = True  # no choice on the command line
    name: str
    channels: int
    image_size: int | tuple[int, int]
    num_classes: int
    class_names: tuple[str, ...]
    content: dict[str, int | str] | None = None
    all_finite = True

    def __init__(self, batch_size: int = 64, seed: int = 0, flip: bool = False) -> None:
        super().__init__()
        check_range(self, at_least(1), batch_size=batch_size)
        self.batch_size = whole(self, "batch_size", batch_size)
        self.seed = whole(self, "seed", seed)
        self.flip = flip
        self._splits: dict[str, Split] = {}
        self._samples: dict[tuple[str, torch.device], Samples] = {}
        self._training: TrainingBatches | None = None
        self._resumed: dict[str, int] | None = None
        self._said: set[str] = set()

    def read_splits(self) -> dict[str, Split]:
        """Reads ``train``, ``val`` and ``test``; the one thing that a subclass must write.

        Raises:
            DataError: If the data is missing or damaged.
        """
        raise NotImplementedError

    def check_place(self) -> None:
        """Refuses a place that is not there, before anything else is set up; it reads no data.

        Raises:
            DataError: If it is not there and nothing will be downloaded.
        """

    def setup(self, stage: str | None = None) -> None:
        """Reads the data once, whatever the ``stage``; says so where nothing is held out for it."""
        if not self._splits:
            splits = self.read_splits()
            for name in get_args(SplitName):
                if name not in splits:
                    raise DataError(
                        f"{type(self).__name__}.read_splits gives no {name!r}: give train, val and "
                        "test, of which the last two may be empty."
                    )
            for name, split in splits.items():
                _check_split(self, name, split)
            self._splits = splits
        held_out = HELD_OUT.get(stage)
        if held_out is not None and not len(self._splits[held_out].labels):
            self.say(
                f"Nothing is held out in the {held_out} split: what only held-out data can tell is "
                "left out, and all else is measured against the training split."
            )

    def say(self, sentence: str) -> None:
        """Tells the user, once, on one process for all."""
        if sentence not in self._said:
            self._said.add(sentence)
            rank_zero_info(sentence)

    def teardown(self, stage: str | None = None) -> None:
        """Frees the copies on the device."""
        self._samples.clear()
        self._training = self._resumed = None

    def state_dict(self) -> dict[str, int]:
        """Returns where the training batches stand.

        Lightning 2.6 saves the state of the batches itself, but does not load it into a run that
        was resumed at an epoch's end before and was then cut in the middle of one.
        """
        return {} if self._training is None else self._training.state_dict()

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Keeps where the training batches stood until they are made."""
        self._resumed = state_dict

    def split(self, name: SplitName) -> Split:
        """Returns the raw samples of a split, not augmented; reads the data if need be.

        Raises:
            DataError: If there is no such split, or the data is missing or damaged.
        """
        self.setup()
        if name not in self._splits:
            raise DataError(f"There is no split {name!r}: choose one of {list(self._splits)}.")
        return self._splits[name]

    def some(self, name: SplitName, count: int) -> EvaluationBatches:
        """Returns one pass over a fixed choice of samples, not augmented, shared out as others are.

        Which samples they are depends on the split and on ``count`` alone.

        Args:
            name: Name of the split.
            count: Number of samples; all of the split where it has no more.

        Raises:
            DataError: If there is no such split, or the data is missing or damaged.
        """
        batches = self._evaluation(name)
        chosen = torch.randperm(len(batches.rows), generator=data_generator(SPLIT_SEED, count))
        batches.rows = chosen[:count].sort().values
        return batches

    def train_dataloader(self) -> TrainingBatches:
        """Returns shuffled, endless epochs of the training split."""
        rank, world_size, device = self._process()
        overfits = getattr(self.trainer, "overfit_batches", 0) > 0
        self._training = TrainingBatches(
            self._on(device, "train"),
            self.batch_size,
            seed=self.seed,
            flip=self.flip,
            shuffle=not overfits,
            rank=rank,
            world_size=world_size,
            limit=lambda: getattr(self.trainer, "num_training_batches", math.inf),
        )
        if self._resumed is not None:
            self._training.load_state_dict(self._resumed)
            self._resumed = None
        return self._training

    def val_dataloader(self) -> EvaluationBatches:
        """Returns one pass over the validation split."""
        return self._evaluation("val")

    def test_dataloader(self) -> EvaluationBatches:
        """Returns one pass over the test split."""
        return self._evaluation("test")

    def _evaluation(self, name: SplitName) -> EvaluationBatches:
        rank, world_size, device = self._process()
        return EvaluationBatches(self._on(device, name), self.batch_size, rank, world_size)

    def _process(self) -> tuple[int, int, torch.device]:
        if self.trainer is None:
            return 0, 1, torch.device("cpu")
        device = self.trainer.strategy.root_device
        return self.trainer.global_rank, self.trainer.world_size, device

    def _on(self, device: torch.device, name: SplitName) -> Samples:
        if (name, device) not in self._samples:
            self._samples[name, device] = self._samples_of(name, device)
        return self._samples[name, device]

    def _samples_of(self, name: SplitName, device: torch.device) -> Samples:
        return Samples(self.split(name), device)


def shuffled_rows(count: int) -> Tensor:
    """Returns the permutation, int64 ``(count,)``, by which ``count`` samples are split."""
    return torch.randperm(count, generator=data_generator(SPLIT_SEED, count))


def rows_of(images: Tensor, labels: Tensor, rows: Tensor) -> Split:
    """Copies ``rows``, in ascending order, out of all samples."""
    rows = rows.sort().values
    return Split(images[rows], labels[rows])


def named(train: Split, val: Split, test: Split) -> dict[str, Split]:
    """The three splits by their names."""
    return {"train": train, "val": val, "test": test}


def _check_split(data: RealData, name: str, split: Split) -> None:
    """Refuses what no training survives.

    Raises:
        DataError: If a number is not finite, or a label is missing or no class.
    """
    images, labels = split
    of = f"the {name} split of {data.name}"
    if len(images) != len(labels):
        raise DataError(f"There are {len(images)} samples but {len(labels)} labels in {of}.")
    for part, rows in enumerate(torch.split(images, FINITE) if images.is_floating_point() else ()):
        bad = (~torch.isfinite(rows)).flatten(1).any(1)
        if bad.any():
            sample = part * FINITE + int(bad.int().argmax())
            raise DataError(f"Sample {sample} in {of} is not finite: mend or remove it.")
    wrong = labels[(labels < 0) | (labels >= data.num_classes)]
    if data.num_classes and len(wrong):
        raise DataError(
            f"There is a label {int(wrong[0])} in {of}, whose classes are 0 to "
            f"{data.num_classes - 1}: its files are damaged, so put whole ones in their place."
        )
