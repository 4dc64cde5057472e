"""A step says which passes are made of it, and a player's loss is a function of it alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import points_gan
from torch import Tensor
from zoo import examples

from lightning_gan.augment import InstanceNoise
from lightning_gan.basics.randomness import Draw, Law, RandomStream, Seeds, Shard
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPDiscriminator
from lightning_gan.objectives import NonSaturating, Objective, TopK
from lightning_gan.regularizers import R1, FeatureMatching, LatentConsistency, Penalty
from lightning_gan.training.schedule import (
    PLAYERS,
    DecayCurve,
    LinearCurve,
    Moving,
    PlayerName,
    Progress,
    ValueOf,
    value_at,
)
from lightning_gan.training.step import Step

for_both_players = pytest.mark.parametrize("player", PLAYERS)

# ------------------------------------------------------------------------------- what is read


def step_in(gan: GAN, player: PlayerName) -> Step:
    """A step of which nothing has been judged yet."""
    real, labels = torch.randn(4, 2), torch.zeros(4, dtype=torch.long)
    (step,) = gan.game.steps(gan.game.player(player), real, labels, Progress())
    return step


def loss_of(gan: GAN, player: PlayerName) -> Tensor:
    step = step_in(gan, player)
    return gan.game.loss(step, gan.game.player(player).due(0))[0]


def reading(what: str) -> Callable[[Any, Step], Tensor]:
    return lambda _, step: getattr(step, what).mean()


@pytest.mark.parametrize("what", ["real_logits", "real_features"])
def test_a_term_of_the_generator_that_reads_reals_must_say_so(what: str) -> None:
    class Peeking(Penalty):
        generator_term = reading(what)

    class Reading(Peeking):
        generator_reads = ("real",)

    with pytest.raises(ConfigurationError) as caught:
        loss_of(points_gan(regularizers=[Peeking()]), "generator")
    assert str(caught.value) == (
        "A part reads the logits of real samples in the generator's update without saying so: name "
        "'real' in its generator_reads."
    )
    assert torch.isfinite(loss_of(points_gan(regularizers=[Reading()]), "generator"))
    loss_of(points_gan(regularizers=[Peeking()]), "discriminator")  # where it has no term


def test_a_generators_loss_that_reads_reals_must_say_so() -> None:
    class Peeking(NonSaturating):
        def generator_loss(self, step: Step) -> Tensor:
            return (step.fake_logits.mean() - step.real_logits.mean()).square()

    class Reading(Peeking):
        generator_reads = ("real", "fake")

    with pytest.raises(ConfigurationError, match="real samples in the generator's update wit"):
        loss_of(points_gan(Peeking()), "generator")
    assert torch.isfinite(loss_of(points_gan(Reading()), "generator"))
    assert Reading().relative
    assert not Peeking().relative


@pytest.mark.parametrize("kind", ["real", "fake"])
def test_a_discriminators_loss_must_say_what_it_reads(kind: str) -> None:
    class Forgetful(NonSaturating):
        discriminator_reads = ("fake",) if kind == "real" else ("real",)

    with pytest.raises(ConfigurationError, match=rf"of {kind} samples in the discr"):
        loss_of(points_gan(Forgetful()), "discriminator")


def test_features_are_refused_where_the_discriminator_gives_none() -> None:
    class Whole(MLPDiscriminator):
        def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
            return samples.sum(1)

    gan = points_gan(regularizers=[FeatureMatching()], discriminator=Whole(2, 0))
    with pytest.raises(ConfigurationError, match="which Whole does not give, since it defines for"):
        loss_of(gan, "generator")


class Order(NonSaturating):
    """Reads what it is told to, in that order."""

    def __init__(self, discriminator: tuple[Any, ...], generator: tuple[Any, ...]) -> None:
        super().__init__()
        self.discriminator_reads, self.generator_reads = discriminator, generator

    def discriminator_loss(self, step: Step) -> Tensor:
        return sum(getattr(step, f"{kind}_logits").mean() for kind in self.discriminator_reads)

    def generator_loss(self, step: Step) -> Tensor:
        return sum(getattr(step, f"{kind}_logits").mean() for kind in self.generator_reads)


class Late(Penalty):
    """Reads reals in the generator's update, after everybody else."""

    generator_reads = ("fake", "real")

    def generator_term(self, step: Step) -> Tensor:
        return step.real_logits.mean() - step.fake_logits.mean()


