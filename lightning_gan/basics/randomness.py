"""Random numbers that depend on the seed, the update and the sample's place in the global batch.

Nothing else enters: not the number of processes, not what was drawn before. So k processes draw
what one would, and a resumed run draws what the undisturbed one would, with no state to save.
"""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError


def _hash(text: str, order: Literal["big", "little"]) -> int:
    """A 63-bit seed from a text, equal on every machine.

    Generators on a CPU take its lower 32 bits: of 1,000 seeds two are alike with a probability of
    one in 10,000.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, order) >> 1


def hashed_seed(*parts: int | str) -> int:
    """The seed of an update: another one wherever any of ``parts`` is another, but by chance."""
    return _hash("/".join(map(str, parts)), "big")


def block_generator(seed: int, block: int) -> torch.Generator:
    """A generator on the CPU for what a seed draws for one block of samples.

    Args:
        seed: Seed of the samples.
        block: Number of the block, from 0.
    """
    return torch.Generator().manual_seed(_hash(f"{seed}:{block}", "little"))


def data_generator(*numbers: int) -> torch.Generator:
    """A generator on the CPU for what data modules draw: splits, orders, points."""
    return torch.Generator().manual_seed(_hash(repr(numbers), "little"))


@dataclass(frozen=True)
class Shard:
    """The rows of the global batch that this process, or this piece of its batch, has.

    Args:
        total: Rows of the global batch, over all processes.
        first: Index of the shard's first row in the global batch.
        count: Rows of the shard.
        step: Rows of the global batch from one row of the shard to the next.
    """

    total: int
    first: int
    count: int
    step: int = 1


Law = Literal["normal", "uniform"]
Draw = Callable[[Law, tuple[int, ...]], Tensor]
"""Gives the next numbers of a law and shape, float32."""


class RandomStream:
    """Random numbers for the rows of a shard; each call gives the next ones.

    Every call draws for the whole global batch and returns the rows of the shard, so that equal
    calls on different processes belong together.

    Args:
        draw: Where the numbers for the whole global batch come from.
        shard: The rows that are returned.
        dtype: Their type.
    """

    def __init__(self, draw: Draw, shard: Shard, dtype: torch.dtype) -> None:
        self.draw = draw
        self.dtype = dtype
        self.shard = shard

    def normal(self, *size: int) -> Tensor:
        """Standard normal numbers of shape (rows, *size)."""
        return self._rows(self.draw("normal", (self.shard.total, *size))).to(self.dtype)

    def uniform(self, *size: int) -> Tensor:
        """Numbers uniform on [0, 1), of shape (rows, *size)."""
        return self._rows(self.draw("uniform", (self.shard.total, *size))).to(self.dtype)

    def subset(self, chosen: slice | list[int]) -> "RandomStream":
        """The same stream for some rows of the shard, in which every process still agrees."""
        return _Subset(self, chosen)

    def repeated(self, times: int) -> "RandomStream":
        """The same stream for rows that come several times, and get the same numbers each time."""
        return _Repeated(self, times)

    def _rows(self, whole: Tensor) -> Tensor:
        if self.shard.count == self.shard.total:
            return whole
        return whole[self.shard.first :: self.shard.step][: self.shard.count]


def replayed(stream: RandomStream, numbers: list[Tensor]) -> RandomStream:
    """A stream that gives these numbers first, and keeps among them what it draws beyond.

    Passes of a network with one list between them thus have the same noise.
    """
    place = itertools.count()

    def draw(law: Law, shape: tuple[int, ...]) -> Tensor:
        number = next(place)
        if number == len(numbers):
            numbers.append(stream.draw(law, shape))
        return numbers[number]

    return RandomStream(draw, stream.shard, stream.dtype)


class _Subset(RandomStream):
    """Some rows of a stream."""

    def __init__(self, stream: RandomStream, chosen: slice | list[int]) -> None:
        rows = range(stream.shard.count)
        count = len(rows[chosen] if isinstance(chosen, slice) else chosen)
        shard = Shard(stream.shard.total, stream.shard.first, count, stream.shard.step)
        super().__init__(stream.draw, shard, stream.dtype)
        self._stream, self._chosen = stream, chosen

    def _rows(self, whole: Tensor) -> Tensor:
        return self._stream._rows(whole)[self._chosen]


class _Repeated(RandomStream):
    """The rows of a stream, one after the other, several times."""

    def __init__(self, stream: RandomStream, times: int) -> None:
        rows = stream.shard
        shard = Shard(rows.total, rows.first, rows.count * times, rows.step)
        super().__init__(stream.draw, shard, stream.dtype)
        self._stream, self._times = stream, times

    def _rows(self, whole: Tensor) -> Tensor:
        return torch.cat([self._stream._rows(whole)] * self._times)


def layer_normal(rows: Tensor, random: RandomStream | None, *size: int) -> Tensor:
    """Standard normal numbers (N, *size) for a layer that sees ``rows`` (N, ...).

    Args:
        rows: What the layer sees; the numbers have its type.
        random: The stream that the network was given; torch's own generator where None.
        size: Numbers for each row.

    Raises:
        ConfigurationError: If the stream is for another number of rows.
    """
    if random is None:
        return torch.randn(len(rows), *size, device=rows.device, dtype=rows.dtype)
    return _of_rows(rows, random).normal(*size).to(rows.dtype)


def layer_uniform(rows: Tensor, random: RandomStream | None, *size: int) -> Tensor:
    """Numbers uniform on [0, 1) for a layer, as :func:`layer_normal`."""
    if random is None:
        return torch.rand(len(rows), *size, device=rows.device, dtype=rows.dtype)
    return _of_rows(rows, random).uniform(*size).to(rows.dtype)


def _of_rows(rows: Tensor, random: RandomStream) -> RandomStream:
    # Numbers from elsewhere would fit, and no run could be repeated.
    if len(rows) != random.shard.count:
        raise ConfigurationError(
            f"A layer sees {len(rows)} rows and its random numbers are for {random.shard.count}: "
            "give the network the stream of these rows, as stream.subset(...) makes it."
        )
    return random


def _drawn(generator: torch.Generator, law: Law, shape: tuple[int, ...]) -> Tensor:
    """The next numbers of a generator, on its device."""
    numbers = torch.empty(shape, device=generator.device)
    if law == "normal":
        return numbers.normal_(generator=generator)
    return numbers.uniform_(generator=generator)


class Seeds:
    """Hands out the streams of a run, or of a measurement.

    Args:
        seed: Seed of all of them.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def stream(self, name: str, update: int, shard: Shard, like: Tensor) -> RandomStream:
        """The numbers of update ``update`` in stream ``name``, on the device and type of ``like``.

        They are valid until the next call: one generator a device is seeded anew each time, which
        costs a microsecond where making one costs many.
        """
        if like.device not in self._generators:
            self._generators[like.device] = torch.Generator(like.device)
        generator = self._generators[like.device].manual_seed(hashed_seed(self.seed, name, update))
        return RandomStream(partial(_drawn, generator), shard, like.dtype)
