"""DiffAugment: colours, shifts and holes, against references written here."""

from __future__ import annotations

import pytest
import torch
from augmenting import pictures
from tiny import random_for
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from lightning_gan.augment import DiffAugment
from lightning_gan.errors import ConfigurationError
from lightning_gan.training.schedule import values_at


def augmented(x: Tensor, color: bool = False, shift: bool = False, cut: bool = False) -> Tensor:
    y: Tensor = DiffAugment(color, shift, cut)(x, random_for(x), values_at(0))
    return y


def test_colours_change_by_brightness_then_saturation_then_contrast() -> None:
    x = pictures(6, 3, 4, 5)
    random = random_for(x)
    b, s, c = (random.uniform() for _ in range(3))
    for image, result, *factors in zip(x, augmented(x, color=True), b, s, c, strict=True):
        brightness, saturation, contrast = (float(u) for u in factors)
        expected = image + brightness - 0.5
        grey = expected.mean(0)
        expected = grey + (expected - grey) * 2 * saturation
        expected = expected.mean() + (expected - expected.mean()) * (contrast + 0.5)
        assert torch.allclose(result, expected)


def test_brightness_alone_is_seen_in_the_mean() -> None:
    x = pictures(3000, 3, 2, 2)
    moved = augmented(x, color=True).mean((1, 2, 3)) - x.mean((1, 2, 3))
    assert -0.5 <= float(moved.min()) < -0.48
    assert 0.48 < float(moved.max()) < 0.5
    assert float(moved.mean()) == pytest.approx(0, abs=0.02)


def test_saturation_does_nothing_to_one_channel() -> None:
    x = pictures(5, 1, 4, 4)
    ratio = (augmented(x, color=True) - augmented(x, color=True).mean((1, 2, 3), True)) / (
        x - x.mean((1, 2, 3), True)
    )
    assert torch.allclose(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    assert 0.5 <= float(ratio.min()) < float(ratio.max()) < 1.5


def test_translation_shifts_by_up_to_an_eighth_and_fills_with_zero() -> None:
    x = pictures(200, 2, 8, 17)
    seen = set()
    for image, result in zip(x, augmented(x, shift=True), strict=True):
        padded = torch.nn.functional.pad(image, (2, 2, 1, 1))
        found = [
            (down, right)
            for down in (-1, 0, 1)
            for right in (-2, -1, 0, 1, 2)
            if torch.equal(padded[:, 1 - down : 9 - down, 2 - right : 19 - right], result)
        ]
        assert len(found) == 1
        seen |= set(found)
    assert len(seen) == 15


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 7)])
def test_cutout_makes_a_hole_of_half_the_size_whose_centre_lies_anywhere(
    height: int, width: int
) -> None:
    x = 1 + pictures(500, 2, height, width).abs()
    y = augmented(x, cut=True)
    assert torch.equal(y[y != 0], x[y != 0])
    hole = (y == 0).any(1)
    rows, columns = hole.any(2).sum(1), hole.any(1).sum(1)
    assert torch.equal(rows * columns, hole.sum((1, 2)))
    assert [int(rows.max()), int(columns.max())] == [(height + 1) // 2, (width + 1) // 2]
    at_the_end = hole.any(2)[:, -1]
    assert int(rows[at_the_end].min()) == int(rows.min()) == (height + 1) // 4
    # every pixel is hidden at times
    assert bool(hole.any(0).all())


def test_all_three_follow_each_other() -> None:
    x = pictures(4, 3, 8, 8)
    random = random_for(x)
    y = x
    for part in (
        DiffAugment(True, False, False),
        DiffAugment(False, True, False),
        DiffAugment(False, False, True),
    ):
        y = part(y, random, values_at(0))
    assert torch.equal(DiffAugment()(x, random_for(x), values_at(0)), y)


def test_every_image_is_changed_in_its_own_way() -> None:
    x = pictures(1, 3, 8, 8).expand(12, -1, -1, -1)
    assert len(augmented(x, True, True, True).unique(dim=0)) == 12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("size", [(1, 1, 8, 8), (2, 3, 5, 9), (1, 4, 32, 16)])
def test_shape_and_type_are_kept(size: tuple[int, ...], dtype: torch.dtype) -> None:
    x = pictures(*size).to(dtype)
    y = augmented(x, True, True, True)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)


def test_first_and_second_derivatives_are_right() -> None:
    x = pictures(2, 3, 4, 5).requires_grad_()
    assert gradcheck(lambda x: augmented(x, True, True, True), x)
    assert gradgradcheck(lambda x: augmented(x, True, True, True).tanh(), x)


def test_gradients_reach_what_is_still_seen() -> None:
    x = pictures(8, 3, 8, 8).requires_grad_()
    augmented(x, True, True, True).square().sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).flatten(1).any(1).all())


def test_points_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="works on images"):
        augmented(torch.zeros(8, 2), color=True)


def test_nothing_to_do_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing to do"):
        DiffAugment(color=False, translation=False, cutout=False)
