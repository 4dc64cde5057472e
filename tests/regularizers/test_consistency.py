"""Consistency under changes of the sample and of the latent, and latents that move first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import (
    distance,
    fit,
    looked_at,
    picture_gan,
    points_gan,
    random_for,
    step_of,
    term,
    weights,
)
from torch import Tensor, nn
from zoo import Styled

from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    Generator,
    MLPDiscriminator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from lightning_gan.objectives import NonSaturating
from lightning_gan.regularizers import Consistency, LatentConsistency, LatentOptimisation
from lightning_gan.regularizers.consistency import flipped_and_shifted
from lightning_gan.training.latents import UniformPrior
from lightning_gan.training.schedule import PLAYERS, Progress
from lightning_gan.training.step import Step

# ------------------------------------------------------------------ mirrored and shifted images


def variants(image: np.ndarray) -> dict[tuple[bool, int, int], np.ndarray]:
    """Everything that an image (C, H, W) may become, by mirror and shift."""
    height, width = image.shape[1:]
    down, right = height // 8, width // 8
    found = {}
    for mirrored in (False, True):
        source = image[:, :, ::-1] if mirrored else image
        padded = np.pad(source, ((0, 0), (down, down), (right, right)), mode="reflect")
        for i in range(2 * down + 1):
            for j in range(2 * right + 1):
                found[mirrored, i, j] = padded[:, i : i + height, j : j + width]
    return found


@pytest.mark.parametrize(("size", "kinds"), [((8, 8), 18), ((8, 16), 30), ((6, 6), 2)])
def test_images_are_mirrored_and_shifted_by_up_to_an_eighth_equally_often(
    size: tuple[int, int], kinds: int
) -> None:
    image = torch.rand(2, *size)
    images = image.expand(200 * kinds, 2, *size)
    found = flipped_and_shifted(images, random_for(images)).numpy()
    expected = np.stack(list(variants(image.numpy()).values()))
    same = (found[:, None] == expected[None]).all(axis=(2, 3, 4))
    assert (same.sum(axis=1) == 1).all()
    counts = same.sum(axis=0)
    assert len(counts) == kinds
    chi_squared = float(((counts - 200) ** 2 / 200).sum())
    assert chi_squared < kinds - 1 + 4 * (2 * (kinds - 1)) ** 0.5


def small_critic() -> nn.Sequential:
    torch.manual_seed(2)
    layers = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 36, 1))
    return layers.double()


def pictures(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 8, 8, dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("fakes", [False, True])
def test_consistency_vanishes_where_the_change_does_nothing(fakes: bool) -> None:
    critic = small_critic()
    flat = torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None, None, None].expand(6, 1, 8, 8)
    step = step_of(flat, flat / 2, lambda x, _: critic(x)[:, 0])
    assert term(Consistency(fakes=fakes), step) == pytest.approx(0, abs=1e-25)
    small = torch.rand(2, 6, 1, 5, 5, dtype=torch.float64)  # only mirrored
    invariant = step_of(*small, lambda x, _: x.sum((1, 2, 3)) + x.flatten(1).max(1).values)
    assert term(Consistency(fakes=fakes), invariant) == pytest.approx(0, abs=1e-25)


@pytest.mark.parametrize("fakes", [False, True])
def test_consistency_is_the_mean_squared_change_of_the_logit_with_a_gradient_on_both_sides(
    fakes: bool,
) -> None:
    critic, seen = small_critic(), []

    def score(samples: Tensor, labels: Tensor) -> Tensor:
        seen.append(samples.detach())
        logits: Tensor = critic(samples)[:, 0]
        return logits

    real, fake = pictures(), pictures()
    found = Consistency(fakes=fakes).discriminator_term(step_of(real, fake, score))
    changed = [images for images in seen if not torch.equal(images, real)]
    changed = [images for images in changed if not torch.equal(images, fake)]
    expected = torch.tensor(0.0, dtype=torch.float64)
    for images, others in zip((real, fake)[: len(changed)], changed, strict=True):
        for one, other in zip(images, others, strict=True):
            assert any((other.numpy() == v).all() for v in variants(one.numpy()).values())
            difference = critic(one[None]) - critic(other[None])
            expected = expected + difference.square().sum() / len(real)
    assert len(changed) == (2 if fakes else 1)
    assert torch.allclose(found, expected, rtol=1e-12)
    parameters = list(critic.parameters())[:3]  # the last one is a constant of the logit
    ours, theirs = (torch.autograd.grad(t, parameters) for t in (found, expected))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=1e-9)


def test_consistency_teaches_the_discriminator_and_not_the_generator() -> None:
    gan = picture_gan(regularizers=[Consistency(fakes=True)])
    step = looked_at(gan, "discriminator")
    found = Consistency(fakes=True).discriminator_term(step)
    by = [*gan.generator.parameters(), gan.discriminator.head.weight]
    *by_generator, by_head = torch.autograd.grad(found, by, allow_unused=True)
    assert by_generator == [None] * len(by_generator)
    assert by_head is not None
    assert by_head.abs().sum() > 0


# -------------------------------------------------------------------------- changes of the latent


class Linear(Generator):
    """A linear generator."""

    def __init__(self) -> None:
        super().__init__(2, 3, 0)
        self.matrix = nn.Parameter(torch.randn(2, 3, dtype=torch.float64))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return z @ self.matrix


def linear_game(player: Any, count: int = 5000) -> tuple[Step, Linear, Tensor]:
    generator, weight = Linear(), torch.randn(3, dtype=torch.float64, requires_grad=True)
    z = torch.randn(count, 2, dtype=torch.float64)
    labels = torch.zeros(count, dtype=torch.long)
    step = step_of(
        torch.randn(count, 3, dtype=torch.float64),
        generator(z, labels),
        lambda x, _: x @ weight,
        labels=labels,
        z=z,
        player=player,
        generator=generator,
    )
    return step, generator, weight


def test_near_latents_of_a_linear_pair_differ_by_what_their_matrices_say() -> None:
    sigma = 0.05
    step, generator, weight = linear_game("discriminator")
    slope = (generator.matrix @ weight).detach().numpy()
    expected = sigma**2 * float(slope @ slope)
    assert term(LatentConsistency(sigma=sigma), step) == pytest.approx(expected, rel=0.1)
    step, generator, _ = linear_game("generator")
    # the mean over 3 coordinates; minus, so that distance is rewarded
    expected = -(sigma**2) * float(generator.matrix.detach().square().sum()) / 3
    found = term(LatentConsistency(sigma=sigma), step, "generator")
    assert found == pytest.approx(expected, rel=0.1)
    delta = sigma * random_for(step.z).normal(2)  # with the same changes, exactly
    exact = -(delta @ generator.matrix.detach()).square().mean()
    assert found == pytest.approx(float(exact), rel=1e-9)


def test_latents_that_do_not_change_cost_nothing() -> None:
    for player in ("discriminator", "generator"):
        step, *_ = linear_game(player, 6)
        assert term(LatentConsistency(sigma=0), step, player) == 0  # type: ignore[arg-type]


def test_near_latents_teach_the_discriminator_to_agree_and_the_generator_to_differ() -> None:
    step, _, weight = linear_game("discriminator")
    found = LatentConsistency().discriminator_term(step)
    (by_weight,) = torch.autograd.grad(found, weight)
    assert (by_weight * weight).sum() > 0  # a smaller slope costs less
    step, generator, _ = linear_game("generator")
    found = LatentConsistency().generator_term(step)
    (by_matrix,) = torch.autograd.grad(found, generator.matrix)
    assert (by_matrix * generator.matrix).sum() < 0  # a larger matrix costs less


def test_the_discriminators_term_makes_its_second_fakes_without_a_graph() -> None:
    gan = points_gan(regularizers=[LatentConsistency()])
    step = looked_at(gan, "discriminator")
    found = LatentConsistency().discriminator_term(step)
    by = torch.autograd.grad(found, list(gan.generator.parameters()), allow_unused=True)
    assert by == (None,) * len(by)


def test_samples_of_fewer_latents_need_the_stream_of_their_rows() -> None:
    gan = points_gan(generator=Styled(), discriminator=MLPDiscriminator(1, 8, 8))
    for player in PLAYERS:
        step = looked_at(gan, player)
        assert step.generate(step.z).requires_grad == (player == "generator")
        few = replace(step, labels=step.labels[:3])
        with pytest.raises(ConfigurationError, match="3 rows and its random numbers are for 8"):
            few.generate(step.z[:3])
        replace(few, random=step.random.subset(slice(3))).generate(step.z[:3])


# ------------------------------------------------------------------------------ latents that move

SLOPE = torch.tensor([0.3, 0.4], dtype=torch.float64)


def moved(
    regularizer: LatentOptimisation, z: Tensor, logits: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    found: Tensor = regularizer.move_latents(z, logits or (lambda z: z @ SLOPE), random_for(z))
    return found.detach()


def test_a_linear_game_moves_latents_by_the_closed_form() -> None:
    # 0.9 w / (0.1 + |w|^2) with |w| = 1/2
    z = torch.tensor([[0.0, 0.0], [0.1, -0.2]], dtype=torch.float64)
    way = torch.tensor([0.7714, 1.0286], dtype=torch.float64)
    free = moved(LatentOptimisation(share=1, clip=None), z)
    assert torch.allclose(free, z + way, atol=5e-5)
    clipped = moved(LatentOptimisation(share=1), z)
    assert torch.allclose(clipped, (z + way).clamp(-1, 1), atol=5e-5)
    assert clipped[0, 1] == 1


def test_each_latent_moves_by_its_own_gradient() -> None:
    hidden, out = torch.randn(2, 8, dtype=torch.float64), torch.randn(8, dtype=torch.float64)

    def logits(z: Tensor) -> Tensor:
        return torch.tanh(z @ hidden) @ out

    z = torch.randn(16, 2, dtype=torch.float64)
    found = moved(LatentOptimisation(share=1, clip=None, step=0.5, damping=0.3), z, logits)
    for i in range(16):
        tanh = np.tanh(z[i].numpy() @ hidden.numpy())
        g = hidden.numpy() @ ((1 - tanh**2) * out.numpy())
        expected = z[i].numpy() + 0.5 * g / (0.3 + g @ g)
        assert found[i].numpy() == pytest.approx(expected, rel=1e-9)


def test_a_share_of_the_latents_moves_whole_and_the_rest_stays() -> None:
    z = torch.zeros(4000, 2, dtype=torch.float64)
    change = moved(LatentOptimisation(clip=None), z) != 0
    assert torch.equal(change[:, 0], change[:, 1])
    assert float(change[:, 0].double().mean()) == pytest.approx(0.8, abs=0.025)


def test_one_inner_step_is_made() -> None:
    # StudioGAN's loop makes one step for any number that is asked for, and none for 1
    calls = []

    def logits(z: Tensor) -> Tensor:
        calls.append(len(z))
        return z @ SLOPE

    z = torch.zeros(3, 2, dtype=torch.float64)
    once = moved(LatentOptimisation(share=1, clip=None), z, logits)
    assert calls == [3]
    assert torch.allclose(once, (0.9 / 0.35 * SLOPE).expand(3, 2))


def test_no_latent_that_moves_is_the_plain_game_bit_for_bit() -> None:
    still = fit(points_gan(prior=UniformPrior(), regularizers=[LatentOptimisation(share=0)]), 4)
    plain = fit(points_gan(prior=UniformPrior()), 4)
    for player in ("generator", "discriminator"):
        assert distance(weights(getattr(still, player)), weights(getattr(plain, player))) == 0
    moving = fit(points_gan(prior=UniformPrior(), regularizers=[LatentOptimisation()]), 4)
    assert distance(weights(moving.generator), weights(plain.generator)) > 0


def test_both_players_see_the_moved_latents_and_pay_for_their_way() -> None:
    gan = points_gan(prior=UniformPrior(), regularizers=[LatentOptimisation()])
    for player in ("discriminator", "generator"):
        step = looked_at(gan, player)  # type: ignore[arg-type]
        assert torch.allclose(step.fake, gan.generator(step.z, step.labels))
        way = (step.z - step.drawn_z).detach().numpy()
        expected = np.mean([row @ row for row in way])
        assert expected > 0.01
        found = term(LatentOptimisation(), step, player)  # type: ignore[arg-type]
        assert found == pytest.approx(expected, rel=1e-9)
        assert step.z.abs().max() <= 1


class Detached(LatentOptimisation):
    """Latents that move, without the gradient through their way."""

    def move_latents(
        self, z: Tensor, logits: Callable[[Tensor], Tensor], random: RandomStream
    ) -> Tensor:
        return super().move_latents(z, logits, random).detach()


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_both_players_learn_through_the_way_of_the_latents(player: Any) -> None:
    regularizer = LatentOptimisation(weight=0.3, share=1, clip=None)
    gan = points_gan(prior=UniformPrior(), regularizers=[regularizer]).double()
    stopped = points_gan(
        prior=UniformPrior(), regularizers=[Detached(weight=0.3, share=1, clip=None)]
    ).double()
    real, labels = torch.randn(8, 2, dtype=torch.float64), torch.zeros(8, dtype=torch.long)

    def loss(gan: Any) -> Tensor:
        mover = gan.game.player(player)
        (step,) = gan.game.steps(mover, real, labels, Progress())
        found: Tensor = gan.game.loss(step, mover.due(0))[0]
        return found

    weight = getattr(gan, player).layers[1 if player == "discriminator" else 0].weight
    direction, move = torch.randn_like(weight), 1e-6
    (gradient,) = torch.autograd.grad(loss(gan), weight)
    by_hand = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(sign * move * direction)
        by_hand.append(float(loss(gan).detach()))
        with torch.no_grad():
            weight.sub_(sign * move * direction)
    expected = (by_hand[0] - by_hand[1]) / (2 * move)
    assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-5)
    other = getattr(stopped, player).layers[1 if player == "discriminator" else 0].weight
    (partly,) = torch.autograd.grad(loss(stopped), other)
    assert not torch.allclose(partly, gradient, rtol=0.01)


@pytest.mark.parametrize("player", PLAYERS)
def test_near_latents_are_compared_by_one_noise(player: Any) -> None:
    size: dict[str, Any] = {"channels": 1, "image_size": 8, "width": 4, "max_width": 8}
    penalty = LatentConsistency(sigma=0.0)  # of which nothing is left but the noise
    networks = StyleGAN2Generator(**size), StyleGAN2Discriminator(**size)
    gan = GAN(*networks, NonSaturating(), [penalty]).double()
    for layer in gan.generator.modules():
        if isinstance(getattr(layer, "noise_strength", None), nn.Parameter):
            nn.init.ones_(layer.noise_strength)  # type: ignore[arg-type]
    (step,) = gan.game.steps(
        gan.game.player(player),
        torch.randn(8, 1, 8, 8).double(),
        torch.zeros(8, dtype=torch.long),
        Progress(),
    )
    assert term(penalty, step.judged("real", "fake"), player) == 0
    again = step.generator.generate(step.z, step.labels, step.random)
    assert distance({"": step.fake.detach()}, {"": again.detach()}) > 0, "other noise is seen"


def test_latents_move_for_the_noise_that_they_are_shown_with() -> None:
    size: dict[str, Any] = {"channels": 1, "image_size": 8, "width": 4, "max_width": 8}
    networks = StyleGAN2Generator(**size), StyleGAN2Discriminator(**size)
    seen: list[Tensor] = []

    class Looking(LatentOptimisation):
        def move_latents(self, z: Tensor, logits: Any, random: RandomStream) -> Tensor:
            seen.append(logits(z))
            return z

    gan = GAN(*networks, NonSaturating(), [Looking()], prior=UniformPrior()).double()
    step = looked_at(gan, "discriminator")
    assert torch.equal(seen[0], step.fake_logits)
