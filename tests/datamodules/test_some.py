"""Some samples of a split: which they are, how they are shared out, what they cost."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lightning_gan.datamodules import (
    Digits,
    EvaluationBatches,
    RealData,
    Samples,
    Split,
    StackedMNIST,
)
from lightning_gan.datamodules.stacked_mnist import SIZES, Triples
from lightning_gan.errors import DataError


class Numbered(RealData):
    """Points that are the numbers of their rows."""

    name = "numbered"
    channels, image_size, num_classes = 1, 0, 0
    class_names = ()

    def read_splits(self) -> dict[str, Split]:
        rows = torch.arange(50)
        split = Split(rows[:, None].float(), rows)
        return {"train": split, "val": split, "test": split}


def chosen(data: RealData, count: int, rank: int = 0, world_size: int = 1) -> list[list[int]]:
    """The rows in each batch of one process."""
    place = {"global_rank": rank, "world_size": world_size}
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(strategy=strategy, **place)  # type: ignore[assignment]
    return [labels.tolist() for _, labels in data.some("train", count)]


def test_some_are_distinct_and_the_same_in_every_run() -> None:
    first = chosen(Numbered(8, seed=0), 21)
    rows = [row for batch in first for row in batch]
    assert [len(batch) for batch in first] == [8, 8, 5]
    assert rows == sorted(set(rows))
    assert rows != list(range(21))
    torch.manual_seed(7)
    assert chosen(Numbered(8, seed=5), 21) == first
    assert [row for batch in chosen(Numbered(5), 21) for row in batch] == rows


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_some_out_without_a_gap_or_a_double(world_size: int) -> None:
    whole = [row for batch in chosen(Numbered(8), 21) for row in batch]
    ranks = [chosen(Numbered(4), 21, rank, world_size) for rank in range(world_size)]
    assert len({len(batches) for batches in ranks}) == 1
    together = [row for batches in zip(*ranks, strict=True) for rows in batches for row in rows]
    assert together == whole


def test_more_than_there_are_is_all() -> None:
    assert [row for batch in chosen(Numbered(8), 99) for row in batch] == list(range(50))
    assert chosen(Numbered(8), 0) == [[]]


def test_some_come_as_batches_do_but_are_never_mirrored() -> None:
    data = Digits(batch_size=16, flip=True)
    images, labels = next(iter(data.some("train", 40)))
    assert images.dtype == torch.float32
    assert float(images.min()) == -1
    raw = data.split("train")
    for image, label in zip(images, labels, strict=True):
        same = (raw.images.float() / 127.5 - 1 - image).abs().flatten(1).amax(1) < 1e-6
        assert label in raw.labels[same]


def test_an_unknown_split_has_none() -> None:
    with pytest.raises(DataError, match="There is no split 'training'"):
        Numbered().some("training", 3)  # type: ignore[arg-type]


def test_batches_of_chosen_rows_keep_their_order(numbered: Callable[[int], Samples]) -> None:
    batches = EvaluationBatches(numbered(9), 2)
    batches.rows = torch.tensor([7, 0, 3])
    assert [labels.tolist() for _, labels in batches] == [[7, 0], [3]]
    assert len(batches) == 2


def test_some_triples_do_not_make_all_of_them(
    write_idx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIZES, "train", 400)
    data = StackedMNIST(str(write_idx()), batch_size=16, val_size=50)
    every = data.split("train")

    def refuse(*_: Any) -> None:
        raise AssertionError("all triples were made")

    monkeypatch.setattr(Triples, "raw", refuse)
    found = list(data.some("train", 24))
    assert [len(labels) for _, labels in found] == [16, 8]
    raw = every.images.float() / 127.5 - 1
    for images, labels in found:
        for image, label in zip(images, labels, strict=True):
            same = (raw - image).abs().flatten(1).amax(1) < 1e-6
            assert label in every.labels[same]
