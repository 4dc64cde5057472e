"""Objectives that compare reals with fakes: relativistic, and contrastive over the batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny import composition, logit_gradients, random_logits, scored
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import (
    DualContrastive,
    NonSaturating,
    Objective,
    RelativisticAverage,
    RelativisticAverageHinge,
    RelativisticAverageLeastSquares,
    RelativisticPairing,
    RelativisticPairingHinge,
    RelativisticPairingLeastSquares,
    SoftmaxGAN,
)
from lightning_gan.training.game import Game
from lightning_gan.training.schedule import PLAYERS, PlayerName, Progress

PAIRINGS: list[type[Objective]] = [
    RelativisticPairing,
    RelativisticPairingLeastSquares,
    RelativisticPairingHinge,
]
AVERAGES: list[type[Objective]] = [
    RelativisticAverage,
    RelativisticAverageLeastSquares,
    RelativisticAverageHinge,
]
CONTRASTS: list[type[Objective]] = [DualContrastive, SoftmaxGAN]
for_both_players = pytest.mark.parametrize("player", PLAYERS)


def sigmoid(t: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-t))


@pytest.mark.parametrize("kind", [*PAIRINGS, *AVERAGES])
def test_a_relativistic_generator_loss_ignores_a_constant_and_learns_from_reals(
    kind: type[Objective],
) -> None:
    # excludes its being overwritten by E sp(-f) in the next statement, of PyTorch-GAN: that
    # changes by up to 5 here and does not know the reals
    r, f = (values.detach() for values in random_logits())
    loss = kind().generator_loss
    assert torch.allclose(loss(scored(r, f)), loss(scored(r + 5, f + 5)), rtol=1e-12)
    assert not torch.allclose(loss(scored(r, f)), loss(scored(r + 5, f)), rtol=1e-3)
    plain = NonSaturating().generator_loss
    assert abs(float(plain(scored(r, f)) - plain(scored(r + 5, f + 5)))) > 1


@pytest.mark.parametrize("kind", [*PAIRINGS, *AVERAGES, DualContrastive])
def test_the_players_exchange_reals_and_fakes(kind: type[Objective]) -> None:
    r, f = random_logits()
    ours, theirs = kind().generator_loss(scored(r, f)), kind().discriminator_loss(scored(f, r))
    assert torch.allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize(("pairing", "average"), list(zip(PAIRINGS, AVERAGES, strict=True)))
def test_in_a_batch_of_one_the_average_is_the_pair(
    pairing: type[Objective], average: type[Objective]
) -> None:
    # and the factor 1/2 makes up for counting it from both sides; TF-GAN leaves it out
    r, f = random_logits(1)
    for player in PLAYERS:
        one, other = (getattr(kind(), f"{player}_loss") for kind in (pairing, average))
        assert torch.allclose(one(scored(r, f)), other(scored(r, f)), rtol=1e-12)


def test_the_gradient_of_a_pair_is_what_the_real_fails_to_lead_by() -> None:
    r, f = (values.detach() for values in random_logits())
    by_real, by_fake = logit_gradients(RelativisticPairing(), r, f, "discriminator")
    expected = -sigmoid(f.numpy() - r.numpy()) / len(r)
    np.testing.assert_allclose(by_real.numpy(), expected, rtol=1e-12)
    assert torch.equal(by_fake, -by_real)


@pytest.mark.parametrize("kind", [RelativisticPairingHinge, RelativisticPairingLeastSquares])
def test_a_lead_of_one_is_enough(kind: type[Objective]) -> None:
    f = torch.linspace(-2, 2, 5, dtype=torch.float64)
    assert float(kind().discriminator_loss(scored(f + 1, f))) == pytest.approx(0, abs=1e-30)
    assert float(kind().generator_loss(scored(f - 1, f))) == pytest.approx(0, abs=1e-30)
    more = logit_gradients(kind(), f + 3, f, "discriminator")[0]
    # beyond it the hinge rests and squares pull back
    assert bool(more.any()) == (kind is RelativisticPairingLeastSquares)


@for_both_players
def test_gradients_pass_through_the_means_of_the_other_kind(player: PlayerName) -> None:
    # from the formula, by hand: each logit counts in its own term and in every term of the others
    r, f = (values.detach() for values in random_logits())
    reals, fakes, count = r.numpy(), f.numpy(), len(r)
    side = 1 if player == "discriminator" else -1
    of_reals = -side * sigmoid(-side * (reals - fakes.mean())) / (2 * count)
    of_fakes = side * sigmoid(side * (fakes - reals.mean())) / (2 * count)
    by_real, by_fake = logit_gradients(RelativisticAverage(), r, f, player)
    np.testing.assert_allclose(by_real.numpy(), of_reals - of_fakes.mean(), rtol=1e-12)
    np.testing.assert_allclose(by_fake.numpy(), of_fakes - of_reals.mean(), rtol=1e-12)
    assert np.abs(by_real.numpy() - of_reals).max() > 1e-3  # what detached means would give


def test_probabilities_are_of_differences() -> None:
    r, f = random_logits()
    real, fake = RelativisticPairing().probability(r, f)
    assert torch.equal(real, torch.sigmoid(r - f))
    assert torch.allclose(real + fake, torch.ones_like(real))
    real, fake = RelativisticAverage().probability(r, f)
    assert torch.equal(real, torch.sigmoid(r - f.mean()))
    assert torch.equal(fake, torch.sigmoid(f - r.mean()))


@for_both_players
@pytest.mark.parametrize("kind", PAIRINGS)
@pytest.mark.parametrize(("reals", "fakes"), [(4, 3), (4, 1), (1, 4)])
def test_a_pair_needs_both(
    kind: type[Objective], player: PlayerName, reals: int, fakes: int
) -> None:
    # one fake would be spread over all reals without a word
    step = scored(torch.randn(reals), torch.randn(fakes))
    expected = rf"there are {reals} reals and {fakes} fakes: make as many"
    with pytest.raises(ConfigurationError, match=expected):
        getattr(kind(), f"{player}_loss")(step)


@for_both_players
@pytest.mark.parametrize("pieces", [1, 3])
def test_both_of_a_pair_carry_the_same_label_and_there_are_as_many(
    player: PlayerName, pieces: int
) -> None:
    asked: list[Tensor] = []

    class Noted(MLPGenerator):
        def forward(self, z: Tensor, labels: Tensor) -> Tensor:
            asked.append(labels)
            return super().forward(z, labels)

    parts = composition(
        generator=Noted(2, 0, width=4, depth=1, num_classes=3),
        discriminator=MLPDiscriminator(2, 0, width=4, depth=1, num_classes=3),
        objective=RelativisticPairing(),
        accumulate=pieces,
    )
    labels = torch.tensor([0, 2, 1, 1, 0, 2, 2])
    game = Game(parts)
    steps = list(game.steps(game.player(player), torch.randn(7, 2), labels, Progress()))
    assert len(steps) == pieces
    for step, of_fakes in zip(steps, asked, strict=True):
        assert torch.equal(step.labels, of_fakes)
        assert len(step.real) == len(step.fake)
    in_turn = torch.cat([labels[piece::pieces] for piece in range(pieces)])
    assert torch.equal(torch.cat([step.labels for step in steps]), in_turn)


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_contrasts_grow_with_the_batch(count: int) -> None:
    undecided = torch.full((count,), 0.3, dtype=torch.float64)
    for kind, expected in (
        (DualContrastive, 2 * math.log(count + 1)),
        (SoftmaxGAN, math.log(2 * count)),
    ):
        for player in PLAYERS:
            loss = getattr(kind(), f"{player}_loss")(scored(undecided, undecided))
            assert float(loss) == pytest.approx(expected, rel=1e-12)


def test_in_a_batch_of_one_a_dual_contrast_is_two_pairs() -> None:
    r, f = random_logits(1)
    for player in PLAYERS:
        pair, contrast = (
            getattr(kind(), f"{player}_loss")(scored(r, f))
            for kind in (RelativisticPairing, DualContrastive)
        )
        assert torch.allclose(contrast, 2 * pair, rtol=1e-12)


def test_a_contrast_is_won_by_telling_all_apart() -> None:
    r, f = torch.full((4,), 40.0), torch.full((4,), -40.0)
    assert float(DualContrastive().discriminator_loss(scored(r, f))) == 0
    assert float(DualContrastive().generator_loss(scored(r, f))) > 150
    assert float(SoftmaxGAN().discriminator_loss(scored(r, f))) == pytest.approx(math.log(4))


@for_both_players
def test_the_gradient_of_a_softmax_is_what_each_has_minus_what_it_should_have(
    player: PlayerName,
) -> None:
    r, f = (values.detach() for values in random_logits())
    exponentials = np.exp(np.concatenate([r.numpy(), f.numpy()]))
    wanted = np.full(2 * len(r), 0.5 / len(r))
    if player == "discriminator":
        wanted = np.repeat([1 / len(r), 0.0], len(r))
    found = torch.cat(logit_gradients(SoftmaxGAN(), r, f, player)).numpy()
    np.testing.assert_allclose(found, exponentials / exponentials.sum() - wanted, atol=1e-15)


def test_a_softmax_generator_has_nothing_left_to_win_from_an_undecided_discriminator() -> None:
    undecided = torch.full((5,), 2.0, dtype=torch.float64)
    least = float(SoftmaxGAN().generator_loss(scored(undecided, undecided)))
    for _ in range(5):
        assert float(SoftmaxGAN().generator_loss(scored(*random_logits(5))).detach()) > least


@for_both_players
@pytest.mark.parametrize("kind", CONTRASTS)
def test_a_contrast_knows_no_pairs(kind: type[Objective], player: PlayerName) -> None:
    r, f = random_logits()
    loss = getattr(kind(), f"{player}_loss")
    moved = loss(scored(r, f[torch.randperm(len(f))]))
    assert torch.allclose(loss(scored(r, f)), moved, rtol=1e-12)
