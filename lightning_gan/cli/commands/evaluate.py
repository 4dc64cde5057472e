"""``lightning-gan evaluate``: measures a checkpoint, or anybody's pictures, against a data set."""

import hashlib
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from lightning_gan.basics.cache import is_device, written_whole
from lightning_gan.basics.images import from_uint8, save_png
from lightning_gan.basics.texts import counted, printable
from lightning_gan.basics.version import versions
from lightning_gan.checkpoints.files import called, checkpoint_in
from lightning_gan.cli.functions import device_called, import_modules, note
from lightning_gan.datamodules import RealData
from lightning_gan.datamodules.listing import list_pictures
from lightning_gan.datamodules.pictures import (
    OpenFile,
    UnreadableError,
    decode,
    quietly,
    refuse_damaged,
    size_of,
)
from lightning_gan.datamodules.tables import ENDINGS, are_real_numbers, open_table
from lightning_gan.errors import ConfigurationError, DataError, WeightsError
from lightning_gan.evaluation.panel import Measure, Panel, default_num_samples
from lightning_gan.evaluation.sampling import MeasuredSamples
from lightning_gan.evaluation.stamped_values import StampedValues, circumstances
from lightning_gan.gan import GAN
from lightning_gan.metrics.chunks import chunks
from lightning_gan.metrics.samples import picture_hashes
from lightning_gan.runs.drawn import ARRAY, GRID, POINTS
from lightning_gan.training.sampling import BLOCK, Sampling

T = TypeVar("T")

TOLERATED = 1.001
"""How large rounding may make the values of an image."""
FAR, MOST_FAR = 1.5, 0.01
"""What is far from an image's range, and the share of values that may be; of more it is another."""


