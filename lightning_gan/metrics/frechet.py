r"""The Frechet distance between Gaussians fitted to features of real and generated images.

.. math:: \lVert\mu_r-\mu_f\rVert^2 + \operatorname{tr}\Sigma_r + \operatorname{tr}\Sigma_f
    - 2\operatorname{tr}(\Sigma_r\Sigma_f)^{1/2}

(Heusel et al. 2017, Eq. 6), with :math:`\operatorname{tr}(\Sigma_r\Sigma_f)^{1/2} =
\lVert R_r^\top R_f\rVert_*` for any :math:`\Sigma = RR^\top`: real arithmetic, float64, no
square root of an unsymmetric matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchmetrics.utilities.distributed import gather_all_tensors

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import moments
from lightning_gan.metrics.exact import SampleMetric, threads
from lightning_gan.metrics.samples import SampleBatch

if TYPE_CHECKING:
    from lightning_gan.metrics.extractors.base import FeatureExtractor
    from lightning_gan.metrics.reference import ReferenceStatistics

SMALL = 512  # up to this many features, LAPACK is fastest and steadiest on one thread
LARGE = 1024  # beyond this many, singular values take too long
BAND = 256  # columns of a triangular matrix that are multiplied at once


def _threads_for(size: int) -> int:
    return 1 if size <= SMALL else 0


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0).sqrt()
    return root


def covariance_factor(covariance: Tensor) -> Tensor:
    """A lower triangular matrix R with R R^T = covariance (D, D): singular ones are welcome."""
    covariance = covariance.detach().cpu().double()
    with threads(_threads_for(len(covariance))):
        upper: Tensor = torch.linalg.qr(_root(covariance).T, mode="r").R
    return upper.T.contiguous()


def _congruent(factor: Tensor, covariance: Tensor) -> Tensor:
    """R^T C R (D, D), of which above the diagonal nothing is needed, nor made if R is triangular.

    The eigenvalues of it are those of the graded matrix that a triangle makes, the small ones with
    more digits than by any other R; and it takes 5/3 instead of 4 D^3 operations.
    """
    if bool(factor.triu(1).any()):
        return factor.T @ covariance @ factor
    half, found = torch.empty_like(factor), torch.zeros_like(factor)
    for start in range(0, len(factor), BAND):
        band = slice(start, start + BAND)
        half[:, band] = covariance[:, start:] @ factor[start:, band]
    for start in range(0, len(factor), BAND):
        band = slice(start, start + BAND)
        found[band, : band.stop] = factor[start:, band].T @ half[start:, : band.stop]
    return found


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
        factor_a: A matrix with R R^T = cov_a where it is known already, best triangular, as
            :func:`covariance_factor` gives it.

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
        if size > LARGE:  # thanks to the triangle it is as exact as the other where it matters
            values = torch.linalg.eigvalsh(_congruent(root, cov_b)).clamp(min=0).sqrt()
        else:
            values = torch.linalg.svdvals(root.T @ _root(cov_b))
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

    Features are rounded to 2^-27 of their largest standard deviation in the reals or less, and
    nothing is after that, so that k processes compute the bits of one, in any order; see
    ``metrics.moments``. Memory: 8 D (D + 2) bytes, 34 MB for 2048 features, however many images.
    Only features that lie 16 such deviations off the mean, or more, are held one by one.

    Args:
        extractor: The features; in ``fid/<e>``, e is its name.
        reference: Statistics of the reals from the same extractor.

    Raises:
        ConfigurationError: If the reference is from another extractor.
    """

    higher_is_better = False
    sums: Tensor
    far: Any  # a list of vectors (n, D), or all of them once they are gathered
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
        # of the features less the reals' mean
        self.add_state("sums", moments.no_sums(), dist_reduce_fx="sum")
        self.add_state("far", [], dist_reduce_fx="cat")
        self.size, self.unit = len(reference.mean), moments.unit_for(reference.covariance)

    @torch.no_grad()
    def update(self, images: Tensor | SampleBatch) -> None:
        """Adds generated images (N, C, H, W) in [-1, 1], or points (N, D); N may be 0."""
        batch = self.clean(images)
        if not len(batch.kept):
            return
        features = batch.features(self.extractor).to(self.sums.device)
        if features.shape[1] != self.size:
            raise ConfigurationError(
                f"The extractor {self.extractor.name!r} gives {features.shape[1]} features for "
                f"images of {tuple(batch.kept.shape[1:])} and the reference has {self.size}: "
                "generate images of the size and channels of the reals."
            )
        finite = features.isfinite().all(1)
        self.tally[1] += len(features) - int(finite.sum())  # an extractor that overflows
        features = features if bool(finite.all()) else features[finite]
        self.sums = moments.sized(self.sums, self.size)
        centre = self.reference.mean.to(features.device)
        far = moments.add(self.sums, features, centre, self.unit)
        if len(far):
            self.far.append(far)

    def compute(self) -> dict[str, Tensor]:
        """``fid/<e>``, ``fid/<e>_floor`` and ``fid/<e>_debiased``; NaN with fewer than 2 images.

        Raises:
            ConfigurationError: If there are more than 1,048,576 images, whose sums may overflow.
        """
        key = f"fid/{self.extractor.name}"
        count = self.seen - self.nonfinite
        if count > moments.MOST:
            raise ConfigurationError(
                f"{count} generated samples are more than the {moments.MOST} whose sums are sure "
                "to fit: evaluate on fewer."
            )
        if self.unusable(least=2):
            value = floor = torch.tensor(float("nan"), dtype=torch.float64)
        else:
            value = self._distance(count)
            each_way = 1 / count + 1 / self.reference.count
            floor = torch.tensor(self.reference.bias * each_way, dtype=torch.float64)
        values = {key: value, f"{key}_floor": floor, f"{key}_debiased": value - floor}
        return {name: x.to(self.sums.device) for name, x in values.items()}

    def _distance(self, count: int) -> Tensor:
        total, products = moments.read(self.sums.cpu(), self.unit)
        if len(self.far):
            far = self.far if isinstance(self.far, Tensor) else torch.cat(self.far)
            far_total, far_products = moments.of_any_order(far.cpu())
            total, products = total + far_total, products + far_products
        offset = total / count
        covariance = (products - count * torch.outer(offset, offset)) / (count - 1)
        return frechet_distance(
            self.reference.mean,
            self.reference.covariance,
            self.reference.mean + offset,
            (covariance + covariance.T) / 2,
            factor_a=self.reference.factor,
        )

    def _apply(
        self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = ""
    ) -> nn.Module:
        def move(value: Tensor) -> Tensor:  # the integers come from float64 and stay beside it
            if value.dtype != torch.int64:
                return fn(value)
            return value.to(fn(value.new_empty(0, dtype=torch.float64)).device)

        return super()._apply(move, exclude_state)

    def _sync_dist(
        self,
        dist_sync_fn: Callable[..., list[Tensor]] = gather_all_tensors,
        process_group: Any | None = None,  # noqa: ANN401 (torch's groups have no common type)
    ) -> None:
        """Gathers, after a process without samples got sums and rows like those of the others."""
        self.sums = moments.sized(self.sums, self.size)
        self.far = self.far or [self.sums.new_zeros(0, self.size, dtype=torch.float64)]
        super()._sync_dist(dist_sync_fn, process_group)
