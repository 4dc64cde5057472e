"""Small data, small networks and short trainings that the tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, nn

from lightning_gan.basics.randomness import RandomStream, Seeds, Shard
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.datamodules import RealData, Split
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    Discriminator,
    MLPDiscriminator,
    MLPGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
)
from lightning_gan.networks.base import DiscriminatorOutput
from lightning_gan.objectives import NonSaturating, Objective
from lightning_gan.regularizers import Regularizer
from lightning_gan.training.composition import Composition
from lightning_gan.training.schedule import PlayerName, Progress, values_at
from lightning_gan.training.step import Kind, Step


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


class Few(Points):
    """As many training points."""

    def __init__(self, count: int) -> None:
        super().__init__(1)
        self.count = count

    def read_splits(self) -> dict[str, Split]:
        few = {"train": slice(self.count), "val": slice(20), "test": slice(20)}
        splits = super().read_splits()
        return {
            name: Split(splits[name].images[s], splits[name].labels[s]) for name, s in few.items()
        }


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
    if arguments.get("enable_checkpointing"):
        assert folder != "unused", "Lightning would leave checkpoints where the tests were started"
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


def latest(trainer: Trainer, what: str) -> dict[str, float]:
    """What is measured last of ``training``, ``val`` or ``samples``, by its names in the logs."""
    found = getattr(measurements(trainer), what)
    return {} if found is None else found.logged()


def without_prefix(values: dict[str, float]) -> dict[str, float]:
    return {name.rpartition("/")[2]: value for name, value in values.items()}


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference between two sets of weights."""
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def random_for(samples: Tensor) -> RandomStream:
    """Random numbers for the rows of samples, the same at every call."""
    return Seeds(0).stream("test", 0, Shard(len(samples), 0, len(samples)), like=samples)


def step_of(
    real: Tensor,
    fake: Tensor,
    judge: Callable[[Tensor, Tensor], Any],
    images: int = 0,
    reads: tuple[Kind, ...] = ("real", "fake"),
    **more: Any,
) -> Step:
    """A step whose samples ``judge`` gives logits, or logits and features, those of reals first."""

    def discriminate(
        samples: Tensor, labels: Tensor, random: RandomStream | None = None
    ) -> DiscriminatorOutput:
        found = judge(samples, labels)
        return DiscriminatorOutput(*(found if isinstance(found, tuple) else (found, None)))

    fields: dict[str, Any] = {
        "player": "discriminator",
        "labels": torch.zeros(len(real), dtype=torch.long),
        "z": torch.empty(0),
        "drawn_z": torch.empty(0),
        "random": random_for(real),
        "generator": None,
        "discriminator": SimpleNamespace(pack=1, modules=list),
        "value_of": values_at(images),
    }
    step = Step(real=real, fake=fake, discriminate=discriminate, **(fields | more))
    return step.judged(*reads)


def scored(real_logits: Tensor, fake_logits: Tensor, **more: Any) -> Step:
    """A step with given logits."""
    reals, fakes = real_logits[:, None], fake_logits[:, None]
    return step_of(reals, fakes, lambda samples, _: samples[:, 0], **more)


def random_logits(count: int = 16, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    """Logits of as many reals and fakes, in double precision, that gradients reach."""
    pair = scale * torch.randn(2, count, dtype=torch.float64)
    return pair[0].requires_grad_(), pair[1].requires_grad_()


def logit_gradients(objective: Objective, r: Tensor, f: Tensor, player: str) -> list[Tensor]:
    """Gradients of a player's loss by both kinds of logits, zeros where there is none."""
    r, f = r.detach().requires_grad_(), f.detach().requires_grad_()
    loss = getattr(objective, f"{player}_loss")(scored(r, f))
    found = torch.autograd.grad(loss, (r, f), allow_unused=True)
    return [torch.zeros_like(r) if g is None else g for g in found]


def slope_critic(slope: float, shape: tuple[int, ...]) -> Callable[[Tensor, Tensor], Tensor]:
    """A linear critic whose gradient has norm `slope` everywhere."""
    direction = torch.randn(shape, dtype=torch.float64)
    direction *= slope / torch.linalg.vector_norm(direction)
    return lambda samples, _: (samples * direction).flatten(1).sum(1)


def random_step(judge: Callable[[Tensor, Tensor], Any], count: int, shape: tuple[int, ...]) -> Step:
    """A step with random samples in double precision."""
    real = torch.randn(count, *shape, dtype=torch.float64).requires_grad_()
    fake = torch.randn(count, *shape, dtype=torch.float64).requires_grad_()
    return step_of(real, fake, judge)


def term(regularizer: Regularizer, step: Step, player: PlayerName = "discriminator") -> float:
    """The bare term of a player."""
    found = getattr(regularizer, f"{player}_term")(step)
    assert found is not None
    return float(found.detach())


def looked_at(
    gan: GAN, player: PlayerName, count: int = 8, update: int = 0, images: int = 0
) -> Step:
    """What a player sees in an update, in double precision; neither player is frozen."""
    gan.double()
    generator = gan.generator
    shape = (generator.channels, *(generator.size if generator.image_size else ()))
    real = torch.randn(count, *shape, dtype=torch.float64)
    labels = torch.arange(count) % max(generator.num_classes, 1)
    progress = Progress(images, discriminator_updates=update, generator_updates=update)
    (step,) = gan.game.steps(gan.game.player(player), real, labels, progress)
    return step.judged("real", "fake")


def factor_of_term(gan: GAN, player: PlayerName = "discriminator", images: int = 0) -> float:
    """What the only term in a player's loss is multiplied by, after so many images."""
    step, game = looked_at(gan, player, images=images), gan.game
    loss, output = game.loss(step, game.player(player).due(0))
    (bare,) = output.terms.values()
    return float((loss.detach() - output.loss) / bare)


def distance_from_uniform(values: Tensor) -> float:
    """Kolmogorov's distance of numbers from the uniform distribution on [0, 1]."""
    found = np.sort(values.detach().double().flatten().numpy())
    steps = np.arange(len(found) + 1) / len(found)
    return float(max(np.abs(steps[1:] - found).max(), np.abs(steps[:-1] - found).max()))
