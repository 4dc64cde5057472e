"""Data parallelism for two players: gradients are averaged once, right before the step."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any
from weakref import WeakKeyDictionary

import torch.distributed as dist
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, Strategy, StrategyRegistry
from torch import nn
from torch.optim import Optimizer

from lightning_gan.distributed.processes import any_true, is_distributed, share_buffers
from lightning_gan.distributed.reduction import Reducer
from lightning_gan.errors import ConfigurationError, ProcessLostError, WeightsError, said

PATIENCE = 20.0
"""Seconds that a process has to end by itself after another one has died."""

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""Ends a process that hangs; Windows has SIGTERM alone."""

SHARDED = ("FSDP", "DeepSpeed", "ModelParallel")
"""Beginnings of the names of strategies that cut networks into pieces."""

LOST = re.compile(r"gloo|nccl|connection (closed|reset)|timed out|timeout|broken pipe", re.I)
"""What a RuntimeError says whose cause is another process."""


class GANStrategy(DDPStrategy):
    """Processes that share weights and average the gradient of the player that steps.

    `DistributedDataParallel` expects every parameter to take part in every backward pass, which in
    a GAN never happens. Here the parameters are broadcast once, and the gradients of the stepping
    optimizer are averaged during the last of its backward passes. So the frozen player costs
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
        if not timeout_minutes > 0:  # nor NaN
            raise ConfigurationError(
                f"GANStrategy: timeout_minutes={timeout_minutes} must be positive."
            )
        super().__init__(timeout=timedelta(minutes=timeout_minutes), **kwargs)
        # By the optimizer itself and not its id, which another one may have after it.
        self._reducers: WeakKeyDictionary[Optimizer, Reducer] = WeakKeyDictionary()

    def setup_environment(self) -> None:
        """Joins the group of processes, and watches those that this one has started."""
        super().setup_environment()
        launcher: Any = self.launcher
        if started := getattr(launcher, "procs", None):
            # Every five seconds Lightning looks through this list for one that has died, and then
            # kills all before they could say why; it stops looking once the list is empty.
            launcher.procs = list(started)
            started.clear()
            threading.Thread(target=_end_together, args=[launcher.procs], daemon=True).start()

    def configure_ddp(self) -> None:
        """Broadcasts the weights of rank zero; no wrapper."""
        assert self.model is not None
        for parameter in self.model.parameters():
            dist.broadcast(parameter.detach(), src=0)
        share_buffers(self.model)

    def last_backward_comes(self, optimizer: Optimizer) -> None:
        """Says that the next backward pass is the last one before the optimizer steps.

        Gradients are then averaged while the pass still computes others. It need not be called.
        """
        self._reducer(optimizer).arm()

    def optimizer_step(
        self,
        optimizer: Optimizer,
        closure: Callable[[], Any],
        model: nn.Module | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> object:
        """Averages the gradients over all processes, then steps.

        Raises:
            ProcessLostError: If another process has died or does not answer.
        """

        def averaged() -> object:
            result = closure()
            try:
                self._reducer(optimizer).finish()
            except RuntimeError as error:
                if (lost := lost_process(error)) is None:
                    raise
                raise lost from error
            return result

        return super().optimizer_step(optimizer, averaged, model, **kwargs)

    def _reducer(self, optimizer: Optimizer) -> Reducer:
        if optimizer not in self._reducers:
            self._reducers[optimizer] = Reducer(optimizer, self._timeout)
        return self._reducers[optimizer]

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: object = None
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
        if any_true([failure is not None], self.root_device)[0]:
            raise failure or WeightsError("Process 0 could not write the checkpoint; it says why.")

    def on_exception(self, exception: BaseException) -> None:
        """Ends the processes started here if one is lost, since a hanging one would stay."""
        if lost_process(exception) is not None and self.launcher is not None:
            self.launcher.kill(KILL)


def _end_together(started: list[Popen[bytes]]) -> None:
    """Kills this process and those it started, some time after one of them has died."""
    while not any(codes := [process.poll() for process in started]):
        if None not in codes:  # all have ended well
            return
        time.sleep(1)
    time.sleep(PATIENCE)
    for process in started:
        process.send_signal(KILL)
    os.kill(os.getpid(), KILL)


def refuse_strategy(
    kind: type[Strategy], arguments: Mapping[str, Any], name: str, instead: str
) -> None:
    """Refuses strategies under which two players that move in turns would fail or be torn apart.

    Args:
        kind: The strategy.
        arguments: What it is built with.
        name: How the user has asked for it.
        instead: How to ask for another one.

    Raises:
        ConfigurationError: With the reason.
    """
    plain = issubclass(kind, DDPStrategy) and not issubclass(kind, GANStrategy)
    if kind.__name__.startswith(SHARDED):
        raise ConfigurationError(
            f"{name} cuts networks into pieces, which go astray when one player is frozen while "
            f"the other moves, and a GAN fits one device: {instead}"
        )
    if plain and not arguments.get("find_unused_parameters"):
        raise ConfigurationError(
            f"{name} waits for gradients of the player that is frozen and fails: {instead}"
        )


def check_strategy(trainer: Trainer) -> None:
    """Refuses a Trainer whose strategy cannot train two players.

    Raises:
        ConfigurationError: With the strategy to take instead.
    """
    kind, arguments = type(trainer.strategy), getattr(trainer.strategy, "_ddp_kwargs", {})
    refuse_strategy(kind, arguments, kind.__name__, 'take Trainer(strategy="gan_ddp").')


def lost_process(error: BaseException) -> ProcessLostError | None:
    """What an exception of an exchange between processes means; None if it is another one."""
    if isinstance(error, ProcessLostError):
        return error
    says_so = is_distributed() and type(error) is RuntimeError and LOST.search(str(error))
    if not says_so and not isinstance(error, getattr(dist, "DistError", ())):
        return None
    me = f"Process {dist.get_rank()}" if is_distributed() else "This process"
    reason = re.sub(r"^\[.*?\]\s*", "", said(error))[:200]
    return ProcessLostError(
        f"{me} lost another one ({reason}): that one has died or hangs, so see what it said last, "
        "and go on from the last checkpoint (--ckpt_path last)."
    )


if "gan_ddp" not in StrategyRegistry:
    StrategyRegistry.register(
        "gan_ddp", GANStrategy, description="Data parallelism for players that step in turns"
    )
