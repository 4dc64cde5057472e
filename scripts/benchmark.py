"""Measures how fast trainings are, side by side with other ways to do the same.

    python scripts/benchmark.py                       lists the commands
    python scripts/benchmark.py overhead --help       what one of them measures, and its options
    python scripts/benchmark.py overhead --record     measures, and writes into docs/performance.md
    python scripts/benchmark.py tables                writes all that was recorded there anew

Each command is a file of ``scripts/benchmarks/``. What the sides of a comparison have in common,
and how they take turns, stands in ``measure.py`` there.
"""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import checkout  # noqa: F401 - finds the package

FOLDER = Path(__file__).parent / "benchmarks"
INTERNAL = ("side", "call")
"""What the benchmarks start in processes of their own."""


def commands() -> dict[str, str]:
    """The first line of what each command says of itself; nothing is imported."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(arguments: list[str]) -> None:
    """Runs a command, or lists them all."""
    known = commands()
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        width = max(map(len, known))
        lines = [f"    {key:{width}}  {line}" for key, line in known.items()]
        print("\n".join([(__doc__ or "").strip(), "", "The commands:", "", *lines]))
    elif name in INTERNAL:
        importlib.import_module("benchmarks.measure").run_part(*arguments)
    elif name in known:
        importlib.import_module(f"benchmarks.{name}").main(arguments[1:])
    else:
        print(f"There is no benchmark {name!r}: choose from {', '.join(known)}.", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
