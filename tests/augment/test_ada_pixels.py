"""Colours, filtering and corruptions of adaptive augmentation, each against what it is to do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from augmenting import MANY, pictures, sampler
from torch import Tensor

from lightning_gan.augment import ada_color, ada_corruption, ada_geometry
from lightning_gan.augment.ada_color import Grade, graded
from lightning_gan.augment.operations import OperationSampler

# -------------------------------------------------------------------------------------- colour


def recolored(operation: Callable[[Grade, OperationSampler], Grade], x: Tensor) -> Tensor:
    return graded(x, operation(Grade.neutral(x), sampler(x)))


def test_brightness_adds_one_number_to_an_image() -> None:
    x = pictures(MANY, 3, 2, 2)
    added = (recolored(ada_color.brightened, x) - x).flatten(1)
    assert float((added - added[:, :1]).abs().max()) < 1e-12
    assert float(added.std()) == pytest.approx(0.2, rel=0.05)


def test_contrast_multiplies_by_one_factor() -> None:
    x = pictures(MANY, 3, 2, 2)
    factor = (recolored(ada_color.contrasted, x) / x).flatten(1)
    assert float((factor / factor[:, :1] - 1).abs().max()) < 1e-9
    assert float(factor.log2().std()) == pytest.approx(0.5, rel=0.05)


def test_colours_change_with_a_share_of_the_probability() -> None:
    x = pictures(MANY, 3, 2, 2)
    half = OperationSampler(sampler(x).random, 0.5, like=x)
    changed = (ada_color.recolored(x, half, share=0.5) != x).flatten(1).any(1)
    # of five operations each with 1/4, luma flips turn every other one
    untouched = 0.75**4 * (1 - 0.25 / 2)
    assert float(changed.double().mean()) == pytest.approx(1 - untouched, abs=0.03)
    half = OperationSampler(sampler(x).random, 0.5, like=x)
    assert torch.equal(ada_color.recolored(x, half, share=0), x)


def test_the_operations_composed_are_the_operations_in_a_row() -> None:
    x = pictures(channels=3)
    grade, in_a_row = Grade.neutral(x), x
    for operation in (
        ada_color.brightened,
        ada_color.contrasted,
        ada_color.luma_flipped,
        ada_color.hue_rotated,
        ada_color.saturated,
    ):
        grade = operation(grade, sampler(x))
        in_a_row = recolored(operation, in_a_row)
    assert torch.allclose(graded(x, grade), in_a_row)
    assert not torch.allclose(in_a_row, x)


def test_luma_flip_reflects_half_of_the_images_in_the_plane_across_grey() -> None:
    x = pictures(channels=3)
    y = recolored(ada_color.luma_flipped, x)
    v = torch.ones(3, dtype=torch.float64) / math.sqrt(3)
    householder = torch.eye(3, dtype=torch.float64) - 2 * torch.outer(v, v)
    flipped = torch.einsum("cd,ndhw->nchw", householder, x)
    is_flipped = [torch.allclose(a, b) for a, b in zip(y, flipped, strict=True)]
    is_kept = [torch.equal(a, b) for a, b in zip(y, x, strict=True)]
    assert all(f != k for f, k in zip(is_flipped, is_kept, strict=True))
    assert 10 < sum(is_flipped) < 30


def test_luma_flip_of_one_channel_is_the_negative() -> None:
    x = pictures(channels=1)
    y = recolored(ada_color.luma_flipped, x)
    assert torch.equal(y.abs(), x.abs())
    assert not torch.equal(y, x)


def test_hue_rotation_turns_colours_about_the_grey_axis() -> None:
    x = pictures(channels=3)
    grade = ada_color.hue_rotated(Grade.neutral(x), sampler(x))
    y = graded(x, grade)
    assert torch.allclose(y.mean(1), x.mean(1))
    generator = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]).double() / math.sqrt(3)
    rotations = torch.linalg.matrix_exp(grade.hue[:, None, None] * generator)
    assert torch.allclose(y, torch.einsum("ncd,ndhw->nchw", rotations, x))
    assert float(grade.hue.abs().max()) <= math.pi
    assert grade.hue.min() < -1 < 1 < grade.hue.max()


def test_a_third_of_a_turn_of_the_hue_exchanges_the_channels() -> None:
    x = pictures(count=1, channels=3)
    one = torch.ones(1, dtype=torch.float64)
    y = graded(x, Grade(one, 0 * one, one, one * 2 * math.pi / 3))
    assert torch.allclose(y, x.roll(1, 1))


def test_saturation_multiplies_what_is_not_grey() -> None:
    x = pictures(MANY, 3, 2, 2)
    y = recolored(ada_color.saturated, x)
    assert torch.allclose(y.mean(1), x.mean(1))
    chroma = x - x.mean(1, keepdim=True)
    factor = ((y - y.mean(1, keepdim=True)) / chroma).flatten(1)
    assert torch.allclose(factor, factor[:, :1], rtol=1e-6)
    assert float(factor[:, 0].log2().std()) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_has_colours_to_change(channels: int) -> None:
    x = pictures(channels=channels)
    y = ada_color.recolored(x, sampler(x))
    assert y.shape == x.shape
    assert not torch.equal(y, x)


# ----------------------------------------------------------------- filtering and corruptions


def test_the_bands_add_up_to_the_identity_and_each_has_frequencies_of_its_own() -> None:
    bank = np.array(ada_corruption.bands())
    assert bank.sum(0) == pytest.approx(np.eye(bank.shape[1])[bank.shape[1] // 2])
    frequencies = np.array([0, 3 / 32, 3 / 16, 1 / 2])  # in cycles a pixel: within each band
    offsets = np.arange(bank.shape[1]) - bank.shape[1] // 2
    response = bank @ np.cos(2 * np.pi * np.outer(offsets, frequencies))
    assert np.diag(response).min() > 0.7
    assert np.array_equal(response.argmax(0), np.arange(4))
    assert response[:, 0] == pytest.approx([1, 0, 0, 0])
    assert response[:, 3] == pytest.approx([0, 0, 0, 1])


@pytest.mark.parametrize("band", range(4))
def test_a_band_is_amplified_and_the_expected_power_kept(band: int) -> None:
    gains = ada_corruption.band_gains(sampler(MANY), band)
    power = (gains**2 * torch.tensor(ada_corruption.POWERS, dtype=torch.float64)).sum(1)
    assert torch.allclose(power, torch.ones_like(power))
    others = [other for other in range(4) if other != band]
    factor = gains[:, band] / gains[:, others[0]]
    assert torch.equal(gains[:, others], gains[:, others[:1]].expand(-1, 3))
    assert float(factor.log2().std()) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("band", range(4))
def test_amplifying_is_a_convolution_of_mirrored_rows_and_columns(band: int) -> None:
    x = pictures(count=3, height=6, width=50)
    gains = ada_corruption.band_gains(sampler(x), band)
    y = ada_corruption.amplified(x, gains)
    bank = np.array(ada_corruption.bands())
    margin = bank.shape[1] // 2
    for image, taps, result in zip(x.numpy(), gains.numpy() @ bank, y.numpy(), strict=True):
        for axis in (1, 2):
            widths = [(margin, margin) if a == axis else (0, 0) for a in range(3)]
            padded = np.pad(image, widths, "symmetric")
            image = np.apply_along_axis(np.convolve, axis, padded, taps, "valid")
        assert result == pytest.approx(image)


def test_noise_has_a_deviation_of_its_own_for_every_image() -> None:
    x = torch.zeros(MANY, 1, 8, 8, dtype=torch.float64)
    y = ada_corruption.noisy(x, sampler(x))
    deviations = y.flatten(1).std(1)
    assert float(deviations.square().mean().sqrt()) == pytest.approx(0.1, rel=0.05)
    # the mean of a half-normal number
    assert float(deviations.mean()) == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.05)


def test_cutout_sets_a_rectangle_of_half_the_size_to_zero() -> None:
    x = 1 + pictures(100, 2, 8, 12).abs()
    y = ada_corruption.holed(x, sampler(x))
    assert torch.equal(y[y != 0], x[y != 0])
    hole = (y == 0).all(1)
    assert torch.equal(hole, (y == 0).any(1))
    rows, columns = hole.any(2).sum(1), hole.any(1).sum(1)
    assert torch.equal(rows * columns, hole.sum((1, 2)))
    assert [int(rows.max()), int(columns.max())] == [4, 6]
    assert 1 < int(rows.min()) < 4


OPERATIONS: dict[str, Callable[[Tensor, OperationSampler], Tensor]] = {
    "blitting": lambda x, chance: ada_geometry.changed(x, chance, blit=True, geometry=False),
    "geometry": lambda x, chance: ada_geometry.changed(x, chance, blit=False, geometry=True),
    "colour": ada_color.recolored,
    "filtering": ada_corruption.filtered,
    "noise": ada_corruption.noisy,
    "cutout": ada_corruption.holed,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_images_that_an_operation_is_not_applied_to_stay_as_they_are(name: str) -> None:
    x = pictures(200, 3)
    y = OPERATIONS[name](x, sampler(x, 0.1))
    same = (y == x).flatten(1).all(1)
    assert 80 < int(same.sum()) < 200


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_image_is_changed_in_its_own_way(name: str) -> None:
    x = pictures(1, 3).expand(12, -1, -1, -1)
    assert len(OPERATIONS[name](x, sampler(x)).unique(dim=0)) > 8


def test_rounded_draws_stay_below_one_and_probability_one_is_always() -> None:
    chance = sampler(20_000, dtype=torch.bfloat16)
    numbers = chance.uniform()
    assert numbers.dtype == torch.float32
    assert float(numbers.max()) < 1
    assert bool(chance.chosen().all())
    assert float(chance.whole(3).max()) == 2
