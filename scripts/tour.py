"""Runs the commands of docs/tour.md, and makes from them all that the tour shows.

    python scripts/tour.py [--share 0.1] [--folder DIR] [--draw-only]

The page is the only place where the commands stand. What they print is written below them, on the
Korean page too; the pictures go to ``docs/pictures/tour``, and the first part becomes the notebook
``docs/tour.ipynb``. With a share of the budget everything runs, and nothing is written but in the
folder. A folder that is given keeps what was run, and its commands are not run again.
"""

import argparse
import contextlib
import io
import json
import os
import re
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tour_pictures
from checkout import ROOT

from lightning_gan.__main__ import main

PAGE, KOREAN = ROOT / "docs" / "tour.md", ROOT / "docs" / "tour.ko.md"
PICTURES, NOTEBOOK = ROOT / "docs" / "pictures" / "tour", ROOT / "docs" / "tour.ipynb"
FIRST_PART = 4
"""Sections that become the notebook."""

CODE = re.compile(r"```(bash|python)\n(?P<source>(?s:.*?))```\n(\n```text\n(?s:.*?)```\n)?")
"""Commands or a program, and what was printed."""
SHOWN = re.compile(r"^!\[(?P<caption>[^]]*)\]\(pictures/tour/(?P<name>\w+)\.png\)$", re.MULTILINE)
NAMED = re.compile(r"--(?:trainer\.default_root_dir|samples) (\S+)")
"""What a command fills or judges."""
SETTING = re.compile(r'^(\w+)="([^"]*)"$', re.MULTILINE)
LOOP = re.compile(r"^for (\w+) in ([^;\n]+); do\n((?s:.*?))^done$", re.MULTILINE)
UNHEARD = " &> /dev/null"
"""Ends a command of which the page shows nothing."""
BUDGET = re.compile(
    r"(--model\.(?:max_images|validate_every|learning_rate\.images) "
    r"|--trainer\.log_every_n_steps |\bsteps = )([\d_]+)"
)
UNSEEN = re.compile(
    r"(Writing to|Time|Batches of|Pictures|And reals|Curves|Metrics|Page|Checkpoint|Draw more|Best"
    r"|Expected|Measured|This processor|images:|measuring:|writing:|lightning-gan: Reading) .*"
    r"|-{20,}|"
    r"|(eval|is|kid|nn1|density|modes/\w+/(kl|tv)|dup/\w+_min_pair_ratio|fid/\w+_debiased)\b.*"
)
"""Lines that the page leaves out: progress, where files lie, and numbers that it does not need."""


@dataclass(frozen=True)
class Block:
    """What is run at one place of the page: lines of the shell, or a program in Python."""

    kind: str
    source: str

    @property
    def lines(self) -> list[str]:
        """The commands, each in one line; those of a loop as often as it runs them."""
        return LOOP.sub(_unrolled, self.source.replace("\\\n", " ")).splitlines()

    @property
    def named(self) -> list[str]:
        """The folders that commands are about of which the page shows something."""
        return [
            found[1] for line in self.lines if _is_heard(line) and (found := NAMED.search(line))
        ]

    def at(self, share: float) -> "Block":
        """The same with a share of the budget."""
        return Block(self.kind, BUDGET.sub(lambda m: f"{m[1]}{_part(m[2], share)}", self.source))


def _is_heard(line: str) -> bool:
    return not line.endswith(UNHEARD)


def _unrolled(loop: re.Match[str]) -> str:
    return "".join(loop[3].replace(f"${loop[1]}", value) for value in loop[2].split()).rstrip("\n")


def _part(count: str, share: float) -> int:
    return max(1, round(int(count.replace("_", "")) * share))


def blocks(text: str) -> list[Block]:
    """All that a page runs, in its order."""
    return [Block(found[1], found["source"]) for found in CODE.finditer(text)]


class Shell:
    """Runs blocks in the present folder as a terminal or a notebook would.

    Only commands of ``lightning-gan``, settings ``NAME="words"`` and loops over words are known.
    """

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.names: dict[str, object] = {"__name__": "tour"}

    def run(self, block: Block) -> str:
        """What the block prints; of several commands each below the folder that it is about.

        Raises:
            RuntimeError: If a command fails.
        """
        if block.kind == "bash":
            several = len(block.named) > 1
            return "".join(
                (_title(line) if several and _is_heard(line) else "") + self.command(line)
                for line in block.lines
            )
        with _captured() as output:
            exec(compile(block.source, "tour", "exec"), self.names)
        return output.getvalue()

    def set(self, block: Block) -> None:
        """Makes the settings of a block, and runs nothing."""
        if block.kind == "bash":
            self.variables |= dict(SETTING.findall("\n".join(block.lines)))

    def command(self, line: str) -> str:
        """What a line of the shell prints."""
        if SETTING.fullmatch(line):
            self.variables |= dict(SETTING.findall(line))
            return ""
        for name, words in self.variables.items():
            line = line.replace(f"${name}", words)
        program, *words = shlex.split(line.removesuffix(UNHEARD), comments=True)
        assert program == "lightning-gan", line
        quiet = ["--trainer.enable_progress_bar", "false"] if words[0] == "fit" else []
        with _captured() as output:
            code = main([*words, *quiet])
        if code:
            raise RuntimeError(f"{line} ends with {code}:\n{output.getvalue()}")
        return output.getvalue() if _is_heard(line) else ""


def _title(line: str) -> str:
    """The line above what a command prints."""
    found = NAMED.search(line)
    return f"{found[1]}:\n" if found else ""


