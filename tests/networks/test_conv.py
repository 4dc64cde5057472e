"""The plain convolutions without normalisation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import ConvDiscriminator, ConvGenerator

LABELS = torch.zeros(4, dtype=torch.int64)


def weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_a_pair_for_mnist_has_as_many_weights_as_its_layers_say() -> None:
    up = [100 * 64 * 49 + 64, 64 * 64 * 9 + 64, 64 * 32 * 16 + 32, 32 * 32 * 9 + 32, 32 * 16 + 1]
    assert weights(ConvGenerator(1, 28, latent_dim=100, width=32)) == sum(up)
    down = [16 * 32 + 32, 32 * 32 * 9 + 32, 32 * 64 * 16 + 64, 64 * 64 * 9 + 64]
    last = [64 * 128 * 9 + 128, 128 * 4 * 4 + 1]
    assert weights(ConvDiscriminator(1, 28, width=32)) == sum([*down, *last])


@pytest.mark.parametrize("depth", [1, 3])
def test_depth_is_the_number_of_convolutions_at_each_size(depth: int) -> None:
    for kind, sizes in ((ConvGenerator, 3), (ConvDiscriminator, 3)):
        network = kind(3, 32, width=2, depth=depth)
        threes = [
            layer
            for layer in network.layers
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) and layer.stride[0] == 1
        ]
        assert len(threes) == sizes * depth


@pytest.mark.parametrize("size", [28, 32, 48, 64, (28, 56)])
def test_a_pair_fits_the_usual_sizes(size: int | tuple[int, int]) -> None:
    images = ConvGenerator(3, size, latent_dim=4, width=2)(torch.randn(2, 4))
    sides = (size, size) if isinstance(size, int) else size
    assert images.shape == (2, 3, *sides)
    assert ConvDiscriminator(3, size, width=2)(images, LABELS[:2]).shape == (2,)


def test_weights_start_as_he_et_al_have_it() -> None:
    torch.manual_seed(0)
    generator, discriminator = ConvGenerator(1, 28), ConvDiscriminator(1, 28)
    for network, slope in ((generator, 0.0), (discriminator, 0.2)):
        for layer in network.layers:
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                inputs = layer.in_channels * math.prod(layer.kernel_size)
                wanted = math.sqrt(2 / ((1 + slope**2) * inputs))
                assert layer.weight.std().item() == pytest.approx(wanted, rel=0.1)
                assert layer.bias is not None
                assert not layer.bias.any()


def test_no_sample_depends_on_the_others_of_its_batch() -> None:
    torch.manual_seed(0)
    generator, discriminator = ConvGenerator(1, 28, width=4), ConvDiscriminator(1, 28, width=4)
    z = torch.randn(4, generator.latent_dim)
    images = generator(z)
    torch.testing.assert_close(generator(z[:1]), images[:1])
    alone = discriminator(images[:1], LABELS[:1])
    torch.testing.assert_close(alone, discriminator(images, LABELS)[:1])


def test_a_network_without_a_convolution_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="depth=0 must be at least 1"):
        ConvGenerator(1, 28, depth=0)
