"""Trains and evaluates every configuration in one group of processes; run by test_distributed.

Usage: ``python distributed_worker.py STRATEGY FOLDER PROCESSES``. Every process writes what it
ended with to ``FOLDER/<rank>.pt``. Two processes do everything, three do the matrix of parts alone.
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from tiny import (
    Pictures,
    Points,
    latest,
    picture_gan,
    points_gan,
    quiet_trainer,
    weights,
    without_prefix,
)
from zoo import examples, own, with_regularizer

from lightning_gan.augment import InstanceNoise
from lightning_gan.callbacks import (
    Balance,
    Evaluation,
    LastCheckpoint,
    SampleGrid,
    StopOnDivergence,
)
from lightning_gan.callbacks.scores import counted
from lightning_gan.distributed import processes
from lightning_gan.distributed.batch_norm import share_batch_norm
from lightning_gan.distributed.reduction import Reducer
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
)
from lightning_gan.objectives import (
    Hinge,
    LeastSquares,
    NonSaturating,
    Objective,
    RelativisticAverage,
    RelativisticPairing,
    Wasserstein,
)
from lightning_gan.regularizers import R1, R2, GradientPenalty, LeCam, Regularizer, WeightClipping
from lightning_gan.training.optimizers import GANAdam
from lightning_gan.training.schedule import Alternation, LinearCurve, PerBatch, Phases

BATCH = 8
"""Samples over all processes."""
BATCHES = 4

CONFIGURATIONS: dict[str, Callable[[], GAN]] = {
    "non-saturating": lambda: points_gan(NonSaturating(0.9), num_classes=3),
    "least squares": lambda: points_gan(LeastSquares(), gradient_clip=0.1),
    "wasserstein with penalty": lambda: points_gan(
        Wasserstein(), [GradientPenalty()], alternation=PerBatch(2)
    ),
    "wasserstein with clipping": lambda: points_gan(
        Wasserstein(), [WeightClipping(0.05)], alternation=PerBatch(1, 2)
    ),
    "hinge on pictures": lambda: picture_gan(Hinge(), [R1(0.1, every=2)]),
    "relativistic with r1, r2, noise and average": lambda: points_gan(
        RelativisticPairing(),
        [R1(0.5), R2(0.5)],
        augmentation=InstanceNoise(0.1),
        ema_half_life=20,
        ema_rampup=1,
    ),
    "pictures in two pieces": lambda: picture_gan(
        RelativisticPairing(), [GradientPenalty(), R1(0.5), R2(0.5)], accumulate=2
    ),
}


class Sometimes(MLPDiscriminator):
    """Has a weight that takes part in every other batch only, so that its gradient is missing."""

    def __init__(self) -> None:
        torch.manual_seed(4)
        super().__init__(2, 0, width=8, depth=2)
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.calls = 0

    def features(self, samples: torch.Tensor) -> torch.Tensor:
        self.calls += 1  # three in a batch: reals and fakes, and fakes again
        features = super().features(samples)
        return features * self.scale if (self.calls - 1) // 3 % 2 == 0 else features


def over_all() -> GAN:
    """Batch norm in the generator, over all processes by the model's own option."""
    torch.manual_seed(7)
    generator = MLPGenerator(2, 0, width=8, batch_norm=True)
    return points_gan(generator=generator, sync_batch_norm=True)


def normed_pieces() -> GAN:
    """Batch norm in both players, over pieces of the batch of all processes."""
    torch.manual_seed(7)
    sizes: dict[str, Any] = {"channels": 1, "image_size": 8, "width": 4}
    return GAN(
        DCGANGenerator(**sizes, latent_dim=4),
        DCGANDiscriminator(**sizes),
        NonSaturating(),
        sync_batch_norm=True,
        accumulate=2,
    )


def shared(make: Callable[[], GAN]) -> Callable[[], GAN]:
    """The same model with batch norm over all processes, where it has any."""

    def made() -> GAN:
        gan = make()
        for network in (gan.generator, gan.discriminator):
            share_batch_norm(network)
        return gan

    return made


