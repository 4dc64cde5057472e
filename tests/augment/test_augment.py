"""Augmentation: the same law for reals and fakes, in both players' updates, with gradients."""

from __future__ import annotations

import pytest
import torch
from tiny import fit, points_gan, random_for
from torch import Tensor

from lightning_gan.augment import Augmentation, InstanceNoise
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import ConfigurationError
from lightning_gan.training.schedule import LinearCurve, ValueOf, values_at


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
