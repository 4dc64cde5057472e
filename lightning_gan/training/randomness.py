"""Random numbers that depend on the seed, the update and the sample's place in the global batch.

Nothing else enters: not the number of processes, not what was drawn before. So k processes draw
what one would, and a resumed run draws what the undisturbed one would, with no state to save.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError


def hashed_seed(*parts: int | str) -> int:
    """A 63-bit seed that differs wherever any of ``parts`` differs."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True)
class Rows:
    """Which rows of the global batch are at hand.

    Args:
        total: Rows of the global batch, over all processes.
        first: Index of the first row at hand in the global batch.
        count: Number of rows at hand.
    """

    total: int
    first: int
    count: int


class Draws:
    """The random numbers of one update, for the rows at hand.

    Every call draws for the whole global batch and returns the rows at hand, so that equal calls on
    different processes belong together.
    """

    def __init__(self, generator: torch.Generator, rows: Rows, dtype: torch.dtype) -> None:
        self._generator = generator
        self._dtype = dtype
        self.rows = rows

    def normal(self, *size: int) -> Tensor:
        """Standard normal numbers of shape (rows, *size)."""
        whole = torch.empty(self.rows.total, *size, device=self._generator.device)
        return self._own(whole.normal_(generator=self._generator))

    def uniform(self, *size: int) -> Tensor:
        """Numbers uniform on [0, 1), of shape (rows, *size)."""
        whole = torch.empty(self.rows.total, *size, device=self._generator.device)
        return self._own(whole.uniform_(generator=self._generator))

    def of_some(self, chosen: slice) -> Draws:
        """The same draws for some of the rows at hand, in which every process still agrees."""
        return _Some(self, chosen)

    def _own(self, whole: Tensor) -> Tensor:
        return whole[self.rows.first : self.rows.first + self.rows.count].to(self._dtype)


class _Some(Draws):
    """The draws of some of the rows at hand."""

    def __init__(self, draws: Draws, chosen: slice) -> None:
        count = len(range(draws.rows.count)[chosen])
        rows = Rows(draws.rows.total, draws.rows.first, count)
        super().__init__(draws._generator, rows, draws._dtype)
        self._all, self._chosen = draws, chosen

    def _own(self, whole: Tensor) -> Tensor:
        return self._all._own(whole)[self._chosen]


_SHARED: ContextVar[Draws | None] = ContextVar("draws", default=None)


@contextmanager
def shared_with_layers(draws: Draws | None) -> Iterator[None]:
    """Lets layers inside networks draw from ``draws`` by :func:`layer_normal` and its like."""
    token = _SHARED.set(draws)
    try:
        yield
    finally:
        _SHARED.reset(token)


def layer_normal(rows: Tensor, *size: int) -> Tensor:
    """Standard normal numbers (N, *size) for a layer that sees ``rows`` (N, ...).

    From the draws of the update in a training, from torch's own generator in a plain loop.
    """
    draws = _SHARED.get()
    if draws is None or draws.rows.count != len(rows):
        return torch.randn(len(rows), *size, device=rows.device, dtype=rows.dtype)
    return draws.normal(*size).to(rows.dtype)


def layer_uniform(rows: Tensor, *size: int) -> Tensor:
    """Numbers uniform on [0, 1) for a layer, as :func:`layer_normal`."""
    draws = _SHARED.get()
    if draws is None or draws.rows.count != len(rows):
        return torch.rand(len(rows), *size, device=rows.device, dtype=rows.dtype)
    return draws.uniform(*size).to(rows.dtype)


class Noise:
    """Hands out the draws of any update.

    Args:
        seed: Seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def draws(self, stream: str, update: int, rows: Rows, like: Tensor) -> Draws:
        """The draws of update ``update`` in ``stream``, on the device and in the type of ``like``.

        They are valid until the next call: one generator a device is seeded anew each time, which
        costs a microsecond where making one costs many.
        """
        generator = self._generators.get(like.device)
        if generator is None:
            generator = self._generators[like.device] = torch.Generator(like.device)
        generator.manual_seed(hashed_seed(self.seed, stream, update))
        return Draws(generator, rows, like.dtype)


def latents(
    count: int, latent_dim: int, random: torch.Generator, truncation: float | None = None
) -> Tensor:
    """Standard normal latents (count, latent_dim), drawn on the CPU.

    Args:
        count: Number of latents.
        latent_dim: Length of a latent.
        random: Where the numbers come from.
        truncation: Largest absolute value of an entry; the distribution is cut off there and the
            rest kept in proportion (Brock et al. 2019, section 3.1). None for no cut.

    Raises:
        ConfigurationError: If the truncation is not positive.
    """
    z = torch.empty(count, latent_dim)
    if truncation is None:
        return z.normal_(generator=random)
    if truncation <= 0:
        raise ConfigurationError(f"truncation={truncation} must be positive.")
    edge = torch.erf(torch.tensor(truncation / 2**0.5))
    return torch.erfinv(z.uniform_(-1, 1, generator=random) * edge) * 2**0.5
