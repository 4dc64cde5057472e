"""Pictures are carried whole and few; what is torn or too large is left out."""

import base64
import io
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image

from lightning_gan.basics.images import save_png
from lightning_gan.runs.pictures import (
    MAX_SLIDES,
    Allowance,
    Picture,
    read_grids,
    read_others,
    read_reals,
)

MUCH = 10**9


def draw(folder: Path, *names: str) -> int:
    """Pictures of one size in ``samples``; returns the bytes of each."""
    for name in names:
        save_png(torch.zeros(3, 4, 6, dtype=torch.uint8), folder / "samples" / f"{name}.png")
    return (folder / "samples" / f"{names[0]}.png").stat().st_size


def captions(found: list[Picture]) -> list[str]:
    return [picture.caption for picture in found]


def test_a_picture_is_the_file_itself(tmp_path: Path) -> None:
    draw(tmp_path, "0000000000")
    (picture,) = read_grids(tmp_path, Allowance(MUCH)).pictures
    head, _, text = picture.uri.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(text) == (tmp_path / "samples" / "0000000000.png").read_bytes()
    with Image.open(io.BytesIO(base64.b64decode(text))) as file:
        assert file.size == (picture.width, picture.height) == (6, 4)


def test_grids_are_in_the_order_of_images(tmp_path: Path) -> None:
    draw(tmp_path, "0000000000", "0000102400", "0000051200", "20000000000", "closest_pairs_00")
    grids = read_grids(tmp_path, Allowance(MUCH))
    shown = ["0 images", "51,200 images", "102,400 images", "20,000,000,000 images"]
    assert captions(grids.pictures) == shown
    assert grids.total == 4


def test_of_many_grids_some_are_shown_with_the_first_and_the_last(tmp_path: Path) -> None:
    draw(tmp_path, *(f"{number:010d}" for number in range(101)))
    grids = read_grids(tmp_path, Allowance(MUCH))
    assert (len(grids.pictures), grids.total) == (MAX_SLIDES, 101)
    images = [int(caption.split()[0]) for caption in captions(grids.pictures)]
    assert (images[0], images[-1]) == (0, 100)
    assert max(b - a for a, b in pairwise(images)) == 3


def test_grids_take_no_more_bytes_than_they_may(tmp_path: Path) -> None:
    size = draw(tmp_path, *(f"{number:010d}" for number in range(10)))
    allowance = Allowance(3 * size + 1)
    assert captions(read_grids(tmp_path, allowance).pictures) == [
        "0 images",
        "4 images",
        "9 images",
    ]
    assert allowance.left == 1
    assert captions(read_grids(tmp_path, Allowance(size)).pictures) == ["9 images"]
    assert read_grids(tmp_path, Allowance(size - 1)).pictures == []


def test_links_that_lead_nowhere_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for number in (1, 2):
        (tmp_path / "samples" / f"{number:010d}.png").symlink_to(tmp_path / "gone.png")
    assert read_grids(tmp_path, Allowance(1000)).pictures == []


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"<svg onload='alert(1)'/>"])
def test_what_is_no_whole_picture_is_left_out(content: bytes, tmp_path: Path) -> None:
    draw(tmp_path, "0000000000")
    (tmp_path / "samples" / "0000000001.png").write_bytes(content)
    (tmp_path / "samples" / "0000000002.png").mkdir()
    path = tmp_path / "samples" / "0000000003.png"
    path.write_bytes((tmp_path / "samples" / "0000000000.png").read_bytes()[:-20])
    grids = read_grids(tmp_path, Allowance(MUCH))
    assert captions(grids.pictures) == ["0 images"]
    assert grids.total == 4


def test_other_pictures_are_the_latest_of_each_kind_and_those_of_a_test(tmp_path: Path) -> None:
    draw(tmp_path, "0000000064", "closest_pairs_0000000128", "closest_pairs_0000000064")
    draw(tmp_path, "closest_pairs_test", "nearest_training_0000000064", "classes")
    first, last = (f"nearest_training_test-0000000128{number}" for number in ("-9", "-10"))
    draw(tmp_path, "nearest_training_test-0000000064-11", "nearest_training_test-0000000128")
    draw(tmp_path, first)
    Image.new("RGB", (9, 4)).save(tmp_path / "samples" / f"{last}.png")
    found = read_others(tmp_path, Allowance(MUCH))
    assert found["nearest_training_test"].width == 9
    assert {name: picture.caption for name, picture in found.items()} == {
        "classes": "",
        "closest_pairs": "after 128 images",
        "closest_pairs_test": "",
        "nearest_training": "after 64 images",
        "nearest_training_test": "after 128 images",
    }


def test_a_run_without_pictures_has_none(tmp_path: Path) -> None:
    assert read_grids(tmp_path, Allowance(MUCH)).total == 0
    assert read_others(tmp_path, Allowance(MUCH)) == {}
    assert read_reals(tmp_path, Allowance(MUCH)) is None
    save_png(torch.zeros(3, 4, 6, dtype=torch.uint8), tmp_path / "reals.png")
    assert read_reals(tmp_path, Allowance(MUCH)) is not None


def test_a_picture_is_shown_with_what_its_file_says_of_it(tmp_path: Path) -> None:
    picture = torch.zeros(3, 4, 6, dtype=torch.uint8)
    for name, said in (("a", "rows: ä, b"), ("b", ""), ("c", "x" * 9000)):
        save_png(picture, tmp_path / f"{name}.png", said)
    found = [Allowance(MUCH).read(tmp_path / f"{name}.png", "") for name in "abc"]
    assert [each and each.about for each in found] == ["rows: ä, b", "", "x" * 500]
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "d.png").write_bytes(content[:16] + b"\xff" * 20 + content[36:])
    damaged = Allowance(MUCH).read(tmp_path / "d.png", "")
    assert damaged is None or damaged.about == ""
