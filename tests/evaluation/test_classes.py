"""A generator with classes is measured with as many of each as its data have."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import Points, points_gan, quiet_trainer
from torch import Tensor

from lightning_gan.callbacks import Evaluation
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.cli.commands.evaluate import evaluate
from lightning_gan.datamodules.base import Split
from lightning_gan.errors import DataError
from lightning_gan.evaluation.sampling import MeasuredSamples
from lightning_gan.evaluation.stamped_values import StampedValues
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPDiscriminator, MLPGenerator

COUNTS = (700, 200, 0, 100)
DIGEST = blake2b(b"(700, 200, 0, 100)", digest_size=4).hexdigest()
CENTRES = torch.tensor([[0.0, 0.0], [4.0, 0.0], [9.0, 9.0], [0.0, 4.0]])
LABELS = torch.arange(4).repeat_interleave(torch.tensor(COUNTS))


class Perfect(MLPGenerator):
    """Points as the data have them in each class."""

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return CENTRES[labels] + 0.1 * z[:, :2]


class Uneven(Points):
    """A class that is frequent, one that is rare, one that there is none of."""

    num_classes, class_names = 4, ("many", "few", "none", "rare")

    def read_splits(self) -> dict[str, Split]:
        random = torch.Generator().manual_seed(0)
        points = CENTRES[LABELS] + 0.1 * torch.randn(len(LABELS), 2, generator=random)
        return dict.fromkeys(("train", "val", "test"), Split(points, LABELS))


def perfect(num_classes: int = 4) -> GAN:
    judge = MLPDiscriminator(2, 0, width=4, num_classes=num_classes)
    generator = Perfect(2, 0, width=4, depth=1, num_classes=num_classes)
    return points_gan(generator=generator, discriminator=judge)


def classes_of(samples: Tensor) -> list[int]:
    """How many samples are nearest to each centre."""
    return torch.cdist(samples, CENTRES).argmin(1).bincount(minlength=4).tolist()


def test_classes_are_drawn_by_the_shares_of_the_data_in_any_number_of_processes() -> None:
    gan, drawn = perfect(), MeasuredSamples(10_000)
    as_in_data = drawn.with_classes_of(Uneven(8), gan)
    alone = dict(as_in_data.blocks(gan))
    many, few, none, rare = classes_of(torch.cat([*alone.values()]))
    # deviations of binomials: 46, 40 and 30
    assert abs(many - 7000) < 185
    assert abs(few - 2000) < 160
    assert none == 0
    assert abs(rare - 1000) < 120
    evenly = classes_of(torch.cat([samples for _, samples in drawn.blocks(gan)]))
    assert all(abs(count - 2500) < 180 for count in evenly)
    shared = {k: x for rank in range(3) for k, x in as_in_data.blocks(gan, rank, 3)}
    assert all(torch.equal(shared[number], alone[number]) for number in alone)
    chosen = torch.tensor([3, 260, 9_999])
    everything = torch.cat([alone[number] for number in sorted(alone)])
    assert torch.equal(as_in_data.rows(gan, chosen), everything[chosen])
    assert as_in_data.stamp() == drawn.stamp() | {"classes": f"as in training, {DIGEST}"}


class Told(Uneven):
    """The same points under labels of any kind, or none."""

    def __init__(self, labels: Any, names: tuple[str, ...] = Uneven.class_names) -> None:
        super().__init__(8)
        self.told, self.class_names, self.num_classes = labels, names, len(names)

    def split(self, name: str) -> Any:
        return SimpleNamespace(images=CENTRES[LABELS], labels=self.told)


NAMED = perfect()
NAMED.class_names = ("rare", "none", "few", "many")
OTHERS = perfect()
OTHERS.class_names = ("cat", "dog", "owl", "elk")


@pytest.mark.parametrize(
    ("data", "gan"),
    [
        pytest.param(Uneven(8), points_gan(), id="no classes"),
        pytest.param(Uneven(8), perfect(2), id="fewer classes"),
        pytest.param(Uneven(8), OTHERS, id="other classes"),
        pytest.param(Told(LABELS * 0, ()), perfect(), id="unlabelled data"),
        pytest.param(Told(None), perfect(), id="no labels"),
        pytest.param(Told(torch.arange(40) % 4), perfect(), id="even data"),
    ],
)
def test_nothing_changes_where_there_is_nothing_to_follow(data: Uneven, gan: GAN) -> None:
    assert MeasuredSamples(9).with_classes_of(data, gan) == MeasuredSamples(9)


def test_classes_are_the_same_by_their_names() -> None:
    counts = MeasuredSamples(9).with_classes_of(Uneven(8), NAMED).sampling.class_counts
    assert counts == COUNTS[::-1]


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32])
def test_labels_may_be_any_whole_numbers(kind: torch.dtype) -> None:
    for labels in (LABELS.to(kind), LABELS.to(kind).numpy(), LABELS.tolist()):
        found = MeasuredSamples(9).with_classes_of(Told(labels), perfect())
        assert found.sampling.class_counts == COUNTS


@pytest.mark.parametrize("labels", [LABELS.float(), LABELS > 0, LABELS[:, None], LABELS + 1])
def test_labels_that_are_no_class_indices_are_refused(labels: Tensor) -> None:
    with pytest.raises(DataError, match=r"of points must be whole numbers \(N,\) from 0 to 3"):
        MeasuredSamples(9).with_classes_of(Told(labels), perfect())


def test_a_perfect_generator_is_at_its_floor_in_validations_and_by_command(tmp_path: Path) -> None:
    gan, data = perfect(), Uneven(8)
    trainer = quiet_trainer(
        limit_val_batches=1.0, callbacks=[Evaluation(["frechet"], num_samples=2000)]
    )
    trainer.validate(gan, data, verbose=False)
    measured = measurements(trainer)
    assert measured.samples is not None
    assert measured.samples.frechet is not None
    # 25.2 where all classes are as many
    assert measured.samples.frechet.value < 0.05
    assert measured.stamped is not None
    assert measured.stamped.stamp["samples"]["classes"] == f"as in training, {DIGEST}"

    trainer.strategy.connect(gan)
    trainer.save_checkpoint(tmp_path / "perfect.ckpt")
    evaluate(
        data=data,
        ckpt_path=tmp_path / "perfect.ckpt",
        measures=["frechet"],
        num_samples=2000,
        device="cpu",
        output=tmp_path / "values.json",
    )
    stamped = StampedValues.read(tmp_path / "values.json")
    assert stamped.stamp["samples"] == measured.stamped.stamp["samples"]
    assert stamped.values["fid/identity"] == pytest.approx(measured.samples.frechet.value)
