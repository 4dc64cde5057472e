"""``lightning-gan evaluate``: measures a checkpoint, or anybody's pictures, against a data set."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from lightning_gan.basics.images import from_uint8, save_png
from lightning_gan.cli.parser import HelpFormatter, Parser
from lightning_gan.cli.plain import checkpoint_in, device_called, import_modules, usual_device
from lightning_gan.datamodules import RealData
from lightning_gan.datamodules.pictures import DECODING_ERRORS, decode, find_pictures
from lightning_gan.errors import ConfigurationError, DataError
from lightning_gan.evaluation.panel import Measure, Panel, usual_samples
from lightning_gan.evaluation.report import Report, circumstances, versions
from lightning_gan.evaluation.sampling import MeasuredSamples
from lightning_gan.gan import load
from lightning_gan.metrics.chunks import chunks
from lightning_gan.training.sampling import BLOCK, Sampling

GRID = "grid.png"
POINTS = "points.csv"
"""What predict writes beside the samples, and instead of them."""


def _parser() -> Parser:
    parser = Parser(
        prog="lightning-gan evaluate",
        usage="lightning-gan evaluate (--ckpt_path FILE | --samples FOLDER) --data NAME "
        "[--data.OPTION VALUE] ...",
        description=__doc__,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--ckpt_path", type=Path | None, help="a checkpoint, or a run's folder")
    parser.add_argument(
        "--samples",
        type=Path | None,
        help="a folder of pictures of the data's size, or with the points.csv of predict",
    )
    parser.add_subclass_arguments(RealData, "data", required=True, help="what to compare with")
    parser.add_argument("--measures", type=list[Measure] | None, help="all that fit if left out")
    parser.add_argument("--extractor", type=str | None, help="the data's own if left out")
    parser.add_argument("--classifier", type=str | None, help="the extractor if left out")
    parser.add_argument("--num_samples", type=int | None, help="of a checkpoint")
    parser.add_argument("--seed", type=int, default=0, help="of the latents")
    parser.add_argument("--truncation", type=float | None, help="largest entry of a latent")
    parser.add_argument("--psi", type=float | None, help="share of a style's way from the average")
    parser.add_argument("--averaged", type=bool, default=True, help="false for the raw generator")
    parser.add_argument("--cache_dir", type=str | None, help="for the reals' features")
    parser.add_argument("--device", type=str, default=usual_device(), help="where to compute")
    parser.add_argument("--import", dest="modules", type=list[str], default=[], help="own parts")
    parser.add_argument("--output", type=Path, default=Path("evaluation.json"), help="the report")
    return parser


def evaluate(arguments: list[str]) -> None:
    """Prints a table and writes a report; the closest pairs as pictures beside it.

    Raises:
        ConfigurationError: If an option makes no sense.
        DataError: If the data or the samples cannot be read.
        WeightsError: If the checkpoint cannot be read.
    """
    parser = _parser()
    config = parser.parse_args(arguments)
    if (config.ckpt_path is None) == (config.samples is None):
        raise ConfigurationError("evaluate: give either --ckpt_path FILE or --samples FOLDER.")
    if config.output.exists() and config.output.is_dir():
        raise ConfigurationError(f"--output {config.output} is a folder: give a file.")
    started = time.perf_counter()
    import_modules(config.modules, "evaluate")
    device = device_called(config.device)
    data: Any = parser.instantiate_classes(config).data
    data.prepare_data()
    data.setup()
    source: _Folder | _Checkpoint
    if config.samples is not None:
        source = _Folder(config.samples, data, device)
    else:
        source = _Checkpoint(config, data, device)
    names = (config.extractor, config.classifier)
    panel = Panel(data, config.measures, *names, cache_dir=config.cache_dir, device=device)
    total = -(-source.count // BLOCK)
    values = panel.measure(tqdm(source.chunks(), "measuring", total, disable=None, unit="chunk"))
    values["eval/seconds"] = time.perf_counter() - started
    stamp = panel.stamp() | {"samples": source.stamp(), "versions": versions()}
    report = Report(values, stamp, circumstances(device=device.type, **source.about()))
    for name, value in sorted(values.items()):
        sys.stdout.write(f"{name:<34} {value:.6g}\n")
    path = report.write(config.output)
    sys.stdout.write(f"Report      {path}\n")
    for name, pairs in panel.pictures(source.rows).items():
        save_png(pairs, path.with_name(f"{path.stem}_{name}.png"))
        sys.stdout.write(f"Pictures    {path.with_name(f'{path.stem}_{name}.png')}\n")


class _Checkpoint:
    """Samples of a generator."""

    def __init__(self, config: Any, data: RealData, device: torch.device) -> None:  # noqa: ANN401
        path = checkpoint_in(config.ckpt_path)
        self._gan = load(path, device)
        theirs = (self._gan.generator.channels, self._gan.generator.image_size)
        if theirs != (data.channels, data.image_size):
            raise ConfigurationError(
                f"The generator of {path} makes {_size(*theirs)}, but {data.name} has "
                f"{_size(data.channels, data.image_size)}: give the data that it was trained on."
            )
        self.count = usual_samples(data) if config.num_samples is None else config.num_samples
        drawn = Sampling(config.seed, config.truncation, config.psi)
        self._sampling = MeasuredSamples(self.count, drawn, config.averaged)
        self._path = path

    def chunks(self) -> Iterable[tuple[int, Tensor]]:
        """Numbered chunks."""
        return self._sampling.blocks(self._gan)

    def rows(self, numbers: Tensor) -> Tensor:
        """Samples by their numbers."""
        return self._sampling.rows(self._gan, numbers)

    def stamp(self) -> dict[str, Any]:
        """Which samples they are."""
        return self._sampling.stamp()

    def about(self) -> dict[str, Any]:
        """Where they come from."""
        images = self._gan.progress.images
        return {"checkpoint": str(self._path), "images_seen": images}


class _Folder:
    """Pictures in a folder, of the size of the data, or points in a file."""

    def __init__(self, folder: Path, data: RealData, device: torch.device) -> None:
        self._folder, self._data, self._device = folder, data, device
        if data.image_size == 0:
            self._points = read_points(folder / POINTS, data.channels)
            self.count = len(self._points)
        else:
            found = [picture.path for picture in find_pictures(folder)]
            self._paths = [folder / path for path in found if path != GRID]
            self.count = len(self._paths)
        if self.count < 2:
            raise DataError(f"There are {self.count} samples in '{folder}': give at least 2.")

    def chunks(self) -> Iterable[tuple[int, Tensor]]:
        """Numbered chunks, by the names of the files."""
        for number, start, count in chunks(self.count, BLOCK):
            yield number, self.rows(torch.arange(start, start + count)).to(self._device)

    def rows(self, numbers: Tensor) -> Tensor:
        """Samples by their numbers."""
        if self._data.image_size == 0:
            return self._points[numbers]
        levels = [self._read(self._paths[number]) for number in numbers.tolist()]
        return from_uint8(torch.stack(levels))

    def _read(self, path: Path) -> Tensor:
        size = self._data.image_size
        try:
            with Image.open(path) as file:
                found = file.size
        except DECODING_ERRORS as error:
            raise DataError(
                f"The picture '{path}' cannot be read ({error}): repair or remove it."
            ) from error
        if found != (size, size):
            raise DataError(
                f"The picture '{path}' has {found[0]} x {found[1]} pixels, but {self._data.name} "
                f"has {size} x {size}: resizing would change the values, so give samples of that "
                "size."
            )
        return torch.from_numpy(decode(path, size, self._data.channels).copy())

    def stamp(self) -> dict[str, Any]:
        """Which samples they are."""
        whole = self._data.image_size == 0
        return {
            "source": "files",
            "count": self.count,
            "quantisation": "none" if whole else "uint8",
        }

    def about(self) -> dict[str, Any]:
        """Where they come from."""
        return {"samples": str(self._folder)}


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
