"""Objectives that score each sample by itself: what sets them apart, and known mistakes."""

from __future__ import annotations

import math

import pytest
import torch
from tiny import logit_gradients, random_logits, scored

from lightning_gan.errors import ConfigurationError
from lightning_gan.objectives import Hinge, LeastSquares, Minimax, NonSaturating


def test_the_saturating_generator_has_no_gradient_left_where_the_other_has_all() -> None:
    f = torch.full((4,), -10.0, dtype=torch.float64)
    saturating = logit_gradients(Minimax(), f, f, "generator")[1] * 4
    assert saturating.tolist() == pytest.approx([-4.5e-5] * 4, rel=0.01)
    plain = logit_gradients(NonSaturating(), f, f, "generator")[1] * 4
    assert plain.tolist() == pytest.approx([-1] * 4, rel=1e-4)


@pytest.mark.parametrize("logit", [-30.0, -20.0, -5.0, 0.0, 5.0, 30.0])
def test_the_non_saturating_gradient_is_minus_sigmoid_of_minus_f_per_sample(logit: float) -> None:
    f = torch.full((8,), logit)
    found = logit_gradients(NonSaturating(), f, f, "generator")[1]
    assert torch.allclose(found, -torch.sigmoid(-f) / 8, rtol=1e-6)
    loss = NonSaturating().generator_loss(scored(f, f))
    assert float(loss) == pytest.approx(math.log1p(math.exp(-logit)), rel=1e-5)


def test_the_non_saturating_loss_is_not_cut_off_where_the_discriminator_wins() -> None:
    # excludes -log(sigmoid(f) + 1e-8), of mimicry: 18.42 and -9.4e-6 here
    f = torch.full((1,), -30.0)
    assert float(NonSaturating().generator_loss(scored(f, f))) == pytest.approx(30, abs=1e-6)
    assert float(logit_gradients(NonSaturating(), f, f, "generator")[1]) == pytest.approx(-1)


def test_the_best_logistic_discriminator_measures_the_jensen_shannon_divergence() -> None:
    p = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64) / 8
    q = torch.tensor([1.0, 1.0, 2.0, 4.0], dtype=torch.float64) / 8
    mean = (p + q) / 2
    divergence = ((p * (p / mean).log()).sum() + (q * (q / mean).log()).sum()) / 2
    best = (p / q).log()
    reals = best.repeat_interleave((8 * p).long())
    fakes = best.repeat_interleave((8 * q).long())
    loss = float(NonSaturating().discriminator_loss(scored(reals, fakes)))
    assert math.log(2) - loss / 2 == pytest.approx(float(divergence), rel=1e-12)
    worse = float(NonSaturating().discriminator_loss(scored(reals + 0.3, fakes + 0.3)))
    assert math.log(2) - worse / 2 < float(divergence)


