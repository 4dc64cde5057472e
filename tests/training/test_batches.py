"""Loaders of one's own: what fits just works, and one sentence says what does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import (
    NormedDiscriminator,
    Pictures,
    distance,
    picture_gan,
    points_gan,
    quiet_trainer,
    weights,
)
from torch import Tensor
from torch.nn.functional import one_hot
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lightning_gan.callbacks import StopOnDivergence
from lightning_gan.datamodules import Split
from lightning_gan.errors import DataError, DivergenceError
from lightning_gan.gan import GAN
from lightning_gan.networks import DCGANDiscriminator, DCGANGenerator
from lightning_gan.objectives import NonSaturating

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*have no `val_dataloader`.*",  # a loader of one's own may be alone
    "ignore:.*number of training batches.*",  # and short
)

IMAGES = torch.rand(32, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
LABELS = torch.arange(32) % 3


def gan(num_classes: int = 0) -> GAN:
    """Small networks for colour pictures of 16 x 16 pixels, the same at every call."""
    torch.manual_seed(3)
    sizes: dict[str, Any] = {"channels": 3, "image_size": 16, "width": 4}
    return GAN(
        DCGANGenerator(**sizes, num_classes=num_classes),
        DCGANDiscriminator(**sizes, num_classes=num_classes),
        NonSaturating(),
        max_images=32,
    )


def trained(loader: object, num_classes: int = 0, **options: Any) -> GAN:
    model = gan(num_classes)
    quiet_trainer(**options).fit(model, loader)
    return model


def of(*tensors: Tensor, size: int = 16) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*tensors), size)


class Named(Dataset[Any]):
    """Samples as dictionaries, as many libraries give them."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"image": IMAGES[index], "label": LABELS[index]}

    def __len__(self) -> int:
        return len(IMAGES)


class Annotated(Named):
    """Samples with annotations that are no classes."""

    def __getitem__(self, index: int) -> Any:
        return IMAGES[index], {"box": torch.zeros(4)}, "a word"


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(IMAGES, 16),  # type: ignore[arg-type]
        of(IMAGES),
        of(IMAGES, LABELS),
        of(IMAGES, LABELS.float()),
        of(IMAGES, one_hot(LABELS)),
        DataLoader(Annotated(), 16),
    ],
    ids=["bare", "unlabelled", "labelled", "targets", "attributes", "annotated"],
)
def test_samples_are_enough_where_there_are_no_classes(loader: DataLoader[Any]) -> None:
    expected = trained(of(IMAGES, torch.zeros(32, dtype=torch.long)))
    assert distance(weights(trained(loader)), weights(expected)) == 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_class_indices_may_be_any_whole_numbers(dtype: torch.dtype) -> None:
    expected = trained(of(IMAGES, LABELS), 3)
    assert distance(weights(trained(of(IMAGES, LABELS.to(dtype)), 3)), weights(expected)) == 0


LOADERS: dict[str, tuple[Any, int, str]] = {
    "0..255": (of((IMAGES + 1) * 127.5), 0, r"values from 0\S* to 25\S+ .*/ 127\.5 - 1"),
    "0..1": (of((IMAGES + 1) / 2), 0, r"values from .* bright half alone: give 2 \* images - 1"),
    "standardised": (of(IMAGES * 2), 0, r"values from -\S+ to \S+ and .* clamp"),
    "uint8": (of(((IMAGES + 1) * 127).byte()), 0, r"is uint8 and .* float32: give images\.float"),
    "float64": (of(IMAGES.double()), 0, r"is float64 and the networks take float32: conv"),
    "half": (of(IMAGES.half()), 0, "is float16 and the networks take float32"),
    "channels": (of(IMAGES[:, :1]), 0, r"\(16, 1, 16, 16\) and .* \(N, 3, 16, 16\): set channels"),
    "size": (of(IMAGES[..., :8]), 0, r"shape \(16, 3, 16, 8\) and the networks take"),
    "order": (of(IMAGES.permute(0, 2, 3, 1)), 0, r"call \.permute\(0, 3, 1, 2\)"),
    "no channels": (of(IMAGES[:, 0]), 0, "the channels are missing"),
    "flat": (of(IMAGES.flatten(1)), 0, r"the shape \(16, 768\)"),
    "NaN": (of(IMAGES.index_fill(0, torch.tensor([5]), torch.nan)), 0, "remove its sample 5"),
    "a tensor": (IMAGES, 0, "it is one sample alone: give batches, as a DataLoader does"),
    "a data set": (TensorDataset(IMAGES, LABELS), 0, "one sample alone"),
    "dictionaries": (DataLoader(Named(), 16), 0, "a dictionary of image, label: give"),
    "words": (DataLoader(["a", "b"], 2), 0, "begins with str instead of a tensor"),  # type: ignore[arg-type]
    "no labels": (of(IMAGES), 3, "has no labels and the networks know 3 classes"),
    "other labels": (DataLoader(Annotated(), 16), 3, "has labels in a dict"),
    "labels beyond": (of(IMAGES, LABELS), 2, "labels from 0 to 2 and the networks know 2 classes"),
    "labels below": (of(IMAGES, LABELS - 1), 3, "labels from -1 to 1"),
    "one-hot": (of(IMAGES, one_hot(LABELS)), 3, r"shape \(16, 3\) .* labels\.argmax\(1\)"),
    "a column": (of(IMAGES, LABELS[:, None]), 3, r"shape \(16, 1\)"),
    "fractions": (of(IMAGES, LABELS.float()), 3, "labels of float32"),
}


