"""No sample is seen twice or left out, whatever the number of processes and the sizes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_gan.datamodules import RealData, Split
from lightning_gan.datamodules.memory import Batch, EvaluationBatches, Samples, TrainingBatches
from lightning_gan.errors import DataError

PROCESSES = [1, 2, 3, 4]
SIZES = [(12, 3), (13, 3), (23, 5), (64, 8), (101, 7), (30, 1)]
"""Samples, and samples a batch and process; most divide by nothing."""


def numbered(count: int) -> Samples:
    """Samples whose one coordinate and whose label is their index."""
    index = torch.arange(count)
    return Samples(Split(index[:, None].float(), index))


def seen(batches: list[Batch]) -> Counter[int]:
    """How often each index occurs; the label goes with its sample."""
    for samples, labels in batches:
        assert samples[:, 0].tolist() == labels.tolist()
    return Counter(int(label) for _, labels in batches for label in labels)


def training(count: int, size: int, world: int, **options: Any) -> list[TrainingBatches]:
    """The loaders of all processes."""
    samples = numbered(count)
    return [
        TrainingBatches(samples, size, rank=r, world_size=world, **options) for r in range(world)
    ]


FITTING = [
    (count, size, world) for world in PROCESSES for count, size in SIZES if count >= size * world
]
"""Those of which every process gets at least a batch, with the number of processes."""


@pytest.mark.parametrize(("count", "size", "world"), FITTING)
def test_training_sees_no_sample_twice_and_leaves_out_less_than_one_global_batch(
    count: int, size: int, world: int
) -> None:
    for epoch in range(3):
        loaders = training(count, size, world, seed=5)
        each = []
        for loader in loaders:
            loader.set_epoch(epoch)
            each.append(list(loader))
        assert {len(batches) for batches in each} == {count // (size * world)}
        assert all(len(labels) == size for batches in each for _, labels in batches)
        times = seen([batch for batches in each for batch in batches])
        assert set(times.values()) == {1}
        assert count - len(times) == count % (size * world)


@pytest.mark.parametrize(("count", "size", "world"), FITTING)
def test_the_samples_that_an_epoch_leaves_out_change_with_the_epoch(
    count: int, size: int, world: int
) -> None:
    loaders = training(count, size, world, seed=5)
    union: set[int] = set()
    for _ in range(20):  # an iterator begins the next epoch by itself
        union |= seen([batch for loader in loaders for batch in loader]).keys()
    assert union == set(range(count))


@pytest.mark.parametrize(("count", "size", "world"), FITTING)
def test_processes_share_the_very_batch_of_one_process(count: int, size: int, world: int) -> None:
    (alone,) = training(count, size * world, 1, seed=5)
    for whole, *parts in zip(alone, *training(count, size, world, seed=5), strict=True):
        joined = torch.cat([labels for _, labels in parts])
        assert joined.tolist() == whole[1].tolist()


@pytest.mark.parametrize(("count", "size", "world"), FITTING)
@pytest.mark.parametrize("after", [0, 1])
def test_a_cut_epoch_goes_on_with_what_was_not_seen(
    count: int, size: int, world: int, after: int
) -> None:
    batches: list[Batch] = []
    cut, resumed = (training(count, size, world, seed=5) for _ in range(2))
    for loader, again in zip(cut, resumed, strict=True):
        iterator = iter(loader)
        batches += [next(iterator) for _ in range(after)]
        again.load_state_dict(loader.state_dict())
        if after < len(loader):  # else the next epoch begins
            batches += list(again)
    times = seen(batches)
    assert set(times.values()) == {1}
    assert count - len(times) == count % (size * world)


@pytest.mark.parametrize("world", PROCESSES)
@pytest.mark.parametrize(("count", "size"), [*SIZES, (1, 4), (2, 4), (5, 64)])
def test_evaluation_sees_every_sample_once_in_as_many_batches_on_all_processes(
    count: int, size: int, world: int
) -> None:
    samples = numbered(count)
    each = [list(EvaluationBatches(samples, size, rank, world)) for rank in range(world)]
    assert {len(batches) for batches in each} == {-(-count // (size * world))}
    assert seen([b for batches in each for b in batches]) == Counter(dict.fromkeys(range(count), 1))
    for step in zip(*each, strict=True):
        counts = [len(labels) for _, labels in step]
        assert max(counts) - min(counts) <= 1  # nobody waits long for another
        assert max(counts) <= size


class Numbered(RealData):
    """A data module whose splits hold the numbers of their samples."""

    name, channels, image_size, num_classes = "numbered", 1, 0, 0
    class_names = ()

    def read_splits(self) -> dict[str, Split]:
        sizes = {"train": 53, "val": 11, "test": 7}
        labels = {name: torch.arange(size) for name, size in sizes.items()}
        return {name: Split(index[:, None].float(), index) for name, index in labels.items()}


def as_process(data: RealData, rank: int, world: int) -> RealData:
    """The module as it finds itself on one of several processes."""
    data._process = lambda: (rank, world, torch.device("cpu"))  # type: ignore[method-assign]
    return data


@pytest.mark.parametrize("world", PROCESSES)
def test_the_loaders_of_a_data_module_are_shared_out_likewise(world: int) -> None:
    modules = [as_process(Numbered(batch_size=4), rank, world) for rank in range(world)]
    train = seen([batch for data in modules for batch in data.train_dataloader()])
    assert set(train.values()) == {1}
    assert len(train) == 53 - 53 % (4 * world)
    for name, size in (("val", 11), ("test", 7)):
        loaders = [getattr(data, f"{name}_dataloader")() for data in modules]
        times = seen([batch for loader in loaders for batch in loader])
        assert times == Counter(dict.fromkeys(range(size), 1))


def test_too_few_samples_for_all_processes_are_refused() -> None:
    with pytest.raises(DataError, match="at most 3"):
        training(13, 4, 4)


def test_a_counter_would_see_a_sample_that_occurs_twice() -> None:
    def batch(*index: int) -> tuple[Tensor, Tensor]:
        labels = torch.tensor(index)
        return labels[:, None].float(), labels

    assert seen([batch(0, 1), batch(1)]) == {0: 1, 1: 2}
