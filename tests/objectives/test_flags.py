"""What an objective says of itself, against what its losses are measured to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from objective_cases import built, for_both_players, for_every_objective, loss_of, same
from tiny import logit_gradients, random_logits, scored

from lightning_gan.errors import ConfigurationError
from lightning_gan.objectives import (
    BEGAN,
    EBGAN,
    DualContrastive,
    Hinge,
    LeastSquares,
    Objective,
    RelativisticAverage,
    RelativisticAverageHinge,
    RelativisticAverageLeastSquares,
    RelativisticPairing,
    RelativisticPairingHinge,
    RelativisticPairingLeastSquares,
    SoftmaxGAN,
    Wasserstein,
)

SHIFT_INVARIANT = {
    Wasserstein,
    RelativisticPairing,
    RelativisticPairingLeastSquares,
    RelativisticPairingHinge,
    RelativisticAverage,
    RelativisticAverageLeastSquares,
    RelativisticAverageHinge,
    DualContrastive,
    SoftmaxGAN,
}
LINEAR: dict[type[Objective], set[str]] = {
    Hinge: {"generator"},
    BEGAN: {"discriminator", "generator"},
    EBGAN: {"generator"},
}
"""Whose losses are linear in the logits, so that their gradients are the same wherever these are"""
WITHOUT_POSITIVE_LOGITS = {BEGAN: "a logit is minus an error", EBGAN: "a logit is minus an error"}


@for_both_players
@for_every_objective
def test_pairing_matters_exactly_where_the_objective_says_so(
    kind: type[Objective], player: str
) -> None:
    r, f = random_logits()
    objective = built(kind)
    moved = not same(loss_of(objective, r, f, player), loss_of(objective, r, f.flip(0), player))
    assert moved == objective.paired


@for_every_objective
def test_a_loss_is_the_mean_over_pieces_unless_the_objective_looks_across(
    kind: type[Objective],
) -> None:
    r, f = random_logits()
    objective, adds_up = built(kind), {}
    for player in ("discriminator", "generator"):
        pieces = [loss_of(objective, r[i::2], f[i::2], player) for i in range(2)]
        whole = loss_of(objective, r, f, player)
        adds_up[player] = same(whole, torch.stack(pieces).mean())
    assert all(adds_up.values()) != objective.looks_across


@for_every_objective
def test_a_generator_loss_reads_real_logits_exactly_where_the_objective_says_so(
    kind: type[Objective],
) -> None:
    r, f = random_logits()
    step, objective = scored(r, f), built(kind)
    whole, unread = objective.generator_loss(step), replace(step, real_output=None)
    if objective.relative:
        with pytest.raises(ConfigurationError, match="logits of real samples"):
            objective.generator_loss(unread)
    else:
        assert torch.equal(objective.generator_loss(unread), whole)
    assert bool(logit_gradients(objective, r, f, "generator")[0].any()) == objective.relative


@for_both_players
@for_every_objective
def test_a_loss_reads_every_kind_that_the_objective_names(
    kind: type[Objective], player: str
) -> None:
    step, objective = scored(*random_logits()), built(kind)
    for name in getattr(objective, f"{player}_reads"):
        unread = replace(step, player=player, **{f"{name}_output": None})
        with pytest.raises(ConfigurationError, match=rf"name '{name}' in its {player}_reads"):
            getattr(objective, f"{player}_loss")(unread)


@for_both_players
@for_every_objective
def test_gradients_know_only_differences_where_the_loss_is_a_wasserstein_or_compares(
    kind: type[Objective], player: str
) -> None:
    r, f = random_logits()
    before = logit_gradients(built(kind), r, f, player)
    after = logit_gradients(built(kind), r + 5, f + 5, player)
    unmoved = all(map(same, before, after))
    assert unmoved == (kind in SHIFT_INVARIANT or player in LINEAR.get(kind, set()))


@for_every_objective
def test_losses_that_know_only_differences_keep_their_value_too(kind: type[Objective]) -> None:
    r, f = random_logits()
    objective = built(kind)
    unmoved = {
        player: same(loss_of(objective, r, f, player), loss_of(objective, r + 5, f + 5, player))
        for player in ("discriminator", "generator")
    }
    assert unmoved == {
        "discriminator": kind in SHIFT_INVARIANT,
        "generator": objective.relative,  # a Wasserstein critic's zero has no meaning, yet -E f has
    }


@for_every_objective
def test_logits_have_a_sign_where_exchanging_the_players_mirrors_them_at_zero(
    kind: type[Objective],
) -> None:
    r, f = random_logits()
    loss, objective = built(kind).discriminator_loss, built(kind)
    mirrored = same(loss(scored(r, f)), loss(scored(-f, -r)))
    shifted = same(loss(scored(r, f)), loss(scored(r + 5, f + 5)))
    assert objective.has_sign == (mirrored and not shifted)


@for_every_objective
def test_a_generator_loss_is_unbounded_where_each_unit_of_logit_lowers_it_by_one(
    kind: type[Objective],
) -> None:
    objective, zeros = built(kind), torch.zeros(4, dtype=torch.float64)
    if kind in WITHOUT_POSITIVE_LOGITS:
        assert not objective.unbounded
        return
    levels = [
        float(loss_of(objective, zeros, zeros + level, "generator"))
        for level in (-200, -100, 0, 100, 200)
    ]
    assert objective.unbounded == (np.diff(levels) == -100).all()


@pytest.mark.parametrize(
    ("targets", "has_sign"),
    [((0, 1, 1), False), ((-1, 1, 0), True), ((-2, 2, 1), True), ((1, -1, 0), False)],
)
def test_least_squares_have_a_sign_where_zero_is_half_way_up_to_the_reals(
    targets: tuple[float, float, float], has_sign: bool
) -> None:
    assert LeastSquares(*targets).has_sign == has_sign
