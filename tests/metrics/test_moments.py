"""Exact sums: right to many digits, and to the last bit the same in any order."""

import math

import pytest
import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import FrechetDistance, ReferenceStatistics, get_extractor
from lightning_gan.metrics.frechet import frechet_distance
from lightning_gan.metrics.moments import (
    BITS,
    HEADROOM,
    MAX_VECTORS,
    add,
    no_sums,
    of_any_order,
    read,
    sized,
)
from lightning_gan.metrics.moments import unit_for as unit_of


def gaussian(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)).double()


def summed(vectors: Tensor, sizes: list[int], unit: float) -> Tensor:
    sums = sized(no_sums(), vectors.shape[1])
    for part in torch.split(vectors, sizes):
        assert not len(add(sums, part, torch.zeros(part.shape[1]), unit))
    return sums


def bits(metric: FrechetDistance) -> list[str]:
    return [value.hex() for value in metric.compute().logged().values()]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 3e7])
def test_sums_have_ten_digits_at_any_scale(scale: float) -> None:
    vectors = gaussian(3000, 300) * scale * torch.linspace(0.01, 1, 300)
    unit = unit_of(torch.cov(vectors.T))
    total, products = read(summed(vectors, [3000], unit), unit)
    assert float((total - vectors.sum(0)).abs().max()) < 3e-10 * 3000 * scale
    error = (products - vectors.T @ vectors) / (3000 * scale**2)
    assert float(error.abs().max()) < 3e-10


def test_the_order_and_the_batches_of_vectors_change_no_bit() -> None:
    vectors = gaussian(1003, 300)
    unit = unit_of(torch.eye(300))
    expected = summed(vectors, [1003], unit)
    mixed = vectors[torch.randperm(1003)]
    assert torch.equal(summed(mixed, [1, 700, 0, 302], unit), expected)
    assert torch.equal(
        summed(mixed[:500], [500], unit) + summed(mixed[500:], [503], unit), expected
    )
    plain = [vectors.T @ vectors, mixed.T @ mixed]
    assert not torch.equal(*plain)


def test_vectors_are_rounded_and_their_sums_are_not() -> None:
    whole = (gaussian(1500, 3) * 2**27).round()
    _, products = read(summed(whole, [1500], 1.0), 1.0)
    rows = [[int(x) for x in row] for row in whole.tolist()]
    for i in range(3):
        for j in range(3):
            exact = sum(row[i] * row[j] for row in rows)
            assert float(products[i, j]) == pytest.approx(exact, rel=4e-16)
    rounded = summed(whole + 0.4 * torch.rand(1500, 3), [1500], 1.0)
    assert torch.equal(rounded, summed(whole, [1500], 1.0))


def test_sums_of_the_longest_vectors_are_exact_and_fit() -> None:
    longest = 2.0**BITS
    # as long as can be, all of one sign, with remainders that are odd and as large as can be
    vectors = longest - 2048 * torch.arange(3002).reshape(1501, 2).double() - 1023
    sums = summed(vectors, [1501], 1.0)
    assert torch.equal(sums, summed(vectors, [100] * 15 + [1], 1.0))
    one = torch.tensor([[longest, 1 - longest, longest - 1024.0, 1025.0 - longest]]).double()
    assert float(summed(one, [1], 1.0).double().abs().max()) * MAX_VECTORS <= 2.0**63
    assert not len(add(sized(no_sums(), 4), one, torch.zeros(4), 1.0))
    assert len(add(sized(no_sums(), 4), one + 1, torch.zeros(4), 1.0)) == 1


def test_the_unit_follows_the_largest_deviation_and_nothing_else() -> None:
    assert unit_of(torch.diag(torch.tensor([0.0, 0.9, 1e-9]))) * 2**BITS == 2.0**HEADROOM
    assert unit_of(torch.diag(torch.tensor([1.1, 0.3]))) * 2**BITS == 2.0 ** (HEADROOM + 1)
    for useless in (torch.zeros(3, 3), torch.full((2, 2), math.nan), torch.full((1, 1), math.inf)):
        assert unit_of(useless) == 2.0**-BITS


def test_vectors_far_off_are_given_back_and_summed_in_any_order() -> None:
    vectors = torch.cat([gaussian(20, 3), 1e6 * gaussian(30, 3, seed=1)])
    mixed, sums = vectors[torch.randperm(50)], sized(no_sums(), 3)
    far = add(sums, mixed + 7, torch.full((3,), 7.0).double(), 2.0**-28)
    assert len(far) == 30
    found = [a + b for a, b in zip(read(sums, 2.0**-28), of_any_order(far), strict=True)]
    for value, expected in zip(found, (vectors.sum(0), vectors.T @ vectors), strict=True):
        assert torch.allclose(value, expected, rtol=1e-12)
    again = of_any_order(torch.cat([far[13:], far[:13]]))
    assert all(torch.equal(a, b) for a, b in zip(of_any_order(far), again, strict=True))


def frechet(reals: Tensor) -> FrechetDistance:
    extractor = get_extractor("identity")
    return FrechetDistance(extractor, ReferenceStatistics.from_samples(reals, extractor))


@pytest.mark.parametrize("shift", [0.0, 0.1, 1e3])
@pytest.mark.parametrize(("count", "most"), [(40, 5e-8), (2000, 1e-9)])
def test_the_rounding_hardly_changes_the_distance(count: int, most: float, shift: float) -> None:
    # Forty samples span no more than forty of sixty directions. What eigenvalues of the others are
    # off zero by, some 1e-16, enters the distance under a root, and differs between processors.
    reals, fakes = gaussian(2000, 60).float(), gaussian(count, 60, seed=1).float() * 1.3 + shift
    metric = frechet(reals)
    metric.update(fakes)
    known, exact = metric.reference, fakes.double()
    expected = frechet_distance(known.mean, known.covariance, exact.mean(0), torch.cov(exact.T))
    found = metric.compute().value
    assert abs(found - float(expected)) < most * max(1.0, float(expected))
    assert bool(len(metric.far)) == (shift == 1e3)


@pytest.mark.parametrize(("count", "size"), [(100, 512), (2000, 64), (5, 1)])
def test_a_set_has_no_distance_to_itself(count: int, size: int) -> None:
    reals = gaussian(count, size).float()
    metric = frechet(reals)
    metric.update(reals)
    assert metric.compute().logged()["fid/identity"] < 1e-9


def test_any_order_of_the_samples_gives_the_bits_of_one_batch() -> None:
    reals, fakes = gaussian(500, 12), gaussian(403, 12, seed=1) + 0.3
    fakes[::50] *= 1e4  # ten that are far off
    metric, other = frechet(reals), frechet(reals)
    metric.update(fakes)
    for part in torch.split(fakes.flip(0), 7):
        other.update(part)
    assert bits(metric) == bits(other)


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


def test_more_samples_than_the_integers_hold_are_refused() -> None:
    metric = frechet(gaussian(50, 3))
    metric.update(gaussian(9, 3))
    metric.tally[0] = MAX_VECTORS + 1
    with pytest.raises(ConfigurationError, match="1048577 generated samples"):
        metric.compute()


def test_a_device_without_float64_leaves_the_sums_on_the_cpu() -> None:
    metric, moved = frechet(gaussian(50, 3)), []

    def to_poor_device(value: Tensor) -> Tensor:
        if value.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        moved.append(value)
        return value.to("meta")

    metric._apply(to_poor_device)
    assert metric.sums.device.type == metric.tally.device.type == "cpu"
    metric._apply(lambda value: value.to("meta"))
    assert metric.sums.device.type == "meta"
