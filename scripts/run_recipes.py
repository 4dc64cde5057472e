"""Runs the recipes with several seeds in the background, and keeps what came out in `results/`.

    python scripts/run_recipes.py plan                     # what is still to do
    python scripts/run_recipes.py run --data data          # does it; stop and start it at any time

A run that was stopped goes on bit for bit; one that is in `results/` is not made again, unless the
settings of its recipe have changed. Recipes of the papers' sizes get minutes instead of their
budget. Recipes for pictures of one's own get 500 automobiles as files (`few_pictures.py`), and are
measured by the extractor of CIFAR-10. Each run has one thread and is niced.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import yaml
from checkout import ROOT
from few_pictures import few_pictures
from provenance import provenance

from lightning_gan.recipes import Recipe, recipe_names

SEEDS = (0, 1, 2)
FIRST = ("hinge_mnist", "lsgan_mnist", "wgan_mnist")
WITHOUT_DOWNLOAD = ("Ring", "Grid", "Digits")
FOR_GPUS = ("fastgan_folder",)
"""Recipes that see less than an image a second on a core, and have no run here."""

IMAGES = "progress/images"
CURVE = (
    "gan/d_",
    "gan/score_",
    "val/d_",
    "val/score_",
    "loss/",
    "gradient_norm/",
    "fid/",
    "modes/",
)
"""Columns of a run's metrics that are kept, by how they begin."""

LONG = (
    "dcgan_stacked_mnist",
    "pacgan2_grid",
    "pacgan2_ring",
    "pacgan2_stacked_mnist",
    "rpgan_stacked_mnist",
)
"""Recipes of small networks whose budget is hours of a core, or of a GPU, all the same."""

USUAL_SPEED = 400.0
"""Images a second of a recipe whose speed has not been measured, for the order of runs alone."""

NOT_PARTS_OF_A_CURVE = ("_floor", "_debiased", "_std", "/d_gap_train_val")
MENDABLE = 2
"""The exit code of a command that was refused, and of one whose training diverged."""
POLL_SECONDS = 5.0
Values = dict[str, Any]


class Run(NamedTuple):
    """One run that is wanted.

    Args:
        recipe: Its name.
        seed: Seed of model and data.
        minutes: Minutes of CPU after which it is stopped; None for the recipe's budget.
    """

    recipe: str
    seed: int
    minutes: float | None = None

    @property
    def name(self) -> str:
        """As files are called."""
        return f"{self.recipe}-seed{self.seed}"

    @property
    def folder(self) -> str:
        """Where it is made: a run of a recipe that has changed since is another one."""
        return f"{self.name}-{settings_hash(self.recipe)}"


class Place(NamedTuple):
    """Where data sets, the runs and what is kept of them lie, and how nice the runs are."""

    data: Path
    runs: Path
    results: Path
    niceness: int


def settings_hash(recipe: str) -> str:
    """The first 12 digits of the SHA-256 of what a recipe sets, comments left out."""
    settings = yaml.safe_load(Recipe.read(recipe).settings)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def of_paper_size(recipe: str) -> bool:
    """Whether its budget is days or weeks of a CPU core."""
    return recipe in LONG or (recipe.endswith("_cifar10") and "_small_" not in recipe)


def by_cost(name: str, speeds: dict[str, float]) -> tuple[bool, float]:
    """Those that stand in the README first, then the shortest."""
    budget = yaml.safe_load(Recipe.read(name).settings)["model"]["init_args"]["max_images"]
    return name not in FIRST, budget / speeds.get(name, USUAL_SPEED)


def wanted(minutes: float, seeds: Iterable[int], speeds: dict[str, float]) -> list[Run]:
    """All runs in their order: each recipe once before any twice, those of papers' sizes between.

    Args:
        minutes: Minutes of CPU for a recipe of a paper's size.
        seeds: Of the others; the first seed is the only one for those.
        speeds: Images a second of one core, for the order alone.
    """
    names = [name for name in recipe_names() if name not in FOR_GPUS]
    names.sort(key=lambda name: by_cost(name, speeds))
    small = [name for name in names if not of_paper_size(name)]
    first, *others = seeds
    runs = [Run(name, first) for name in small]
    runs += [Run(name, first, minutes) for name in names if of_paper_size(name)]
    return runs + [Run(name, seed) for seed in others for name in small]


