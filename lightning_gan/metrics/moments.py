r"""Sums of vectors and of their products that have the same bits in whatever order they are added.

Vectors are rounded to whole multiples x of a unit, of at most 32 bits, and split into
:math:`x = 2^{11}h + l`. The products :math:`h_ih_j` and the rest, :math:`x_ix_j - 2^{22}h_ih_j`,
are whole numbers below :math:`2^{43}`: matrix products of some rows of them are exact in float64,
however they are blocked, and add up in int64, where no order matters.
"""

import math

import torch
from torch import Tensor

BITS = 32  # of a whole number
LOW_BITS = 11  # of them in the remainder
HEADROOM = 4  # bits: a vector may be as long as 2**4 of the largest standard deviations, at least
MAX_VECTORS = 1 << 20  # vectors whose sums fit into int64, however long they are
ROWS = 256  # vectors at once; up to 1024 their sums stay exact, and more take more memory
BAND = 128  # columns at once, since the products of all take much memory
EXTRA = 2  # columns before the products: the sum of x, and the diagonal of the rest


def unit_for(covariance: Tensor) -> float:
    """The unit, a power of two, for vectors of about that covariance (D, D) and mean 0."""
    largest = float(covariance.diagonal().amax()) if len(covariance) else 0.0
    if not 0 < largest < math.inf:
        return 2.0**-BITS
    return math.ldexp(1.0, math.frexp(math.sqrt(largest))[1] + HEADROOM - BITS)


def no_sums() -> Tensor:
    """Sums of no vectors, int64, whatever their length: what sums begin as takes no memory."""
    return torch.zeros(1, 1, dtype=torch.int64)


def sized(sums: Tensor, size: int) -> Tensor:
    """Sums (D, D + 2) that vectors of that length D can be added to."""
    return sums.expand(size, EXTRA + size).contiguous()


def add(sums: Tensor, vectors: Tensor, centre: Tensor, unit: float) -> Tensor:
    """Adds vectors (N, D), less the centre (D,), to the sums.

    Gives back those (n, D), float64 and less the centre, that reach too far for that.
    """
    far = [centre[None, :][:0]]
    for part in torch.split(vectors, ROWS):
        rows = part.double() - centre
        near = torch.linalg.vector_norm(rows, math.inf, 1) <= unit * (1 << BITS)
        if not bool(near.all()):
            far.append(rows[~near])
            rows = rows[near]
        _add(sums, rows.div_(unit).round_())
    return torch.cat(far)


def _add(sums: Tensor, x: Tensor) -> None:
    """Products of h on and above the diagonal, the rest of them below it: both are symmetric."""
    high = (x / (1 << LOW_BITS)).round_()
    most = high * (1 << LOW_BITS)
    low = x - most
    columns = (x.sum(0), (most + x).mul_(low).sum(0))
    sums[:, :EXTRA] += torch.stack(columns, 1).long()
    products = sums[:, EXTRA:]
    for start in range(0, len(products), BAND):
        band, others = slice(start, start + BAND), slice(start, None)
        whole = high[:, band].T @ high[:, others]
        products[band, others] += whole.triu_().long()
        rest = (most[:, others].T @ low[:, band]).addmm_(low[:, others].T, x[:, band])
        products[others, band] += rest.tril_(-1).long()


def read(sums: Tensor, unit: float) -> tuple[Tensor, Tensor]:
    """The sum (D,) of the vectors and that of their outer products (D, D), float64."""
    total, diagonal = sums[:, :EXTRA].double().unbind(1)
    packed = sums[:, EXTRA:].double()
    whole, rest = packed.triu() * (1 << 2 * LOW_BITS), packed.tril(-1)
    products = whole + whole.triu(1).T + rest + rest.T + diagonal.diag()
    return total * unit, products * unit**2


def of_any_order(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The same sums of some vectors (N, D), which are held and put in order for that."""
    rows, counts = torch.unique(vectors, dim=0, return_counts=True)
    weighted = rows * counts[:, None]
    return weighted.sum(0), rows.T @ weighted