def evaluate(
    *,
    data: RealData,
    ckpt_path: Path | None = None,
    samples: Path | None = None,
    measures: list[Measure] | None = None,
    extractor: str | None = None,
    classifier: str | None = None,
    num_samples: int | None = None,
    seed: int = 0,
    truncation: float | None = None,
    psi: float | None = None,
    averaged: bool = True,
    cache_dir: str | None = None,
    device: str | None = None,
    modules: Sequence[str] = (),
    output: Path = Path("evaluation.json"),
) -> None:
    """Measures a checkpoint, or anybody's pictures, against a data set.

    Prints a table and writes the values with their stamp; the closest pairs as pictures beside it.

    Args:
        data: What to compare with.
        ckpt_path: A checkpoint, or a run's folder; or else samples must be given.
        samples: A folder or zip file of pictures of the data's size, a folder with the points.csv
            or samples.npy of predict, or a .npy, .npz or .pt file with uint8 or values in [-1, 1].
        measures: Some of frechet, kernel, neighbours, vendi, score, memorisation, duplicates and
            modes; all that fit if left out.
        extractor: The data's own if left out.
        classifier: The extractor if left out.
        num_samples: How many of a checkpoint.
        seed: Seed of the latents.
        truncation: Largest entry of a latent.
        psi: Share of a style's way from the average.
        averaged: False for the raw generator.
        cache_dir: Folder for the reals' features.
        device: Where to compute; the first GPU where there is one.
        modules: A module with parts of your own that the checkpoint names; may be repeated.
        output: File to write them to.

    Raises:
        ConfigurationError: If an option makes no sense.
        DataError: If the data or the samples cannot be read.
        WeightsError: If the checkpoint cannot be read.
    """
    if (ckpt_path is None) == (samples is None):
        raise ConfigurationError("evaluate: give either --ckpt_path FILE or --samples PLACE.")
    drawing = {"num_samples": num_samples, "truncation": truncation, "psi": psi}
    drawing |= {"averaged": None if averaged else False, "seed": seed or None}
    asked = [f"--{name}" for name, value in drawing.items() if value is not None]
    if samples is not None and asked:
        raise ConfigurationError(
            f"evaluate: {asked[0]} says how samples are drawn from a checkpoint, and --samples are "
            "there: leave it out."
        )
    if output.is_dir():
        raise ConfigurationError(f"--output {output} is a folder: give a file.")
    if samples is not None and not (samples.is_dir() or _is_readable_file(samples)):
        files = f"a zip file of pictures, or {' '.join(ENDINGS)} with an array"
        none = "" if samples.exists() else "there is nothing; "
        raise ConfigurationError(f"--samples {samples}: {none}give a folder, {files}.")
    if ckpt_path is not None and not checkpoint_in(ckpt_path).is_file():
        raise WeightsError(f"There is no checkpoint at {ckpt_path}: check --ckpt_path.")
    started = time.perf_counter()
    import_modules(modules)
    place = device_called(device)
    data.prepare_data()
    data.setup()
    if samples is not None:
        source = _of_files(samples, data, place)
    else:
        assert ckpt_path is not None
        count = default_num_samples(data) if num_samples is None else num_samples
        drawn = MeasuredSamples(count, Sampling(seed, truncation, psi), averaged)
        source = _of_checkpoint(ckpt_path, data, place, drawn)
    panel = Panel(data, measures, extractor, classifier, cache_dir=cache_dir, device=place)
    for remark in panel.remarks:
        note(remark)
    total = -(-source.count // BLOCK)
    measured = panel.measure(tqdm(source.chunks, "measuring", total, disable=None, unit="chunk"))
    values = replace(measured, seconds=time.perf_counter() - started).logged()
    stamp = panel.stamp() | {"samples": source.stamp, "versions": versions()}
    missing = measured.missing()
    about = source.about | missing
    stamped = StampedValues(values, stamp, circumstances(device=place.type, **about))
    for name, value in sorted(values.items()):
        sys.stdout.write(f"{name:<34} {value:.6g}\n")
    for names in missing.values():
        sys.stdout.write(f"Missing     {names}\n")
    pictures = {} if is_device(output) else panel.pictures(measured, source.rows)
    path = stamped.write(output, lambda file: [_picture(file, name) for name in pictures])
    sys.stdout.write(f"Measured    {printable(str(path))}\n")
    for name, pairs in pictures.items():
        with written_whole(_picture(path, name)) as part:  # a link of that name is not followed
            save_png(pairs, part)
        sys.stdout.write(f"Pictures    {printable(str(_picture(path, name)))}\n")


def _picture(path: Path, name: str) -> Path:
    """Where a picture lies beside a file of values; those of a.txt are not a.json's."""
    return path.with_name(f"{path.stem if path.suffix == '.json' else path.name}_{name}.png")


@dataclass(frozen=True)
class _Samples:
    """Samples by chunks and by their numbers; which ones they are, and where they come from."""

    count: int
    chunks: Iterable[tuple[int, Tensor]]
    rows: Callable[[Tensor], Tensor]
    stamp: dict[str, Any]
    about: dict[str, Any]


def _of_checkpoint(
    path: Path, data: RealData, device: torch.device, samples: MeasuredSamples
) -> _Samples:
    """Samples of a generator.

    Raises:
        ConfigurationError: If they have not the data's size.
    """
    gan = GAN.load_from_checkpoint(path, device)
    theirs = (gan.generator.channels, gan.generator.image_size)
    if theirs != (data.channels, data.image_size):
        raise ConfigurationError(
            f"The generator of {path} makes {_size(*theirs)}, but {data.name} has "
            f"{_size(data.channels, data.image_size)}: give the data that it was trained on."
        )
    samples = samples.with_classes_of(data, gan)
    about = {"checkpoint": called(path), "images_seen": gan.progress.images}
    rows = partial(samples.rows, gan)
    return _Samples(samples.count, samples.blocks(gan), rows, samples.stamp(), about)


def _of_files(place: Path, data: RealData, device: torch.device) -> _Samples:
    """Pictures in a folder, of the size of the data, or an array or points in a file.

    Their order is that of what they hold, so that neither names nor folders decide which splits
    and which neighbours they fall among.

    Raises:
        DataError: If there are less than two, or some cannot be read or are of another size.
    """
    rows: Callable[[Tensor], Tensor]
    in_file = place.suffix.lower() in ENDINGS and not place.is_dir()
    if in_file or (place / ARRAY).is_file():
        array, quantisation = read_array(place / ARRAY if place.is_dir() else place, data)
        array = array[picture_hashes(array).argsort(stable=True)]
        count, rows = len(array), array.__getitem__
    elif data.image_size == 0:
        points = read_points(place / POINTS, data.channels)
        points = points[picture_hashes(points).argsort(stable=True)]
        count, rows, quantisation = len(points), points.__getitem__, "none"
    else:
        pictures = _Pictures(place, data)
        count, rows, quantisation = len(pictures.paths), pictures.__getitem__, "uint8"
    if count < 2:
        raise DataError(f"'{place}' holds {counted(count, 'sample')}: give at least 2.")
    numbered = (
        (number, rows(torch.arange(start, start + size)).to(device))
        for number, start, size in chunks(count, BLOCK)
    )
    stamp: dict[str, Any] = {"source": "files", "count": count, "quantisation": quantisation}
    stamp["order"] = "content"
    return _Samples(count, numbered, rows, stamp, {"samples": str(place)})


class _Pictures:
    """The pictures of a folder or zip file as images, by their numbers, which what they hold gives.

    Args:
        place: The folder or zip file.
        data: What they must have the size of.

    Raises:
        DataError: If one is no picture or of another size.
    """

    def __init__(self, place: Path, data: RealData) -> None:
        source, pictures, passed_over = list_pictures(place)
        self.paths = [picture.path for picture in pictures if Path(picture.path).name != GRID]
        if passed_over.count:
            note(f"{counted(len(self.paths), 'sample')} in {place}; {passed_over}.")
        self._channels, size = data.channels, data.image_size
        self._size = size if isinstance(size, tuple) else (size, size)
        self._source = source
        sizes = self._all(self.paths, size_of)
        others = [path for path, found in sizes.items() if found != self._size]
        if others:
            (height, width), more = sizes[others[0]], len(others) - 1
            also = f" ({more:,} more have other sizes, too)" if more else ""
            raise DataError(
                f"The picture '{place / others[0]}' has {width} x {height} pixels, but {data.name} "
                f"has {self._size[1]} x {self._size[0]}{also}: resizing would change the values, "
                "so give samples of that size."
            )
        hashes = self._all(self.paths, _content)
        self.paths.sort(key=hashes.__getitem__)

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """The images (n, C, H, W) of those numbers (n,), in [-1, 1]."""
        decoding = partial(decode, size=self._size, channels=self._channels)
        paths = [self.paths[number] for number in numbers.tolist()]
        levels = self._all(paths, decoding)
        return from_uint8(torch.from_numpy(np.stack([levels[path] for path in paths])))

    def _all(self, paths: list[str], look: Callable[[OpenFile], T]) -> dict[str, T]:
        """What a look at each file gives; those that cannot be read are refused together."""
        found, damaged = {}, {}
        with quietly():
            for path in paths:
                try:
                    found[path] = look(partial(self._source.file, path))
                except UnreadableError as error:
                    damaged[str(self._source.root / path)] = str(error)
        refuse_damaged(damaged)
        return found


def _content(open_file: OpenFile) -> bytes:
    """A hash of what a file holds."""
    file = open_file()
    content = file.read_bytes() if isinstance(file, Path) else file.read()
    return hashlib.blake2b(content).digest()


def read_array(path: Path, data: RealData) -> tuple[Tensor, str]:
    """Samples (N, C, H, W) or points (N, D) of a file, float32, and how they were quantised.

    Images may be (N, H, W, C), too, and uint8, of which x / 127.5 - 1 is taken; other values are
    taken as they are.

    Raises:
        DataError: If the file is damaged or holds no numbers, they have not the shape of the data,
            or images plainly another range than [-1, 1].
    """
    raw = open_table(path, mend="call the samples images").values
    if not are_real_numbers(raw):
        raise DataError(f"'{path}' holds {raw.dtype}: give an array of real numbers.")
    if not isinstance(raw, Tensor):  # torch has not all of NumPy's numbers
        raw = torch.from_numpy(np.array(raw, np.uint8 if raw.dtype == np.uint8 else np.float32))
    values = raw
    channels, size = data.channels, data.image_size
    sides = size if isinstance(size, tuple) else (size, size) if size else ()
    if size and values.shape[1:] == (*sides, channels) != (channels, *sides):
        values = values.movedim(-1, 1)
    if values.shape[1:] != (channels, *sides):
        raise DataError(
            f"'{path}' has the shape {tuple(values.shape)}, but samples of {data.name} are "
            f"{_size(channels, size)}: give samples of that size."
        )
    if size and values.dtype == torch.uint8:
        return from_uint8(values), "uint8"
    values = values.float()
    finite = values[values.isfinite()]
    low, high = finite.aminmax() if finite.numel() else (values.new_zeros(()),) * 2
    far = float((finite.abs() > FAR).float().mean()) if finite.numel() else 0.0
    if size and (far > MOST_FAR or (low >= 0 and high > TOLERATED)):
        raise DataError(
            f"'{path}' has values from {low:g} to {high:g}, but samples lie in [-1, 1]: scale "
            "them, or give uint8."
        )
    if size and finite.numel() and low >= 0:
        note(f"'{path}' has no value below 0: samples lie in [-1, 1], and are measured so.")
    return values, "none"


def _is_readable_file(place: Path) -> bool:
    return place.is_file() and place.suffix.lower() in (".zip", *ENDINGS)


def read_points(path: Path, dimensions: int) -> Tensor:
    """Points (N, dimensions) of a file of comma-separated numbers, a line for each.

    Raises:
        DataError: If there is no such file, or it holds something else.
    """
    try:
        points = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(
            f"'{path}' cannot be read as points ({error}): give a folder with a points.csv of one "
            "line of comma-separated numbers for each point."
        ) from error
    if points.shape[1] != dimensions:
        raise DataError(
            f"'{path}' has {points.shape[1]} numbers a line, but the data have {dimensions}: give "
            "points of the same space."
        )
    return torch.from_numpy(points)


def _size(channels: int, image_size: int | tuple[int, int]) -> str:
    if image_size == 0:
        return f"points of {channels} numbers"
    sides = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    return f"images of {channels} x {sides[0]} x {sides[1]}"
