"""Every odd file reads right or is named: in a folder, in a zip file, and as samples."""

import os
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import odd_pictures
import pytest
from odd_pictures import SHOWN, SIDE, Odd

from lightning_gan.__main__ import main
from lightning_gan.datamodules import ImageFolder
from lightning_gan.datamodules.listing import find_pictures
from lightning_gan.datamodules.pictures import UnreadableError, decode, quietly
from lightning_gan.errors import DataError

KINDS = odd_pictures.kinds()
READ = [odd for odd in KINDS if odd.shows]
DAMAGED = [odd for odd in KINDS if odd.is_opened and not odd.shows]
PASSED_OVER = [odd for odd in KINDS if not odd.is_opened]
INSIDE = [2, SIDE - 3]
"""Rows and columns in the middle of the squares."""
RANGES = {"twelve_of_16_bits.png": 4095, "ten_of_16_bits.tif": 1023, "int32.tif": 255}


def name_of(odd: Odd) -> str:
    return ascii(odd.name)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with all of them."""
    path = tmp_path / "odd"
    path.mkdir()
    for odd in KINDS:
        odd.write(path / odd.name)
    return path


def test_there_are_many_kinds_and_each_has_its_own_name() -> None:
    assert len({odd.name for odd in KINDS}) == len(KINDS) > 100


@pytest.mark.parametrize("odd", READ, ids=name_of)
def test_an_odd_picture_shows_what_it_should(odd: Odd, tmp_path: Path) -> None:
    path = tmp_path / odd.name
    odd.write(path)
    with quietly():
        colour, grey, layers = (decode(lambda: path, (SIDE, SIDE), n) for n in (3, 1, 4))
    difference = abs(colour.transpose(1, 2, 0).astype(int) - SHOWN[odd.shows])
    assert difference[np.ix_(INSIDE, INSIDE)].max() <= odd.tolerance
    assert grey.shape == (1, SIDE, SIDE)
    assert layers.shape == (4, SIDE, SIDE)
    opaque = layers[3] == 255
    assert (abs(layers[:3].astype(int) - colour)[:, opaque] <= 1).all()
    assert opaque.all() or (colour[:, layers[3] == 0] == 255).all()


@pytest.mark.parametrize("odd", DAMAGED, ids=name_of)
def test_what_cannot_be_shown_is_refused_with_the_reason(odd: Odd, tmp_path: Path) -> None:
    path = tmp_path / odd.name
    odd.write(path)
    with quietly(), pytest.raises(UnreadableError) as caught:
        decode(lambda: path, (SIDE, SIDE), 3)
    assert odd.said in str(caught.value)
    assert str(path) not in str(caught.value)


@pytest.mark.parametrize("name", RANGES)
def test_a_range_that_is_stated_makes_a_picture_readable(name: str, tmp_path: Path) -> None:
    (odd,) = (each for each in KINDS if each.name == name)
    odd.write(tmp_path / name)
    grey = decode(lambda: tmp_path / name, (SIDE, SIDE), 1, levels=(0, RANGES[name]))[0]
    assert abs(grey.astype(int) - odd_pictures.GREY)[np.ix_(INSIDE, INSIDE)].max() <= 1


def check(root: Path) -> None:
    """All that is odd below a root is read or named, and nothing is lost."""
    found = find_pictures(root)
    said = str(found)
    assert [odd for odd in PASSED_OVER if odd.said not in said] == []
    clutter = [odd for odd in PASSED_OVER if not odd.said]
    assert len(found.pictures) + found.passed_over.count == len(KINDS) - len(clutter)
    with pytest.raises(DataError) as caught:
        ImageFolder(str(root), image_size=SIDE).setup()
    assert str(caught.value).startswith(f"{len(DAMAGED)} pictures:")
    assert all(odd.name in str(caught.value) for odd in DAMAGED)
    data = ImageFolder(str(root), image_size=SIDE, skip_damaged=True, batch_size=4)
    counts = [len(data.split(name).labels) for name in ("train", "val", "test")]
    assert sum(counts) == len(READ)
    assert data.passed_over == len(DAMAGED) + len(PASSED_OVER) - len(clutter)


def test_a_folder_of_odd_files_is_read_or_named(folder: Path) -> None:
    check(folder)


def test_a_zip_file_of_odd_files_is_read_or_named(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as file:
        for path in folder.iterdir():
            # a zip file holds text, so that bytes that are none get another name
            file.writestr(os.fsencode(path.name).decode("latin-1"), path.read_bytes())
    check(tmp_path / "odd.zip")


@pytest.fixture
def strange(tmp_path: Path) -> Iterator[Path]:
    """A folder with what is no file at all beside two pictures in each of two classes."""
    root = tmp_path / "strange"
    (elsewhere := tmp_path / "elsewhere").mkdir()
    READ[1].write(elsewhere / "far.png")
    for name in ("a", "b.png"):
        for number in range(2):
            (root / name).mkdir(parents=True, exist_ok=True)
            READ[1].write(root / name / f"{number}.png")
    os.mkfifo(root / "a" / "pipe.png")
    (root / "a" / "broken.png").symlink_to("nowhere.png")
    (root / "a" / "self.png").symlink_to("self.png")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "far.png").symlink_to(elsewhere / "far.png")
    (root / "a" / "near.png").symlink_to("0.png")
    (root / "c").symlink_to(elsewhere)
    (root / "empty").mkdir()
    (root / "__MACOSX").mkdir()
    (root / ".git").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "a" / "socket.png"))
        yield root


def test_what_is_no_file_is_named_and_stops_nothing(strange: Path) -> None:
    found = find_pictures(strange)
    paths = [picture.path for picture in found.pictures]
    assert paths == ["a/0.png", "a/1.png", "a/near.png", "b.png/0.png", "b.png/1.png"]
    said = str(found)
    assert "5 pictures in 2 classes (a 3, b.png 2)" in said
    for part in (
        "no picture in c, empty",
        "9 passed over",
        "2 behind links that lead elsewhere",
        "2 as broken links",
        "1 as links in a circle (a/up)",
        "2 that are no regular files",
        "2 hidden",
    ):
        assert part in said
    followed = find_pictures(strange, follow_links=True)
    assert [p.path for p in followed.pictures if "far" in p.path] == ["a/far.png", "c/far.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_what_may_not_be_read_is_named(strange: Path) -> None:
    (strange / "a" / "0.png").chmod(0)
    (strange / "b.png").chmod(0)
    assert "1 in what cannot be opened (b.png: Permission denied)" in str(find_pictures(strange))
    with pytest.raises(DataError, match=r"a/0.png' cannot be read \(Permission denied\)"):
        ImageFolder(str(strange), image_size=8).setup()
    (strange / "b.png").chmod(0o700)


def test_samples_that_are_odd_are_named_together(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in folder.iterdir():
        if path.name not in {odd.name for odd in DAMAGED}:
            path.unlink()
    assert main(["evaluate", "--samples", str(folder), "--data", "Digits"]) == 2
    said = capsys.readouterr().err
    headless = [odd for odd in DAMAGED if odd.said == "no picture of"]
    assert len(headless) == 8
    assert all(odd.name in said for odd in headless)
