"""Metrics of generated samples: torchmetrics that run in a plain loop, float64 throughout."""

from lightning_gan.metrics.balance import DiscriminatorBalance
from lightning_gan.metrics.chunks import Chunk, chunk_generator, chunks
from lightning_gan.metrics.extractors import (
    FeatureExtractor,
    default_classifier,
    default_extractor,
    get_extractor,
)
from lightning_gan.metrics.frechet import FrechetDistance, bias_coefficient, frechet_distance
from lightning_gan.metrics.modes import ClassCoverage, MixtureCoverage
from lightning_gan.metrics.reference import ReferenceStatistics

__all__ = [
    "Chunk",
    "ClassCoverage",
    "DiscriminatorBalance",
    "FeatureExtractor",
    "FrechetDistance",
    "MixtureCoverage",
    "ReferenceStatistics",
    "bias_coefficient",
    "chunk_generator",
    "chunks",
    "default_classifier",
    "default_extractor",
    "frechet_distance",
    "get_extractor",
]
