"""Objectives against closed forms, a reference in NumPy, and the known mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from tiny import scored
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.objectives import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
    RelativisticPairing,
    Wasserstein,
)
from lightning_gan.parts import all_parts

OBJECTIVES = [
    part
    for part in all_parts(Objective)
    if part.__module__.startswith("lightning_gan.") and not part.__name__.startswith("_")
]
LN2 = math.log(2)


def log_sigmoid(t: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -t)


class Expected(NamedTuple):
    """Losses of an undecided discriminator that gives `logit`, and both losses in NumPy."""

    logit: float
    discriminator: float
    generator: float
    discriminator_loss: Callable[[np.ndarray, np.ndarray], float]
    generator_loss: Callable[[np.ndarray, np.ndarray], float]


EXPECTED = {
    Minimax: Expected(
        0,
        2 * LN2,
        -LN2,
        lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(),
        lambda r, f: log_sigmoid(-f).mean(),
    ),
    NonSaturating: Expected(
        0,
        2 * LN2,
        LN2,
        lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(),
        lambda r, f: -log_sigmoid(f).mean(),
    ),
    LeastSquares: Expected(
        0.5,
        1 / 4,
        1 / 8,
        lambda r, f: 0.5 * np.mean((r - 1) ** 2) + 0.5 * np.mean(f**2),
        lambda r, f: 0.5 * np.mean((f - 1) ** 2),
    ),
    Wasserstein: Expected(0, 0, 0, lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    Hinge: Expected(
        0,
        2,
        0,
        lambda r, f: np.mean(np.maximum(0, 1 - r)) + np.mean(np.maximum(0, 1 + f)),
        lambda r, f: -f.mean(),
    ),
    RelativisticPairing: Expected(
        7.5,
        LN2,
        LN2,
        lambda r, f: -log_sigmoid(r - f).mean(),
        lambda r, f: -log_sigmoid(f - r).mean(),
    ),
}
for_every_objective = pytest.mark.parametrize("kind", OBJECTIVES)


def logits(count: int = 16, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    pair = scale * torch.randn(2, count, dtype=torch.float64)
    return pair[0].requires_grad_(), pair[1].requires_grad_()


def gradients(objective: Objective, r: Tensor, f: Tensor, player: str) -> list[Tensor]:
    """Gradients of a player's loss by both kinds of logits, zeros where there is none."""
    r, f = r.detach().requires_grad_(), f.detach().requires_grad_()
    loss = getattr(objective, f"{player}_loss")(scored(r, f))
    found = torch.autograd.grad(loss, (r, f), allow_unused=True)
    return [torch.zeros_like(r) if g is None else g for g in found]


@for_every_objective
def test_an_undecided_discriminator_gives_the_closed_form(kind: type[Objective]) -> None:
    expected = EXPECTED[kind]
    same = torch.full((6,), float(expected.logit), dtype=torch.float64)
    batch = scored(same, same)
    assert float(kind().discriminator_loss(batch)) == pytest.approx(expected.discriminator)
    assert float(kind().generator_loss(batch)) == pytest.approx(expected.generator)


@for_every_objective
def test_both_losses_equal_the_reference(kind: type[Objective]) -> None:
    r, f = (values.detach() for values in logits())
    batch, expected = scored(r, f), EXPECTED[kind]
    reals, fakes = r.numpy(), f.numpy()
    d_loss = expected.discriminator_loss(reals, fakes)
    g_loss = expected.generator_loss(reals, fakes)
    assert float(kind().discriminator_loss(batch)) == pytest.approx(d_loss, rel=1e-12)
    assert float(kind().generator_loss(batch)) == pytest.approx(g_loss, rel=1e-12)


@for_every_objective
def test_gradients_equal_finite_differences(kind: type[Objective]) -> None:
    r, f = logits(5)
    for name in ("discriminator_loss", "generator_loss"):
        loss = getattr(kind(), name)
        assert torch.autograd.gradcheck(
            lambda r, f, loss=loss: loss(scored(r, f)) + 0 * r.sum(), (r, f)
        )


@for_every_objective
@pytest.mark.parametrize("real", [-100.0, 100.0])
@pytest.mark.parametrize("fake", [-100.0, 100.0])
def test_extreme_logits_give_finite_losses_and_gradients_in_float32(
    kind: type[Objective], real: float, fake: float
) -> None:
    r, f = torch.full((4,), real), torch.full((4,), fake)
    for player in ("discriminator", "generator"):
        assert torch.isfinite(getattr(kind(), f"{player}_loss")(scored(r, f)))
        assert all(torch.isfinite(g).all() for g in gradients(kind(), r, f, player))


@for_every_objective
def test_permuting_the_pairs_changes_nothing(kind: type[Objective]) -> None:
    r, f = logits()
    order = torch.randperm(len(r))
    for name in ("discriminator_loss", "generator_loss"):
        before = getattr(kind(), name)(scored(r, f))
        after = getattr(kind(), name)(scored(r[order], f[order]))
        assert torch.allclose(before, after, rtol=1e-12)


@for_every_objective
def test_pairing_matters_exactly_where_the_objective_says_so(kind: type[Objective]) -> None:
    r, f = logits()
    before = kind().discriminator_loss(scored(r, f))
    after = kind().discriminator_loss(scored(r, f.flip(0)))
    assert torch.allclose(before, after, rtol=1e-12) != kind.paired