@contextlib.contextmanager
def _captured() -> Iterator[io.StringIO]:
    """What is printed, with warnings as sentences."""
    arguments = sys.argv
    sys.argv = ["lightning-gan"]
    try:
        output = io.StringIO()
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                yield output
    finally:
        sys.argv = arguments


def seen(output: str) -> str:
    """What the page shows of it."""
    lines = (line.rpartition("\r")[2].rstrip() for line in output.splitlines())
    lines = (re.sub(r"^/\S+\.py:\d+: (\w+: )?", "Warning: ", line) for line in lines)
    return "\n".join(line for line in lines if not UNSEEN.fullmatch(line))


def walked(text: str, folder: Path, share: float = 1.0) -> list[str]:
    """What each block of a page prints, run in a folder that keeps it.

    Raises:
        RuntimeError: If a command fails.
    """
    kept, shell = folder / "outputs.json", Shell()
    outputs: dict[str, str] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    found = [block.at(share) for block in blocks(text)]
    os.environ.setdefault("LIGHTNING_GAN_CACHE", str(folder / "cache"))
    with contextlib.chdir(folder) if sys.version_info >= (3, 11) else _in(folder):
        for block in found:
            if block.source not in outputs:
                started = time.process_time()
                outputs[block.source] = shell.run(block)
                seconds = time.process_time() - started
                sys.stderr.write(f"{seconds:6.1f} s  {block.lines[0][:90]}\n")
                kept.write_text(json.dumps(outputs), encoding="utf-8")
            else:
                shell.set(block)
    return [outputs[block.source] for block in found]


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def quoted(text: str, outputs: Sequence[str]) -> str:
    """The page with what its blocks print."""
    rest = iter(outputs)

    def block(found: re.Match[str]) -> str:
        code, shown = f"```{found[1]}\n{found['source']}```\n", seen(next(rest))
        return f"{code}\n```text\n{shown}\n```\n" if shown else code

    return CODE.sub(block, text)


def first_part(text: str) -> str:
    """The page up to the section where the notebook ends."""
    sections = re.split(r"^(?=## \d)", text, flags=re.MULTILINE)
    return "".join(sections[: FIRST_PART + 1])


def notebook(text: str) -> str:
    """The first part of a page as a notebook without outputs."""
    cells = [*_start()]
    place, part = 0, first_part(text)
    found = sorted([*CODE.finditer(part), *SHOWN.finditer(part)], key=lambda m: m.start())
    for match in found:
        cells += _prose(part[place : match.start()])
        cells.append(_picture(match["name"]) if match.re is SHOWN else _code(match))
        place = match.end()
    cells += _prose(part[place:])
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _start() -> Iterator[dict[str, object]]:
    """What installs the package where there is none."""
    yield _cell("markdown", "Made from `docs/tour.md` by `python scripts/tour.py`: its first part.")
    yield _cell(
        "code",
        "# Put the address of the repository in the place of <this repository>.\n"
        '!test -d lightning-gan || git clone "<this repository>" lightning-gan\n'
        "%pip install --quiet ./lightning-gan\n"
        "import sys\n\n"
        'sys.path.append("lightning-gan/scripts")\n'
        "import tour_pictures",
    )


def _code(found: re.Match[str]) -> dict[str, object]:
    block = Block(found[1], found["source"].rstrip("\n"))
    if block.kind == "python":
        return _cell("code", block.source)
    lines = [
        f'{set_[1]} = "{" ".join(set_[2].split())}"'
        if (set_ := SETTING.fullmatch(line))
        else f"!{' '.join(line.split())}"
        for line in block.lines
    ]
    return _cell("code", "\n".join(lines))


def _picture(name: str) -> dict[str, object]:
    return _cell("code", f'tour_pictures.picture("{name}")')


def _prose(text: str) -> list[dict[str, object]]:
    """A cell of text, where there is any; links to other pages are for the page alone."""
    text = re.sub(r"\[([^]]+)\]\((?!http)[^)]+\)", r"\1", text).strip()
    return [_cell("markdown", text)] if text else []


def _cell(kind: str, source: str) -> dict[str, object]:
    cell: dict[str, object] = {"cell_type": kind, "id": "", "metadata": {}}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": source.splitlines(keepends=True)}


def write(outputs: Sequence[str]) -> None:
    """Writes both pages and the notebook."""
    for page in (PAGE, KOREAN):
        page.write_text(quoted(page.read_text("utf-8"), outputs), encoding="utf-8")
    NOTEBOOK.write_text(notebook(PAGE.read_text("utf-8")), encoding="utf-8")


def tour(share: float, folder: Path, draw_only: bool) -> None:
    """Runs everything, and writes what follows from it."""
    text, started = PAGE.read_text("utf-8"), time.process_time()
    outputs = [] if draw_only else walked(text, folder, share)
    for found in SHOWN.finditer(text):
        target = (PICTURES if share == 1 else folder / "pictures") / f"{found['name']}.png"
        tour_pictures.save(tour_pictures.picture(found["name"], folder), target)
    if share == 1 and outputs:
        write(outputs)
    sys.stderr.write(f"{(time.process_time() - started) / 60:.1f} minutes of one core\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the budget")
    parser.add_argument("--folder", type=Path, help="where runs are kept; none if left out")
    parser.add_argument("--draw-only", action="store_true", help="run nothing, draw the folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = options.folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        tour(options.share, place.resolve(), options.draw_only)
