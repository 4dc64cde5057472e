"""Augmentation: the same law for reals and fakes, in both players' updates, with gradients."""

from __future__ import annotations

import pytest
import torch
from tiny import fit, points_gan, random_for
from torch import Tensor

from lightning_gan.augment import Augmentation, Augmentations, Dequantization, InstanceNoise
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import ConfigurationError
from lightning_gan.regularizers import Penalty
from lightning_gan.training.schedule import LinearCurve, ValueOf, values_at
from lightning_gan.training.step import Step


def test_instance_noise_has_the_deviation_that_is_due() -> None:
    samples = torch.zeros(2000, 1, 2, 2, dtype=torch.float64)
    noise = InstanceNoise(LinearCurve(0.4, 0, images=100))
    noisy = [noise(samples, random_for(samples), values_at(images)) for images in (0, 50)]
    assert [float(x.std()) for x in noisy] == pytest.approx([0.4, 0.2], rel=0.05)
    assert noisy[0].dtype == samples.dtype
    assert noise(samples, random_for(samples), values_at(100)) is samples


def test_every_sample_gets_noise_of_its_own() -> None:
    samples = torch.zeros(8, 3)
    noisy = InstanceNoise(0.1)(samples, random_for(samples), values_at(0))
    assert len(noisy.unique(dim=0)) == 8


def test_gradients_flow_through_instance_noise() -> None:
    samples = torch.zeros(8, 3, requires_grad=True)
    InstanceNoise(0.1)(samples, random_for(samples), values_at(0)).sum().backward()
    assert torch.equal(samples.grad, torch.ones(8, 3))  # type: ignore[arg-type]


def test_a_negative_deviation_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="sigma"):
        InstanceNoise(-0.1)


class Seen(Augmentation):
    """Keeps what passes through it."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[Tensor] = []
        self.images: list[float] = []

    def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        self.samples.append(samples)
        self.images.append(value_of(float))
        return samples


def test_reals_and_fakes_pass_in_the_discriminators_update_and_fakes_in_the_generators() -> None:
    seen = Seen()
    fit(points_gan(augmentation=seen), 2)
    assert [samples.requires_grad for samples in seen.samples] == [False, False, True] * 2
    assert seen.images == [0, 0, 0, 8, 8, 8]


def test_reals_and_fakes_of_one_update_get_different_noise() -> None:
    samples = torch.zeros(4, 2)
    random = random_for(samples)
    noise = InstanceNoise(0.1)
    assert not torch.equal(*(noise(samples, random, values_at(0)) for _ in range(2)))


# -------------------------------------------------------------------- noise on reals alone


def of_values(values: Tensor) -> Tensor:
    """Reals in [-1, 1] of whole values in 0 .. 255."""
    return values.double() / 127.5 - 1


def test_dequantized_reals_are_those_of_wgan_gp_and_sngan() -> None:
    values = torch.arange(256).repeat(40, 1)[:, None]
    real = of_values(values)
    found = Dequantization().prepared(real, random_for(real))
    noise = random_for(real).uniform(*real.shape[1:])
    torch.testing.assert_close(found, values / 128 - 1 + noise / 128, rtol=0, atol=1e-12)
    assert ((found + 1) * 128).floor().long().equal(values), "a value stays in its own cell"
    assert float(found.min()) >= -1
    assert float(found.max()) < 1


def test_dequantization_fills_each_cell_evenly() -> None:
    real = of_values(torch.full((4000, 1), 100))
    place = (Dequantization().prepared(real, random_for(real)) + 1) * 128 - 100
    assert float(place.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(place.std()) == pytest.approx(12**-0.5, abs=0.01)


def test_dequantization_leaves_fakes_alone() -> None:
    samples = torch.randn(4, 2)
    assert Dequantization()(samples, random_for(samples), values_at(0)) is samples


def test_fewer_than_two_levels_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="levels"):
        Dequantization(1)


class Shift(Augmentation):
    """Adds one to reals, in whatever they enter; nothing else."""

    def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        return samples

    def prepared(self, real: Tensor, random: RandomStream) -> Tensor:
        return real + 1


class Means(Penalty):
    """Keeps the mean of the reals of every update of either player."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, list[float]] = {"discriminator": [], "generator": []}

    def discriminator_term(self, step: Step) -> None:
        self.of[step.player].append(float(step.real.mean()))

    generator_term = discriminator_term


def test_prepared_reals_enter_updates_of_both_players_and_held_out_data() -> None:
    means = []
    for augmentation in (None, Augmentations([Shift(), Shift()])):
        seen = Means()
        gan = points_gan(regularizers=[seen], augmentation=augmentation)
        fit(gan, 3)
        real, labels = torch.randn(8, 2), torch.zeros(8, dtype=torch.long)
        logits = gan.validation_logits((real - (2 if augmentation else 0), labels), 0)
        torch.testing.assert_close(logits, gan.discriminator(real, labels).detach())
        means.append([*seen.of["discriminator"], *seen.of["generator"]])
    assert means[1] == pytest.approx([mean + 2 for mean in means[0]], abs=1e-5)
