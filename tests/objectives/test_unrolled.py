"""Unrolled: the generator faces the discriminator as it will be, and so do the steps ahead."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from optimizer_rules import RULES, for_every_rule, same, state
from tiny import NormedDiscriminator, composition, fit, points_gan, step_of
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import Discriminator, Generator, MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
    Unrolled,
    Wasserstein,
)
from lightning_gan.regularizers import R1, SpectralNormalization
from lightning_gan.training.game import Game
from lightning_gan.training.schedule import PLAYERS, PlayerName, Progress
from lightning_gan.training.step import Step

SMOOTH: list[Objective] = [Minimax(), NonSaturating(0.9), LeastSquares(), Wasserstein()]
for_smooth_objectives = pytest.mark.parametrize("objective", SMOOTH, ids=repr)


class Theta(Generator):
    """Makes one number, its weight, of every latent."""

    def __init__(self, theta: float) -> None:
        super().__init__(1, 1, 0)
        self.theta = nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return self.theta.expand(len(z), 1)


class Phi(Discriminator):
    """Multiplies a number by minus its weight."""

    def __init__(self, phi: float) -> None:
        super().__init__(1, 0)
        self.phi = nn.Parameter(torch.tensor(phi, dtype=torch.float64))

    def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
        return -self.phi * samples[:, 0]


def facing(
    generator: Generator,
    discriminator: Discriminator,
    optimizer: Optimizer | None,
    real: Tensor,
    z: Tensor,
) -> Step:
    """What a generator sees in its update."""
    return step_of(
        real,
        generator(z, torch.zeros(len(z), dtype=torch.long)),
        discriminator.output,
        player="generator",
        generator=generator,
        discriminator=discriminator,
        discriminator_optimizer=optimizer,
        reads=(),
    )


def loss_of(objective: Objective, step: Step, player: PlayerName = "generator") -> Tensor:
    """A player's loss, with the passes through the discriminator that it asks for."""
    loss: Tensor = getattr(objective, f"{player}_loss")(
        step.judged(*getattr(objective, f"{player}_reads"))
    )
    return loss


class Pair:
    """Two perceptrons in double precision, with data and the discriminator's optimizer."""

    def __init__(self, rule: str, discriminator: Discriminator | None = None) -> None:
        torch.manual_seed(1)
        judge = discriminator or MLPDiscriminator(2, 0, width=5, depth=2)
        self.generator = MLPGenerator(2, 0, width=4, depth=1).double()
        self.discriminator = judge.double()
        self.real = torch.randn(6, 2, dtype=torch.float64)
        self.z = torch.randn(6, 2, dtype=torch.float64)
        self.optimizer = RULES[rule](self.discriminator.parameters())

    def step(self) -> Step:
        return facing(self.generator, self.discriminator, self.optimizer, self.real, self.z)

    def train(self, objective: Objective, steps: int) -> None:
        """Moves the discriminator by its own optimizer."""
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss_of(objective, self.step(), "discriminator").backward()
            self.optimizer.step()
        self.generator.zero_grad(), self.discriminator.zero_grad()

    def gradient(self, objective: Objective) -> list[Tensor]:
        """Of the generator's loss, by its weights."""
        loss = loss_of(objective, self.step())
        found = torch.autograd.grad(loss, list(self.generator.parameters()))
        return list(found)


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 10])
@pytest.mark.parametrize("first_order", [False, True])
def test_in_the_bilinear_game_the_gradient_has_the_closed_form(
    steps: int, first_order: bool
) -> None:
    # U_K = theta (phi + K eta theta), by theta: phi + 2 K eta theta; at first order with K for 2 K
    theta, phi, eta = 0.7, -1.3, 0.2
    generator, discriminator = Theta(theta), Phi(phi)
    optimizer = SGD(discriminator.parameters(), lr=eta)
    zeros = torch.zeros(3, 1, dtype=torch.float64)
    unrolled = Unrolled(Wasserstein(), steps, first_order=first_order)
    loss = loss_of(unrolled, facing(generator, discriminator, optimizer, zeros, zeros))
    (gradient,) = torch.autograd.grad(loss, generator.theta)
    assert loss.item() == pytest.approx(theta * (phi + steps * eta * theta), rel=1e-12)
    expected = phi + (1 if first_order else 2) * steps * eta * theta
    assert gradient.item() == pytest.approx(expected, rel=1e-12)
    assert discriminator.phi.item() == phi


