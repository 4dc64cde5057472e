"""What a training from Python takes for data, and what it says of what it cannot take."""

import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from tiny import Points, points_gan, quiet_trainer
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torchvision.transforms import Compose

import lightning_gan
from lightning_gan.callbacks import Evaluation
from lightning_gan.callbacks.recorder import Recorder
from lightning_gan.errors import ConfigurationError, DataError, LightningGANError
from lightning_gan.evaluation.loaders import LoaderData
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.runs.record import RunRecord
from lightning_gan.training.batches import batch_size_of

QUIET = {"accelerator": "cpu", "enable_progress_bar": False}


class MyData(LightningDataModule):
    """Anybody's data, which calls a batch as it likes."""

    batch_size = "a few"

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.randn(16, 2)), 8)


def test_plain_loaders_train_and_their_content_is_not_known(tmp_path: Path) -> None:
    data = TensorDataset(torch.randn(64, 2), torch.zeros(64, dtype=torch.long))
    gan = points_gan(max_images=64)
    few = [Evaluation(num_samples=100)]
    lightning_gan.fit(gan, DataLoader(data, 8), tmp_path, callbacks=few, **QUIET)
    record = RunRecord.read(tmp_path / "version_0")
    assert (record.state, record.images) == ("finished", 64)
    assert record.identity["data"] is None


@pytest.mark.filterwarnings("ignore:Evaluation will measure nothing")
def test_data_of_ones_own_may_tell_a_batch_size_of_any_type(tmp_path: Path) -> None:
    assert batch_size_of(MyData()) is None
    lightning_gan.fit(points_gan(max_images=16), MyData(), tmp_path, **QUIET)
    assert RunRecord.read(tmp_path / "version_0").segments[0].batch_size is None


def test_data_that_can_be_read_once_are_refused(tmp_path: Path) -> None:
    batches = (torch.randn(8, 2) for _ in range(5))
    with pytest.raises(ConfigurationError, match="the data are an iterator, which can be read onc"):
        lightning_gan.fit(points_gan(max_images=8), batches, tmp_path, **QUIET)
    assert next(batches).shape == (8, 2)


