"""What the metrics of generated samples share: states that keep their precision, clean inputs."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_gan.distributed import processes
from lightning_gan.metrics.samples import SampleBatch

TOLERATED = 1e-3  # share of samples that are not finite, above which a value is no value


class ExactMetric(Metric):
    """A metric whose states stay float64 or int64 whatever the precision of the model around it.

    Only a change of device reaches them; a device without float64 leaves them on the CPU.
    """

    full_state_update = False
    higher_is_better: bool | None = None
    is_differentiable = False

    def set_dtype(self, dst_type: str | torch.dtype) -> ExactMetric:
        """Changes nothing: sums over thousands of samples need float64."""
        return self

    def _apply(
        self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = ""
    ) -> nn.Module:
        def move(value: Tensor) -> Tensor:
            if value.dtype not in (torch.float64, torch.int64):
                return fn(value)
            try:
                device = fn(value.new_empty(0)).device
            except TypeError:  # how MPS refuses float64
                return value.cpu()
            return value.to(device)

        module: nn.Module = super()._apply(move, exclude_state)
        return module

    def frozen(self, **things: Any) -> None:  # noqa: ANN401 (modules and statistics)
        """Holds objects out of sight of ``parameters()``, ``state_dict()`` and checkpoints."""
        for name, thing in things.items():
            object.__setattr__(self, name, thing)


class SampleMetric(ExactMetric):
    """A metric over generated samples, which it counts, clamps and rids of what is not finite.

    ``tally`` holds the samples seen, those not finite, and those that left [-1, 1].
    """

    tally: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("tally", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")
        self._warned: set[str] = set()

    @property
    def seen(self) -> int:
        """Samples given, those that are not finite included."""
        return int(self.tally[0])

    @property
    def nonfinite(self) -> int:
        """Samples left out because they held a NaN or an infinity."""
        return int(self.tally[1])

    @property
    def out_of_range(self) -> int:
        """Images that left [-1, 1] and were clamped."""
        return int(self.tally[2])

    def clean(self, samples: Tensor | SampleBatch) -> SampleBatch:
        """The samples with what is not finite left out and images clamped; fills the tally."""
        batch = SampleBatch.of(samples)
        if batch.outside:
            self.warn_once(
                "range",
                f"Generated images leave [-1, 1] (from {batch.low:.3g} to {batch.high:.3g}) and "
                "are clamped: end the generator with a tanh.",
            )
        counts = [len(batch), len(batch) - len(batch.kept), batch.outside]
        self.tally += torch.tensor(counts, device=self.tally.device)
        return batch

    def counted(self) -> dict[str, int]:
        """Samples seen, not finite, and out of range, over all processes; all have to ask."""
        counts = processes.total(self.tally).tolist()
        return dict(zip(("n", "nonfinite", "out_of_range"), counts, strict=True))

    def unusable(self, least: int = 1) -> bool:
        """Whether too few samples, or too many that are not finite, leave no value; warns once."""
        if self.nonfinite > TOLERATED * self.seen:
            self.warn_once(
                "nonfinite",
                f"{self.nonfinite} of {self.seen} generated samples are not finite, so "
                f"{type(self).__name__} is NaN: look for a diverging generator.",
            )
            return True
        if self.seen - self.nonfinite < least:
            self.warn_once(
                "few",
                f"{type(self).__name__} needs at least {least} generated samples and has "
                f"{self.seen - self.nonfinite}, so it is NaN: evaluate on more.",
            )
            return True
        return False

    def warn_once(self, key: str, message: str) -> None:
        """A warning the first time that this metric has a reason of that kind."""
        if key not in self._warned:
            self._warned.add(key)
            warnings.warn(message, UserWarning, stacklevel=3)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Runs with that many threads (0: as many as before); small LAPACK calls stall with more."""
    before = torch.get_num_threads()
    try:
        if count and count != before:
            torch.set_num_threads(count)
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
