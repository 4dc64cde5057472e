"""Samples are measured against what plain loaders give."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.callbacks import ModelCheckpoint
from tiny import distance, picture_gan, points_gan, quiet_trainer, weights
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
)

import lightning_gan
from lightning_gan.callbacks import Evaluation
from lightning_gan.errors import ConfigurationError, DataError
from lightning_gan.evaluation import loaders
from lightning_gan.evaluation.loaders import LoaderData, NothingHeldOut
from lightning_gan.networks import MLPGenerator
from lightning_gan.runs.record import RunRecord

QUIET: dict[str, Any] = {"accelerator": "cpu", "enable_progress_bar": False}
POINTS = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
PICTURES = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


class Stream(IterableDataset[Tensor]):
    """Points without a length."""

    def __iter__(self) -> Iterator[Tensor]:
        yield from POINTS


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "version_0" / "evaluations.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    "data",
    [
        POINTS,
        (POINTS, torch.zeros(64)),
        TensorDataset(POINTS),
        DataLoader(POINTS, 8, shuffle=True),  # type: ignore[arg-type]
        Stream(),
    ],
    ids=["tensor", "tensors", "data set", "loader", "stream"],
)
def test_training_samples_alone_are_measured_against_once_the_budget_is_spent(
    data: object, tmp_path: Path
) -> None:
    gan = points_gan(max_images=64)
    few = [Evaluation(num_samples=100)]
    size = None if isinstance(data, DataLoader) else 8
    trainer = lightning_gan.fit(gan, data, tmp_path, callbacks=few, batch_size=size, **QUIET)
    (line,) = lines(tmp_path)
    assert line["stamp"]["reference"]["count"] == 64
    assert line["values"]["fid/identity"] > 0
    assert trainer.callback_metrics["fid/identity"] == pytest.approx(line["values"]["fid/identity"])
    assert (tmp_path / "version_0" / "checkpoints" / "best.ckpt").is_file()
    assert (tmp_path / "version_0" / "samples").is_dir()
    assert RunRecord.read(tmp_path / "version_0").values["fid/identity"] > 0


def test_a_run_of_epochs_is_measured_at_its_end_and_where_asked_for(tmp_path: Path) -> None:
    few = [Evaluation(num_samples=100)]
    options = QUIET | {"callbacks": few, "max_epochs": 4, "batch_size": 8}
    lightning_gan.fit(points_gan(), POINTS, tmp_path / "a", **options)
    assert [line["run"]["images_seen"] for line in lines(tmp_path / "a")] == [256]
    options["callbacks"] = [Evaluation(num_samples=100)]
    lightning_gan.fit(points_gan(validate_every=128), POINTS, tmp_path / "b", **options)
    assert [line["run"]["images_seen"] for line in lines(tmp_path / "b")] == [128, 256]


def test_pictures_of_a_loader_are_measured_and_the_training_is_the_same(tmp_path: Path) -> None:
    loader = DataLoader(TensorDataset(PICTURES), 8, shuffle=True)
    gan, other = picture_gan(max_images=80), picture_gan(max_images=80)
    torch.manual_seed(5)
    few = [Evaluation(num_samples=100)]
    lightning_gan.fit(gan, loader, tmp_path / "a", callbacks=few, **QUIET)
    torch.manual_seed(5)
    lightning_gan.fit(other, loader, tmp_path / "b", limit_val_batches=0, **QUIET)
    assert distance(weights(gan), weights(other)) == 0
    (line,) = lines(tmp_path / "a")
    assert {"fid/pixel", "precision/pixel"} <= line["values"].keys()
    assert not (tmp_path / "b" / "version_0" / "evaluations.jsonl").exists()


def test_the_reference_is_the_data_set_in_its_own_order_whatever_the_loader_draws() -> None:
    generator, data = MLPGenerator(2, 0), TensorDataset(POINTS, torch.arange(64))
    before = torch.random.get_rng_state()
    for loader in (DataLoader(data, 7), DataLoader(data, 8, shuffle=True, drop_last=True)):
        assert torch.equal(LoaderData(generator, loader).split("train").images, POINTS)
    assert torch.equal(torch.random.get_rng_state(), before)
    chosen = DataLoader(data, 8, sampler=SubsetRandomSampler([3, 5]))
    assert len(LoaderData(generator, chosen).split("train").images) == 2
    assert len(LoaderData(generator, chosen).split("val").images) == 0


def test_processes_read_the_same_samples_or_say_that_they_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator, data = MLPGenerator(2, 0), TensorDataset(POINTS, torch.arange(64))
    monkeypatch.setattr(loaders.processes, "is_distributed", lambda: True)
    half = DataLoader(data, 8, sampler=DistributedSampler(data, 2, rank=1))
    found = LoaderData(generator, half, NothingHeldOut(generator))
    assert torch.equal(found.split("train").images, POINTS)
    assert len(found.split("val").images) == 0
    with pytest.raises(ConfigurationError, match="gives each process other samples: leave Eval"):
        LoaderData(generator, DataLoader(Stream(), 8)).split("train")


def drawn() -> Tensor:
    """A number of each of the generators that transforms use."""
    return torch.tensor([random.random(), np.random.rand(), torch.rand(())])  # noqa: NPY002 (as they do)


class Drawn(Dataset[Tensor]):
    """Samples that are drawn anew each time."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Tensor:
        return drawn()


