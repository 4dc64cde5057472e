"""Arrays of any shape and type: what they become, what is refused, and that nothing is run."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lightning_gan.datamodules import ArrayFile
from lightning_gan.datamodules.base import SplitName
from lightning_gan.errors import ConfigurationError, DataError

NAMES: tuple[SplitName, ...] = ("train", "val", "test")
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=["npy", "npz", "pt", "old.pt"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Writes an array as a file of each kind."""

    def put(values: Any) -> Path:
        path = tmp_path / f"data.{request.param}"
        if request.param == "npy":
            np.save(path, values)
        elif request.param == "npz":
            np.savez(path, arr_0=values)
        else:
            new = request.param == "pt"
            tensor = torch.from_numpy(np.asarray(values))
            torch.save(tensor, path, _use_new_zipfile_serialization=new)
        return path

    return put


def numbered(*shape: int, count: int = 40, dtype: Any = np.int16) -> Any:
    """Samples of the value of their number."""
    first = np.arange(count).reshape(count, *[1] * len(shape))
    return np.broadcast_to(first, (count, *shape)).astype(dtype)


def all_of(data: ArrayFile) -> torch.Tensor:
    """All samples, as batches have them, in the order of their first value."""
    batches = [data.split(name).images for name in NAMES]
    samples = torch.cat([b / 127.5 - 1 if b.dtype == torch.uint8 else b for b in batches])
    return samples[samples.flatten(1)[:, 0].argsort()]


