"""Distances between feature vectors: blockwise, float64, equal vectors at distance 0 exactly.

Squared distances come from a matrix product, which is fast and wrong by up to 1e-13 of the
squared lengths. They are rounded down by more than that, so that what is equal or touches a ball
is never lost, and every distance that is reported is measured again by direct difference.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gan.metrics.features import FeatureBank

TILE = 1 << 20  # fewer, where the vectors are short: they stay in the cache
MAX_HELD = 1 << 23  # distances held at once: 64 MB, a few times over
ROUNDING = 1e-12  # more than a product of thousands of numbers loses, relative to its terms
NUM_CENTRAL = 101  # vectors whose median is taken for the midst: no outlier moves it
MIN_DEPTH = 10  # nearest neighbours looked up at once; the 20 closest pairs are always among them


def distances_by_index(a: Tensor, b: Tensor, index: Tensor) -> Tensor:
    """Squared distances (N,) of rows of a (N, D) to the rows ``index`` (N,) of b, by difference.

    Exactly 0 for equal rows.
    """
    rows = max(1, MAX_HELD // a.shape[1])
    parts = zip(torch.split(a, rows), torch.split(index, rows), strict=True)
    return torch.cat([(x.double() - b[y].double()).square().sum(1) for x, y in parts])


def distance_blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of some rows of a (N, D) at a time to all rows of b (M, D).

    Args:
        a: Vectors, any precision.
        b: Vectors, at least one.

    Yields:
        Which rows of a, and their distances (rows, M), float64, rounded down, at least 0, in
        memory that the next ones overwrite.
    """
    # from the midst of the vectors, their lengths are small, and with them what is lost
    centre = b[:NUM_CENTRAL].double().sort(0).values[min(len(b), NUM_CENTRAL) // 2]
    columns = max(16, MAX_HELD // a.shape[1])
    whole = _terms(b, centre, 1) if columns >= len(b) else None
    size = max(16, (MAX_HELD if whole is None else TILE) // max(len(b), a.shape[1]))
    held = torch.empty(min(size, len(a)), len(b), dtype=torch.float64, device=b.device)
    for start in range(0, max(len(a), 1), size):  # one block even of nothing
        left = _terms(a[start : start + size], centre, -2)
        block = held[: len(left)]
        if whole is not None:
            torch.mm(left, whole.T, out=block)
        else:
            for first in range(0, len(b), columns):
                part = b[first : first + columns]
                block[:, first : first + columns] = left @ _terms(part, centre, 1).T
        yield slice(start, start + len(left)), block.clamp_(min=0)


def _terms(vectors: Tensor, centre: Tensor, factor: int) -> Tensor:
    """Rows (N, D + 2) whose products, factor -2 with factor 1, are squared distances."""
    rows = vectors.double() - centre
    length = rows.square().sum(1, keepdim=True) * (1 - ROUNDING)
    ones = torch.ones_like(length)
    if factor == 1:
        return torch.cat([rows, ones, length], 1)
    return torch.cat([factor * rows, length, ones], 1)


def nearest(a: Tensor, b: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The nearest row of b (M, D) to each row of a (N, D): squared distances (N,), indices (N,).

    Args:
        a: Vectors.
        b: Vectors, at least two.
        own: For each row of a, the row of b that it is itself and that does not count (N,).
    """
    distances, indices = [], []
    for rows, block in distance_blocks(a, b):
        if own is not None:
            block[torch.arange(len(block), device=block.device), own[rows]] = torch.inf
        found = block.min(1).indices
        indices.append(found)
        distances.append(distances_by_index(a[rows], b, found))
    return torch.cat(distances), torch.cat(indices)


class Neighbourhood(NamedTuple):
    """The neighbours of each vector of a set in that set, itself left out.

    Attributes:
        distances: Squared distances (N, K) to the K nearest, in order.
        indices: Which they are (N, K).
        ties: Number of vectors that are as near as the nearest (N,), at least 1.
    """

    distances: Tensor
    indices: Tensor
    ties: Tensor


def neighbourhood(bank: FeatureBank, depth: int = MIN_DEPTH) -> Neighbourhood:
    """The neighbours within a bank of two vectors or more, computed once.

    Args:
        bank: The vectors.
        depth: How many are wanted at least; there are never more than N - 1.
    """
    depth = max(depth, MIN_DEPTH)
    return bank.once(f"neighbourhood {depth}", lambda: _neighbourhood(bank.features, depth))


def _neighbourhood(features: Tensor, depth: int) -> Neighbourhood:
    depth = min(depth, len(features) - 1)
    parts = []
    for rows, block in distance_blocks(features, features):
        own = torch.arange(rows.start, rows.stop, device=block.device)
        block[own - rows.start, own] = torch.inf
        indices = block.topk(depth, largest=False).indices
        columns = [distances_by_index(features[rows], features, column) for column in indices.T]
        distances, order = torch.stack(columns, 1).sort(dim=1, stable=True)
        ties = (block <= distances[:, :1]).sum(1)
        parts.append(Neighbourhood(distances, indices.gather(1, order), ties))
    return Neighbourhood(*(torch.cat(column) for column in zip(*parts, strict=True)))
