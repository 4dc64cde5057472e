r"""The Frechet distance between Gaussians fitted to features of real and generated images.

.. math:: \lVert\mu_r-\mu_f\rVert^2 + \operatorname{tr}\Sigma_r + \operatorname{tr}\Sigma_f
    - 2\operatorname{tr}(\Sigma_r\Sigma_f)^{1/2}

(Heusel et al. 2017, Eq. 6), with :math:`\operatorname{tr}(\Sigma_r\Sigma_f)^{1/2} =
\lVert R_r^\top R_f\rVert_*` for any :math:`\Sigma = RR^\top`: real arithmetic, float64, no
square root of an unsymmetric matrix.
"""

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.base import SampleMetric, named
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.reference import CacheFile, Packed, Reference, feature_batches
from lightning_gan.metrics.samples import SampleBatch

SMALL = 512  # up to this many features, LAPACK is fastest and steadiest on one thread
LARGE = 1024  # beyond this many, singular values take too long
BAND = 256  # columns of a triangular matrix that are multiplied at once


@contextlib.contextmanager
def lapack_threads(size: int) -> Iterator[None]:
    """One thread for matrices of a small size, on which LAPACK stalls with more."""
    before = torch.get_num_threads()
    try:
        if size <= SMALL and before != 1:
            torch.set_num_threads(1)
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()


def covariance_factor(covariance: Tensor) -> Tensor:
    """A lower triangular matrix R with R R^T = covariance (D, D): singular ones are welcome."""
    covariance = covariance.detach().cpu().double()
    with lapack_threads(len(covariance)):
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
    with lapack_threads(len(cov)):
        values = torch.linalg.eigvalsh(cov.detach().cpu().double()).clamp(min=0)
    total = values[:, None] + values
    pairs = torch.where(total > 0, values[:, None] * values / total, torch.zeros_like(total))
    return float(1.25 * values.sum() + 0.5 * pairs.sum())


