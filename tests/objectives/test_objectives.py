"""Every objective against closed forms, a reference in NumPy, and what its flags say of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from objective_cases import OBJECTIVES, built, for_both_players, for_every_objective, loss_of, same
from tiny import logit_gradients, random_logits

from lightning_gan.objectives import (
    BEGAN,
    EBGAN,
    DualContrastive,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
    RelativisticAverage,
    RelativisticAverageHinge,
    RelativisticAverageLeastSquares,
    RelativisticPairing,
    RelativisticPairingHinge,
    RelativisticPairingLeastSquares,
    SoftmaxGAN,
    TopK,
    Wasserstein,
)

LN2, COUNT = math.log(2), 6
Loss = Callable[[np.ndarray, np.ndarray], float]


def softplus(t: Any) -> Any:
    return np.logaddexp(0, t)


def logistic_cost(lead: float) -> float:
    return float(softplus(-lead))


def squared_cost(lead: float) -> float:
    return (lead - 1) ** 2


def hinge_cost(lead: float) -> float:
    return max(0.0, 1 - lead)


def by_pairs(cost: Callable[[float], float]) -> tuple[Loss, Loss]:
    """Both losses of relativistic pairing."""

    def loss(first: np.ndarray, second: np.ndarray) -> float:
        return sum(cost(a - b) for a, b in zip(first, second, strict=True)) / len(first)

    return loss, lambda r, f: loss(f, r)


def by_averages(cost: Callable[[float], float]) -> tuple[Loss, Loss]:
    """Both losses of a relativistic average."""

    def loss(first: np.ndarray, second: np.ndarray) -> float:
        of_first = sum(cost(a - second.mean()) for a in first) / len(first)
        of_second = sum(cost(first.mean() - b) for b in second) / len(second)
        return (of_first + of_second) / 2

    return loss, lambda r, f: loss(f, r)


def choosing(chosen: float, others: np.ndarray) -> float:
    """Minus the log of the share of `chosen` among itself and `others`."""
    return -math.log(math.exp(chosen) / (math.exp(chosen) + sum(math.exp(o) for o in others)))


def by_contrast(first: np.ndarray, second: np.ndarray) -> float:
    reals = [choosing(a, second) for a in first]
    return float(np.mean(reals) + np.mean([choosing(-b, -first) for b in second]))


def by_shares(first: np.ndarray, second: np.ndarray, wanted: np.ndarray) -> float:
    """Cross-entropy of shares of a batch to the wanted ones."""
    exponentials = np.exp(np.concatenate([first, second]))
    return -float(np.sum(wanted * np.log(exponentials / exponentials.sum())))


def half_best(f: np.ndarray) -> np.ndarray:
    return np.array(sorted(f, reverse=True)[: len(f) // 2])


class Expected(NamedTuple):
    """Losses of an undecided discriminator that gives `logit`, and both losses in NumPy."""

    logit: float
    discriminator: float
    generator: float
    discriminator_loss: Loss
    generator_loss: Loss


def logistic_loss(r: np.ndarray, f: np.ndarray) -> float:
    return float(softplus(-r).mean() + softplus(f).mean())


EXPECTED: dict[type[Objective], Expected] = {
    Minimax: Expected(0, 2 * LN2, -LN2, logistic_loss, lambda r, f: -softplus(f).mean()),
    NonSaturating: Expected(0, 2 * LN2, LN2, logistic_loss, lambda r, f: softplus(-f).mean()),
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
    RelativisticPairing: Expected(7.5, LN2, LN2, *by_pairs(logistic_cost)),
    RelativisticPairingLeastSquares: Expected(7.5, 1, 1, *by_pairs(squared_cost)),
    RelativisticPairingHinge: Expected(7.5, 1, 1, *by_pairs(hinge_cost)),
    RelativisticAverage: Expected(-3, LN2, LN2, *by_averages(logistic_cost)),
    RelativisticAverageLeastSquares: Expected(-3, 1, 1, *by_averages(squared_cost)),
    RelativisticAverageHinge: Expected(-3, 1, 1, *by_averages(hinge_cost)),
    DualContrastive: Expected(
        2.5,
        2 * math.log(COUNT + 1),
        2 * math.log(COUNT + 1),
        by_contrast,
        lambda r, f: by_contrast(f, r),
    ),
    SoftmaxGAN: Expected(
        2.5,
        math.log(2 * COUNT),
        math.log(2 * COUNT),
        lambda r, f: by_shares(r, f, np.repeat([1 / len(r), 0], len(r))),
        lambda r, f: by_shares(r, f, np.full(2 * len(r), 0.5 / len(r))),
    ),
    # with k at 1/4 and an error of 2, and with a margin of 1 and an error of 1/4
    BEGAN: Expected(-2, 3 / 2, 2, lambda r, f: -r.mean() + f.mean() / 4, lambda r, f: -f.mean()),
    EBGAN: Expected(
        -1 / 4,
        1,
        1 / 4,
        lambda r, f: -r.mean() + np.mean(np.maximum(0, 1 + f)),
        lambda r, f: -f.mean(),
    ),
    TopK: Expected(0, 2 * LN2, LN2, logistic_loss, lambda r, f: softplus(-half_best(f)).mean()),
}

HAS_PROBABILITY = {Minimax, NonSaturating, LeastSquares, RelativisticPairing, RelativisticAverage}
HAS_PROBABILITY |= {TopK}  # around NonSaturating


def test_every_objective_is_tested_here_or_has_a_reason() -> None:
    assert set(OBJECTIVES) == set(EXPECTED)


@for_every_objective
def test_an_undecided_discriminator_gives_the_closed_form(kind: type[Objective]) -> None:
    expected = EXPECTED[kind]
    undecided = torch.full((COUNT,), float(expected.logit), dtype=torch.float64)
    for player in ("discriminator", "generator"):
        found = float(loss_of(built(kind), undecided, undecided, player))
        assert found == pytest.approx(getattr(expected, player), abs=1e-14)


@for_both_players
@for_every_objective
def test_both_losses_equal_the_reference(kind: type[Objective], player: str) -> None:
    for _ in range(3):
        r, f = (values.detach() for values in random_logits())
        expected = getattr(EXPECTED[kind], f"{player}_loss")(r.numpy(), f.numpy())
        assert float(loss_of(built(kind), r, f, player)) == pytest.approx(expected, rel=1e-12)


@for_both_players
@for_every_objective
def test_gradients_equal_finite_differences(kind: type[Objective], player: str) -> None:
    r, f = random_logits(6)
    assert torch.autograd.gradcheck(
        lambda r, f: loss_of(built(kind), r, f, player) + 0 * r.sum() + 0 * f.sum(), (r, f)
    )


@for_both_players
@for_every_objective
@pytest.mark.parametrize("real", [-100.0, 100.0])
@pytest.mark.parametrize("fake", [-100.0, 100.0])
def test_extreme_logits_give_finite_losses_and_gradients_in_float32(
    kind: type[Objective], player: str, real: float, fake: float
) -> None:
    # excludes logarithms of a sigmoid and cross-entropy on probabilities
    r, f = torch.full((4,), real), torch.full((4,), fake)
    assert torch.isfinite(loss_of(built(kind), r, f, player))
    assert all(torch.isfinite(g).all() for g in logit_gradients(built(kind), r, f, player))


@for_both_players
@for_every_objective
def test_permuting_the_pairs_changes_nothing(kind: type[Objective], player: str) -> None:
    r, f = random_logits()
    order = torch.randperm(len(r))
    before = loss_of(built(kind), r, f, player)
    assert same(before, loss_of(built(kind), r[order], f[order], player))


@for_every_objective
def test_probabilities_exist_only_where_logits_mean_one(kind: type[Objective]) -> None:
    undecided = torch.full((3,), float(EXPECTED[kind].logit))
    found = built(kind).probability(undecided, undecided)
    assert (found is not None) == (kind in HAS_PROBABILITY)
    for probability in found or ():
        assert probability.tolist() == [0.5] * 3
    for probability in built(kind).probability(*random_logits()) or ():
        assert ((probability >= 0) & (probability <= 1)).all()


@for_every_objective
def test_nothing_but_began_moves_after_an_update(kind: type[Objective]) -> None:
    objective = built(kind)
    r, f = random_logits()
    before = [loss_of(objective, r, f, player) for player in ("discriminator", "generator")]
    objective.observe(r.detach(), f.detach())
    after = [loss_of(objective, r, f, player) for player in ("discriminator", "generator")]
    assert all(map(torch.equal, before, after)) == (kind is not BEGAN)
