"""Which modes of stacked digits the generator draws, told from the classifier's errors."""

import hashlib
import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.special import xlog1py, xlogy

from lightning_gan.errors import ConfigurationError, at_least, check_range
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.extractors.registry import get_extractor
from lightning_gan.metrics.modes import (
    MIN_CERTAINTY,
    CoverageMetric,
    ModesResult,
    divergence,
    shares_of,
)
from lightning_gan.metrics.samples import SampleBatch

MIN_PICTURES = 5  # a mode is robustly covered from so many certain pictures on ...
MAX_LEAK = 0.01  # ... and from this part of those of its largest neighbour on
DEVIATIONS = 12.0  # of a binomial, beyond which nothing is left of it in float64
CLASSIFIER = "mnist_cnn"


def expected_divergence(shares: Tensor, count: int) -> Tensor:
    r"""Mean of KL(histogram || uniform) in nats over histograms of ``count`` samples.

    .. math:: \log K + \sum_k p_k \operatorname{E} \log\frac{1 + m_k}{N},
        \qquad m_k \sim \operatorname{Binomial}(N - 1, p_k)

    Exact; about KL(p || uniform) + (K - 1) / 2N where every mode is expected some ten times.

    Args:
        shares: Probability of each mode (K,).
        count: Number N of samples, 1 or more.
    """
    shares = shares.double()
    trials = torch.tensor(count - 1.0, dtype=torch.float64)
    mean = trials * shares
    reach = DEVIATIONS * (mean * (1 - shares)).clamp(min=0).sqrt() + 5 * DEVIATIONS
    first = (mean - reach).floor().clamp(min=0)
    width = int((mean + reach).ceil().sub(first).max())
    hits = first[:, None] + torch.arange(width + 1)
    misses = (trials - hits).clamp(min=0)
    chance = trials.add(1).lgamma() - hits.add(1).lgamma() - misses.add(1).lgamma()
    chance = chance + xlogy(hits, shares[:, None]) + xlog1py(misses, -shares[:, None])
    chance = chance.exp() * (hits <= trials)
    inside = (chance * (1 + hits).log()).sum(1) - math.log(count)
    return (shares * inside).sum() + math.log(len(shares))


