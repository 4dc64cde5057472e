"""The walks run from end to end, and docs/walks.md shows their commands."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from walks import quote

SHOWN = {page: quote.BLOCK.findall(page.read_text(encoding="utf-8")) for page in quote.PAGES}


def pairs(page: Path) -> list[tuple[str, str]]:
    """What a page shows, and the commands of its walks."""
    every = [command for walk in quote.PAGES[page] for command in quote.commands(walk)]
    return list(zip(SHOWN[page], every, strict=True))


@pytest.mark.parametrize("page", quote.PAGES, ids=lambda page: page.name)
def test_a_page_shows_every_command_of_its_walks_in_their_order(page: Path) -> None:
    for text, command in pairs(page):
        assert text.startswith(f"{command}\n")
    text = page.read_text(encoding="utf-8")
    assert quote.quoted(text, quote.PAGES[page], {}) == text


def test_every_command_has_printed_something_but_settings_and_signals() -> None:
    every = [pair for page in quote.PAGES for pair in pairs(page)]
    silent = re.compile(r'(?s:\w+="[^"]*"\n|.*scancel [^\n]*\n)')
    assert sum(bool(silent.fullmatch(text)) for text, _ in every) == 4
    for text, command in every:
        assert silent.fullmatch(text) or text != f"{command}\n"


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
