"""Self-attention and the norms whose gains depend on a class or a vector."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.networks.attention import SelfAttention
from lightning_gan.networks.conditional import (
    AdaptiveInstanceNorm,
    ClassBatchNorm,
    ConditionalBatchNorm,
)
from lightning_gan.networks.layers import has_batch_norm, has_spectral_norm

LABELS = torch.tensor([0, 1, 2, 2, 1])


def test_class_norm_starts_as_plain_batch_norm_and_parts_the_classes() -> None:
    maps = torch.randn(5, 4, 3, 3) * 2 + 1
    norm, plain = ClassBatchNorm(4, 3), nn.BatchNorm2d(4)
    torch.testing.assert_close(norm(maps, LABELS), plain(maps))
    assert has_batch_norm(norm)
    assert norm.gain is not None
    assert norm.shift is not None
    with torch.no_grad():
        norm.gain.weight[1] = 2.0
        norm.shift.weight[2] = 5.0
    plain.train()
    expected = plain(maps)
    expected[LABELS == 1] *= 3
    expected[LABELS == 2] += 5
    torch.testing.assert_close(norm(maps, LABELS), expected)
    torch.testing.assert_close(norm.norm.running_mean, plain.running_mean)
    torch.testing.assert_close(ClassBatchNorm(4, 0)(maps, LABELS), nn.BatchNorm2d(4)(maps))


def test_conditional_norms_are_linear_in_their_condition() -> None:
    maps, condition = torch.randn(5, 4, 3, 3), torch.randn(5, 2)
    for norm in (ConditionalBatchNorm(4, 2), AdaptiveInstanceNorm(4, 2)):
        plain = norm(maps, torch.zeros(5, 2))
        once, thrice = norm(maps, condition), norm(maps, 3 * condition)
        torch.testing.assert_close(thrice - plain, 3 * (once - plain))
    dims = (2, 3)
    expected = (maps - maps.mean(dims, keepdim=True)) / maps.std(dims, False, keepdim=True)
    torch.testing.assert_close(plain, expected, atol=1e-4, rtol=1e-4)
    spectral = ConditionalBatchNorm(4, 2, spectral_norm=True)
    assert has_spectral_norm(spectral.gain)
    assert has_batch_norm(spectral)


def test_attention_starts_as_the_identity() -> None:
    maps = torch.randn(2, 16, 6, 4)
    assert torch.equal(SelfAttention(16)(maps), maps)


@pytest.mark.parametrize("size", [(4, 6), (7, 7)])
def test_attention_is_its_formula(size: tuple[int, int]) -> None:
    layer = SelfAttention(16)
    nn.init.constant_(layer.gamma, 0.7)
    maps = torch.randn(2, 16, *size)

    def flat(layer: nn.Module, pooled: bool) -> Tensor:
        out: Tensor = layer(maps)
        return (F.max_pool2d(out, 2, ceil_mode=True) if pooled else out).flatten(2)

    query, key, value = flat(layer.query, False), flat(layer.key, True), flat(layer.value, True)
    seen = torch.zeros(2, 8, query.shape[2])
    for row in range(2):
        for place in range(query.shape[2]):
            scores = (query[row, :, place, None] * key[row]).sum(0)
            seen[row, :, place] = (value[row] * (scores.exp() / scores.exp().sum())).sum(1)
    expected = maps + 0.7 * layer.out(seen.reshape(2, 8, *size))
    torch.testing.assert_close(layer(maps), expected)


def test_attention_over_equal_places_sees_what_each_has() -> None:
    layer = SelfAttention(8)
    nn.init.ones_(layer.gamma)
    maps = torch.randn(2, 8, 1, 1).expand(2, 8, 4, 4)
    torch.testing.assert_close(layer(maps), maps + layer.out(layer.value(maps)))


def test_attention_can_be_differentiated_twice() -> None:
    layer = SelfAttention(8).double()
    nn.init.ones_(layer.gamma)
    maps = torch.randn(1, 8, 4, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, (maps,))
