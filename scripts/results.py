"""Rewrites what the project says of its runs, from the lines in `results/`.

    python scripts/results.py

Those are the tables and pictures of docs/results.md, the tables of docs/mixtures.md, the last
sentence of each recipe's header, the bands of expected curves, and the README's table of the best
known recipes and its count of those that have been run.
A test holds them against the lines. What stands above and below the tables is written by hand.
"""

from __future__ import annotations

import math
import re
import statistics
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import mixtures
from checkout import ROOT
from expected_curves import SEEDS, expected_curves, read_kept
from PIL import Image, ImageDraw
from run_recipes import is_own, lines_of, settings_hash

from lightning_gan.recipes import Recipe, expected_file, recipe_file, recipe_names

RESULTS = ROOT / "results"
PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
SHEETS = ROOT / "docs" / "pictures"
BEGIN, END = "<!-- tables: made by scripts/results.py -->", "<!-- end of the tables -->"
NEVER_RUN = "No full run yet."
PAPERS_FID = re.compile(r"FID (?:of|is) (\d+(?:\.\d+)?)")
README_HEAD = "| recipe | loss | distance | digits | seeds | CPU minutes |\n"
BEST_KNOWN = {
    "minimax_mnist": "minimax, Goodfellow et al. 2014",
    "ns_mnist": "non-saturating, Goodfellow et al. 2014",
    "cgan_mnist": "conditional GAN, Mirza and Osindero 2014",
    "lsgan_mnist": "least squares, Mao et al. 2017",
    "acgan_mnist": "auxiliary classifier, Odena et al. 2017",
    "hinge_mnist": "hinge, Lim and Ye 2017",
    "pacgan2_mnist": "packs of two, Lin et al. 2018",
    "rasgan_mnist": "relativistic average, Jolicoeur-Martineau 2018",
    "rpgan_mnist": "relativistic pairing, Huang et al. 2024",
    "adc_long_mnist": "ADC-GAN, Hou et al. 2022, rates that fall",
}
"""The recipes of the README's table, all on MNIST, with what is known of each."""
Values = dict[str, Any]


class Row(NamedTuple):
    """The runs of a recipe with its settings of today.

    Args:
        recipe: Its name.
        runs: A line for each seed.
    """

    recipe: str
    runs: list[Values]

    @property
    def whole(self) -> bool:
        """Whether they went to the end of the recipe's budget, or to their own."""
        return all(
            run["images"] >= run["budget"] or run["state"] in ("finished", "diverged")
            for run in self.runs
        )

    @property
    def share(self) -> float:
        """Of the budget, in the first run."""
        return min(1.0, self.runs[0]["images"] / self.runs[0]["budget"])

    def values(self, *ending: str, of: str = "averaged") -> list[float]:
        """What was measured of the averaged or of the raw generator, a value for each seed.

        A seed is left out where nothing was to be measured, as the width of modes without a point.
        """
        found = []
        for run in self.runs:
            values = (run[of] or {}).get("values", {})
            found += [value for name, value in values.items() if name.endswith(ending)][:1]
        return [value for value in found if value is not None]

    @property
    def distance(self) -> str:
        """The name of the Frechet distance, as in `fid/mnist_cnn`."""
        for run in self.runs:
            for name in (run["averaged"] or {}).get("values", {}):
                if re.fullmatch(r"fid/\w+(?<!_floor)(?<!_debiased)", name):
                    return str(name)
        return "fid/"

    @property
    def minutes(self) -> float:
        """Of CPU, evaluations in the course of training included."""
        return statistics.mean(run["cpu_seconds"] for run in self.runs) / 60


def rows() -> list[Row]:
    """All recipes that have been run with the settings that they have today."""
    found = []
    for name in recipe_names():
        today = settings_hash(name)
        latest = {
            run["seed"]: run
            for run in lines_of(RESULTS / f"{name}.jsonl")
            if run["settings"] == today
        }
        if latest:
            found.append(Row(name, [latest[seed] for seed in sorted(latest)]))
    return found


# ----------------------------------------------------------------------------------- the tables