@pytest.mark.parametrize(
    ("player", "objective", "regularizers", "passes"),
    [
        ("discriminator", Order(("real", "fake"), ("fake",)), [], ["real", "fake"]),
        ("discriminator", Order(("fake", "real"), ("fake",)), [], ["fake", "real"]),
        ("generator", Order(("real", "fake"), ("fake",)), [], ["fake"]),
        ("generator", Order(("real", "fake"), ("fake",)), [Late()], ["fake", "real"]),
        ("generator", Order(("real", "fake"), ("fake", "real")), [], ["fake", "real"]),
        ("generator", Order(("real", "fake"), ("real", "fake")), [Late()], ["real", "fake"]),
    ],
)
def test_passes_are_those_that_are_read_once_each_and_in_this_order(
    player: PlayerName, objective: Objective, regularizers: list[Penalty], passes: list[str]
) -> None:
    gan = points_gan(objective, regularizers)
    step, seen = step_in(gan, player), []
    names = {id(step.real): "real", id(step.fake): "fake"}
    output = gan.discriminator.output

    def noted(samples: Tensor, labels: Tensor) -> Any:
        seen.append(names[id(samples)])
        return output(samples, labels)

    gan.discriminator.output = noted  # type: ignore[method-assign]
    gan.game.loss(step, gan.game.player(player).due(0))
    assert seen == passes


# ------------------------------------------------------------------------ a function of the step

Drawn = list[tuple[str, Tensor]]


def recording(drawn: Drawn) -> Draw:
    """Notes what is drawn."""
    random = Seeds(3).stream("update", 5, Shard(1, 0, 1), torch.zeros(1))

    def draw(law: Law, shape: tuple[int, ...]) -> Tensor:
        numbers = random.draw(law, shape)
        drawn.append((law, numbers.clone()))
        return numbers

    return draw


def replayed(drawn: Drawn) -> Draw:
    """Serves what was drawn before, without any generator."""

    def draw(law: Law, shape: tuple[int, ...]) -> Tensor:
        same, numbers = drawn.pop(0)
        assert (same, numbers.shape) == (law, shape)
        return numbers

    return draw


class Hands(Seeds):
    """Hands out streams that draw in one way."""

    def __init__(self, way: Callable[[Drawn], Draw], drawn: Drawn) -> None:
        super().__init__(3)
        self.way, self.drawn = way, drawn

    def stream(self, name: str, update: int, shard: Shard, like: Tensor) -> RandomStream:
        return RandomStream(self.way(self.drawn), shard, like.dtype)


def moving() -> GAN:
    """A model in which everything moves that can."""
    return points_gan(
        TopK(NonSaturating(), DecayCurve(0.9, images=10)),
        [
            R1(LinearCurve(1, 0, 100)),
            LatentConsistency(LinearCurve(0, 1, 80), LinearCurve(1, 0, 70)),
        ],
        augmentation=InstanceNoise(LinearCurve(0.2, 0, 100)),
    )


MODELS = examples() | {"everything moves": moving}