def lines_of(path: Path) -> list[Values]:
    """The lines of a file of results; none if there is none."""
    return (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    )


def is_done(run: Run, results: Path) -> bool:
    """Whether a line tells of this run, with the settings that the recipe has today."""
    key = run.seed, settings_hash(run.recipe)
    return any(
        (line["seed"], line["settings"]) == key
        for line in lines_of(results / f"{run.recipe}.jsonl")
    )


# ------------------------------------------------------------------------------------- one run


class Process:
    """A command with one thread, whose CPU time is counted over all its starts.

    Args:
        folder: Where its log and its count lie.
        stop: Set when it is to end early.
        niceness: From 0 to 19.
        count: Name of the file with its seconds.
    """

    def __init__(
        self, folder: Path, stop: threading.Event, niceness: int, count: str = "cpu_seconds.txt"
    ) -> None:
        self.folder, self.stop, self.niceness = folder, stop, niceness
        self.count = folder / count

    @property
    def seconds(self) -> float:
        """Seconds of CPU so far, all starts together."""
        return float(self.count.read_text()) if self.count.exists() else 0.0

    def run(self, words: list[str], limit: float | None = None) -> int:
        """Its exit code; it is asked to save and end after `limit` seconds of CPU in all."""
        before, asked = self.seconds, False
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        with (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lightning_gan", *words],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(yield_to_others, self.niceness),
            )
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                self.count.write_text(f"{before + usage.ru_utime + usage.ru_stime:.2f}")
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode
            used = before + cpu_seconds(process.pid)
            self.count.write_text(f"{used:.2f}")
            if not asked and (self.stop.is_set() or (limit is not None and used > limit)):
                process.send_signal(signal.SIGTERM)
                asked = True
            time.sleep(POLL_SECONDS)


def yield_to_others(niceness: int) -> None:
    """Lets others go first, also those that are not of this session's group of processes."""
    os.nice(niceness)
    try:
        Path("/proc/self/autogroup").write_text(str(niceness))
    except OSError:
        return  # a kernel without groups


def cpu_seconds(process: int) -> float:
    """Seconds of CPU of a process; 0 once it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def carry_out(run: Run, place: Place, stop: threading.Event) -> Values | None:
    """Trains and measures one run, or goes on with it; None if it was stopped before the end."""
    folder = place.runs / run.folder
    folder.mkdir(parents=True, exist_ok=True)
    training = Process(folder, stop, place.niceness)
    # Apart, so that a measurement that was broken off does not count as training later.
    measuring = Process(folder, stop, place.niceness, "measuring_seconds.txt")
    fit = ["fit", "--config", run.recipe, "--seed_everything", str(run.seed)]
    fit += [
        "--run_name",
        run.name,
        "--ckpt_path",
        "last",
        "--trainer.default_root_dir",
        str(folder / "run"),
    ]
    code = training.run(fit + data_root(run.recipe, place.data), limit_of(run))
    if stop.is_set():
        return None
    found = sorted((folder / "run").glob("version_*"))
    saved = found and (found[-1] / "checkpoints" / "last.ckpt").exists()
    if not saved or (code == MENDABLE and record_of(found[-1])["state"] != "diverged"):
        raise RuntimeError(f"{run.name} ended with {code}; {folder / 'log.txt'} says why.")
    version = found[-1]
    measured: dict[str, Values | None] = {"averaged": None, "raw": None}
    for kind, averaged in ("averaged", "true"), ("raw", "false"):
        if kind == "raw" and run.minutes is not None:
            continue  # of a beginning it says nothing more
        output = folder / f"{kind}.json"
        words = ["evaluate", "--ckpt_path", str(version), "--averaged", averaged]
        words += ["--measures", measures_of(run.recipe), "--output", str(output)]
        failed = measuring.run(words + data_words(run.recipe, place.data))
        if stop.is_set():
            return None
        measured[kind] = None if failed else json.loads(output.read_text(encoding="utf-8"))
    return line_of(run, version, code, training.seconds, measured)


def record_of(version: Path) -> Values:
    """What a run says of itself."""
    return dict(json.loads((version / "run.json").read_text(encoding="utf-8")))


def limit_of(run: Run) -> float | None:
    """Seconds of CPU for its training."""
    return None if run.minutes is None else 60 * run.minutes


def data_root(recipe: str, folder: Path) -> list[str]:
    """The option that says where its data lie."""
    if Recipe.read(recipe).data.endswith(WITHOUT_DOWNLOAD):
        return []
    root = few_pictures(folder) if is_own(recipe) else folder
    return ["--data.root", str(root.resolve())]


def is_own(recipe: str) -> bool:
    """Whether it is for pictures of one's own, which have no classes that are known."""
    return Recipe.read(recipe).data.endswith("ImageFolder")


