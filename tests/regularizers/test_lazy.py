"""Penalties that come seldom, and what Adam does about it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import points_gan
from torch import Tensor, nn
from zoo import Styled

from lightning_gan.errors import ConfigurationError, UnstableWarning
from lightning_gan.networks import MLPDiscriminator
from lightning_gan.objectives import RelativisticPairing, Wasserstein
from lightning_gan.regularizers import R1, R2, GradientPenalty, PathLength, Regularizer
from lightning_gan.training.optimizers import GANAdam, correct_for_laziness
from lightning_gan.training.schedule import LinearCurve, Progress


def rates(optimizer: torch.optim.Optimizer) -> list[tuple[float, tuple[float, float]]]:
    return [(group["lr"], group["betas"]) for group in optimizer.param_groups]


def test_adam_at_every_sixteenth_update_has_the_papers_rate_and_decay() -> None:
    groups: Any = [{"params": [nn.Parameter(torch.ones(1))]}, {"params": [], "lr": 2.0}]
    optimizer = GANAdam(groups, lr=1.0, betas=(0.0, 0.99))
    correct_for_laziness(optimizer, 16)
    for (lr, (beta1, beta2)), before in zip(rates(optimizer), (1, 2), strict=True):
        assert lr == pytest.approx(0.9412 * before, rel=1e-4)
        assert (beta1, beta2) == (0, pytest.approx(0.99059, abs=5e-6))


def test_nothing_is_corrected_at_every_update_nor_without_averages() -> None:
    weight = nn.Parameter(torch.ones(1))
    adam, sgd = GANAdam([weight]), torch.optim.SGD([weight], lr=0.5)
    correct_for_laziness(adam, 1)
    correct_for_laziness(sgd, 16)
    assert rates(adam) == [(2e-4, (0.5, 0.999))]
    assert sgd.param_groups[0]["lr"] == 0.5


def test_each_player_is_corrected_for_its_own_laziest_penalty() -> None:
    parts = {"generator": Styled(), "discriminator": MLPDiscriminator(1, 8, 8)}
    lazy = [R1(every=16), R2(every=8), PathLength(every=4)]
    for optimizer, share in zip(
        points_gan(regularizers=lazy, **parts).configure_optimizers(), (16 / 17, 4 / 5), strict=True
    ):
        expected = (2e-4 * share, (0.5**share, 0.999**share))
        assert rates(optimizer) == [(pytest.approx(expected[0]), pytest.approx(expected[1]))]
        assert optimizer.param_groups[0]["initial_lr"] == optimizer.param_groups[0]["lr"]


def gradients_over(penalties: list[Regularizer], updates: int, real: Tensor) -> Tensor:
    """The discriminator's gradients, added over updates with weights that rest."""
    gan = points_gan(regularizers=penalties).double()
    total = torch.zeros(())
    for update in range(updates):
        player, progress = gan.game.discriminator, Progress(discriminator_updates=update)
        for step in gan.game.steps(player, real, torch.zeros(8, dtype=torch.long), progress):
            loss, _ = gan.game.loss(step, player.due(update))
            weights = [p for p in gan.discriminator.parameters() if p.ndim == 2]
            found = torch.autograd.grad(loss, weights)
            total = total + torch.cat([g.flatten() for g in found])
    return total


@pytest.mark.parametrize("every", [4, 5])
def test_one_lazy_penalty_has_the_gradient_of_all_the_eager_ones_together(every: int) -> None:
    real = torch.randn(8, 2, dtype=torch.float64)
    lazy, eager, none = (
        gradients_over(penalties, every, real)
        for penalties in ([R1(0.3, every=every)], [R1(0.3)], [])
    )
    assert torch.allclose(lazy - none, eager - none, rtol=1e-9, atol=1e-12)
    assert (eager - none).abs().max() > 1e-3


def test_a_penalty_of_weight_zero_is_none() -> None:
    plain = points_gan().configure_optimizers()
    for gan, changed in (
        (points_gan(regularizers=[R1(0.0, every=16)]), False),
        (points_gan(regularizers=[R1(LinearCurve(0, 1, 100), every=16)]), True),
    ):
        found = [rates(optimizer) for optimizer in gan.configure_optimizers()]
        assert (found != [rates(optimizer) for optimizer in plain]) == changed
    with pytest.raises(ConfigurationError, match="needs a critic of bounded slope"):
        points_gan(Wasserstein(), [GradientPenalty(0.0)])
    with pytest.warns(UnstableWarning, match="R1 alone diverges"):
        points_gan(RelativisticPairing(), [R1(), R2(0.0)])