@pytest.mark.parametrize("name", LOADERS)
def test_what_does_not_fit_is_said_in_one_sentence_before_the_first_update(name: str) -> None:
    loader, num_classes, sentence = LOADERS[name]
    model = gan(num_classes)
    with pytest.raises(DataError, match=sentence) as refusal:
        quiet_trainer().fit(model, loader)
    assert str(refusal.value).startswith("The first batch of training ")
    assert str(refusal.value).count(". ") == 0
    assert model.progress.batches == 0


def test_held_out_batches_are_looked_at_too_and_may_lack_labels() -> None:
    quiet_trainer(limit_val_batches=1, max_epochs=1).fit(gan(), of(IMAGES), of(IMAGES))
    with pytest.raises(DataError, match="The first batch of held-out data is uint8"):
        quiet_trainer(limit_val_batches=1).validate(gan(), of(IMAGES.byte()), verbose=False)


def test_the_first_batch_alone_is_looked_at_in_each_training() -> None:
    later = torch.cat([IMAGES[:16], IMAGES[16:] * 2])
    model = trained(of(later))
    model.max_images = 64
    with pytest.raises(DataError, match="values from"):
        quiet_trainer().fit(model, of(IMAGES * 2))


class Bright(Pictures):
    """Pictures without a dark pixel."""

    def read_splits(self) -> dict[str, Split]:
        splits = super().read_splits()
        return {name: Split(x.images // 4 + 190, x.labels) for name, x in splits.items()}


def test_grey_levels_of_a_data_module_may_all_be_bright() -> None:
    model = picture_gan(max_images=8)
    quiet_trainer().fit(model, Bright(8))
    assert model.progress.images == 8


def test_points_have_no_range() -> None:
    model = points_gan(max_images=16)
    quiet_trainer().fit(model, DataLoader(torch.rand(32, 2) * 9, 8))  # type: ignore[arg-type]
    assert model.progress.images == 16


def test_samples_that_are_not_finite_end_a_run_that_ends_before_the_next_look() -> None:
    spoilt = IMAGES.index_fill(0, torch.tensor([20]), torch.nan)
    with pytest.raises(DivergenceError, match="among the last 2 batches, before image 32"):
        trained(of(spoilt), callbacks=[StopOnDivergence()], log_every_n_steps=50)
    with pytest.raises(DivergenceError, match="among the last 2 batches, before image 32"):
        trained(of(spoilt), callbacks=[StopOnDivergence()], max_epochs=1)


def trained_on(batches: list[Any], num_classes: int = 0, **arguments: Any) -> None:
    loader = DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
    quiet_trainer(max_epochs=1).fit(points_gan(num_classes=num_classes, **arguments), loader)


def test_a_label_that_there_is_not_is_said_in_a_later_batch_too() -> None:
    points, labels = torch.randn(8, 2), torch.arange(8) % 3
    with pytest.raises(DataError, match="labels from 1 to 3 and the networks know 3 classes"):
        trained_on([(points, labels), (points, labels + 1)], 3)


def test_batches_with_too_few_samples_are_refused() -> None:
    points = torch.randn(8, 2)
    trained_on([points, points[:1]])
    with pytest.raises(DataError, match="has 0 samples where 1 are needed"):
        trained_on([points, points[:0]])
    with pytest.raises(DataError, match="has 1 samples where 2 are needed: leave it out, by"):
        trained_on([points, points[:1]], discriminator=NormedDiscriminator("batch"))
