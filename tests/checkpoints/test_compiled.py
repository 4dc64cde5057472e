"""Checkpoints know nothing of torch.compile, whatever was compiled, and how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import Points, points_gan, quiet_trainer
from torch import nn

from lightning_gan import GAN, load
from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import NonSaturating
from lightning_gan.training import compiled as training_compiled

# Torch looks for the gradient of what a compiled network is given, and hides its own warning.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")  # type: ignore[return-value]


def generator_after() -> GAN:
    gan = points_gan()
    gan.generator = compiled(gan.generator)  # type: ignore[assignment]
    return gan


def discriminator_after() -> GAN:
    gan = points_gan()
    gan.discriminator = compiled(gan.discriminator)  # type: ignore[assignment]
    return gan


def both_given() -> GAN:
    torch.manual_seed(3)
    generator = compiled(MLPGenerator(2, 0, width=8, depth=2))
    discriminator = compiled(MLPDiscriminator(2, 0, width=8, depth=2))
    return GAN(generator, discriminator, objective=NonSaturating())  # type: ignore[arg-type]


def average() -> GAN:
    gan = points_gan()
    gan.generator_ema = compiled(gan.generator_ema)  # type: ignore[assignment]
    return gan


def in_place() -> GAN:
    gan = points_gan()
    gan.generator.compile(backend="eager")
    return gan


def deep_inside() -> GAN:
    gan = points_gan()
    inside = next(
        name for name, child in gan.generator.named_children() if len([*child.parameters()])
    )
    setattr(gan.generator, inside, compiled(getattr(gan.generator, inside)))
    return gan


def updates() -> GAN:
    return points_gan(compile=True)


WAYS = [generator_after, discriminator_after, both_given, average, in_place, deep_inside, updates]


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """What compiles updates leaves every operator as it is."""
    monkeypatch.setattr(training_compiled, "BACKEND", "aot_eager")


def train(gan: GAN, folder: Path, images: int, resume: Path | None = None) -> Path:
    gan.max_images = images
    trainer = quiet_trainer(folder, callbacks=[LastCheckpoint()])
    trainer.fit(gan, Points(8), ckpt_path=resume, weights_only=True)
    return folder / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of a training in which nothing was compiled."""
    path = train(points_gan(), tmp_path_factory.mktemp("plain"), 48)
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


@pytest.mark.parametrize("make", WAYS)
def test_what_was_compiled_saves_loads_and_goes_on_as_if_it_were_not(
    make: Callable[[], GAN], plain: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    half = train(make(), tmp_path / "half", 24)
    started = train(points_gan(), tmp_path / "started", 24)
    ways = ((make(), half), (points_gan(), half), (make(), started))
    for number, (resumed, first) in enumerate(ways):
        path = train(resumed, tmp_path / str(number), 48, first)
        content = torch.load(path, weights_only=True)
        assert content["state_dict"].keys() == plain.keys()
        for name, weight in plain.items():
            assert torch.equal(content["state_dict"][name], weight)
    assert load(half).sample(3, seed=1).shape == (3, 2)


def test_a_compiled_network_computes_compiled(tmp_path: Path) -> None:
    calls = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        calls.append(len(inputs))
        return graph.forward

    gan = points_gan()
    gan.generator = torch.compile(gan.generator, backend=backend)  # type: ignore[assignment]
    train(gan, tmp_path, 8)
    assert calls
    assert isinstance(gan.generator, MLPGenerator)


def test_a_warm_start_fills_compiled_networks(tmp_path: Path) -> None:
    path = train(points_gan(), tmp_path, 24)
    gan = deep_inside()
    gan.warm_start, gan.max_images = str(path), 8
    gan.progress.images = 0
    quiet_trainer(tmp_path).fit(gan, Points(8))
    assert gan.progress.images == 8
