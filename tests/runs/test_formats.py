"""Tables are aligned, fit a terminal, and hold nothing that harms who reads them."""

import csv
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_gan.runs.formats import Column, as_csv, as_latex, as_markdown, as_text

COLUMNS = [
    Column("objective", ["Hinge", "Non|Saturating<b>"]),
    Column("n", ["3", "1"], right=True),
    Column("fid/x_y", ["0.25 ± 0.03", "-1.5 ± -"], right=True),
]
NASTY = "\x1b[31mred\u202e\ud800\n\r\x00\x9b"


def test_a_table_for_a_terminal_is_aligned() -> None:
    assert as_text(COLUMNS) == (
        "objective          n      fid/x_y\n"
        "Hinge              3  0.25 ± 0.03\n"
        "Non|Saturating<b>  1     -1.5 ± -\n"
    )


def test_a_table_for_a_page_is_aligned_and_makes_no_cell_or_tag_of_a_text() -> None:
    assert as_markdown(COLUMNS).splitlines() == [
        "| objective             |   n |     fid/x_y |",
        "| --------------------- | --: | ----------: |",
        "| Hinge                 |   3 | 0.25 ± 0.03 |",
        r"| Non\|Saturating&lt;b> |   1 |    -1.5 ± - |",
    ]


def test_a_table_for_a_paper_escapes_what_latex_reads() -> None:
    lines = as_latex(COLUMNS).splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert [line.strip() for line in lines[2].removesuffix(r"\\").split("&")] == [
        *("objective", "n", r"fid/x\_y")
    ]
    assert r"Non\textbar{}Saturating\textless{}b\textgreater{} & 1 & " in lines[5]
    assert lines[5].endswith(r"$-$1.5 $\pm$ - \\")
    special = as_latex([Column("\\~^&%$#_{}", ["x"])]).splitlines()[2]
    assert special == (r"\textbackslash{}\textasciitilde{}\textasciicircum{}\&\%\$\#\_\{\} \\")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX here")
def test_a_table_for_a_paper_compiles(tmp_path: Path) -> None:
    columns = [*COLUMNS, Column("\\~^&%$#_{}", ["…", "\x1b"])]
    body = f"\\usepackage{{booktabs}}\\begin{{document}}{as_latex(columns)}\\end{{document}}"
    (tmp_path / "a.tex").write_text(f"\\documentclass{{article}}{body}", encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "a.tex"]
    assert subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL).returncode == 0


def test_a_table_for_a_program_is_read_as_it_was() -> None:
    columns = [Column("a", ['say "x", y', "1"]), Column("b,c", ["", "2"])]
    rows = list(csv.reader(as_csv(columns).splitlines()))
    assert rows == [["a", "b,c"], ['say "x", y', ""], ["1", "2"]]


@pytest.mark.parametrize("write", [as_text, as_markdown, as_latex, as_csv])
def test_no_control_character_reaches_the_reader(write: Callable[[list[Column]], str]) -> None:
    text = write([Column(NASTY, [NASTY, "b"], cut="end"), Column("x", ["1", "2"])])
    text.encode()  # no lone surrogate
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert len(text.splitlines()) == {as_text: 3, as_csv: 3, as_markdown: 4, as_latex: 8}[write]


def test_a_wide_table_is_cut_where_it_may_be() -> None:
    columns = [
        Column("run", ["runs/a/version_0", f"runs/{'long' * 20}/version_1"], cut="start"),
        Column("differs", ["lr=0.1", "x" * 100], cut="end"),
        Column("best", ["0.123456789", "5"], right=True),
    ]
    lines = as_text(columns).splitlines()
    assert max(map(len, lines)) == 120
    assert lines[1].startswith("runs/a/version_0 ")
    assert re.match(r"…\w+/version_1  x+…  +5$", lines[2])
    assert len(as_text(columns, 1000).splitlines()[2]) > 120
    assert as_text(columns, 10).splitlines()[1].split() == ["…version_0", "lr=0.1", "0.123456789"]
