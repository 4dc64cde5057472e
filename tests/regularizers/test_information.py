"""InfoGAN: the codes of a latent, read again from its sample."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import distance, fit, looked_at, points_gan, term, weights
from torch import nn

from lightning_gan.gan import GAN
from lightning_gan.networks import MLPGenerator
from lightning_gan.regularizers import InfoGAN
from lightning_gan.training.latents import CodePrior
from lightning_gan.training.schedule import PLAYERS, LinearCurve, PlayerName, values_at
from lightning_gan.training.step import Step


def info_gan(part: InfoGAN, categories: tuple[int, ...] = (3, 4), continuous: int = 2) -> GAN:
    torch.manual_seed(5)
    generator = MLPGenerator(2, 0, latent_dim=12, width=8, depth=2)
    prior = CodePrior(categories, continuous)
    return points_gan(regularizers=[part], generator=generator, prior=prior)


def attached(player: PlayerName, *codes: Any, **arguments: Any) -> tuple[InfoGAN, Step]:
    part = InfoGAN(**arguments)
    return part, looked_at(info_gan(part, *codes), player)


def q(part: InfoGAN) -> list[nn.Linear]:
    return [layer for layer in part.recognition if isinstance(layer, nn.Linear)]  # type: ignore[union-attr, operator]


def undecided(part: InfoGAN) -> None:
    for parameter in q(part)[1].parameters():
        nn.init.zeros_(parameter)


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("categories", [(10,), (3, 4)])
def test_a_uniform_q_gives_ln_k_for_each_category(
    player: PlayerName, categories: tuple[int, ...]
) -> None:
    torch.manual_seed(1)
    part, step = attached(player, categories, 0)
    undecided(part)
    expected = sum(math.log(k) for k in categories)
    assert term(part, step, player) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("learned", [False, True])
def test_a_standard_normal_q_gives_half_the_squared_code_and_a_constant(learned: bool) -> None:
    part, step = attached("generator", (), 2, learned_variance=learned, continuous_weight=0.1)
    undecided(part)
    codes = step.z[:, :2].numpy()
    expected = 0.1 * np.mean((codes**2 / 2).sum(axis=1) + math.log(2 * math.pi))
    assert term(part, step, "generator") == pytest.approx(expected, rel=1e-9)


def log_q(part: InfoGAN, row: np.ndarray, code: np.ndarray, learned: bool) -> tuple[float, float]:
    """log Q of the categories (3 and 4) and of the two continuous codes, of one sample."""
    first, second = ([p.detach().numpy() for p in layer.parameters()] for layer in q(part))
    hidden = first[0] @ row + first[1]
    found = second[0] @ np.where(hidden > 0, hidden, 0.1 * hidden) + second[1]
    categories = 0.0
    for place, size in ((0, 3), (3, 4)):
        guess = found[place : place + size]
        categories += guess[code[place : place + size].argmax()] - np.log(np.exp(guess).sum())
    mean, variance = found[7:9], np.exp(found[9:11]) if learned else np.ones(2)
    normal = -np.log(2 * np.pi * variance) / 2 - (code[7:9] - mean) ** 2 / (2 * variance)
    return categories, float(normal.sum())


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("player", PLAYERS)
def test_the_term_is_minus_log_q_of_the_codes(player: PlayerName, learned: bool) -> None:
    part, step = attached(player, learned_variance=learned, continuous_weight=0.2)
    pairs = zip(step.fake_features.detach().numpy(), step.z.detach().numpy(), strict=True)
    found = np.array([log_q(part, *pair, learned) for pair in pairs])
    expected = -(found[:, 0] + 0.2 * found[:, 1]).mean()
    assert term(part, step, player) == pytest.approx(expected, rel=1e-9)


def test_the_weight_of_continuous_codes_can_move_with_the_images_seen() -> None:
    part, step = attached("generator", (), 2, continuous_weight=LinearCurve(0.4, 0.0, 100))
    before = term(part, step, "generator")
    later = replace(step, value_of=values_at(50))
    assert term(part, later, "generator") == pytest.approx(before / 2)


def test_the_gradient_reaches_q_and_the_trunk_by_one_term_and_the_generator_by_the_other() -> None:
    # torchgan builds the loss anew by torch.Tensor([...]), which has no gradient at all
    part, step = attached("discriminator")
    found = part.discriminator_term(step)
    assert found.requires_grad
    trunk = step.discriminator.layers[1].weight
    for gradient in torch.autograd.grad(found, [*part.parameters(), trunk]):
        assert gradient.abs().sum() > 0
    part, step = attached("generator")
    found = part.generator_term(step)
    for gradient in torch.autograd.grad(found, list(step.generator.parameters())):
        assert gradient.abs().sum() > 0


def test_both_q_and_the_generator_move_by_it_in_training() -> None:
    with_codes, without = InfoGAN(), InfoGAN(weight=0)
    gans = [fit(info_gan(part), 1) for part in (with_codes, without)]
    start = weights(info_gan(InfoGAN()).regularizers[0])
    moved = weights(with_codes)
    assert all(not torch.equal(start[name], value) for name, value in moved.items())
    assert distance(start, weights(without)) == 0
    assert distance(weights(gans[0].generator), weights(gans[1].generator)) > 0
    assert distance(weights(gans[0].discriminator), weights(gans[1].discriminator)) > 0
