"""What the two players minimise; every objective in terms of logits, real is high."""

from lightning_gan.objectives.base import Objective
from lightning_gan.objectives.classic import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Wasserstein,
)
from lightning_gan.objectives.contrastive import DualContrastive, SoftmaxGAN
from lightning_gan.objectives.energy import BEGAN, EBGAN
from lightning_gan.objectives.multi_hinge import MultiHinge
from lightning_gan.objectives.relativistic import (
    RelativisticAverage,
    RelativisticAverageHinge,
    RelativisticAverageLeastSquares,
    RelativisticPairing,
    RelativisticPairingHinge,
    RelativisticPairingLeastSquares,
)
from lightning_gan.objectives.wrapped import TopK, Unrolled

__all__ = [
    "BEGAN",
    "EBGAN",
    "DualContrastive",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "MultiHinge",
    "NonSaturating",
    "Objective",
    "RelativisticAverage",
    "RelativisticAverageHinge",
    "RelativisticAverageLeastSquares",
    "RelativisticPairing",
    "RelativisticPairingHinge",
    "RelativisticPairingLeastSquares",
    "SoftmaxGAN",
    "TopK",
    "Unrolled",
    "Wasserstein",
]
