"""The kernel distance: closed forms, loops beside the test, and that it is unbiased."""

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import (
    KernelDistance,
    ReferenceFeatures,
    get_extractor,
    kernel,
    kernel_distance,
)


def gaussian(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def by_loops(real: Tensor, fake: Tensor) -> float:
    """The estimator as it is written, pair by pair."""

    def k(a: list[float], b: list[float]) -> float:
        return float((math.fsum(x * y for x, y in zip(a, b, strict=True)) / len(a) + 1) ** 3)

    x, y = real.double().tolist(), fake.double().tolist()
    within = [
        math.fsum(k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j)
        / (len(z) * (len(z) - 1))
        for z in (x, y)
    ]
    across = math.fsum(k(a, b) for a in x for b in y) / (len(x) * len(y))
    return within[0] + within[1] - 2 * across


def values(metric: KernelDistance, fakes: Tensor) -> dict[str, float]:
    metric.update(fakes)
    return {key: float(value) for key, value in metric.compute().logged().items()}


def test_the_distance_is_that_of_the_loops() -> None:
    real, fake = gaussian(13, 4), gaussian(9, 4, seed=1) + 0.5
    found = kernel_distance(real, fake)
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(by_loops(real, fake), rel=1e-12)


def test_two_constant_sets_are_as_far_as_their_kernels_say() -> None:
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 0.5])
    expected = (2.5 + 1) ** 3 + (0.625 + 1) ** 3 - 2 * (0 + 1) ** 3
    found = kernel_distance(a.expand(5, 2), b.expand(7, 2))
    assert float(found) == pytest.approx(expected, abs=1e-12)
    assert float(kernel_distance(a.expand(5, 2), a.expand(7, 2))) == pytest.approx(0, abs=1e-12)


def test_a_set_to_itself_is_below_zero_by_what_the_estimator_leaves_out() -> None:
    x = gaussian(40, 3).double()
    kernels = (x @ x.T / 3 + 1) ** 3
    off = kernels.sum() - kernels.trace()
    expected = 2 * off / (40 * 39) - 2 * kernels.mean()
    assert float(kernel_distance(x, x)) == pytest.approx(float(expected), rel=1e-12)
    assert float(expected) < 0


def test_other_libraries_agree_on_full_samples() -> None:
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    real, fake = gaussian(150, 6).double(), 1.3 * gaussian(150, 6, seed=1).double()
    found = float(kernel_distance(real, fake))
    assert found == pytest.approx(float(poly_mmd(real, fake)), rel=1e-10)

    def k(a: Tensor, b: Tensor) -> Tensor:
        return torch.from_numpy(pairwise.polynomial_kernel(a, b, degree=3, coef0=1))

    total = sum((k(z, z).sum() - k(z, z).trace()) / (150 * 149) for z in (real, fake))
    assert found == pytest.approx(float(total - 2 * k(real, fake).mean()), rel=1e-10)


def test_torch_fidelity_agrees() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_kid", reason="torch-fidelity is optional")
    real, fake = gaussian(120, 6).double(), gaussian(120, 6, seed=1).double() + 0.2
    expected = theirs.kernel_mmd(real.numpy(), fake.numpy())
    assert float(kernel_distance(real, fake)) == pytest.approx(float(expected), rel=1e-10)


def test_blocks_of_any_size_give_the_distance_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = gaussian(50, 4), gaussian(33, 4, seed=1)
    whole = float(kernel_distance(real, fake))
    for side in (1, 7, 49):
        monkeypatch.setattr(kernel, "BLOCK", side)
        assert float(kernel_distance(real, fake)) == pytest.approx(whole, rel=1e-12)


def test_it_is_unbiased_and_below_zero_for_half_of_the_perfect_generators() -> None:
    draws = torch.stack(
        [kernel_distance(gaussian(60, 5, 2 * i), gaussian(40, 5, 2 * i + 1)) for i in range(200)]
    )
    assert abs(float(draws.mean() / draws.std())) < 3 / 200**0.5
    assert 0.3 < float((draws < 0).double().mean()) < 0.75


