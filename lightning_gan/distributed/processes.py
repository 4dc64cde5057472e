"""What several processes know together: their rows in one batch, means, numbers and flags.

A loss that looks across the batch sees all of it through :func:`gather`. Gradients are averaged
over processes at the step, so that a loss of the whole batch, computed on every process, has the
gradient that one process would compute. A process alone gets back what it gave.

The sums are our own, since torch 2.14 deprecates ``torch.distributed.nn.functional``, which was
found equal, in favour of a private module.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


def is_distributed() -> bool:
    """Whether this is one process of several."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if is_distributed() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if is_distributed() else 0


class _Share(torch.autograd.Function):
    """The sum over processes, divided by ``count``; gradients likewise, at every order."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, count: int) -> Tensor:  # noqa: ANN401 (torch's own)
        ctx.count = count
        total = value.contiguous().clone()
        dist.all_reduce(total)
        return total if count == 1 else total / count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 (likewise)
        return _Share.apply(gradients[0], ctx.count), None


def total(value: Tensor) -> Tensor:
    """The sum over processes of a tensor of one shape, with gradients to each of them."""
    return _Share.apply(value, 1) if is_distributed() else value


def mean(value: Tensor) -> Tensor:
    """The mean over processes of a tensor of one shape, with gradients to each of them."""
    return _Share.apply(value, world_size()) if is_distributed() else value


def gather(rows: Tensor) -> Tensor:
    """The rows of all processes (W * N, ...) in their order, with gradients to each of them.

    Args:
        rows: As many rows (N, ...) on every process.
    """
    if not is_distributed():
        return rows
    # Each process adds zeros to the rows of the others, so that the sum is exact.
    places = range(world_size())
    return total(torch.cat([rows if r == rank() else torch.zeros_like(rows) for r in places]))


def own_rows(rows: Tensor) -> Tensor:
    """The rows of this process among gathered ones (W * N, ...)."""
    return torch.chunk(rows, world_size())[rank()]


def gathered_ints(number: int, device: torch.device) -> list[int]:
    """What ``number`` is on each process, by rank; several processes wait for the device."""
    if not is_distributed():
        return [number]
    return gather(torch.tensor([number], device=device)).tolist()


def any_true(flags: Sequence[bool], device: torch.device) -> list[bool]:
    """Which flags are set on at least one process; several processes wait for the device."""
    if not is_distributed():
        return list(flags)
    counts: list[int] = total(torch.tensor(flags, dtype=torch.long, device=device)).tolist()
    return [count > 0 for count in counts]


def all_true(flags: Tensor) -> list[bool]:
    """Which flags (F,) on the device are set on every process; even one alone waits for it."""
    counts: list[int] = total(flags.long()).tolist()
    return [count == world_size() for count in counts]


def gather_objects(value: T) -> list[T]:
    """What each process has of something that is no tensor of one shape, in their order."""
    if not is_distributed():
        return [value]
    found: list[T] = [value] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


@torch.no_grad()
def share_buffers(module: nn.Module) -> None:
    """Gives all processes the buffers of rank zero, such as batch norm's statistics."""
    if is_distributed():
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)
