"""Makes the bands of a recipe's expected curves from those of its recorded seeds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - finds the package

from lightning_gan.runs.curves import IMAGES, Curves, Series
from lightning_gan.runs.expected import HIGH, LOW, STRETCHES, gathered, is_distance
from lightning_gan.runs.expected import IMAGES as COLUMN

SEEDS = 3
"""Fewer say too little of how far seeds lie apart."""
BANDS = ("gan/d_real", "gan/d_fake", "gradient_norm/")
Limits = dict[float, tuple[float, float]]


def read_kept(path: Path) -> Curves:
    """A curve of `results/curves`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for name in rows[0].keys() - {IMAGES}:
        points = [(float(row[IMAGES]), float(row[name])) for row in rows if row[name]]
        if points:
            images, values = zip(*points, strict=True)
            found[name] = Series(images, values)
    return found


def has_band(name: str) -> bool:
    """Whether a curve of that name is shipped."""
    return name.startswith(BANDS) or is_distance(name) or name.endswith("/covered")


def noise(name: str, value: float, floor: float) -> float:
    """How far a value moves if it is measured once more.

    Args:
        name: In the logs.
        value: The value.
        floor: The distance that a perfect generator would score; the noise of one is a part of it.
    """
    if is_distance(name):
        return floor / 4
    return 0.5 if name.endswith("/covered") else 0.02 * max(abs(value), 0.5)


def limits(name: str, seeds: list[Series], size: float, floor: float) -> Limits:
    """The least and the most of the seeds in each stretch, widened."""
    groups: dict[float, list[float]] = {}
    for series in seeds:
        for images, value in gathered(series, size):
            groups.setdefault(images, []).append(value)
    found = {}
    for images, values in groups.items():
        if len(values) == len(seeds):
            low, high = min(values), max(values)
            room = (high - low) / 2 + noise(name, high, floor)
            found[images] = (low - room, high + room)
    return found


def expected_curves(made: str, curves: list[Curves], budget: float, floor: float) -> str:
    """The text of `recipes/expected/NAME.csv`.

    Args:
        made: How, in a line.
        curves: Of each seed.
        budget: Images of the recipe.
        floor: As in `noise`.
    """
    names = sorted(set.intersection(*(set(filter(has_band, each)) for each in curves)))
    bands = {
        name: limits(name, [each[name] for each in curves], budget / STRETCHES, floor)
        for name in names
    }
    text = io.StringIO()
    text.write(f"# {made}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([COLUMN, *(name + end for name in names for end in (LOW, HIGH))])
    for images in sorted({images for band in bands.values() for images in band}):
        pairs: Iterable[Any] = (bands[name].get(images, ("", "")) for name in names)
        cells = [f"{x:.4g}" if x != "" else "" for pair in pairs for x in pair]
        writer.writerow([f"{images:.0f}", *cells])
    return text.getvalue()
