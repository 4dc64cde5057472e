"""Canonical chunks: which process evaluates which samples, so that their number changes nothing.

Chunk c holds the samples from c times the chunk size on; process c mod W evaluates it as one
batch, with latents drawn from a generator that knows only the seed and c. Neither the latents nor
the composition of a batch depend on the number W of processes.
"""

from collections.abc import Iterator
from typing import NamedTuple

from lightning_gan.errors import ConfigurationError


class Chunk(NamedTuple):
    """Samples ``start`` to ``start + length`` of all, the chunk of that number."""

    number: int
    start: int
    length: int


def chunks(total: int, size: int, rank: int = 0, world: int = 1) -> Iterator[Chunk]:
    """The chunks of one process, in order; the last of all may be short, a process may have none.

    Args:
        total: Number of samples over all processes.
        size: Samples per chunk.
        rank: This process, from 0.
        world: Number of processes.

    Raises:
        ConfigurationError: If a number is out of range.
    """
    if total < 0 or size < 1 or not 0 <= rank < world:
        raise ConfigurationError(
            f"There are no chunks of {size} out of {total} samples for process {rank} of {world}: "
            "take sizes of at least 1 and ranks from 0."
        )
    for number in range(rank, -(-total // size), world):
        yield Chunk(number, number * size, min(size, total - number * size))
