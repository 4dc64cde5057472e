"""Curves at their ends, their middles, and beyond."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from tiny import fit, points_gan
from torch import nn

from lightning_gan.basics.classes import subclasses
from lightning_gan.checkpoints.parts import build, describe
from lightning_gan.errors import ConfigurationError
from lightning_gan.training.optimizers import GANAdam, correct_for_laziness, follow_curves
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


def test_a_decay_waits_for_its_delay() -> None:
    gamma = DecayCurve(0.5, images=10, end=0.1, start=0.8, delay=100)
    assert [gamma(images) for images in (0, 100, 109, 110, 120, 999)] == pytest.approx(
        [0.8, 0.8, 0.8, 0.4, 0.2, 0.1]
    )


@pytest.mark.parametrize(
    ("factor", "images", "delay"), [(0.0, 10, 0), (1.1, 10, 0), (0.9, 0, 0), (0.9, 10, -1)]
)
def test_a_decay_that_is_none_is_refused(factor: float, images: int, delay: int) -> None:
    with pytest.raises(ConfigurationError, match="DecayCurve"):
        DecayCurve(factor, images, delay=delay)


# ------------------------------------------------------------------- optimizers that follow curves


def adam(**curves: Curve) -> GANAdam:
    """An optimizer as a player's: with the rate that curves multiply."""
    optimizer = GANAdam([nn.Parameter(torch.zeros(1))], lr=0.1, betas=(0.0, 0.9), **curves)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def test_a_player_follows_its_own_rate_and_that_of_both() -> None:
    own = adam(lr_curve=LinearCurve(1, 0, images=100))
    for images, factor, expected in ((0, None, 0.1), (50, None, 0.05), (50, Half(), 0.025)):
        follow_curves(own, factor, images)
        assert own.param_groups[0]["lr"] == pytest.approx(expected)
        assert own.param_groups[0]["betas"] == (0.0, 0.9)


class Half(Curve):
    """Always a half."""

    def __call__(self, images: int) -> float:
        return 0.5


def test_an_optimizer_without_curves_stays_as_it_is() -> None:
    for optimizer in (adam(), torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)):
        before = copy.deepcopy(optimizer.state_dict())
        follow_curves(optimizer, None, 50)
        assert optimizer.state_dict() == before


def test_beta2_rises_as_r3gans_and_keeps_the_correction_for_laziness() -> None:
    moving = adam(beta2_curve=CosineCurve(0.9, 0.99, images=20_000_000))
    betas = []
    for millions in (0, 10, 20, 100):
        follow_curves(moving, None, millions * 10**6)
        betas.append(moving.param_groups[0]["betas"][1])
    assert betas == pytest.approx([0.9, 0.945, 0.99, 0.99])
    lazy = adam(beta2_curve=LinearCurve(0.9, 0.99, images=100))
    correct_for_laziness(lazy, 3)
    follow_curves(lazy, None, 100)
    assert lazy.param_groups[0]["betas"][1] == pytest.approx(0.99**0.75)


def test_curves_of_an_optimizer_travel_with_the_description_of_a_model() -> None:
    curve = LinearCurve(0.9, 0.99, images=64)
    gan = points_gan(discriminator_optimizer=partial(GANAdam, beta2_curve=curve))
    fit(gan, 4)
    again = build(describe(gan))
    (optimizer, _) = again.configure_optimizers()
    assert repr(optimizer.defaults["beta2_curve"]) == repr(curve)
    steps = gan.progress.images
    assert gan.optimizer_of("discriminator").param_groups[0]["betas"][1] == pytest.approx(
        curve(steps * 3 // 4)
    )


def test_the_half_life_of_the_average_may_move() -> None:
    gan = points_gan(ema_half_life=LinearCurve(8, 24, images=16), ema_rampup=1e9)
    gan.progress.images = gan.average.images = 8
    with torch.no_grad():
        before = [weight.clone() for weight in gan.generator_ema.parameters()]
        for weight in gan.generator.parameters():
            weight.add_(1)
    gan.progress.images += 16  # a half-life after 8 images is 16
    gan.average.follow(gan.progress.images, gan.ema_half_life, gan.ema_rampup)
    for weight, old in zip(gan.generator_ema.parameters(), before, strict=True):
        torch.testing.assert_close(weight, old + 0.5)
