"""Samples: from the averaged generator, by seed and class."""

from __future__ import annotations

import torch
from tiny import distance, points_gan, weights
from torch import nn

from lightning_gan.networks import MLPGenerator


def test_samples_depend_on_seed_and_labels_alone() -> None:
    gan = points_gan(num_classes=3)
    state = torch.get_rng_state()
    first = gan.sample(300)
    assert first.shape == (300, 2)
    assert not first.requires_grad
    assert torch.equal(first, gan.sample(300))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(first, gan.sample(300, seed=1))
    labels = torch.arange(300) % 3
    assert not torch.equal(gan.sample(300, labels), gan.sample(300, labels.flip(0)))


def test_samples_come_from_the_average_in_evaluation_mode() -> None:
    gan = points_gan(generator=MLPGenerator(2, 0, width=8, batch_norm=True))
    gan.train()
    before = weights(gan)
    samples = gan.sample(64)
    nn.init.zeros_(gan.generator.layers[0].weight)  # type: ignore[union-attr, arg-type]
    assert torch.equal(gan.sample(64), samples)
    gan.load_state_dict(before)
    assert distance(weights(gan.generator_ema), weights(gan.generator)) == 0


def test_truncated_latents_make_tamer_samples() -> None:
    gan = points_gan()
    assert gan.sample(500, truncation=0.1).std() < gan.sample(500).std()