@for_smooth_objectives
def test_no_step_ahead_is_minus_the_discriminators_loss(objective: Objective) -> None:
    pair = Pair("adam")
    loss = loss_of(Unrolled(objective, steps=0), pair.step())
    assert torch.equal(loss, -loss_of(objective, pair.step(), "discriminator"))
    # of which the generator feels the term of fakes only
    minus = pair.gradient(Unrolled(objective, steps=0))
    term = replace(pair.step(), real=torch.zeros_like(pair.real))
    plain = torch.autograd.grad(
        -loss_of(objective, term, "discriminator"), list(pair.generator.parameters())
    )
    assert all(torch.allclose(a, b, rtol=1e-12) for a, b in zip(minus, plain, strict=True))


@for_smooth_objectives
def test_no_step_ahead_and_the_own_loss_is_the_plain_game(objective: Objective) -> None:
    pair = Pair("adam")
    unrolled = Unrolled(objective, steps=0, whole=False)
    assert same(pair.gradient(unrolled), pair.gradient(objective))


def test_no_step_ahead_needs_no_optimizer() -> None:
    step = replace(Pair("adam").step(), discriminator_optimizer=None)
    assert torch.isfinite(loss_of(Unrolled(Hinge(), steps=0), step))


@for_every_rule
@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("objective", [NonSaturating(0.9), LeastSquares(), Hinge()], ids=repr)
def test_the_steps_ahead_are_those_that_the_optimizer_would_take(
    rule: str, before: int, objective: Objective
) -> None:
    pair = Pair(rule)
    pair.train(objective, before)
    for whole in (True, False):
        loss = loss_of(Unrolled(objective, 4, whole=whole), pair.step())
        again = loss_of(Unrolled(objective, 4, whole=whole, first_order=True), pair.step())
        moved = copy.deepcopy(pair)
        moved.train(objective, 4)
        future = loss_of(objective, moved.step())
        if whole:
            future = -loss_of(objective, moved.step(), "discriminator")
        assert abs((loss - future).item()) < 1e-12
        assert abs((again - future).item()) < 1e-12
    present = loss_of(objective, pair.step(), "discriminator")
    assert abs((present - loss_of(objective, moved.step(), "discriminator")).item()) > 1e-3


@for_every_rule
@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("whole", [True, False])
def test_the_gradient_equals_finite_differences(rule: str, before: int, whole: bool) -> None:
    pair, objective = Pair(rule), NonSaturating(0.9)
    pair.train(objective, before)
    unrolled, step = Unrolled(objective, 3, whole=whole), 1e-6
    found = pair.gradient(unrolled)
    size = max(float(gradient.abs().max()) for gradient in found)
    surrogate = pair.gradient(Unrolled(objective, 3, whole=whole, first_order=True))
    apart = 0.0
    for weight, gradient, first in zip(pair.generator.parameters(), found, surrogate, strict=True):
        flat = weight.detach().view(-1)
        for place in range(len(flat)):
            ends = []
            for side in (step, -2 * step):
                flat[place] += side
                ends.append(loss_of(unrolled, pair.step()).item())
            flat[place] += step
            slope = (ends[0] - ends[1]) / (2 * step)
            assert gradient.view(-1)[place].item() == pytest.approx(slope, abs=1e-5 * size)
        apart = max(apart, float((gradient - first).abs().max()))
    assert apart > 1e-3 * size


class Unevenly(MLPDiscriminator):
    """Has a layer that nothing passes through."""

    def __init__(self) -> None:
        super().__init__(2, 0, width=4, depth=1)
        self.unused = nn.Linear(2, 2)


