"""What counts as going wrong: each alarm at both sides of its limit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lightning_gan.callbacks.alarms import Health, Limits
from lightning_gan.callbacks.measurements import Measurements
from lightning_gan.evaluation.panel import Measured
from lightning_gan.metrics.modes import ModesResult
from lightning_gan.metrics.neighbours import NeighboursResult

LIMITS = Limits(margin=0.05, deviations=4.0, factor=2.0)


def said(now: Health, best: Health, *missing: str) -> dict[str, str]:
    return now.alarms(best, LIMITS, missing)


@pytest.mark.parametrize(
    ("now", "best", "lost"),
    [(9, 10, True), (10, 10, False), (11, 10, False), (950, 1000, False), (949, 1000, True)],
)
def test_modes_are_lost_beyond_the_margin(now: float, best: float, lost: bool) -> None:
    assert bool(said(Health(modes=now), Health(modes=best))["modes"]) == lost


@pytest.mark.parametrize(("best", "lost"), [(4, False), (5, True)])
def test_modes_that_come_and_go_before_half_are_covered_are_not_lost(
    best: float, lost: bool
) -> None:
    assert bool(said(Health(modes=1, num_modes=10), Health(modes=best))["modes"]) == lost


def test_lost_modes_are_named_and_long_lists_cut() -> None:
    best = Health(modes=10)
    assert said(Health(modes=8), best, "3", "8")["modes"] == (
        "2 of the 10 modes that were covered are lost (missing: 3, 8)"
    )
    assert said(Health(modes=3), best, *"0123456")["modes"].endswith(
        "(missing: 0, 1, 2, 3, 4 and 2 more)"
    )
    assert said(Health(modes=3), best)["modes"].endswith("are lost")


def test_the_stricter_count_of_modes_is_looked_at_where_there_are_two() -> None:
    strict = ModesResult("ring8", 8, [], covered=8.0, covered_robust=5.0)
    assert Health.of(Measurements(samples=Measured(9, modes=strict))).modes == 5
    classes = ModesResult("mnist", 10, [], covered=9.0)
    found = Health.of(Measurements(samples=Measured(9, modes=classes)))
    assert (found.modes, found.num_modes, found.n) == (9, 10, 9)
    few = NeighboursResult("x", coverage=0.8, compared=200)
    found = Health.of(Measurements(samples=Measured(10_000, neighbours=few)))
    assert (found.coverage, found.n) == (0.8, 200), "chance is that of what is compared"


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
    clause = said(Health(coverage=value, n=n), Health(coverage=0.9))["coverage"]
    assert clause == (f"the coverage fell from 0.900 to {value:.3f}" if fell else "")
    assert said(Health(coverage=value, n=n), Health()) == {"coverage": ""}


def test_classes_of_one_picture_each_are_named() -> None:
    best = Health(within=0.5)
    assert said(Health(within=0.19), best)["alike"] == (
        "each class is nearly one picture: 19% of the variance lies within classes"
    )
    for within in (0.21, math.nan):
        assert said(Health(within=within), best) == {"alike": ""}
    assert said(Health(within=0.01), Health())["alike"].startswith("each class is nearly one")


@pytest.mark.parametrize(
    ("distance", "rose"), [(0.59, False), (0.61, True), (math.nan, True), (0.05, False)]
)
def test_the_distance_rises_beyond_its_factor_and_noise(distance: float, rose: bool) -> None:
    # twice 0.1, and ten floors of 0.04
    now = Health(frechet=distance, floor=0.04)
    assert bool(said(now, Health(frechet=0.1))["frechet"]) == rose
    assert said(now, Health()) == {"frechet": ""}


def test_what_another_extractor_measured_does_not_compare() -> None:
    best = Health("mnist_cnn", frechet=0.1, coverage=0.9, modes=10.0)
    now = Health("pixel", frechet=9.0, coverage=0.2, modes=10.0)
    assert not any(said(now, best).values())
    assert now.best(best) == now.best(Health(modes=10.0))
    assert any(said(Health("mnist_cnn", frechet=9.0), best).values())


def test_a_saturated_game_has_a_sure_discriminator_and_no_gradient() -> None:
    best = Health(gradient=2.0)
    sure = Health(acc_real=0.995, acc_fake=1.0, gradient=0.019)
    assert said(sure, best)["saturated"] == (
        "the discriminator is right about 99.5% of held-out reals and 100.0% of fakes, and the "
        "generator's gradient has fallen to 0.95% of its largest"
    )
    for calm in ({"acc_real": 0.98}, {"acc_fake": 0.9}, {"gradient": 0.021}):
        assert said(replace(sure, **calm), best) == {"saturated": ""}
    assert said(sure, Health()) == {"saturated": ""}
    assert said(replace(sure, gradient=None), best) == {}
    critic = Health(auc=0.991, gradient=0.019)  # which is right or wrong about no sample by itself
    told = said(critic, best)["saturated"]
    assert told.startswith("the discriminator tells 99.1% of pairs of a real and a fake apart, and")
    assert said(replace(critic, auc=0.98), best) == {"saturated": ""}


def test_what_is_not_measured_raises_no_alarm_and_no_silence() -> None:
    assert said(Health(), Health(modes=10.0)) == {}
    assert Health.of(Measurements()) == Health(n=0)


def test_the_best_is_the_least_distance_and_the_most_of_all_else() -> None:
    first = Health("a", frechet=2.0, floor=0.1, modes=7.0, coverage=0.5, gradient=1.0)
    second = Health("a", frechet=3.0, floor=0.1, modes=9.0, coverage=math.nan, gradient=0.5)
    found = second.best(first.best(Health()))
    assert found == Health("a", frechet=2.0, modes=9.0, coverage=0.5, gradient=1.0)
    assert Health(frechet=math.inf, modes=math.nan).best(Health()) == Health()


def test_states_rank_by_the_distance_or_else_the_modes_or_else_the_time() -> None:
    assert Health("a", frechet=2.0, modes=7.0).rank(8) == ("frechet a", 2.0)
    assert Health("a", frechet=math.nan, modes=7.0).rank(8) == ("modes", -7.0)
    assert Health().rank(8) == ("images", -8)
