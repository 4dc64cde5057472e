"""Small data, small networks and short trainings that the tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, nn

from datamodules import RealData, Split
from lightning_gan.batch import ScoredBatch
from lightning_gan.compatibility import Composition
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    Discriminator,
    MLPDiscriminator,
    MLPGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
)
from lightning_gan.noise import Draws, Noise, Rows
from lightning_gan.objectives import NonSaturating, Objective
from lightning_gan.regularizers import Regularizer


class Points(RealData):
    """A few points around three means; the held-out splits divide evenly by nothing."""

    name = "points"
    channels, image_size = 2, 0
    num_classes = 3
    class_names = ("a", "b", "c")
    means = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    sigma = 0.4

    def read_splits(self) -> dict[str, Split]:
        random = torch.Generator().manual_seed(1)
        splits = {}
        for name, count in (("train", 200), ("val", 37), ("test", 21)):
            labels = torch.randint(3, (count,), generator=random)
            noise = torch.randn(count, 2, generator=random)
            splits[name] = Split(self.means[labels] + self.sigma * noise, labels)
        return splits


class Pictures(RealData):
    """Random pictures of 8 x 8 pixels."""

    name = "pictures"
    channels, image_size = 1, 8
    num_classes = 2
    class_names = ("dark", "light")

    def read_splits(self) -> dict[str, Split]:
        random = torch.Generator().manual_seed(1)
        splits = {}
        for name, count in (("train", 64), ("val", 9), ("test", 5)):
            images = torch.randint(256, (count, 1, 8, 8), generator=random, dtype=torch.uint8)
            splits[name] = Split(images, torch.arange(count) % 2)
        return splits


class NormedDiscriminator(Discriminator):
    """A discriminator with a normalisation layer."""

    def __init__(self, norm: str = "layer") -> None:
        super().__init__(2, 0)
        kinds = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}
        self.layers = nn.Sequential(nn.Linear(2, 4), kinds[norm](4), nn.LeakyReLU(0.2))
        self.add_head(4)

    def features(self, samples: Tensor) -> Tensor:
        features: Tensor = self.layers(samples)
        return features


def points_gan(
    objective: Objective | None = None,
    regularizers: list[Regularizer] | None = None,
    num_classes: int = 0,
    **arguments: Any,
) -> GAN:
    """A pair of perceptrons in the plane, the same at every call."""
    torch.manual_seed(3)
    parts = {
        "generator": MLPGenerator(2, 0, width=8, depth=2, num_classes=num_classes),
        "discriminator": MLPDiscriminator(2, 0, width=8, depth=2, num_classes=num_classes),
    }
    return GAN(
        **(parts | arguments), objective=objective or NonSaturating(), regularizers=regularizers
    )


def picture_gan(
    objective: Objective | None = None,
    regularizers: list[Regularizer] | None = None,
    **arguments: Any,
) -> GAN:
    """A pair of small convolutional networks without normalisation, the same at every call."""
    torch.manual_seed(3)
    sizes: dict[str, Any] = {"widths": (8, 4), "group_size": 4}
    return GAN(
        R3GANGenerator(1, 8, latent_dim=4, **sizes),
        R3GANDiscriminator(1, 8, **sizes),
        objective or NonSaturating(),
        regularizers,
        **arguments,
    )


def composition(**parts: Any) -> Composition:
    """Parts that fit together, with those given in their places."""
    defaults: dict[str, Any] = {
        "generator": MLPGenerator(2, 0, width=4, depth=1),
        "discriminator": MLPDiscriminator(2, 0, width=4, depth=1),
        "objective": NonSaturating(),
    }
    return Composition(**(defaults | parts))


def quiet_trainer(folder: Path | str = "unused", **arguments: Any) -> Trainer:
    """A Trainer on the CPU that shows and writes nothing by itself."""
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": any(
            isinstance(callback, Checkpoint) for callback in arguments.get("callbacks", ())
        ),
        "num_sanity_val_steps": 0,
        "limit_val_batches": 0,
        "max_epochs": -1,
        "default_root_dir": folder,
    }
    return Trainer(**(defaults | arguments))


def fit(gan: GAN, batches: int, batch_size: int = 8, **arguments: Any) -> GAN:
    """Trains for so many batches and returns the model."""
    data = Points(batch_size) if gan.generator.image_size == 0 else Pictures(batch_size)
    gan.max_images = batches * batch_size
    quiet_trainer(**arguments).fit(gan, data)
    return gan


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference between two sets of weights."""
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def draws_for(samples: Tensor) -> Draws:
    """Random numbers for a batch."""
    return Noise(0).draws("test", 0, Rows(len(samples), 0, len(samples)), like=samples)


def batch_of(real: Tensor, fake: Tensor, score: Callable[[Tensor, Tensor], Tensor]) -> ScoredBatch:
    """A batch that ``score`` looks at."""
    labels = torch.zeros(len(real), dtype=torch.long)
    return ScoredBatch(score, real, fake, labels, draws_for(real))


def scored(real_logits: Tensor, fake_logits: Tensor) -> ScoredBatch:
    """A batch with given logits."""
    return batch_of(real_logits[:, None], fake_logits[:, None], lambda samples, _: samples[:, 0])
