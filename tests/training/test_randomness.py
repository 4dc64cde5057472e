"""Random numbers are a function of seed, stream, update and place."""

from __future__ import annotations

import pytest
import torch

from lightning_gan.basics.randomness import Seeds, Shard, hashed_seed, latents
from lightning_gan.errors import ConfigurationError

LIKE = torch.zeros(1)


def normal(seed: int = 0, stream: str = "generator", update: int = 0) -> torch.Tensor:
    return Seeds(seed).stream(stream, update, Shard(8, 0, 8), LIKE).normal(3)


def test_the_same_update_draws_the_same_numbers_again() -> None:
    assert torch.equal(normal(), normal())


def test_what_was_drawn_before_does_not_matter() -> None:
    noise = Seeds(0)
    noise.stream("discriminator", 5, Shard(3, 0, 3), LIKE).normal(7)
    torch.randn(10)
    assert torch.equal(noise.stream("generator", 0, Shard(8, 0, 8), LIKE).normal(3), normal())


@pytest.mark.parametrize("other", [{"seed": 1}, {"stream": "discriminator"}, {"update": 1}])
def test_seed_stream_and_update_all_matter(other: dict[str, int]) -> None:
    assert not torch.equal(normal(), normal(**other))


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("total", [3, 7, 40])
def test_shares_of_the_global_batch_are_rows_of_the_whole(kind: str, total: int) -> None:
    noise = Seeds(0)
    whole_draws = noise.stream("g", 4, Shard(total, 0, total), LIKE)
    whole = [getattr(whole_draws, kind)(2, 2), getattr(whole_draws, kind)(1)]
    for first, count in ((0, 1), (1, total - 1)):
        random = noise.stream("g", 4, Shard(total, first, count), LIKE)
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


def test_truncated_latents_stay_within_and_keep_their_shape() -> None:
    z = latents(20_000, 2, torch.Generator().manual_seed(0), truncation=0.7)
    assert float(z.abs().max()) <= 0.7 + 1e-6
    # the variance of a normal cut off at a is 1 - 2 a phi(a) / (2 Phi(a) - 1)
    phi, mass = 0.312254, 0.516073
    assert float(z.var()) == pytest.approx(1 - 2 * 0.7 * phi / mass, rel=0.03)


def test_a_wide_truncation_is_none() -> None:
    z = latents(20_000, 1, torch.Generator().manual_seed(0), truncation=4)
    assert float(z.std()) == pytest.approx(1, abs=0.02)
    assert torch.isfinite(z).all()


@pytest.mark.parametrize("truncation", [0.0, -1.0])
def test_a_truncation_that_leaves_nothing_is_refused(truncation: float) -> None:
    with pytest.raises(ConfigurationError, match="truncation"):
        latents(1, 1, torch.Generator(), truncation)