def measures_of(recipe: str) -> str:
    """What is measured at the end; of few pictures also whether they are copied."""
    return "[frechet,neighbours,memorisation]" if is_own(recipe) else "[frechet,modes]"


def data_words(recipe: str, folder: Path) -> list[str]:
    """The options of `evaluate` that name the data of a recipe."""
    data = yaml.safe_load(Recipe.read(recipe).settings)["data"]
    words = ["--data", data["class_path"]]
    if is_own(recipe):
        words += ["--extractor", "cifar10_cnn"]  # theirs is made of pixels alone
    for name, value in data.get("init_args", {}).items():
        words += [f"--data.{name}", json.dumps(value)]
    return words + data_root(recipe, folder)


# ------------------------------------------------------------------------------ what is kept of it


def line_of(
    run: Run, version: Path, code: int, training_seconds: float, measured: dict[str, Values | None]
) -> Values:
    """The line of a run that has ended.

    Args:
        run: The run.
        version: Its folder.
        code: Exit code of its training.
        training_seconds: Seconds of CPU of its training, evaluations included.
        measured: What was measured of the averaged and of the raw generator after it; None where
            that failed.
    """
    record = record_of(version)
    budget = yaml.safe_load(Recipe.read(run.recipe).settings)["model"]["init_args"]["max_images"]
    evaluations = lines_of(version / "evaluations.jsonl")
    return {
        "recipe": run.recipe,
        "seed": run.seed,
        "settings": settings_hash(run.recipe),
        **provenance(),
        "threads": record["segments"][-1]["threads"],
        "state": record["state"],
        "exit_code": code,
        "said": record["said"].replace(f"{version}{os.sep}", ""),  # places say nothing elsewhere
        "images": record["images"],
        "budget": budget,
        "cpu_seconds": round(training_seconds, 1),
        "evaluation_seconds": round(sum(e["values"]["eval/seconds"] for e in evaluations), 1),
        "last": {
            n: rounded(v) for n, v in record["values"].items() if n.startswith(("gan", "val"))
        },
        "evaluation": placeless(evaluations[-1]) if evaluations else None,
        **{kind: placeless(values) for kind, values in measured.items()},
    }


def placeless(values: Values | None) -> Values | None:
    """What was measured, of a checkpoint by its name alone: where it lay says nothing elsewhere."""
    if values is None:
        return None
    run = values["run"]
    return values | {"run": run | {"checkpoint": Path(run["checkpoint"]).name}}


def rounded(value: float) -> float:
    """With six digits."""
    return float(f"{value:.6g}")


