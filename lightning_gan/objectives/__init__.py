"""What the two players minimise; every objective in terms of logits, real is high."""

from lightning_gan.objectives.base import Objective as Objective
from lightning_gan.objectives.classic import Hinge as Hinge
from lightning_gan.objectives.classic import LeastSquares as LeastSquares
from lightning_gan.objectives.classic import Minimax as Minimax
from lightning_gan.objectives.classic import NonSaturating as NonSaturating
from lightning_gan.objectives.classic import Wasserstein as Wasserstein
from lightning_gan.objectives.contrastive import DualContrastive as DualContrastive
from lightning_gan.objectives.contrastive import SoftmaxGAN as SoftmaxGAN
from lightning_gan.objectives.energy import BEGAN as BEGAN
from lightning_gan.objectives.energy import EBGAN as EBGAN
from lightning_gan.objectives.multi_hinge import MultiHinge as MultiHinge
from lightning_gan.objectives.relativistic import RelativisticAverage as RelativisticAverage
from lightning_gan.objectives.relativistic import (
    RelativisticAverageHinge as RelativisticAverageHinge,
)
from lightning_gan.objectives.relativistic import (
    RelativisticAverageLeastSquares as RelativisticAverageLeastSquares,
)
from lightning_gan.objectives.relativistic import RelativisticPairing as RelativisticPairing
from lightning_gan.objectives.relativistic import (
    RelativisticPairingHinge as RelativisticPairingHinge,
)
from lightning_gan.objectives.relativistic import (
    RelativisticPairingLeastSquares as RelativisticPairingLeastSquares,
)
from lightning_gan.objectives.wrapped import TopK as TopK
from lightning_gan.objectives.wrapped import Unrolled as Unrolled
