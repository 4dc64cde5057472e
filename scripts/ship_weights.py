"""Puts trained models into the package, made from runs that are recorded in `results/`.

    python scripts/ship_weights.py --runs RUNS --data DATA dcgan_digits hinge_mnist

Of each recipe the recorded run with the smallest Frechet distance is taken that lies in RUNS with
the settings of today. Its averaged generator and its discriminator are written in half precision,
with a model card, to `lightning_gan/checkpoints/weights/NAME`, and measured as they are there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from checkout import ROOT
from run_recipes import Run, data_words, lines_of, settings_hash

from lightning_gan.checkpoints.pretrained import FOLDER, INDEX, PREFIX
from lightning_gan.exports.export import CARD, CONFIG, NAME, export

MOST = 3 * 2**19
"""Bytes of a model: 1.5 MiB."""
MOST_TOGETHER = 6_000_000
KEPT = ("eval/n", "fid/", "modes/")
"""How the names of values begin that the index keeps."""
Line = dict[str, Any]


def best(recipe: str, runs: Path, results: Path) -> Line:
    """The line of the best recorded run that is there.

    Raises:
        SystemExit: If there is none.
    """
    lines = [
        line
        for line in lines_of(results / f"{recipe}.jsonl")
        if line["settings"] == settings_hash(recipe) and line["averaged"] and run_of(line, runs)
    ]
    if not lines:
        sys.exit(f"No recorded run of {recipe} with its settings of today lies in {runs}.")
    return min(lines, key=lambda line: distance(line["averaged"]["values"]))


def run_of(line: Line, runs: Path) -> Path | None:
    """The folder of a line's run; None where it is not there."""
    folder = runs / Run(line["recipe"], line["seed"]).folder / "run"
    return max(folder.glob("version_*"), default=None)


def distance(values: dict[str, float]) -> float:
    """The Frechet distance among measured values."""
    names = [n for n in values if n.startswith("fid/") and not n.endswith(("_floor", "_debiased"))]
    return values[names[0]]


def measured(recipe: str, data: Path) -> dict[str, float]:
    """What the weights in the package are worth, as anybody can measure it."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "measured.json"
        words = ["evaluate", "--ckpt_path", f"{PREFIX}{recipe}", "--measures", "[frechet,modes]"]
        words += ["--device", "cpu", "--output", str(output), *data_words(recipe, data)]
        subprocess.run([sys.executable, "-m", "lightning_gan", *words], check=True, cwd=ROOT)
        values = json.loads(output.read_text(encoding="utf-8"))["values"]
    return {name: value for name, value in values.items() if name.startswith(KEPT)}


def write_index(known: dict[str, Line]) -> None:
    """The index of all models, by their names in order."""
    text = json.dumps(dict(sorted(known.items())), indent=1) + "\n"
    (FOLDER / INDEX).write_text(text, encoding="utf-8")


def ship(recipe: str, runs: Path, data: Path, results: Path) -> None:
    """Writes a model and its entry in the index.

    Raises:
        SystemExit: If it is too large.
    """
    line = best(recipe, runs, results)
    run = run_of(line, runs)
    assert run is not None
    folder, index = FOLDER / recipe, FOLDER / INDEX
    FOLDER.mkdir(exist_ok=True)
    export(run, folder, with_discriminator=True, half=True, license="apache-2.0")
    # The run may have been called after options of its machine.
    called = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["name"]
    for name in (CONFIG, CARD):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace(called, recipe), encoding="utf-8")
    content = (folder / NAME).read_bytes()
    if len(content) > MOST:
        sys.exit(f"{recipe} has {len(content):,} bytes, more than {MOST:,}.")
    known = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    entry = {
        "seed": line["seed"],
        "commit": line["commit"],
        "images": line["images"],
        "cpu_minutes": round(line["cpu_seconds"] / 60, 1),
        "values": {},
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_index(known | {recipe: entry})
    entry["values"] = measured(recipe, data)  # which finds the model by the index
    write_index(known | {recipe: entry})
    total = sum(path.stat().st_size for path in FOLDER.glob(f"*/{NAME}"))
    print(f"{recipe}: {len(content):,} bytes, seed {line['seed']}, {entry['values']}")
    if total > MOST_TOGETHER:
        sys.exit(f"All together have {total:,} bytes, more than {MOST_TOGETHER:,}.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipes", nargs="+", help="whose models")
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"), help="of run_recipes.py")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where data sets lie")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    asked = parser.parse_args()
    for recipe in asked.recipes:
        ship(recipe, asked.runs, asked.data, asked.results)


if __name__ == "__main__":
    main()
