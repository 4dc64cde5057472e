"""Data that no training survives are named before it begins, or at the next look."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from tiny import Points, points_gan, quiet_trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lightning_gan.callbacks import LastCheckpoint, StopOnDivergence
from lightning_gan.cli import program
from lightning_gan.datamodules import Split
from lightning_gan.errors import DataError, DivergenceError

OWN_LOADER = pytest.mark.filterwarnings("ignore:.*(number of training batches|no `val_data).*")
"""Lightning's advice on the loader below, which has neither many batches nor a second split."""


class Spoilt(Points):
    """Points of which one is changed."""

    def __init__(self, number: float = 0.0, label: int = 0, missing: int = 0) -> None:
        super().__init__(8)
        self.number, self.label, self.missing = number, label, missing

    def read_splits(self) -> dict[str, Split]:
        splits = super().read_splits()
        images, labels = splits["val"]
        images[17, 1] = self.number
        labels[4] = self.label
        splits["val"] = Split(images, labels[self.missing :])
        return splits


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_named(number: float) -> None:
    with pytest.raises(DataError, match=r"^Sample 17 in the val split of points is not finite"):
        quiet_trainer().fit(points_gan(max_images=8), Spoilt(number))


@pytest.mark.parametrize("label", [3, 255, -1])
def test_a_label_of_no_class_is_named(label: int) -> None:
    with pytest.raises(DataError, match=f"label {label} in the val split.*are 0 to 2"):
        quiet_trainer().fit(points_gan(max_images=8), Spoilt(label=label))


def test_missing_labels_are_counted() -> None:
    with pytest.raises(DataError, match="37 samples but 36 labels in the val split of points"):
        Spoilt(missing=1).setup()
    Spoilt().setup()


def loader(batches: int, spoilt: int) -> DataLoader[tuple[Tensor, ...]]:
    """Somebody's own loader; the samples of one batch are not finite."""
    images = torch.randn(8 * batches, 2)
    images[8 * spoilt + 3] = float("nan")
    labels = torch.zeros(8 * batches, dtype=torch.long)
    return DataLoader(TensorDataset(images, labels), batch_size=8)


@OWN_LOADER
@pytest.mark.parametrize("spoilt", [1, 2, 3])
def test_samples_of_any_loader_that_are_not_finite_end_the_training(spoilt: int) -> None:
    gan = points_gan(max_images=1000)
    with pytest.raises(DivergenceError, match="A sample among the last 4 batches, before image 32"):
        quiet_trainer(callbacks=[StopOnDivergence(4)]).fit(gan, loader(8, spoilt))


@OWN_LOADER
def test_no_checkpoint_is_written_of_weights_that_such_samples_have_spoilt(tmp_path: Path) -> None:
    trainer = quiet_trainer(tmp_path, callbacks=[LastCheckpoint(1e-9), StopOnDivergence()])
    with pytest.raises(DivergenceError, match="is not finite after 24 images"):
        trainer.fit(points_gan(max_images=1000), loader(8, 2))
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["lightning_gan"]["progress"]["images"] == 16


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ('--trainer.max_time={"a":1}', "The Trainer refuses an option of --trainer: 'a'"),
        ("--model.generator_optimizer.lr=-1", "The generator_optimizer refuses an option: Inv"),
        ("--model.ema_half_life=null", "--model.ema_half_life must have a value, not null."),
        ("--data.batch_size=null", "--data.batch_size must have a value, not null."),
        (
            "--model.regularizers.weight=2",
            "Regularizer has no option weight: --model.regularizers.weight is for ",
        ),
        ("--trainer=x", '--trainer: Unable to load config "x"'),
        ("--model.generator=torch.nn.Linear", "torch.nn.Linear does not correspond to a subclass"),
        ("--model.objective=[1]", "--model.objective: Not a valid subclass of Objective"),
    ],
)
def test_what_the_fuzzing_found_is_answered(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    option: str,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    assert program.run(["fit", "--data", "Ring", "--model.max_images", "8", option]) == 2
    assert expected in capsys.readouterr().err
