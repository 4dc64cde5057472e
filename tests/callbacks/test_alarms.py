"""What counts as going wrong: each alarm at both sides of its limit."""

from __future__ import annotations

import math

import pytest

from lightning_gan.callbacks.alarms import GRADIENT, Limits, Modes, alarms, health, improved

LIMITS = Limits(margin=0.05, deviations=4.0, factor=2.0)
MODES, ROBUST = "modes/mnist/covered", "modes/stacked/covered_robust"


def said(
    now: dict[str, float], best: dict[str, float], *missing: str, total: int = 0
) -> dict[str, str]:
    return alarms(now, best, LIMITS, Modes(missing, total))


@pytest.mark.parametrize(
    ("now", "best", "lost"),
    [(9, 10, True), (10, 10, False), (11, 10, False), (950, 1000, False), (949, 1000, True)],
)
def test_modes_are_lost_beyond_the_margin(now: float, best: float, lost: bool) -> None:
    assert bool(said({MODES: now}, {MODES: best})["modes"]) == lost


@pytest.mark.parametrize(("best", "lost"), [(4, False), (5, True)])
def test_modes_that_come_and_go_before_half_are_covered_are_not_lost(
    best: float, lost: bool
) -> None:
    assert bool(said({MODES: 1.0}, {MODES: best}, total=10)["modes"]) == lost


def test_lost_modes_are_named_and_long_lists_cut() -> None:
    best = {MODES: 10.0}
    assert said({MODES: 8.0}, best, "3", "8")["modes"] == (
        "2 of the 10 modes that were covered are lost (missing: 3, 8)"
    )
    assert said({MODES: 3.0}, best, *"0123456")["modes"].endswith(
        "(missing: 0, 1, 2, 3, 4 and 2 more)"
    )
    assert said({MODES: 3.0}, best)["modes"].endswith("are lost")


def test_the_stricter_count_of_modes_is_looked_at_where_there_are_two() -> None:
    best = {"modes/stacked/covered": 1000.0, ROBUST: 1000.0}
    now = {"modes/stacked/covered": 500.0, ROBUST: 1000.0}
    assert said(now, best) == {"modes": ""}
    assert said(now | {ROBUST: 500.0}, best)["modes"].startswith("500 of the 1000 modes")


@pytest.mark.parametrize(
    ("value", "n", "fell"),
    [
        (0.849, math.inf, True),
        (0.851, math.inf, False),
        (0.785, 1000, True),  # chance is 4 sqrt((0.169 + 0.09) / 1000) = 0.0644
        (0.786, 1000, False),
        (0.95, 1000, False),
    ],
)
def test_coverage_falls_beyond_margin_and_chance(value: float, n: float, fell: bool) -> None:
    best, sizes = {"coverage/mnist_cnn": 0.9}, {} if n == math.inf else {"eval/n": n}
    clause = said({"coverage/mnist_cnn": value} | sizes, best)["coverage"]
    assert clause == (f"coverage/mnist_cnn fell from 0.900 to {value:.3f}" if fell else "")


@pytest.mark.parametrize(
    ("distance", "rose"), [(0.59, False), (0.61, True), (math.nan, True), (0.05, False)]
)
def test_the_distance_rises_beyond_its_factor_and_noise(distance: float, rose: bool) -> None:
    # twice 0.1, and ten floors of 0.04
    now = {"fid/mnist_cnn": distance, "fid/mnist_cnn_floor": 0.04}
    assert bool(said(now, {"fid/mnist_cnn": 0.1})["frechet"]) == rose
    assert said(now, {}) == {"frechet": ""}


def test_a_saturated_game_has_a_sure_discriminator_and_no_gradient() -> None:
    best = {GRADIENT: 2.0}
    sure = {"val/acc_real": 0.995, "val/acc_fake": 1.0, GRADIENT: 0.019}
    assert said(sure, best)["saturated"] == (
        "the discriminator is right about 99.5% of held-out reals and 100.0% of fakes, and the "
        "generator's gradient has fallen to 0.95% of its largest"
    )
    for calm in ({"val/acc_real": 0.98}, {"val/acc_fake": 0.9}, {GRADIENT: 0.021}):
        assert said(sure | calm, best) == {"saturated": ""}
    assert said(sure, {}) == {"saturated": ""}
    del sure[GRADIENT]
    assert said(sure, best) == {}


def test_what_is_not_measured_raises_no_alarm_and_no_silence() -> None:
    assert said({"loss/generator": 1.0}, {MODES: 10.0}) == {}


def test_the_best_is_the_least_distance_and_the_most_of_all_else() -> None:
    first = {
        "fid/a": 2.0,
        "fid/a_floor": 0.1,
        "fid/a_debiased": 1.9,
        MODES: 7.0,
        "coverage/a": 0.5,
        GRADIENT: 1.0,
    }
    second = {"fid/a": 3.0, "fid/a_floor": 0.1, MODES: 9.0, "coverage/a": math.nan, GRADIENT: 0.5}
    found = improved(improved({}, first), second)
    assert found == {"fid/a": 2.0, MODES: 9.0, "coverage/a": 0.5, GRADIENT: 1.0}
    assert improved({}, {"fid/a": math.inf, "fid/a_floor": 0.1, MODES: math.nan}) == {}


def test_health_is_the_distance_or_else_the_modes_or_else_the_time() -> None:
    modes = {MODES: 7.0}
    assert health({"fid/a": 2.0, "fid/a_floor": 1.0} | modes, 8) == ("fid/a", 2.0)
    assert health({"fid/a": math.nan, "fid/a_floor": 1.0} | modes, 8) == (MODES, -7.0)
    assert health({}, 8) == ("images", -8)
