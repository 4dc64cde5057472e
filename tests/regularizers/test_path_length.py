"""Path length against closed forms and a Jacobian written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import factor_of_term, fit, points_gan, step_of, term
from torch import Tensor, nn
from zoo import Styled

from lightning_gan.basics.randomness import RandomStream, Seeds, Shard
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import (
    Generator,
    MLPDiscriminator,
    MLPGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from lightning_gan.regularizers import PathLength
from lightning_gan.training.schedule import Progress
from lightning_gan.training.step import Step

HEIGHT, WIDTH = 4, 8


class OneLayer(Generator):
    """Images that are linear in one style: G(w) = A w, with w = M z."""

    def __init__(self) -> None:
        super().__init__(3, 1, (HEIGHT, WIDTH))
        self.mapping = nn.Linear(3, 3, bias=False)
        self.matrix = nn.Parameter(torch.randn(HEIGHT * WIDTH, 3))
        self.seen: list[Tensor] = []

    def styles(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
        self.seen.append(z)
        return self.mapping(z)[:, None]  # type: ignore[no-any-return]

    def synthesise(self, styles: Tensor, random: RandomStream | None = None) -> Tensor:
        return (styles[:, 0] @ self.matrix.T).view(-1, 1, HEIGHT, WIDTH)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return self.synthesise(self.styles(z, labels))


def random_of(shard: Shard) -> RandomStream:
    return Seeds(0).stream("test", 0, shard, like=torch.zeros((), dtype=torch.float64))


def sharded(generator: Generator, shard: Shard | int) -> Step:
    """A generator's step, with latents that depend on the place in the global batch."""
    shard = Shard(shard, 0, shard) if isinstance(shard, int) else shard
    whole = torch.linspace(-1, 1, shard.total * generator.latent_dim, dtype=torch.float64)
    z = whole.view(shard.total, -1)[shard.first :: shard.step][: shard.count]
    fake = generator.double()(z, torch.zeros(shard.count, dtype=torch.long))
    return step_of(
        fake.detach(),
        fake,
        lambda x, _: x.flatten(1).sum(1),
        z=z,
        player="generator",
        generator=generator,
        random=random_of(shard),
    )


def test_one_style_layer_has_the_mean_squared_length_of_the_closed_form() -> None:
    generator = OneLayer()
    lengths = PathLength(one_in=1).lengths(sharded(generator, 20_000)).detach()
    assert lengths.shape == (20_000,)
    expected = float(generator.matrix.detach().square().sum()) / (HEIGHT * WIDTH)
    assert float(lengths.square().mean()) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_a_generator_times_so_much_has_lengths_times_so_much(scale: float) -> None:
    generator = OneLayer()
    before = PathLength(one_in=1).lengths(sharded(generator, 8)).detach()
    with torch.no_grad():
        generator.matrix.mul_(scale)
    after = PathLength(one_in=1).lengths(sharded(generator, 8)).detach()
    assert torch.allclose(after, scale * before, rtol=1e-12)


def test_lengths_are_of_the_mean_over_layers_of_each_samples_squared_jacobian() -> None:
    generator = Styled().double().eval()  # without noise of its layers
    step = sharded(generator, 5)
    found = PathLength(one_in=1).lengths(step).detach()
    y = random_of(Shard(5, 0, 5)).normal(1, 8, 8) / 8
    for i in range(5):
        styles = generator.styles(step.z[i : i + 1], step.labels[:1]).detach()
        jacobian = torch.autograd.functional.jacobian(generator.synthesise, styles)
        j = jacobian.reshape(64, 2, 6).numpy()
        along = np.einsum("p,pld->ld", y[i].flatten().numpy(), j)
        assert float(found[i]) == pytest.approx(np.sqrt(np.mean((along**2).sum(1))), rel=1e-9)


