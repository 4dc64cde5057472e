r"""The Vendi score: how many different samples there effectively are.

.. math:: \exp\Big(-\sum_i \lambda_i \log\lambda_i\Big)

with :math:`\lambda` the eigenvalues of :math:`K/n`, K the cosine similarities of n samples
(Friedman and Dieng 2023, Def. 3.1): n for orthogonal samples, 1 for equal ones.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.base import named
from lightning_gan.metrics.features import FeatureBank
from lightning_gan.metrics.frechet import lapack_threads
from lightning_gan.metrics.gathered import FeatureMetric

ROWS = 2048  # vectors that are held in float64 at once


def _directions(features: Tensor) -> Tensor:
    """Unit vectors (N, D + 1); vectors of length 0 share a direction of their own."""
    rows = features.double()
    largest = rows.abs().amax(1, keepdim=True)  # so that no square overflows or vanishes
    rows = rows / torch.where(largest > 0, largest, 1)
    length = rows.square().sum(1, keepdim=True).sqrt()
    return torch.cat([rows / torch.where(length > 0, length, 1), (length == 0).double()], 1)


def _gram(features: Tensor) -> Tensor:
    """The smaller of the matrices that share the non-zero spectrum of K / n."""
    if len(features) <= features.shape[1]:
        rows = _directions(features)
        return rows @ rows.T / len(features)
    width = features.shape[1] + 1
    total = torch.zeros(width, width, dtype=torch.float64, device=features.device)
    for block in torch.split(features, ROWS):
        rows = _directions(block)
        total += rows.T @ rows
    return total / len(features)


def vendi_score(features: Tensor) -> Tensor:
    """The effective number of different vectors, a float64 scalar between 1 and N.

    Args:
        features: Vectors (N, D), N at least 1.

    Raises:
        ConfigurationError: If there is none.
    """
    if features.ndim != 2 or not len(features):
        raise ConfigurationError(
            f"Features of shape {tuple(features.shape)} have no Vendi score: give one "
            "vector (N, D) or more."
        )
    # Eigenvalues of a product do not depend on its order, so the smaller one will do.
    gram = _gram(features)
    with lapack_threads(len(gram)):
        values = torch.linalg.eigvalsh(gram).clamp(min=0)
    score: Tensor = -torch.special.xlogy(values, values).sum()
    return score.exp()


class VendiResult(NamedTuple):
    """The effective number of different samples.

    Args:
        extractor: Name of the extractor.
        value: That of the generated samples.
        real: That of as many reals, where there are any.
    """

    extractor: str
    value: float = math.nan
    real: float | None = None

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs, as in ``vendi/mnist_cnn``."""
        return named(self, "vendi/{}", "vendi/{}_real")


class VendiScore(FeatureMetric[VendiResult]):
    """The effective number of different images that the generator draws, by cosine similarity.

    ``compute`` gives a :class:`VendiResult`, logged as ``vendi/<e>``, and with a reference as
    ``vendi/<e>_real``, what as many reals score: the value to reach, since the score knows nothing
    of the reals and rewards noise.

    Args:
        extractor: The features; in ``vendi/<e>``, e is its name.
        reference: Features of the reals from the same extractor; None for the score alone.

    Raises:
        ConfigurationError: If the reference is from another extractor.

    Example:
        >>> from lightning_gan.metrics import VendiScore, get_extractor
        >>> metric = VendiScore(get_extractor("identity"))
        >>> metric.update(torch.eye(3).repeat(5, 1))  # three directions, however often
        >>> round(metric.compute().value, 6)
        3.0
    """

    higher_is_better = True

    def nothing(self) -> VendiResult:
        """NaN in every value."""
        return VendiResult(self.extractor.name, real=None if self.reference is None else math.nan)

    def measure(self, bank: FeatureBank) -> VendiResult:
        """The score of a bank of generated samples."""
        value = float(vendi_score(bank.features))
        if self.reference is None:
            return VendiResult(self.extractor.name, value)
        real = self.reference.sample(len(bank), bank.features.device)
        score = real.once("vendi", lambda: float(vendi_score(real.features)))
        return VendiResult(self.extractor.name, value, score)
