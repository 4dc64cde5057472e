"""The Frechet distance: closed forms, a reference beside the test, its floor, and its faults."""

import math
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_gan.basics.images import from_uint8
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import (
    FrechetDistance,
    Neighbours,
    ReferenceFeatures,
    ReferenceStatistics,
    bias_coefficient,
    frechet_distance,
    get_extractor,
)
from lightning_gan.metrics.frechet import LARGE, SMALL, covariance_factor
from lightning_gan.metrics.samples import SampleBatch


def gaussian(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)).double()


def moments(samples: Tensor) -> tuple[Tensor, Tensor]:
    return samples.mean(0), torch.cov(samples.T).reshape(samples.shape[1], samples.shape[1])


def points_metric(reals: Tensor) -> FrechetDistance:
    extractor = get_extractor("identity")
    return FrechetDistance(extractor, ReferenceStatistics.from_samples(reals, extractor))


def numpy_distance(a: Tensor, b: Tensor) -> float:
    """By eigenvalues of the product, NumPy, float64: an independent way."""
    x, y = a.numpy(), b.numpy()
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values = np.linalg.eigvals(first @ second)
    offset = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(
        offset + np.trace(first) + np.trace(second) - 2 * np.sqrt(values.astype(complex)).real.sum()
    )


def test_diagonal_gaussians_have_the_distance_of_their_deviations() -> None:
    a, b = torch.linspace(0.5, 2, 30).double(), torch.linspace(3, 0.1, 30).double()
    mean = torch.linspace(-1, 1, 30).double()
    expected = mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    found = frechet_distance(mean, a.diag(), torch.zeros(30), b.diag())
    assert found.dtype == torch.float64
    assert abs(float(found - expected)) < 1e-12


def test_commuting_covariances_have_a_closed_form() -> None:
    basis, _ = torch.linalg.qr(gaussian(64, 64))
    a, b = torch.logspace(0, 2, 64).double(), torch.logspace(1, -1, 64).double()
    zero = torch.zeros(64)
    found = frechet_distance(zero, basis @ a.diag() @ basis.T, zero, basis @ b.diag() @ basis.T)
    expected = float((a.sqrt() - b.sqrt()).square().sum())
    assert float(found) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("count", "size"), [(500, 20), (30, 100), (50, 1)])
def test_a_set_to_itself_has_no_distance(count: int, size: int) -> None:
    mean, cov = moments(gaussian(count, size))
    assert 0 <= float(frechet_distance(mean, cov, mean, cov)) < 1e-9


def test_one_dimension_is_the_distance_of_two_means_and_deviations() -> None:
    found = frechet_distance(
        torch.tensor([1.0]), torch.tensor([[4.0]]), torch.tensor([3.0]), torch.tensor([[9.0]])
    )
    assert float(found) == pytest.approx(4 + 1, abs=1e-12)


def test_a_constant_generator_scores_the_mean_and_the_variance_of_the_reals() -> None:
    mean, cov = moments(gaussian(200, 8))
    found = frechet_distance(mean, cov, torch.zeros(8), torch.zeros(8, 8))
    assert float(found) == pytest.approx(float(mean.square().sum() + cov.trace()), abs=1e-12)


