"""Compiled updates: one graph for each kind, equal to what is not compiled, and never made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Points, points_gan, quiet_trainer
from torch import Tensor
from torch._dynamo.backends.debugging import aot_eager
from zoo import examples, own

from lightning_gan import GAN
from lightning_gan.augment import Augmentation, InstanceNoise
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import Discriminator, Generator, MLPDiscriminator
from lightning_gan.objectives import NonSaturating, TopK, Unrolled
from lightning_gan.regularizers import (
    R1,
    LatentConsistency,
    Penalty,
    Regularizer,
    SpectralNormalization,
)
from lightning_gan.training import compiled, composition
from lightning_gan.training.compiled import CompiledGame
from lightning_gan.training.game import Game
from lightning_gan.training.schedule import PLAYERS, DecayCurve, LinearCurve, Progress
from lightning_gan.training.step import Step

# Torch looks for the gradient of what a compiled network is given, and hides its own warning.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")

EXAMPLES = examples()
PARTS = [
    kind.__name__
    for base in (Generator, Discriminator, Regularizer, Augmentation)
    for kind in own(base)
]
LOOKS_ACROSS = ["TopK", "BEGAN", "EBGAN", "MultiHinge", "DualContrastive", "RelativisticPairing"]
NAMED = [name for name in EXAMPLES if " " in name]

DAILY = {
    *("DCGANGenerator", "R3GANGenerator", "StyleGAN2Generator", "MLPDiscriminator"),
    *("ResNetDiscriminator", "AuxiliaryClassifier", "InfoGAN", "LatentOptimisation", "Consistency"),
    *("GradientPenalty", "R1", "LeCam", "SpectralNormalization", "DiffAugment", "Packed"),
    *("RelativisticPairing", "a head under spectral norm"),
}
"""One of each kind; the others are compiled once a week, for each takes five to thirty seconds."""


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The sizes of the graphs that are compiled, by a compiler that leaves the operators alone."""
    found: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        found.append(len(graph.graph.nodes))
        made: Callable[..., Any] = aot_eager(graph, inputs)
        return made

    monkeypatch.setattr(compiled, "BACKEND", backend)
    yield found
    torch.compiler.reset()


class Loop:
    """A plain loop over updates of both players."""

    def __init__(self, gan: GAN, game: Game) -> None:
        self.gan, self.game, self.progress = gan, game, Progress()
        self.random = torch.Generator().manual_seed(1)
        self.losses: list[Tensor] = []
        moved = {n: [*game.player(n).weights.parameters()] for n in PLAYERS}
        self.weights = {n: [w for w in moved[n] if w.requires_grad] for n in PLAYERS}
        makers = gan.make_optimizer
        self.optimizers = {n: game.player(n).make_optimizer(makers[n]) for n in PLAYERS}

    def batch(self, images: int = 8) -> None:
        """One batch, after which so many images more have been seen."""
        size, classes = self.gan.generator.size, max(self.gan.generator.num_classes, 1)
        shape = 8, self.gan.generator.channels, *(size if size[0] else ())
        real, labels = torch.rand(shape, generator=self.random) * 2 - 1, torch.arange(8) % classes
        for name in PLAYERS:
            for other in PLAYERS:
                for weight in self.weights[other]:
                    weight.requires_grad_(other == name)
            self._update(name, real, labels)
        self.progress.count_batch(images)

    def _update(self, name: Any, real: Tensor, labels: Tensor) -> None:
        player, optimizer = self.game.player(name), self.optimizers[name]
        optimizer.zero_grad()
        (step,) = self.game.steps(player, real, labels, self.progress)
        loss, output = self.game.loss(step, player.due(self.progress.updates(name)))
        loss.backward()
        optimizer.step()
        self.progress.count_update(name)
        self.game.observe(step, [output])
        self.losses += [loss.detach(), output.loss, output.fake_logits, *output.terms.values()]

    def state(self) -> list[Tensor]:
        return [*self.losses, *self.gan.state_dict().values()]


def both(make: Callable[[], GAN]) -> tuple[Loop, Loop]:
    """A loop that is not compiled, and one that is."""
    plain, other = make(), make()
    return Loop(plain, plain.game), Loop(other, CompiledGame(other.game.parts))