def test_the_mean_moves_first_and_the_term_is_the_squared_distance_from_it() -> None:
    generator, penalty = OneLayer(), PathLength(one_in=1, decay=0.25)
    lengths = PathLength(one_in=1).lengths(sharded(generator, 6)).detach().numpy()
    mean = 0.0
    for _ in range(4):
        mean += 0.25 * (lengths.mean() - mean)
        found = term(penalty, sharded(generator, 6), "generator")
        assert found == pytest.approx(np.mean((lengths - mean) ** 2), rel=1e-5)
        assert float(penalty.mean_length) == pytest.approx(mean, rel=1e-6)
    default = PathLength()
    term(default, sharded(generator, 6), "generator")
    lengths = PathLength().lengths(sharded(generator, 6)).detach().numpy()
    assert float(default.mean_length) == pytest.approx(0.01 * lengths.mean(), rel=1e-5)
    pair = {"generator": Styled(), "discriminator": MLPDiscriminator(1, 8, 8)}
    gan = points_gan(regularizers=[PathLength()], **pair)
    assert factor_of_term(gan, "generator") == pytest.approx(2 * 4)


@pytest.mark.parametrize(
    ("shard", "one_in", "expected"),
    [
        (Shard(8, 0, 8), 2, [0, 2, 4, 6]),
        (Shard(12, 5, 4), 3, [6]),
        (Shard(12, 5, 4), 2, [6, 8]),
        (Shard(12, 9, 3), 1, [9, 10, 11]),
        (Shard(12, 7, 2), 4, [8]),
    ],
)
def test_every_so_many_samples_of_the_global_batch_take_part(
    shard: Shard, one_in: int, expected: list[int]
) -> None:
    generator = OneLayer()
    step = sharded(generator, shard)
    found = PathLength(one_in=one_in).lengths(step).detach()
    chosen = generator.seen[-1]
    assert torch.equal(chosen, step.z[[i - shard.first for i in expected]])
    whole = PathLength(one_in=1).lengths(sharded(generator, shard.total)).detach()
    assert torch.allclose(found, whole[expected], rtol=1e-12)


@pytest.mark.parametrize("shard", [Shard(12, 5, 4), Shard(12, 8, 2), Shard(12, 0, 7)])
def test_layers_that_draw_noise_draw_the_same_for_the_same_sample(shard: Shard) -> None:
    generator = Styled()  # in training
    whole = PathLength(one_in=2).lengths(sharded(generator, 12)).detach()
    found = PathLength(one_in=2).lengths(sharded(generator, shard)).detach()
    places = [i // 2 for i in range(shard.first, shard.first + shard.count) if i % 2 == 0]
    assert torch.allclose(found, whole[places], rtol=1e-12)


def test_the_stream_of_another_number_of_rows_is_refused() -> None:
    step = sharded(Styled(), 12)  # in training
    others = replace(step, random=random_of(Shard(12, 0, 8)))
    with pytest.raises(ConfigurationError, match="sees 6 rows and its random numbers are for 4"):
        PathLength(one_in=2).lengths(others)


@pytest.mark.parametrize("sizes", [(3, 4), (1, 1, 5), (1,) * 7])
def test_pieces_of_any_size_have_the_term_of_the_whole_batch(sizes: tuple[int, ...]) -> None:
    generator = OneLayer()
    still = {"one_in": 2, "decay": 1e-12}  # so that the mean hardly moves
    whole = term(PathLength(**still), sharded(generator, 7), "generator")  # type: ignore[arg-type]
    total, first = 0.0, 0
    for size in sizes:
        step = sharded(generator, Shard(7, first, size))
        total += size / 7 * term(PathLength(**still), step, "generator")  # type: ignore[arg-type]
        first += size
    assert total == pytest.approx(whole, rel=1e-6)


def test_a_batch_in_pieces_has_samples_from_each_and_weighs_them_alike() -> None:
    generator = OneLayer()
    fixed = {"one_in": 3, "decay": 1e-12}
    lengths = PathLength(one_in=1).lengths(sharded(generator, 7)).detach()
    shards = [Shard(7, 0, 4, 2), Shard(7, 1, 3, 2)]  # the rows 0, 2, 4, 6 and 1, 3, 5
    chosen = [[0, 6], [1]]
    total = 0.0
    for shard, rows in zip(shards, chosen, strict=True):
        found = PathLength(one_in=3).lengths(sharded(generator, shard)).detach()
        assert torch.allclose(found, lengths[rows], rtol=1e-12)
        step = sharded(generator, shard)
        total += shard.count / 7 * term(PathLength(**fixed), step, "generator")  # type: ignore[arg-type]
    assert total == pytest.approx(float(lengths[[0, 6, 1]].square().mean()), rel=1e-6)


def test_pieces_of_one_sample_leave_the_training_finite() -> None:
    gan = points_gan(
        regularizers=[PathLength(every=1)],
        generator=Styled(),
        discriminator=MLPDiscriminator(1, 8, 8),
        accumulate=8,
    )
    fit(gan, 2)
    outputs = [output for output in gan.outputs if output.player == "generator"]
    terms = [float(output.terms["PathLength"]) for output in outputs]
    assert min(terms) > 0
    assert all(torch.isfinite(p).all() for p in gan.parameters())


def moved_average(pieces: int, penalty: PathLength) -> float:
    """How far of its way to the one style that there is an update moves the average style."""
    generator = StyleGAN2Generator(1, 8, latent_dim=4, width=2, style_dim=4, mapping_depth=1)
    generator.style_mixing = 0
    with torch.no_grad():
        generator.mapping.layers[0].weight.zero_()
        generator.mapping.layers[0].bias.fill_(100.0)
    judge = StyleGAN2Discriminator(1, 8, width=2, minibatch_std=0)
    parts: dict[str, Any] = {"generator": generator, "discriminator": judge}
    game = points_gan(regularizers=[penalty], accumulate=pieces, **parts).game
    generator.train()
    real, labels = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.long)
    for step in game.steps(game.generator, real, labels, Progress()):
        game.loss(step, game.generator.due(0))
    (style,) = generator.mapping(torch.randn(1, 4), labels[:1])
    return float((generator.w_average / style.detach()).mean())


