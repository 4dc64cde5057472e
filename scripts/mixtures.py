"""The tables of docs/mixtures.md: recorded runs beside those of VEEGAN and PacGAN.

    python scripts/run_recipes.py run --only mlp_ring mlp_grid --seeds 0 1 2 3 4 5 6 7 8 9
    python scripts/results.py

The first line makes the trials, the second writes the tables from the lines in `results/`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from checkout import ROOT

from lightning_gan.recipes import Recipe

if TYPE_CHECKING:
    from results import Row

PAGE = ROOT / "docs" / "mixtures.md"
BEGIN, END = "<!-- tables: made by scripts/mixtures.py -->", "<!-- end of the tables -->"
VEEGAN, PACGAN = "Srivastava et al. 2017, Table 1", "Lin et al. 2018, Table 1"
TITLES = {"Ring": "Eight Gaussians in a ring", "Grid": "Twenty-five Gaussians in a grid"}
PUBLISHED: dict[str, list[tuple[str, ...]]] = {
    "Ring": [
        ("GAN", "5", "1", "99.3", "-", "-", VEEGAN),
        ("ALI", "5", "2.8", "0.13", "-", "-", VEEGAN),
        ("Unrolled GAN", "5", "7.6", "35.6", "-", "-", VEEGAN),
        ("VEEGAN", "5", "8", "52.9", "-", "-", VEEGAN),
        ("GAN", "10", "6.3 ± 0.5", "98.2 ± 0.2", "0.45 ± 0.09", "-", PACGAN),
        ("ALI", "10", "6.6 ± 0.3", "97.6 ± 0.4", "0.36 ± 0.04", "-", PACGAN),
        ("PacGAN2", "10", "7.9 ± 0.1", "95.6 ± 2.0", "0.07 ± 0.03", "-", PACGAN),
        ("PacGAN3", "10", "7.8 ± 0.1", "97.7 ± 0.3", "0.10 ± 0.02", "-", PACGAN),
        ("PacGAN4", "10", "7.8 ± 0.1", "95.9 ± 1.4", "0.07 ± 0.02", "-", PACGAN),
        ("a perfect sampler", "", "8", "98.9", "0.0014", "0.97", ""),
    ],
    "Grid": [
        ("GAN", "5", "3.3", "0.5", "-", "-", VEEGAN),
        ("ALI", "5", "15.8", "1.6", "-", "-", VEEGAN),
        ("Unrolled GAN", "5", "23.6", "16", "-", "-", VEEGAN),
        ("VEEGAN", "5", "24.6", "40", "-", "-", VEEGAN),
        ("GAN", "10", "17.3 ± 0.8", "94.8 ± 0.7", "0.70 ± 0.07", "-", PACGAN),
        ("ALI", "10", "24.1 ± 0.4", "95.7 ± 0.6", "0.14 ± 0.03", "-", PACGAN),
        ("PacGAN2", "10", "23.8 ± 0.7", "91.3 ± 0.8", "0.13 ± 0.04", "-", PACGAN),
        ("PacGAN3", "10", "24.6 ± 0.4", "94.2 ± 0.4", "0.06 ± 0.02", "-", PACGAN),
        ("PacGAN4", "10", "24.8 ± 0.2", "93.6 ± 0.6", "0.04 ± 0.01", "-", PACGAN),
        ("a perfect sampler", "", "25", "98.9", "0.0048", "0.97", ""),
    ],
}
"""Method, trials, modes, high quality in %, KL, std_ratio, source."""


def with_error(values: list[float], form: str) -> str:
    """Mean and standard error of the mean, as PacGAN's table has them; the value alone of one."""
    mean = f"{statistics.mean(values):{form}}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):{form}}"


def cells(row: Row) -> list[str]:
    """A recipe's line in the table."""
    quality = [100 * value for value in row.values("/high_quality")]
    return [
        f"`{row.recipe}`",
        str(len(row.runs)),
        with_error(row.values("/covered"), ".1f"),
        with_error(quality, ".1f"),
        with_error(row.values("/kl"), ".4f"),
        with_error(row.values("/std_ratio"), ".2f"),
        f"here, {row.minutes:.1f} CPU minutes each",
    ]


def tables(found: Iterable[Row]) -> Iterator[str]:
    """The lines between the marks."""
    runs = [row for row in found if row.whole]
    for data, published in PUBLISHED.items():
        yield f"### {TITLES[data]}"
        yield ""
        yield "| method | trials | modes | high quality, % | reverse KL | `std_ratio` | source |"
        yield "|---|---|---|---|---|---|---|"
        ours = [row for row in runs if Recipe.read(row.recipe).data.split(".")[-1] == data]
        for line in [*published, *map(cells, ours)]:
            yield f"| {' | '.join(line)} |"
        yield ""


def page(found: Iterable[Row]) -> str:
    """docs/mixtures.md with today's tables."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, "", *tables(found), END]) + after