def matrix() -> dict[str, Callable[[], GAN]]:
    """Every part and every option of the training, one at a time."""
    found = {name: shared(make) for name, make in examples().items()}
    for kind in own(Objective):
        if "real_label" in inspect.signature(kind.__init__).parameters:
            found[f"{kind.__name__} smoothed"] = lambda o=kind: points_gan(o(real_label=0.8))
    for kind in own(Regularizer):
        if "every" in inspect.signature(kind.__init__).parameters:
            found[f"lazy {kind.__name__}"] = lambda r=kind: with_regularizer(r(every=3))
    for kind in (R1, R2):
        found[f"{kind.__name__} by differences"] = lambda r=kind: points_gan(
            Hinge(), [r(difference=0.01)]
        )
    found["weight decided by the reals of all"] = lambda: points_gan(
        RelativisticAverage(), [LeCam(start=1, one_sided=True)]
    )
    for kind in own(Alternation):
        found[kind.__name__] = lambda a=kind: points_gan(alternation=a())
    wgan = {"objective": Wasserstein(), "regularizers": [GradientPenalty()]}
    options: dict[str, dict[str, Any]] = {
        "five critic updates": wgan | {"alternation": PerBatch(5)},
        "two generator updates": {"alternation": PerBatch(1, 2)},
        "fresh reals": {
            "objective": RelativisticPairing(),
            "alternation": PerBatch(1, 1, fresh_reals=True),
        },
        "a moving average": {"ema_half_life": LinearCurve(10, 40, 100), "ema_rampup": 1},
        "curves of both optimizers": {
            "generator_optimizer": partial(GANAdam, lr_curve=LinearCurve(1, 0.1, 100)),
            "discriminator_optimizer": partial(GANAdam, beta2_curve=LinearCurve(0.9, 0.99, 100)),
        },
        "phases of different lengths": {"alternation": Phases(2, 1)},
        "two pieces": wgan | {"accumulate": 2},
        "short average": {"ema_half_life": 20, "ema_rampup": 1},
        "no average": {"ema_half_life": 0},
        "classes": {"num_classes": 3},
        "classes and a penalty": wgan | {"num_classes": 3},
        "clipped gradient": {"gradient_clip": 0.05},
        "falling rate": {"learning_rate": LinearCurve(1, 0.1, 100)},
        "moving weight": {"regularizers": [R1(LinearCurve(1, 0, 100))]},
        "annealed noise": {"augmentation": InstanceNoise(LinearCurve(0.5, 0, 100))},
    }
    for name, arguments in options.items():
        found[name] = lambda arguments=arguments: points_gan(**arguments)
    found["batch norm over all processes"] = over_all
    found["batch norm over pieces"] = normed_pieces
    found["a weight at rest"] = lambda: points_gan(discriminator=Sometimes())
    paired = RelativisticPairing
    found["pictures"] = lambda: picture_gan(paired(), [R1(0.5), R2(0.5)], channels_last=True)
    return found


MATRIX = matrix()
MATRIX_BATCH, MATRIX_BATCHES = 12, 10
"""Samples over all processes, a multiple of 1, 2, 3 and of two pieces of each; and batches."""


def train_matrix(trainer: dict[str, Any], processes: int) -> dict[str, dict[str, Any]]:
    """The weights of every entry of the matrix after ten batches in epochs of two."""
    short = trainer | {"limit_train_batches": 2}
    return {
        name: train(make, short, processes, MATRIX_BATCH, MATRIX_BATCHES)
        for name, make in MATRIX.items()
    }


