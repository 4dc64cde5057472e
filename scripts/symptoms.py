"""Brings about what docs/advice.md tells of, and the mend, and puts values into the page.

    python scripts/symptoms.py run [SYMPTOM ...]     # what docs/advice.jsonl lacks; some minutes
    python scripts/symptoms.py table                 # writes the tables of the page anew

The page has the commands and, in a comment, the names of the values; this script has neither.
A symptom is a heading with a block of two commands: the first shows it, the second mends it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import checkout  # noqa: F401 - finds the package
from provenance import provenance
from run_recipes import settings_hash

from lightning_gan.__main__ import main as lightning_gan

ROOT = Path(__file__).resolve().parents[1]
PAGE, RESULTS = ROOT / "docs" / "advice.md", ROOT / "docs" / "advice.jsonl"
SECTION = re.compile(r"^### ([^\n]+)\n((?:(?!^##).*\n)*)", re.MULTILINE)
BLOCK = re.compile(r"```bash\n((?s:.*?))```")
PYTHON = re.compile(r"```python\n((?s:.*?))```")
VARIABLE = re.compile(r'^(\w+)="([^"]*)"$', re.MULTILINE)
TABLE = re.compile(r"<!-- values: ([^>]*) -->\n(?:\n(?:\|.*\n)+)?")
QUIET = "--trainer.enable_progress_bar false --trainer.accelerator cpu"
SIDES = ("seen", "mended")


class Symptom(NamedTuple):
    """What a section of the page shows."""

    name: str
    commands: list[str]
    values: list[str]
    python: str


def symptoms(page: str) -> list[Symptom]:
    """Those of a page, in its order."""
    variables = dict(VARIABLE.findall(page))
    found = []
    for name, text in SECTION.findall(page):
        table, block, python = TABLE.search(text), BLOCK.search(text), PYTHON.search(text)
        if table and block:
            lines = [filled(line, variables) for line in block[1].splitlines()]
            values = table[1].split(", ")
            found.append(Symptom(name, lines, values, python[1] if python else ""))
    return found


def filled(command: str, variables: dict[str, str]) -> str:
    """A command with what the variables of the shell stand for, without its comment."""
    for name, value in variables.items():
        command = command.replace(f"${name}", " ".join(value.split()))
    return shlex.join(shlex.split(command, comments=True))


def measure(symptom: Symptom, command: str) -> dict[str, float]:
    """Runs a command in the working folder; what its run has logged last, and how it ended."""
    if symptom.python:
        exec(compile(symptom.python, PAGE.name, "exec"), {})
    sys.argv = ["lightning-gan"]  # what Lightning would take for its own
    code = lightning_gan([*shlex.split(command)[1:], *QUIET.split()])
    values: dict[str, float] = {"exit code": code}
    for metrics in Path("runs").glob("*/version_0/metrics.csv"):
        values |= last(metrics)
    return values


def last(metrics: Path) -> dict[str, float]:
    """The last value of each name in a curve."""
    with metrics.open(encoding="utf-8", newline="") as lines:
        return {
            name: float(value)
            for row in csv.DictReader(lines)
            for name, value in row.items()
            if value
        }


def finished() -> dict[str, dict[str, Any]]:
    """The values that there are of recipes as they are today, by command; the newest of each."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    results = [json.loads(line) for line in lines]
    return {r["command"]: r["values"] for r in results if r["settings"] == settings(r["command"])}


def settings(command: str) -> str:
    """What tells whether the recipe of a command has changed."""
    words = shlex.split(command)
    return settings_hash(words[words.index("--config") + 1])


def run(names: list[str]) -> None:
    """Measures what is missing, in a folder of its own that is deleted afterwards."""
    for symptom in symptoms(PAGE.read_text(encoding="utf-8")):
        for command in symptom.commands:
            if command in finished() or (names and symptom.name not in names):
                continue
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                values = measure(symptom, command)
                os.chdir(ROOT)  # whose commit it is
            result = {"command": command, "settings": settings(command), "values": values}
            result |= provenance()
            with RESULTS.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(result) + "\n")


def table(symptom: Symptom, results: dict[str, dict[str, Any]]) -> str:
    """The values of a symptom, a column for each command."""
    columns = [results[command] for command in symptom.commands]
    rows = [[f"`{name}`", *(shown(each.get(name)) for each in columns)] for name in symptom.values]
    lines = [["last value of", *SIDES], ["---"] * 3, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(value: float | None) -> str:
    """A number in three digits, or a dash where the run has none."""
    return "-" if value is None else f"{value:.3g}"


def with_tables(page: str) -> str:
    """The page with the values of the results."""
    results, known = finished(), {each.name: each for each in symptoms(page)}

    def section(found: re.Match[str]) -> str:
        if found[1] not in known:
            return found[0]
        new = table(known[found[1]], results)
        return TABLE.sub(lambda old: f"<!-- values: {old[1]} -->\n\n{new}", found[0])

    return SECTION.sub(section, page)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("symptoms", nargs="*", help="names of sections; all of them if none")
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments.symptoms)
    else:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