def frechet_distance(
    mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor, *, factor_a: Tensor | None = None
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
    # The trace of a square root is a sum of singular values: no unsymmetric matrix is decomposed.
    root = covariance_factor(cov_a) if factor_a is None else factor_a.cpu().double()
    with lapack_threads(size):
        if size > LARGE:  # thanks to the triangle it is as exact as the other where it matters
            values = torch.linalg.eigvalsh(_congruent(root, cov_b)).clamp(min=0).sqrt()
        else:
            values = torch.linalg.svdvals(root.T @ _root(cov_b))
    offset = (mean_a - mean_b).square().sum()
    distance: Tensor = offset + cov_a.trace() + cov_b.trace() - 2 * values.sum()
    return distance.clamp(min=0)


def _mean_and_covariance(total: Tensor, products: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) with 1/(N-1), of N vectors' sum and of their products'."""
    mean = total / count
    covariance = (products - count * torch.outer(mean, mean)) / (count - 1)
    return mean, (covariance + covariance.T) / 2


@dataclass(frozen=True, eq=False)
class ReferenceStatistics(Reference):
    """Mean and covariance of the reals' features, with what the Frechet distance needs of them.

    Args:
        mean: Mean (D,), float64.
        covariance: Covariance (D, D) with 1/(N-1), float64.
        count: Number N of images.
        name: Name of the extractor; empty where unknown.
    """

    mean: Tensor
    covariance: Tensor
    count: int
    name: str = ""
    known: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """Length D of the vectors."""
        return len(self.mean)

    @cached_property
    def factor(self) -> Tensor:
        """A matrix R (D, D) with R R^T = covariance."""
        found = self.known.get("factor")
        return covariance_factor(self.covariance) if found is None else found

    @cached_property
    def bias(self) -> float:
        """The coefficient c of the floor c (1/N_f + 1/N_r)."""
        found = self.known.get("bias")
        return bias_coefficient(self.covariance) if found is None else float(found)

    @classmethod
    @torch.no_grad()
    def from_samples(
        cls,
        images: Tensor,
        extractor: FeatureExtractor,
        batch_size: int = 500,
        device: str | torch.device = "cpu",
        features: Tensor | None = None,
    ) -> "ReferenceStatistics":
        """The statistics of all images, without augmentation, in their order.

        Args:
            images: uint8 (N, C, H, W), taken as x / 127.5 - 1; or float images in [-1, 1]; or
                points (N, D).
            extractor: Gives the features.
            batch_size: Images per pass; does not change the result.
            device: Where the features are extracted.
            features: Their features (N, D), where they are known already.

        Raises:
            ConfigurationError: If there are fewer than two images, or features are not finite.
        """
        if len(images) < 2:
            raise ConfigurationError(
                f"A reference needs at least 2 samples and has {len(images)}: give more of them."
            )
        # Squares of numbers far from 0 would lose the digits that their spread is made of.
        shift = total = outer = torch.zeros((), dtype=torch.float64)
        known = None if features is None else torch.split(features, batch_size)
        for batch in known or feature_batches(images, extractor, batch_size, device):
            rows = batch.double()
            shift = shift if shift.ndim else rows.mean(0)
            rows = rows - shift
            total = total + rows.sum(0)
            outer = outer + rows.T @ rows
        if not outer.isfinite().all():
            raise ConfigurationError(
                "The reals have features that are NaN or infinite: mend or remove such images."
            )
        offset, covariance = _mean_and_covariance(total, outer, len(images))
        return cls(shift + offset, covariance, len(images), extractor.name)

    @classmethod
    def load_or_build(
        cls,
        images: Tensor,
        extractor: FeatureExtractor,
        split: str = "train",
        data_name: str = "data",
        cache_dir: str | os.PathLike[str] | None = None,
        device: str | torch.device = "cpu",
        features: Tensor | None = None,
    ) -> "ReferenceStatistics":
        """The statistics that come with the package, from the cache, or computed and put there.

        The key holds the extractor's weights and every byte of the images, so that nothing stale
        is ever read; a damaged file is rebuilt with a warning, and a folder that cannot be
        written costs a warning too.

        Args:
            images: As in ``from_samples``.
            extractor: Gives the features.
            split: Name of the split, part of the key.
            data_name: Name of the data, for the name of the file.
            cache_dir: Folder; by default the environment variable LIGHTNING_GAN_CACHE, else
                ``~/.cache/lightning-gan``.
            device: Where the features are extracted.
            features: Their features (N, D), where they are known already.
        """
        file = CacheFile(images, extractor, split, data_name, cache_dir)
        if (bundled := file.read_bundled()) is not None:
            return cls.unpack(*bundled)
        return file.read_or_build(
            cls.unpack,
            lambda: cls.from_samples(images, extractor, device=device, features=features),
        )

    def pack(self) -> Packed:
        """All of it, with what takes long to compute."""
        tensors = {
            "mean": self.mean,
            "covariance": self.covariance,
            "factor": self.factor,
            "bias": torch.tensor(self.bias, dtype=torch.float64),
        }
        return tensors, {"name": self.name, "count": str(self.count)}

    @classmethod
    def unpack(cls, tensors: dict[str, Tensor], words: dict[str, str]) -> "ReferenceStatistics":
        """What :meth:`pack` has packed."""
        mean, covariance = tensors.pop("mean"), tensors.pop("covariance")
        return cls(mean, covariance, int(words["count"]), words["name"], tensors)


class FrechetResult(NamedTuple):
    """The Frechet distance of samples to the reals.

    Args:
        extractor: Name of the extractor; distances of others do not compare.
        value: The distance.
        floor: What a perfect generator would score with as many independent samples. One that
            keeps the shares of the classes exactly scores less, and copies nothing.
    """

    extractor: str
    value: float = math.nan
    floor: float = math.nan

    @property
    def debiased(self) -> float:
        """The distance less its floor: means something within a few floors."""
        return self.value - self.floor

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs, as in ``fid/mnist_cnn``."""
        names = ("fid/{}", "fid/{}_floor", "fid/{}_debiased")
        return named((*self, self.debiased), *names)


class FrechetDistance(SampleMetric):
    """The Frechet distance of generated images to the reals, with what chance alone would give.

    ``compute`` gives a :class:`FrechetResult`, logged as ``fid/<e>``, ``fid/<e>_floor`` (what a
    perfect generator would score with as many independent samples) and ``fid/<e>_debiased`` (their
    difference).
    Values of different extractors or of different numbers of samples do not compare.

    Images that are not finite are left out, and the value is NaN where they are more than one in
    a thousand; images beyond [-1, 1] are clamped and counted.

    Sums of the features less the reals' mean, and of their products, are kept in float64, so that
    they are equal to a relative 1e-12 on any number of processes; so is the distance of more images
    than features, while roots of eigenvalues that should be 0 leave 1e-8 to that of fewer. Memory:
    8 D (D + 1) bytes, 34 MB for 2048 features, however many images, and as much for the zeros that
    a reset goes back to.

    Args:
        extractor: The features; in ``fid/<e>``, e is its name.
        reference: Statistics of the reals from the same extractor.

    Raises:
        ConfigurationError: If the reference is from another extractor.

    Example:
        >>> from lightning_gan.metrics import FrechetDistance, ReferenceStatistics, get_extractor
        >>> points = get_extractor("identity")
        >>> reals = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> metric = FrechetDistance(points, ReferenceStatistics.from_samples(reals, points))
        >>> metric.update(reals + 3)  # spread alike, and 3 off in both directions
        >>> round(metric.compute().value, 6)
        18.0
    """

    higher_is_better = False
    total: Tensor
    products: Tensor
    extractor: FeatureExtractor
    reference: ReferenceStatistics

    def __init__(self, extractor: FeatureExtractor, reference: ReferenceStatistics) -> None:
        super().__init__()
        reference.check_extractor(extractor)
        self.set_unregistered(extractor=extractor.freeze())
        self.reference = reference
        # of the features less the reals' mean
        total = torch.zeros(reference.size, dtype=torch.float64)
        self.add_state("total", total, dist_reduce_fx="sum")
        self.add_state("products", torch.outer(total, total), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, images: Tensor | SampleBatch) -> None:
        """Adds generated images (N, C, H, W) in [-1, 1], or points (N, D); N may be 0."""
        batch = self.clean(images)
        if not len(batch.kept):
            return
        features = self.reference.check_features(batch.features(self.extractor), batch)
        rows = features.to(self.total.device).double()
        rows = rows[rows.isfinite().all(1)] - self.reference.mean.to(rows.device)
        self.tally[1] += len(features) - len(rows)  # an extractor that overflows
        self.total += rows.sum(0)
        self.products += rows.T @ rows

    def compute(self) -> FrechetResult:
        """The distance; NaN with fewer than 2 images."""
        if self.unusable(min_samples=2):
            return FrechetResult(self.extractor.name)
        count, known = self.seen - self.nonfinite, self.reference
        offset, covariance = _mean_and_covariance(self.total.cpu(), self.products.cpu(), count)
        distance = frechet_distance(
            known.mean, known.covariance, known.mean + offset, covariance, factor_a=known.factor
        )
        floor = known.bias * (1 / count + 1 / known.count)
        return FrechetResult(self.extractor.name, float(distance), floor)
