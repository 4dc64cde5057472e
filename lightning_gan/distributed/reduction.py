"""The mean of gradients over processes, taken while the backward pass still computes others."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

BUCKET = 2**20
"""Numbers reduced at a time (4 MiB in float32)."""


class Reducer:
    """Replaces the gradients of an optimizer by their means over all processes.

    A gradient that is missing on some processes counts as zero there, so that they cannot fall out
    of step; one that is missing on all stays so, as it would on one. What is not finite on one
    process is not finite on any afterwards.

    Buckets of gradients go on their way in one order everywhere, the last layers' first, since a
    backward pass ends with the first layers. They have a group of processes of their own, so that
    what losses exchange in a backward pass cannot come between.

    Args:
        optimizer: Its parameters, which do not change any more.
        timeout: How long a process is waited for; torch's own default where None.
    """

    def __init__(self, optimizer: Optimizer, timeout: timedelta | None = None) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._buckets = list(buckets(reversed(parameters)))
        self._bucket_of = {p: i for i, bucket in enumerate(self._buckets) for p in bucket}
        self._group: Any = dist.new_group(timeout=timeout)
        self._pending: list[int] | None = None
        self._sent: list[tuple[Tensor, Any]] = []
        for parameter in parameters:
            parameter.register_post_accumulate_grad_hook(self._arrived)

    def arm(self) -> None:
        """Lets buckets go as soon as the next backward pass has filled them."""
        self._pending = [len(bucket) for bucket in self._buckets]

    def _arrived(self, parameter: Tensor) -> None:
        """Notes a gradient; sends the buckets that are full, in their order."""
        if self._pending is None:
            return
        self._pending[self._bucket_of[parameter]] -= 1
        while len(self._sent) < len(self._buckets) and self._pending[len(self._sent)] == 0:
            self._send()

    @torch.no_grad()
    def _send(self) -> None:
        """Begins to sum the next bucket, and at its end which of the gradients there are."""
        bucket = self._buckets[len(self._sent)]
        there = bucket[0].new_ones(len(bucket))
        for place, parameter in enumerate(bucket):
            if parameter.grad is None:
                there[place] = 0
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        flat = torch.cat([*(gradient.flatten() for gradient in gradients), there])
        self._sent.append((flat, dist.all_reduce(flat, group=self._group, async_op=True)))

    @torch.no_grad()
    def finish(self) -> None:
        """Sends what has not gone yet, waits for all, and writes the means into the gradients."""
        self._pending = None
        while len(self._sent) < len(self._buckets):
            self._send()
        sent, self._sent = self._sent, []
        for bucket, (flat, work) in zip(self._buckets, sent, strict=True):
            work.wait()
            flat.div_(dist.get_world_size())
            *means, there = torch.split(flat, [*(p.numel() for p in bucket), len(bucket)])
            for place, (parameter, mean) in enumerate(zip(bucket, means, strict=True)):
                if parameter.grad is None and there[place] > 0:  # on some process
                    parameter.grad = torch.empty_like(parameter)
                if parameter.grad is not None:
                    parameter.grad.copy_(mean.view_as(parameter))


def buckets(tensors: Iterable[Tensor], limit: int = BUCKET) -> Iterator[list[Tensor]]:
    """Groups tensors, in order, that have one type and together at most ``limit`` numbers."""
    bucket: list[Tensor] = []
    numbers = 0
    for tensor in tensors:
        full = numbers + tensor.numel() > limit
        if bucket and (full or bucket[0].dtype != tensor.dtype):
            yield bucket
            bucket, numbers = [], 0
        bucket.append(tensor)
        numbers += tensor.numel()
    if bucket:
        yield bucket
