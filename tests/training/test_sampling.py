"""Sample i of a seed is the same whatever else is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny import points_gan
from torch import Tensor

from lightning_gan.basics.randomness import RandomStream, layer_normal
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.sampling import MeasuredSamples
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPDiscriminator, MLPGenerator, StyleGAN2Generator
from lightning_gan.training.sampling import BLOCK, Sampling


class Noisy(MLPGenerator):
    """Adds noise inside, in evaluation too."""

    draws_noise = True

    def forward(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
        return super().forward(z, labels) + layer_normal(z, random, 2)


def noisy_gan() -> GAN:
    generator = Noisy(2, 0, width=8, depth=2, num_classes=3)
    return points_gan(generator=generator, discriminator=MLPDiscriminator(2, 0, 8, num_classes=3))


def near(one: Tensor, other: Tensor) -> bool:
    """Equal but for how a matrix product is blocked."""
    return torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("count", [1, 7, BLOCK, BLOCK + 3])
def test_a_sample_is_the_same_whatever_their_number_is(count: int) -> None:
    gan = noisy_gan()
    assert near(gan.sample(count, seed=5), gan.sample(3 * BLOCK, seed=5)[:count])


def test_classes_that_are_asked_for_do_not_change_the_latents() -> None:
    gan = points_gan()  # without classes, so that labels can change nothing else
    labels = torch.ones(9, dtype=torch.long)
    assert torch.equal(gan.sample(9, labels, seed=2), gan.sample(9, seed=2))
    noisy = noisy_gan()
    assert not near(noisy.sample(9, labels, seed=2), noisy.sample(9, seed=2))


@pytest.mark.parametrize("count", [60, BLOCK + 60])
def test_what_is_sampled_is_what_is_measured(count: int) -> None:
    gan = noisy_gan()
    blocks = MeasuredSamples(count, Sampling(seed=3)).blocks(gan)
    assert near(torch.cat([samples for _, samples in blocks]), gan.sample(count, seed=3))


def test_seeds_and_truncation_matter_and_the_global_generator_does_not() -> None:
    gan = noisy_gan()
    first = gan.sample(5, seed=1)
    torch.manual_seed(9)
    assert torch.equal(gan.sample(5, seed=1), first)
    assert not near(gan.sample(5, seed=2), first)
    assert not near(gan.sample(5, seed=1, truncation=0.5), first)


def styled() -> GAN:
    sizes: dict[str, Any] = {"width": 4, "max_width": 8, "style_dim": 6, "mapping_depth": 2}
    generator = StyleGAN2Generator(1, 8, latent_dim=4, **sizes)
    gan = points_gan(generator=generator, discriminator=MLPDiscriminator(1, 8, width=8))
    gan.generator_ema.w_average.fill_(0.3)  # type: ignore[union-attr, operator]
    return gan


def test_psi_pulls_styles_to_their_average() -> None:
    gan = styled()
    whole, half, none = (gan.sample(6, psi=psi) for psi in (1.0, 0.5, 0.0))
    assert near(whole, gan.sample(6))
    assert not near(half, whole)
    assert near(none, none[:1].expand_as(none))  # one picture, that of the average
    stamps = [MeasuredSamples(9, Sampling(psi=psi)).stamp() for psi in (None, 0.5)]
    assert [stamp["psi"] for stamp in stamps] == [None, 0.5]


def test_psi_without_styles_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="MLPGenerator has none: leave it out"):
        points_gan().sample(2, psi=0.7)


def test_classes_are_asked_for_by_number_name_or_one_by_one() -> None:
    gan = noisy_gan()
    gan.class_names = ("cat", "dog", "owl")
    every = gan.sample(4, torch.tensor([2, 2, 2, 2]), seed=1)
    assert near(gan.sample(4, 2, seed=1), every)
    assert near(gan.sample(4, "owl", seed=1), every)
    assert near(gan.sample(4, "2", seed=1), every)
    mixed = gan.sample(4, ["cat", "owl", 1, "dog"], seed=1)
    assert near(mixed, gan.sample(4, torch.tensor([0, 2, 1, 1]), seed=1))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (3, "knows classes 0 to 2: cat, dog, owl"),
        (-1, "knows classes 0 to 2"),
        ("dgo", "did you mean dog?"),
        ("9" * 400, "knows classes 0 to 2"),
        (["cat"], "not those of 2 samples"),
        (torch.tensor([0, 3]), "class 3"),
        (torch.zeros(2, 1, dtype=torch.long), "not those of 2 samples"),
    ],
    ids=str,
)
def test_classes_that_there_are_not_are_refused(labels: Any, words: str) -> None:
    gan = noisy_gan()
    gan.class_names = ("cat", "dog", "owl")
    with pytest.raises(ConfigurationError, match=words.replace("?", r"\?")):
        gan.sample(2, labels)


def test_a_class_of_a_generator_without_classes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="trained without classes"):
        points_gan().sample(2, 0)


def test_a_generator_is_called_with_latents_alone_unless_it_has_classes() -> None:
    gan = points_gan()
    z = torch.randn(5, gan.generator.latent_dim)
    zeros = torch.zeros(5, dtype=torch.long)
    assert torch.equal(gan.generator(z), gan.generator(z, zeros))
    assert torch.equal(gan(z), gan(z, zeros))
    of_classes = noisy_gan()
    z = torch.randn(5, of_classes.generator.latent_dim)
    for call in (of_classes.generator, of_classes):
        with pytest.raises(ConfigurationError, match="knows 3 classes: give it"):
            call(z)
    assert of_classes(z, zeros).shape == (5, 2)


def test_a_way_between_latents_begins_and_ends_at_samples_of_the_seed() -> None:
    gan = points_gan()
    labels = torch.zeros(3 * 5, dtype=torch.long)
    ways = Sampling(4).between(gan.generator_ema, gan.prior, 3, 5, labels).unflatten(0, (3, 5))
    samples = gan.sample(6, seed=4)
    assert near(ways[:, 0], samples[:3])
    assert near(ways[:, -1], samples[3:])
    assert (ways.diff(dim=1).flatten(1).abs().sum(1) > 0).all()


def test_latents_on_the_way_are_as_long_as_any_and_noise_stays() -> None:
    class Shown(Noisy):
        def forward(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
            lengths.append(z.square().mean())
            return layer_normal(z, random, 2) + labels[:, None]

    lengths: list[Tensor] = []
    generator = Shown(2, 0, width=8, depth=2, num_classes=3, latent_dim=400)
    gan = points_gan(generator=generator, discriminator=MLPDiscriminator(2, 0, 8, num_classes=3))
    labels = torch.arange(4).repeat_interleave(7) % 3
    ways = Sampling(0).between(gan.generator_ema, gan.prior, 4, 7, labels).unflatten(0, (4, 7))
    assert all(abs(float(length) - 1) < 0.1 for length in lengths)
    assert torch.equal(ways, ways[:, :1].expand_as(ways))  # of noise and class alone
    assert not torch.equal(ways[0], ways[3])


@pytest.mark.parametrize(
    "labels",
    [
        torch.tensor([1, 1, 1], dtype=torch.uint8),
        torch.tensor([1.0, 1.0, 1.0]),
        torch.tensor([True] * 3),
        torch.tensor(1),
        np.int64(1),
        np.ones(3),
        [np.float32(1), 1, "1"],
        1.0,
    ],
    ids=str,
)
def test_classes_may_be_numbers_of_any_type(labels: Any) -> None:
    gan = noisy_gan()
    assert torch.equal(gan.sample(3, labels), gan.sample(3, [1, 1, 1]))


@pytest.mark.parametrize("labels", [torch.full((3,), 0.5), [0.5, 1, 1], 0.5])
def test_half_a_class_is_refused(labels: Any) -> None:
    with pytest.raises(ConfigurationError, match="whole number"):
        noisy_gan().sample(3, labels)


@pytest.mark.parametrize("given", ["count", "seed"])
def test_neither_number_nor_seed_is_left_out_by_none(given: str) -> None:
    arguments: dict[str, Any] = {"count": 2} | {given: None}
    with pytest.raises(ConfigurationError, match=f"sample: {given}=None must be a whole number"):
        points_gan().sample(**arguments)


def test_a_seed_is_a_whole_number_of_any_type() -> None:
    gan = points_gan()
    assert torch.equal(gan.sample(3, seed=2.0), gan.sample(3, seed=2))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"seed=0\.5 must be a whole number"):
        gan.sample(3, seed=0.5)  # type: ignore[arg-type]
