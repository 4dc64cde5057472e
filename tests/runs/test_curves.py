"""Curves are read as they were logged, whatever has happened to the file, and thinned honestly."""

import math
from pathlib import Path

import pytest

from lightning_gan.errors import ConfigurationError
from lightning_gan.runs.curves import Series, read_curves, thinned


def write(folder: Path, text: str) -> Path:
    (folder / "metrics.csv").write_text(text, encoding="utf-8")
    return folder


def test_each_name_is_a_series_against_images(tmp_path: Path) -> None:
    curves = read_curves(write(tmp_path, "progress/images,a,b\n64,1.5,\n128,,2\n192,3,4\n"))
    assert curves == {"a": Series((64, 192), (1.5, 3)), "b": Series((128, 192), (2, 4))}
    assert curves["a"].last == 3


def test_a_row_without_images_belongs_to_those_before_it(tmp_path: Path) -> None:
    curves = read_curves(write(tmp_path, "progress/images,fid/x\n64,\n,5\n128,\n,4\n"))
    assert curves["fid/x"] == Series((64, 128), (5, 4))


def test_what_a_resumed_run_logs_once_more_counts_once(tmp_path: Path) -> None:
    text = "progress/images,a\n64,1\n128,2\n192,3\n128,20\n192,30\n256,40\n"
    assert read_curves(write(tmp_path, text))["a"] == Series((64, 128, 192, 256), (1, 20, 30, 40))


def test_values_that_are_not_finite_stay(tmp_path: Path) -> None:
    series = read_curves(write(tmp_path, "progress/images,a\n64,nan\n128,inf\nnan,1\n-5,2\n"))["a"]
    assert math.isnan(series.values[0])
    assert series.values[1:] == (math.inf, 1, 2)
    assert series.images == (64, 128, 128, 128)  # where the images are no number, those before


@pytest.mark.parametrize(
    "text",
    [
        "progress/images,a\n64,1\n128",  # a line that is being written
        "progress/images,a\n64,1\n128,x1y\n",
        "progress/images,a\n64,1\n\0\0\0",
        "progress/images,a\n64,1,7,8\n",
    ],
)
def test_torn_lines_are_passed_over(text: str, tmp_path: Path) -> None:
    assert read_curves(write(tmp_path, text)) == {"a": Series((64,), (1,))}


@pytest.mark.parametrize("text", ["", "progress/images,a\n"])
def test_nothing_logged_is_no_series(text: str, tmp_path: Path) -> None:
    assert read_curves(tmp_path) == {}
    assert read_curves(write(tmp_path, text)) == {}


def test_a_file_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a" / "metrics.csv").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"metrics\.csv cannot be read"):
        read_curves(tmp_path / "a")
    with pytest.raises(ConfigurationError, match=r"There is no run in .*/b"):
        read_curves(tmp_path / "b")
    with pytest.raises(ConfigurationError, match="field larger than field limit"):
        read_curves(write(tmp_path, "a\n" + "9" * 200_000))


def test_a_short_series_stays_as_it_is() -> None:
    found = thinned(Series((1, 2, 3), (5, 7, 6)), most=3)
    assert found.is_whole
    assert (found.images, found.middle) == ((1, 2, 3), (5, 7, 6))
    assert found.low == found.high == found.middle


def test_a_long_series_becomes_means_with_their_range() -> None:
    series = Series(tuple(range(1, 1001)), tuple(float(x % 10) for x in range(1000)))
    found = thinned(series, most=100)
    assert not found.is_whole
    assert found.images == tuple(range(10, 1001, 10))
    assert set(found.middle) == {4.5}
    assert (set(found.low), set(found.high)) == ({0}, {9})


def test_the_last_images_are_kept_where_groups_do_not_divide() -> None:
    found = thinned(Series(tuple(range(7)), (0.0,) * 7), most=3)
    assert found.images == (2, 5, 6)


def test_a_group_without_finite_values_is_a_gap() -> None:
    found = thinned(
        Series((1, 2, 3, 4, 5, 6), (math.nan, math.inf, -1e300, 1, math.nan, 1)), most=2
    )
    assert math.isnan(found.middle[0])
    assert found.middle[1] == found.low[1] == found.high[1] == 1


def test_no_values_are_no_groups() -> None:
    assert thinned(Series((), ())).images == ()
    assert math.isnan(Series((), ()).last)
