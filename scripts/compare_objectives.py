"""Trains every objective with the same networks, budget and seeds, and writes what came out.

    python scripts/compare_objectives.py run --data ring --seeds 3       # goes on where it was
    python scripts/compare_objectives.py table --results docs/objectives.jsonl

Each run is a line of the file of results; runs that are there already are not made again.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import checkout  # noqa: F401 - finds the package
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from provenance import provenance
from tqdm import tqdm

from lightning_gan import GAN
from lightning_gan.callbacks import Evaluation, StopOnDivergence
from lightning_gan.datamodules import MNIST, Grid, RealData, Ring
from lightning_gan.errors import DivergenceError
from lightning_gan.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    MLPAutoencoderDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
)
from lightning_gan.objectives import (
    BEGAN,
    EBGAN,
    DualContrastive,
    Hinge,
    LeastSquares,
    Minimax,
    MultiHinge,
    NonSaturating,
    Objective,
    RelativisticAverage,
    RelativisticAverageHinge,
    RelativisticAverageLeastSquares,
    RelativisticPairing,
    RelativisticPairingHinge,
    RelativisticPairingLeastSquares,
    SoftmaxGAN,
    TopK,
    Unrolled,
    Wasserstein,
)
from lightning_gan.regularizers import R1, R2, GradientPenalty, Regularizer
from lightning_gan.training.optimizers import GANAdam

RESULTS = Path("runs/objectives.jsonl")
EVALUATIONS = 4
OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "Minimax": Minimax,
    "NonSaturating": NonSaturating,
    "LeastSquares": LeastSquares,
    "Wasserstein": Wasserstein,
    "Hinge": Hinge,
    "RelativisticPairing": RelativisticPairing,
    "RelativisticPairingLeastSquares": RelativisticPairingLeastSquares,
    "RelativisticPairingHinge": RelativisticPairingHinge,
    "RelativisticAverage": RelativisticAverage,
    "RelativisticAverageLeastSquares": RelativisticAverageLeastSquares,
    "RelativisticAverageHinge": RelativisticAverageHinge,
    "DualContrastive": DualContrastive,
    "SoftmaxGAN": SoftmaxGAN,
    "MultiHinge": lambda: MultiHinge(generator_weight=1.0),
    "TopK(NonSaturating)": lambda: TopK(NonSaturating(), share=0.75),
    "Unrolled(NonSaturating)": lambda: Unrolled(NonSaturating(), steps=5),
    "BEGAN": lambda: BEGAN(gamma=0.5),
    "EBGAN": lambda: EBGAN(margin=1.0),
}
PENALTIES: dict[str, Callable[[float], list[Regularizer]]] = {
    "none": lambda weight: [],
    "R1 + R2": lambda weight: [R1(weight), R2(weight)],
}


class Setting(NamedTuple):
    """The same for all objectives on one data set."""

    data: Callable[[int], RealData]
    batch_size: int
    batches: int
    epoch: int
    rate: float
    betas: tuple[float, float]
    penalty: float
    samples: int
    classes: int


SETTINGS = {
    "ring": Setting(lambda b: Ring(b), 256, 3200, 200, 1e-3, (0.0, 0.99), 0.1, 2500, 8),
    "grid": Setting(lambda b: Grid(b), 256, 3200, 200, 1e-3, (0.0, 0.99), 0.1, 2500, 25),
    "mnist": Setting(
        lambda b: MNIST(batch_size=b), 64, 1200, 150, 5e-4, (0.5, 0.99), 0.3, 3000, 10
    ),
}


def model(data: str, objective: Objective, penalty: str, seed: int) -> GAN:
    """The model of one run; its networks differ only where the objective needs others."""
    torch.manual_seed(seed)
    setting = SETTINGS[data]
    classes = setting.classes if objective.reads_labels else 0
    players: dict[str, Any]
    if data == "mnist":
        players = {
            "generator": DCGANGenerator(1, 28, latent_dim=64, width=16, num_classes=classes),
            "discriminator": MLPAutoencoderDiscriminator(1, 28, width=256, code_dim=32)
            if objective.wants_reconstruction
            else DCGANDiscriminator(1, 28, width=16, batch_norm=False),
        }
    else:
        players = {
            "generator": MLPGenerator(2, 0, width=128, depth=3, num_classes=classes),
            "discriminator": MLPAutoencoderDiscriminator(2, 0, width=128, code_dim=1)
            if objective.wants_reconstruction
            else MLPDiscriminator(2, 0, width=128, depth=3),
        }
    regularizers = PENALTIES[penalty](setting.penalty)
    if objective.needs_lipschitz and not regularizers:
        regularizers = [GradientPenalty(1.0)]

    def adam(parameters: Any) -> GANAdam:  # noqa: ANN401 (whatever the model passes)
        return GANAdam(parameters, lr=setting.rate, betas=setting.betas)

    return GAN(
        **players,
        objective=objective,
        regularizers=regularizers,
        generator_optimizer=adam,
        discriminator_optimizer=adam,
        ema_half_life=20 * setting.batch_size,
        max_images=setting.batches * setting.batch_size,
        seed=seed,
    )


class Curve(Callback):
    """Keeps every evaluation."""

    def __init__(self) -> None:
        self.values: list[dict[str, float]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Notes what the other callbacks have logged."""
        names = ("fid/", "modes/")
        self.values.append(
            {
                name: float(value)
                for name, value in trainer.callback_metrics.items()
                if name.startswith(names)
            }
        )


