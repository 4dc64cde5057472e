"""What all metrics share: states that keep their precision, samples counted and cleaned."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_gan.distributed import processes
from lightning_gan.metrics.samples import SampleBatch

MAX_NONFINITE = 1e-3  # share of samples that are not finite, above which a value is no value


class Result(Protocol):
    """What a metric has measured. Code reads the attributes; only logs and files need names."""

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs."""


def named(result: tuple[Any, ...], *names: str) -> dict[str, float]:
    """The values of a result by their names in the logs; without those that were not measured.

    Args:
        result: Name of the extractor, then the values.
        names: As in ``fid/{}``, in the order of the values.
    """
    pairs = zip(names, result[1:], strict=False)  # other fields may follow the values
    return {name.format(result[0]): float(x) for name, x in pairs if x is not None}


class ExactMetric(Metric):
    """A metric whose states keep their types whatever the precision of the model around it.

    Only a change of device reaches them; a device without float64 leaves them on the CPU.
    """

    full_state_update = False
    higher_is_better: bool | None = None
    is_differentiable = False

    def set_dtype(self, dst_type: str | torch.dtype) -> "ExactMetric":
        """Changes nothing: sums over thousands of samples need float64."""
        return self

    def _apply(
        self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = ""
    ) -> nn.Module:
        def move(value: Tensor) -> Tensor:
            try:
                device = fn(value.new_empty(0)).device
            except TypeError:  # how MPS refuses float64
                return value.cpu()
            return value.to(device)

        return super()._apply(move, exclude_state)

    def set_unregistered(self, **modules: nn.Module) -> None:
        """Sets modules as attributes that parameters() and checkpoints do not see."""
        # As parts of the metric they would be saved with every model that holds it, and rounded
        # with it to half precision.
        for name, module in modules.items():
            object.__setattr__(self, name, module)


class SampleMetric(ExactMetric):
    """A metric of generated samples, which it counts, clamps and rids of what is not finite.

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

    def sample_counts(self) -> tuple[int, int, int]:
        """Samples seen, not finite, and out of range, over all processes; all have to ask."""
        seen, nonfinite, out_of_range = processes.total(self.tally).tolist()
        return seen, nonfinite, out_of_range

    def unusable(self, min_samples: int = 1) -> bool:
        """Whether too few samples, or too many that are not finite, leave no value; warns once."""
        if self.nonfinite > MAX_NONFINITE * self.seen:
            self.warn_once(
                "nonfinite",
                f"{self.nonfinite} of {self.seen} generated samples are not finite, so "
                f"{type(self).__name__} is NaN: look for a diverging generator.",
            )
            return True
        if self.seen - self.nonfinite < min_samples:
            self.warn_once(
                "few",
                f"{type(self).__name__} needs at least {min_samples} generated samples and has "
                f"{self.seen - self.nonfinite}, so it is NaN: evaluate on more.",
            )
            return True
        return False

    def warn_once(self, key: str, message: str) -> None:
        """A warning the first time that this metric has a reason of that kind."""
        if key not in self._warned:
            self._warned.add(key)
            warnings.warn(message, UserWarning, stacklevel=3)
