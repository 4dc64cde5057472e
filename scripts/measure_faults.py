"""Measures generators with known faults, made of genuine MNIST, and writes which metric sees which.

    python scripts/measure_faults.py run --results docs/metrics.jsonl      # under four minutes
    python scripts/measure_faults.py table --results docs/metrics.jsonl --into docs/metrics.md

A generator is 5000 pictures. Perfect ones, digits that are not among the 5000 reals, are drawn
several times; a metric sees a fault where its value leaves the range of theirs. Each measurement
is a line of the file of results; what is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import checkout  # noqa: F401 - finds the package
import torch
from provenance import provenance
from torch import Tensor
from torch.nn.functional import pad
from torchvision.datasets import MNIST
from torchvision.transforms.functional import gaussian_blur
from tqdm import tqdm

from lightning_gan.basics.images import from_uint8
from lightning_gan.metrics import (
    ClassCoverage,
    ClassifierScore,
    Duplicates,
    FeatureSuite,
    FrechetDistance,
    KernelDistance,
    Memorisation,
    Neighbours,
    ReferenceFeatures,
    ReferenceStatistics,
    VendiScore,
    get_extractor,
)
from lightning_gan.metrics.samples import SampleBatch

RESULTS = Path("runs/metrics.jsonl")
SAMPLES = 5000
SEEDS = 6
"""Draws of reals and of perfect generators; faults are measured on the first."""
BATCH = 500
Results = dict[tuple[str, int], dict[str, Any]]  # by generator and seed
MARKS = "<!-- made by scripts/measure_faults.py -->", "<!-- end of what is made -->"
DEVIATIONS, SHARE = 6.0, 0.02
"""How far from the mean of perfect generators their range reaches: so many deviations, or that
share of the mean where that is more."""


class Digits(NamedTuple):
    """Pictures (N, 1, 28, 28) in [-1, 1] and their labels (N,)."""

    images: Tensor
    labels: Tensor

    def first(self, keep: Tensor | None = None) -> Tensor:
        """The first 5000 images, of those that are kept."""
        found = self.images if keep is None else self.images[keep]
        assert len(found) >= SAMPLES
        return found[:SAMPLES]


class Draw(NamedTuple):
    """Genuine digits in the roles that they have in one measurement."""

    real: Digits
    other: Digits
    held_out: Digits
    test: Digits
    seed: int

    @property
    def random(self) -> torch.Generator:
        """Random numbers that depend on the seed alone."""
        return torch.Generator().manual_seed(self.seed)


def draw(root: Path, seed: int) -> Draw:
    """The first 5000 of the training set, mixed by the seed, are the reals."""
    random = torch.Generator().manual_seed(seed)

    def halves(train: bool) -> tuple[Digits, Digits]:
        data = MNIST(root, train=train)
        order = torch.randperm(len(data.data), generator=random)
        images, labels = from_uint8(data.data[order, None]), data.targets[order]
        first, rest = slice(SAMPLES), slice(SAMPLES, None)
        return Digits(images[first], labels[first]), Digits(images[rest], labels[rest])

    return Draw(*halves(train=True), *halves(train=False), seed)


def noisy(d: Draw, deviation: float) -> Tensor:
    """Other digits with Gaussian noise on [-1, 1]."""
    images = d.other.first()
    return (images + deviation * torch.randn(images.shape, generator=d.random)).clamp(-1, 1)


def with_copies(d: Draw, count: int) -> Tensor:
    """Other digits, some of which make room for copies of reals."""
    return torch.cat([d.real.images[:count], d.other.images[: SAMPLES - count]])


def half_of(d: Draw, digit: int) -> Tensor:
    """Other digits without every second one of a class."""
    hit = d.other.labels == digit
    return d.other.first(~hit | (hit.cumsum(0) % 2 == 0))


def one_per_class(d: Draw) -> Tensor:
    """The first other digit of each class, all of them equally often."""
    chosen = [int((d.other.labels == digit).nonzero()[0]) for digit in range(10)]
    return d.other.images[chosen].repeat(SAMPLES // 10, 1, 1, 1)


CLEAN: dict[str, Callable[[Draw], Tensor]] = {
    "other training digits": lambda d: d.other.first(),
    "test digits": lambda d: d.test.first(),
}
FAULTS: dict[str, Callable[[Draw], Tensor]] = {
    "half of the 8s missing": lambda d: half_of(d, 8),
    "no 8": lambda d: d.other.first(d.other.labels != 8),
    "no 5 to 9": lambda d: d.other.first(d.other.labels < 5),
    "only 1s": lambda d: d.other.first(d.other.labels == 1),
    "one picture per class": one_per_class,
    "noise 0.1": lambda d: noisy(d, 0.1),
    "noise 0.3": lambda d: noisy(d, 0.3),
    "blurred": lambda d: gaussian_blur(d.other.first(), [5, 5], [1.0, 1.0]).clamp(-1, 1),
    "shifted by 4 pixels": lambda d: pad(d.other.first()[..., :-4], (4, 0), value=-1.0),
    "each real once": lambda d: d.real.images,
    "reals with replacement": lambda d: d.real.images[
        torch.randint(SAMPLES, (SAMPLES,), generator=d.random)
    ],
    "half copies": lambda d: with_copies(d, SAMPLES // 2),
    "one tenth copies": lambda d: with_copies(d, SAMPLES // 10),
}
COLUMNS = {
    "fid": ("fid/mnist_cnn", ".3f"),
    "fid pixel": ("fid/pixel", ".2f"),
    "kid": ("kid/mnist_cnn", ".4f"),
    "precision": ("precision/mnist_cnn", ".3f"),
    "recall": ("recall/mnist_cnn", ".3f"),
    "density": ("density/mnist_cnn", ".3f"),
    "coverage": ("coverage/mnist_cnn", ".3f"),
    "nn1 real": ("nn1/mnist_cnn_real", ".3f"),
    "nn1 fake": ("nn1/mnist_cnn_fake", ".3f"),
    "vendi": ("vendi/mnist_cnn", ".2f"),
    "is": ("is/mnist_cnn", ".2f"),
    "covered": ("modes/mnist/covered", ".1f"),
    "min_share": ("modes/mnist/min_share", ".3f"),
    "auth": ("auth/mnist_cnn", ".1f"),
    "ct": ("ct/mnist_cnn", ".1f"),
    "dup exact": ("dup/exact", ".0f"),
    "dup ratio": ("dup/mnist_cnn_min_pair_ratio", ".3f"),
}


# --------------------------------------------------------------------------------------- measuring


class Instruments:
    """All metrics against the reals of a draw; Frechet distances against all training images."""

    def __init__(self, d: Draw, frechet: list[FrechetDistance]) -> None:
        extractor = get_extractor("mnist_cnn")
        reals = ReferenceFeatures.from_samples(
            d.real.images, extractor, d.held_out.images, d.real.labels
        )
        kinds = (KernelDistance, Neighbours, VendiScore, Memorisation, Duplicates)
        self.metrics = [
            *frechet,
            FeatureSuite([kind(extractor, reals) for kind in kinds]),
            ClassifierScore(extractor),
            ClassCoverage(extractor, torch.bincount(d.real.labels), "mnist"),
        ]

    def values(self, images: Tensor) -> dict[str, float]:
        """Every value of a generator, by its key."""
        for part in torch.split(images, BATCH):
            batch = SampleBatch(part)
            for metric in self.metrics:
                metric.update(batch)
        found = {key: float(x) for m in self.metrics for key, x in m.compute().logged().items()}
        for metric in self.metrics:
            metric.reset()
        return found


def frechet_distances(root: Path) -> list[FrechetDistance]:
    """To all 60,000 training images, by the features and by the pixels."""
    images = MNIST(root, train=True).data[:, None]
    extractors = [get_extractor(name) for name in ("mnist_cnn", "pixel")]
    return [FrechetDistance(e, ReferenceStatistics.from_samples(images, e)) for e in extractors]


def measure(
    root: Path, names: list[str], seed: int, frechet: list[FrechetDistance]
) -> Iterator[dict[str, Any]]:
    """The results of some generators, one by one."""
    d = draw(root, seed)
    instruments, generators = Instruments(d, frechet), CLEAN | FAULTS
    for name in names:
        started = time.perf_counter()
        values = instruments.values(generators[name](d))
        yield {
            "generator": name,
            "seed": seed,
            "values": values,
            "seconds": round(time.perf_counter() - started, 1),
            "extractor": get_extractor("mnist_cnn").fingerprint[:16],
            **provenance(),
        }


def finished(path: Path) -> Results:
    """The results that are there, by generator and seed."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    return {(r["generator"], r["seed"]): r for r in found}