def test_the_logistic_discriminator_equals_cross_entropy_with_labels_one_and_zero() -> None:
    r, f = random_logits()
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = cross_entropy(r, torch.ones_like(r)) + cross_entropy(f, torch.zeros_like(f))
    assert torch.allclose(NonSaturating().discriminator_loss(scored(r, f)), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", [Minimax, NonSaturating])
def test_smoothed_reals_are_best_at_ln_nine_and_fakes_stay_as_they_are(kind: type[Minimax]) -> None:
    r = torch.tensor([2.0, math.log(9), 2.4], dtype=torch.float64)
    f = torch.linspace(-3, 3, 3, dtype=torch.float64)
    by_real, by_fake = logit_gradients(kind(real_label=0.9), r, f, "discriminator")
    assert by_real[0] < 0 < by_real[2]
    assert abs(float(by_real[1])) < 1e-15
    assert torch.allclose(by_fake, torch.sigmoid(f) / 3)
    assert torch.equal(by_fake, logit_gradients(kind(), r, f, "discriminator")[1])


@pytest.mark.parametrize("kind", [Minimax, NonSaturating])
def test_labels_are_not_smoothed_by_default(kind: type[Minimax]) -> None:
    # excludes a target of 0.875 by default, of TF-GAN: the sign would change at ln 7 = 1.95
    confident = torch.full((3,), 10.0, dtype=torch.float64)
    assert (logit_gradients(kind(), confident, -confident, "discriminator")[0] < 0).all()


@pytest.mark.parametrize("label", [0.5, 0.0, 1.1, -1.0])
def test_a_label_that_is_none_is_refused(label: float) -> None:
    with pytest.raises(ConfigurationError, match="real_label"):
        NonSaturating(real_label=label)


def test_least_squares_work_on_raw_outputs() -> None:
    # excludes a sigmoid in front, of compare_gan: -4.5e-5 instead of -11
    f = torch.full((4,), -10.0)
    found = logit_gradients(LeastSquares(), f, f, "generator")[1]
    assert (4 * found).tolist() == [-11] * 4


def test_least_squares_at_minus_one_one_zero_give_one_and_zero_when_undecided() -> None:
    zeros = torch.zeros(5)
    objective = LeastSquares(-1, 1, 0)
    assert float(objective.discriminator_loss(scored(zeros, zeros))) == 1
    assert float(objective.generator_loss(scored(zeros, zeros))) == 0


def test_least_squares_at_minus_one_one_zero_measure_pearson_chi_squared() -> None:
    p, q = torch.tensor([4.0, 2.0, 1.0, 1.0]) / 8, torch.tensor([1.0, 1.0, 2.0, 4.0]) / 8
    best = ((p - q) / (p + q)).double().requires_grad_()
    reals = best.repeat_interleave((8 * p).long())
    fakes = best.repeat_interleave((8 * q).long())
    objective = LeastSquares(-1, 1, 0)
    loss = objective.discriminator_loss(scored(reals, fakes))
    (slope,) = torch.autograd.grad(loss, best, retain_graph=True)
    assert slope.abs().max() < 1e-7  # it is the best discriminator
    # C(G) of the paper holds the term of the reals too (Mao et al. 2017, Eq. 4 to 6)
    both = [
        objective.generator_loss(scored(samples, samples))
        for samples in (reals.detach(), fakes.detach())
    ]
    pearson = ((2 * q - (p + q)) ** 2 / (p + q)).sum()
    assert 2 * float(both[0] + both[1]) == pytest.approx(float(pearson), rel=1e-6)


def test_least_squares_need_two_targets() -> None:
    with pytest.raises(ConfigurationError, match="same target"):
        LeastSquares(1, 1, 0)


@pytest.mark.parametrize("constant", [-1.0, -0.3, 0.0, 0.7, 1.0])
def test_hinge_is_two_for_every_constant_within_the_margin(constant: float) -> None:
    same = torch.full((4,), constant)
    assert float(Hinge().discriminator_loss(scored(same, same))) == pytest.approx(2)


def test_hinge_teaches_nothing_beyond_the_margin() -> None:
    r, f = torch.tensor([1.5, 0.5]), torch.tensor([-1.5, -0.5])
    by_real, by_fake = logit_gradients(Hinge(), r, f, "discriminator")
    assert by_real.tolist() == [0, -0.5]
    assert by_fake.tolist() == [0, 0.5]


def test_probabilities_are_what_the_papers_say() -> None:
    r, f = random_logits()
    for probability, logit in zip(NonSaturating().probability(r, f), (r, f), strict=True):
        assert torch.equal(probability, torch.sigmoid(logit))
    levels = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])
    for probability in LeastSquares(-1, 1, 0).probability(levels, levels):
        assert probability.tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("label", [0.7, 0.9, 1.0])
@pytest.mark.parametrize("kind", [Minimax, NonSaturating])
def test_probabilities_are_a_half_at_the_equilibrium_whatever_the_label(
    kind: type[Minimax | NonSaturating], label: float
) -> None:
    objective = kind(real_label=label)
    # where reals and fakes have one law, the loss of one logit for both is least at this
    best = torch.tensor(label / 2).logit().requires_grad_()
    step = scored(best.expand(4), best.expand(4))
    (slope,) = torch.autograd.grad(objective.discriminator_loss(step), best)
    assert abs(float(slope)) < 1e-6
    real, fake = objective.probability(best, best)
    assert (float(real.detach()), float(fake.detach())) == pytest.approx((0.5, 0.5))
    assert objective.has_sign == (label == 1)
    sure, _ = objective.probability(torch.tensor(20.0), best)
    assert float(sure) == pytest.approx(1)
