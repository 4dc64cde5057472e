"""What several processes know together: gathered batches, with their gradients, and means.

A loss that looks across the batch sees all of it through :func:`gather`. Gradients are averaged
over processes at the step, so that a loss of the whole batch, computed on every process, has the
gradient that one process would compute.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import FunctionCtx


def several() -> bool:
    """Whether this is one process of several."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def count() -> int:
    """Number of processes."""
    return dist.get_world_size() if several() else 1


class _Gather(torch.autograd.Function):
    """All rows on every process; the gradients that all of them have for a row are added.

    Keeping the own slice of the own gradient instead gives 1/W of it for W processes.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        own: Tensor = _AddAndScatter.apply(gradients[0])
        return own


class _AddAndScatter(torch.autograd.Function):
    """The transpose of gathering, and gathering is its: so both can be differentiated again."""

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor) -> Tensor:
        total = rows.contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()].clone()

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        whole: Tensor = _Gather.apply(gradients[0])
        return whole


class _Mean(torch.autograd.Function):
    """The mean over processes, whose gradient is the mean of their gradients."""

    @staticmethod
    def forward(ctx: FunctionCtx, value: Tensor) -> Tensor:
        total = value.contiguous().clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        mean: Tensor = _Mean.apply(gradients[0])
        return mean


def gather(rows: Tensor) -> Tensor:
    """The rows of all processes (W * N, ...) in their order, with gradients to each of them.

    Args:
        rows: As many rows (N, ...) on every process.
    """
    if not several():
        return rows
    gathered: Tensor = _Gather.apply(rows)
    return gathered


def mean(value: Tensor) -> Tensor:
    """The mean over processes of a tensor of one shape, with gradients to each of them."""
    if not several():
        return value
    found: Tensor = _Mean.apply(value)
    return found


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if several() else 0


def own_rows(rows: Tensor) -> Tensor:
    """The rows of this process among gathered ones (W * N, ...)."""
    return torch.chunk(rows, count())[rank()]
