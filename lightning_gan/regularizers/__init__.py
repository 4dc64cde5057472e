"""Penalties, constraints and further tasks of either player."""

from lightning_gan.regularizers.base import (
    AuxiliaryTask,
    Constraint,
    LatentMove,
    Penalty,
    Regularizer,
)
from lightning_gan.regularizers.classifiers import (
    AuxiliaryClassifier,
    DiscriminativeClassifier,
    Rotation,
    TwinAuxiliaryClassifier,
)
from lightning_gan.regularizers.consistency import (
    Consistency,
    LatentConsistency,
    LatentOptimisation,
)
from lightning_gan.regularizers.constraints import (
    FreezeD,
    OrthogonalRegularization,
    SpectralNormalization,
    WeightClipping,
)
from lightning_gan.regularizers.contrastive import ConditionalContrastive, DataToDataCrossEntropy
from lightning_gan.regularizers.gradient_penalties import (
    DRAGAN,
    R1,
    R2,
    GradientPenalty,
    MaximumPenalty,
    WassersteinDivergence,
)
from lightning_gan.regularizers.information import InfoGAN
from lightning_gan.regularizers.path_length import PathLength
from lightning_gan.regularizers.statistics import (
    Drift,
    FeatureMatching,
    HistoricalAveraging,
    LeCam,
    Reconstruction,
)

__all__ = [
    "DRAGAN",
    "R1",
    "R2",
    "AuxiliaryClassifier",
    "AuxiliaryTask",
    "ConditionalContrastive",
    "Consistency",
    "Constraint",
    "DataToDataCrossEntropy",
    "DiscriminativeClassifier",
    "Drift",
    "FeatureMatching",
    "FreezeD",
    "GradientPenalty",
    "HistoricalAveraging",
    "InfoGAN",
    "LatentConsistency",
    "LatentMove",
    "LatentOptimisation",
    "LeCam",
    "MaximumPenalty",
    "OrthogonalRegularization",
    "PathLength",
    "Penalty",
    "Reconstruction",
    "Regularizer",
    "Rotation",
    "SpectralNormalization",
    "TwinAuxiliaryClassifier",
    "WassersteinDivergence",
    "WeightClipping",
]
