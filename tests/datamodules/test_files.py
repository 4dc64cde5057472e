"""MNIST and CIFAR: what is read, how it is split, and what is said of files that are not whole."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

from lightning_gan.datamodules import CIFAR10, CIFAR100, MNIST, FashionMNIST, Split
from lightning_gan.datamodules.downloaded import DownloadedData
from lightning_gan.errors import ConfigurationError, DataError

WriteIdx = Callable[..., Path]
FILES = [MNIST, FashionMNIST, CIFAR10, CIFAR100]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every download fail as it does without a network."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)


def as_set(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.images}


@pytest.mark.parametrize("kind", FILES)
def test_everything_about_a_data_set_is_known_without_its_files(kind: type[MNIST]) -> None:
    data = kind(root="/does/not/exist")
    assert data.num_classes == len(data.class_names) == len(set(data.class_names))
    assert (data.channels, data.image_size) == ((1, 28) if issubclass(kind, MNIST) else (3, 32))
    assert data.name in {"mnist", "fashion_mnist", "cifar10", "cifar100"}


def test_the_names_of_the_hundred_classes_are_in_their_alphabetical_order() -> None:
    assert list(CIFAR100.class_names) == sorted(CIFAR100.class_names)


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_splits_are_disjoint_and_make_up_the_files(write_idx: WriteIdx, kind: type[MNIST]) -> None:
    data = kind(str(write_idx(kind.__name__)), val_size=50)
    data.prepare_data()
    data.setup()
    train, val, test = (as_set(data.split(name)) for name in ("train", "val", "test"))
    assert [len(train), len(val), len(test)] == [250, 50, 70]
    assert len(train | val | test) == 370
    pixels = np.fromfile(data.folder / "train-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 784)
    assert train | val == {row.tobytes() for row in pixels}
    split = data.split("val")
    assert split.images.shape == (50, 1, 28, 28)
    assert split.labels.dtype == torch.int64
    rows = [int(np.flatnonzero((pixels == i.flatten().numpy()).all(1))[0]) for i in split.images]
    assert split.labels.tolist() == [row % 10 for row in rows]


def test_splits_do_not_depend_on_the_seed_but_the_order_does(write_idx: WriteIdx) -> None:
    root = str(write_idx())
    one, other = (MNIST(root, val_size=50, seed=seed) for seed in (0, 1))
    assert as_set(one.split("val")) == as_set(other.split("val"))
    first, second = (next(iter(data.train_dataloader()))[0] for data in (one, other))
    assert not torch.equal(first, second)


def test_batches_are_scaled_and_shaped_for_a_network(write_idx: WriteIdx) -> None:
    data = MNIST(str(write_idx()), batch_size=32, val_size=50)
    images, labels = next(iter(data.train_dataloader()))
    assert images.shape == (32, 1, 28, 28)
    assert images.dtype == torch.float32
    assert images.min() == -1
    assert images.max() == 1
    assert labels.shape == (32,)
    assert sum(len(labels) for _, labels in data.test_dataloader()) == 70


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("kind", FILES)
def test_missing_files_without_a_network_are_one_clear_sentence(
    tmp_path: Path, kind: type[DownloadedData]
) -> None:
    with pytest.raises(DataError, match=r"missing, and the download failed.*connect to") as caught:
        kind(str(tmp_path / "a" / "b")).prepare_data()
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).count("Name or service not known") == 1
    assert "\n" not in str(caught.value)
    assert not [*tmp_path.iterdir()], "what was made for it is gone"
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError):
        kind(str(tmp_path / "a" / "b")).prepare_data()
    assert [each.name for each in tmp_path.iterdir()] == ["a"], "what was there stays"


@pytest.mark.parametrize("kind", FILES)
def test_missing_files_that_may_not_be_downloaded_are_an_error(
    tmp_path: Path, kind: type[DownloadedData]
) -> None:
    data = kind(str(tmp_path), download=False)
    with pytest.raises(DataError, match=r"missing: .*run again with download=true"):
        data.prepare_data()
    with pytest.raises(DataError, match="missing"):
        data.setup()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", FILES)
def test_a_root_that_is_a_file_is_an_error(tmp_path: Path, kind: type[DownloadedData]) -> None:
    root = tmp_path / "file"
    root.touch()
    for act in (kind(str(root)).prepare_data, kind(str(root)).setup):
        with pytest.raises(DataError, match="is a file: set root to a folder"):
            act()


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:-1], "54895 bytes long where its header promises 54896"),
        (lambda content: content + b"0", "54897 bytes long"),
        (lambda content: b"", "does not begin as an IDX file"),
        (lambda content: content[:9], "does not begin as an IDX file"),
        (lambda content: b"<html>" + content[6:], "does not begin as an IDX file"),
        (lambda content: struct.pack(">IIII", 0x803, 35, 28, 56) + content[16:], "28 x 28"),
        (lambda content: struct.pack(">IIII", 0x803, 1, 28, 28) + bytes(784), "as many labels"),
    ],
)
def test_a_damaged_file_is_named(
    write_idx: WriteIdx, damage: Callable[[bytes], bytes], said: str
) -> None:
    root = write_idx(test=70)
    path = root / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    for act in (MNIST(str(root)).prepare_data, MNIST(str(root)).setup):
        with pytest.raises(DataError, match=said) as caught:
            act()
        assert str(path) in str(caught.value)


def test_files_that_are_there_are_not_downloaded(
    write_idx: WriteIdx, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = MNIST(str(write_idx()))
    monkeypatch.setattr(MNIST, "fetch", lambda self: pytest.fail("downloaded"))
    data.prepare_data()


def test_missing_files_are_fetched_once_and_then_whole(
    write_idx: WriteIdx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_idx() / "MNIST" / "raw"
    asked = []

    def copy(url: str, download_root: str, filename: str, md5: str) -> None:
        asked.append(filename)
        name = filename.removesuffix(".gz")
        (Path(download_root) / name).write_bytes((source / name).read_bytes())

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", copy)
    data = MNIST(str(tmp_path / "new"), val_size=50)
    data.prepare_data()
    data.prepare_data()
    assert len(asked) == 4
    assert len(data.split("train").labels) == 250


@pytest.mark.parametrize("val_size", [300, 5000])
def test_a_validation_split_that_leaves_nothing_to_train_on_is_an_error(
    write_idx: WriteIdx, val_size: int
) -> None:
    with pytest.raises(DataError, match="has 300 training samples in all: set it to less"):
        MNIST(str(write_idx()), val_size=val_size).setup()


@pytest.mark.parametrize("kind", FILES)
def test_arguments_out_of_range_are_errors(kind: type[DownloadedData]) -> None:
    with pytest.raises(ConfigurationError, match="val_size=-1"):
        kind(val_size=-1)
    with pytest.raises(ConfigurationError, match="batch_size=-3"):
        kind(batch_size=-3)


def test_without_a_validation_split_all_is_for_training(write_idx: WriteIdx) -> None:
    data = MNIST(str(write_idx()), val_size=0)
    assert len(data.split("train").labels) == 300
    assert [len(labels) for _, labels in data.val_dataloader()] == [0]


def test_a_split_that_does_not_exist_is_an_error(write_idx: WriteIdx) -> None:
    name: Any = "valid"
    with pytest.raises(DataError, match="'valid': choose one of"):
        MNIST(str(write_idx()), val_size=5).split(name)


def test_a_training_split_smaller_than_a_batch_is_an_error(write_idx: WriteIdx) -> None:
    with pytest.raises(DataError, match="set a smaller batch_size, at most 250"):
        MNIST(str(write_idx()), batch_size=251, val_size=50).train_dataloader()


@pytest.mark.usefixtures("no_network")
def test_a_file_of_cifar_with_a_wrong_checksum_is_named(tmp_path: Path) -> None:
    folder = tmp_path / CIFAR10("").folder.name
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"no pickle")
    with pytest.raises(DataError, match=r"data_batch_1' is damaged.*download failed"):
        CIFAR10(str(tmp_path)).prepare_data()
    with pytest.raises(DataError, match=r"data_batch_1' is damaged \(its checksum is wrong\)"):
        CIFAR10(str(tmp_path), download=False).setup()


class OwnDigits(MNIST):
    """A subclass under a name that torchvision does not know."""


def test_a_subclass_reads_the_files_of_its_parent(write_idx: WriteIdx) -> None:
    data = OwnDigits(str(write_idx()), val_size=50, download=False)
    data.prepare_data()
    assert len(data.split("train").labels) == 250


def skip_unless_whole(data: DownloadedData) -> None:
    fault = data.fault()
    if fault is not None:
        pytest.skip(f"needs the real {data.name}: {fault}")


@pytest.mark.parametrize("kind", FILES)
def test_the_real_files_give_what_torchvision_gives(
    real_data: str, kind: type[DownloadedData]
) -> None:
    from torchvision import datasets

    data = kind(real_data, val_size=0, download=False)
    skip_unless_whole(data)
    for name, train in (("train", True), ("test", False)):
        expected = getattr(datasets, kind.__name__)(real_data, train=train)
        images = torch.as_tensor(expected.data)
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        split = data.split("train" if train else "test")
        assert torch.equal(split.images, images), name
        assert split.labels.tolist() == torch.as_tensor(expected.targets).tolist()


@pytest.mark.parametrize("kind", FILES)
def test_the_real_files_are_split_into_45000_or_55000_and_5000_and_10000(
    real_data: str, kind: type[DownloadedData]
) -> None:
    data = kind(real_data, download=False)
    skip_unless_whole(data)
    sizes = [len(data.split(name).labels) for name in ("train", "val", "test")]
    assert sizes == [55_000 if issubclass(kind, MNIST) else 45_000, 5_000, 10_000]
    counts = data.split("val").labels.bincount(minlength=data.num_classes)
    assert counts.min() > 0.5 * 5000 / data.num_classes
