"""A game on four spots whose generator can be made to lose some, and what measures and hurts it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint
from tiny import quiet_trainer
from torch import Tensor, nn

from lightning_gan.callbacks.measurements import measurements
from lightning_gan.datamodules import RealData, Split
from lightning_gan.evaluation.panel import Measured
from lightning_gan.gan import GAN
from lightning_gan.metrics.frechet import FrechetResult
from lightning_gan.metrics.modes import ModesResult
from lightning_gan.metrics.neighbours import NeighboursResult
from lightning_gan.networks import Generator, MLPDiscriminator
from lightning_gan.objectives import NonSaturating, Objective
from lightning_gan.regularizers import Penalty, Regularizer
from lightning_gan.training.optimizers import GANAdam
from lightning_gan.training.step import Step

NAMES = ("east", "north", "west", "south")
MEANS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
SIGMA = 0.05


def measured(
    modes: float | None = None, distance: float | None = None, floor: float = 0.1, **more: Any
) -> Measured:
    """What an evaluation of 200 samples may find."""
    covered = None if modes is None else ModesResult("spots", 4, [], modes)
    frechet = None if distance is None else FrechetResult("identity", distance, floor)
    return Measured(200, modes=covered, frechet=frechet, **more)


CALM, BAD = measured(4.0), measured(2.0)


class Spots(RealData):
    """Points around four means: 128 for training, so that 16 batches of 8 make an epoch."""

    name = "spots"
    channels, image_size, num_classes = 2, 0, 4
    class_names = NAMES
    means, sigma = MEANS, SIGMA

    def read_splits(self) -> dict[str, Split]:
        random = torch.Generator().manual_seed(1)
        splits = {}
        for name, count in (("train", 128), ("val", 200), ("test", 20)):
            labels = torch.arange(count) % 4
            noise = torch.randn(count, 2, generator=random)
            splits[name] = Split(MEANS[labels] + SIGMA * noise, labels)
        return splits


class Spotted(Generator):
    """Draws around means of its own, one for each quadrant of the first two latents.

    Args:
        off: How far the means are moved from those of the data.
    """

    def __init__(self, off: float = 0.0) -> None:
        super().__init__(4, 2, 0)
        self.means = nn.Parameter(MEANS + off)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return self.means[(z[:, 0] > 0).long() + 2 * (z[:, 1] > 0).long()] + SIGMA * z[:, 2:]


def spots_gan(
    regularizers: Sequence[Regularizer] = (),
    objective: Objective | None = None,
    off: float = 0.0,
    rate: float = 1e-4,
    generator_rate: float | None = None,
    **arguments: Any,
) -> GAN:
    """A generator that is right from the start, the same at every call; it moves slowly."""
    generator_rate = rate if generator_rate is None else generator_rate
    torch.manual_seed(3)
    return GAN(
        Spotted(off),
        MLPDiscriminator(2, 0, width=8, depth=2),
        objective or NonSaturating(),
        list(regularizers),
        generator_optimizer=lambda p: GANAdam(p, lr=generator_rate),
        discriminator_optimizer=lambda p: GANAdam(p, lr=rate),
        **{"ema_half_life": 0} | arguments,
    )


class Measure(Callback):
    """Tells, as an evaluation does, which spots are found and the nearest-neighbour test.

    Args:
        found: What to tell in place of these, one for each validation.
    """

    def __init__(self, *found: Measured) -> None:
        self.scripted = list(found)
        self.missing: list[str] = []

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        found = self.scripted.pop(0) if self.scripted else self._measured(pl_module)
        measurements(trainer).samples = found
        pl_module.log_dict(found.logged(), sync_dist=True)

    def _measured(self, gan: GAN) -> Measured:
        points = gan.sample(200).double().cpu()
        distances = torch.cdist(points, MEANS.double())
        counts = [int((distances[:, i] < 5 * SIGMA).sum()) for i in range(len(NAMES))]
        self.missing = [name for name, count in zip(NAMES, counts, strict=True) if count < 5]
        real, fake = nearest_test(Spots().split("val").images.double(), points)
        covered = len(NAMES) - len(self.missing)
        return Measured(
            200,
            modes=ModesResult("spots", len(NAMES), self.missing, covered),
            neighbours=NeighboursResult("identity", nn1_real=real, nn1_fake=fake),
        )


def nearest_test(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Share of reals, and of fakes, whose nearest neighbour among all others is of their kind."""
    both = torch.cat([real, fake])
    near = torch.cdist(both, both).fill_diagonal_(torch.inf).argmin(1)
    is_real = torch.arange(len(both)) < len(real)
    own = (is_real == is_real[near]).double()
    return float(own[is_real].mean()), float(own[~is_real].mean())


class Collapse(Callback):
    """Moves all means to the first one in the midst of a batch, as a collapse would.

    Args:
        at: Batches after which it does.
    """

    def __init__(self, *at: int) -> None:
        self.at = at

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if pl_module.progress.batches in self.at:
            for generator in (pl_module.generator, pl_module.generator_ema):
                means = generator.means.detach()
                means.copy_(means[:1].expand_as(means).clone())


class Spoil(Penalty):
    """Turns the discriminator's loss into NaN at some batches of 8.

    Args:
        at: Which.
    """

    def __init__(self, at: list[int]) -> None:
        super().__init__()
        self.at = at

    def discriminator_term(self, step: Step) -> Tensor:
        images = int(step.value_of(lambda images: images))
        spoilt = images // 8 in self.at
        return step.real_logits.mean() * (float("nan") if spoilt else 0.0)


def train(
    gan: GAN, batches: int, callbacks: Sequence[Callback], folder: Path, **arguments: Any
) -> GAN:
    """Trains until so many batches have been seen in all, with a validation after every fourth."""
    gan.max_images = batches * 8
    processes = arguments.get("devices", 1)
    often = {"limit_val_batches": 1.0, "val_check_interval": 4, "check_val_every_n_epoch": None}
    often["log_every_n_steps"] = 4
    fitting = {name: arguments.pop(name) for name in ("ckpt_path",) if name in arguments}
    keeps = Checkpoint()  # which writes nothing by itself, but says that files are wanted
    trainer = quiet_trainer(folder, callbacks=[*callbacks, keeps], **often | arguments)
    trainer.fit(gan, Spots(8 // processes), weights_only=True, **fitting)
    return gan


def healthy(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "checkpoints" / "healthy.ckpt", weights_only=True)
    return found


def batches_of(checkpoint: dict[str, Any]) -> int:
    number: int = checkpoint["lightning_gan"]["progress"]["batches"]
    return number


def said(caught: Iterable[Any]) -> list[str]:
    """What the guard has warned of."""
    messages = (str(warning.message) for warning in caught)
    return [message for message in messages if message.startswith("After")]


def rates(gan: GAN) -> list[float]:
    return [group["lr"] for optimizer in gan.trainer.optimizers for group in optimizer.param_groups]
