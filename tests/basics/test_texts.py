"""Texts in a terminal are broken between words, and nowhere else."""

import io

import pytest

from lightning_gan.basics.texts import counted, folded

LINE = "Balance     D(x) = 0.51 ± 0.01, D(G(z)) = 0.49 ± 0.01 on held-out data (right about 73%)"
PATH = "Checkpoint  " + "a/" * 50 + "last.ckpt"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_whole_lines() -> None:
    assert folded(f"{LINE}\n{PATH}\n", io.StringIO(), 12) == f"{LINE}\n{PATH}\n"


def test_a_terminal_of_80_columns_breaks_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = folded(f"{LINE}\n{PATH}\n", Terminal(), 12)
    lines = text.splitlines()
    assert text.split() == f"{LINE} {PATH}".split()
    assert all(len(line) <= 80 or "/" in line for line in lines)
    assert lines[1].startswith(" " * 12 + "about")
    assert text.endswith("\n")


def test_things_are_counted_in_their_number() -> None:
    counts = [counted(1, "batch"), counted(2000, "batch"), counted(0, "image"), counted(1, "class")]
    assert counts == ["1 batch", "2,000 batches", "0 images", "1 class"]
