"""Plain loaders as data that samples can be measured against."""

import itertools
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    Subset,
)

from lightning_gan.basics.images import to_uint8
from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError, DataError
from lightning_gan.metrics.features import shuffled
from lightning_gan.networks.base import Generator
from lightning_gan.training.batches import REFERENCE, Batch, Batches

MOST = 50_000
"""Samples of a loader that others are measured against."""
MEMORY = 2**31
"""Bytes that they take at most."""


@dataclass(frozen=True)
class LoadedSplit:
    """What a loader has given.

    Args:
        images: Grey levels (N, C, H, W), uint8, or points (N, D).
        labels: Class indices (N,).
    """

    images: Tensor
    labels: Tensor


class LoaderData:
    """The samples of plain loaders as a data module hands them out, read when first asked for.

    At most 50,000 of a split, and 2 GiB, from all over a data set that is larger. No random numbers
    of the training are touched, and the same samples are the same reference in each run.

    Args:
        generator: Whose samples look like these.
        train: The loader of training; None where nothing is read.
        held_out: That of held-out samples, which have none where None.
    """

    name = "loader"

    def __init__(self, generator: Generator, train: object, held_out: object = None) -> None:
        self.channels, self.num_classes = generator.channels, generator.num_classes
        self.image_size: Any = generator.image_size
        self.class_names = tuple(map(str, range(generator.num_classes)))
        self._generator = generator
        self._loaders = {"train": train, "val": held_out, "test": held_out}
        self._splits: dict[str, LoadedSplit] = {}

    @classmethod
    def of(
        cls, generator: Generator, train: object, held_out: object, known: "LoaderData | None"
    ) -> "LoaderData":
        """What was known where the loaders are the same, or else as much of it as is."""
        found = cls(generator, train, held_out)
        if known is None or known._loaders["train"] is not train:
            return found
        if known._loaders["val"] is held_out or held_out is None:
            return known
        if "train" in known._splits:
            found._splits["train"] = known._splits["train"]
        return found

    def split(self, name: Literal["train", "val", "test"]) -> LoadedSplit:
        """The samples of a split.

        Raises:
            ConfigurationError: If a stream has no order in which every process would read it.
            DataError: If the samples do not fit the networks, or those of training are none.
        """
        if name not in self._splits:
            found = _read(self._loaders[name], self._generator)
            if name == "train" and self._loaders[name] is not None and not len(found.images):
                raise DataError(
                    "The training data give no sample to measure against: they are empty, or can "
                    "be read once and were; give a list, or data whose __iter__ begins anew."
                )
            self._splits[name] = found
        return self._splits[name]


class NothingHeldOut:
    """A loader of one batch without samples: validations then measure what needs no reals.

    Args:
        generator: Whose samples have the shape.
    """

    def __init__(self, generator: Generator) -> None:
        self.shape, self.dtype = generator.sample_shape, next(generator.parameters()).dtype

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batch]:
        yield torch.zeros(0, *self.shape, dtype=self.dtype), torch.zeros(0, dtype=torch.long)


def _read(loader: object, generator: Generator) -> LoadedSplit:
    """The first samples of a loader, in an order that is the same each time where there is one."""
    nothing = [*NothingHeldOut(generator)]
    batches, count = Batches(generator), 0
    most = min(MOST, max(MEMORY // prod(generator.sample_shape), 1))
    pairs = nothing
    with _same_numbers():
        for batch in itertools.chain.from_iterable(_in_order(x, most) for x in _loaders(loader)):
            samples, labels = batches.pair(batch, REFERENCE)
            pairs.append((samples.cpu(), labels.cpu()))
            count += len(samples)
            if count >= most:
                break
        else:
            _refuse_if_spent(loader, count)
    samples, labels = (torch.cat(column)[:most] for column in zip(*pairs, strict=True))
    return LoadedSplit(to_uint8(samples) if generator.image_size else samples, labels)


@contextmanager
def _same_numbers() -> Iterator[None]:
    """The same random numbers each time for whatever a data set draws; those of training go on."""
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 (what data sets draw from)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # torch.manual_seed would seed GPUs, too
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002 (likewise)
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002 (likewise)


def _refuse_if_spent(loader: object, count: int) -> None:
    """Refuses a stream that has been read to its end and does not begin anew.

    Raises:
        DataError: If there is nothing left of it to train on.
    """
    for one in _loaders(loader) if count else ():
        streams = not isinstance(one, NothingHeldOut) and not (
            isinstance(one, DataLoader) and _has_all(one)
        )
        if streams and next(iter(_in_order(one, 1)), None) is None:
            raise DataError(
                f"The training data are a stream that can be read once, and its {count} samples "
                "were read as the reference: give one whose __iter__ begins anew."
            )


def _loaders(loader: object) -> list[object]:
    """The loaders that the Trainer was given: none, one, or several in a list."""
    if isinstance(loader, (list, tuple)) and any(isinstance(one, DataLoader) for one in loader):
        return [*loader]
    return [] if loader is None else [loader]


def _in_order(loader: Any, most: int) -> Iterable[object]:  # noqa: ANN401 (as the Trainer's)
    """Passes over the samples of a loader in the order of its data set, if it has one.

    Of a data set with more than ``most`` in the order of a fixed shuffle: the first ones may be of
    few classes.

    Raises:
        ConfigurationError: If it has none, and other processes would read other samples.
    """
    if isinstance(loader, DataLoader) and _has_all(loader):
        one_by_one = loader.batch_size is None and loader.batch_sampler is None  # whole batches
        size, workers = None if one_by_one else loader.batch_size or 64, loader.num_workers
        data: Any = loader.dataset
        if size is not None and len(data) > most:
            data = Subset(data, shuffled(len(data)).tolist())
        made: Iterable[object] = DataLoader(
            data, size, num_workers=workers, collate_fn=loader.collate_fn
        )
        return made
    if processes.is_distributed() and not isinstance(loader, NothingHeldOut):
        raise ConfigurationError(
            "Evaluation reads a plain loader for its reference, and this one gives each process "
            "other samples: leave Evaluation out, or give a data module with a method split(name)."
        )
    return loader


def _has_all(loader: DataLoader[Any]) -> bool:
    """Whether the passes of all processes together have each sample of the data set."""
    sampler = loader.sampler
    shared_out = isinstance(sampler, DistributedSampler) and sampler.dataset is loader.dataset
    return shared_out or isinstance(sampler, (RandomSampler, SequentialSampler))
