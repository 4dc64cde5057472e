"""What watches a training: balance, distances, modes, pictures, and the run's safety."""

from lightning_gan.callbacks.balance import Balance
from lightning_gan.callbacks.collapse import CollapseGuard
from lightning_gan.callbacks.divergence import StopOnDivergence
from lightning_gan.callbacks.equilibrium import EquilibriumStopping
from lightning_gan.callbacks.evaluation import Evaluation
from lightning_gan.callbacks.last_checkpoint import LastCheckpoint
from lightning_gan.callbacks.preemption import Interrupted
from lightning_gan.callbacks.progress_bar import ImagesBar
from lightning_gan.callbacks.sample_grid import SampleGrid

__all__ = [
    "Balance",
    "CollapseGuard",
    "EquilibriumStopping",
    "Evaluation",
    "ImagesBar",
    "Interrupted",
    "LastCheckpoint",
    "SampleGrid",
    "StopOnDivergence",
]