class StackedExtractor(FeatureExtractor):
    """What an extractor of single digits makes of each channel of a picture, side by side.

    Its name is that of the extractor and the number of channels, as in ``mnist_cnn_x3``; features
    are ``(N, stacked D)``, logits ``(N, stacked K)``.

    Args:
        single: The extractor of single digits.
        stacked: Channels of a picture, 1 or more.
        padding: Pixels on each side of a digit, which are hidden from the extractor.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    def __init__(self, single: FeatureExtractor, stacked: int = 3, padding: int = 0) -> None:
        super().__init__()
        check_range(self, at_least(1), stacked=stacked)
        check_range(self, at_least(0), padding=padding)
        self.single, self.stacked, self.padding = single, stacked, padding
        self.name = f"{single.name}_x{stacked}"  # type: ignore[misc] # of this one, not of all
        self.num_features = stacked * single.num_features
        self.num_classes = stacked * single.num_classes
        self.reads_features = single.reads_features
        self.freeze()

    @property
    def fingerprint(self) -> str:
        """Of the weights, and of the pixels that are hidden, which no weight tells."""
        fingerprint = super().fingerprint
        if not self.padding:
            return fingerprint
        return hashlib.sha256(f"{fingerprint}:{self.padding}".encode()).hexdigest()

    def _digits(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != self.stacked:
            raise ConfigurationError(
                f"Images of {tuple(images.shape)} do not stack {self.stacked} digits: generate one "
                "channel for each of them."
            )
        if self.padding:
            inside = slice(self.padding, -self.padding)
            images = images[..., inside, inside]
        return images.flatten(0, 1)[:, None]

    def extract(self, images: Tensor) -> Tensor:
        """Features of the channels side by side, (N, stacked D)."""
        return self.single.extract(self._digits(images)).view(len(images), -1)

    def logits(self, images: Tensor) -> Tensor:
        """Logits of the channels side by side, (N, stacked K)."""
        return self.single.logits(self._digits(images)).view(len(images), -1)

    def logits_of(self, features: Tensor) -> Tensor:
        """Likewise, from the features."""
        each = features.view(len(features) * self.stacked, -1)
        return self.single.logits_of(each).view(len(features), -1)


class StackedCoverage(CoverageMetric):
    """How pictures that stack digits as colours cover the modes, one for each row of digits.

    A classifier reads each channel by itself. ``compute`` gives a :class:`ModesResult`,
    logged under ``modes/<data>/``:

    * ``covered``: modes that at least one picture is read as (VEEGAN, Srivastava et al. 2017,
      section 4.2; PacGAN, Lin et al. 2018, section 4.2). Errors of the classifier inflate it: ten
      modes count as several times as many.
    * ``covered_robust``: modes of at least 5 pictures that are read with more than 0.9 certainty in
      every channel, if those are at least 1 % as many as for any mode that differs in one digit,
      since errors leak from there. Half of all samples in one mode hide some of its neighbours.
    * ``kl``: KL(histogram || uniform) in nats, over all pictures; errors of the classifier lower
      it where modes are missing.
    * ``kl_floor``: what a perfect sampler scores on average with so many pictures, given that some
      digits are likelier than others; see :func:`expected_divergence`.
    * ``unclassifiable``: share of the pictures that are not read with more than 0.9 certainty.

    Count 26000 pictures, as the papers do; with fewer than ten a mode, ``covered_robust`` misses
    modes by chance.

    Args:
        shares: Share of each digit in a channel of the data (K,); counts do as well.
        data_name: Name in the keys.
        classifier: An extractor with as many classes as there are digits, or a
            :class:`StackedExtractor` of one; ``mnist_cnn`` where None.
        stacked: Channels of a picture.
        padding: Pixels on each side of a digit, which are hidden from the classifier.

    Raises:
        ConfigurationError: If classifier and shares do not have as many classes, the shares are
            none, or a number is out of range.

    Example:
        >>> from lightning_gan.metrics import StackedCoverage
        >>> metric = StackedCoverage([0.1] * 10, "stacked_mnist")
        >>> metric.update(torch.zeros(8, 3, 28, 28))  # one picture, eight times
        >>> metric.compute().covered, metric.compute().total
        (1.0, 1000)
    """

    counts: Tensor
    classifier: FeatureExtractor
    reader: StackedExtractor

    def __init__(
        self,
        shares: Tensor | Sequence[float],
        data_name: str,
        classifier: FeatureExtractor | None = None,
        stacked: int = 3,
        padding: int = 0,
    ) -> None:
        super().__init__(data_name)
        classifier = classifier or get_extractor(CLASSIFIER)
        if isinstance(classifier, StackedExtractor):
            reader, classifier = classifier, classifier.single
            stacked = reader.stacked
        else:
            reader = StackedExtractor(classifier, stacked, padding)
        digits = shares_of(torch.as_tensor(shares).reshape(-1), "each digit")
        if len(digits) != classifier.num_classes:
            raise ConfigurationError(
                f"The classifier {classifier.name!r} knows {classifier.num_classes} classes but "
                f"{len(digits)} shares are given: take a classifier of what {data_name!r} stacks."
            )
        self.prior = digits
        for _ in range(stacked - 1):
            self.prior = torch.outer(self.prior, digits).flatten()
        self.set_unregistered(classifier=classifier.freeze(), reader=reader)
        self.stacked = stacked
        # pictures of each mode: all, and those that the classifier is certain of
        shape = (2, len(self.prior))
        self.add_state("counts", torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, images: Tensor | SampleBatch) -> None:
        """Counts generated images (N, stacked, H, W) in [-1, 1]; N may be 0.

        Raises:
            ConfigurationError: If the images have another number of channels.
        """
        batch = self.clean(images)
        if not len(batch.kept):
            return
        digits = self.classifier.num_classes
        logits = batch.logits(self.reader).view(-1, self.stacked, digits)
        certainty, found = logits.softmax(2).max(2)
        mode = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        for digit in found.unbind(1):
            mode = mode * digits + digit
        certain = (certainty > MIN_CERTAINTY).all(1)
        self.add_counts(self.counts, mode, mode[certain])

    def compute(self) -> ModesResult:
        """The result; NaN without images."""
        everything, certain = self.counts.cpu().double()
        total, robust = everything.sum(), self._robust(certain)
        names = self.classifier.class_names or map(str, range(self.classifier.num_classes))
        return self.result(
            map("".join, itertools.product(names, repeat=self.stacked)),
            robust,
            len(everything),
            covered=(everything >= 1).sum(),
            covered_robust=robust.sum(),
            kl=divergence(everything / total, torch.full_like(everything, 1 / len(everything))),
            kl_floor=expected_divergence(self.prior, max(int(total), 1)),
            unclassifiable=1 - certain.sum() / total,
        )

    def _robust(self, certain: Tensor) -> Tensor:
        """Which modes are robustly covered, bool (K^stacked,), by their certain pictures."""
        grid = certain.view([self.classifier.num_classes] * self.stacked)
        largest = grid.clone()
        for axis in range(self.stacked):
            largest = largest.maximum(grid.amax(axis, keepdim=True))
        return (certain >= MIN_PICTURES) & (certain >= MAX_LEAK * largest.flatten())
