"""Layers of StyleGAN2: equalised rates, smooth resampling, modulated convolutions, mapping."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.basics.randomness import Seeds, Shard
from lightning_gan.networks.stylegan2_layers import (
    EqualisedConv,
    EqualisedLinear,
    Mapping,
    ModulatedConv,
    Smoothing,
    StyledConv,
    activate,
    of_unit_moment,
)


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_equalised_layers_start_at_unit_variance_and_learn_at_their_rate(rate: float) -> None:
    torch.manual_seed(0)
    layer = EqualisedLinear(512, 256, rate=rate, bias=1.0)
    outputs = layer(torch.randn(400, 512)).detach()
    assert float(outputs.std()) == pytest.approx(1, rel=0.05)
    assert float(outputs.mean()) == pytest.approx(1, rel=0.05)
    assert float(layer.weight.detach().std()) == pytest.approx(1 / rate, rel=0.05)
    maps = EqualisedConv(32, 16, 3)(torch.randn(50, 32, 6, 6)).detach()[:, :, 1:-1, 1:-1]
    assert float(maps.std()) == pytest.approx(1, rel=0.1)


def test_vectors_are_brought_to_unit_second_moment() -> None:
    vectors = of_unit_moment(5 * torch.randn(7, 12))
    torch.testing.assert_close(vectors.square().mean(dim=1), torch.ones(7))


def test_the_activation_keeps_the_sign_and_multiplies_by_the_root_of_two() -> None:
    found = activate(torch.tensor([1.0, -1.0]), gain=3.0)
    torch.testing.assert_close(found, 3 * math.sqrt(2) * torch.tensor([1.0, -0.2]))


def test_smooth_resampling_keeps_what_is_constant() -> None:
    smooth, ones = Smoothing(), torch.ones(2, 3, 8, 8)
    for found in (smooth.shrink(ones), smooth.enlarge(ones), smooth(ones, 1)):
        torch.testing.assert_close(
            found[:, :, 2:-2, 2:-2], torch.ones_like(found)[:, :, 2:-2, 2:-2]
        )
    assert smooth.shrink(ones).shape == (2, 3, 4, 4)
    assert smooth.enlarge(ones).shape == (2, 3, 16, 16)


def inserted(maps: Tensor) -> Tensor:
    """Maps with a zero behind every pixel, in both directions."""
    count, channels, height, width = maps.shape
    wide = maps.new_zeros(count, channels, 2 * height, 2 * width)
    wide[:, :, ::2, ::2] = maps
    return wide


def test_enlarging_is_zeros_in_between_and_the_filter_over_them() -> None:
    maps, line = torch.randn(2, 3, 5, 4), torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    kernel = torch.outer(line, line).expand(3, 1, 4, 4)
    expected = F.conv2d(F.pad(inserted(maps), (2, 1, 2, 1)), kernel, groups=3)
    torch.testing.assert_close(Smoothing().enlarge(maps), expected)
    reduced = F.conv2d(F.pad(maps, (1, 1, 1, 1)), kernel / 4, groups=3)[:, :, ::2, ::2]
    torch.testing.assert_close(Smoothing().shrink(maps), reduced)


def effective_kernels(layer: ModulatedConv, style: Tensor) -> Tensor:
    """The kernels (outputs, inputs, 3, 3) that a style makes, read off from single pixels."""
    inputs = layer.weight.shape[1]
    pixels = torch.zeros(inputs, inputs, 3, 3)
    pixels[range(inputs), range(inputs), 1, 1] = 1
    seen = layer(pixels, style.expand(inputs, -1))
    return seen.transpose(0, 1).flip(2, 3)


def test_demodulated_weights_have_unit_norm_for_each_output() -> None:
    layer = ModulatedConv(5, 4, 3, style_dim=6)
    for style in 10 * torch.randn(3, 1, 6):
        kernels = effective_kernels(layer, style)
        torch.testing.assert_close(kernels.square().sum(dim=(1, 2, 3)), torch.ones(4))


@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize(("side", "up"), [(1, False), (3, False), (3, True)])
def test_a_modulated_convolution_is_one_kernel_for_each_sample(
    up: bool, demodulate: bool, side: int
) -> None:
    layer = ModulatedConv(5, 4, side, style_dim=6, up=up, demodulate=demodulate).double()
    maps, styles = torch.randn(3, 5, 4, 6).double(), torch.randn(3, 6).double()
    found = layer(maps, styles)
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]).double() / 4
    for sample, style, made in zip(maps, styles, found, strict=True):
        scales = layer.scales.weight @ style / math.sqrt(6) + layer.scales.bias
        kernel = layer.weight * scales[None, :, None, None] / math.sqrt(5 * side**2)
        if demodulate:
            norms = kernel.square().sum(dim=(1, 2, 3), keepdim=True)
            kernel = kernel / (norms + 1e-8).sqrt()
        if up:  # zeros in between, the kernel turned around, and the filter behind it
            expected = F.conv2d(F.pad(inserted(sample[None]), (2, 1, 2, 1)), kernel.flip(2, 3))
            filters = torch.outer(line, line).expand(4, 1, 4, 4)
            expected = F.conv2d(F.pad(expected, (1, 1, 1, 1)), filters, groups=4)
        else:
            expected = F.conv2d(sample[None], kernel, padding=side // 2)
        torch.testing.assert_close(made[None], expected)


def test_a_modulated_convolution_can_be_differentiated_twice() -> None:
    layer = ModulatedConv(2, 2, 3, style_dim=3, up=True).double()
    maps = torch.randn(1, 2, 3, 3).double().requires_grad_()
    style = torch.randn(1, 3).double().requires_grad_()
    assert torch.autograd.gradgradcheck(layer, (maps, style))


def test_noise_is_drawn_in_training_by_place_and_rests_in_evaluation() -> None:
    layer = StyledConv(3, 3, (4, 4), style_dim=5)
    nn.init.ones_(layer.strength)
    maps, styles = torch.randn(1, 3, 4, 4).expand(6, -1, -1, -1), torch.randn(1, 5).expand(6, -1)
    whole = Seeds(0).stream("generator", 0, Shard(6, 0, 6), maps)
    together = layer(maps, styles, whole)
    assert (together[0] != together[1]).any()
    half = Seeds(0).stream("generator", 0, Shard(6, 4, 2), maps)
    torch.testing.assert_close(layer(maps[4:], styles[4:], half), together[4:])
    layer.eval()
    still = layer(maps, styles)
    torch.testing.assert_close(still, still[:1].expand_as(still))
    assert torch.equal(still, layer(maps, styles))


def test_the_mapping_joins_latents_and_labels_of_one_scale() -> None:
    mapping = Mapping(4, 3, 6, depth=1, rate=1.0)
    z, labels = torch.randn(4, 4), torch.tensor([0, 1, 2, 2])
    assert mapping.embedding is not None
    embedded = mapping.embedding.weight.T[labels] / math.sqrt(3)
    joined = torch.cat([of_unit_moment(z), of_unit_moment(embedded)], dim=1)
    (layer,) = mapping.layers
    torch.testing.assert_close(mapping(z, labels), activate(layer(joined)))