def spread(values: list[float], form: str) -> str:
    """Mean and deviation over the seeds; the value alone of one seed."""
    if not values:
        return "-"
    mean = f"{statistics.mean(values):{form}}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):{form}}"


def percent(values: list[float]) -> str:
    """The same, in per cent."""
    return spread([100 * value for value in values], ".1f")


def distances(values: list[float]) -> str:
    """The same, with two digits at least."""
    return spread(values, ".3f" if values and statistics.mean(values) < 0.1 else ".2f")


def seeds(row: Row) -> str:
    """How many there are."""
    return str(len(row.runs))


def images(row: Row) -> str:
    """Images seen, with what became of the run if it did not end as planned."""
    seen = f"{round(statistics.mean(run['images'] for run in row.runs)):,}"
    diverged = sum(run["state"] == "diverged" for run in row.runs)
    if diverged:
        return f"{seen}; {diverged} of {len(row.runs)} diverged"
    return seen if row.whole else f"{seen}, {100 * row.share:.2g} % of its budget"


def minutes(row: Row) -> str:
    """Of CPU, of one run."""
    return f"{row.minutes:.1f}"


def distance(row: Row) -> str:
    """Of the averaged generator, with the floor."""
    floor = row.values(f"{row.distance}_floor")
    return f"{distances(row.values(row.distance))} ({floor[0]:.2g})" if floor else "-"


def raw(row: Row) -> str:
    """The distance of the generator itself."""
    return distances(row.values(row.distance, of="raw"))


def covered(row: Row) -> str:
    """Modes or classes."""
    return spread(row.values("/covered"), ".3g" if len(row.runs) == 1 else ".1f")


def balance(row: Row) -> str:
    """D(x) and D(G(z)) on held-out data, where the loss gives them."""
    pairs = [run["last"] for run in row.runs]
    real, fake = ([p[n] for p in pairs if n in p] for n in ("val/d_real", "val/d_fake"))
    return f"{statistics.mean(real):.2f}, {statistics.mean(fake):.2f}" if real and fake else "-"


def published(row: Row) -> str:
    """The FID that the recipe's header quotes, of Inception and of the whole budget."""
    found = PAPERS_FID.search(" ".join(Recipe.read(row.recipe).header))
    return found[1] if found else "-"


def authentic(row: Row) -> str:
    """Share of samples that are no copies, by their distance from the nearest training image."""
    reals = spread(row.values("auth/cifar10_cnn_real"), ".0f")
    return f"{spread(row.values('auth/cifar10_cnn'), '.0f')} ({reals})"


Columns = dict[str, Callable[[Row], str]]
OF_CLASSES: Columns = {
    "seeds": seeds,
    "images": images,
    "CPU minutes": minutes,
    "Frechet distance (floor)": distance,
    "of the raw G": raw,
    "classes": covered,
    "smallest share, %": lambda row: percent(row.values("/min_share")),
    "D(x), D(G(z))": balance,
}
OF_POINTS: Columns = {
    "seeds": seeds,
    "points": images,
    "CPU minutes": minutes,
    "modes": covered,
    "high quality, %": lambda row: percent(row.values("/high_quality")),
    "std_ratio": lambda row: spread(row.values("/std_ratio"), ".2f"),
    "KL": lambda row: spread(row.values("/kl"), ".4f"),
}
OF_STACKED: Columns = {
    "seeds": seeds,
    "images": images,
    "CPU minutes": minutes,
    "Frechet distance (floor)": distance,
    "modes": covered,
    "robustly": lambda row: spread(row.values("/covered_robust"), ".0f"),
    "KL": lambda row: spread(row.values("/kl"), ".3f"),
}
OF_PAPERS: Columns = {
    "seeds": seeds,
    "images": images,
    "CPU minutes": minutes,
    "Frechet distance (floor)": distance,
    "classes": covered,
    "FID published": published,
}
OF_FEW: Columns = {
    "seeds": seeds,
    "images": images,
    "CPU minutes": minutes,
    "Frechet distance (floor)": distance,
    "of the raw G": raw,
    "recall": lambda row: spread(row.values("recall/cifar10_cnn"), ".2f"),
    "auth, % (of held-out reals)": authentic,
}
SECTIONS: dict[str, tuple[str, Columns]] = {
    "Ring": ("Eight Gaussians in a ring", OF_POINTS),
    "Grid": ("Twenty-five Gaussians in a grid", OF_POINTS),
    "Digits": ("Handwritten digits, `fid/digits_cnn`", OF_CLASSES),
    "MNIST": ("MNIST, `fid/mnist_cnn`", OF_CLASSES),
    "StackedMNIST": ("Stacked MNIST, `fid/mnist_cnn_x3`", OF_STACKED),
    "CIFAR10": (
        "CIFAR-10: a small part of the papers' budgets but for one, `fid/cifar10_cnn`",
        OF_PAPERS,
    ),
    "ImageFolder": ("500 automobiles as pictures of one's own, `fid/cifar10_cnn`", OF_FEW),
}


