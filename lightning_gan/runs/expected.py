"""What a recipe's curves are expected to be, from recorded runs, and whether a run's are like them.

The file of a recipe, ``recipes/expected/NAME.csv``, holds a band for each curve: between the least
and the most of the recorded seeds, widened by half of that and by the noise of an evaluation.
"""

import csv
import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lightning_gan.errors import ConfigurationError
from lightning_gan.recipes import expected_file, recipe_names
from lightning_gan.runs.curves import Curves, Series
from lightning_gan.runs.record import RunRecord

IMAGES = "images"
LOW, HIGH = " low", " high"
STRETCHES = 40
"""Into how many stretches of the budget the points of a training curve are gathered."""
PLACES = {"data.root"}
"""Options that say where things lie, and change nothing of what runs."""
LASTING = 3
"""So many points beyond a band, without one inside since, are no chance."""


@dataclass(frozen=True)
class Band:
    """Where the values of one name are expected to lie.

    Args:
        images: Images seen, rising (N,).
        low: The least at each (N,).
        high: The most at each (N,).
    """

    images: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def at(self, images: float) -> tuple[float, float] | None:
        """The least and the most after so many images, between two points by a straight line.

        Returns:
            None before the first point and after the last one.
        """
        if not self.images or not self.images[0] <= images <= self.images[-1]:
            return None
        right = bisect_left(self.images, images)
        if self.images[right] == images:
            return self.low[right], self.high[right]
        start, end = self.images[right - 1], self.images[right]
        part = (images - start) / (end - start)
        low, high = (
            values[right - 1] + part * (values[right] - values[right - 1])
            for values in (self.low, self.high)
        )
        return low, high


Bands = Mapping[str, Band]
"""Bands by the names in the logs."""


@dataclass(frozen=True)
class Expected:
    """What recorded runs of a recipe were like.

    Args:
        recipe: Its name.
        made: Seeds, commit and settings of the runs, in words.
        bands: By the names in the logs.
    """

    recipe: str
    made: str
    bands: Bands


def read_expected(recipe: str) -> Expected | None:
    """What is expected of a recipe; None where fewer than three seeds are recorded."""
    path = expected_file(recipe)
    if not path.exists():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        made = next(file).lstrip("# ").strip()
        rows = list(csv.DictReader(file))
    names = [name.removesuffix(LOW) for name in rows[0] if name.endswith(LOW)]
    return Expected(recipe, made, {name: _band(name, rows) for name in names})


def _band(name: str, rows: list[dict[str, str]]) -> Band:
    points = [
        (float(row[IMAGES]), float(row[name + LOW]), float(row[name + HIGH]))
        for row in rows
        if row[name + LOW]
    ]
    images, low, high = zip(*points, strict=True)
    return Band(images, low, high)


def expected_of(record: RunRecord) -> Expected | None:
    """What is expected of a run; None where it is not a recipe as it stands.

    Budget, devices and loggers may be others: they are not among what a run differs in.
    """
    changed = any(segment.changes for segment in record.segments)
    if record.recipe not in recipe_names() or record.differs.keys() - PLACES or changed:
        return None
    return read_expected(record.recipe)


def expected_in(folder: Path) -> Expected | None:
    """What is expected of the run of a folder; None also where the folder has no record."""
    try:
        return expected_of(RunRecord.read(folder))
    except ConfigurationError:
        return None


# ------------------------------------------------------------------------------- how a run compares


def is_distance(name: str) -> bool:
    """Whether it is a Frechet distance, of which less is better."""
    return name.startswith("fid/") and not name.endswith(("_floor", "_debiased"))


def verdict(curves: Curves, expected: Expected) -> str:
    """``on track``, ``behind``, or ``off since N images``, with what is meant, in a sentence.

    A run is off where a curve has left its band and not come back; behind where the last distance
    is larger, or the last number of modes smaller, than the band has it. Empty where no curve of
    the run has a point under a band.
    """
    compared = {name: curves[name] for name in expected.bands if name in curves}
    left = {name: _left(series, expected.bands[name]) for name, series in compared.items()}
    off = {name: images for name, images in left.items() if images is not None}
    if off:
        name = min(off, key=lambda each: off[each])
        return f"off since {off[name]:,.0f} images: {_beside(name, compared[name], expected)}"
    for name, series in sorted(compared.items(), key=lambda item: not is_distance(item[0])):
        band = expected.bands[name].at(series.images[-1])
        if band is None:
            continue
        low, high = band
        if is_distance(name):
            worse = series.last > high
        elif name.endswith("/covered"):
            worse = series.last < low
        else:
            continue
        return f"{'behind' if worse else 'on track'}: {_beside(name, series, expected)}"
    return ""


def _left(series: Series, band: Band) -> float | None:
    """Images after which a curve was beyond its band without coming back; None if it was not."""
    last = band.images[-1] if band.images else 0.0
    size = last / STRETCHES
    since, count = None, 0
    for images, value in gathered(series, size):
        limits = band.at(images)
        if limits is None:
            continue
        if limits[0] <= value <= limits[1]:
            since, count = None, 0
        else:
            since, count = (images if since is None else since), count + 1
    return since if count >= LASTING else None


def gathered(series: Series, size: float) -> list[tuple[float, float]]:
    """A series in few points: means over stretches of images, each at its last point.

    Args:
        series: Any series.
        size: Images in a stretch.

    Returns:
        Images and mean of each stretch that has a point.
    """
    groups: dict[int, list[tuple[float, float]]] = {}
    for images, value in zip(series.images, series.values, strict=True):
        groups.setdefault(math.ceil(images / size), []).append((images, value))
    return [
        (points[-1][0], math.fsum(value for _, value in points) / len(points))
        for points in groups.values()
    ]


def _beside(name: str, series: Series, expected: Expected) -> str:
    """The last value of a curve that has a band, and the band."""
    for images, value in reversed(gathered(series, max(series.images[-1] / STRETCHES, 1.0))):
        if (limits := expected.bands[name].at(images)) is not None:
            low, high = limits
            return (
                f"{name} is {value:.3g} at {images:,.0f} images, where {low:.3g} to {high:.3g} is "
                "expected"
            )
    return name