@pytest.mark.parametrize(
    ("shape", "channels", "image_size"),
    [((5, 8, 8), 5, 8), ((2, 8, 16), 2, (8, 16)), ((8, 8), 1, 8), ((7,), 7, 0), ((1,), 1, 0)],
)
def test_the_range_becomes_minus_one_to_one_in_every_shape(
    write: Write, shape: tuple[int, ...], channels: int, image_size: int | tuple[int, int]
) -> None:
    data = ArrayFile(str(write(numbered(*shape))), (-10.0, 50.0))
    assert (data.channels, data.image_size) == (channels, image_size)
    samples = all_of(data)
    sides = {2: (1, *shape)}.get(len(shape), shape)
    assert samples.shape == (40, *sides)
    expected = (torch.arange(40) + 10) / 30 - 1
    assert torch.allclose(samples.flatten(1), expected[:, None].expand(40, samples[0].numel()))
    assert data.content is not None
    assert data.content["count"] == 40


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int64", "float16", "float64", "uint32"])
def test_every_type_of_numbers_is_read(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", numbered(3, 8, 8, dtype=dtype))
    data = ArrayFile(str(tmp_path / "a.npy"), (0.0, 255.0), val_fraction=0)
    assert torch.allclose(all_of(data)[:, 0, 0, 0], torch.arange(40) / 127.5 - 1)


def test_bfloat16_and_bool_are_read(tmp_path: Path) -> None:
    torch.save(torch.arange(20).bfloat16()[:, None, None].expand(20, 4, 4), tmp_path / "a.pt")
    assert all_of(ArrayFile(str(tmp_path / "a.pt"), (0.0, 19.0)))[-1].unique().tolist() == [1]
    np.save(tmp_path / "b.npy", np.arange(20)[:, None] % 2 == 0)
    assert all_of(ArrayFile(str(tmp_path / "b.npy"))).unique().tolist() == [-1, 1]


def test_grey_levels_stay_bytes_and_channels_may_come_last(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    data = ArrayFile(str(tmp_path / "a.npy"), channels_last=True, val_fraction=0, test_fraction=0)
    assert (data.channels, data.image_size) == (3, (8, 4))
    images = data.split("train").images
    assert images.dtype == torch.uint8
    found = {image.numpy().transpose(1, 2, 0).tobytes() for image in images}
    assert found == {image.tobytes() for image in pixels}


@pytest.mark.parametrize("kind", ["npz", "dict.pt", "pair.pt"])
def test_labels_are_those_of_their_samples(tmp_path: Path, kind: str) -> None:
    values, labels, path = numbered(8, 8), np.arange(40) % 3, tmp_path / f"a.{kind}"
    pair = torch.from_numpy(values), torch.from_numpy(labels)
    if kind == "npz":
        np.savez(path, scans=values, kinds=labels)
    else:
        torch.save(pair if kind == "pair.pt" else {"scans": pair[0], "kinds": pair[1]}, path)
    keys = {} if kind == "pair.pt" else {"images_key": "scans", "labels_key": "kinds"}
    data = ArrayFile(str(path), (0.0, 39.0), **keys)  # type: ignore[arg-type]  # texts alone
    for name in NAMES:
        images, found = data.split(name)
        numbers = ((images[:, 0, 0, 0] + 1) * 19.5).round().long()
        assert torch.equal(found, numbers % 3)
    assert data.class_names == ("0", "1", "2")


def test_the_second_run_finds_them_prepared_and_a_changed_file_is_prepared_anew(
    tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "a.npy"
    np.save(path, numbered(8, 8))
    first = ArrayFile(str(path), (0.0, 40.0))
    first.setup()
    (kept,) = cache.glob("*.npy")
    before = kept.stat().st_mtime_ns
    again = ArrayFile(str(path), (0.0, 40.0))
    again.setup()
    assert again.content == first.content
    assert kept.stat().st_mtime_ns == before
    stat = path.stat()
    np.save(path, numbered(8, 8)[::-1])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other = ArrayFile(str(path), (0.0, 40.0))
    other.setup()
    assert other.content != first.content
    assert len(list(cache.glob("*.npy"))) == 1
    expected, kept = all_of(other), next(cache.glob("*.npy"))
    kept.write_bytes(kept.read_bytes()[:-100])
    assert torch.equal(all_of(ArrayFile(str(path), (0.0, 40.0))), expected)


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no range": (numbered(8, 8), {}, r"Nothing says .* int16 .* are \[0.0, 39.0\]"),
    "turned range": (numbered(8, 8), {"value_range": (1.0, 0.0)}, "the smallest value, then"),
    "beyond": (numbered(8, 8), {"value_range": (0.0, 9.0)}, r"Sample \d\d .* beyond the value_r"),
    "shape": (np.zeros((3, 2, 2, 2, 2)), {}, r"the shape \(3, 2, 2, 2, 2\): give an array"),
    "one number": (np.zeros(3), {}, r"the shape \(3,\)"),
    "none": (np.zeros((0, 8, 8)), {}, r"the shape \(0, 8, 8\)"),
    "complex": (np.zeros((3, 8), complex), {}, "holds complex128"),
    "text": (np.array([["a"]]), {}, "holds <U1"),
    "nan": (np.full((30, 8), np.nan), {"value_range": (0.0, 1.0)}, r"Sample \d+ .* is not finite"),
    "flipped points": (np.zeros((3, 8)), {"flip": True}, "no left and right"),
    "few": (np.zeros((2, 8)), {"value_range": (0.0, 1.0)}, "has 2 samples, too few"),
    "key": (np.zeros((9, 8)), {"images_key": "x"}, "holds no array 'x' but images"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_trained_on_is_refused(tmp_path: Path, name: str) -> None:
    values, options, said = WRONG[name]
    np.save(tmp_path / "a.npy", values)
    with pytest.raises((ConfigurationError, DataError), match=said):
        ArrayFile(str(tmp_path / "a.npy"), **options).setup()


@pytest.mark.parametrize(
    "labels",
    [
        *([0.5] * 40, [-1] * 40, [0] * 39, [[0]] * 40, [10**9] * 40, [float("nan")] * 40),
        *(["cat", "dog"] * 20, [], [1j] * 40, [[]] * 40),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: list[Any]) -> None:
    np.savez(tmp_path / "a.npz", images=numbered(8, 8), labels=np.array(labels))
    with pytest.raises(DataError, match="give 40 whole numbers"):
        ArrayFile(str(tmp_path / "a.npz"), (0.0, 40.0)).setup()


class Evil:
    """Makes a folder where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("kind", ["npy", "npz", "pt"])
def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    values = np.array([Evil()], dtype=object)
    if kind == "npy":
        np.save("a.npy", values, allow_pickle=True)
    elif kind == "npz":
        np.savez("a.npz", images=values, allow_pickle=True)
    else:
        torch.save(Evil(), "a.pt")
    with pytest.raises(DataError, match="pickled objects, which could run code"):
        ArrayFile(f"a.{kind}", (0.0, 1.0)).setup()
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("kind", ["npy", "npz", "pt", "pth", "txt"])
@pytest.mark.parametrize("content", [None, b"", b"no array", b"\x93NUMPY\1\0v\0{", b"PK\5\6"])
def test_a_file_that_is_none_is_named(tmp_path: Path, kind: str, content: bytes | None) -> None:
    path = tmp_path / f"a.{kind}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"'{path}'"):
        ArrayFile(str(path), (0.0, 1.0)).setup()


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", numbered(8, 8))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content.replace(b"(40, 8, 8)", b"(99, 8, 8)"))
    with pytest.raises(DataError, match="cannot be read"):
        ArrayFile(str(tmp_path / "a.npy"), (0.0, 40.0)).setup()


def test_several_arrays_of_which_none_is_named_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=numbered(8), y=numbered(8))
    with pytest.raises(DataError, match="no array 'images' but x, y: set images_key to one"):
        ArrayFile(str(tmp_path / "a.npz"))
