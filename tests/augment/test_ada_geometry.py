"""Pixel blitting and geometry of adaptive augmentation, each against what it is to do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from augmenting import MANY, pictures, sampler
from torch import Tensor

from lightning_gan.augment import ada_geometry


def matches(image: Tensor, candidates: dict[int | tuple[int, int], Tensor]) -> set[object]:
    return {name for name, candidate in candidates.items() if torch.equal(image, candidate)}


# ----------------------------------------------------------------------------- pixel blitting


def test_mirroring_flips_half_of_the_images_left_to_right() -> None:
    x = pictures()
    y = ada_geometry.copied(x, ada_geometry.mirroring(sampler(x)))
    flipped = [torch.equal(b, a.flip(-1)) for a, b in zip(x, y, strict=True)]
    kept = [torch.equal(b, a) for a, b in zip(x, y, strict=True)]
    assert all(f != k for f, k in zip(flipped, kept, strict=True))
    assert 10 < sum(flipped) < 30


def test_turning_is_rot90_of_all_four_kinds() -> None:
    x = pictures()
    y = ada_geometry.copied(x, ada_geometry.turning(sampler(x), square=True))
    turns = [
        matches(b, {k: torch.rot90(a, k, (1, 2)) for k in range(4)})
        for a, b in zip(x, y, strict=True)
    ]
    assert all(len(found) == 1 for found in turns)
    assert set().union(*turns) == {0, 1, 2, 3}


def test_oblong_images_are_turned_by_halves() -> None:
    x = pictures(height=6, width=9)
    y = ada_geometry.changed(x, sampler(x), blit=True, geometry=False)
    assert y.shape == x.shape
    y = ada_geometry.copied(x, ada_geometry.turning(sampler(x), square=False))
    turns = [
        matches(b, {k: torch.rot90(a, k, (1, 2)) for k in (0, 2)})
        for a, b in zip(x, y, strict=True)
    ]
    assert set().union(*turns) == {0, 2}
    assert all(turns)


def test_stepping_shifts_by_whole_pixels_up_to_an_eighth_and_mirrors_the_edges() -> None:
    x = pictures(count=100, height=8, width=24)
    y = ada_geometry.copied(x, ada_geometry.stepping(sampler(x), x))
    seen = set()
    for a, b in zip(x, y, strict=True):
        padded = torch.from_numpy(np.pad(a.numpy(), ((0, 0), (1, 1), (3, 3)), "symmetric"))
        windows = {
            (down, right): padded[:, 1 - down : 9 - down, 3 - right : 27 - right]
            for down in (-1, 0, 1)
            for right in range(-3, 4)
        }
        found = matches(b, windows)
        assert len(found) == 1
        seen |= found
    assert len(seen) > 15


def test_blitting_copies_pixels_and_makes_no_new_ones() -> None:
    x = pictures()
    y = ada_geometry.changed(x, sampler(x), blit=True, geometry=False)
    for a, b in zip(x, y, strict=True):
        assert set(b.flatten().tolist()) <= set(a.flatten().tolist())


# ---------------------------------------------------------------------------------- geometric


def waves(x: Tensor, y: Tensor) -> Tensor:
    """A smooth picture as a function of the position, in pixels from its centre."""
    return torch.cos(2 * math.pi * (x + 0.6 * y) / 24 + 1) + 0.5 * torch.sin(2 * math.pi * y / 20)


def positions(height: int, width: int) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) - (height - 1) / 2,
        torch.arange(width, dtype=torch.float64) - (width - 1) / 2,
        indexing="ij",
    )
    return x, y


def check_resampled(
    operation: Tensor, source: Callable[[Tensor, Tensor, int], list[Tensor]]
) -> None:
    """Compares with the smooth picture, evaluated where ``source`` says that pixels come from."""
    height, width = 32, 40
    x, y = positions(height, width)
    images = waves(x, y).expand(len(operation), 1, -1, -1)
    results = ada_geometry.resampled(images, operation)
    assert results.shape == images.shape
    compared = 0
    for number, result in enumerate(results):
        sx, sy = source(x, y, number)
        inside = (sx.abs() < width / 2 - 4) & (sy.abs() < height / 2 - 4)
        # The filter is off by a tenth of a pixel where an image is turned around.
        assert float((result[0] - waves(sx, sy))[inside].abs().max()) < 0.06
        compared += int(inside.sum())
    assert compared > 100 * len(operation)


def test_isotropic_scaling_magnifies_about_the_centre() -> None:
    operation = ada_geometry.isotropic_scaling(sampler(12))
    magnified = 1 / operation[:, 0, 0]
    check_resampled(operation, lambda x, y, n: [x / magnified[n], y / magnified[n]])
    many = ada_geometry.isotropic_scaling(sampler(MANY))[:, 0, 0].log2()
    assert float(many.std()) == pytest.approx(0.2, rel=0.05)
    assert float(many.mean()) == pytest.approx(0, abs=0.01)


def test_anisotropic_scaling_keeps_the_area() -> None:
    operation = ada_geometry.anisotropic_scaling(sampler(12))
    stretch = 1 / operation[:, 0, 0]
    check_resampled(operation, lambda x, y, n: [x / stretch[n], y * stretch[n]])
    many = ada_geometry.anisotropic_scaling(sampler(MANY))
    assert torch.allclose(torch.linalg.det(many[:, :, :2]), torch.ones(MANY, dtype=torch.float64))
    assert float(many[:, 0, 0].log2().std()) == pytest.approx(0.2, rel=0.05)


def test_rotation_is_by_any_angle_about_the_centre() -> None:
    operation = ada_geometry.rotation(sampler(12))
    angle = torch.atan2(operation[:, 1, 0], operation[:, 0, 0])

    def source(x: Tensor, y: Tensor, n: int) -> list[Tensor]:
        turned = torch.complex(x, y) * torch.polar(torch.ones_like(angle[n]), angle[n])
        return [turned.real, turned.imag]

    check_resampled(operation, source)
    many = ada_geometry.rotation(sampler(MANY))
    angles = torch.atan2(many[:, 1, 0], many[:, 0, 0])
    assert float(angles.std()) == pytest.approx(math.pi / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_two_rotations_have_the_probability_of_one(p: float) -> None:
    chance = sampler(MANY, p)
    both = ada_geometry.composed(ada_geometry.rotation(chance), ada_geometry.rotation(chance))
    assert float((both[:, 0, 0] != 1).double().mean()) == pytest.approx(p, abs=0.03)


def test_shifting_is_by_shares_of_the_size() -> None:
    images = pictures(height=32, width=40)
    operation = ada_geometry.shifting(sampler(12), images)
    right, down = -operation[:, 0, 2], -operation[:, 1, 2]
    check_resampled(operation, lambda x, y, n: [x - right[n], y - down[n]])
    many = ada_geometry.shifting(sampler(MANY), images)[:, :, 2]
    assert many.std(0).tolist() == pytest.approx([40 / 8, 32 / 8], rel=0.05)


def test_maps_are_composed_in_the_order_in_which_they_are_applied() -> None:
    ones = torch.ones(1, dtype=torch.float64)
    step = ada_geometry.shift_by(ones, 0 * ones)
    mirror = ada_geometry.scaling(-ones, ones)
    x = pictures(count=1)
    twice = ada_geometry.copied(ada_geometry.copied(x, step), mirror)
    assert torch.equal(ada_geometry.copied(x, ada_geometry.composed(step, mirror)), twice)
    assert not torch.equal(ada_geometry.copied(x, ada_geometry.composed(mirror, step)), twice)


def test_resampling_by_whole_pixels_is_exact_away_from_the_edges() -> None:
    x = pictures(count=1, height=20, width=20)
    one = torch.ones(1, dtype=torch.float64)
    y = ada_geometry.resampled(x, ada_geometry.shift_by(2 * one, -3 * one))
    assert torch.allclose(y[..., 6:10, 8:14], x[..., 9:13, 6:12], atol=1e-12)


def test_a_constant_image_stays_constant_wherever_it_is_moved() -> None:
    x = torch.full((20, 1, 5, 7), 0.3, dtype=torch.float64)
    far = 30 * torch.ones(20, dtype=torch.float64)
    assert torch.allclose(ada_geometry.resampled(x, ada_geometry.shift_by(far, far)), x)


def test_the_filter_is_orthonormal_and_has_six_vanishing_moments() -> None:
    h = np.array(ada_geometry.SYM6)
    products = [float(h[2 * k :] @ h[: len(h) - 2 * k]) for k in range(6)]
    assert products == pytest.approx([1, 0, 0, 0, 0, 0], abs=1e-10)
    n = np.arange(12) - 5.5
    moments = [float(((-1.0) ** np.arange(12) * n**k) @ h) for k in range(6)]
    assert moments == pytest.approx([0] * 6, abs=1e-6)