def train(
    make: Callable[[], GAN],
    trainer: dict[str, Any],
    processes: int,
    batch: int = BATCH,
    batches: int = BATCHES,
) -> dict[str, Any]:
    """The weights and counters after a few batches, in float64."""
    gan = make()
    if torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
        with torch.no_grad():  # processes that start apart must be brought together
            next(gan.discriminator.parameters()).add_(1)
    gan.max_images = batch * batches
    kind = Pictures if gan.generator.image_size else Points
    quiet_trainer(precision="64-true", **trainer).fit(gan, kind(batch // processes))
    return {
        "weights": weights(gan),
        "progress": vars(gan.progress),
        "global_step": gan.trainer.global_step,
    }


def watch(folder: Path, trainer: dict[str, Any], processes: int) -> dict[str, Any]:
    """What the callbacks say of a training and of a validation before it."""
    watching = [
        Balance(every=2),
        Evaluation(num_samples=611),
        SampleGrid(2, 2),
        StopOnDivergence(1),
        LastCheckpoint(),
    ]
    gan, data = points_gan(regularizers=[R1(0.1)]), Points(BATCH // processes)
    arguments = {
        **trainer,
        "precision": "64-true",
        "callbacks": watching,
        "default_root_dir": folder,
        "limit_val_batches": 1.0,
        "max_epochs": 1,
    }
    quiet_trainer(**arguments).validate(gan, data, verbose=False)
    values = {"held out": timeless(gan, "val"), "evaluation": timeless(gan, "samples")}
    quiet_trainer(**arguments).fit(gan, data)
    values["training"] = timeless(gan, "training")
    relative, balance = points_gan(RelativisticAverage()), [Balance(every=2)]
    quiet_trainer(**arguments | {"callbacks": balance}).fit(relative, data)
    # The loss leaves free what is added to all logits, where Adam makes steps of rounding errors.
    shown = timeless(relative, "training").items()
    values["relative"] = {name: value for name, value in shown if "score" not in name}
    quiet_trainer(**arguments).test(gan, data, verbose=False)
    return values | {"test": without_prefix(timeless(gan, "val")) | timeless(gan, "samples")}


def timeless(gan: GAN, what: str) -> dict[str, float]:
    """What was measured last, but for the time that it took."""
    return {name: x for name, x in latest(gan.trainer, what).items() if "second" not in name}


def statistics(trainer: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The buffers of a batch-normalised generator after a validation in the midst of training."""
    gan = points_gan(generator=MLPGenerator(2, 0, width=8, batch_norm=True))
    limits = {"limit_train_batches": BATCHES, "limit_val_batches": 1, "max_epochs": 1}
    quiet_trainer(**trainer, **limits).fit(gan, Points(4))
    return {name: buffer.clone() for name, buffer in gan.named_buffers()}


def averaged() -> list[torch.Tensor]:
    """Gradients that differ between two processes, after they were averaged."""
    rank = torch.distributed.get_rank()
    values = [(1.0, 3.0), (2.0, None), (None, None), (torch.nan, 1.0), (1.0, torch.inf)]
    parameters = [torch.nn.Parameter(torch.ones(2, 3)) for _ in values]
    for parameter, value in zip(parameters, values, strict=True):
        number = value[rank]
        parameter.grad = None if number is None else torch.full((3, 2), number).t()
    Reducer(torch.optim.SGD(parameters)).finish()
    return [torch.empty(0) if p.grad is None else p.grad for p in parameters]


LOGITS = torch.linspace(-3.1, 8.7, 22, dtype=torch.float64)
"""Logits of 14 reals and of 8 fakes, of which the second process has 3 and 5."""


def counted_of(real: torch.Tensor, fake: torch.Tensor) -> list[Any]:
    """Their histograms with probabilities, and without."""
    objectives = (NonSaturating(), Hinge())
    return [vars(counted(points_gan(objective), real, fake)) for objective in objectives]


def agreed() -> dict[str, Any]:
    """What two processes find out of numbers and flags that differ between them."""
    rank, device = processes.rank(), torch.device("cpu")
    real, fake = LOGITS[:14], LOGITS[14:]
    return {
        "scores": counted_of(real[11:], fake[3:]) if rank else counted_of(real[:11], fake[:3]),
        "ints": processes.gathered_ints(5 + rank, device),
        "any": processes.any_true([False, rank == 0, rank == 1, True], device),
        "all": processes.all_true(torch.tensor([False, rank == 0, rank == 1, True])),
        "total": processes.total(torch.tensor([1, rank])).tolist(),
    }


class Fails(Callback):
    """Ends, stops or breaks the second process in the midst of a training.

    Args:
        how: "SIGKILL", "SIGSTOP", or "exception".
    """

    def __init__(self, how: str) -> None:
        self.how = how

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Fails after some batches."""
        if trainer.global_rank == 1 and pl_module.progress.batches == 25:
            sys.stderr.write(f"failing at {time.time():.3f}\n")
            sys.stderr.flush()
            if self.how == "exception":
                raise KeyError("a defect")
            os.kill(os.getpid(), signal.Signals[self.how])


def main(strategy: str, folder: Path, world_size: int) -> None:
    """Runs everything on two processes and writes it down; on more of them only the matrix."""
    torch.set_num_threads(1)
    trainer = {"strategy": strategy, "devices": world_size}
    found: dict[str, Any] = {}
    if strategy == "gan_ddp":
        found["matrix"] = train_matrix(trainer, world_size)
    if world_size == 2:
        found |= {name: train(CONFIGURATIONS[name], trainer, 2) for name in CONFIGURATIONS}
        found["watched"] = watch(folder, trainer, 2)
        found["statistics"] = statistics(trainer)
        found["averaged"] = averaged()
        found["agreed"] = agreed()
    torch.save(found, folder / f"{torch.distributed.get_rank()}.pt")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
