"""The balance: means over samples, not over batches; probabilities only where there are any."""

import pytest
import torch

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import DiscriminatorBalance

SCORES = {"gan/score_real", "gan/score_fake", "gan/score_real_std", "gan/score_fake_std"}
PROBABILITIES = {"gan/d_real", "gan/d_fake", "gan/d_real_std", "gan/d_fake_std"}
ACCURACIES = {"gan/acc_real", "gan/acc_fake"}


def logits(seed: int, count: int = 90) -> torch.Tensor:
    return 3 * torch.randn(count, generator=torch.Generator().manual_seed(seed))


def test_values_over_uneven_batches_equal_those_over_all_samples() -> None:
    real, fake = logits(0).double() + 1, logits(1).double() - 1
    metric = DiscriminatorBalance()
    for a, b in zip(torch.split(real, [1, 60, 29]), torch.split(fake, [50, 0, 40]), strict=True):
        metric.update(a, b, a.sigmoid(), b.sigmoid())
    found = metric.compute()
    assert set(found) == SCORES | PROBABILITIES | ACCURACIES
    assert all(value.dtype == torch.float64 for value in found.values())
    for name, x in (("real", real), ("fake", fake)):
        for key, y in (("score", x), ("d", x.sigmoid())):
            mean, std = y.double().mean(), y.double().std(correction=0)
            assert float(found[f"gan/{key}_{name}"]) == pytest.approx(float(mean), rel=1e-12)
            assert float(found[f"gan/{key}_{name}_std"]) == pytest.approx(float(std), rel=1e-9)
    assert float(found["gan/acc_real"]) == pytest.approx(float((real > 0).double().mean()))
    assert float(found["gan/acc_fake"]) == pytest.approx(float((fake < 0).double().mean()))


def test_without_probabilities_there_are_only_scores() -> None:
    metric = DiscriminatorBalance()
    metric.update(torch.tensor([2.0, -1.0]), torch.tensor([-3.0]))
    found = metric.compute()
    assert set(found) == SCORES | ACCURACIES
    assert float(found["gan/acc_real"]) == 0.5
    assert float(found["gan/acc_fake"]) == 1


def test_accuracy_follows_the_probabilities_where_they_are_given() -> None:
    metric = DiscriminatorBalance()
    metric.update(torch.ones(2), torch.ones(2), torch.tensor([0.4, 0.9]), torch.tensor([0.1, 0.6]))
    found = metric.compute()
    assert (float(found["gan/acc_real"]), float(found["gan/acc_fake"])) == (0.5, 0.5)


def test_an_undecided_discriminator_is_right_half_of_the_time() -> None:
    metric = DiscriminatorBalance()
    metric.update(torch.zeros(4), torch.zeros(4), torch.full((4,), 0.5), torch.full((4,), 0.5))
    found = metric.compute()
    assert {float(found[f"gan/acc_{name}"]) for name in ("real", "fake")} == {0.5}
    assert float(found["gan/d_real"]) == float(found["gan/d_fake"]) == 0.5
    assert float(found["gan/d_real_std"]) == 0


def test_the_order_of_the_samples_changes_nothing() -> None:
    first, second = DiscriminatorBalance(), DiscriminatorBalance()
    first.update(logits(0), logits(1))
    second.update(logits(0).flip(0).reshape(9, 10), logits(1).flip(0))
    for key, value in first.compute().items():
        assert float(value) == pytest.approx(float(second.compute()[key]), rel=1e-12)


def test_half_precision_with_gradients_is_summed_in_float64() -> None:
    metric = DiscriminatorBalance()
    metric.update(logits(0).bfloat16().requires_grad_(), logits(1).half().requires_grad_())
    torch.nn.ModuleList([metric]).half()
    assert metric.sums.dtype == torch.float64
    assert not metric.sums.requires_grad
    expected = logits(0).bfloat16().double().mean()
    assert float(metric.compute()["gan/score_real"]) == pytest.approx(float(expected), rel=1e-12)


def test_one_probability_without_the_other_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="both or none"):
        DiscriminatorBalance().update(torch.ones(1), torch.ones(1), torch.ones(1))
