"""Histograms are whole lines of a file, with round edges, and drawn as what they are."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from lightning_gan.runs.histograms import histogram, title
from lightning_gan.runs.scores import NAME, Scores, bins_over, read_scores

SOME: dict[str, Any] = {
    "images": 64,
    "probabilities": False,
    "low": -1.0,
    "width": 0.5,
    "real": [0, 1, 3],
    "fake": [2, 0, 0],
}


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (-3.1, 8.7), (5.0, 5.0), (0.0, 0.0), (-1e-9, 1e30), (1e9, 1e9 + 1e-6)],
)
def test_bins_are_few_and_hold_all(low: float, high: float) -> None:
    first, width, count = bins_over(low, high)
    assert 1 <= count <= 42
    assert first <= low
    assert high <= first + count * width * (1 + 1e-9)
    assert f"{width:.3e}"[:2] in ("1.", "2.", "5.")


def test_the_last_bits_of_a_score_move_no_edge() -> None:
    low, high = -3.123456789, 8.7654321
    assert bins_over(math.nextafter(low, 9), math.nextafter(high, 9)) == bins_over(low, high)


def test_what_is_written_is_read_and_the_later_of_two_counts(tmp_path: Path) -> None:
    first, later, again = (
        Scores(**SOME | {"images": images, "real": [images % 7, 1, 3]}) for images in (128, 64, 128)
    )
    assert read_scores(tmp_path) == []
    for scores in (first, later, again):
        scores.append(tmp_path)
    assert read_scores(tmp_path) == [later, again]
    assert later.edges == [-1.0, -0.5, 0.0, 0.5]


@pytest.mark.parametrize(
    "change",
    [
        {"images": -1},
        {"images": "64"},
        {"real": [1, 2]},
        {"real": [], "fake": []},
        {"real": [0.5, 1, 1]},
        {"real": [-1, 1, 1]},
        {"real": "abc"},
        {"width": 0.0},
        {"width": math.nan},
        {"width": "1"},
        {"low": math.inf},
        {"low": None},
        {"real": [0] * 2000, "fake": [0] * 2000},
        {"more": 1},
    ],
)
def test_what_no_run_has_written_is_passed_over(change: dict[str, Any], tmp_path: Path) -> None:
    Scores(**SOME).append(tmp_path)
    with (tmp_path / NAME).open("a") as file:
        file.write(json.dumps(SOME | {"images": 128} | change) + '\n[]\n3\n{"images": 1')
    assert read_scores(tmp_path) == [Scores(**SOME)]


def heights(svg: str, colour: str) -> list[float]:
    """Heights of the corners of an outline."""
    (group,) = re.findall(rf'<g class={colour}><polygon class=band points="([^"]+)"', svg)
    return [float(place.split(",")[1]) for place in group.split()]


def test_a_histogram_shows_shares_so_that_unlike_numbers_compare() -> None:
    svg = histogram(Scores(**SOME | {"fake": [20, 0, 0]}))
    real, fake = heights(svg, "c0"), heights(svg, "c1")
    ground = max(real)
    assert real[0] == real[-1] == fake[-1] == ground
    assert real[2 * 3] < real[2 * 2] < real[1] == ground  # 3, 1 and 0 of 4
    assert (ground - fake[1]) / (ground - real[2 * 3]) == pytest.approx(1 / 0.75, rel=0.01)
    assert "class=level" not in svg
    assert 'data-caption="64 images"' in svg


def test_probabilities_have_a_line_at_one_half() -> None:
    scores = Scores(**SOME | {"probabilities": True, "low": 0.0})
    assert "class=level" in histogram(scores)
    assert title(scores).startswith("Spread of D(x) and D(G(z))")


def test_a_kind_of_which_there_is_none_is_left_out() -> None:
    svg = histogram(Scores(**SOME | {"real": [0, 0, 0]}))
    assert "class=c1" in svg
    assert "class=c0" not in svg
    assert "<g" not in histogram(Scores(**SOME | {"real": [0, 0, 0], "fake": [0, 0, 0]}))