def order(row: Row) -> tuple[bool, float]:
    """Best first, the unmeasured last."""
    values = row.values(row.distance)
    return not values, statistics.mean(values) if values else 0.0


def tables(found: list[Row]) -> Iterator[str]:
    """The lines between the marks."""
    for kind, (title, columns) in SECTIONS.items():
        some = [row for row in found if Recipe.read(row.recipe).data.split(".")[-1] == kind]
        if not some:
            continue
        yield f"### {title}"
        yield ""
        yield f"| recipe | {' | '.join(columns)} |"
        yield "|---" * (len(columns) + 1) + "|"
        for row in sorted(some, key=order):
            cells = (make(row) for make in columns.values())
            yield f"| `{row.recipe}` | {' | '.join(cells)} |"
        yield ""
        if (SHEETS / sheet_name(kind)).exists():
            yield f"![Samples of each, seed 0](pictures/{sheet_name(kind)})"
            yield ""


def page(found: list[Row]) -> str:
    """docs/results.md with today's tables."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, "", *tables(found), END]) + after


# --------------------------------------------------------------------------------- the pictures


def sheet_name(kind: str) -> str:
    """The file of a data set's samples."""
    return f"results_{kind.lower()}.png"


def sheet(found: list[Row], points: bool, columns: int = 4, width: int = 230) -> Image.Image | None:
    """The last samples of each recipe, with its name above.

    Args:
        found: Its recipes, in their order.
        points: Whether they are points, which are shown smaller; of pictures a part is shown, and
            all of them where there is one recipe.
        columns: Recipes in a line.
        width: Pixels of each, in both directions.
    """
    files = [(row.recipe, RESULTS / "pictures" / f"{row.recipe}-seed0.png") for row in found]
    files = [(name, file) for name, file in files if file.exists()]  # those of whole runs
    if not files:
        return None
    if len(files) == 1 and not points:
        with Image.open(files[0][1]) as grid:
            columns, width = 1, grid.width
    lines = -(-len(files) // columns)
    label = 16
    whole = Image.new("RGB", (columns * (width + 8), lines * (width + label + 8)), "white")
    draw = ImageDraw.Draw(whole)
    for number, (name, file) in enumerate(files):
        left, top = number % columns * (width + 8), number // columns * (width + label + 8)
        draw.text((left, top), name, fill="black")
        with Image.open(file) as grid:
            shown = grid.convert("RGB")
        if points:
            shown = shown.resize((width, width), Image.Resampling.LANCZOS)
        elif shown.width > width:
            shown = shown.crop((0, 0, width, width))
        whole.paste(shown, (left, top + label))
    return whole


# ---------------------------------------------------------------------------------- the headers


def recorded(row: Row) -> str:
    """The last sentence of a recipe's header."""
    n = len(row.runs)
    parts = []
    if row.values(row.distance) and "identity" not in row.distance:
        floor = row.values(f"{row.distance}_floor")[0]
        parts.append(f"{row.distance} {distances(row.values(row.distance))} (floor {floor:.2g})")
    if row.values("/covered"):
        parts.append(f"{covered(row)} modes")
    if row.values("/high_quality"):
        parts.append(f"{percent(row.values('/high_quality'))} % of high quality")
    parts.append(f"{minutes(row)} CPU minutes")
    parts.append("1 seed" if n == 1 else f"{n} seeds")
    begins = "" if row.whole else f"after {row.runs[0]['images']:,} images, "
    return f"Recorded: {begins}{', '.join(parts)}."


def images_told(recipe: str) -> float:
    """After how many images the run of a header was measured; infinity after its whole budget."""
    told = Recipe.read(recipe).recorded
    if told is None:
        return 0
    after = re.match(r"after ([\d,]+) images", told)
    return float(after[1].replace(",", "")) if after else math.inf


def header(row: Row) -> str:
    """The file of a recipe, with what its header says of runs brought up to date."""
    text = recipe_file(row.recipe).read_text(encoding="utf-8")
    if not row.whole and images_told(row.recipe) > row.runs[0]["images"]:
        return text  # of a longer run elsewhere, such as on a GPU
    lines = text.splitlines(keepends=True)
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    comment = "".join(lines[:end])
    comment = re.sub(r"\n# Recorded: (?:.*\n#)*.*\n", "\n", comment)
    if row.whole:
        comment = re.sub(r"\s(?:# )?" + NEVER_RUN.replace(" ", r"(?: |\n# )"), "", comment)
    sentence = textwrap.fill(recorded(row), 100, initial_indent="# ", subsequent_indent="# ")
    return comment.rstrip() + "\n" + sentence + "\n" + "".join(lines[end:])


def expected(row: Row) -> str | None:
    """The bands of its curves; None of fewer seeds than they need, or of a user's own pictures."""
    if not row.whole or len(row.runs) < SEEDS or is_own(row.recipe):
        return None
    names = [f"{row.recipe}-seed{run['seed']}" for run in row.runs]
    curves = [read_kept(RESULTS / "curves" / f"{name}.csv") for name in names]
    commits = sorted({run["commit"] for run in row.runs})
    made = (
        f"from runs with seeds {', '.join(str(run['seed']) for run in row.runs)} at {commits}, "
        f"{minutes(row)} CPU minutes each, settings {row.runs[0]['settings']}"
    )
    floor = row.values(f"{row.distance}_floor")
    return expected_curves(
        made.replace("'", "").replace("[", "").replace("]", ""),
        curves,
        row.runs[0]["budget"],
        floor[0] if floor else 0.0,
    )


def readme(found: list[Row]) -> str:
    """The README with today's count and table."""
    headers = (" ".join(Recipe.read(name).header) for name in recipe_names())
    count = sum(NEVER_RUN.lower() not in header.lower() for header in headers)
    text = re.sub(r"of which \d+ have", f"of which {count} have", README.read_text("utf-8"))
    before, _, rest = text.partition(README_HEAD)
    table, blank, after = rest.partition("\n\n")
    lines = [table.splitlines()[0]]
    for row in sorted((row for row in found if row.recipe in BEST_KNOWN), key=order):
        value = distances(row.values(row.distance))
        cells = (value, covered(row), seeds(row), minutes(row))
        lines.append(f"| `{row.recipe}` | {BEST_KNOWN[row.recipe]} | {' | '.join(cells)} |")
    return before + README_HEAD + "\n".join(lines) + blank + after


def main() -> None:
    """Writes them all."""
    found = rows()
    for row in found:
        if (text := expected(row)) is not None:
            expected_file(row.recipe).parent.mkdir(exist_ok=True)
            expected_file(row.recipe).write_text(text, encoding="utf-8")
    SHEETS.mkdir(exist_ok=True)
    for kind in SECTIONS:
        some = [row for row in found if Recipe.read(row.recipe).data.split(".")[-1] == kind]
        if picture := sheet(sorted(some, key=order), points=SECTIONS[kind][1] is OF_POINTS):
            picture.save(SHEETS / sheet_name(kind), optimize=True)
    for row in found:
        recipe_file(row.recipe).write_text(header(row), encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8")
    mixtures.PAGE.write_text(mixtures.page(found), encoding="utf-8")
    README.write_text(readme(found), encoding="utf-8")


if __name__ == "__main__":
    main()