def spectral() -> Discriminator:
    judge = MLPDiscriminator(2, 0, width=4, depth=2)
    SpectralNormalization().attach(MLPGenerator(2, 0), judge, None)
    return judge


JUDGES: dict[str, Callable[[], Discriminator]] = {
    "plain": lambda: MLPDiscriminator(2, 0, width=4, depth=2),
    "batch norm": lambda: NormedDiscriminator("batch"),
    "layer norm": lambda: NormedDiscriminator("layer"),
    "spectral norm": spectral,
    "an unused layer": Unevenly,
}


@for_every_rule
@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("first_order", [False, True])
def test_looking_ahead_leaves_weights_statistics_and_optimizer_as_they_are(
    rule: str, judge: str, first_order: bool
) -> None:
    pair = Pair(rule, JUDGES[judge]())
    pair.train(Hinge(), 2)
    before = state(pair.discriminator, pair.optimizer)
    assert pair.discriminator.training
    unrolled = Unrolled(Hinge(), 3, first_order=first_order)
    loss_of(unrolled, pair.step()).backward()
    assert same(before, state(pair.discriminator, pair.optimizer))
    assert all(weight.grad is None for weight in pair.discriminator.parameters())
    gradients = [weight.grad for weight in pair.generator.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert any(g is not None and g.any() for g in gradients)


def test_what_the_optimizer_does_not_move_rests() -> None:
    pair = Pair("descent")
    frozen = pair.discriminator.layers[1]  # type: ignore[index]
    frozen.requires_grad_(False)
    pair.optimizer = SGD([p for p in pair.discriminator.parameters() if p.requires_grad], lr=0.3)
    loss = loss_of(Unrolled(NonSaturating(), 3), pair.step())
    moved = copy.deepcopy(pair)
    moved.train(NonSaturating(), 3)
    expected = -loss_of(NonSaturating(), moved.step(), "discriminator")
    assert abs((loss - expected).item()) < 1e-12
    assert same(moved.discriminator.layers[1].state_dict(), frozen.state_dict())  # type: ignore[index]


def test_adam_ahead_has_a_finite_gradient_where_a_weight_gets_none() -> None:
    # the root of zero has no slope
    pair = Pair("adam", Unevenly())
    for objective in (NonSaturating(), Hinge()):
        pair.z.zero_()
        assert all(torch.isfinite(g).all() for g in pair.gradient(Unrolled(objective, 2)))


def test_penalties_are_not_foreseen_but_act_on_the_ordinary_step() -> None:
    losses = {}
    for name, regularizers in (("plain", []), ("penalised", [R1(10.0)])):
        torch.manual_seed(0)
        parts = composition(objective=Unrolled(Minimax(), 3), regularizers=regularizers)
        optimizer = SGD(parts.discriminator.parameters(), lr=0.3)
        game, real = Game(parts), torch.randn(4, 2)
        labels = torch.zeros(4, dtype=torch.long)
        for player in PLAYERS:
            mover = game.player(player)
            (step,) = game.steps(mover, real, labels, Progress(), discriminator_optimizer=optimizer)
            losses[name, player] = game.loss(step, mover.due(0))[0].item()
    assert losses["plain", "generator"] == losses["penalised", "generator"]
    assert losses["plain", "discriminator"] < losses["penalised", "discriminator"]


def test_the_generators_step_leaves_the_discriminator_where_its_own_step_put_it() -> None:
    ends = [
        dict(fit(points_gan(objective), 1).discriminator.state_dict())
        for objective in (Unrolled(NonSaturating(), 5), NonSaturating())
    ]
    assert same(ends[0], ends[1])


def test_steps_ahead_need_the_optimizer() -> None:
    step = replace(Pair("adam").step(), discriminator_optimizer=None)
    with pytest.raises(ConfigurationError, match=r"pass it to Game\.steps"):
        loss_of(Unrolled(Hinge(), 1), step)


def test_there_are_no_steps_back() -> None:
    with pytest.raises(ConfigurationError, match="steps=-1 must be at least 0"):
        Unrolled(NonSaturating(), steps=-1)
