"""Metrics of generated samples: torchmetrics that run in a plain loop, float64 throughout."""

from lightning_gan.metrics.balance import DiscriminatorBalance, ValidationBalance
from lightning_gan.metrics.chunks import Chunk, chunks
from lightning_gan.metrics.extractors.base import FeatureExtractor
from lightning_gan.metrics.extractors.registry import (
    default_classifier,
    default_extractor,
    get_extractor,
)
from lightning_gan.metrics.features import FeatureBank, ReferenceFeatures
from lightning_gan.metrics.frechet import (
    FrechetDistance,
    ReferenceStatistics,
    bias_coefficient,
    frechet_distance,
)
from lightning_gan.metrics.gathered import FeatureMetric, FeatureSuite
from lightning_gan.metrics.inception_score import ClassifierScore, inception_score
from lightning_gan.metrics.kernel import KernelDistance, kernel_distance
from lightning_gan.metrics.memorisation import Duplicates, Memorisation
from lightning_gan.metrics.modes import ClassCoverage, MixtureCoverage
from lightning_gan.metrics.neighbours import Neighbours
from lightning_gan.metrics.samples import SampleBatch
from lightning_gan.metrics.stacked import StackedCoverage, expected_divergence
from lightning_gan.metrics.vendi import VendiScore, vendi_score

__all__ = [
    "Chunk",
    "ClassCoverage",
    "ClassifierScore",
    "DiscriminatorBalance",
    "Duplicates",
    "FeatureBank",
    "FeatureExtractor",
    "FeatureMetric",
    "FeatureSuite",
    "FrechetDistance",
    "KernelDistance",
    "Memorisation",
    "MixtureCoverage",
    "Neighbours",
    "ReferenceFeatures",
    "ReferenceStatistics",
    "SampleBatch",
    "StackedCoverage",
    "ValidationBalance",
    "VendiScore",
    "bias_coefficient",
    "chunks",
    "default_classifier",
    "default_extractor",
    "expected_divergence",
    "frechet_distance",
    "get_extractor",
    "inception_score",
    "kernel_distance",
    "vendi_score",
]
