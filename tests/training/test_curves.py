"""Curves at their ends, their middles, and beyond."""

from __future__ import annotations

import pytest

from lightning_gan.checkpoints.parts import subclasses
from lightning_gan.errors import ConfigurationError
from lightning_gan.training.schedule import CosineCurve, Curve, DecayCurve, LinearCurve, value_at

KINDS = [LinearCurve, CosineCurve]
for_every_kind = pytest.mark.parametrize("kind", KINDS)


def test_every_curve_is_tested() -> None:
    own = {c for c in subclasses(Curve) if c.__module__.startswith("lightning_gan.")}
    assert {c for c in own if not c.__name__.startswith("_")} == {*KINDS, DecayCurve}


@for_every_kind
def test_a_curve_starts_and_ends_where_it_says_and_stays(kind: type[LinearCurve]) -> None:
    curve = kind(3.0, 1.0, images=100, delay=50)
    values = [curve(images) for images in (0, 50, 100, 150, 10_000)]
    assert values == pytest.approx([3, 3, 2, 1, 1])


@for_every_kind
@pytest.mark.parametrize(("start", "end"), [(1.0, 0.0), (0.0, 5.0)])
def test_a_curve_goes_one_way_only(kind: type[LinearCurve], start: float, end: float) -> None:
    curve = kind(start, end, images=20)
    values = [curve(images) for images in range(30)]
    assert values == sorted(values, reverse=start > end)


def test_a_quarter_of_the_way() -> None:
    assert LinearCurve(1, 0, 100)(25) == pytest.approx(0.75)
    assert CosineCurve(1, 0, 100)(25) == pytest.approx(0.853553, abs=1e-6)


def test_r3gans_burn_in_on_cifar() -> None:
    rate = CosineCurve(2e-4, 5e-5, images=20_000_000)
    values = [rate(millions * 10**6) for millions in (0, 10, 20, 100)]
    assert values == pytest.approx([2e-4, 1.25e-4, 5e-5, 5e-5])


@for_every_kind
@pytest.mark.parametrize(("images", "delay"), [(0, 0), (-1, 0), (10, -1)])
def test_spans_that_are_none_are_refused(kind: type[LinearCurve], images: int, delay: int) -> None:
    with pytest.raises(ConfigurationError, match=kind.__name__):
        kind(1, 0, images, delay)


def test_a_number_is_a_curve_that_stays() -> None:
    assert value_at(0.5, 10**9) == 0.5
    assert value_at(LinearCurve(1, 0, 10), 5) == 0.5


def test_a_decay_is_multiplied_once_an_epoch_down_to_its_end() -> None:
    # the share of top-k on CIFAR-10 (Sinha et al. 2020): 0.99 an epoch, down to a half
    share = DecayCurve(0.99, images=50_000, end=0.5)
    assert [share(images) for images in (0, 49_999, 50_000)] == pytest.approx([1, 1, 0.99])
    assert share(10 * 50_000) == pytest.approx(0.99**10)
    assert share(10**9) == 0.5


@pytest.mark.parametrize(("factor", "images"), [(0.0, 10), (1.1, 10), (0.9, 0)])
def test_a_decay_that_is_none_is_refused(factor: float, images: int) -> None:
    with pytest.raises(ConfigurationError, match="DecayCurve"):
        DecayCurve(factor, images)
