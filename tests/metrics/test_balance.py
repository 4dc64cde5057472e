"""The balance: means over samples, not over batches; probabilities only where there are any."""

import math

import pytest
import torch

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import DiscriminatorBalance, ValidationBalance

SCORES = {"gan/score_real", "gan/score_fake", "gan/score_real_std", "gan/score_fake_std"}
PROBABILITIES = {"gan/d_real", "gan/d_fake", "gan/d_real_std", "gan/d_fake_std"}
ACCURACIES = {"gan/acc_real", "gan/acc_fake", "gan/r_t"}


def logits(seed: int, count: int = 90) -> torch.Tensor:
    return 3 * torch.randn(count, generator=torch.Generator().manual_seed(seed))


def test_values_over_uneven_batches_equal_those_over_all_samples() -> None:
    real, fake = logits(0).double() + 1, logits(1).double() - 1
    metric = DiscriminatorBalance()
    for a, b in zip(torch.split(real, [1, 60, 29]), torch.split(fake, [50, 0, 40]), strict=True):
        metric.update(a, b, a.sigmoid(), b.sigmoid())
    found = metric.compute().logged()
    assert set(found) == SCORES | PROBABILITIES | ACCURACIES
    for name, x in (("real", real), ("fake", fake)):
        for key, y in (("score", x), ("d", x.sigmoid())):
            mean, std = y.double().mean(), y.double().std(correction=0)
            assert found[f"gan/{key}_{name}"] == pytest.approx(float(mean), rel=1e-12)
            assert found[f"gan/{key}_{name}_std"] == pytest.approx(float(std), rel=1e-9)
    assert found["gan/acc_real"] == pytest.approx(float((real > 0).double().mean()))
    assert found["gan/acc_fake"] == pytest.approx(float((fake < 0).double().mean()))


def test_without_probabilities_there_are_only_scores() -> None:
    metric = DiscriminatorBalance()
    metric.update(torch.tensor([2.0, -1.0]), torch.tensor([-3.0]))
    found = metric.compute().logged()
    assert set(found) == SCORES | ACCURACIES
    assert found["gan/acc_real"] == 0.5
    assert found["gan/acc_fake"] == 1


def test_r_t_is_the_mean_sign_of_the_reals_whatever_their_probabilities() -> None:
    metric = DiscriminatorBalance()
    real = torch.tensor([3.0, 0.1, 0.0, -2.0, 5.0])
    for logits in (real[:2], real[2:]):
        metric.update(logits, -logits, torch.zeros_like(logits), torch.zeros_like(logits))
    assert metric.compute().logged()["gan/r_t"] == pytest.approx(2 / 5, rel=1e-15)


def test_accuracy_follows_the_probabilities_where_they_are_given() -> None:
    metric = DiscriminatorBalance()
    metric.update(torch.ones(2), torch.ones(2), torch.tensor([0.4, 0.9]), torch.tensor([0.1, 0.6]))
    found = metric.compute().logged()
    assert (found["gan/acc_real"], found["gan/acc_fake"]) == (0.5, 0.5)


def test_an_undecided_discriminator_is_right_half_of_the_time() -> None:
    metric = DiscriminatorBalance()
    metric.update(torch.zeros(4), torch.zeros(4), torch.full((4,), 0.5), torch.full((4,), 0.5))
    found = metric.compute().logged()
    assert {found[f"gan/acc_{name}"] for name in ("real", "fake")} == {0.5}
    assert found["gan/d_real"] == found["gan/d_fake"] == 0.5
    assert found["gan/d_real_std"] == 0


def test_the_order_of_the_samples_changes_nothing() -> None:
    first, second = DiscriminatorBalance(), DiscriminatorBalance()
    first.update(logits(0), logits(1))
    second.update(logits(0).flip(0).reshape(9, 10), logits(1).flip(0))
    for key, value in first.compute().logged().items():
        assert value == pytest.approx(second.compute().logged()[key], rel=1e-12)


def test_half_precision_with_gradients_is_summed_in_float64() -> None:
    metric = DiscriminatorBalance()
    metric.update(logits(0).bfloat16().requires_grad_(), logits(1).half().requires_grad_())
    torch.nn.ModuleList([metric]).half()
    assert metric.sums.dtype == torch.float64
    assert not metric.sums.requires_grad
    expected = logits(0).bfloat16().double().mean()
    assert metric.compute().logged()["gan/score_real"] == pytest.approx(float(expected), rel=1e-12)


def test_one_probability_without_the_other_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="both or none"):
        DiscriminatorBalance().update(torch.ones(1), torch.ones(1), torch.ones(1))


# -------------------------------------------------------------------------------- held-out data