def run(data: str, name: str, penalty: str, seed: int) -> dict[str, Any]:
    """One training, with its evaluations."""
    setting, curve = SETTINGS[data], Curve()
    measures: list[Callback] = [
        Evaluation(["frechet", "modes"], num_samples=setting.samples),
        StopOnDivergence(),
        curve,
    ]
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=-1,
        limit_train_batches=setting.epoch,
        check_val_every_n_epoch=setting.batches // setting.epoch // EVALUATIONS,
        limit_val_batches=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=measures,
    )
    started, failure = time.process_time(), None
    try:
        gan = model(data, OBJECTIVES[name](), penalty, seed)
        trainer.fit(gan, setting.data(setting.batch_size))
    except DivergenceError as error:
        failure = str(error)
    return {
        "data": data,
        "objective": name,
        "penalty": penalty,
        "seed": seed,
        "cpu_seconds": round(time.process_time() - started, 1),
        "failure": failure,
        "curve": curve.values,
        **provenance(),
    }


def finished(path: Path) -> dict[tuple[str, str, str, int], dict[str, Any]]:
    """The runs that are there, by what they are."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    runs = [json.loads(line) for line in lines]
    return {(r["data"], r["objective"], r["penalty"], r["seed"]): r for r in runs}


def run_all(path: Path, data: str, penalties: list[str], seeds: int, skipped: list[str]) -> None:
    """Makes all runs that are not there yet, seed by seed."""
    wanted = [
        (data, name, penalty, seed)
        for seed in range(seeds)
        for penalty in penalties
        for name in OBJECTIVES
        if name not in skipped
    ]
    missing = [key for key in wanted if key not in finished(path)]
    path.parent.mkdir(exist_ok=True)
    for key in (bar := tqdm(missing)):
        bar.set_description(" ".join(map(str, key)))
        result = run(*key)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")


# ------------------------------------------------------------------------------------ the table


def spread(values: list[float], form: str) -> str:
    """Mean and deviation of a few values."""
    if not values or any(math.isnan(value) for value in values):
        return "-"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):{form}} ± {deviation:{form}}"


def value(point: dict[str, float], ending: str) -> float:
    """The value of an evaluation whose name ends so; a distance is the one without more words."""
    if ending == "fid":
        names = [n for n in point if n.startswith("fid/") and not n.endswith(("floor", "debiased"))]
    else:
        names = [n for n in point if n.endswith(f"/{ending}")]
    return point[names[0]] if names else math.nan


def row(name: str, runs: list[dict[str, Any]], columns: list[tuple[str, str]]) -> str:
    """A line of the table: the last evaluation of each seed, and the last against the best."""
    whole = [r for r in runs if not r["failure"] and r["curve"]]
    cells = [spread([value(r["curve"][-1], key) for r in whole], form) for key, form in columns]
    ratios = []
    for r in whole:
        distances = [value(point, "fid") for point in r["curve"]]
        ratios.append(distances[-1] / min(distances))
    failed = len(runs) - len(whole)
    stable = f"{statistics.median(ratios):.2f}" if ratios else "-"
    seconds = statistics.mean([r["cpu_seconds"] for r in runs])
    diverged = f"{failed} of {len(runs)} diverged; " if failed else ""
    return f"| `{name}` | " + " | ".join(cells) + f" | {diverged}{stable} | {seconds:.0f} |"


COLUMNS = {
    "ring": [("covered", ".1f"), ("high_quality", ".3f"), ("kl", ".3f"), ("fid", ".4f")],
    "grid": [("covered", ".1f"), ("high_quality", ".3f"), ("kl", ".3f"), ("fid", ".4f")],
    "mnist": [("covered", ".1f"), ("min_share", ".3f"), ("kl", ".3f"), ("fid", ".2f")],
}
TITLES = {
    "covered": "modes",
    "high_quality": "high quality",
    "kl": "KL",
    "fid": "Frechet distance",
    "min_share": "smallest share",
}


def table(path: Path) -> str:
    """All runs as tables, one for each data set and penalty."""
    runs, lines = finished(path), []
    for data, columns in COLUMNS.items():
        for penalty in PENALTIES:
            rows = []
            for name in OBJECTIVES:
                some = [r for key, r in runs.items() if key[:3] == (data, name, penalty)]
                if some:
                    rows.append(row(name, some, columns))
            if rows:
                titles = " | ".join(TITLES[key] for key, _ in columns)
                lines += ["", f"### {data}, penalty: {penalty}", ""]
                lines += [f"| objective | {titles} | last / best distance | CPU s |"]
                lines += ["|" + "---|" * (len(columns) + 3), *rows]
    return "\n".join(lines).strip() + "\n"


def main() -> None:
    """Runs or shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="make the runs that are not there yet")
    running.add_argument("--data", choices=list(SETTINGS), required=True)
    running.add_argument("--penalty", choices=list(PENALTIES), nargs="+", default=list(PENALTIES))
    running.add_argument("--seeds", type=int, default=3)
    running.add_argument("--skip", choices=list(OBJECTIVES), nargs="+", default=[])
    showing = commands.add_parser("table", help="print the tables of what has been run")
    for command in (running, showing):
        command.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.command == "table":
        print(table(arguments.results), end="")
        return
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    run_all(arguments.results, arguments.data, arguments.penalty, arguments.seeds, arguments.skip)


if __name__ == "__main__":
    main()
