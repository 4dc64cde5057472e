r"""The Frechet distance between Gaussians fitted to features of real and generated images.

.. math:: \lVert\mu_r-\mu_f\rVert^2 + \operatorname{tr}\Sigma_r + \operatorname{tr}\Sigma_f
    - 2\operatorname{tr}(\Sigma_r\Sigma_f)^{1/2}

(Heusel et al. 2017, Eq. 6), with :math:`\operatorname{tr}(\Sigma_r\Sigma_f)^{1/2} =
\lVert R_r^\top R_f\rVert_*` for any :math:`\Sigma = RR^\top`: real arithmetic, float64, no
square root of an unsymmetric matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.exact import SampleMetric, threads

if TYPE_CHECKING:
    from lightning_gan.metrics.extractors import FeatureExtractor
    from lightning_gan.metrics.reference import ReferenceStatistics

SMALL = 512  # up to this many features, LAPACK is fastest and steadiest on one thread
LARGE = 1024  # beyond this many, singular values take too long


def _threads_for(size: int) -> int:
    return 1 if size <= SMALL else 0


def covariance_factor(covariance: Tensor) -> Tensor:
    """A matrix R with R R^T = covariance (D, D), by eigenvectors: singular ones are welcome."""
    covariance = covariance.detach().cpu().double()
    with threads(_threads_for(len(covariance))):
        values, vectors = torch.linalg.eigh(covariance)
    factor: Tensor = vectors * values.clamp(min=0).sqrt()
    return factor


def bias_coefficient(cov: Tensor) -> float:
    r"""How fast the distance falls with the number of samples where nothing is wrong.

    A perfect generator scores :math:`c(1/N_f + 1/N_r)` to first order, with the eigenvalues
    :math:`\lambda` of the covariance and

    .. math:: c = \tfrac54\sum_i\lambda_i + \tfrac12\sum_{ij}
        \frac{\lambda_i\lambda_j}{\lambda_i+\lambda_j}

    (that such a bias exists and depends on the model: Chong and Forsyth 2020).

    Args:
        cov: Covariance (D, D) of the reals' features.
    """
    with threads(_threads_for(len(cov))):
        values = torch.linalg.eigvalsh(cov.detach().cpu().double()).clamp(min=0)
    total = values[:, None] + values
    pairs = torch.where(total > 0, values[:, None] * values / total, torch.zeros_like(total))
    return float(1.25 * values.sum() + 0.5 * pairs.sum())


def frechet_distance(
    mean_a: Tensor,
    cov_a: Tensor,
    mean_b: Tensor,
    cov_b: Tensor,
    *,
    factor_a: Tensor | None = None,
) -> Tensor:
    """The squared Frechet distance of two Gaussians, a float64 scalar on the CPU, at least 0.

    Args:
        mean_a: Mean (D,).
        cov_a: Covariance (D, D), with 1/(N-1).
        mean_b: Mean (D,).
        cov_b: Covariance (D, D).
        factor_a: A matrix with R R^T = cov_a where it is known already.

    Raises:
        ConfigurationError: If the sizes disagree.
    """
    mean_a, cov_a, mean_b, cov_b = (
        x.detach().cpu().double() for x in (mean_a, cov_a, mean_b, cov_b)
    )
    size = len(mean_a)
    if {mean_a.shape, mean_b.shape} != {(size,)} or {cov_a.shape, cov_b.shape} != {(size, size)}:
        raise ConfigurationError(
            f"Means of {tuple(mean_a.shape)} and {tuple(mean_b.shape)} with covariances of "
            f"{tuple(cov_a.shape)} and {tuple(cov_b.shape)} do not compare: take both from the "
            "same extractor on images of one size."
        )
    if not all(bool(x.isfinite().all()) for x in (mean_a, cov_a, mean_b, cov_b)):
        return torch.tensor(float("nan"), dtype=torch.float64)
    root = covariance_factor(cov_a) if factor_a is None else factor_a.cpu().double()
    with threads(_threads_for(size)):
        if size > LARGE:
            values = torch.linalg.eigvalsh(root.T @ cov_b @ root).clamp(min=0).sqrt()
        else:
            values = torch.linalg.svdvals(root.T @ covariance_factor(cov_b))
    offset = (mean_a - mean_b).square().sum()
    distance: Tensor = offset + cov_a.trace() + cov_b.trace() - 2 * values.sum()
    return distance.clamp(min=0)


class FrechetDistance(SampleMetric):
    """The Frechet distance of generated images to the reals, with what chance alone would give.

    ``compute`` gives three float64 scalars: ``fid/<e>``; ``fid/<e>_floor``, what a perfect
    generator would score with as many samples; and ``fid/<e>_debiased``, their difference, which
    means something only where the distance is within a few floors. Values of different extractors
    or of different numbers of samples do not compare.

    Images that are not finite are left out, and the value is NaN where they are more than one in
    a thousand; images beyond [-1, 1] are clamped and counted.

    Args:
        extractor: The features; in ``fid/<e>``, e is its name.
        reference: Statistics of the reals from the same extractor.

    Raises:
        ConfigurationError: If the reference is from another extractor.
    """

    higher_is_better = False
    sums: Tensor
    extractor: FeatureExtractor
    reference: ReferenceStatistics

    def __init__(self, extractor: FeatureExtractor, reference: ReferenceStatistics) -> None:
        super().__init__()
        if reference.name and reference.name != extractor.name:
            raise ConfigurationError(
                f"The reference is of {reference.name!r} and the extractor is {extractor.name!r}: "
                "build the reference with ReferenceStatistics.from_samples(images, extractor)."
            )
        self.frozen(extractor=extractor.freeze(), reference=reference)
        size = len(reference.mean)
        # the first column sums the features, less the reals' mean; the others, their products
        self.add_state(
            "sums", torch.zeros(size, 1 + size, dtype=torch.float64), dist_reduce_fx="sum"
        )

    @torch.no_grad()
    def update(self, images: Tensor) -> None:
        """Adds generated images (N, C, H, W) in [-1, 1], or points (N, D); N may be 0."""
        images = self.clean(images)
        if not len(images):
            return
        features = self.extractor(images).to(self.sums.device).double()
        if features.shape[1] != len(self.sums):
            raise ConfigurationError(
                f"The extractor {self.extractor.name!r} gives {features.shape[1]} features for "
                f"images of {tuple(images.shape[1:])} and the reference has {len(self.sums)}: "
                "generate images of the size and channels of the reals."
            )
        features = features - self.reference.mean.to(features.device)
        self.sums[:, 0] += features.sum(0)
        self.sums[:, 1:] += features.T @ features

    def compute(self) -> dict[str, Tensor]:
        """``fid/<e>``, ``fid/<e>_floor`` and ``fid/<e>_debiased``; NaN with fewer than 2 images."""
        key = f"fid/{self.extractor.name}"
        count = self.seen - self.nonfinite
        if self.unusable(least=2):
            value = floor = torch.tensor(float("nan"), dtype=torch.float64)
        else:
            value = self._distance(count)
            each_way = 1 / count + 1 / self.reference.count
            floor = torch.tensor(self.reference.bias * each_way, dtype=torch.float64)
        values = {key: value, f"{key}_floor": floor, f"{key}_debiased": value - floor}
        return {name: x.to(self.sums.device) for name, x in values.items()}

    def _distance(self, count: int) -> Tensor:
        sums = self.sums.cpu()
        offset = sums[:, 0] / count
        covariance = (sums[:, 1:] - count * torch.outer(offset, offset)) / (count - 1)
        return frechet_distance(
            self.reference.mean,
            self.reference.covariance,
            self.reference.mean + offset,
            (covariance + covariance.T) / 2,
            factor_a=self.reference.factor,
        )
