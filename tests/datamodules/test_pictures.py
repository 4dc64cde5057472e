"""A user's own pictures: what is found, how it is decoded, and what is kept."""

import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from lightning_gan.datamodules import ImageFolder
from lightning_gan.datamodules.base import SplitName
from lightning_gan.datamodules.listing import find_pictures
from lightning_gan.datamodules.pictures import Room, UnreadableError
from lightning_gan.datamodules.pictures import decode as decode_file
from lightning_gan.errors import ConfigurationError, DataError

Draw = Callable[..., Path]
NAMES: tuple[SplitName, ...] = ("train", "val", "test")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keeps the tests out of the user's own cache."""
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def decode(path: Path, size: int, channels: int) -> NDArray[np.uint8]:
    return decode_file(lambda: path, (size, size), channels)


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Writes a picture of one colour."""

    def write(name: str, colour: object = (255, 0, 0), mode: str = "RGB") -> Path:
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, (40, 20), colour).save(path)  # type: ignore[arg-type] - any colour
        return path

    return write


@pytest.fixture
def root(tmp_path: Path, draw: Draw) -> Path:
    """Twelve pictures of cats and eight of dogs, each of its own grey level."""
    for index in range(20):
        folder = "dog" if index < 8 else "cat"
        draw(f"{folder}/{index:02}.png", (index, index, index))
    return tmp_path / "pictures"


def test_classes_are_the_sorted_names_of_subfolders(root: Path) -> None:
    data = ImageFolder(str(root), image_size=8)
    assert (data.num_classes, data.class_names) == (0, ())
    data.prepare_data()
    data.setup()
    assert (data.num_classes, data.class_names) == (2, ("cat", "dog"))
    for name in ("train", "val", "test"):
        split = data.split(name)
        levels = split.images[:, 0, 0, 0]
        assert split.labels.tolist() == (levels < 8).to(torch.int64).tolist()


def test_splits_are_disjoint_and_hold_every_picture(root: Path) -> None:
    data = ImageFolder(str(root), image_size=8, val_fraction=0.2, test_fraction=0.1)
    splits = [data.split(name).images[:, 0, 0, 0].tolist() for name in ("train", "val", "test")]
    assert [len(split) for split in splits] == [14, 4, 2]
    assert sorted(level for split in splits for level in split) == list(range(20))


def test_pictures_without_subfolders_have_no_classes(draw: Draw) -> None:
    for index in range(4):
        root = draw(f"{index}.jpg").parent
    data = ImageFolder(str(root), image_size=8, batch_size=2)
    images, labels = next(iter(data.train_dataloader()))
    assert images.shape == (2, 3, 8, 8)
    assert labels.tolist() == [0, 0]
    assert labels.dtype == torch.int64
    assert (data.num_classes, data.class_names) == (0, ())


def test_the_second_run_finds_the_pictures_decoded(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ImageFolder(str(root), image_size=8).split("train")
    monkeypatch.setattr(
        "lightning_gan.datamodules.decoded.decode", lambda *_: pytest.fail("decoded")
    )
    second = ImageFolder(str(root), image_size=8, seed=3).split("train")
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    assert len(list(cache.glob("*.npy"))) == 1


@pytest.mark.parametrize("change", ["touch", "add", "rename", "replace"])
def test_what_has_changed_is_decoded_anew_and_nothing_else(
    root: Path, cache: Path, draw: Draw, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ImageFolder(str(root), image_size=8).prepare_data()
    picture = root / "cat" / "08.png"
    if change == "touch":
        os.utime(picture, (1, 1))
    if change == "add":
        draw("cat/new.png")
    if change == "rename":
        picture.rename(root / "cat" / "other.png")
    if change == "replace":
        before = picture.stat()
        picture.unlink()
        draw("cat/08.png", (99, 99, 99))
        os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert picture.stat().st_size == before.st_size
    decoded = []

    def counted(file: Callable[[], Path], *rest: Any) -> NDArray[np.uint8]:
        decoded.append(file().name)
        return decode_file(file, *rest)

    monkeypatch.setattr("lightning_gan.datamodules.decoded.decode", counted)
    data = ImageFolder(str(root), image_size=8)
    levels = sorted(
        level for name in NAMES for level in data.split(name).images[:, 0, 0, 0].tolist()
    )
    new = {"touch": [], "rename": [], "add": [255], "replace": [99]}[change]
    gone = [8] if change == "replace" else []
    assert levels == sorted([level for level in range(20) if level not in gone] + new)
    name = {"add": "new.png", "rename": "other.png"}.get(change, "08.png")
    assert decoded == [name]
    assert len(list(cache.glob("*.npy"))) == 1


def test_folders_whose_pictures_have_the_same_names_sizes_and_times_are_not_confused(
    tmp_path: Path, draw: Draw
) -> None:
    for level in (0, 255):
        for index in range(4):
            path = draw(f"../{level}/{index}.bmp", (level,) * 3)
            os.utime(path, (0, 0))
    for level in (0, 255):
        images = ImageFolder(str(tmp_path / str(level)), image_size=8).split("train").images
        assert images.unique().tolist() == [level]


def test_each_form_of_the_pictures_is_kept(root: Path, cache: Path) -> None:
    forms: list[dict[str, Any]] = [{}, {"channels": 1}, {"image_size": (8, 16)}, {"channels": 4}]
    for form in forms:
        data = ImageFolder(str(root), **({"image_size": 8} | form))
        size = data.image_size if isinstance(data.image_size, tuple) else (8, 8)
        assert data.split("train").images.shape[1:] == (data.channels, *size)
    assert len(list(cache.glob("*.npy"))) == len(forms)


def test_a_cache_that_was_cut_off_is_written_anew(root: Path, cache: Path) -> None:
    expected = ImageFolder(str(root), image_size=8).split("train").images.clone()
    (kept,) = cache.glob("*.npy")
    kept.write_bytes(kept.read_bytes()[:-100])
    assert torch.equal(ImageFolder(str(root), image_size=8).split("train").images, expected)


def test_the_argument_for_the_cache_goes_before_the_variable(root: Path, tmp_path: Path) -> None:
    ImageFolder(str(root), image_size=8, cache_dir=str(tmp_path / "mine")).prepare_data()
    assert len(list((tmp_path / "mine").glob("*.npy"))) == 1
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_an_error(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    data = ImageFolder(str(root), image_size=8, cache_dir=str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be written to .* set cache_dir or the variable"):
        data.prepare_data()


def test_a_disk_that_is_too_full_is_an_error_before_anything_is_decoded(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 100

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(DataError, match="3840 bytes are needed, 100 are free"):
        ImageFolder(str(root), image_size=8).prepare_data()
    assert list(cache.iterdir()) == []


def test_a_picture_that_cannot_be_read_is_named(root: Path) -> None:
    whole = (root / "dog" / "03.png").read_bytes()
    for content in (b"", b"no picture", whole[:-30], whole[:40]):
        (root / "dog" / "03.png").write_bytes(content)
        for _ in range(2):
            with pytest.raises(
                DataError, match=r"dog/03.png' cannot be read \(.*\): repair or rem"
            ):
                ImageFolder(str(root), image_size=8).prepare_data()


def test_damaged_pictures_are_named_together_and_the_others_decoded_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn = [root / name for name in ("cat/10.png", "dog/03.png", "dog/05.png")]
    for path in torn:
        path.write_bytes(b"torn")
    with pytest.raises(DataError, match="skip_damaged: true") as caught:
        ImageFolder(str(root), image_size=8).setup()
    assert all(f"'{path}' cannot be read" in str(caught.value) for path in torn)
    Image.new("RGB", (9, 9), (5, 5, 5)).save(torn[2])
    torn[1].unlink()
    torn[0].unlink()
    decoded = []

    def counted(file: Callable[[], Path], *rest: Any) -> NDArray[np.uint8]:
        decoded.append(file())
        return decode_file(file, *rest)

    monkeypatch.setattr("lightning_gan.datamodules.decoded.decode", counted)
    data = ImageFolder(str(root), image_size=8)
    assert sum(len(data.split(name).labels) for name in NAMES) == 18
    assert decoded == [torn[2]]


@pytest.mark.parametrize("skip_damaged", [False, True])
def test_what_was_decoded_before_an_interruption_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch, skip_damaged: bool
) -> None:
    decoded: list[Path] = []

    def interrupted(file: Callable[[], Path], *rest: Any) -> NDArray[np.uint8]:
        if len(decoded) == 12:
            raise KeyboardInterrupt
        decoded.append(file())
        return decode_file(file, *rest)

    data = ImageFolder(str(root), image_size=8, skip_damaged=skip_damaged)
    with monkeypatch.context() as patch:
        patch.setattr("lightning_gan.datamodules.decoded.THREADS", 1)
        patch.setattr("lightning_gan.datamodules.decoded.decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.setup()
    before = len(decoded)
    decoded.append(root)  # so that none is the twelfth
    monkeypatch.setattr("lightning_gan.datamodules.decoded.decode", interrupted)
    levels = sorted(x for name in NAMES for x in data.split(name).images[:, 0, 0, 0].tolist())
    assert levels == list(range(20))
    assert before == 12
    assert len(set(decoded)) == len(decoded) == 21


@pytest.mark.skipif(sys.platform == "win32", reason="queues that end jobs so are elsewhere")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_queue_that_ends_a_job_interrupts_decoding_too(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    number, decoded = getattr(signal, name), list[Path]()

    def ended(file: Callable[[], Path], *rest: Any) -> NDArray[np.uint8]:
        decoded.append(file())
        if len(decoded) == 12:
            os.kill(os.getpid(), number)
        return decode_file(file, *rest)

    monkeypatch.setattr("lightning_gan.datamodules.decoded.decode", ended)
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt):
            ImageFolder(str(root), image_size=8).setup()
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    data = ImageFolder(str(root), image_size=8)
    assert sum(len(data.split(name).labels) for name in NAMES) == 20
    assert len(set(decoded)) == len(decoded) == 20


def test_damaged_pictures_are_passed_over_with_a_count_where_asked(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cat/10.png", "dog/03.png"):
        (root / name).write_bytes(b"torn")
    data = ImageFolder(str(root), image_size=8, skip_damaged=True)
    data.setup()
    assert data.passed_over == 2
    assert "2 passed over as damaged (cat/10.png, dog/03.png)." in caplog.text
    kept = {name: data.split(name) for name in NAMES}
    levels = sorted(x for split in kept.values() for x in split.images[:, 0, 0, 0].tolist())
    assert levels == [level for level in range(20) if level not in (3, 10)]
    for split in kept.values():
        assert split.labels.tolist() == (split.images[:, 0, 0, 0] < 8).long().tolist()
    assert data.content is not None
    assert data.content["count"] == 18
    monkeypatch.setattr(
        "lightning_gan.datamodules.decoded.decode", lambda *_: pytest.fail("decoded")
    )
    again = ImageFolder(str(root), image_size=8, skip_damaged=True)
    assert torch.equal(again.split("train").images, kept["train"].images)
    assert again.content == data.content


def test_damaged_pictures_alone_are_an_error_even_where_they_may_be_skipped(root: Path) -> None:
    for path in root.rglob("*.png"):
        path.write_bytes(b"torn")
    with pytest.raises(DataError, match=r"^20 pictures: .*cannot be read"):
        ImageFolder(str(root), image_size=8, skip_damaged=True).setup()


def test_a_decompression_bomb_is_named(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    path = draw("bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 399)  # an error from twice as many on
    with pytest.raises(UnreadableError, match="exceeds limit"):
        decode(path, 8, 3)


def test_the_middle_is_cut_out_and_the_shorter_side_resized(tmp_path: Path) -> None:
    values = np.zeros((20, 40, 3), dtype=np.uint8)
    values[:, 10:30] = (10, 200, 30)
    Image.fromarray(values).save(tmp_path / "wide.png")
    Image.fromarray(values.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    for name in ("wide.png", "tall.png"):
        for size in (4, 20, 50):
            image = decode(tmp_path / name, size, 3)
            assert image.shape == (3, size, size)
            error = abs(image - np.array([10.0, 200, 30])[:, None, None])
            middle = slice(size // 4, -(size // 4))
            assert error[:, middle, middle].max() <= 3  # edges and bicubic overshoot


def test_reduction_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    inner = decode(tmp_path / "stripes.png", 8, 1)[0, :, 1:-1].astype(int)
    assert abs(inner - 127.5).max() < 8


def test_a_picture_is_turned_as_its_exif_data_says(tmp_path: Path) -> None:
    upright = np.zeros((16, 16, 3), dtype=np.uint8)
    upright[:8] = 255  # bright above
    turned = Image.fromarray(np.rot90(upright))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a turn to the right
    turned.save(tmp_path / "turned.png", exif=exif)
    assert (decode(tmp_path / "turned.png", 16, 3) == upright.transpose(2, 0, 1)).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGB", (80, 80, 80), 80),
        ("L", 80, 80),
        ("1", 1, 255),
        ("P", 0, 0),
        ("RGBA", (80, 80, 80, 255), 80),
        ("RGBA", (0, 0, 0, 0), 255),
        ("LA", (0, 51), 204),
        ("I;16", 80 * 257, 80),
    ],
)
def test_every_mode_becomes_the_channels_asked_for(
    draw: Draw, mode: str, colour: object, expected: int, channels: int
) -> None:
    image = decode(draw("picture.png", colour, mode), 8, channels)
    assert image.shape == (channels, 8, 8)
    assert (image == expected).all()


def test_a_colour_named_transparent_becomes_white(tmp_path: Path) -> None:
    Image.new("P", (8, 8), 0).save(tmp_path / "picture.gif", transparency=0)
    assert (decode(tmp_path / "picture.gif", 8, 3) == 255).all()


def test_a_folder_that_is_missing_or_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist: set root to a folder of pictures"):
        ImageFolder(str(tmp_path / "none")).prepare_data()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not a folder"):
        ImageFolder(str(tmp_path / "file")).setup()


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pictures" / "deep").mkdir(parents=True)
    (tmp_path / "pictures" / "notes.txt").touch()
    (tmp_path / "pictures" / ".hidden.png").touch()
    with pytest.raises(DataError, match=r"There is no picture in .*1 hidden .* unknown ending"):
        find_pictures(tmp_path / "pictures")


def test_pictures_both_in_the_folder_and_in_subfolders_are_an_error(draw: Draw) -> None:
    draw("cat/one.png")
    with pytest.raises(DataError, match=r"both directly in it \('two.png'\).*'cat/one.png'"):
        find_pictures(draw("two.png").parent)


def test_too_few_pictures_for_three_splits_are_an_error(draw: Draw) -> None:
    root = str(draw("one.png").parent)
    with pytest.raises(DataError, match="has 1 sample, too few to hold out 1"):
        ImageFolder(root, image_size=8).setup()
    alone = ImageFolder(root, image_size=8, val_fraction=0, test_fraction=0)
    assert len(alone.split("train").labels) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image_size": 0}, "image_size=0"),
        ({"image_size": (8, 0)}, "image_size=0"),
        ({"channels": 2}, "channels=2"),
        ({"image_size": (8,)}, r"image_size=\(8,\) must be one number"),
        ({"levels": (1.0, 1.0)}, "levels"),
        ({"levels": (0.0, float("inf"))}, "levels"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"val_fraction": -0.1}, "val_fraction=-0.1"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "below 1 together"),
    ],
)
def test_arguments_of_a_picture_folder_out_of_range_are_errors(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        ImageFolder("pictures", **wrong)


def test_decoded_pictures_are_mapped_from_one_file(root: Path, cache: Path) -> None:
    images = ImageFolder(str(root), image_size=8).split("train").images
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux lists the maps of a process")
    (kept,) = cache.glob("*.npy")
    assert str(kept) in maps.read_text()
    assert images.untyped_storage().nbytes() == 20 * 3 * 8 * 8


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16", "F"])
def test_large_pictures_are_decoded_in_bands_that_change_next_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 256, (7, 9, 4), dtype=np.uint8), "RGBA")
    smooth = smooth.resize((333, 257), Image.Resampling.BICUBIC)
    path = tmp_path / ("a.tif" if mode == "F" else "a.png")
    if mode == "I;16":
        Image.fromarray(np.asarray(smooth.convert("L")).astype(np.uint16) * 257).save(path)
    elif mode == "F":
        Image.fromarray(np.asarray(smooth.convert("L")).astype(np.float32) / 255).save(path)
    else:
        smooth.convert(mode).save(path)
    whole = decode(path, 16, 3)
    monkeypatch.setattr("lightning_gan.datamodules.pictures.LARGE", 5000)
    assert abs(decode(path, 16, 3).astype(int) - whole).max() <= 4


def test_large_jpegs_are_decoded_at_a_fraction_of_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (640, 480), (200, 100, 50)).save(tmp_path / "a.jpg", quality=95)
    taken = []
    monkeypatch.setattr("lightning_gan.datamodules.pictures.LARGE", 100_000)
    monkeypatch.setattr(
        "lightning_gan.datamodules.pictures._room", lambda n: taken.append(n) or nullcontext()
    )
    image = decode(tmp_path / "a.jpg", 16, 3)
    assert abs(image - np.array([200.0, 100, 50])[:, None, None]).max() <= 3
    assert taken == [80 * 60]


def test_pixels_in_flight_are_bounded_and_a_larger_picture_waits_until_it_is_alone() -> None:
    room, inside, most = Room(100), [0], [0]
    lock = threading.Lock()

    def take(pixels: int) -> None:
        with room(pixels):
            with lock:
                inside[0] += pixels
                most[0] = max(most[0], inside[0])
                assert inside[0] <= 100 or inside[0] == pixels
            time.sleep(0.001)
            with lock:
                inside[0] -= pixels

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, [30, 40, 50, 250, 60, 10, 100, 120] * 5))
    assert inside == [0]
    assert most == [250]


def test_a_dark_picture_of_five_or_six_bits_a_colour_is_read(tmp_path: Path) -> None:
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    pixels = np.full((4, 4), 0x0841, "<u2").tobytes()  # nearly black
    info = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    start = 14 + len(info) + len(masks)
    header = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    path = tmp_path / "dark.bmp"
    path.write_bytes(header + info + masks + pixels)
    assert decode(path, 4, 3).max() == 8