def run_all(root: Path, path: Path) -> None:
    """Makes all results that are not there yet."""
    known = finished(path)
    wanted = [(name, seed) for seed in range(SEEDS) for name in CLEAN | ({} if seed else FAULTS)]
    missing = [key for key in wanted if key not in known]
    if not missing:
        return
    path.parent.mkdir(exist_ok=True)
    frechet = frechet_distances(root)
    with tqdm(total=len(missing)) as bar:
        for seed in range(SEEDS):
            names = [name for name, s in missing if s == seed]
            for result in measure(root, names, seed, frechet) if names else ():
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
                bar.update()


# --------------------------------------------------------------------------------------- the table


def spread(results: Results, name: str, key: str) -> tuple[float, float]:
    """Mean and standard deviation of the values of a perfect generator."""
    values = [r["values"][key] for (n, _), r in results.items() if n == name]
    return statistics.mean(values), statistics.stdev(values)


def ranges(results: Results) -> dict[str, tuple[float, float]]:
    """Within what the values of perfect generators lie, by column."""
    found = {}
    for column, (key, _) in COLUMNS.items():
        ends = []
        for name in CLEAN:
            mean, deviation = spread(results, name, key)
            reach = max(DEVIATIONS * deviation, SHARE * abs(mean))
            ends += [mean - reach, mean + reach]
        found[column] = min(ends), max(ends)
    return found