def outcome(gan: GAN, player: PlayerName, images: int = 40) -> list[Tensor]:
    """A player's loss, what it shows, and its gradients."""
    game, mover = gan.game, gan.game.player(player)
    random, size = torch.Generator().manual_seed(1), gan.generator.size
    real = torch.randn(8, gan.generator.channels, *(size if size[0] else ()), generator=random)
    labels = torch.arange(8) % max(gan.generator.num_classes, 1)
    optimizer = game.discriminator.make_optimizer(gan.make_optimizer["discriminator"])
    progress = Progress(images, discriminator_updates=12, generator_updates=12)
    place = 1, 3  # the middle one of three processes, so that rows are cut out
    (step,) = game.steps(mover, real, labels, progress, *place, optimizer)
    loss, output = game.loss(step, mover.due(12))
    learning = [weight for weight in mover.weights.parameters() if weight.requires_grad]
    found = torch.autograd.grad(loss, learning, allow_unused=True)
    shown = [output.loss, output.fake_logits, *output.terms.values()]
    return [loss, *shown, *(gradient for gradient in found if gradient is not None)]


@for_both_players
@pytest.mark.parametrize("name", MODELS)
def test_a_loss_is_a_function_of_the_numbers_that_it_is_served(
    name: str, player: PlayerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = MODELS[name]()
    state = {key: value.clone() for key, value in gan.state_dict().items()}
    drawn: Drawn = []
    table: dict[Moving, float] = {}

    def noting(images: int) -> ValueOf:
        def value_of(number: Moving) -> float:
            table[number] = value_at(number, images)
            return table[number]

        return value_of

    gan.game.seeds = Hands(recording, drawn)
    monkeypatch.setattr("lightning_gan.training.game.values_at", noting)
    first = outcome(gan, player)

    gan.load_state_dict(state)  # as it was before singular vectors and means moved
    gan.game.seeds = Hands(replayed, drawn)
    monkeypatch.setattr("lightning_gan.training.game.values_at", lambda images: table.__getitem__)
    before = torch.get_rng_state()
    again = outcome(gan, player)
    assert torch.equal(torch.get_rng_state(), before)
    assert drawn == []
    assert len(first) == len(again)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert torch.isfinite(first[0])


@for_both_players
def test_other_numbers_give_another_loss(player: PlayerName) -> None:
    drawn: Drawn = []
    gan = moving()
    gan.game.seeds = Hands(recording, drawn)
    outcome(gan, player)
    losses = []
    for images, change in ((40, 0.0), (60, 0.0), (40, 0.1)):
        gan = moving()
        gan.game.seeds = Hands(replayed, [(kind, numbers + change) for kind, numbers in drawn])
        losses.append(float(outcome(gan, player, images)[0].detach()))
    assert len(set(losses)) == 3


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_have_together_the_pieces_of_one(processes: int) -> None:
    game = points_gan(accumulate=2).game
    real, labels = torch.randn(12, 2), torch.arange(12)
    (first, second) = game.steps(game.generator, real, labels, Progress())
    assert first.labels.tolist() == [0, 2, 4, 6, 8, 10]
    noise = first.random.normal(3), second.random.normal(3)
    share = 12 // processes
    found: list[list[tuple[Tensor, ...]]] = [[], []]
    for rank in range(processes):
        rows = slice(rank * share, (rank + 1) * share)
        place = rank, processes
        pieces = game.steps(game.generator, real[rows], labels[rows], Progress(), *place)
        for number, step in enumerate(pieces):
            found[number].append((step.real, step.z, step.random.normal(3)))
            assert step.is_last == (number == 1)
    for step, drawn, own in zip((first, second), noise, found, strict=True):
        joined = [torch.cat(column) for column in zip(*own, strict=True)]
        assert torch.equal(joined[0], step.real)
        assert torch.equal(joined[1], step.z)
        assert joined[2].shape == drawn.shape


def test_a_batch_smaller_than_its_pieces_has_a_piece_for_each_sample() -> None:
    game = points_gan(accumulate=4).game
    steps = [*game.steps(game.generator, torch.randn(3, 2), torch.arange(3), Progress())]
    assert [step.labels.tolist() for step in steps] == [[0], [1], [2]]
    assert [step.is_last for step in steps] == [False, False, True]
