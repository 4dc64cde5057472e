r"""The Inception score, of any classifier.

.. math:: \exp\big(\mathbb{E}_y\,\mathrm{KL}(p(c\mid y)\,\Vert\,p(c))\big)

with :math:`p(c)` the mean of :math:`p(c\mid y)` over the samples of a split (Salimans et al. 2016,
Sec. 4).
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.base import named
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.features import FeatureBank, shuffled
from lightning_gan.metrics.gathered import GatheredMetric
from lightning_gan.metrics.samples import SampleBatch

ROWS = 4096  # samples whose probabilities are held in float64 at once


def inception_score(logits: Tensor) -> Tensor:
    """The score of one split, a float64 scalar between 1 and the number of classes.

    Args:
        logits: Logits (N, K), N at least 1.
    """
    entropy = logits.new_zeros((), dtype=torch.float64)
    total = logits.new_zeros(logits.shape[1], dtype=torch.float64)
    for block in torch.split(logits, ROWS):
        log_probability = block.double().log_softmax(1)
        probability = log_probability.exp()
        # a class that is excluded adds nothing, although its logarithm may be infinite
        entropy -= (probability * log_probability.clamp(min=-1e300)).sum()
        total += probability.sum(0)
    prior = total / len(logits)
    return (-prior.xlogy(prior).sum() - entropy / len(logits)).clamp(min=0).exp()


class ClassifierScoreResult(NamedTuple):
    """The Inception score of samples: mean and standard deviation over the splits."""

    classifier: str
    value: float = math.nan
    std: float = math.nan

    def logged(self) -> dict[str, float]:
        """The values by their names in the logs, as in ``is/mnist_cnn``."""
        return named(self, "is/{}", "is/{}_std")


class ClassifierScore(GatheredMetric[ClassifierScoreResult]):
    """How surely a classifier sorts generated images, and how evenly over its classes.

    ``compute`` gives a :class:`ClassifierScoreResult`, logged as ``is/<c>`` and ``is/<c>_std``:
    mean and standard deviation (divided by the number of splits) of the score over splits of equal
    size, consecutive after a fixed shuffle: in a folder that is sorted by class a split would hold
    one class. At most the number of classes. Never read it alone: it looks at no real image, and
    one perfect picture per class reaches the maximum. Only the genuine Inception logits give the
    published Inception score.

    Args:
        classifier: An extractor that classifies; in ``is/<c>``, c is its name.
        splits: Number of splits.

    Raises:
        ConfigurationError: If the extractor does not classify, or there is no split.

    Example:
        >>> from lightning_gan.metrics import ClassifierScore, get_extractor
        >>> metric = ClassifierScore(get_extractor("digits_cnn"), splits=1)
        >>> metric.update(torch.zeros(8, 1, 28, 28))  # one picture, eight times
        >>> round(metric.compute().value, 6)
        1.0
    """

    higher_is_better = True
    classifier: FeatureExtractor

    def __init__(self, classifier: FeatureExtractor, splits: int = 10) -> None:
        super().__init__()
        if classifier.num_classes < 2 or splits < 1:
            raise ConfigurationError(
                f"ClassifierScore: {classifier.name!r} tells {classifier.num_classes} classes "
                f"apart and splits={splits}: take a classifier, as 'mnist_cnn' is, and at least "
                "one split."
            )
        self.set_unregistered(classifier=classifier.freeze())
        self.splits = self.min_samples = splits  # a sample in each

    def vectors(self, batch: SampleBatch) -> Tensor:
        """The logits."""
        return batch.logits(self.classifier)

    def nothing(self) -> ClassifierScoreResult:
        """NaN in every value."""
        return ClassifierScoreResult(self.classifier.name)

    def measure(self, bank: FeatureBank) -> ClassifierScoreResult:
        """The score of a bank of logits."""
        bounds = [number * len(bank) // self.splits for number in range(self.splits + 1)]
        logits = bank.features[shuffled(len(bank))]
        scores = torch.stack([inception_score(logits[i:j]) for i, j in pairwise(bounds)])
        std = scores.std(unbiased=False)
        return ClassifierScoreResult(self.classifier.name, float(scores.mean()), float(std))
