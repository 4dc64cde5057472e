"""Chunks: every sample once, the same batches and latents for any number of processes."""

import pytest
import torch

from lightning_gan.basics.randomness import block_generator
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import chunks


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize(("total", "size"), [(10, 4), (8, 4), (3, 5), (0, 5)])
def test_all_processes_together_have_every_chunk_once(total: int, size: int, world: int) -> None:
    parts = [list(chunks(total, size, rank, world)) for rank in range(world)]
    together = sorted(chunk for part in parts for chunk in part)
    assert together == list(chunks(total, size))
    assert [i for _, start, n in together for i in range(start, start + n)] == list(range(total))
    assert all(number % world == rank for rank in range(world) for number, _, _ in parts[rank])


@pytest.mark.parametrize(
    ("total", "size", "rank", "world"), [(4, 0, 0, 1), (4, 2, 1, 1), (4, 2, -1, 2), (-1, 2, 0, 1)]
)
def test_numbers_out_of_range_are_refused(total: int, size: int, rank: int, world: int) -> None:
    with pytest.raises(ConfigurationError, match="no chunks"):
        list(chunks(total, size, rank, world))


def test_latents_depend_on_seed_and_chunk_alone() -> None:
    def latents(seed: int, chunk: int) -> torch.Tensor:
        return torch.randn(5, 3, generator=block_generator(seed, chunk))

    before = torch.random.get_rng_state()
    assert torch.equal(latents(0, 3), latents(0, 3))
    different = [latents(seed, chunk) for seed, chunk in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 10))]
    assert len({float(x.sum()) for x in different}) == 5
    assert torch.equal(torch.random.get_rng_state(), before)


def test_latents_never_change_between_releases() -> None:
    assert block_generator(12, 34).initial_seed() == 1921455360200437448
