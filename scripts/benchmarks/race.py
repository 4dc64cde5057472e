"""Seconds and images until a recipe reaches a quality, as of a speedrun: the recipe as it stands.

Each race is a recipe, run by the command line with more frequent validations, and what its samples
must reach; every validation measures as many fresh samples of the averaged generator as the recipe
does. The clock runs while it trains, and stands while it is measured; the seconds of measuring are
told beside it. A race ends when all that is asked for holds in one validation, when the recipe's
budget is spent, or when --minutes of training have passed.

Finished races are lines of a file in JSON and are not run again; one that was interrupted goes on
from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - finds the package
from lightning.pytorch import Trainer

from benchmarks.measure import (
    RECORDS,
    call,
    circumstances,
    markdown,
    parser,
    put_table,
    shown,
    spread,
    told,
)
from lightning_gan.callbacks.base import GANCallback
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.cli import program
from lightning_gan.gan import GAN

RESULTS = RECORDS / "race.jsonl"


@dataclass(frozen=True)
class Race:
    """What is run, and what must be reached.

    Args:
        recipe: Its name.
        least: The least values, by their names in the logs.
        most: The largest values, likewise.
        every: Images between two validations.
        goal: The same in words.
        options: More options of the command line.
    """

    recipe: str
    least: dict[str, float] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)
    every: int = 10_000
    goal: str = ""
    options: tuple[str, ...] = ()

    def reached(self, values: dict[str, float]) -> bool:
        """Whether the values of a validation are good enough."""
        return all(values[name] >= limit for name, limit in self.least.items()) and all(
            values[name] <= limit for name, limit in self.most.items()
        )

    def told(self, values: dict[str, float]) -> dict[str, float]:
        """Those of the values that count."""
        return {name: values[name] for name in (*self.least, *self.most)}


RACES = {
    "ring": Race(
        "mlp_ring",
        least={"modes/ring8/covered_robust": 8, "modes/ring8/high_quality": 0.95},
        every=100_000,
        goal="8 of 8 modes robustly, 95 % of high quality",
    ),
    "grid": Race(
        "mlp_grid",
        least={"modes/grid25/covered_robust": 25},
        every=100_000,
        goal="25 of 25 modes robustly",
    ),
    "mnist": Race(
        "rpgan_mnist",
        least={"modes/mnist/covered": 10},
        most={"fid/mnist_cnn_debiased": 2.0},
        every=10_000,
        goal="10 of 10 digits, distance at most 2.0 over its floor",
    ),
    "stacked_mnist": Race(
        "rpgan_small_stacked_mnist",
        least={"modes/stacked_mnist/covered": 1000},
        most={"modes/stacked_mnist/kl": 0.06},
        every=100_000,
        goal="1000 of 1000 modes, a reverse KL of at most 0.06",
    ),
    "cifar10": Race(
        "crpgan_small_cifar10",
        most={"fid/cifar10_cnn_debiased": 20.0},
        every=20_000,
        goal="distance of the bundled extractor at most 20 over its floor",
    ),
    "digits": Race(
        "rpgan_digits",
        least={"modes/digits/covered": 10},
        most={"fid/digits_cnn_debiased": 1.0},
        every=10_000,
        goal="10 of 10 digits, distance at most 1.0 over its floor",
    ),
}
RACES |= {
    "mnist_dcgan": replace(RACES["mnist"], recipe="dcgan_mnist", every=20_000),
    "digits_dcgan": replace(RACES["digits"], recipe="dcgan_digits"),
}
"""The best recipes, and DCGAN's to the same goals beside them."""