def sigmoids(real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return real.sigmoid(), fake.sigmoid()


def held_out(
    real: torch.Tensor, fake: torch.Tensor, *training: torch.Tensor, **arguments: bool
) -> dict[str, float]:
    metric = ValidationBalance(sigmoids, **arguments)
    metric.update(real, fake, *training)
    return {name.removeprefix("gan/"): value for name, value in metric.compute().logged().items()}


def normal(mean: float, count: int = 100_001) -> torch.Tensor:
    """Quantiles of a unit Gaussian, as many as a sample that were perfectly even would have."""
    ranks = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return mean + math.sqrt(2) * torch.erfinv(2 * ranks - 1)


@pytest.mark.parametrize(
    ("slope", "bound"), [(0.0, 0.0), (0.2, 0.04379), (0.5, 0.08729), (1.0, 0.111422), (2, 0.05065)]
)
def test_the_bound_of_unit_gaussians_one_apart_is_the_closed_one(
    slope: float, bound: float
) -> None:
    found = held_out(slope * (normal(1) - 0.5), slope * (normal(0) - 0.5))
    assert found["jsd_lower_bound"] == pytest.approx(bound, abs=1e-5)


def test_the_bound_never_exceeds_the_divergence() -> None:
    divergence = 0.111422  # of unit Gaussians one apart
    for slope in (-1.0, 0.3, 0.9, 1.0, 1.1, 5.0, 1000.0):
        for shift in (-0.4, 0.0, 0.4):
            logits = (slope * (normal(mean) - 0.5) + shift for mean in (1.0, 0.0))
            bound = held_out(*logits)["jsd_lower_bound"]
            assert math.isfinite(bound)
            assert bound < divergence + 1e-5


def test_a_discriminator_that_knows_all_bounds_by_log_2() -> None:
    found = held_out(torch.full((5,), 900.0), torch.full((7,), -900.0))
    assert found["jsd_lower_bound"] == pytest.approx(math.log(2), rel=1e-11)
    assert (found["auc"], found["acc_real"], found["acc_fake"]) == (1, 1, 1)


def test_the_area_equals_the_share_of_all_pairs_that_are_right() -> None:
    real, fake = logits(0, 71).round(), logits(1, 43).round()  # with many ties
    pairs = (real[:, None] > fake).double() + (real[:, None] == fake).double() / 2
    found = held_out(real, fake)
    assert found["auc"] == pytest.approx(float(pairs.mean()), rel=1e-14)
    assert held_out(fake, real)["auc"] == pytest.approx(1 - float(pairs.mean()), rel=1e-14)
    assert found["auc_sd"] == pytest.approx((115 / (12 * 71 * 43)) ** 0.5, rel=1e-14)


def test_the_area_of_unit_gaussians_one_apart_is_the_closed_one() -> None:
    expected = 0.5 * (1 + math.erf(0.5))  # P(N(1, 2) > 0)
    assert held_out(normal(1, 3001), normal(0, 3001))["auc"] == pytest.approx(expected, abs=1e-4)


def test_a_constant_discriminator_has_the_area_of_a_half() -> None:
    found = held_out(torch.zeros(9), torch.zeros(4))
    assert (found["auc"], found["jsd_lower_bound"], found["n"]) == (0.5, 0, 9)


def test_the_area_deviates_as_much_as_it_says_where_the_laws_are_one() -> None:
    random = torch.Generator().manual_seed(2)
    draws = torch.randn(2000, 90, generator=random)
    areas = [held_out(row[:60], row[60:])["auc"] for row in draws]
    spread = torch.tensor(areas, dtype=torch.float64).std()
    assert float(spread) == pytest.approx(
        held_out(draws[0, :60], draws[0, 60:])["auc_sd"], rel=0.05
    )


def test_the_gap_is_the_difference_of_the_mean_logits() -> None:
    found = held_out(logits(0), logits(1), logits(2, 30) + 4)
    expected = (logits(2, 30) + 4).double().mean() - logits(0).double().mean()
    assert found["d_gap_train_val"] == pytest.approx(float(expected), rel=1e-12)
    assert "d_gap_train_val" not in held_out(logits(0), logits(1))


def test_a_bound_needs_a_probability_of_each_sample_by_itself() -> None:
    assert "jsd_lower_bound" not in held_out(logits(0), logits(1), single=False)
    metric = ValidationBalance()
    metric.update(logits(0), logits(1))
    assert not {"gan/jsd_lower_bound", "gan/d_real"} & metric.compute().logged().keys()


def test_held_out_values_are_of_all_updates_together() -> None:
    real, fake = logits(0) + 1, logits(1)
    metric = ValidationBalance(sigmoids)
    for a, b in zip(real.split([1, 60, 29]), fake.split([50, 0, 40]), strict=True):
        metric.update(a, b)
    whole = held_out(real, fake)
    assert {k.removeprefix("gan/"): v for k, v in metric.compute().logged().items()} == whole
    usual = DiscriminatorBalance()
    usual.update(real, fake, *sigmoids(real.double(), fake.double()))
    for name, value in usual.compute().logged().items():
        if name != "gan/r_t":  # is of training
            assert whole[name.removeprefix("gan/")] == pytest.approx(float(value), rel=1e-12)


@pytest.mark.parametrize("nothing", [torch.zeros(0), torch.tensor([1.0, torch.nan])])
def test_what_is_no_number_has_no_area(nothing: torch.Tensor) -> None:
    for pair in ((nothing, torch.ones(3)), (torch.ones(3), nothing)):
        found = held_out(*pair)
        assert math.isnan(found["auc"])
        assert math.isnan(found["auc_sd"])


def test_held_out_logits_stay_in_float64() -> None:
    metric = ValidationBalance(sigmoids)
    metric.update(logits(0).bfloat16().requires_grad_(), logits(1).half())
    torch.nn.ModuleList([metric]).half()
    found = metric.compute().logged()
    assert found["gan/score_fake"] == float(logits(1).half().double().mean())