def test_a_missing_mode_costs_and_disjoint_clouds_cost_more() -> None:
    offsets = 2 * torch.eye(4)
    label = torch.arange(2000) % 4
    reference = ReferenceFeatures(gaussian(2000, 4) + offsets[label])
    fakes = gaussian(2000, 4, seed=1) + offsets[label]
    extractor = get_extractor("identity")
    found = [
        values(KernelDistance(extractor, reference), cloud)["kid/identity"]
        for cloud in (fakes, fakes[label > 0], fakes + 5)
    ]
    assert abs(found[0]) < 0.05 < found[1] < found[2] / 100


def test_the_metric_equals_the_plain_distance_for_batches_of_any_size() -> None:
    real, fake = gaussian(80, 4), gaussian(61, 4, seed=1) + 0.3
    reference = ReferenceFeatures(real)
    metric = KernelDistance(get_extractor("identity"), reference)
    for batch in torch.split(fake, [1, 0, 40, 20]):
        metric.update(batch)
    found = metric.compute()
    assert set(found.logged()) == {"kid/identity"}
    assert found.value == float(kernel_distance(real[reference.order[:61]], fake))
    metric.reset()
    assert values(metric, fake[:30])["kid/identity"] == pytest.approx(
        float(kernel_distance(real[reference.order[:30]], fake[:30])), rel=1e-12
    )


def test_more_reals_than_samples_are_compared_on_demand() -> None:
    real, fake = gaussian(80, 4), gaussian(30, 4, seed=1)
    metric = KernelDistance(get_extractor("identity"), ReferenceFeatures(real), num_reals=80)
    expected = float(kernel_distance(real, fake))
    assert values(metric, fake)["kid/identity"] == pytest.approx(expected, rel=1e-12)


def test_subsets_scatter_about_the_full_value_and_one_of_everything_is_it() -> None:
    real, fake = gaussian(400, 4), gaussian(400, 4, seed=1) + 0.3
    reference, extractor = ReferenceFeatures(real), get_extractor("identity")
    one = values(KernelDistance(extractor, reference, subsets=1, subset_size=400), fake)
    assert one["kid_subsets/identity"] == pytest.approx(one["kid/identity"], rel=1e-10)
    assert one["kid_subsets/identity_std"] == 0
    many = values(KernelDistance(extractor, reference, subsets=50, subset_size=100), fake)
    assert many["kid/identity"] == one["kid/identity"]
    error = many["kid_subsets/identity_std"] / 50**0.5
    assert many["kid_subsets/identity"] == pytest.approx(many["kid/identity"], abs=4 * error)
    assert many == values(KernelDistance(extractor, reference, subsets=50, subset_size=100), fake)


def test_subsets_larger_than_the_sample_are_nan_with_the_reason() -> None:
    metric = KernelDistance(
        get_extractor("identity"), ReferenceFeatures(gaussian(90, 4)), subsets=3, subset_size=60
    )
    with pytest.warns(UserWarning, match="lower subset_size"):
        found = values(metric, gaussian(50, 4, seed=1))
    assert math.isnan(found["kid_subsets/identity"])
    assert math.isfinite(found["kid/identity"])


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_samples_give_nan(count: int) -> None:
    metric = KernelDistance(get_extractor("identity"), ReferenceFeatures(gaussian(20, 4)))
    with pytest.warns(UserWarning, match="at least 2"):
        assert math.isnan(values(metric, gaussian(count, 4))["kid/identity"])


@pytest.mark.parametrize("wrong", [{"num_reals": 1}, {"subsets": -1}, {"subset_size": 1}])
def test_numbers_that_mean_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="KernelDistance: num_reals="):
        KernelDistance(get_extractor("identity"), ReferenceFeatures(gaussian(9, 4)), **wrong)


def test_features_of_another_length_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="same extractor"):
        kernel_distance(gaussian(9, 4), gaussian(9, 5))
    metric = KernelDistance(get_extractor("identity"), ReferenceFeatures(gaussian(9, 4)))
    with pytest.raises(ConfigurationError, match="size and channels"):
        metric.update(gaussian(9, 5))
    with pytest.raises(ConfigurationError, match="'pixel'"):
        KernelDistance(get_extractor("identity"), ReferenceFeatures(gaussian(9, 4), name="pixel"))
