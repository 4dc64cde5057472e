"""Penalties, constraints and further tasks of either player."""

from lightning_gan.regularizers.base import AuxiliaryTask as AuxiliaryTask
from lightning_gan.regularizers.base import Constraint as Constraint
from lightning_gan.regularizers.base import LatentMove as LatentMove
from lightning_gan.regularizers.base import Penalty as Penalty
from lightning_gan.regularizers.base import Regularizer as Regularizer
from lightning_gan.regularizers.classifiers import AuxiliaryClassifier as AuxiliaryClassifier
from lightning_gan.regularizers.classifiers import (
    DiscriminativeClassifier as DiscriminativeClassifier,
)
from lightning_gan.regularizers.classifiers import Rotation as Rotation
from lightning_gan.regularizers.classifiers import (
    TwinAuxiliaryClassifier as TwinAuxiliaryClassifier,
)
from lightning_gan.regularizers.consistency import Consistency as Consistency
from lightning_gan.regularizers.consistency import LatentConsistency as LatentConsistency
from lightning_gan.regularizers.consistency import LatentOptimisation as LatentOptimisation
from lightning_gan.regularizers.constraints import FreezeD as FreezeD
from lightning_gan.regularizers.constraints import (
    OrthogonalRegularization as OrthogonalRegularization,
)
from lightning_gan.regularizers.constraints import SpectralNormalization as SpectralNormalization
from lightning_gan.regularizers.constraints import WeightClipping as WeightClipping
from lightning_gan.regularizers.contrastive import ConditionalContrastive as ConditionalContrastive
from lightning_gan.regularizers.contrastive import DataToDataCrossEntropy as DataToDataCrossEntropy
from lightning_gan.regularizers.gradient_penalties import DRAGAN as DRAGAN
from lightning_gan.regularizers.gradient_penalties import R1 as R1
from lightning_gan.regularizers.gradient_penalties import R2 as R2
from lightning_gan.regularizers.gradient_penalties import GradientPenalty as GradientPenalty
from lightning_gan.regularizers.gradient_penalties import MaximumPenalty as MaximumPenalty
from lightning_gan.regularizers.gradient_penalties import (
    WassersteinDivergence as WassersteinDivergence,
)
from lightning_gan.regularizers.information import InfoGAN as InfoGAN
from lightning_gan.regularizers.path_length import PathLength as PathLength
from lightning_gan.regularizers.statistics import Drift as Drift
from lightning_gan.regularizers.statistics import FeatureMatching as FeatureMatching
from lightning_gan.regularizers.statistics import HistoricalAveraging as HistoricalAveraging
from lightning_gan.regularizers.statistics import LeCam as LeCam
from lightning_gan.regularizers.statistics import Reconstruction as Reconstruction
