"""Random numbers are a function of seed, stream, update and place."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lightning_gan.basics.randomness import (
    Seeds,
    Shard,
    block_generator,
    data_generator,
    hashed_seed,
    layer_normal,
    layer_uniform,
)
from lightning_gan.errors import ConfigurationError
from lightning_gan.training.latents import normal_latents

LIKE = torch.zeros(1)
BLOCK_SEED, DATA_SEED = 6515528556742908675, 8164178574686010183
"""As computed from the first version on."""


def normal(seed: int = 0, stream: str = "generator", update: int = 0) -> torch.Tensor:
    return Seeds(seed).stream(stream, update, Shard(8, 0, 8), LIKE).normal(3)


def test_the_same_update_draws_the_same_numbers_again() -> None:
    assert torch.equal(normal(), normal())


def test_what_was_drawn_before_does_not_matter() -> None:
    seeds = Seeds(0)
    seeds.stream("discriminator", 5, Shard(3, 0, 3), LIKE).normal(7)
    torch.randn(10)
    assert torch.equal(seeds.stream("generator", 0, Shard(8, 0, 8), LIKE).normal(3), normal())


@pytest.mark.parametrize("other", [{"seed": 1}, {"stream": "discriminator"}, {"update": 1}])
def test_seed_stream_and_update_all_matter(other: dict[str, int]) -> None:
    assert not torch.equal(normal(), normal(**other))


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("total", [3, 7, 40])
def test_shares_of_the_global_batch_are_rows_of_the_whole(kind: str, total: int) -> None:
    seeds = Seeds(0)
    everything = seeds.stream("g", 4, Shard(total, 0, total), LIKE)
    whole = [getattr(everything, kind)(2, 2), getattr(everything, kind)(1)]
    for first, count in ((0, 1), (1, total - 1)):
        random = seeds.stream("g", 4, Shard(total, first, count), LIKE)
        for numbers in whole:
            share = getattr(random, kind)(*numbers.shape[1:])
            assert torch.equal(share, numbers[first : first + count])


def test_numbers_come_in_the_asked_type_and_are_the_same_numbers() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    double = Seeds(0).stream("generator", 0, Shard(8, 0, 8), like).normal(3)
    assert double.dtype == torch.float64
    assert torch.equal(double, normal().double())


def test_distributions_have_their_moments() -> None:
    random = Seeds(0).stream("x", 0, Shard(20_000, 0, 20_000), LIKE)
    z, u = random.normal(2), random.uniform(2)
    assert float(z.mean()) == pytest.approx(0, abs=0.02)
    assert float(z.std()) == pytest.approx(1, abs=0.02)
    assert float(u.mean()) == pytest.approx(0.5, abs=0.01)
    assert 0 <= float(u.min()) <= float(u.max()) < 1


def test_seeds_are_63_bits_and_differ() -> None:
    seeds = {hashed_seed(a, b) for a in range(20) for b in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    normal()
    assert torch.equal(before, torch.get_rng_state())


def test_other_hashes_keep_their_bytes() -> None:
    # Splits, orders and measured samples of every run so far depend on them.
    assert block_generator(0, 3).initial_seed() == BLOCK_SEED
    assert data_generator(0, 7).initial_seed() == DATA_SEED


@pytest.mark.parametrize("draw", [layer_normal, layer_uniform])
def test_a_layer_of_other_rows_is_refused_and_not_served_from_elsewhere(draw: Any) -> None:
    random = Seeds(0).stream("x", 0, Shard(8, 0, 8), LIKE)
    assert draw(torch.zeros(8, 1), random, 2).shape == (8, 2)
    with pytest.raises(ConfigurationError, match="sees 4 rows and its random numbers are for 8"):
        draw(torch.zeros(4, 1), random, 2)
    assert draw(torch.zeros(4, 1), random.subset(slice(None, None, 2)), 2).shape == (4, 2)


def test_truncated_latents_stay_within_and_keep_their_shape() -> None:
    z = normal_latents(20_000, 2, torch.Generator().manual_seed(0), truncation=0.7)
    assert float(z.abs().max()) <= 0.7 + 1e-6
    # the variance of a normal cut off at a is 1 - 2 a phi(a) / (2 Phi(a) - 1)
    phi, mass = 0.312254, 0.516073
    assert float(z.var()) == pytest.approx(1 - 2 * 0.7 * phi / mass, rel=0.03)


def test_a_wide_truncation_is_none() -> None:
    z = normal_latents(20_000, 1, torch.Generator().manual_seed(0), truncation=4)
    assert float(z.std()) == pytest.approx(1, abs=0.02)
    assert torch.isfinite(z).all()


@pytest.mark.parametrize("truncation", [0.0, -1.0])
def test_a_truncation_that_leaves_nothing_is_refused(truncation: float) -> None:
    with pytest.raises(ConfigurationError, match="truncation"):
        normal_latents(1, 1, torch.Generator(), truncation)
