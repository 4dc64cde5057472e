"""``lightning-gan evaluate``: measures a checkpoint, or anybody's pictures, against a data set."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from lightning_gan.basics.cache import written_whole
from lightning_gan.basics.images import from_uint8, save_png
from lightning_gan.basics.texts import printable
from lightning_gan.basics.version import versions
from lightning_gan.checkpoints.files import checkpoint_in
from lightning_gan.cli.functions import device_called, import_modules
from lightning_gan.datamodules import RealData
from lightning_gan.datamodules.pictures import decode, find_pictures
from lightning_gan.errors import ConfigurationError, DataError
from lightning_gan.evaluation.panel import Measure, Panel, default_num_samples
from lightning_gan.evaluation.sampling import MeasuredSamples
from lightning_gan.evaluation.stamped_values import StampedValues, circumstances
from lightning_gan.gan import GAN
from lightning_gan.metrics.chunks import chunks
from lightning_gan.runs.drawn import GRID, POINTS
from lightning_gan.training.sampling import BLOCK, Sampling


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
        samples: A folder of pictures of the data's size, or with the points.csv of predict.
        measures: All that fit if left out.
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
        raise ConfigurationError("evaluate: give either --ckpt_path FILE or --samples FOLDER.")
    if output.is_dir():
        raise ConfigurationError(f"--output {output} is a folder: give a file.")
    started = time.perf_counter()
    import_modules(modules)
    place = device_called(device)
    data.prepare_data()
    data.setup()
    if samples is not None:
        source = _of_folder(samples, data, place)
    else:
        assert ckpt_path is not None
        count = default_num_samples(data) if num_samples is None else num_samples
        drawn = MeasuredSamples(count, Sampling(seed, truncation, psi), averaged)
        source = _of_checkpoint(ckpt_path, data, place, drawn)
    panel = Panel(data, measures, extractor, classifier, cache_dir=cache_dir, device=place)
    total = -(-source.count // BLOCK)
    measured = panel.measure(tqdm(source.chunks, "measuring", total, disable=None, unit="chunk"))
    values = replace(measured, seconds=time.perf_counter() - started).logged()
    stamp = panel.stamp() | {"samples": source.stamp, "versions": versions()}
    stamped = StampedValues(values, stamp, circumstances(device=place.type, **source.about))
    for name, value in sorted(values.items()):
        sys.stdout.write(f"{name:<34} {value:.6g}\n")
    path = stamped.write(output)
    sys.stdout.write(f"Measured    {printable(str(path))}\n")
    for name, pairs in panel.pictures(measured, source.rows).items():
        picture = path.with_name(f"{path.stem}_{name}.png")
        with written_whole(picture) as part:  # a link of that name is not followed
            save_png(pairs, part)
        sys.stdout.write(f"Pictures    {printable(str(picture))}\n")


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
    about = {"checkpoint": str(checkpoint_in(path)), "images_seen": gan.progress.images}
    rows = partial(samples.rows, gan)
    return _Samples(samples.count, samples.blocks(gan), rows, samples.stamp(), about)


def _of_folder(folder: Path, data: RealData, device: torch.device) -> _Samples:
    """Pictures in a folder, of the size of the data and by their names, or points in a file.

    Raises:
        DataError: If there are less than two, or one is of another size.
    """
    if data.image_size == 0:
        points = read_points(folder / POINTS, data.channels)
        count, rows, quantisation = len(points), points.__getitem__, "none"
    else:
        paths = [
            folder / found.path for found in find_pictures(folder) if Path(found.path).name != GRID
        ]
        count, rows, quantisation = len(paths), partial(_pictures, paths, data), "uint8"
    if count < 2:
        raise DataError(f"There are {count} samples in '{folder}': give at least 2.")
    numbered = (
        (number, rows(torch.arange(start, start + size)).to(device))
        for number, start, size in chunks(count, BLOCK)
    )
    stamp = {"source": "files", "count": count, "quantisation": quantisation}
    return _Samples(count, numbered, rows, stamp, {"samples": str(folder)})


def _pictures(paths: list[Path], data: RealData, numbers: Tensor) -> Tensor:
    """The pictures of those numbers, if they have the size of the data."""
    size, levels = data.image_size, []
    for path in (paths[number] for number in numbers.tolist()):
        levels.append(torch.from_numpy(decode(path, size, data.channels).copy()))
        with Image.open(path) as file:
            if file.size != (size, size):
                raise DataError(
                    f"The picture '{path}' has {file.width} x {file.height} pixels, but "
                    f"{data.name} has {size} x {size}: resizing would change the values, so give "
                    "samples of that size."
                )
    return from_uint8(torch.stack(levels))


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