def test_a_list_of_batches_is_all_trained_on(tmp_path: Path) -> None:
    batches = [torch.randn(size, 2) for size in (8, 4, 8)]
    trainer = lightning_gan.fit(points_gan(max_images=20), batches, tmp_path / "a", **QUIET)
    assert [len(batch) for batch in trainer.train_dataloader or ()] == [8, 4, 8]
    evaluation = (tmp_path / "a" / "version_0" / "evaluations.jsonl").read_text()
    assert json.loads(evaluation)["stamp"]["reference"]["count"] == 20
    pairs = [(points, torch.arange(len(points)) % 2) for points in batches]
    gan = points_gan(num_classes=2, max_images=20)
    lightning_gan.fit(gan, pairs, tmp_path / "b", **QUIET)
    assert gan.progress.images == 20


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((torch.randn(8, 2), torch.zeros(7, dtype=torch.long)), "8 samples and 7 labels"),
        (torch.randn(0, 2), "there are no data"),
        ([], "there are no data"),
    ],
)
def test_columns_that_do_not_fit_are_refused(data: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        lightning_gan.fit(points_gan(max_images=16), data, tmp_path, **QUIET)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kind", [torch.as_tensor, np.asarray])
def test_a_pair_is_samples_with_labels_of_whatever_shape(kind: Any, tmp_path: Path) -> None:
    points, classes = torch.randn(24, 2), torch.arange(24) % 2
    one_hot = torch.eye(2)[classes]
    fit = partial(lightning_gan.fit, batch_size=8, **QUIET)
    for labels in (classes, one_hot, classes[:, None]):
        gan = points_gan(max_images=24)
        fit(gan, (kind(points), kind(labels)), tmp_path / "plain")
        assert gan.progress.batches == 3

    judge = MLPDiscriminator(2, 0, width=4, num_classes=2)
    make = MLPGenerator(2, 0, width=4, depth=1, num_classes=2)
    gan = points_gan(generator=make, discriminator=judge, max_images=24)
    with pytest.raises(DataError, match=r"labels of the shape \(8, 2\) .* one-hot labels"):
        fit(gan, (kind(points), kind(one_hot)), tmp_path / "one hot")
    fit(gan, [kind(points), kind(classes)], tmp_path / "classes")
    assert gan.progress.batches == 3


@pytest.mark.parametrize("later", [torch.randn(8, 3), torch.full((8, 2), torch.nan)])
def test_a_later_batch_of_the_reference_is_looked_at_as_well(
    later: torch.Tensor, tmp_path: Path
) -> None:
    batches = [torch.randn(8, 2), later, torch.randn(8, 2)]
    with pytest.raises(DataError, match=r"A batch of the reference (has the shape|is not finite)"):
        lightning_gan.fit(points_gan(max_images=24), batches, tmp_path, **QUIET)


def test_double_precision_is_trained_and_measured(tmp_path: Path) -> None:
    gan = points_gan(max_images=16).double()
    lightning_gan.fit(gan, torch.randn(16, 2, dtype=torch.float64), tmp_path, **QUIET)
    assert (tmp_path / "version_0" / "evaluations.jsonl").is_file()


class Turned(MyData):
    """A module with what is usual in those of others, and means something else here."""

    split, class_names, image_size, channels = 0.9, None, (0, 0), 2

    def __init__(self, transform: Any = None, path: Path = Path("data")) -> None:
        super().__init__()
        self.transform, self.path = transform, path


@pytest.mark.parametrize("transform", [None, abs, Compose([]), nn.Identity()])
def test_a_data_module_may_have_attributes_of_any_kind(transform: Any, tmp_path: Path) -> None:
    for images in (16, 32):
        data = Turned(transform)
        gan = points_gan(max_images=images)
        lightning_gan.fit(gan, data, tmp_path, "last", **QUIET)
    assert gan.progress.images == 32
    assert [path.name for path in tmp_path.glob("version_*")] == ["version_0"]
    assert not is_overridden("val_dataloader", data), "what was lent is taken back"


def test_a_batch_size_is_for_what_has_none(tmp_path: Path) -> None:
    for data in (Points(8), DataLoader(TensorDataset(torch.randn(16, 2)), 8)):
        with pytest.raises(ConfigurationError, match="these data have batches of their own"):
            lightning_gan.fit(points_gan(max_images=8), data, tmp_path, batch_size=4, **QUIET)
    with pytest.raises(DataError, match=r"pictures is a path: give datamodules.ImageFolder"):
        lightning_gan.fit(points_gan(max_images=8), "pictures", tmp_path, **QUIET)


def test_data_without_a_sample_are_refused(tmp_path: Path) -> None:
    for none in (torch.randn(0, 2), [torch.randn(0, 2)], [], TensorDataset(torch.randn(0, 2))):
        with pytest.raises(DataError, match="there are no data"):
            lightning_gan.fit(points_gan(max_images=8), none, tmp_path)


@pytest.mark.parametrize("count", [1, 4])
def test_fewer_samples_than_a_batch_that_was_asked_for_are_refused(
    count: int, tmp_path: Path
) -> None:
    few = torch.randn(count, 2)
    for data in (few, TensorDataset(few), few.numpy(), (few, torch.zeros(count).long())):
        match = f"have {count} samples?, fewer than one batch of 32: .* at most {count}"
        with pytest.raises(DataError, match=match):
            lightning_gan.fit(points_gan(max_images=8), data, tmp_path, batch_size=32, **QUIET)
    assert not [*tmp_path.iterdir()]


def test_fewer_samples_than_the_usual_batch_are_one_batch_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = QUIET | {"callbacks": [Evaluation(num_samples=100)]}
    with caplog.at_level(logging.INFO):
        gan = points_gan(max_images=12)
        lightning_gan.fit(gan, torch.randn(4, 2), tmp_path, **options)
    assert gan.progress.batches == 3
    said = [each.message for each in caplog.records if "fewer than" in each.message]
    assert said == [
        "The data have 4 samples, fewer than the usual batch of 64: all of them are one batch."
    ]


def test_a_loader_without_a_whole_batch_trains_nothing_and_leaves_no_folder(tmp_path: Path) -> None:
    data = DataLoader(TensorDataset(torch.randn(4, 2)), 32, drop_last=True)
    with (
        pytest.warns(UserWarning, match="across ranks is zero"),
        pytest.raises(DataError, match=r"gives no batch.*set a smaller batch_size"),
    ):
        lightning_gan.fit(points_gan(max_images=8), data, tmp_path, **QUIET)
    assert not [*tmp_path.iterdir()]


class Same(IterableDataset[torch.Tensor]):
    """A stream that hands out the same iterator each time."""

    def __init__(self) -> None:
        self.rows = iter(torch.randn(64, 2))

    def __iter__(self) -> Iterator[torch.Tensor]:
        return self.rows


class Eaten(IterableDataset[torch.Tensor]):
    """A stream that nobody can tell from others until nothing is left of it."""

    def __init__(self) -> None:
        self.rows = [*torch.randn(64, 2)]

    def __iter__(self) -> Iterator[torch.Tensor]:
        while self.rows:
            yield self.rows.pop()


class OnceABatch:
    """Batches in an object, read once."""

    def __init__(self) -> None:
        self.batches = (torch.randn(8, 2) for _ in range(8))

    def __iter__(self) -> Iterator[torch.Tensor]:
        return self.batches


@pytest.mark.parametrize("make", [Same, OnceABatch, lambda: DataLoader(Same(), 8)])
def test_a_stream_that_can_be_read_once_is_refused(make: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="an iterator, which can be read once: give a"):
        lightning_gan.fit(points_gan(max_images=16), make(), tmp_path, **QUIET)
    assert not [*tmp_path.iterdir()]


def test_a_stream_that_the_reference_has_used_up_is_refused(tmp_path: Path) -> None:
    gan = points_gan(max_images=64, validate_every=16)
    options = QUIET | {"callbacks": [Evaluation(num_samples=50)], "max_epochs": 2}
    with pytest.raises(LightningGANError, match="begins anew"):
        lightning_gan.fit(gan, DataLoader(Eaten(), 8), tmp_path, **options)
    with pytest.raises(DataError, match="its 64 samples were read as the reference"):
        LoaderData(MLPGenerator(2, 0), DataLoader(Eaten(), 8)).split("train")


@pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`.*")
def test_a_stream_that_has_ended_ends_the_run(tmp_path: Path) -> None:
    gan, ended = points_gan(max_images=640), "no more batches after 64 images: give one whose"
    trainer = quiet_trainer(tmp_path, callbacks=[Recorder()], max_epochs=3)
    with pytest.raises(DataError, match=ended):
        trainer.fit(gan, DataLoader(Eaten(), 8))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "the data are None: give a tensor, a data set, a DataLoader, or a data module"),
        (42, "the data are int: give"),
        (Points, "the data are the class Points: give"),
        ({"train": torch.randn(8, 2)}, "the data are dict: give"),
        (points_gan(max_images=8), "the data are GAN: give"),
        (nn.Sequential(nn.Linear(2, 2)), "the data are Sequential: give"),
        (torch.tensor(3.0), "the data are Tensor: give"),
        (np.float32(3), "the data are float32: give"),
        (np.array(["a", "b"]), "fit: an array of <U1 holds no numbers: give float32"),
        ((torch.randn(8, 2), torch.zeros(8), torch.zeros(8)), "3 tensors, where .* leave the oth"),
        ([torch.randn(8, 2), torch.zeros(8), torch.zeros(8)], "3 tensors, where .* leave the oth"),
        ((torch.randn(8, 2), None), "fit: the labels are None: give a tensor, or the samples"),
        ((torch.randn(8, 2), [0] * 8), "fit: the labels are list: give a tensor, or the samples"),
        (torch.randn(2), "it is one sample alone: give batches"),
        (torch.randn(8, 2).double(), r"is float64 .* convert the samples, as \.float\(\)"),
        (torch.ones(8, 2).long(), r"is int64 .* convert the samples, as \.float\(\)"),
    ],
    ids=range(16),
)
def test_what_holds_no_samples_is_refused(data: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        lightning_gan.fit(points_gan(max_images=8), data, tmp_path, **QUIET)
    assert not [*tmp_path.iterdir()]


class Empty(IterableDataset[torch.Tensor]):
    """A stream of nothing."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter([])


@pytest.mark.parametrize("make", [Empty, lambda: DataLoader(Empty(), 8)])
def test_a_stream_of_nothing_is_called_so(make: Any, tmp_path: Path) -> None:
    gan = points_gan(max_images=8)
    with pytest.raises(DataError, match="training data give no sample to measure against: they a"):
        lightning_gan.fit(gan, make(), tmp_path, **QUIET)
    assert not [*tmp_path.iterdir()]
    with (
        pytest.warns(UserWarning, match="no `val_dataloader`"),
        pytest.raises(DataError, match="training gives no batch: it is empty, or can be read once"),
    ):
        quiet_trainer(tmp_path, callbacks=[Recorder()]).fit(gan, DataLoader(Empty(), 8))
    with pytest.raises(DataError, match="training data give no sample to measure against: they a"):
        LoaderData(gan.generator, make()).split("train")


@pytest.mark.parametrize("options", [{}, {"limit_val_batches": 0}])
def test_a_stream_that_the_first_picture_has_used_up_is_refused_before_it_is_trained_on(
    options: dict[str, Any], tmp_path: Path
) -> None:
    gan = points_gan()
    with pytest.raises(DataError, match="samples were read as the reference: give one whose"):
        lightning_gan.fit(gan, DataLoader(Eaten(), 8), tmp_path, max_epochs=1, **QUIET, **options)
    assert gan.progress.images == 0
