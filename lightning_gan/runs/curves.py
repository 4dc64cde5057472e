"""The curves of a run (``metrics.csv``): series of numbers against images seen."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lightning_gan.errors import ConfigurationError

NAME = "metrics.csv"
IMAGES = "progress/images"
LARGEST = 1e100
"""Numbers beyond it are drawn like infinities."""
FEW = 30
"""Points that can be told from each other in a picture."""


@dataclass(frozen=True)
class Series:
    """Values of one name against images seen, in the order of them.

    Args:
        images: Images that had been seen at each value (N,).
        values: The values (N,); NaN and infinities as they were logged.
    """

    images: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def last(self) -> float:
        """The last value; NaN where there is none."""
        return self.values[-1] if self.values else math.nan


Curves = Mapping[str, Series]
"""The series of a run by their names in the logs."""


def read_curves(folder: Path) -> dict[str, Series]:
    """All series of a run.

    A row without images belongs to those of the row before it. Where a resumed run has gone back to
    an earlier checkpoint and logged once more, the later rows count.

    Args:
        folder: Folder of the run.

    Returns:
        The series by their names in the logs; none where nothing has been logged yet.

    Raises:
        ConfigurationError: If there is no such folder, or a ``metrics.csv`` that cannot be read.
    """
    path = folder / NAME
    found: dict[str, list[tuple[float, float]]] = {}
    images = 0.0
    try:
        for row in _rows(path):
            now = row.pop(IMAGES, images)
            if now < images:
                _forget_from(now, found.values())
            images = now
            for name, value in row.items():
                found.setdefault(name, []).append((images, value))
    except FileNotFoundError:
        if not folder.is_dir():
            raise ConfigurationError(f"There is no run in {folder}: give a run's folder.") from None
        return {}
    except (OSError, csv.Error) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}): repair it, or move it away to do without its curves."
        ) from error
    return {name: _series(points) for name, points in found.items() if points}


def _rows(path: Path) -> Iterator[dict[str, float]]:
    """The numbers of each row by the names of their columns, the images seen among them."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.reader(line.replace("\0", "") for line in file)
        names = next(reader, [])
        for cells in reader:
            numbers = (
                (name, _number(cell)) for name, cell in zip(names, cells, strict=False) if cell
            )
            row = {name: number for name, number in numbers if number is not None}
            if not 0 <= row.get(IMAGES, 0.0) < LARGEST:
                del row[IMAGES]
            yield row


def _number(cell: str) -> float | None:
    """The number in a cell; None where there is another thing, as in a line that was torn."""
    try:
        return float(cell)
    except ValueError:
        return None


def _forget_from(images: float, series: Iterable[list[tuple[float, float]]]) -> None:
    for points in series:
        while points and points[-1][0] >= images:
            points.pop()


def _series(points: list[tuple[float, float]]) -> Series:
    images, values = zip(*points, strict=True)
    return Series(images, values)


@dataclass(frozen=True)
class Thinned:
    """A series with few enough points to be drawn: means of neighbours, and what they range over.

    Args:
        images: Images seen, the last ones of each group (N,).
        middle: Mean of the finite values of each group (N,); NaN where there are none.
        low: The smallest of them (N,).
        high: The largest of them (N,).
        is_whole: Whether every group is a single value.
    """

    images: tuple[float, ...]
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    is_whole: bool

    @property
    def are_few(self) -> bool:
        """Whether a picture shows where each point is."""
        return len(self.images) <= FEW


def thinned(series: Series, most: int = 300) -> Thinned:
    """A series in at most ``most`` groups of neighbours.

    Args:
        series: Any series.
        most: Number of groups, at least 1; a series of no more values stays as it is.
    """
    count = len(series.values)
    size = -(-count // most) or 1
    groups = [series.values[start : start + size] for start in range(0, count, size)]
    finite = [[x for x in group if abs(x) < LARGEST] or [math.nan] for group in groups]
    ends = [min(start + size, count) - 1 for start in range(0, count, size)]
    return Thinned(
        tuple(series.images[end] for end in ends),
        tuple(math.fsum(group) / len(group) for group in finite),
        tuple(map(min, finite)),
        tuple(map(max, finite)),
        is_whole=size == 1,
    )
