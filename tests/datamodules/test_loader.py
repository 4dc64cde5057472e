"""The order, sharding, flips and state of batches from memory."""

from collections.abc import Callable, Iterable
from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_gan.basics.randomness import data_generator
from lightning_gan.datamodules import (
    MNIST,
    Digits,
    EvaluationBatches,
    RealData,
    Samples,
    Split,
    TrainingBatches,
)
from lightning_gan.datamodules.memory import _fits
from lightning_gan.errors import ConfigurationError, DataError

Numbered = Callable[[int], Samples]


def labels(batches: Iterable[tuple[Tensor, Tensor]]) -> list[list[int]]:
    return [batch[1].tolist() for batch in batches]


def test_an_epoch_holds_every_sample_once_but_for_the_incomplete_batch(numbered: Numbered) -> None:
    seen = labels(TrainingBatches(numbered(23), 5))
    assert [len(batch) for batch in seen] == [5] * 4
    assert len({row for batch in seen for row in batch}) == 20


def test_the_order_is_a_function_of_seed_and_epoch_alone(numbered: Numbered) -> None:
    def epochs(seed: int) -> list[list[list[int]]]:
        batches = TrainingBatches(numbered(40), 8, seed=seed)
        return [labels(batches) for _ in range(3)]

    torch.manual_seed(1)
    first = epochs(0)
    torch.manual_seed(2)
    assert first == epochs(0)
    assert first != epochs(1)
    assert all(before != after for before, after in pairwise(first))
    alone = TrainingBatches(numbered(40), 8)
    alone.set_epoch(2)
    assert labels(alone) == first[2]
    assert [row for batch in first[0] for row in batch] == torch.randperm(
        40, generator=data_generator(0, 0)
    ).tolist()


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_processes_see_together_what_one_sees_in_the_same_order(
    numbered: Numbered, world_size: int
) -> None:
    samples = numbered(77)
    one = TrainingBatches(samples, 3 * world_size, seed=5, flip=True)
    ranks = [
        TrainingBatches(samples, 3, seed=5, flip=True, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for _ in range(2):
        together = zip(*ranks, strict=True)
        for (images, rows), parts in zip(one, together, strict=True):
            assert torch.equal(images, torch.cat([part[0] for part in parts]))
            assert torch.equal(rows, torch.cat([part[1] for part in parts]))


def test_half_of_the_pictures_are_mirrored_and_others_in_the_next_epoch() -> None:
    images = torch.zeros(2000, 1, 1, 2, dtype=torch.uint8)
    images[..., 0] = 255
    batches = TrainingBatches(Samples(Split(images, torch.arange(2000))), 100, flip=True)

    def mirrored() -> set[int]:
        return {
            int(row)
            for pixels, rows in batches
            for row, left in zip(rows, pixels[:, 0, 0, 0], strict=True)
            if left < 0
        }

    first, second = mirrored(), mirrored()
    assert 900 < len(first) < 1100  # 4.5 standard deviations
    assert first != second
    batches.flip = False
    assert mirrored() == set()


def test_without_shuffling_each_epoch_is_the_split_itself(numbered: Numbered) -> None:
    batches = TrainingBatches(numbered(10), 5, flip=True, shuffle=False)
    assert [labels(batches) for _ in range(2)] == [[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]] * 2


def test_points_come_as_they_are_and_as_a_copy() -> None:
    points = torch.randn(8, 2)
    samples = Samples(Split(points, torch.zeros(8, dtype=torch.int64)))
    batch, _ = next(iter(EvaluationBatches(samples, 8)))
    assert torch.equal(batch, points)
    batch.zero_()
    assert points.abs().sum() > 0


def test_a_split_smaller_than_one_batch_is_an_error_that_names_the_size(numbered: Numbered) -> None:
    with pytest.raises(DataError, match="set a smaller batch_size, at most 3"):
        TrainingBatches(numbered(7), 4, world_size=2)


@pytest.mark.parametrize("kind", [TrainingBatches, EvaluationBatches])
def test_a_batch_size_that_is_not_positive_is_an_error(
    numbered: Numbered, kind: type[TrainingBatches] | type[EvaluationBatches]
) -> None:
    with pytest.raises(ConfigurationError, match="batch_size=0"):
        kind(numbered(7), 0)


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (Digits, {"batch_size": None}, "batch_size cannot be None"),
        (Digits, {"image_size": 28.5}, "image_size=28.5 must be a whole number"),
        (Digits, {"seed": None}, "seed cannot be None"),
        (MNIST, {"val_size": None}, "val_size cannot be None"),
        (MNIST, {"val_size": 0.1}, "val_size=0.1 must be a whole number"),
    ],
)
def test_what_is_counted_is_a_whole_number(
    kind: type[RealData], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind.__name__}: {words}"):
        kind(**arguments)


