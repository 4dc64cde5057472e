"""Charts are SVG that is well formed, shows every finite value, and holds nothing of others."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from lightning_gan.runs.charts import BOTTOM, LEFT, RIGHT, TOP, Scale, chart, short
from lightning_gan.runs.curves import Curves, Series
from lightning_gan.runs.panels import Panel

PANEL = Panel("Both", {"one": "a/one", "other": "a/other"}, level=0.5)


def series(*values: float) -> Series:
    return Series(tuple(100.0 * number for number in range(len(values))), values)


def drawn(panel: Panel, *runs: tuple[str, Curves]) -> ET.Element:
    """The chart as a tree; attributes of HTML may stand without quotes."""
    text = re.sub(r"class=([\w-]+)", r'class="\1"', chart(panel, runs))
    return ET.fromstring(text)


def places(tree: ET.Element) -> list[list[tuple[float, float]]]:
    found = []
    for line in tree.iter("polyline"):
        pairs = [pair.split(",") for pair in line.attrib["points"].split()]
        found.append([(float(x), float(y)) for x, y in pairs])
    return found


def test_a_line_runs_from_the_first_to_the_last_value_inside_the_frame() -> None:
    one, other = places(drawn(PANEL, ("", {"a/one": series(1, 3), "a/other": series(2, 2)})))
    assert (one[0][0], one[-1][0]) == (LEFT, RIGHT)
    assert BOTTOM > one[0][1] > other[0][1] == other[1][1] > one[1][1] > TOP


def test_gaps_are_left_where_values_are_not_finite() -> None:
    values = series(1, 2, math.nan, 3, math.inf)
    assert [len(line) for line in places(drawn(PANEL, ("", {"a/one": values})))] == [2, 1]


def test_no_finite_value_is_said_in_words() -> None:
    tree = drawn(PANEL, ("", {"a/one": series(math.nan)}), ("b", {}))
    assert tree.find("svg") is None
    assert "No value is finite." in "".join(tree.itertext())


def test_one_run_has_a_colour_for_each_line_and_several_one_for_each_run() -> None:
    curves = {"a/one": series(1, 2), "a/other": series(2, 3)}

    def looks(tree: ET.Element) -> list[tuple[str, str | None]]:
        groups = tree.findall("svg/g")
        return [
            (group.attrib["class"], line.get("stroke-dasharray"))
            for group in groups
            for line in group.iter("polyline")
        ]

    assert looks(drawn(PANEL, ("", curves))) == [("c0", None), ("c1", None)]
    several = looks(drawn(PANEL, ("x", curves), ("y", curves)))
    assert [colour for colour, _ in several] == ["c0", "c0", "c1", "c1"]
    assert [dash is None for _, dash in several] == [True, False, True, False]


def test_names_do_no_harm() -> None:
    evil = "<script>alert('x')</script>\"&"
    panel = Panel(evil, {evil: "a"})
    for runs in ([(evil, {"a": series(1)})], [(evil, {"a": series(1)}), ("b", {})]):
        tree = drawn(panel, *runs)
        assert not list(tree.iter("script"))
        assert evil in "".join(tree.itertext())


def test_a_long_line_shows_what_it_ranges_over() -> None:
    curves = {"a/one": series(*(float(number % 7) for number in range(10_000)))}
    text = chart(PANEL, [("", curves)])
    assert "<polygon class=band" in text
    assert len(text) < 20_000
    assert len(chart(PANEL, [(str(n), curves) for n in range(40)])) < 40 * 6_000


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 9, False, [-2, 0, 2, 4, 6, 8]),
        (0.9, 1100, True, [1, 10, 100, 1000]),
        (0.15, 3, True, [0.2, 0.5, 1, 2]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, log: bool, expected: list[float]) -> None:
    assert Scale(low, high, 0, 1, log).ticks() == pytest.approx(expected)


@pytest.mark.parametrize(
    "values",
    [
        (0.0,),
        (5.0, 5.0),
        (1e99, -1e99),
        (1e-300, 1e-300),
        (-1e-9, 3.0),
        (1e-320, 1.0),
        (1e-90, 1e90),
    ],
)
@pytest.mark.parametrize("log", [True, False])
def test_any_range_can_be_drawn(values: tuple[float, ...], log: bool) -> None:
    tree = drawn(Panel("", {"": "a"}, log=log), ("", {"a": series(*values)}))
    assert all(math.isfinite(y) for line in places(tree) for _, y in line)
    assert 1 <= len(tree.findall(".//text[@class='y']")) <= 10


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (150_016, "150k"),
        (2.5e6, "2.5M"),
        (1e9, "1G"),
        (0.14536, "0.145"),
        (-1200, "-1.2k"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("values", "lengths"),
    [((0, 0.001, 1, 50), [3]), ((0.001, 0, 1, 50), [1, 2]), ((-0.01, 0.001, 1, 50), [4])],
)
def test_a_logarithm_leaves_zeros_out_and_is_not_taken_below(
    values: tuple[float, ...], lengths: list[int]
) -> None:
    panel = Panel("One", {"one": "a/one"}, log=True)
    lines = places(drawn(panel, ("", {"a/one": series(*values)})))
    assert [len(line) for line in lines] == lengths
    assert all(TOP <= y <= BOTTOM for line in lines for _, y in line)
