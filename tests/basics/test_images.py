"""Grey levels and numbers in [-1, 1], and pictures made of samples."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lightning_gan.basics.images import from_uint8, grid, save_png, scatter, to_uint8

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_grey_levels_map_to_the_ends_and_the_middle_of_the_unit_range() -> None:
    levels = torch.tensor([0, 51, 204, 255], dtype=torch.uint8)
    assert from_uint8(levels).tolist() == pytest.approx([-1, -0.6, 0.6, 1])
    assert from_uint8(levels).dtype == torch.float32
    assert from_uint8(levels)[[0, 3]].tolist() == [-1, 1]  # exactly


def test_every_grey_level_has_the_bits_of_the_plain_formula_and_comes_back() -> None:
    assert torch.equal(from_uint8(LEVELS), LEVELS.float() / 127.5 - 1)
    assert torch.equal(to_uint8(from_uint8(LEVELS)), LEVELS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_every_grey_level_has_the_same_bits_on_a_gpu() -> None:
    assert torch.equal(from_uint8(LEVELS.cuda()).cpu(), from_uint8(LEVELS))


def test_values_outside_the_range_are_clamped() -> None:
    assert to_uint8(torch.tensor([-3.0, -1.0, 0.0, 1.0, 7.0])).tolist() == [0, 0, 128, 255, 255]


def laid_out(images: Tensor, columns: int) -> Tensor:
    """The same grid, cell by cell."""
    factor = max(64 // images.shape[-1], 1)
    pictures = to_uint8(images).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    count, _, height, width = pictures.shape
    rows = -(-count // columns)
    canvas = torch.full((3, rows * (height + 2) + 2, columns * (width + 2) + 2), 255).byte()
    for index, picture in enumerate(pictures):
        top, left = 2 + index // columns * (height + 2), 2 + index % columns * (width + 2)
        canvas[:, top : top + height, left : left + width] = picture
    return canvas


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 28, 32, 64, 96])
@pytest.mark.parametrize(("count", "columns"), [(100, 10), (7, 3), (2, 2), (3, 1)])
def test_a_grid_is_white_around_enlarged_images(
    channels: int, size: int, count: int, columns: int
) -> None:
    images = torch.rand(count, channels, size, size) * 2 - 1
    assert torch.equal(grid(images, columns), laid_out(images, columns))


def test_a_grid_is_no_wider_than_its_images() -> None:
    assert grid(torch.zeros(3, 1, 64, 64), columns=5).shape == (3, 68, 200)


def test_points_are_drawn_in_blue_over_the_real_ones_in_grey() -> None:
    real = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    picture = scatter(torch.tensor([[1.0, 1.0], [50.0, 0.0], [float("nan"), 0.0]]), real, size=101)
    colours, counts = picture.flatten(1).unique(dim=1, return_counts=True)
    drawn = dict(zip(map(tuple, colours.T.tolist()), counts.tolist(), strict=True))
    assert drawn[(31, 90, 200)] == drawn[(205, 205, 205)] == 4  # a point is 2 x 2 pixels
    assert len(drawn) == 3  # and the rest is white


def test_a_picture_file_holds_the_same_pixels(tmp_path: Path) -> None:
    picture = torch.randint(256, (3, 5, 7), dtype=torch.uint8)
    save_png(picture, tmp_path / "new" / "folder" / "picture.png")
    with Image.open(tmp_path / "new" / "folder" / "picture.png") as file:
        assert torch.equal(torch.from_numpy(np.array(file)).permute(2, 0, 1), picture)