def test_what_is_drawn_as_the_reference_is_read_is_the_same_and_no_number_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    generator, read, after = MLPGenerator(3, 0, width=8), [], []
    for seed in (1, 2, 1):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (likewise)
        torch.default_generator.manual_seed(seed)
        if len(read) < 2:
            found = LoaderData(generator, DataLoader(Drawn(), 8))
            read.append(found.split("train").images)
        after.append(drawn())
    assert torch.equal(*read)
    assert torch.equal(after[0], after[2])
    assert not seeded


def test_no_more_is_read_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = DataLoader(TensorDataset(POINTS), 8)
    monkeypatch.setattr(loaders, "MOST", 20)
    assert len(LoaderData(MLPGenerator(2, 0), loader).split("train").images) == 20
    with pytest.raises(DataError, match="The first batch of the reference has the shape"):
        LoaderData(MLPGenerator(3, 0), loader).split("train")


@pytest.mark.filterwarnings("ignore:.*number of training batches.*")
def test_a_trainer_with_both_loaders_measures_at_its_validations() -> None:
    evaluation = Evaluation(num_samples=100)
    trainer = quiet_trainer(callbacks=[evaluation], max_epochs=1, limit_val_batches=1)
    loader = DataLoader(TensorDataset(POINTS), 8)
    trainer.fit(points_gan(), loader, loader)
    assert trainer.callback_metrics["fid/identity"] > 0


@pytest.mark.filterwarnings("ignore:.*(have no `val_dataloader`|number of training batches).*")
def test_what_will_not_be_measured_is_said_before_training() -> None:
    loader = DataLoader(TensorDataset(POINTS), 8)
    few = Evaluation(num_samples=100)
    trainer = quiet_trainer(callbacks=[few], max_epochs=1, limit_val_batches=1)
    with pytest.warns(UserWarning, match="Evaluation will measure nothing, since it does so at"):
        trainer.fit(points_gan(), loader)
    trainer = quiet_trainer(callbacks=[few], limit_val_batches=1)
    with pytest.raises(ConfigurationError, match="there are held-out batches alone"):
        trainer.validate(points_gan(), loader, verbose=False)


def test_a_schedule_of_the_trainers_own_is_kept(tmp_path: Path) -> None:
    options = QUIET | {"callbacks": [Evaluation(num_samples=100), ModelCheckpoint()]}
    lightning_gan.fit(
        points_gan(), POINTS, tmp_path, max_epochs=3, check_val_every_n_epoch=1, **options
    )
    assert len(lines(tmp_path)) == 3


class Module(LightningDataModule):
    """Somebody's own data module, which tells nothing of its splits."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(POINTS), 8)


class WithHeldOut(Module):
    """One with held-out samples."""

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(POINTS[:16]), 8)


@pytest.mark.filterwarnings("ignore:.*(have no `val_dataloader`|number of training batches).*")
def test_a_data_module_without_splits_is_measured(tmp_path: Path) -> None:
    options = QUIET | {"callbacks": [Evaluation(num_samples=100)]}
    for data, name in ((WithHeldOut(), "a"), (Module(), "b")):
        lightning_gan.fit(points_gan(max_images=64), data, tmp_path / name, **options)
        (line,) = lines(tmp_path / name)
        assert line["stamp"]["reference"]["count"] == 64
        assert (tmp_path / name / "version_0" / "checkpoints" / "best.ckpt").is_file()


def test_few_reals_are_said_once_by_the_callback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = QUIET | {"callbacks": [Evaluation(num_samples=50)], "max_epochs": 2}
    with caplog.at_level(logging.INFO):
        gan = points_gan(validate_every=2)
        lightning_gan.fit(gan, POINTS[:2], tmp_path, batch_size=2, **options)
    assert sum("The reference has 2 samples" in each.message for each in caplog.records) == 1


def test_nothing_held_out_is_one_empty_batch() -> None:
    (batch,) = NothingHeldOut(MLPGenerator(2, 0))
    assert batch[0].shape == (0, 2)


def test_of_many_samples_some_from_all_over_are_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loaders, "MOST", 50)
    points = torch.arange(200.0)[:, None].repeat(1, 2)  # sorted, as folders of classes are
    generator = MLPGenerator(2, 0)
    found = LoaderData(generator, DataLoader(TensorDataset(points), 8)).split("train").images
    assert len(found) == 50
    assert float(found.max()) > 150
    again = LoaderData(generator, DataLoader(TensorDataset(points), 8)).split("train").images
    assert torch.equal(found, again)
