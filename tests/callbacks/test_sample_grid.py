"""Samples, real images and interpolations are drawn from fixed latents, and say what they show."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import Pictures, picture_gan, points_gan, quiet_trainer
from torch import Tensor

from lightning_gan.basics.images import from_uint8, grid
from lightning_gan.callbacks import SampleGrid
from lightning_gan.datamodules import Split
from lightning_gan.networks import MLPDiscriminator, MLPGenerator


class Shades(Pictures):
    """Pictures of one grey each: class 0 is dark, class 1 light."""

    def read_splits(self) -> dict[str, Split]:
        labels = torch.tensor([0, 0, 0, 1] * 16)
        greys = (labels * 200 + torch.arange(64) % 10).to(torch.uint8)
        train = Split(greys[:, None, None, None].expand(64, 1, 8, 8).clone(), labels)
        return super().read_splits() | {"train": train}


def conditional_gan(num_classes: int = 2) -> Any:
    return points_gan(
        generator=MLPGenerator(1, 8, num_classes=num_classes, width=4),
        discriminator=MLPDiscriminator(1, 8, num_classes=num_classes, width=4),
    )


def fit(gan: Any, folder: Path, grids: SampleGrid) -> None:
    trainer = quiet_trainer(
        folder, callbacks=[grids], max_epochs=1, limit_train_batches=2, limit_val_batches=1
    )
    trainer.fit(gan, Shades(8))


def described(path: Path) -> str:
    with Image.open(path) as file:
        return str(file.info.get("Description", ""))


def greys(images: Tensor) -> list[int]:
    return [round(float((image.mean() + 1) * 127.5)) for image in images]


def test_reals_are_laid_out_as_the_samples_are(tmp_path: Path) -> None:
    fit(picture_gan(), tmp_path, SampleGrid(2, 3))
    with Image.open(tmp_path / "reals.png") as reals:
        samples = grid(torch.zeros(6, 1, 8, 8), columns=3)
        assert (reals.height, reals.width) == samples.shape[1:]
    assert described(tmp_path / "reals.png") == ""
    before = (tmp_path / "reals.png").read_bytes()
    (tmp_path / "reals.png").write_bytes(b"mine")
    fit(picture_gan(), tmp_path, SampleGrid(2, 3))
    assert (tmp_path / "reals.png").read_bytes() == b"mine" != before


def test_the_last_samples_lie_beside_reals(tmp_path: Path) -> None:
    fit(picture_gan(), tmp_path, SampleGrid(2, 3))
    names = ("samples/0000000016.png", "reals.png", "beside_reals.png")
    samples, reals, both = (np.asarray(Image.open(tmp_path / name)) for name in names)
    width = samples.shape[1]
    assert np.array_equal(both[:, :width], samples)
    assert np.array_equal(both[:, -width:], reals)
    assert (both[:, width:-width] == 255).all()
    assert described(tmp_path / names[2]) == "left: after 16 images; right: training images"


def test_reals_are_mixed_and_follow_from_the_seed_alone() -> None:
    train = Shades(8).split("train")
    one, again, other = (
        SampleGrid(4, 4, seed=seed).reals(picture_gan(), train) for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert {grey >= 200 for grey in greys(one)} == {True, False}


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("make", [picture_gan, conditional_gan])
def test_no_real_is_shown_twice_and_cells_without_one_are_white(make: Any, copies: int) -> None:
    images, labels = Shades(8).split("train")
    count, size = len(images), len(images) // 2 + 1
    train = Split(images.repeat(copies, 1, 1, 1), labels.repeat(copies))
    shown = SampleGrid(4, size).reals(make(), train)
    assert len(shown) == 4 * size > count
    white = (shown == 1).flatten(1).all(1)
    assert len(shown[~white].unique(dim=0)) == (~white).sum() == len(images.unique(dim=0))
    few = SampleGrid(2, 2).reals(make(), train)
    assert len(few.unique(dim=0)) == 4


def test_a_conditional_generator_has_reals_of_one_class_in_each_row() -> None:
    train = Shades(8).split("train")
    rows = SampleGrid(4, 5).reals(conditional_gan(), train).unflatten(0, (4, 5))
    assert [{grey >= 200 for grey in greys(row)} for row in rows] == [
        {False},
        {True},
        {False},
        {True},
    ]
    none = SampleGrid(3, 5).reals(conditional_gan(3), train).unflatten(0, (3, 5))[2]
    assert greys(none) == [255] * 5


def test_pictures_say_which_class_each_row_is(tmp_path: Path) -> None:
    fit(conditional_gan(), tmp_path, SampleGrid(2, 3))
    names = ("reals.png", "samples/0000000000.png", "samples/interpolation_0000000016.png")
    for name in names:
        assert described(tmp_path / name) == "a class in each row: dark, light"


def test_ways_between_latents_are_drawn_beside_each_grid(tmp_path: Path) -> None:
    gan = picture_gan()
    grids = SampleGrid(2, 3)
    fit(gan, tmp_path, grids)
    found = sorted(path.name for path in (tmp_path / "samples").glob("interpolation_*.png"))
    assert found == [f"interpolation_{images:010d}.png" for images in (0, 16)]
    picture = grids.interpolation(gan)
    assert picture.shape == grid(torch.zeros(12, 1, 8, 8), columns=3).shape
    assert torch.equal(picture, grids.interpolation(gan))


@pytest.mark.parametrize("draw", ["interpolation", "draw"])
def test_drawing_takes_no_random_number_of_others(draw: str, tmp_path: Path) -> None:
    gan, grids, trainer = picture_gan(), SampleGrid(2, 3), quiet_trainer(tmp_path)
    before = torch.random.get_rng_state()
    _ = grids.interpolation(gan) if draw == "interpolation" else grids.draw(trainer, gan)
    assert torch.equal(torch.random.get_rng_state(), before)


class Floats(Shades):
    """The same in floating point."""

    def read_splits(self) -> dict[str, Split]:
        splits = super().read_splits()
        return {name: Split(from_uint8(x), labels) for name, (x, labels) in splits.items()}


@pytest.mark.parametrize("make", [picture_gan, conditional_gan])
def test_reals_in_floating_point_are_drawn_as_those_in_grey_levels(make: Any) -> None:
    drawn = [SampleGrid(2, 3).reals(make(), data.split("train")) for data in (Shades(), Floats())]
    assert torch.equal(*drawn)