def keep(line: Values, version: Path, results: Path) -> None:
    """Appends the line to the file of its recipe; its curve and last samples go beside it.

    Samples of a whole run alone: a beginning has a grid of its start, or of somewhere on the way.
    """
    name = f"{line['recipe']}-seed{line['seed']}"
    for kind in ("curves", "pictures"):
        (results / kind).mkdir(parents=True, exist_ok=True)
    write_curve(version / "metrics.csv", results / "curves" / f"{name}.csv")
    grids = sorted((version / "samples").glob("[0-9]*.png"))
    if grids and line["seed"] == 0 and line["state"] != "stopped":
        shutil.copyfile(grids[-1], results / "pictures" / f"{name}.png")
    with (results / f"{line['recipe']}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def write_curve(metrics: Path, curve: Path) -> None:
    """The columns of a run's metrics that are kept, with five digits; none of a very short run."""
    if not metrics.exists():
        curve.write_text(f"{IMAGES}\n", encoding="utf-8")
        return
    with metrics.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = [n for n in rows[0] if n.startswith(CURVE) and not n.endswith(NOT_PARTS_OF_A_CURVE)]
    names = [IMAGES, *kept]
    with curve.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in rows:
            images, *values = (row[name] for name in names)
            writer.writerow([f"{float(images):.0f}", *(v and f"{float(v):.5g}" for v in values)])


# ------------------------------------------------------------------------------------- the queue


def work(
    todo: SimpleQueue[Run], place: Place, stop: threading.Event, writing: threading.Lock
) -> None:
    """Takes runs until there are none; one that fails is told and left."""
    while not stop.is_set():
        try:
            run = todo.get_nowait()
        except Empty:
            return
        if is_done(run, place.results):
            continue
        print(f"{time.strftime('%H:%M:%S')} {run.name} begins", flush=True)
        try:
            line = carry_out(run, place, stop)
        except Exception as failure:
            print(f"{run.name} failed: {failure}", flush=True)
            continue
        if line is not None:
            version = sorted((place.runs / run.folder / "run").glob("version_*"))[-1]
            with writing:
                keep(line, version, place.results)
            share = line["images"] / line["budget"]
            print(f"{time.strftime('%H:%M:%S')} {run.name}: {share:.1%} of its budget", flush=True)


def run_all(runs: list[Run], place: Place, jobs: int) -> None:
    """Makes all runs that are not there yet, so many at a time."""
    place.runs.mkdir(parents=True, exist_ok=True)
    lock = (place.runs / "queue.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SystemExit(f"Another queue works in {place.runs}; wait for it or stop it.") from None
    stop, writing = threading.Event(), threading.Lock()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    todo: SimpleQueue[Run] = SimpleQueue()
    for run in runs:
        if not is_done(run, place.results):
            todo.put(run)
    workers = [
        threading.Thread(target=work, args=(todo, place, stop, writing)) for _ in range(jobs)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main() -> None:
    """Plans or runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("plan", "run"))
    parser.add_argument("--data", type=Path, default=Path("data"), help="where data sets lie")
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"), help="for the runs")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="what is kept")
    parser.add_argument("--only", nargs="+", default=None, help="these recipes alone")
    parser.add_argument("--skip", nargs="+", default=[], help="not these recipes")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--minutes", type=float, default=30.0, help="for a paper-sized recipe")
    parser.add_argument("--nice", type=int, default=19, help="how nice the runs are to others")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time")
    arguments = parser.parse_args()
    place = Place(
        arguments.data.resolve(),
        arguments.runs.resolve(),
        arguments.results.resolve(),
        arguments.nice,
    )
    speeds_file = place.results / "speeds.json"
    speeds = json.loads(speeds_file.read_text("utf-8")) if speeds_file.exists() else {}
    runs = wanted(arguments.minutes, arguments.seeds, speeds)
    chosen = set(arguments.only or recipe_names()) - set(arguments.skip)
    runs = [run for run in runs if run.recipe in chosen]
    if arguments.command == "run":
        run_all(runs, place, arguments.jobs)
        return
    for run in runs:
        if not is_done(run, place.results):
            print(run.name, "" if run.minutes is None else f"{run.minutes:g} minutes")


if __name__ == "__main__":
    main()
