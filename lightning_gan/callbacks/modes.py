"""Mode coverage during training: which classes or clusters the generator reaches."""

from __future__ import annotations

import torch
from lightning.pytorch import Trainer
from torchmetrics import Metric

from lightning_gan.callbacks.sampled import SampledMetric, reference_data
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.metrics.extractors import default_extractor, get_extractor
from lightning_gan.metrics.modes import ClassCoverage, MixtureCoverage
from lightning_gan.metrics.stacked import StackedCoverage

USUAL, STACKED = 10_000, 26_000
"""Samples for one value: 26,000 of a thousand modes, as in VEEGAN and PacGAN."""


class ModeCoverage(SampledMetric):
    """Logs ``modes/<data>/...``: classes or clusters covered, the smallest share, divergences.

    Labelled images are judged by a bundled classifier, stacked ones channel by channel, mixtures in
    the plane by the distance to their means.

    Args:
        classifier: Name of a classifier, or import path of a FeatureExtractor class that
            classifies; the data's own where None.
        num_samples: Samples generated for one value, over all processes; where None, 26,000 for
            stacked images and 10,000 otherwise.
        seed: Seed of the latents.
    """

    def __init__(
        self, classifier: str | None = None, num_samples: int | None = None, seed: int = 0
    ) -> None:
        super().__init__(USUAL if num_samples is None else num_samples, seed)
        self.classifier = classifier
        self._follows_data = num_samples is None
        self.total = 0
        """Number of classes or clusters there are."""

    @property
    def missing(self) -> list[str]:
        """Names of the classes that the last evaluation did not find."""
        if isinstance(self._metric, ClassCoverage | StackedCoverage):
            return self._metric.missing()
        return []

    def make_metric(self, trainer: Trainer, gan: GAN) -> Metric:
        """Coverage of clusters where the data have means, of classes or rows of them otherwise."""
        data = reference_data(trainer, type(self).__name__)
        self.total = data.num_classes
        if hasattr(data, "means"):
            return MixtureCoverage(data.means, data.sigma, data.name)
        if getattr(data, "stacked", 0):
            self.num_samples = STACKED if self._follows_data else self.num_samples
            reader = get_extractor(self.classifier) if self.classifier else None
            counts = data.digit_counts
            return StackedCoverage(counts, data.name, reader, data.stacked, data.padding)
        name = self.classifier or default_extractor(data.name, data.channels, data.image_size)
        classifier = get_extractor(name)
        if classifier.num_classes == 0 or classifier.num_classes != data.num_classes:
            raise ConfigurationError(
                f"ModeCoverage: {name} tells {classifier.num_classes} classes apart but the data "
                f"have {data.num_classes}: give a classifier for these data, or leave it out."
            )
        labels = data.split("train").labels
        prior = torch.bincount(labels, minlength=data.num_classes).double()
        return ClassCoverage(classifier, prior / prior.sum(), data.name, data.class_names)
