"""Stacked MNIST: what a triple is made of, that it is the same everywhere, what memory holds."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightning_gan.basics.images import from_uint8
from lightning_gan.datamodules import MNIST, EvaluationBatches, StackedMNIST, TrainingBatches
from lightning_gan.datamodules.stacked_mnist import SIZES, Triples
from lightning_gan.errors import ConfigurationError, DataError

WriteIdx = Callable[..., Path]


@pytest.fixture
def root(write_idx: WriteIdx, monkeypatch: pytest.MonkeyPatch) -> str:
    """Made-up digits, of which 50 are for validation, and few triples of them."""
    for name, count in (("train", 400), ("val", 60), ("test", 90)):
        monkeypatch.setitem(SIZES, name, count)
    return str(write_idx())


def made_of(pictures: Tensor) -> set[bytes]:
    """The digits in pictures (N, 3, H, W)."""
    return {digit.numpy().tobytes() for digit in pictures.flatten(0, 1)}


def samples_of(data: StackedMNIST) -> Triples:
    samples = data.train_dataloader().samples
    assert isinstance(samples, Triples)
    return samples


def test_everything_is_known_without_the_files() -> None:
    data = StackedMNIST(root="/does/not/exist")
    assert (data.name, data.channels, data.num_classes) == ("stacked_mnist", 3, 1000)
    assert (data.image_size, data.padding, data.stacked) == (28, 0, 3)
    assert data.class_names[7] == "007"
    assert data.class_names[407] == "407"
    assert len(set(data.class_names)) == 1000
    wide = StackedMNIST(image_size=32)
    assert (wide.image_size, wide.padding) == (32, 2)


def test_there_are_as_many_triples_as_in_the_papers(write_idx: WriteIdx) -> None:
    data = StackedMNIST(str(write_idx()), val_size=50)
    sizes = {name: len(data.split(name).labels) for name in ("train", "val", "test")}
    assert sizes == {"train": 128_000, "val": 10_000, "test": 10_000}


def test_a_class_spells_the_digits_in_red_green_and_blue(root: str) -> None:
    digits, data = MNIST(root, val_size=50), StackedMNIST(root, val_size=50)
    for name in ("train", "val", "test"):
        known = {
            image.numpy().tobytes(): int(label)
            for image, label in zip(*digits.split(name), strict=True)
        }
        images, labels = data.split(name)
        assert images.shape == (SIZES[name], 3, 28, 28)
        assert images.dtype == torch.uint8
        assert labels.dtype == torch.int64
        for picture, label in zip(images, labels.tolist(), strict=True):
            found = [known[digit.numpy().tobytes()] for digit in picture]
            assert data.class_names[label] == "".join(map(str, found))


def test_no_digit_is_shared_by_two_splits(root: str) -> None:
    data = StackedMNIST(root, val_size=50)
    train, val, test = (made_of(data.split(name).images) for name in ("train", "val", "test"))
    assert not train & val
    assert not train & test
    assert not val & test
    assert len(train) > 240  # of 250


def test_every_digit_is_as_likely_in_every_place(write_idx: WriteIdx) -> None:
    samples = samples_of(StackedMNIST(str(write_idx()), val_size=50))
    rows, mean = samples.rows, 128_000 / 250
    assert rows.shape == (128_000, 3)
    for place in rows.unbind(1):
        counts = place.bincount(minlength=250).double()
        assert float((counts - mean).square().sum() / mean) < 249 + 5 * math.sqrt(2 * 249)
    centred = (rows.double() - 124.5) / math.sqrt((250**2 - 1) / 12)
    correlation = centred.T @ centred / len(rows)
    assert (correlation - torch.eye(3)).abs().max() < 5 / math.sqrt(len(rows))


def test_triples_do_not_depend_on_the_seed_but_their_order_does(root: str) -> None:
    one, other = (StackedMNIST(root, val_size=50, seed=seed) for seed in (0, 1))
    for name in ("train", "val", "test"):
        for ours, theirs in zip(one.split(name), other.split(name), strict=True):
            assert torch.equal(ours, theirs)
    first, second = (next(iter(data.train_dataloader()))[0] for data in (one, other))
    assert not torch.equal(first, second)


def test_a_batch_holds_the_triples_of_its_rows_scaled(root: str) -> None:
    data = StackedMNIST(root, val_size=50)
    images, labels = data.split("train")
    rows = torch.tensor([399, 0, 7, 7])
    found, classes = samples_of(data).take(rows)
    assert torch.equal(found, from_uint8(images[rows]))
    assert torch.equal(classes, labels[rows])
    mirrored, _ = samples_of(data).take(rows, torch.tensor([True, False, True, False]))
    assert torch.equal(mirrored[0], found[0].flip(-1))
    assert torch.equal(mirrored[3], found[3])
    empty, none = samples_of(data).take(rows[:0])
    assert (empty.shape, none.shape) == ((0, 3, 28, 28), (0,))


@pytest.mark.parametrize("world", [2, 3])
def test_several_processes_see_together_what_one_sees(root: str, world: int) -> None:
    samples = samples_of(StackedMNIST(root, val_size=50))
    alone = TrainingBatches(samples, 6 * world, seed=3)
    each = [
        TrainingBatches(samples, 6, seed=3, rank=rank, world_size=world) for rank in range(world)
    ]
    for whole, *parts in zip(alone, *each, strict=True):
        for ours, theirs in zip(whole, zip(*parts, strict=True), strict=True):
            assert torch.equal(ours, torch.cat(theirs))
    val = EvaluationBatches(samples, 32)
    seen = torch.cat([labels for _, labels in val])
    shares = [EvaluationBatches(samples, 32, rank, world) for rank in range(world)]
    steps = zip(*shares, strict=True)
    assert torch.equal(seen, torch.cat([labels for step in steps for _, labels in step]))


def test_an_epoch_goes_on_where_it_stopped(root: str) -> None:
    data = StackedMNIST(root, batch_size=32, val_size=50, seed=5)
    straight = [labels for _, labels in data.train_dataloader()]
    stopped = data.train_dataloader()
    batches = iter(stopped)
    begun = [next(batches)[1] for _ in range(5)]
    other = StackedMNIST(root, batch_size=32, val_size=50, seed=5)
    other.load_state_dict(data.state_dict())
    begun += [labels for _, labels in other.train_dataloader()]
    assert torch.equal(torch.cat(straight), torch.cat(begun))
    assert len(straight) == 400 // 32


def test_thirty_two_pixels_are_the_digits_with_black_around_them(root: str) -> None:
    small, wide = (StackedMNIST(root, image_size=size, val_size=50) for size in (28, 32))
    inner, outer = small.split("val"), wide.split("val")
    assert torch.equal(outer.images[..., 2:-2, 2:-2], inner.images)
    assert torch.equal(outer.labels, inner.labels)
    assert int(outer.images.sum()) == int(inner.images.sum())
    images, _ = next(iter(wide.val_dataloader()))
    assert images.shape[1:] == (3, 32, 32)
    assert (images[..., :2] == -1).all()


def test_memory_holds_the_digits_and_not_the_triples(write_idx: WriteIdx) -> None:
    data = StackedMNIST(str(write_idx()), val_size=50)
    next(iter(data.train_dataloader()))
    samples = samples_of(data)
    assert samples.images.shape == (250, 1, 28, 28)
    assert samples.rows.nbytes == 128_000 * 3 * 8
    assert len(samples) == 128_000


def test_without_digits_for_validation_there_are_no_triples_for_it(root: str) -> None:
    data = StackedMNIST(root, val_size=0)
    assert data.split("val").images.shape == (0, 3, 28, 28)
    assert [len(labels) for _, labels in data.val_dataloader()] == [0]
    assert int(data.digit_counts.sum()) == 300


def test_the_digits_of_the_training_triples_are_counted(root: str) -> None:
    counts = StackedMNIST(root, val_size=50).digit_counts
    assert counts.tolist() == MNIST(root, val_size=50).split("train").labels.bincount().tolist()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"image_size": 30}, "image_size=30 must be 28 or 32"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"val_size": -1}, "val_size=-1 must be at least 0"),
    ],
)
def test_a_number_out_of_range_is_an_error(arguments: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        StackedMNIST(**arguments)  # type: ignore[arg-type] # they are all integers


def test_missing_and_damaged_files_are_errors_as_for_mnist(root: str, tmp_path: Path) -> None:
    data = StackedMNIST(str(tmp_path / "empty"), download=False)
    for act in (data.prepare_data, data.setup):
        with pytest.raises(DataError, match=r"For mnist, .*missing: .*again with download=true"):
            act()
    with pytest.raises(DataError, match="but mnist has 300 training samples"):
        StackedMNIST(root).setup()
    next(Path(root).rglob("t10k-labels*")).write_bytes(b"cut")
    with pytest.raises(DataError, match="damaged"):
        StackedMNIST(root, val_size=50, download=False).setup()


def test_a_split_that_there_is_not_is_an_error(root: str) -> None:
    with pytest.raises(DataError, match="no split 'extra'"):
        StackedMNIST(root, val_size=50).split("extra")  # type: ignore[arg-type] # on purpose


def test_all_modes_of_the_genuine_digits_are_there_as_often_as_chance_has_it(
    real_data: str,
) -> None:
    if not (Path(real_data) / "MNIST" / "raw").is_dir():
        pytest.skip(f"there is no MNIST in {real_data}")
    data = StackedMNIST(real_data, download=False)
    data.setup()
    assert int(data.digit_counts.sum()) == 55_000
    labels = torch.cat([labels for _, labels in EvaluationBatches(samples_of(data), 5000)])
    shares = data.digit_counts.double() / 55_000
    prior = torch.cartesian_prod(shares, shares, shares).prod(1)
    counts = labels.bincount(minlength=1000)
    assert counts.min() > 0
    expected = 128_000 * prior
    statistic = float(((counts - expected).square() / expected).sum())
    assert abs(statistic - 999) < 6 * math.sqrt(2 * 999)