def test_singular_covariances_with_fewer_samples_than_features_compare() -> None:
    a, b = moments(gaussian(20, 50)), moments(gaussian(15, 50, seed=1))
    by_samples = torch.linalg.svdvals(covariance_factor(a[1]).T @ covariance_factor(b[1])).sum()
    centred = [gaussian(n, 50, seed=s) for n, s in ((20, 0), (15, 1))]
    thin = [(x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in centred]
    assert float(by_samples) == pytest.approx(
        float(torch.linalg.svdvals(thin[0] @ thin[1].T).sum()), rel=1e-6
    )
    assert float(frechet_distance(*a, *b)) > 1


def test_the_distance_is_symmetric_and_equals_numpys() -> None:
    a = gaussian(300, 24) @ gaussian(24, 24, seed=2)
    b = 0.5 + gaussian(200, 24, seed=1)
    found = float(frechet_distance(*moments(a), *moments(b)))
    assert found == pytest.approx(numpy_distance(a, b), rel=1e-10)
    assert found == pytest.approx(float(frechet_distance(*moments(b), *moments(a))), rel=1e-10)


@pytest.mark.parametrize("count", [300, 20])
def test_torch_fidelity_agrees(count: int) -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_fid", reason="torch-fidelity is optional")
    real, fake = gaussian(count, 40), 1.1 * gaussian(count, 40, seed=1) + 0.2
    pair = (theirs.fid_features_to_statistics(samples) for samples in (real, fake))
    (expected,) = theirs.fid_statistics_to_metric(*pair, verbose=False).values()
    found = float(frechet_distance(*moments(real), *moments(fake)))
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_faster_form_for_many_features_agrees() -> None:
    variances = torch.linspace(0.5, 2, LARGE + 1).double()
    zero = torch.zeros(LARGE + 1)
    found = frechet_distance(zero, variances.diag(), zero, (4 * variances).diag())
    assert float(found) == pytest.approx(float(variances.sum()), rel=1e-9)


def commuting(logarithm: float, size: int = 96) -> tuple[Tensor, Tensor, float]:
    """Two covariances of condition number 10 to that power, and tr (AB)^1/2 as it is known."""
    basis, _ = torch.linalg.qr(gaussian(size, size))
    a = torch.logspace(0, -logarithm, size).double()
    b = a[torch.randperm(size, generator=torch.Generator().manual_seed(1))]
    first, second = ((basis * x) @ basis.T for x in (a, b))
    return (first + first.T) / 2, (second + second.T) / 2, float((a * b).sqrt().sum())


@pytest.mark.parametrize("large", [LARGE, 16])  # by singular values, and by a triangle
@pytest.mark.parametrize(("logarithm", "error"), [(2, 1e-13), (6, 1e-13), (12, 1e-10)])
def test_ill_conditioned_covariances_keep_their_digits(
    logarithm: float, error: float, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_gan.metrics.frechet.LARGE", large)
    monkeypatch.setattr("lightning_gan.metrics.frechet.BAND", 20)
    a, b, trace = commuting(logarithm)
    zero = torch.zeros(len(a))
    expected = float(a.trace() + b.trace()) - 2 * trace
    for factor in (None, covariance_factor(a)):
        found = frechet_distance(zero, a, zero, b, factor_a=factor)
        assert abs(float(found) - expected) < error


def test_the_factor_is_triangular_and_any_other_gives_the_distance_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lightning_gan.metrics.frechet.LARGE", 8)
    monkeypatch.setattr("lightning_gan.metrics.frechet.BAND", 7)
    (mean, a), (other, b) = moments(gaussian(30, 24)), moments(gaussian(90, 24, seed=1) * 2)
    factor = covariance_factor(a)
    assert not factor.triu(1).any()
    assert torch.allclose(factor @ factor.T, a, atol=1e-13)
    turned = factor @ torch.linalg.qr(gaussian(24, 24, seed=2)).Q
    found = [frechet_distance(mean, a, other, b, factor_a=f) for f in (factor, turned)]
    assert float(found[0]) == pytest.approx(float(found[1]), rel=1e-12)
    thin = moments(gaussian(9, 24, seed=3))[1]
    assert torch.allclose(covariance_factor(thin) @ covariance_factor(thin).T, thin, atol=1e-13)


def test_disagreeing_sizes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="same extractor"):
        frechet_distance(torch.zeros(3), torch.eye(3), torch.zeros(4), torch.eye(4))


def test_the_number_of_threads_is_restored() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert SMALL >= 4
        frechet_distance(torch.zeros(4), torch.eye(4), torch.zeros(4), torch.eye(4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_bias_coefficient_equals_the_sum_over_pairs() -> None:
    values = [0.0, 0.0, 0.3, 1.0, 7.0]
    pairs = 0.0
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            pairs += a * b * (1 + (i == j)) / (a + b) if a + b else 0.0
    expected = sum(values) + pairs / 2
    assert bias_coefficient(torch.tensor(values).diag()) == pytest.approx(expected, rel=1e-6)


def test_the_floor_is_what_a_perfect_generator_scores() -> None:
    size, fakes, reals, draws = 12, 400, 700, 40
    root = torch.linspace(0.2, 2, size).double()
    coefficient = bias_coefficient(root.square().diag())
    expected = coefficient * (1 / fakes + 1 / reals)
    scores = [
        frechet_distance(
            *moments(gaussian(reals, size, seed=2 * draw) * root),
            *moments(gaussian(fakes, size, seed=2 * draw + 1) * root),
        )
        for draw in range(draws)
    ]
    assert float(torch.stack(scores).mean()) == pytest.approx(expected, rel=0.12)


def test_the_metric_equals_the_plain_distance_for_batches_of_any_size() -> None:
    reals, fakes = gaussian(300, 5) + 100, gaussian(211, 5, seed=1) * 2 + 101
    metric = points_metric(reals)
    for batch in torch.split(fakes, [1, 0, 150, 60]):
        metric.update(batch)
    found = metric.compute()
    expected = numpy_distance(reals.float().double(), fakes.float().double())
    assert found.value == pytest.approx(expected, rel=1e-8)
    assert found.floor == pytest.approx(metric.reference.bias * (1 / 211 + 1 / 300))
    assert found.logged() == {
        "fid/identity": found.value,
        "fid/identity_floor": found.floor,
        "fid/identity_debiased": found.value - found.floor,
    }
    metric.reset()
    metric.update(reals)
    assert metric.compute().logged()["fid/identity"] < 1e-9


def test_the_sums_stay_what_they_are_whatever_the_model_does() -> None:
    metric = points_metric(gaussian(50, 3))
    model = torch.nn.ModuleList([metric])
    metric.update(torch.cat([gaussian(20, 3, seed=1), torch.full((1, 3), 1e5)]))
    expected = metric.compute().logged()["fid/identity"]
    for change in (model.half, model.float, model.bfloat16):
        change()
    metric.set_dtype(torch.float16)
    model.to(torch.float16).to("cpu")
    assert metric.total.dtype == metric.products.dtype == torch.float64
    assert metric.tally.dtype == torch.int64
    metric._computed = None
    assert metric.compute().value == expected
    metric.reset()
    assert metric.total.dtype == metric.products.dtype == torch.float64
    assert not metric.products.any()


def test_extractor_and_reference_stay_out_of_parameters_and_checkpoints() -> None:
    extractor = get_extractor("mnist_cnn")
    reference = ReferenceStatistics(torch.zeros(64), torch.eye(64), 10, "mnist_cnn")
    metric = FrechetDistance(extractor, reference)
    assert not list(metric.parameters())
    assert not metric.state_dict()
    assert not list(metric.children())
    assert torch.nn.ModuleList([metric]).train() is not None
    assert not any(module.training for module in extractor.modules())


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_samples_give_nan_with_one_warning(count: int) -> None:
    metric = points_metric(gaussian(50, 3))
    metric.update(gaussian(count, 3))
    with pytest.warns(UserWarning, match="at least 2"):
        assert all(math.isnan(value) for value in metric.compute().logged().values())
    metric._computed = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric.compute()


def test_a_reference_of_one_image_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 2"):
        ReferenceStatistics.from_samples(torch.zeros(1, 3), get_extractor("identity"))


def test_a_reference_of_another_extractor_is_refused() -> None:
    reference = ReferenceStatistics(torch.zeros(3), torch.eye(3), 10, "pixel")
    with pytest.raises(ConfigurationError, match="'pixel'"):
        FrechetDistance(get_extractor("identity"), reference)


def test_images_of_another_size_are_refused() -> None:
    extractor = get_extractor("pixel")
    metric = FrechetDistance(
        extractor, ReferenceStatistics.from_samples(torch.rand(9, 1, 8, 8), extractor)
    )
    with pytest.raises(ConfigurationError, match="size and channels"):
        metric.update(torch.rand(2, 3, 8, 8))


def test_a_few_samples_that_are_not_finite_are_left_out_and_more_make_it_nan() -> None:
    fakes = gaussian(2000, 3, seed=1)
    metric, clean = points_metric(gaussian(50, 3)), points_metric(gaussian(50, 3))
    broken = fakes.clone()
    broken[7, 1], broken[8, 0] = float("nan"), float("inf")
    metric.update(broken)
    clean.update(torch.cat([fakes[:7], fakes[9:]]))
    assert metric.compute().value == clean.compute().value
    assert metric.nonfinite == 2
    metric.update(broken[7:8])
    with pytest.warns(UserWarning, match="3 of 2001 generated samples are not finite"):
        assert math.isnan(metric.compute().value)


def test_images_of_a_generator_out_of_range_are_clamped_and_counted_with_one_warning() -> None:
    extractor = get_extractor("pixel")
    reals = torch.rand(64, 1, 4, 4) * 2 - 1
    metric = FrechetDistance(extractor, ReferenceStatistics.from_samples(reals, extractor))
    wild = reals.clone()
    wild[3, 0, 0, 0], reals[3, 0, 0, 0] = 1.5, 1.0
    with pytest.warns(UserWarning, match=r"to 1.5\) and are clamped"):
        metric.update(SampleBatch(wild))
    metric.update(SampleBatch(wild))
    assert metric.out_of_range == 2
    exact = FrechetDistance(extractor, metric.reference)
    exact.update(reals)
    exact.update(reals)
    assert metric.compute().value == exact.compute().value


LEVELS = torch.randint(256, (64, 1, 4, 4), generator=torch.Generator().manual_seed(0))
WRONG = [LEVELS.byte(), LEVELS, LEVELS.float(), from_uint8(LEVELS) * 1.1, LEVELS > 127]
SENTENCE = r"(reach from|are torch\.(uint8|int64|bool)).*in \[-1, 1\] are measured: give images"


@pytest.mark.parametrize("wrong", WRONG, ids=["uint8", "int64", "0 to 255", "beyond", "bool"])
def test_images_that_are_not_from_minus_one_to_one_are_refused_by_every_door(wrong: Tensor) -> None:
    extractor = get_extractor("pixel")
    metric = FrechetDistance(extractor, ReferenceStatistics.from_samples(LEVELS.byte(), extractor))
    features = ReferenceFeatures.from_samples(LEVELS.byte(), extractor)
    doors: list[Callable[[Tensor], object]] = [
        metric.update,
        Neighbours(extractor, features).update,
        extractor,
    ]
    if wrong.dtype != torch.uint8:  # reals are grey levels as well
        doors.append(partial(ReferenceStatistics.from_samples, extractor=extractor))
    for door in doors:
        with pytest.raises(ConfigurationError, match=SENTENCE):
            door(wrong)
    metric.update(from_uint8(LEVELS))
    assert metric.compute().value < 1e-6


def test_points_may_lie_anywhere_but_are_no_integers() -> None:
    metric = points_metric(gaussian(50, 3))
    metric.update(100 * gaussian(50, 3, seed=1))
    with pytest.raises(ConfigurationError, match=r"are torch\.int64, and floats"):
        metric.update(torch.ones(3, 3, dtype=torch.int64))


def test_bfloat16_images_that_require_gradients_are_measured_without() -> None:
    extractor = get_extractor("pixel")
    reals = torch.rand(64, 1, 4, 4) * 2 - 1
    metric = FrechetDistance(extractor, ReferenceStatistics.from_samples(reals, extractor))
    metric.update(reals.bfloat16().requires_grad_())
    assert not metric.products.requires_grad
    assert metric.compute().logged()["fid/pixel"] < 1e-3


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_reals_that_are_not_finite_are_refused(value: float) -> None:
    reals = gaussian(50, 3)
    reals[7, 1] = value
    with pytest.raises(ConfigurationError, match="NaN or infinite"):
        points_metric(reals)
