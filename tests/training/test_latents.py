"""What latents are drawn from."""

from __future__ import annotations

import math

import pytest
import torch
from tiny import composition, distance_from_uniform, looked_at, points_gan
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import MLPGenerator
from lightning_gan.training.latents import CodePrior, UniformPrior, normal_latents

COUNT = 20_000
BOUND = 1.63 / math.sqrt(COUNT)
"""What Kolmogorov's distance stays below in 99 of 100 cases."""


def normal(size: int) -> Tensor:
    return torch.randn(COUNT, size, dtype=torch.float64)


def test_uniform_latents_are_uniform_between_minus_one_and_one() -> None:
    z = UniformPrior()(normal(3))
    assert z.shape == (COUNT, 3)
    assert -1 <= z.min() < z.max() <= 1
    for column in z.T:
        assert distance_from_uniform((column + 1) / 2) < BOUND
    assert torch.corrcoef(z.T).fill_diagonal_(0).abs().max() < 4 / math.sqrt(COUNT)


def test_uniform_latents_grow_with_the_normal_numbers() -> None:
    numbers = torch.tensor([[-40.0, -1.0, 0.0, 1.0, 40.0]])
    assert UniformPrior()(numbers).tolist() == [
        pytest.approx([-1, -0.6827, 0, 0.6827, 1], abs=1e-4)
    ]


@pytest.mark.parametrize("categories", [(2,), (10,), (3, 5)])
def test_categories_are_one_hot_and_uniform(categories: tuple[int, ...]) -> None:
    z = CodePrior(categories, 0)(normal(sum(categories) + 2))
    start = 0
    for size in categories:
        code = z[:, start : start + size]
        assert ((code == 0) | (code == 1)).all()
        assert (code.sum(dim=1) == 1).all()
        counts, expected = code.sum(dim=0), COUNT / size
        chi_squared = float(((counts - expected) ** 2 / expected).sum())
        assert chi_squared < size - 1 + 4 * math.sqrt(2 * (size - 1))
        start += size


def test_two_categories_are_independent() -> None:
    z = CodePrior((3, 5), 0)(normal(8))
    together = z[:, :3].T @ z[:, 3:]
    expected = COUNT / 15
    assert float(((together - expected) ** 2 / expected).sum()) < 14 + 4 * math.sqrt(28)


def test_continuous_codes_are_uniform_and_the_rest_stays_normal() -> None:
    drawn = normal(10)
    z = CodePrior((4,), 2)(drawn)
    for column in z[:, 4:6].T:
        assert distance_from_uniform((column + 1) / 2) < BOUND
    assert torch.equal(z[:, 6:], drawn[:, 6:])


def test_codes_are_read_from_latents_as_they_were_put_in() -> None:
    prior = CodePrior((3, 4), 2)
    z = prior(normal(11))
    categories, continuous = prior.codes(z)
    assert [code.shape[1] for code in categories] == [3, 4]
    assert torch.equal(torch.cat([*categories, continuous, z[:, 9:]], dim=1), z)


def test_a_latent_may_be_codes_and_nothing_else() -> None:
    prior = CodePrior((3,), 1)
    assert prior.min_latent_dim == 4
    categories, continuous = prior.codes(prior(normal(4)))
    assert (len(categories), continuous.shape) == (1, (COUNT, 1))
    only_numbers = CodePrior((), 2)
    assert only_numbers.codes(only_numbers(normal(2))).categories == []


@pytest.mark.parametrize(
    ("categories", "continuous"), [((1,), 0), ((3, 0), 1), ((), 0), ((3,), -1), ((-2,), 2)]
)
def test_codes_that_are_none_are_refused(categories: tuple[int, ...], continuous: int) -> None:
    with pytest.raises(ConfigurationError, match="CodePrior: categories"):
        CodePrior(categories, continuous)


def test_codes_that_do_not_fit_into_the_latent_are_refused() -> None:
    parts = composition(prior=CodePrior((3,), 2), generator=MLPGenerator(2, 0, latent_dim=4))
    with pytest.raises(ConfigurationError, match="latent_dim=4: set it to at least 5"):
        parts.attach()


def test_both_players_and_samples_take_their_latents_from_the_prior() -> None:
    gan = points_gan(prior=UniformPrior())
    for player in ("discriminator", "generator"):
        z = looked_at(gan, player, 400).z  # type: ignore[arg-type]
        assert z.abs().max() <= 1
        assert distance_from_uniform((z + 1) / 2) < 1.63 / math.sqrt(800)
    shown = []
    gan.generator_ema.register_forward_pre_hook(lambda _, given: shown.append(given[0]))
    gan.sample(300)
    assert distance_from_uniform((torch.cat(shown) + 1) / 2) < 1.63 / math.sqrt(600)


@pytest.mark.parametrize("truncation", [0.5, 5.0, 6.0, 40.0])
def test_latents_that_are_cut_off_are_finite_and_below_the_cut(truncation: float) -> None:
    random = torch.Generator().manual_seed(1)
    z = normal_latents(150_000, 128, random, truncation)
    assert z.isfinite().all()
    assert z.abs().max() <= truncation