def seen_by(results: Results, name: str) -> dict[str, str]:
    """The columns whose value leaves the range of perfect generators, and in which direction."""
    values, found = results[name, 0]["values"], {}
    for column, (low, high) in ranges(results).items():
        value = values[COLUMNS[column][0]]
        if not low <= value <= high:
            found[column] = "↓" if value < low else "↑"
    return found


def number(value: float, form: str) -> str:
    """The number in that form, and no negative zero."""
    text = f"{value:{form}}"
    return text if float(text) else text.lstrip("-")


def table(path: Path) -> str:
    """All generators, with the metrics that see them."""
    results = finished(path)
    lines = [f"| generator | {' | '.join(COLUMNS)} | seen by |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name in CLEAN:
        cells = []
        for key, form in COLUMNS.values():
            cells.append(" ± ".join(number(x, form) for x in spread(results, name, key)))
        lines.append(f"| {name} | {' | '.join(cells)} | |")
    limits = ranges(results)
    cells = [
        " to ".join(number(end, form) for end in limits[column])
        for column, (_, form) in COLUMNS.items()
    ]
    lines.append(f"| *range of these* | {' | '.join(cells)} | |")
    for name in FAULTS:
        values = results[name, 0]["values"]
        cells = [number(values[key], form) for key, form in COLUMNS.values()]
        seen = ", ".join(f"{column} {arrow}" for column, arrow in seen_by(results, name).items())
        lines.append(f"| {name} | {' | '.join(cells)} | {seen} |")
    return "\n".join(lines) + "\n"


def put(text: str, into: Path, marks: tuple[str, str]) -> None:
    """Puts the table between its marks in a document."""
    before, _, rest = into.read_text(encoding="utf-8").partition(marks[0])
    _, _, after = rest.partition(marks[1])
    whole = f"{before}{marks[0]}\n\n{text}\n{marks[1]}{after}"
    into.write_text(whole, encoding="utf-8")


def command_line(
    description: str,
    run: Callable[[Path, Path], None],
    table: Callable[[Path], str],
    default: Path,
    marks: tuple[str, str],
) -> None:
    """The commands ``run`` and ``table`` of a script that measures.

    Args:
        description: What it does.
        run: Makes, of the data in a folder, the results in a file that are not there yet.
        table: The table of the results in a file.
        default: Where these lie.
        marks: Between which a document has the table.
    """
    parser = argparse.ArgumentParser(description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="make the results that are not there yet")
    running.add_argument("--root", type=Path, default=Path("data"), help="where MNIST lies")
    running.add_argument("--threads", type=int, default=1, help="threads of torch")
    showing = commands.add_parser("table", help="print the table of the results")
    showing.add_argument("--into", type=Path, help="a document to put the table into")
    for command in (running, showing):
        command.add_argument("--results", type=Path, default=default)
    arguments = parser.parse_args()
    if arguments.command == "run":
        torch.set_num_threads(arguments.threads)
        run(arguments.root, arguments.results)
    elif not arguments.results.exists():
        parser.error(f"no results in '{arguments.results}' yet; 'run' makes them")
    elif arguments.into:
        put(table(arguments.results), arguments.into, marks)
    else:
        print(table(arguments.results), end="")


if __name__ == "__main__":
    command_line(__doc__.splitlines()[0], run_all, table, RESULTS, MARKS)
