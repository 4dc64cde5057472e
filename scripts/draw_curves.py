"""Draws the curves of a run against the images seen.

    python scripts/draw_curves.py runs/dcgan_digits/version_0 .github/pictures/quickstart_curves.png

Needs matplotlib (pip install matplotlib).
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.use("Agg")


def read(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv, each with the images seen until then."""
    rows, images = [], 0.0
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = {key: float(value) for key, value in row.items() if key and value}
            images = values.get("progress/images", images)
            rows.append(values | {"progress/images": images})
    return rows


def keys_of(rows: list[dict[str, float]]) -> list[dict[str, str]]:
    """Which column each line of each panel shows."""
    known = sorted({key for row in rows for key in row})
    distances = [key for key in known if key.startswith("fid/") and f"{key}_floor" in known]
    return [
        {"D(x)": "gan/d_real", "D(G(z))": "gan/d_fake"},
        {"discriminator": "gradient_norm/discriminator", "generator": "gradient_norm/generator"},
        {"samples": distances[0], "a perfect generator": f"{distances[0]}_floor"},
    ]


def main(run: Path, picture: Path) -> None:
    """Draws three panels side by side."""
    rows = read(run / "metrics.csv")
    titles = ("D(x) and D(G(z)) in training", "norms of the gradients", "Frechet distance")
    figure, axes = plt.subplots(1, 3, figsize=(12, 3), dpi=100, layout="constrained")
    for axis, title, lines in zip(axes, titles, keys_of(rows), strict=True):
        for label, key in lines.items():
            points = [
                (row["progress/images"] / 1000, row[key])
                for row in rows
                if math.isfinite(row.get(key, math.nan))
            ]
            style = "--" if "perfect" in label else "-"
            axis.plot(*zip(*points, strict=True), style, label=label, linewidth=1.2)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("thousands of images seen", fontsize=9)
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    axes[2].set_yscale("log")
    figure.savefig(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
