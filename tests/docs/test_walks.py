"""The walks run from end to end, and docs/walks.md shows their commands."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from walks import quote

PAGE = quote.PAGE.read_text(encoding="utf-8")
SHOWN = quote.BLOCK.findall(PAGE)


def test_the_page_shows_every_command_of_every_walk_in_its_order() -> None:
    every = [command for walk in quote.WALKS for command in quote.commands(walk)]
    for text, command in zip(SHOWN, every, strict=True):
        assert text.startswith(f"{command}\n")
    assert quote.quoted(PAGE, {}) == PAGE


def test_every_command_has_printed_something_but_settings_and_signals() -> None:
    silent = [
        text for text in SHOWN if re.fullmatch(r'(?s:\w+="[^"]*"\n|.*scancel [^\n]*\n)', text)
    ]
    assert len(silent) == 4
    every = [command for walk in quote.WALKS for command in quote.commands(walk)]
    for text, command in zip(SHOWN, every, strict=True):
        assert text in silent or text != f"{command}\n"


@pytest.mark.parametrize("walk", quote.WALKS)
def test_a_walk_says_what_it_shows_and_how_long_it_takes(walk: str) -> None:
    head = (quote.HERE / f"{walk}.sh").read_text(encoding="utf-8").split("\nsource ")[0]
    assert "minute" in head
    assert f"bash scripts/walks/{walk}.sh" in head


def test_a_terminal_shows_what_is_left() -> None:
    output = f"images: 1%\rimages: 9%\nTrained\n\n{'-' * 60}\nOn\n\nEnd\n"
    assert quote.seen(output) == "Trained\nOn\n\nEnd"


@pytest.mark.weekly
def test_the_student_sees_a_collapse_and_its_cure(tmp_path: Path) -> None:
    _, _, minimax, saturating, _, _, balance, page, drawn = quote.walked("student", tmp_path / "w")
    assert re.search(r"Modes +[0-3] of 10 classes covered.*missing: ", minimax)
    assert re.search(r"Modes +([5-9]|10) of 10 classes covered", saturating)
    assert re.search(r"D\(x\) = (0\.9\d|1\.00), D\(G\(z\)\) = 0\.0\d", balance)
    assert "minimax.html" in page
    html = (tmp_path / "w" / "minimax.html").read_text(encoding="utf-8")
    assert "data:image/png" in html
    assert "Drawn       100 samples" in drawn
    assert list((tmp_path / "w").glob("runs/*/version_1/predict/seed_1/grid.png"))


@pytest.mark.weekly
def test_the_researcher_gets_a_table(tmp_path: Path) -> None:
    *_, sweep, latex, _, samples = quote.walked("researcher", tmp_path / "w")
    assert re.search(r"\| 0.0001 +\| +1 \|", sweep)
    assert re.search(r"NonSaturating +& 3 & .*\\pm.*\nExponential +& 3 & .*\\pm", latex)
    assert "lower: 1000 points" in samples


@pytest.mark.weekly
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the tasks are forked")
def test_the_cluster_ends_in_the_bits_of_an_undisturbed_job(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    _, _, _, output, _, stretches, _, digests = quote.walked("cluster", tmp_path / "w")
    assert "job 1001 is back in SLURM's queue" in output
    assert "Trained on 25,600 images" in output
    assert stretches.count("offline-run") == 2
    (one, run), (other, undisturbed) = (line.split() for line in digests.strip().splitlines())
    assert one == other
    assert run != undisturbed
