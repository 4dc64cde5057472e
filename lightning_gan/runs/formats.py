"""A table of texts in the forms that a terminal, a page, a paper or a program reads."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lightning_gan.basics.texts import printable

WIDTH = 120
"""Columns that a table for a terminal fits."""
LEAST = 10
"""To which a column is cut at most to fit."""

SPARED = 16
"""By how much what is cut at its start, as paths are, may be wider than what is cut at its end."""

LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "…": r"\dots{}",
}
"""What LaTeX would not print as it stands."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        title: What stands above it.
        cells: What stands in it, one for each row.
        right: Whether it is aligned on the right, as numbers are.
        cut: What gives way where a terminal is too narrow: the ``"end"`` or the ``"start"`` of the
            texts; None for nothing.
    """

    title: str
    cells: Sequence[str]
    right: bool = False
    cut: Literal["start", "end"] | None = None

    @property
    def width(self) -> int:
        """Of its widest text."""
        return max(map(len, (self.title, *self.cells)))

    def as_wide_as(self, width: int) -> "Column":
        """The column with what is beyond a width cut."""
        cells = [self._cut(text, width) for text in self.cells]
        return Column(self.title, cells, self.right, self.cut)

    def _cut(self, text: str, width: int) -> str:
        if len(text) <= width:
            return text
        return f"…{text[1 - width :]}" if self.cut == "start" else f"{text[: width - 1]}…"


def as_text(columns: Sequence[Column], width: int = WIDTH) -> str:
    """A table for a terminal, cut to its width where columns may be."""
    columns = [_printable(column) for column in columns]
    while sum(column.width for column in columns) + 2 * (len(columns) - 1) > width:
        ready = [c for c in columns if c.cut and c.width > max(LEAST, len(c.title))]
        if not ready:
            break
        widest = max(ready, key=lambda c: c.width - (SPARED if c.cut == "start" else 0))
        columns[columns.index(widest)] = widest.as_wide_as(widest.width - 1)
    return _lines(columns, "  ")


def as_markdown(columns: Sequence[Column]) -> str:
    """A table of Markdown, in its source as aligned as on the page."""
    ruled = []
    for column in map(_printable, columns):
        title, *cells = map(_marked, (column.title, *column.cells))
        width = max(map(len, (title, *cells, "---")))
        rule = "-" * (width - 1) + (":" if column.right else "-")
        ruled.append(Column(title, [rule, *cells], column.right))
    return "".join(f"| {line} |\n" for line in _lines(ruled, " | ", strip=False).splitlines())


def as_latex(columns: Sequence[Column]) -> str:
    """A tabular with the rules of LaTeX's package booktabs."""
    columns = [
        Column(_escaped(c.title), [_escaped(cell) for cell in c.cells], c.right)
        for c in map(_printable, columns)
    ]
    head, *rows = (f"{line} \\\\" for line in _lines(columns, " & ", strip=False).splitlines())
    kinds = "".join("r" if column.right else "l" for column in columns)
    lines = [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", head, r"\midrule", *rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def as_csv(columns: Sequence[Column]) -> str:
    """A table of comma separated values."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = [_printable(column) for column in columns]
    writer.writerow(column.title for column in columns)
    writer.writerows(zip(*(column.cells for column in columns), strict=True))
    return file.getvalue()


def _printable(column: Column) -> Column:
    cells = [printable(cell) for cell in column.cells]
    return Column(printable(column.title), cells, column.right, column.cut)


def _marked(text: str) -> str:
    """A text in a cell of Markdown, where it makes neither a cell nor a tag."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _escaped(text: str) -> str:
    """A text for LaTeX; a minus before a number is one."""
    escaped = "".join(LATEX.get(character, character) for character in text)
    return f"$-${escaped[1:]}" if text[:1] == "-" and text[1:2].isdigit() else escaped


def _lines(columns: Sequence[Column], between: str, strip: bool = True) -> str:
    """The titles and the rows, one a line, in columns."""
    lines = ""
    for row in zip(*((column.title, *column.cells) for column in columns), strict=True):
        cells = (
            f"{text:>{c.width}}" if c.right else f"{text:<{c.width}}"
            for text, c in zip(row, columns, strict=True)
        )
        line = between.join(cells)
        lines += f"{line.rstrip() if strip else line}\n"
    return lines
