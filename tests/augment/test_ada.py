"""Adaptive augmentation: identity at first, gradients of any order, one law for all."""

from __future__ import annotations

from typing import Any

import augmenting
import pytest
import torch
from tiny import random_for
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from lightning_gan.augment import (
    AdaptiveAugmentation,
    Augmentation,
    Augmentations,
    DiffAugment,
    SignController,
)
from lightning_gan.basics.randomness import Seeds, Shard
from lightning_gan.errors import ConfigurationError
from lightning_gan.training.schedule import LinearCurve, values_at

EVERYTHING: dict[str, Any] = {"filtering": True, "noise": True, "cutout": True}
GROUPS = ("blit", "geometry", "color", "filtering", "noise", "cutout")


def pictures(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return augmenting.pictures(*size).to(dtype)


def only(group: str, **arguments: Any) -> AdaptiveAugmentation:
    return AdaptiveAugmentation(**({name: name == group for name in GROUPS} | arguments))


def augmented(augmentation: Augmentation, x: Tensor, images: int = 0) -> Tensor:
    y: Tensor = augmentation(x, random_for(x), values_at(images))
    return y


def test_nothing_happens_while_p_is_zero() -> None:
    x = pictures(4, 3, 8, 8)
    assert augmented(AdaptiveAugmentation(**EVERYTHING), x) is x


def test_images_that_no_operation_falls_on_are_left_alone_bit_for_bit() -> None:
    x = pictures(200, 3, 8, 8)
    y = augmented(AdaptiveAugmentation(start=0.1, **EVERYTHING), x)
    same = (x == y).flatten(1).all(1).double().mean()
    # 0.9 for each of 16 operations, and 0.95 for two that do nothing every other time
    assert 0.9**16 * 0.95**2 - 0.1 < float(same) < 0.9**16 * 0.95**2 + 0.1


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_can_be_used_alone(group: str) -> None:
    x = pictures(1, 3, 8, 8).expand(10, -1, -1, -1)
    y = augmented(only(group, start=1.0), x)
    assert len(y.unique(dim=0)) > 6


def test_the_default_is_the_papers_bgc() -> None:
    x = pictures(10, 3, 8, 8)
    off = {"filtering": False, "noise": False, "cutout": False}
    bgc = AdaptiveAugmentation(0.6, 500, 4, blit=True, geometry=True, color=True, **off)
    bgc.controller.load_state_dict(SignController(start=0.5).state_dict())
    assert torch.equal(augmented(bgc, x), augmented(AdaptiveAugmentation(start=0.5), x))


@pytest.mark.parametrize(
    "size", [(1, 1, 8, 8), (1, 3, 4, 4), (3, 2, 9, 5), (2, 4, 6, 16), (2, 3, 33, 32)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_shape_and_type_are_kept(size: tuple[int, ...], dtype: torch.dtype) -> None:
    x = pictures(*size, dtype=dtype)
    y = augmented(AdaptiveAugmentation(start=0.9, **EVERYTHING), x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert torch.isfinite(y).all()


def test_positions_are_computed_in_float32_even_under_autocast() -> None:
    x = pictures(8, 3, 16, 16)
    augmentation = AdaptiveAugmentation(start=1.0, **EVERYTHING)
    with torch.autocast("cpu", torch.bfloat16):
        y = augmented(augmentation, x)
    assert torch.equal(y, augmented(augmentation, x))


def test_first_and_second_derivatives_are_right() -> None:
    x = pictures(2, 3, 4, 5, dtype=torch.float64).requires_grad_()
    augmentation = AdaptiveAugmentation(start=0.8, **EVERYTHING)
    assert gradcheck(lambda x: augmented(augmentation, x), x)
    assert gradgradcheck(lambda x: augmented(augmentation, x).tanh(), x)


def test_r1_goes_through_to_the_weights() -> None:
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 1))
    x = pictures(4, 3, 8, 8).requires_grad_()
    logits = discriminator(augmented(AdaptiveAugmentation(start=0.7, **EVERYTHING), x))
    (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert float(discriminator[0].weight.grad.abs().max()) > 0
    assert torch.isfinite(discriminator[0].weight.grad).all()


@pytest.mark.parametrize(
    "make", [lambda: AdaptiveAugmentation(start=0.7, **EVERYTHING), DiffAugment]
)
def test_processes_augment_their_shares_as_one_would_the_whole(make: Any) -> None:
    x = pictures(6, 3, 8, 8)
    whole = augmented(make(), x)
    for first, count in ((0, 2), (2, 4)):
        random = Seeds(0).stream("test", 0, Shard(6, first, count), like=x)
        share = make()(x[first : first + count], random, values_at(0))
        assert torch.allclose(share, whole[first : first + count], atol=1e-6)


def test_reals_and_fakes_of_one_update_get_one_law_and_numbers_of_their_own() -> None:
    x = pictures(1, 3, 8, 8).expand(1000, -1, -1, -1)
    random = random_for(x)
    for group in GROUPS:
        augmentation = only(group, start=0.4)
        real, fake = (augmentation(x, random, values_at(0)) - x for _ in range(2))
        assert not torch.equal(real, fake)
        for law in (lambda y: (y != 0).flatten(1).any(1).float(), lambda y: y.flatten(1).std(1)):
            assert float(law(real).mean()) == pytest.approx(float(law(fake).mean()), rel=0.15)


def test_augmenting_leaves_no_trace() -> None:
    augmentation = AdaptiveAugmentation(start=0.5, **EVERYTHING)
    before = {name: value.clone() for name, value in augmentation.state_dict().items()}
    augmented(augmentation, pictures(8, 3, 8, 8))
    after = augmentation.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_law_depends_on_p_alone_where_p_goes_on_above_one() -> None:
    x = pictures(8, 3, 8, 8)
    assert torch.equal(
        augmented(AdaptiveAugmentation(start=7.5), x), augmented(AdaptiveAugmentation(start=1), x)
    )


def test_p_follows_a_schedule_and_reads_no_signs() -> None:
    scheduled = AdaptiveAugmentation(schedule=LinearCurve(0, 0.55, images=1000))
    assert AdaptiveAugmentation().reads_signs
    assert not scheduled.reads_signs
    for _ in range(10):
        scheduled.observe(torch.ones(100), 100_000)
    found = [scheduled.probability(values_at(n)) for n in (0, 500, 2000)]
    assert found == pytest.approx([0, 0.275, 0.55])
    x = pictures(4, 3, 8, 8)
    assert augmented(scheduled, x, images=0) is x
    assert not torch.equal(augmented(scheduled, x, images=2000), x)


def test_a_schedule_may_leave_the_range_of_probabilities() -> None:
    scheduled = AdaptiveAugmentation(schedule=LinearCurve(-1, 2, images=100))
    assert [scheduled.probability(values_at(n)) for n in (0, 50, 100)] == [0, 0.5, 1]


def test_observing_reals_that_look_real_makes_p_rise() -> None:
    augmentation = AdaptiveAugmentation(every=2, kimg=1)
    for _ in range(4):
        augmentation.observe(torch.ones(50), 50)
    assert augmentation.probability(values_at(0)) == pytest.approx(0.2)
    assert not torch.equal(augmented(augmentation, x := pictures(8, 3, 8, 8)), x)


def test_points_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="works on images"):
        augmented(AdaptiveAugmentation(start=0.5), torch.zeros(8, 2))


def test_no_operation_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing to do"):
        AdaptiveAugmentation(blit=False, geometry=False, color=False)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"target": 1.0}, "target"),
        ({"target": -1.5}, "target"),
        ({"kimg": 0}, "kimg"),
        ({"every": 0}, "every"),
        ({"start": -0.1}, "start"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        AdaptiveAugmentation(**arguments)


def test_a_composition_applies_its_parts_in_order() -> None:
    x = pictures(8, 3, 8, 8)
    colors = DiffAugment(translation=False, cutout=False)
    moves = only("geometry", start=0.9)
    random, value_of = random_for(x), values_at(0)
    expected = moves(colors(x, random, value_of), random, value_of)
    assert torch.equal(augmented(Augmentations([colors, moves]), x), expected)
    assert not torch.equal(augmented(Augmentations([moves, colors]), x), expected)