def test_pieces_move_the_average_style_together_as_far_as_the_whole() -> None:
    whole = moved_average(1, PathLength(every=1, one_in=1))
    assert whole == pytest.approx(0.004, rel=0.01)  # a pass for the loss, one for the penalty
    for pieces in (2, 4):
        found = moved_average(pieces, PathLength(every=1, one_in=1))
        assert found == pytest.approx(whole, rel=0.01)


def test_the_term_teaches_what_the_images_are_made_with() -> None:
    generator = OneLayer()
    found = PathLength(one_in=1).generator_term(sharded(generator, 6))
    (gradient,) = torch.autograd.grad(found, generator.matrix)
    move = 1e-6 * gradient / gradient.norm()

    def shifted(sign: int) -> float:
        with torch.no_grad():
            generator.matrix.add_(sign * move)
        value = term(PathLength(one_in=1), sharded(generator, 6), "generator")
        with torch.no_grad():
            generator.matrix.sub_(sign * move)
        return value

    # the mean is fixed while the gradient is taken, so the slope is that up to 0.01 of the mean
    slope = (shifted(1) - shifted(-1)) / 2e-6
    assert float(gradient.norm()) == pytest.approx(slope, rel=0.02)


def test_a_generator_that_ignores_its_styles_has_a_finite_gradient() -> None:
    generator = OneLayer()
    nn.init.zeros_(generator.matrix)
    found = PathLength(one_in=1).generator_term(sharded(generator, 4))
    (gradient,) = torch.autograd.grad(found, generator.matrix)
    assert float(found.detach()) == 0
    assert not gradient.any()


@pytest.mark.parametrize(
    "make",
    [lambda: PathLength(decay=0), lambda: PathLength(decay=1.5), lambda: PathLength(one_in=0)],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], PathLength]) -> None:
    with pytest.raises(ConfigurationError, match="PathLength"):
        make()


def test_a_generator_without_styles_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"MLPGenerator has no styles: take StyleGAN2"):
        points_gan(regularizers=[PathLength()], generator=MLPGenerator(2, 0))


def test_pieces_move_the_mean_as_far_as_the_whole_batch() -> None:
    torch.manual_seed(0)
    generator = OneLayer()
    whole, pieces = PathLength(one_in=1, decay=0.5), PathLength(one_in=1, decay=0.5)
    term(whole, sharded(generator, 16), "generator")
    for first in range(4):
        term(pieces, sharded(generator, Shard(16, first, 4, 4)), "generator")
    assert float(pieces.mean_length) == pytest.approx(float(whole.mean_length), rel=0.1)