@pytest.mark.parametrize("count", [0, 1, 2, 23, 24, 25])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_evaluation_sees_each_sample_once_in_equally_many_batches(
    numbered: Numbered, count: int, world_size: int
) -> None:
    samples = numbered(count)
    ranks = [labels(EvaluationBatches(samples, 4, rank, world_size)) for rank in range(world_size)]
    lengths = [len(EvaluationBatches(samples, 4, rank, world_size)) for rank in range(world_size)]
    assert [len(batches) for batches in ranks] == lengths
    assert len(set(lengths)) == 1
    in_order = [row for parts in zip(*ranks, strict=True) for part in parts for row in part]
    assert in_order == list(range(count))
    for parts in zip(*ranks, strict=True):
        sizes = [len(part) for part in parts]
        assert max(sizes) - min(sizes) <= 1


def test_a_batch_of_no_rows_keeps_its_shape_and_type(numbered: Numbered) -> None:
    (images, rows), *_ = EvaluationBatches(numbered(1), 4, rank=0, world_size=2)
    assert images.shape == (0, 1, 1, 2)
    assert images.dtype == torch.float32
    assert rows.dtype == torch.int64


@pytest.mark.parametrize("stop", range(11))
def test_a_state_saved_after_any_batch_continues_with_the_next(
    numbered: Numbered, stop: int
) -> None:
    def endless(batches: TrainingBatches) -> Iterable[tuple[Tensor, Tensor]]:
        while True:
            yield from batches

    straight = labels(islice(endless(TrainingBatches(numbered(20), 4, flip=True)), 15))
    first = TrainingBatches(numbered(20), 4, flip=True)
    assert labels(islice(endless(first), stop)) == straight[:stop]
    resumed = TrainingBatches(numbered(20), 4, flip=True)
    resumed.load_state_dict(first.state_dict())
    assert labels(islice(endless(resumed), 15 - stop)) == straight[stop:]


def test_iterators_that_were_never_asked_for_a_batch_skip_nothing(numbered: Numbered) -> None:
    batches = TrainingBatches(numbered(20), 4)
    expected = labels(TrainingBatches(numbered(20), 4))
    unused = [iter(batches) for _ in range(3)]
    assert labels(batches) == expected
    assert batches.epoch == 0
    del unused


def test_after_an_abandoned_epoch_the_next_one_begins(numbered: Numbered) -> None:
    straight = TrainingBatches(numbered(20), 4)
    epochs = [labels(straight) for _ in range(2)]
    batches = TrainingBatches(numbered(20), 4)
    assert labels(islice(batches, 2)) == epochs[0][:2]
    assert labels(batches) == epochs[1]


def test_setting_the_epoch_keeps_a_loaded_position_only_for_that_epoch(numbered: Numbered) -> None:
    state = {"epoch": 1, "position": 3, "global_batch_size": 4}
    batches = TrainingBatches(numbered(20), 4)
    batches.load_state_dict(state)
    batches.set_epoch(1)
    assert len(labels(batches)) == 2
    batches.load_state_dict(state)
    batches.set_epoch(2)
    assert len(labels(batches)) == 5
    batches.set_epoch(2)
    assert len(labels(batches)) == 5
    assert batches.epoch == 2


def test_more_processes_continue_where_fewer_stopped(numbered: Numbered) -> None:
    one = TrainingBatches(numbered(24), 4)
    straight = labels(one)
    one.set_epoch(0)
    list(islice(one, 4))
    two = [TrainingBatches(numbered(24), 4, rank=rank, world_size=2) for rank in range(2)]
    for batches in two:
        batches.load_state_dict(one.state_dict())
    assert [row for parts in zip(*map(labels, two), strict=True) for row in parts] == straight[4:]


def test_nothing_is_copied_to_a_device_that_is_the_cpu(numbered: Numbered) -> None:
    samples = numbered(3)
    assert not _fits(samples.images, torch.device("cpu"))
    assert Samples(Split(samples.images, samples.labels)).images is samples.images


def test_a_split_lies_on_the_gpu_if_it_takes_a_quarter_of_the_free_memory(
    numbered: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = numbered(100).images  # 200 bytes
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (800, 10_000))
    assert _fits(images, torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (799, 10_000))
    assert not _fits(images, torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("free", [0, 10**9])
def test_batches_on_the_gpu_equal_those_on_the_cpu(
    numbered: Numbered, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    expected = list(TrainingBatches(numbered(100), 8, flip=True))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**9))
    split = Split(numbered(100).images, numbered(100).labels)
    samples = Samples(split, "cuda")
    assert samples.images.is_cuda == (free > 0)
    for (images, rows), (right_images, right_rows) in zip(
        TrainingBatches(samples, 8, flip=True), expected, strict=True
    ):
        assert images.is_cuda
        assert rows.is_cuda
        assert torch.equal(images.cpu(), right_images)
        assert torch.equal(rows.cpu(), right_rows)
    evaluated = [rows.cpu() for _, rows in EvaluationBatches(samples, 8)]
    assert torch.equal(torch.cat(evaluated), torch.arange(100))
