"""Data parallelism for two players: gradients are averaged once, right before the step."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from subprocess import Popen
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.errors import ConfigurationError, ProcessLostError, WeightsError

BUCKET = 4 * 2**20
"""Numbers reduced at a time (16 MiB in float32), while the next ones are gathered."""

PATIENCE = 20.0
"""Seconds that a process has to end by itself after another one has died."""

LOST = re.compile(r"gloo|nccl|connection (closed|reset)|timed out|timeout|broken pipe", re.I)
"""What a RuntimeError says whose cause is another process."""


class GANStrategy(DDPStrategy):
    """Processes that share weights and average the gradient of the player that steps.

    `DistributedDataParallel` expects every parameter to take part in every backward pass, which in
    a GAN never happens. Here the parameters are broadcast once, and the gradients of the stepping
    optimizer are averaged when all its backward passes are done. So the frozen player costs
    nothing, and penalties, several backward passes and accumulation are right by construction.

    A process that dies ends the others at their next exchange. One that hangs does so too, once it
    has been waited for.

    Args:
        timeout_minutes: How long a process waits for the others before it takes one for lost; no
            process may keep the others waiting for longer, for instance while it makes statistics
            of the reals.
        kwargs: Arguments of Lightning's DDPStrategy.

    Raises:
        ConfigurationError: If the time is not positive.
    """

    def __init__(self, timeout_minutes: float = 30.0, **kwargs: Any) -> None:  # noqa: ANN401
        if timeout_minutes <= 0:
            raise ConfigurationError(
                f"GANStrategy: timeout_minutes={timeout_minutes} must be positive."
            )
        super().__init__(timeout=timedelta(minutes=timeout_minutes), **kwargs)

    def setup_environment(self) -> None:
        """Joins the group of processes."""
        super().setup_environment()
        _let_speak(getattr(self.launcher, "procs", []))

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

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        filepath: Any,  # noqa: ANN401 (as the base class has it)
        storage_options: Any = None,  # noqa: ANN401
    ) -> None:
        """Writes on process zero; if that fails, all learn of it, so that they end together.

        Raises:
            WeightsError: If the checkpoint could not be written.
        """
        failure = None
        try:
            super().save_checkpoint(checkpoint, filepath, storage_options)
        except WeightsError as error:
            failure = error
        if any(on_all_processes(int(failure is not None), self.root_device)):
            raise failure or WeightsError("Process 0 could not write the checkpoint; it says why.")

    def on_exception(self, exception: BaseException) -> None:
        """Ends the processes started here if one is lost, since a hanging one would stay."""
        if lost_process(exception) is not None and self.launcher is not None:
            self.launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))


def _let_speak(started: Sequence[Popen[bytes]]) -> None:
    """Gives this process time to say that one of those it started has died.

    Lightning looks every five seconds and then kills all with SIGKILL. If its names change, what
    is said may be cut off.
    """
    for thread in threading.enumerate():
        look = getattr(thread, "_run", None)
        if thread.name != "child-process-observer" or look is None:
            continue

        def patiently(look: Callable[[], bool] = look) -> bool:
            if any(process.poll() for process in started):
                time.sleep(PATIENCE)
            return look()

        thread._run = patiently  # type: ignore[attr-defined]  # Lightning's own name


@torch.no_grad()
def average_gradients(optimizer: Optimizer) -> None:
    """Replaces the gradients of ``optimizer`` by their means over all processes.

    A gradient that is missing on some processes counts as zero there, so that they cannot fall out
    of step; one that is missing on all stays so, as it would on one. What is not finite on one
    process is not finite on any afterwards.

    Raises:
        ProcessLostError: If another process has died or does not answer.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    try:
        # All buckets are on their way before the first one is waited for.
        for bucket, flat, work in [_reduce(bucket) for bucket in buckets(parameters)]:
            work.wait()
            _spread(flat.div_(dist.get_world_size()), bucket)
    except RuntimeError as error:
        if (lost := lost_process(error)) is None:
            raise
        raise lost from error


def _reduce(bucket: list[Tensor]) -> tuple[list[Tensor], Tensor, Any]:
    """Begins to sum the gradients over all processes, and at the end which of them there are."""
    there = bucket[0].new_ones(len(bucket))
    for place, parameter in enumerate(bucket):
        if parameter.grad is None:
            there[place] = 0
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
    flat = torch.cat([*(gradient.flatten() for gradient in gradients), there])
    return bucket, flat, dist.all_reduce(flat, async_op=True)


def _spread(flat: Tensor, bucket: list[Tensor]) -> None:
    """Makes the numbers the gradients of the parameters, where any process has one."""
    *means, there = torch.split(flat, [*(p.numel() for p in bucket), len(bucket)])
    for place, (parameter, mean) in enumerate(zip(bucket, means, strict=True)):
        if parameter.grad is None and there[place] > 0:
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


def lost_process(error: BaseException) -> ProcessLostError | None:
    """What an exception of an exchange between processes means; None if it is another one."""
    if isinstance(error, ProcessLostError):
        return error
    says_so = _several() and type(error) is RuntimeError and LOST.search(str(error))
    if not says_so and not isinstance(error, getattr(dist, "DistError", ())):
        return None
    me = f"Process {dist.get_rank()}" if _several() else "This process"
    reason = re.sub(r"^\[.*?\]\s*", "", " ".join(str(error).split())).rstrip(".")[:200]
    return ProcessLostError(
        f"{me} lost another one ({reason}): that one has died or hangs, so see what it said last, "
        "and go on from the last checkpoint (--ckpt_path last)."
    )


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
