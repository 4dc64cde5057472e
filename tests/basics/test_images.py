"""Grey levels and numbers in [-1, 1], and pictures made of samples."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lightning_gan.basics.images import from_uint8, grid, save_png, to_uint8

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


def test_a_picture_file_holds_the_same_pixels(tmp_path: Path) -> None:
    picture = torch.randint(256, (3, 5, 7), dtype=torch.uint8)
    save_png(picture, tmp_path / "new" / "folder" / "picture.png")
    with Image.open(tmp_path / "new" / "folder" / "picture.png") as file:
        assert torch.equal(torch.from_numpy(np.array(file)).permute(2, 0, 1), picture)


def test_a_picture_file_says_what_it_shows(tmp_path: Path) -> None:
    save_png(torch.zeros(3, 4, 4, dtype=torch.uint8), tmp_path / "a.png", "a class in each row: ä")
    with Image.open(tmp_path / "a.png") as file:
        assert file.info["Description"] == "a class in each row: ä"


def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = torch.zeros(3, 4, 4, dtype=torch.uint8)
    save_png(picture, tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def torn(self: object, path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", torn)
    with pytest.raises(OSError, match="No space"):
        save_png(picture + 1, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