class Goal(GANCallback):
    """Ends a training when its race is won or lost, and writes down how it went."""

    race: Race
    path: Path
    limit: float
    """The race of this process, where its result goes, and its seconds of training, as the command
    line makes the callback without arguments."""

    def __init__(self) -> None:
        self.seconds = self.measuring = 0.0
        self.looks: list[dict[str, Any]] = []

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Starts the clock, or starts it again."""
        self._started = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, gan: GAN) -> None:
        """Stops it."""
        self._stop()

    def on_validation_end(self, trainer: Trainer, gan: GAN) -> None:
        """Looks at what was measured, and starts it again."""
        now = time.perf_counter()
        self.measuring += now - self._started
        self._started = now
        samples = measurements(trainer).samples
        images = gan.progress.images
        if samples is None or (self.looks and self.looks[-1]["images"] == images):
            return
        values = samples.logged()
        look = {"images": images, "seconds": round(self.seconds, 2), **self.race.told(values)}
        self.looks.append(look)
        if self.race.reached(values) or self.seconds >= self.limit:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, gan: GAN) -> None:
        """Writes down how it went."""
        won = bool(self.looks) and self.race.reached(self.looks[-1])
        spent = gan.progress.images >= (gan.max_images or 0)
        if won or spent or self.seconds >= self.limit:
            result = {"reached": won, "measuring": round(self.measuring, 1), "looks": self.looks}
            self.path.write_text(json.dumps(result), encoding="utf-8")

    def state_dict(self) -> dict[str, Any]:
        """The clock and what was seen."""
        clock = getattr(self, "_started", time.perf_counter())
        seconds = self.seconds + time.perf_counter() - clock
        return {"seconds": seconds, "measuring": self.measuring, "looks": self.looks}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them up."""
        self.seconds, self.measuring = state_dict["seconds"], state_dict["measuring"]
        self.looks = state_dict["looks"]

    def _stop(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self._started
        self._started = now


def train(name: str, seed: int, folder: str, result: str, limit: float, options: list[str]) -> None:
    """Runs one race to its end, or from where it was interrupted."""
    race = RACES[name]
    Goal.race, Goal.path, Goal.limit = race, Path(result), limit
    sys.argv = ["lightning-gan"]
    words = ["fit", "--config", race.recipe, "--seed_everything", str(seed), *race.options]
    words += ["--model.validate_every", str(race.every), "--ckpt_path", "last"]
    words += ["--trainer.default_root_dir", folder, "--trainer.callbacks", "benchmarks.race.Goal"]
    sys.exit(program.run([*words, *options]))


def finished(path: Path) -> list[dict[str, Any]]:
    """The races that have been run."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def run(name: str, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """One line of the results."""
    folder = asked.runs / f"{name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "result.json"
    options = asked.options.split()
    how = {"folder": str(folder), "result": str(path), "limit": 60 * asked.minutes}
    with circumstances(asked.threads) as around:
        call("benchmarks.race:train", asked.threads, name=name, seed=seed, options=options, **how)
        if not path.exists():
            sys.exit(f"Race {name}, seed {seed}, was interrupted: give the same command again.")
    found = json.loads(path.read_text(encoding="utf-8"))
    line = {"race": name, "recipe": RACES[name].recipe, "seed": seed, "options": options}
    return line | {"goal": RACES[name].goal, "minutes": asked.minutes, **found, **around}


def table(results: list[dict[str, Any]]) -> str:
    """A row for each race, over its seeds."""
    head = ("recipe", "until", "reached", "training, s", "measuring, s", "images", "at the end")
    rows, groups = [], dict[tuple[str, ...], list[dict[str, Any]]]()
    for line in results:
        options = " ".join(line["options"])
        groups.setdefault((line["race"], line["recipe"], line["goal"], options), []).append(line)
    for (_, recipe, goal, options), lines in groups.items():
        ends = [line["looks"][-1] for line in lines]
        won = sum(line["reached"] for line in lines)
        best = {
            key: spread([end[key] for end in ends])
            for key in ends[0]
            if key not in ("images", "seconds")
        }
        rows.append(
            (
                f"`{recipe}` {options}".strip(),
                goal,
                f"{won} of {len(lines)} seeds",
                shown(spread([end["seconds"] for end in ends]), ".0f"),
                shown(spread([line["measuring"] for line in lines]), ".0f"),
                shown(spread([end["images"] for end in ends]), ",.0f"),
                "; ".join(f"{key} {shown(value, '.4g')}" for key, value in best.items()),
            )
        )
    return markdown(head, rows)


def recorded_table(path: Path = RESULTS) -> str:
    """The table of a file of results, with the circumstances of each race."""
    results = finished(path)
    lines = [f"* {line['race']}, seed {line['seed']}: {told(line)}" for line in results]
    return "\n\n".join([table(results), "\n".join(lines)])


def main(arguments: list[str]) -> None:
    """Runs the races that have not been run; takes minutes to hours."""
    options = parser(__doc__)
    options.add_argument("--races", nargs="+", choices=list(RACES), default=["digits", "ring"])
    options.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options.add_argument("--minutes", type=float, default=30, help="of training, at most")
    options.add_argument("--options", default="", help="more options of fit, in one word")
    options.add_argument("--results", type=Path, default=RESULTS)
    options.add_argument("--runs", type=Path, default=Path("runs/race"), help="where they lie")
    asked = options.parse_args(arguments)
    if asked.quick:
        asked.minutes, asked.seeds = 0.1, asked.seeds[:1]
    known = {(line["race"], line["seed"], *line["options"]) for line in finished(asked.results)}
    for seed in asked.seeds:
        for name in asked.races:
            if (name, seed, *asked.options.split()) not in known:
                line = run(name, seed, asked)
                print(json.dumps(line), flush=True)
                asked.results.parent.mkdir(parents=True, exist_ok=True)
                with asked.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
    print(recorded_table(asked.results))
    if asked.record:
        put_table("race")