def far_apart(plain: Loop, other: Loop) -> float:
    """The largest difference of anything shown or learned."""
    pairs = zip(plain.state(), other.state(), strict=True)
    return max(float((one.double() - two).abs().max()) for one, two in pairs if one.numel())


MARKED = [
    pytest.param(name, marks=() if name in DAILY else pytest.mark.weekly)
    for name in [*PARTS, *LOOKS_ACROSS, *NAMED]
]


@pytest.mark.parametrize("name", MARKED)
def test_updates_are_one_graph_a_kind_and_compute_what_they_do_uncompiled(
    name: str, graphs: list[int]
) -> None:
    plain, other = both(EXAMPLES[name])
    for _ in range(2):  # a lazy penalty is due at the first update, and not at the second
        plain.batch()
        other.batch()
    warm = len(graphs)
    assert isinstance(other.game, CompiledGame)
    assert warm == len(other.game._kinds) >= 2
    plain.batch()
    other.batch()
    assert len(graphs) == warm
    # In points every bit is the same; gradients of convolutions are added up in another order.
    assert far_apart(plain, other) <= (1e-6 if plain.gan.generator.image_size else 0)


def moving() -> GAN:
    """A model in which everything moves that can."""
    return points_gan(
        NonSaturating(),
        [
            R1(LinearCurve(1, 0, 100)),
            LatentConsistency(LinearCurve(0.1, 1, 80), LinearCurve(1, 0, 70)),
        ],
        augmentation=InstanceNoise(LinearCurve(0.2, 0, 100)),
    )


def test_numbers_that_move_are_read_at_each_update(graphs: list[int]) -> None:
    plain, other = both(moving)
    for images in (10, 20, 30):
        plain.batch(images)
        other.batch(images)
    assert len(graphs) == 2
    assert far_apart(plain, other) == 0
    fixed = Loop(gan := moving(), CompiledGame(gan.game.parts))
    for _ in range(3):
        fixed.batch(0)
    assert far_apart(fixed, other) > 1e-3
    # What is at its end at zero is left out: that is another kind.
    for _ in range(2):
        plain.batch(40)
        other.batch(40)
    assert far_apart(plain, other) == 0
    assert len(graphs) > 4


def test_a_rate_that_moves_is_read_at_each_update(graphs: list[int], tmp_path: Path) -> None:
    found = []
    for compile_it in (False, True):
        rate = LinearCurve(1, 0, 48)
        gan = points_gan(regularizers=[R1()], learning_rate=rate, compile=compile_it, max_images=40)
        quiet_trainer(tmp_path).fit(gan, Points(8))
        found.append(gan.state_dict())
    assert len(graphs) == 2
    assert all(torch.equal(one, two) for one, two in zip(*(f.values() for f in found), strict=True))


def test_autocast_is_part_of_the_graph(graphs: list[int], tmp_path: Path) -> None:
    found = []
    for compile_it in (False, True):
        gan = points_gan(regularizers=[R1()], compile=compile_it, max_images=24)
        quiet_trainer(tmp_path, precision="bf16-mixed").fit(gan, Points(8))
        found.append(gan.state_dict())
    assert len(graphs) == 2
    for one, two in zip(*(state.values() for state in found), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-3)  # rates are below a thousandth


def test_pieces_of_a_batch_add_up(graphs: list[int], tmp_path: Path) -> None:
    found = []
    for compile_it in (False, True):
        gan = points_gan(regularizers=[R1()], accumulate=2, compile=compile_it, max_images=24)
        quiet_trainer(tmp_path).fit(gan, Points(8))
        found.append(gan.state_dict())
    assert len(graphs) == 4  # where its rows lie in the batch is what makes a piece
    assert all(torch.equal(one, two) for one, two in zip(*(f.values() for f in found), strict=True))


