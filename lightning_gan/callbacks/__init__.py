"""What watches a training: balance, distances, modes, pictures, and the run's safety."""

from lightning_gan.callbacks.balance import Balance as Balance
from lightning_gan.callbacks.collapse import CollapseGuard as CollapseGuard
from lightning_gan.callbacks.divergence import StopOnDivergence as StopOnDivergence
from lightning_gan.callbacks.equilibrium import EquilibriumStopping as EquilibriumStopping
from lightning_gan.callbacks.evaluation import Evaluation as Evaluation
from lightning_gan.callbacks.fitting import default_callbacks as default_callbacks
from lightning_gan.callbacks.last_checkpoint import LastCheckpoint as LastCheckpoint
from lightning_gan.callbacks.preemption import Interrupted as Interrupted
from lightning_gan.callbacks.progress_bar import ImagesBar as ImagesBar
from lightning_gan.callbacks.sample_grid import SampleGrid as SampleGrid
