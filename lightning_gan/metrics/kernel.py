r"""The kernel distance (KID): the squared maximum mean discrepancy of features.

.. math:: \frac{1}{N(N-1)}\sum_{i\neq j} k(x_i,x_j) + \frac{1}{M(M-1)}\sum_{i\neq j} k(y_i,y_j)
    - \frac{2}{NM}\sum_{ij} k(x_i,y_j), \qquad k(a,b) = \Big(\frac{a^\top b}{D}+1\Big)^3

(Binkowski et al. 2018, Secs. 2.1 and 4): unbiased, hence below 0 now and then. Here it is taken
over the full samples; the usual mean over subsets of 1000 estimates the same number with more
noise.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.base import named
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.features import FeatureBank, ReferenceFeatures
from lightning_gan.metrics.gathered import FeatureMetric

BLOCK = 1024  # kernel values are held in blocks of this side


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """Values of the cubic polynomial kernel (N, M), of float64 vectors (N, D) and (M, D)."""
    values = (a @ b.T).div_(a.shape[1]).add_(1)
    return values.square().mul_(values)


def _within(features: Tensor) -> Tensor:
    """Mean of the kernel over all pairs of different vectors."""
    total = features.new_zeros((), dtype=torch.float64)
    blocks = torch.split(features, BLOCK)
    for number, block in enumerate(blocks):
        rows = block.double()
        values = _kernel(rows, rows)
        total += values.sum() - values.trace()
        for other in blocks[number + 1 :]:  # the kernel is symmetric
            total += 2 * _kernel(rows, other.double()).sum()
    return total / (len(features) * (len(features) - 1))


def _across(a: Tensor, b: Tensor) -> Tensor:
    """Mean of the kernel over all pairs of a vector of each set."""
    total = a.new_zeros((), dtype=torch.float64)
    for block in torch.split(a, BLOCK):
        rows = block.double()
        for other in torch.split(b, BLOCK):
            total += _kernel(rows, other.double()).sum()
    return total / (len(a) * len(b))


def kernel_distance(real: Tensor, fake: Tensor) -> Tensor:
    """The unbiased kernel distance of two sets of features, a float64 scalar.

    Args:
        real: Features (N, D), N at least 2.
        fake: Features (M, D), M at least 2.

    Raises:
        ConfigurationError: If there are too few vectors or their lengths disagree.
    """
    if real.ndim != 2 or real.shape[1:] != fake.shape[1:] or min(len(real), len(fake)) < 2:
        raise ConfigurationError(
            f"Features of {tuple(real.shape)} and {tuple(fake.shape)} have no kernel distance: "
            "give two vectors or more on each side, from the same extractor."
        )
    return _within(real) + _within(fake) - 2 * _across(real, fake)


class KernelResult(NamedTuple):
    """The kernel distance of samples to the reals.

    Args:
        extractor: Name of the extractor.
        value: The distance over the full samples.
        subsets_mean: Its mean over random subsets, where they were wanted.
        subsets_std: Its standard deviation over these.
    """

    extractor: str
    value: float = math.nan
    subsets_mean: float | None = None
    subsets_std: float | None = None

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs, as in ``kid/mnist_cnn``."""
        return named(self, "kid/{}", "kid_subsets/{}", "kid_subsets/{}_std")


class KernelDistance(FeatureMetric[KernelResult]):
    """The unbiased kernel distance of generated images to the reals, over the full sample.

    ``compute`` gives a :class:`KernelResult`, logged as ``kid/<e>``, whose expectation is 0 where
    nothing is wrong, whatever the number of samples; and with ``subsets``, for comparison with
    papers, as ``kid_subsets/<e>`` and ``kid_subsets/<e>_std``: mean and standard deviation over
    random subsets, drawn without replacement within each, the same in every run.

    Args:
        extractor: The features; in ``kid/<e>``, e is its name.
        reference: Features of the reals from the same extractor.
        num_reals: Training images that are compared with, at most; by default as many as there
            are samples. More of them make the value steadier.
        subsets: Number of subsets; 0 for none, 100 in the paper.
        subset_size: Samples per subset, of the fakes as of the reals.

    Raises:
        ConfigurationError: If the reference is from another extractor or a number is too small.

    Example:
        >>> from lightning_gan.metrics import KernelDistance, ReferenceFeatures, get_extractor
        >>> metric = KernelDistance(get_extractor("identity"), ReferenceFeatures(torch.eye(2)))
        >>> metric.update(torch.eye(2))
        >>> round(metric.compute().value, 6)  # unbiased, so below 0 now and then
        -2.375
    """

    higher_is_better = False
    reference: ReferenceFeatures

    def __init__(
        self,
        extractor: FeatureExtractor,
        reference: ReferenceFeatures,
        num_reals: int | None = None,
        subsets: int = 0,
        subset_size: int = 1000,
    ) -> None:
        super().__init__(extractor, reference)
        if (num_reals is not None and num_reals < 2) or subsets < 0 or subset_size < 2:
            raise ConfigurationError(
                f"KernelDistance: num_reals={num_reals}, subsets={subsets} and "
                f"subset_size={subset_size} must be at least 2, 0 and 2."
            )
        self.num_reals, self.subsets, self.subset_size = num_reals, subsets, subset_size

    def nothing(self) -> KernelResult:
        """NaN in every value."""
        nan = math.nan if self.subsets else None
        return KernelResult(self.extractor.name, subsets_mean=nan, subsets_std=nan)

    def measure(self, bank: FeatureBank) -> KernelResult:
        """The distance of a bank of generated samples."""
        real = self.reference.sample(self.num_reals or len(bank), bank.features.device)
        within = real.once("kernel", lambda: _within(real.features)) + _within(bank.features)
        full = within - 2 * _across(real.features, bank.features)
        subsets = self._over_subsets(real.features, bank.features) if self.subsets else ()
        return KernelResult(self.extractor.name, float(full), *subsets)

    def _over_subsets(self, real: Tensor, fake: Tensor) -> tuple[float, float]:
        size = self.subset_size
        if min(len(real), len(fake)) < size:
            self.warn_once(
                "subsets",
                f"Subsets of {size} cannot be drawn from {len(real)} reals and {len(fake)} "
                "generated samples: lower subset_size.",
            )
            return math.nan, math.nan
        generator = torch.Generator().manual_seed(0)
        found = []
        for _ in range(self.subsets):
            chosen = [torch.randperm(len(x), generator=generator)[:size] for x in (real, fake)]
            found.append(kernel_distance(real[chosen[0]], fake[chosen[1]]))
        values = torch.stack(found)
        return float(values.mean()), float(values.std(unbiased=False))
