"""Sums in float64: right to many digits, and almost the same in any order."""

import math

import pytest
import torch
from torch import Tensor

from lightning_gan.metrics import FrechetDistance, ReferenceStatistics, get_extractor
from lightning_gan.metrics.frechet import frechet_distance


def gaussian(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)).double()


def frechet(reals: Tensor) -> FrechetDistance:
    extractor = get_extractor("identity")
    return FrechetDistance(extractor, ReferenceStatistics.from_samples(reals, extractor))


@pytest.mark.parametrize("shift", [0.0, 0.1, 1e3])
@pytest.mark.parametrize(("count", "most"), [(40, 5e-8), (2000, 1e-9)])
def test_no_shift_costs_the_distance_its_digits(count: int, most: float, shift: float) -> None:
    # Forty samples span no more than forty of sixty directions. What eigenvalues of the others are
    # off zero by, some 1e-16, enters the distance under a root, and differs between processors.
    reals, fakes = gaussian(2000, 60).float(), gaussian(count, 60, seed=1).float() * 1.3 + shift
    metric = frechet(reals)
    metric.update(fakes)
    known, exact = metric.reference, fakes.double()
    expected = frechet_distance(known.mean, known.covariance, exact.mean(0), torch.cov(exact.T))
    found = metric.compute().value
    assert abs(found - float(expected)) < most * max(1.0, float(expected))


@pytest.mark.parametrize(("count", "size"), [(100, 512), (2000, 64), (5, 1)])
def test_a_set_has_no_distance_to_itself(count: int, size: int) -> None:
    reals = gaussian(count, size).float()
    metric = frechet(reals)
    metric.update(reals)
    assert metric.compute().logged()["fid/identity"] < 1e-9


def test_any_order_of_the_samples_gives_the_value_of_one_batch() -> None:
    reals, fakes = gaussian(500, 12), gaussian(403, 12, seed=1) + 0.3
    fakes[::50] *= 1e4  # ten that are far off
    metric, other = frechet(reals), frechet(reals)
    metric.update(fakes)
    for part in torch.split(fakes.flip(0), 7):
        other.update(part)
    assert metric.compute().logged() == pytest.approx(other.compute().logged(), rel=1e-12)


def test_constant_reals_and_constant_fakes_compare() -> None:
    metric = frechet(torch.full((50, 4), 3.0))
    metric.update(torch.full((70, 4), 5.0))
    assert metric.compute().logged()["fid/identity"] == pytest.approx(16, abs=1e-9)


def test_features_that_overflow_count_as_samples_that_are_not_finite() -> None:
    metric = frechet(gaussian(50, 3))
    metric.extractor.extract = lambda images: images * 1e38  # type: ignore[method-assign] # the overflow
    metric.update(torch.cat([torch.zeros(30, 3), torch.full((2, 3), 9.0)]))
    assert metric.nonfinite == 2
    with pytest.warns(UserWarning, match="2 of 32 generated samples are not finite"):
        assert math.isnan(metric.compute().value)


def test_a_device_without_float64_leaves_the_sums_on_the_cpu() -> None:
    metric = frechet(gaussian(50, 3))

    def to_poor_device(value: Tensor) -> Tensor:
        if value.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return value.to("meta")

    metric._apply(to_poor_device)
    assert metric.total.device.type == metric.products.device.type == "cpu"
    metric._apply(lambda value: value.to("meta"))
    assert metric.total.device.type == metric.products.device.type == "meta"
