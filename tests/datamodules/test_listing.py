"""What a folder is taken for: its classes at any depth, labels in a file, and what is ambiguous."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lightning_gan.datamodules import ImageFolder
from lightning_gan.datamodules.listing import Found, find_pictures
from lightning_gan.errors import DataError

Lay = Callable[..., Path]


@pytest.fixture(params=["folder", "zip"])
def lay(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lay:
    """Puts pictures of their number's grey level below a root, in a folder or a zip file."""
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))

    def put(*names: str, labels: Any = None) -> Path:
        root = tmp_path / "root"
        for number, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), number).save(path, "PNG")
        if labels is not None:
            text = labels if isinstance(labels, str) else json.dumps({"labels": labels})
            (root / "dataset.json").write_text(text)
        if request.param == "folder":
            return root
        with zipfile.ZipFile(tmp_path / "root.zip", "w") as file:
            for path in sorted(root.rglob("*")):
                file.write(path, path.relative_to(root).as_posix())
        return tmp_path / "root.zip"

    return put


def classes(found: Found) -> dict[str, str]:
    names = found.class_names or ("none",)
    pairs = zip(found.pictures, found.labels, strict=True)
    return {picture.path: names[label] for picture, label in pairs}


def test_a_class_is_a_folder_with_all_that_lies_below_it(lay: Lay) -> None:
    root = lay("cats/1.png", "dogs/part1/2.png", "dogs/part2/deep/3.png", "cats/more/4.png")
    assert classes(find_pictures(root)) == {
        "cats/1.png": "cats",
        "cats/more/4.png": "cats",
        "dogs/part1/2.png": "dogs",
        "dogs/part2/deep/3.png": "dogs",
    }


def test_a_folder_of_nothing_but_a_folder_is_looked_through(lay: Lay) -> None:
    found = find_pictures(lay("data/all/cats/1.png", "data/all/dogs/2.png"))
    assert [*classes(found).values()] == ["cats", "dogs"]


