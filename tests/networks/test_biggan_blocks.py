"""The residual blocks of BigGAN and BigGAN-deep."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.networks.biggan import DownBlock
from lightning_gan.networks.biggan_deep import BottleneckDown, BottleneckUp


@pytest.mark.parametrize(("halve", "outputs"), [(True, 4), (True, 6), (False, 6), (False, 4)])
def test_a_down_block_widens_first_and_is_its_formula(halve: bool, outputs: int) -> None:
    block = DownBlock(4, outputs, halve)
    maps = torch.randn(3, 4, 6, 8)
    first, second = (layer for layer in block.layers if isinstance(layer, nn.Conv2d))
    assert first.out_channels == outputs

    def pool(maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps, 2) if halve else maps

    skip = maps if not halve and outputs == 4 else block.skip(maps)
    expected = pool(second(F.relu(first(F.relu(maps))))) + pool(skip)
    torch.testing.assert_close(block(maps), expected)


def test_the_first_block_takes_negative_pixels_too() -> None:
    block = DownBlock(3, 4, halve=True, first=True)
    first, second = (layer for layer in block.layers if isinstance(layer, nn.Conv2d))
    images = torch.randn(2, 3, 8, 8)
    expected = second(F.relu(first(images))) + block.skip(images)
    torch.testing.assert_close(block(images), F.avg_pool2d(expected, 2))


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("outputs", [8, 4])
def test_the_skip_of_a_deep_up_block_drops_maps_and_is_else_the_identity(
    outputs: int, double: bool
) -> None:
    block = BottleneckUp(8, outputs, 3, double)
    maps, condition = torch.randn(3, 8, 4, 6), torch.randn(3, 3)
    assert [layer.kernel_size[0] for layer in block.convolutions] == [1, 3, 3, 1]
    assert {layer.out_channels for layer in list(block.convolutions)[:3]} == {2}
    first = block.norms[0](maps, condition)
    inner = F.relu(block.norms[1](block.convolutions[0](F.relu(first)), condition))
    skip = maps[:, :outputs]
    if double:
        inner, skip = (m.repeat_interleave(2, 2).repeat_interleave(2, 3) for m in (inner, skip))
    inner = F.relu(block.norms[2](block.convolutions[1](inner), condition))
    inner = F.relu(block.norms[3](block.convolutions[2](inner), condition))
    torch.testing.assert_close(block(maps, condition), block.convolutions[3](inner) + skip)


@pytest.mark.parametrize("halve", [False, True])
@pytest.mark.parametrize("outputs", [8, 12])
def test_the_skip_of_a_deep_down_block_adds_maps_and_is_else_the_identity(
    outputs: int, halve: bool
) -> None:
    block = BottleneckDown(8, outputs, halve)
    maps = torch.randn(3, 8, 4, 6)

    def pool(maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps, 2) if halve else maps

    inner = maps
    for layer in list(block.convolutions)[:3]:
        inner = layer(F.relu(inner))
    inner = block.convolutions[3](pool(F.relu(inner)))
    skip = maps if block.more is None else torch.cat([maps, block.more(maps)], dim=1)
    assert (block.more is None) == (outputs == 8)
    torch.testing.assert_close(block(maps), inner + pool(skip))
    with torch.no_grad():
        last = block.convolutions[3]
        last.weight.zero_()
        last.bias.zero_()
    assert torch.equal(block(maps)[:, :8], pool(maps))
