"""Data parallelism for two players: gradients are averaged once, right before the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from torch import Tensor, nn
from torch.optim import Optimizer

BUCKET = 16 * 2**20
"""Numbers reduced at a time (64 MiB in float32)."""


class GANStrategy(DDPStrategy):
    """Processes that share weights and average the gradient of the player that steps.

    `DistributedDataParallel` expects every parameter to take part in every backward pass, which in
    a GAN never happens. Here the parameters are broadcast once, and the gradients of the stepping
    optimizer are averaged when all its backward passes are done. So the frozen player costs
    nothing, and penalties, several backward passes and accumulation are right by construction.
    """

    def configure_ddp(self) -> None:
        """Broadcasts the weights of rank zero; no wrapper."""
        assert self.model is not None
        for parameter in self.model.parameters():
            dist.broadcast(parameter.detach(), src=0)
        share_buffers(self.model)

    def optimizer_step(
        self,
        optimizer: Optimizer,
        closure: Callable[[], Any],
        model: Any = None,  # noqa: ANN401 (as the base class has it)
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Averages the gradients over all processes, then steps."""

        def averaged() -> Any:  # noqa: ANN401
            result = closure()
            average_gradients(optimizer)
            return result

        return super().optimizer_step(optimizer, averaged, model, **kwargs)


@torch.no_grad()
def average_gradients(optimizer: Optimizer) -> None:
    """Replaces the gradients of ``optimizer`` by their means over all processes.

    A parameter without a gradient counts as zero, so that processes cannot fall out of step.
    """
    world = dist.get_world_size()
    bucket: list[Tensor] = []

    def reduce() -> None:
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(flat)
        flat /= world
        for gradient, mean in zip(
            bucket, torch.split(flat, [gradient.numel() for gradient in bucket]), strict=True
        ):
            gradient.copy_(mean.view_as(gradient))
        bucket.clear()

    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradient = parameter.grad
            full = sum(g.numel() for g in bucket) + gradient.numel() > BUCKET
            if bucket and (full or bucket[0].dtype != gradient.dtype):
                reduce()
            bucket.append(gradient)
    if bucket:
        reduce()


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def on_all_processes(number: int, device: torch.device) -> list[int]:
    """What ``number`` is on each process, by rank."""
    if not _several():
        return [number]
    numbers = torch.zeros(dist.get_world_size(), dtype=torch.long, device=device)
    numbers[dist.get_rank()] = number
    dist.all_reduce(numbers)
    return [int(each) for each in numbers]


@torch.no_grad()
def share_buffers(module: nn.Module) -> None:
    """Gives all processes the buffers of rank zero, such as batch norm's statistics."""
    if _several():
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


if "gan_ddp" not in StrategyRegistry:
    StrategyRegistry.register(
        "gan_ddp", GANStrategy, description="Data parallelism for players that step in turns"
    )
