"""Bands of expected curves: what they hold, how a run compares, where they are drawn."""

from dataclasses import replace
from pathlib import Path

import pytest

from lightning_gan import recipes
from lightning_gan.recipes import recipe_names
from lightning_gan.runs.curves import Series
from lightning_gan.runs.expected import Band, Expected, expected_of, read_expected, verdict
from lightning_gan.runs.page import page
from lightning_gan.runs.record import RunRecord
from scripts.expected_curves import expected_curves, read_kept

BUDGET = 4_000
AT = tuple(float(images) for images in range(100, BUDGET + 1, 100))


def run(distance: float, real: float = 0.6, modes: float = 10.0) -> dict[str, Series]:
    """A run whose distance falls to a value."""
    falling = Series(AT, tuple(distance * (1 + 20 * (1 - images / BUDGET)) for images in AT))
    return {
        "fid/digits_cnn": falling,
        "fid/digits_cnn_floor": Series(AT, (0.1,) * len(AT)),
        "modes/digits/covered": Series(AT, (modes,) * len(AT)),
        "gan/d_real": Series(AT, (real,) * len(AT)),
    }


@pytest.fixture
def expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Expected:
    """Of three seeds, as a file of the recipe dcgan_digits."""
    monkeypatch.setattr(recipes, "_FOLDER", tmp_path)
    (tmp_path / "expected").mkdir()
    (tmp_path / "dcgan_digits.yaml").touch()
    seeds = [run(2.0, 0.55), run(2.2, 0.6), run(2.4, 0.65)]
    text = expected_curves("from three seeds", seeds, BUDGET, 0.1)
    (tmp_path / "expected" / "dcgan_digits.csv").write_text(text)
    found = read_expected("dcgan_digits")
    assert found is not None
    return found


def test_a_band_is_as_wide_as_the_seeds_and_half_more_with_the_noise(expected: Expected) -> None:
    assert set(expected.bands) == {"fid/digits_cnn", "modes/digits/covered", "gan/d_real"}
    assert expected.made == "from three seeds"
    low, high = expected.bands["fid/digits_cnn"].at(BUDGET) or (0, 0)
    assert (low, high) == pytest.approx((2.0 - 0.2 - 0.025, 2.4 + 0.2 + 0.025))
    low, high = expected.bands["gan/d_real"].at(BUDGET) or (0, 0)
    assert (low, high) == pytest.approx((0.55 - 0.05 - 0.013, 0.65 + 0.05 + 0.013))


def test_a_band_is_straight_between_its_points_and_nothing_outside() -> None:
    band = Band((10.0, 20.0), (0.0, 1.0), (2.0, 5.0))
    assert band.at(15) == (0.5, 3.5)
    assert band.at(20) == (1.0, 5.0)
    assert band.at(9) is None
    assert band.at(21) is None


def test_a_run_like_the_others_is_on_track(expected: Expected) -> None:
    said = verdict(run(2.3), expected)
    assert said.startswith("on track: fid/digits_cnn is 2.3 at 4,000 images, where 1.77 to 2.62")


def test_a_run_whose_last_distance_is_larger_is_behind(expected: Expected) -> None:
    late = run(2.3)
    values = (*late["fid/digits_cnn"].values[:-1], 3.5)
    late["fid/digits_cnn"] = Series(AT, values)
    assert verdict(late, expected).startswith("behind: fid/digits_cnn is 3.5 ")


def test_a_run_whose_curve_leaves_its_band_is_off_from_there(expected: Expected) -> None:
    broken = run(2.3)
    broken["gan/d_real"] = Series(AT, tuple(1.0 if images > 2000 else 0.6 for images in AT))
    assert verdict(broken, expected).startswith("off since 2,100 images: gan/d_real is 1 at 4,000")
    values = tuple(1.0 if images == 2000 else 0.6 for images in AT)
    assert verdict(broken | {"gan/d_real": Series(AT, values)}, expected).startswith("on track")


def test_a_run_that_is_not_finite_or_has_lost_modes_is_off(expected: Expected) -> None:
    nan = run(2.3) | {"gan/d_real": Series(AT, (float("nan"),) * len(AT))}
    assert verdict(nan, expected).startswith("off since 100 images: gan/d_real is nan")
    assert "modes/digits/covered is 9 " in verdict(run(2.3, modes=9.0), expected)


def test_a_run_that_has_measured_nothing_yet_is_not_judged(expected: Expected) -> None:
    assert verdict({}, expected) == ""


def record(**changes: object) -> RunRecord:
    return replace(RunRecord("0" * 8, "a run", "dcgan_digits", {}, 0, {}, {}, BUDGET), **changes)  # type: ignore[arg-type]


def test_only_a_recipe_as_it_stands_is_compared(expected: Expected) -> None:
    assert expected_of(record()) == expected
    assert expected_of(record(max_images=1)) == expected
    assert expected_of(record(differs={"data.root": "elsewhere"})) == expected
    assert expected_of(record(differs={"model.learning_rate": 1.0})) is None
    assert expected_of(record(recipe=None)) is None
    assert expected_of(record(recipe="../dcgan_digits")) is None


def test_the_page_of_a_run_draws_the_bands_and_says_how_it_compares(
    expected: Expected, tmp_path: Path
) -> None:
    folder = tmp_path / "version_0"
    record().write(folder)
    rows = [f"{images:.0f},2.3,0.1,0.6" for images in AT]
    (folder / "metrics.csv").write_text(
        "\n".join(["progress/images,fid/digits_cnn,fid/digits_cnn_floor,gan/d_real", *rows]) + "\n"
    )
    text = page([folder])
    assert text.count("class=expected") == 2
    assert "from three seeds" in text
    assert "on track: fid/digits_cnn is 2.3" in text
    assert "class=expected" not in page([folder, tmp_path / "version_0", other(tmp_path)])


def other(folder: Path) -> Path:
    record(id="1" * 8, name="another").write(folder / "version_1")
    return folder / "version_1"


KEPT = Path(__file__).parents[2] / "results" / "curves"


def recorded(name: str) -> str:
    """How a recorded run of dcgan_digits compares with the bands that are shipped."""
    shipped = read_expected("dcgan_digits")
    assert shipped is not None
    return verdict(read_kept(KEPT / f"{name}.csv"), shipped)


def test_a_fourth_seed_is_on_track() -> None:
    assert recorded("held_out/dcgan_digits-seed3").startswith("on track: fid/digits_cnn is 2.4 ")


@pytest.mark.parametrize("fault", ["rate", "without_five"])  # of scripts/broken_digits.py
def test_broken_runs_are_off_from_their_first_evaluation_on(fault: str) -> None:
    assert recorded(f"broken/{fault}").startswith("off since 25,024 images: fid/digits_cnn is ")


def test_shipped_bands_are_of_recipes_that_there_are() -> None:
    shipped = Path(recipes.__file__).parent / "expected"
    for path in shipped.glob("*.csv"):
        assert path.stem in recipe_names()
        found = read_expected(path.stem)
        assert found is not None
        assert all(
            low <= high
            for band in found.bands.values()
            for low, high in zip(band.low, band.high, strict=True)
        )