@pytest.mark.weekly
@pytest.mark.filterwarnings("ignore:The distutils package:DeprecationWarning")  # the compiler's own
def test_the_default_compiler_learns_what_is_learned_without_it(tmp_path: Path) -> None:
    found = []
    for compile_it in (False, True):
        gan = points_gan(regularizers=[R1()], compile=compile_it, max_images=24)
        quiet_trainer(tmp_path).fit(gan, Points(8))
        found.append(gan.state_dict())
    for one, two in zip(*(state.values() for state in found), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


class Branching(Penalty):
    """A term whose form depends on numbers."""

    def discriminator_term(self, step: Step) -> Tensor:
        return step.real_logits.square().mean() if step.real.sum() > 0 else step.real_logits.mean()


def test_a_part_that_cannot_be_traced_is_named_in_words(graphs: list[int]) -> None:
    gan = points_gan(regularizers=[Branching()], compile=True)
    with pytest.raises(ConfigurationError, match=r"cannot compile this model .*leave compile out"):
        Loop(gan, gan.game).batch()


REFUSED: dict[str, Callable[[], GAN]] = {
    "foresees the steps of an optimizer": lambda: points_gan(
        Unrolled(NonSaturating()), compile=True
    ),
    "takes another number of samples": lambda: points_gan(
        TopK(NonSaturating(), DecayCurve(0.9, images=10)), compile=True
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_compiled_is_refused_when_the_model_is_built(reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{reason}.*leave compile out"):
        REFUSED[reason]()


def test_an_older_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "TRACES_GRADIENTS", "99.0")
    gan = points_gan(compile=True)  # as a checkpoint's, which samples anywhere
    assert gan.sample(2).shape == (2, 2)
    with pytest.raises(ConfigurationError, match=r"compile needs torch 99\.0 or newer"):
        gan.game.parts.check_training("32-true")


def test_other_processes_and_16_bits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = points_gan(compile=True).game.parts
    parts.check_training("bf16-mixed")
    with pytest.raises(ConfigurationError, match="before 16-mixed could scale the loss"):
        parts.check_training("16-mixed")
    monkeypatch.setattr(composition.processes, "world_size", lambda: 2)
    with pytest.raises(ConfigurationError, match="other processes"):
        parts.check_training("32-true")


# --------------------------------------------------------------- a discriminator compiled by itself


@pytest.mark.parametrize("by", ["itself", "a wrapper"])
def test_a_compiled_discriminator_judges_compiled(by: str, tmp_path: Path) -> None:
    calls = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        def counted(*tensors: Tensor) -> Any:
            calls.append(len(tensors))
            return graph.forward(*tensors)

        return counted

    gan = points_gan(max_images=24)
    if by == "itself":
        gan.discriminator.compile(backend=backend)
    else:
        wrapper: Any = torch.compile(gan.discriminator, backend=backend)
        gan.discriminator = wrapper
    quiet_trainer(tmp_path).fit(gan, Points(8))
    assert len(calls) >= 9  # reals and fakes of three updates, and fakes of three others
    plain = points_gan(max_images=24)
    quiet_trainer(tmp_path).fit(plain, Points(8))
    for name, weight in plain.state_dict().items():
        assert torch.equal(gan.state_dict()[name], weight)


def test_a_copy_of_a_compiled_discriminator_judges_by_its_own_weights() -> None:
    network = MLPDiscriminator(2, 0, width=8)
    network.compile(backend="eager")
    other = deepcopy(network)
    with torch.no_grad():
        other.head.bias.add_(1)
    points, labels = torch.randn(4, 2), torch.zeros(4, dtype=torch.long)
    difference = other.output(points, labels).logits - network.output(points, labels).logits
    torch.testing.assert_close(difference, torch.ones(4))


def test_a_discriminator_compiled_by_itself_refuses_what_would_fail() -> None:
    gan = points_gan(regularizers=[R1()])
    gan.discriminator.compile(backend="eager")
    with pytest.raises(ConfigurationError, match=r"R1 differentiates a gradient.*compile=True"):
        gan.game.parts.check_training("32-true")
    gan = points_gan(regularizers=[SpectralNormalization()])
    gan.discriminator.compile(backend="eager")
    with pytest.raises(ConfigurationError, match=r"Spectral norm moves.*compile=True"):
        gan.game.parts.check_training("32-true")