@for_every_objective
def test_only_differences_matter_to_wasserstein_and_relativistic_players(
    kind: type[Objective],
) -> None:
    r, f = logits()
    for player in ("discriminator", "generator"):
        before = gradients(kind(), r, f, player)
        after = gradients(kind(), r + 5, f + 5, player)
        same = all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(before, after, strict=True))
        invariant = kind in (Wasserstein, RelativisticPairing)
        assert same == (invariant or (kind is Hinge and player == "generator"))
    if kind is not Wasserstein and not kind.paired:
        return
    loss = kind().discriminator_loss
    assert torch.allclose(loss(scored(r, f)), loss(scored(r + 5, f + 5)), rtol=1e-9)


def test_a_relativistic_generator_loss_ignores_a_constant_and_learns_from_reals() -> None:
    # excludes the mistake of overwriting it by the plain non-saturating loss
    r, f = logits()
    loss = RelativisticPairing().generator_loss
    assert torch.allclose(loss(scored(r, f)), loss(scored(r + 5, f + 5)), rtol=1e-9)
    assert not torch.allclose(loss(scored(r, f)), loss(scored(r + 5, f)), rtol=1e-3)


@for_every_objective
def test_a_generator_loss_reads_real_logits_only_where_it_is_paired(kind: type[Objective]) -> None:
    r, f = logits()
    batch = scored(r, f)
    kind().generator_loss(batch)
    assert ("real_logits" in batch.__dict__) == kind.paired


def test_the_saturating_generator_has_no_gradient_left_where_the_other_has_all() -> None:
    f = torch.full((4,), -10.0, dtype=torch.float64)
    saturating = gradients(Minimax(), f, f, "generator")[1] * 4
    assert saturating.tolist() == pytest.approx([-4.5e-5] * 4, rel=0.01)
    plain = gradients(NonSaturating(), f, f, "generator")[1] * 4
    assert plain.tolist() == pytest.approx([-1] * 4, rel=1e-4)


@pytest.mark.parametrize("logit", [-30.0, -20.0, -5.0, 0.0, 5.0, 30.0])
def test_the_non_saturating_gradient_is_minus_sigmoid_of_minus_f_per_sample(logit: float) -> None:
    # excludes -log(sigmoid(f) + 1e-8) and BCE on a sigmoid: at -30 they give -9.4e-6 and 0
    f = torch.full((8,), logit)
    found = gradients(NonSaturating(), f, f, "generator")[1]
    assert torch.allclose(found, -torch.sigmoid(-f) / 8, rtol=1e-6)
    loss = NonSaturating().generator_loss(scored(f, f))
    assert float(loss) == pytest.approx(math.log1p(math.exp(-logit)), rel=1e-5)


def test_the_logistic_discriminator_equals_cross_entropy_with_labels_one_and_zero() -> None:
    r, f = logits()
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = cross_entropy(r, torch.ones_like(r)) + cross_entropy(f, torch.zeros_like(f))
    assert torch.allclose(NonSaturating().discriminator_loss(scored(r, f)), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", [Minimax, NonSaturating])
def test_smoothed_reals_are_best_at_ln_nine_and_fakes_stay_as_they_are(
    kind: type[Minimax],
) -> None:
    r = torch.tensor([2.0, math.log(9), 2.4], dtype=torch.float64)
    f = torch.linspace(-3, 3, 3, dtype=torch.float64)
    by_real, by_fake = gradients(kind(real_label=0.9), r, f, "discriminator")
    assert by_real[0] < 0 < by_real[2]
    assert abs(float(by_real[1])) < 1e-15
    assert torch.allclose(by_fake, torch.sigmoid(f) / 3)
    assert torch.equal(by_fake, gradients(kind(), r, f, "discriminator")[1])


@pytest.mark.parametrize("kind", [Minimax, NonSaturating])
def test_labels_are_not_smoothed_by_default(kind: type[Minimax]) -> None:
    confident = torch.full((3,), 10.0, dtype=torch.float64)
    assert (gradients(kind(), confident, -confident, "discriminator")[0] < 0).all()


@pytest.mark.parametrize("label", [0.5, 0.0, 1.1, -1.0])
def test_a_label_that_is_none_is_refused(label: float) -> None:
    with pytest.raises(ConfigurationError, match="real_label"):
        NonSaturating(real_label=label)


def test_least_squares_work_on_raw_outputs() -> None:
    # a sigmoid in front would make it -4.5e-5
    f = torch.full((4,), -10.0)
    assert torch.allclose(gradients(LeastSquares(), f, f, "generator")[1], torch.tensor(-11.0 / 4))


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
    by_real, by_fake = gradients(Hinge(), r, f, "discriminator")
    assert by_real.tolist() == [0, -0.5]
    assert by_fake.tolist() == [0, 0.5]


@for_every_objective
def test_probabilities_exist_only_where_logits_mean_one(kind: type[Objective]) -> None:
    expected = EXPECTED[kind]
    undecided = torch.full((3,), float(expected.logit))
    found = kind().probability(undecided, undecided)
    assert (found is None) == (kind in (Wasserstein, Hinge))
    if found is None:
        return
    for probability in found:
        assert probability.tolist() == [0.5] * 3
    r, f = logits()
    for probability in kind().probability(r, f) or ():
        assert ((probability >= 0) & (probability <= 1)).all()


def test_probabilities_are_what_the_papers_say() -> None:
    r, f = logits()
    for probability, logit in zip(NonSaturating().probability(r, f), (r, f), strict=True):
        assert torch.equal(probability, torch.sigmoid(logit))
    real, fake = RelativisticPairing().probability(r, f)
    assert torch.equal(real, torch.sigmoid(r - f))
    assert torch.allclose(real + fake, torch.ones_like(real))
    real, _ = LeastSquares(-1, 1, 0).probability(torch.tensor([-1.0, 0.0, 1.0]), f)
    assert real.tolist() == [0, 0.5, 1]