def test_labels_lie_in_the_root_or_in_the_one_folder_of_all_pictures(lay: Lay) -> None:
    labels = json.dumps({"labels": [["./a/1.png", 1], ["b\\2.png", 0]]})
    root = lay("set/one/a/1.png", "set/one/b/2.png")
    for depth in ("set", "set/one"):
        below = "" if depth == "set/one" else "one/"
        text = labels.replace("./a", f"./{below}a").replace("b\\", f"{below}b\\")
        if root.suffix:
            with zipfile.ZipFile(root, "a") as file:
                file.writestr(f"{depth}/dataset.json", text)
        else:
            (root / depth / "dataset.json").write_text(text)
        found = find_pictures(root)
        assert (found.labels, found.class_names) == ([1, 0], ("0", "1"))
    with pytest.raises(DataError, match=r"gives '1.png' several labels: mend or remove it"):
        find_pictures(lay("1.png", labels=[["1.png", 0], ["1.png", 1]]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a/x.png", "../a/x.png", "a\\x.png"])
def test_files_of_one_name_in_a_zip_file_are_refused(second: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as file:
        for name in ("a/", "a/x.png", second):
            file.writestr(name, b"")
    with pytest.raises(DataError, match=r"several files called '.*x.png', of which programs see"):
        find_pictures(tmp_path / "twice.zip")


def test_one_folder_of_pictures_is_a_class_and_deeper_ones_are_too(lay: Lay) -> None:
    assert find_pictures(lay("cats/1.png", "cats/2.png")).class_names == ("cats",)


def test_classes_whose_pictures_all_lie_in_a_folder_of_one_name_are_plain(lay: Lay) -> None:
    found = find_pictures(lay("n01/images/1.png", "n02/images/2.png"))
    assert found.class_names == ("n01", "n02")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("pets/cats/1.png", "pets/dogs/2.png", "wild/cats/3.png"), "is pets one, or are pets/"),
        (("train/cats/1.png", "train/dogs/2.png", "val/cats/3.png"), "train and val, .* splits"),
        (("d/Test/1.png", "d/Train/2.png"), "Test and Train, which are splits and no classes"),
        (("1.png", "cats/2.png"), r"both directly in it \('1.png'\) and .* \('cats/2.png'\)"),
        (("data/1.png", "data/cats/2.png", "data/dogs/3.png"), "both directly in it"),
    ],
)
def test_classes_that_are_not_plain_are_refused(
    lay: Lay, names: tuple[str, ...], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        find_pictures(lay(*names))


def test_every_known_ending_is_read_and_what_is_not_is_counted(lay: Lay) -> None:
    root = lay("a/1.JFIF", "a/2.jpe", "b/3.xyz", "b/4.xyz", "c/5.png", "c/readme", "b/.6.png")
    found = find_pictures(root)
    assert str(found) == (
        f"3 pictures in 2 classes (a 2, c 1) in '{root}'; no picture in b; 4 passed over: 1 hidden "
        "(b/.6.png), 3 with an unknown ending (b/*.xyz, c/readme)"
    )


def test_labels_in_a_file_go_before_folders(lay: Lay) -> None:
    given = {"00/1.png": 2, "00/2.png": 0, "01/3.png": 2, "4.png": 1}
    root = lay(*given, labels=[*given.items()])
    found = find_pictures(root)
    assert found.class_names == ("0", "1", "2")
    assert classes(found) == {path: str(label) for path, label in given.items()}
    data = ImageFolder(str(root), image_size=8, batch_size=2, val_fraction=0, test_fraction=0)
    images, labels = data.split("train")
    assert torch.equal(labels, torch.tensor([2, 0, 2, 1])[images[:, 0, 0, 0].long()])


def test_a_file_without_labels_makes_pictures_without_classes(lay: Lay) -> None:
    root = lay("00/1.png", "00/2.png", "01/3.png", labels='{"labels": null}')
    assert find_pictures(root).class_names == ()


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([["1.png", 0]], "gives '2.png' the label None"),
        ([["1.png", 0], ["2.png", -1]], "'2.png' the label -1"),
        ([["1.png", 0], ["2.png", 1.5]], "'2.png' the label 1.5"),
        ([["1.png", 0], ["2.png", True]], "'2.png' the label True"),
        ([["1.png", 0], ["2.png", 10**12]], "from 0 to 99,999"),
        ("{", "cannot be read as"),
        ("[]", "cannot be read as"),
        ('{"labels": 3}', "cannot be read as"),
        ('{"labels": [[[], 3]]}', "the label None"),
        ("[" * 100_000, "cannot be read as"),
    ],
)
def test_labels_that_do_not_fit_are_refused(lay: Lay, labels: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        find_pictures(lay("1.png", "2.png", labels=labels))


def test_a_zip_file_and_its_folder_are_the_same_data(tmp_path: Path, lay: Lay) -> None:
    root = lay(*(f"{'ab'[n % 2]}/{n}.png" for n in range(10)))
    data = ImageFolder(str(root), image_size=8)
    plain = ImageFolder(str(tmp_path / "root"), image_size=8)
    for name in ("train", "val", "test"):
        assert torch.equal(data.split(name).images, plain.split(name).images)
        assert torch.equal(data.split(name).labels, plain.split(name).labels)
    assert data.content == plain.content


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\5\6" + bytes(18)])
def test_a_zip_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"zip file .* cannot be read|There is no picture"):
        find_pictures(tmp_path / "a.zip")


def test_members_that_cannot_be_unpacked_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("lightning_gan.datamodules.sources.LARGEST_MEMBER", 5000)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number in range(4):
            Image.new("L", (8, 8), number).save(tmp_path / "one.png")
            file.write(tmp_path / "one.png", f"{number}.png")
        file.writestr("large.png", bytes(5001))
        file.writestr("../../outside.png", b"no picture")
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 1  # of the first member
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        ImageFolder(str(path), image_size=8).setup()
    said = str(caught.value)
    assert "a.zip/0.png' cannot be read (Bad CRC-32" in said
    assert "a.zip/large.png' cannot be read (it would be unpacked to 5,001 bytes)" in said
    assert "a.zip/outside.png' cannot be read (it is no picture" in said
    assert "3 pictures" in said
