"""BigGAN and BigGAN-deep."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import (
    BigGANDeepDiscriminator,
    BigGANDeepGenerator,
    BigGANDiscriminator,
    BigGANGenerator,
)
from lightning_gan.networks.attention import SelfAttention
from lightning_gan.networks.conditional import ConditionalBatchNorm
from lightning_gan.networks.layers import has_batch_norm

LABELS = torch.tensor([0, 1, 2, 2, 1])
GENERATORS: list[Any] = [BigGANGenerator, BigGANDeepGenerator]
DISCRIMINATORS: list[Any] = [BigGANDiscriminator, BigGANDeepDiscriminator]
PAIRS = list(zip(GENERATORS, DISCRIMINATORS, strict=True))


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], nn.Module]], int]:
    """Counts parameters without making them."""
    # Spectral norm has none of its own, and is slow to set up without numbers.
    monkeypatch.setattr("lightning_gan.networks.biggan.spectral_norm", lambda layer, eps: layer)

    def counted(make: Callable[[], nn.Module]) -> int:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in make().parameters())

    return counted


def conv(inputs: int, outputs: int, side: int) -> int:
    return outputs * (inputs * side**2 + 1)


# ImageNet at 128 pixels: Brock et al. 2019, appendix B, in millions. CIFAR-10: as StudioGAN's logs
# of September 2020 and January 2021 have them.
IMAGENET = {"channels": 3, "image_size": 128, "attention": 64, "num_classes": 1000}
CIFAR = {"channels": 3, "image_size": 32, "attention": 16, "num_classes": 10}
COUNTS: list[tuple[Any, dict[str, int], int]] = [
    (BigGANGenerator, {**CIFAR, "width": 96, "latent_dim": 80}, 9_416_196),
    (BigGANDiscriminator, {**CIFAR, "width": 48}, 2_415_170),
    (BigGANDeepGenerator, {**CIFAR, "width": 96, "latent_dim": 80}, 4_599_876),
    (BigGANDeepDiscriminator, {**CIFAR, "width": 48}, 415_010),
]


@pytest.mark.parametrize(("kind", "arguments", "expected"), COUNTS)
def test_networks_for_cifar_have_the_parameters_of_studiogans_logs(
    count: Callable[..., int], kind: Any, arguments: dict[str, int], expected: int
) -> None:
    assert count(lambda: kind(**arguments)) == expected


def test_networks_for_imagenet_have_the_parameters_that_the_paper_tells(
    count: Callable[..., int],
) -> None:
    assert count(lambda: BigGANGenerator(**IMAGENET, width=96)) == 70_433_988  # 70.4M
    assert count(lambda: BigGANDiscriminator(**IMAGENET, width=96)) == 87_982_370  # 88.0M
    assert count(lambda: BigGANDeepDiscriminator(**IMAGENET)) == 34_590_210  # 34.6M
    found = count(lambda: BigGANDeepGenerator(**IMAGENET))
    # 50.4M; the last convolution of the published weights has 128 maps, of which 3 are used.
    assert found - conv(128, 3, 3) + conv(128, 128, 3) == 50_388_609


def test_the_default_for_cifar_has_256_maps_everywhere(count: Callable[..., int]) -> None:
    with torch.device("meta"):
        generator, discriminator = BigGANGenerator(3, 32), BigGANDiscriminator(3, 32)
    for network in (generator, discriminator):
        layers = [m for m in network.blocks.modules() if isinstance(m, nn.Conv2d)]
        assert {layer.out_channels for layer in layers} == {256}
    assert discriminator.num_features == 256
    blocks = conv(3, 256, 3) + 7 * conv(256, 256, 3) + conv(3, 256, 1) + conv(256, 256, 1)
    assert count(lambda: BigGANDiscriminator(3, 32)) == blocks + 257


# Feature maps as multiples of ch: Tables 4 to 9 from 128 pixels on, the authors' code below.
UP: dict[int, tuple[int, ...]] = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}
DOWN: dict[int, tuple[int, ...]] = {
    32: (4, 4, 4, 4),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
    512: (1, 1, 2, 4, 8, 8, 16, 16),
}


@pytest.mark.parametrize("size", UP)
@pytest.mark.usefixtures("count")
def test_maps_are_those_of_the_tables(size: int) -> None:
    with torch.device("meta"):
        up = BigGANGenerator(3, size, 160, width=4)
        down = BigGANDiscriminator(3, size, width=4)
        deep_up = BigGANDeepGenerator(3, size, width=4)
        deep_down = BigGANDeepDiscriminator(3, size, width=4)
    found = [(b.conv1.in_channels, b.conv1.out_channels) for b in up.blocks]
    assert found == [(4 * a, 4 * b) for a, b in pairwise(UP[size])]
    outputs = [block.layers[1].out_channels for block in down.blocks]
    assert outputs == [4 * a for a in DOWN[size]]
    pairs = [(s[0].outputs, s[1].outputs) for s in deep_up.stages]
    assert pairs == [(4 * a, 4 * b) for a, b in pairwise(UP[size])]
    assert deep_down.image.out_channels == 4 * DOWN[size][0]
    last = [stage[-1].convolutions[-1].out_channels for stage in deep_down.stages]
    assert last == [4 * a for a in DOWN[size][1:]]


@pytest.mark.parametrize(
    ("size", "smallest"), [(8, 4), (16, 8), (32, 8), (28, 14), (64, 4), ((16, 64), (8, 32))]
)
@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_the_map_is_halved_to_eight_pixels_for_small_images_and_to_four_for_others(
    kind: Any, size: Any, smallest: Any
) -> None:
    shapes: list[Any] = []
    network = kind(1, size, width=4)
    network.attentions[-1].register_forward_hook(lambda _m, _i, out: shapes.append(out.shape[2:]))
    network(torch.randn(2, 1, *network.size), LABELS[:2])
    assert shapes == [torch.Size((smallest, smallest) if isinstance(smallest, int) else smallest)]


@pytest.mark.parametrize("size", [28, 48, 64, (16, 32), (48, 24)])
@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize(("generator", "discriminator"), PAIRS)
def test_square_and_oblong_images_fit(
    generator: Any, discriminator: Any, size: Any, num_classes: int
) -> None:
    make = generator(2, size, latent_dim=5, width=4, num_classes=num_classes)
    images = make(torch.randn(5, 5), LABELS)
    assert images.shape == (5, 2, *make.size)
    assert float(images.detach().abs().max()) <= 1
    judge = discriminator(2, size, width=4, num_classes=num_classes)
    assert judge(images, LABELS).shape == (5,)


def inputs_of(network: nn.Module, kind: type[nn.Module], z: Tensor) -> list[Tensor]:
    """The last input of each layer of a kind, in their order."""
    seen: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda _m, inputs, _out: seen.append(inputs[-1]))
    network(z, LABELS)
    return seen


@pytest.mark.parametrize("num_classes", [0, 3])
def test_each_block_sees_a_chunk_of_the_latent_of_its_own_and_the_shared_embedding(
    num_classes: int,
) -> None:
    network = BigGANGenerator(1, 32, 8, width=4, embedding_dim=3, num_classes=num_classes)
    z = torch.randn(5, 8)
    first, *chunks = z.split(2, dim=1)
    if network.shared is not None:
        chunks = [torch.cat([network.shared(LABELS), chunk], dim=1) for chunk in chunks]
    starts: list[Tensor] = []
    network.start.register_forward_hook(lambda _m, inputs, _out: starts.append(inputs[0]))
    found = inputs_of(network, ConditionalBatchNorm, z)
    assert torch.equal(starts[0], first)
    assert len(found) == 6
    for number, condition in enumerate(found):
        assert torch.equal(condition, chunks[number // 2])


@pytest.mark.parametrize("num_classes", [0, 3])
def test_each_deep_block_sees_the_whole_latent_and_the_embedding(num_classes: int) -> None:
    network = BigGANDeepGenerator(1, 16, 4, 4, embedding_dim=3, num_classes=num_classes)
    z = torch.randn(5, 4)
    known = [] if network.shared is None else [network.shared(LABELS)]
    expected = torch.cat([*known, z], dim=1)
    found = inputs_of(network, ConditionalBatchNorm, z)
    assert len(found) == 2 * 2 * 4  # sizes, blocks, norms
    assert all(torch.equal(condition, expected) for condition in found)


@pytest.mark.parametrize(
    ("latent_dim", "chunks"), [(120, [30, 30, 30, 30]), (10, [3, 3, 2, 2]), (4, [1, 1, 1, 1])]
)
def test_a_latent_is_split_as_evenly_as_it_can_be(latent_dim: int, chunks: list[int]) -> None:
    network = BigGANGenerator(1, 32, latent_dim, width=1)
    assert network.chunks == chunks
    assert network(torch.randn(2, latent_dim), LABELS[:2]).shape == (2, 1, 32, 32)


@pytest.mark.parametrize("kind", GENERATORS + DISCRIMINATORS)
def test_all_layers_start_orthogonal_and_without_bias(kind: Any) -> None:
    extra = {"embedding_dim": 5, "latent_dim": 4} if kind in GENERATORS else {}
    network = kind(3, 8, width=4, num_classes=3, attention=8 if extra else 4, **extra)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
            weight = module.weight.detach().flatten(1)
            rows = weight if weight.shape[0] <= weight.shape[1] else weight.T
            torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-4, rtol=0)
            if not isinstance(module, nn.Embedding) and module.bias is not None:
                assert not module.bias.any()


@pytest.mark.parametrize("kind", GENERATORS + DISCRIMINATORS)
def test_spectral_norm_is_everywhere_but_on_the_generators_embedding(kind: Any) -> None:
    extra = {"latent_dim": 4} if kind in GENERATORS else {}
    network = kind(3, 8, width=4, num_classes=3, attention=8 if extra else 4, **extra)
    layers = {
        module: hasattr(module, "parametrizations")
        for module in network.modules()
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding))
    }
    plain = [module for module, normed in layers.items() if not normed]
    assert plain == ([network.shared] if extra else [])
    assert all(
        layer.parametrizations.weight[0].eps == 1e-6 for layer, normed in layers.items() if normed
    )
    with torch.no_grad():  # as training would leave them
        for layer, normed in layers.items():
            if normed:
                layer.parametrizations.weight.original.mul_(3).add_(0.1)
    samples = torch.randn(5, 4) if extra else torch.randn(5, 3, 8, 8)
    for _ in range(100):
        network(samples, LABELS)
    network.eval()
    for layer, normed in layers.items():
        if normed:
            largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
            assert float(largest) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_the_logit_is_of_sums_over_places_and_a_projection(kind: Any) -> None:
    network = kind(1, 16, width=4, num_classes=3).eval()
    seen: list[Tensor] = []
    network.attentions[-1].register_forward_hook(lambda _m, _i, out: seen.append(out))
    images = torch.randn(5, 1, 16, 16)
    features = network.features(images)
    torch.testing.assert_close(features, F.relu(seen[0]).sum(dim=(2, 3)))
    plain = network.head(features).squeeze(1)
    expected = plain + (network.projection.weight[LABELS] * features).sum(1)
    torch.testing.assert_close(network(images, LABELS), expected)


@pytest.mark.parametrize(("generator", "discriminator"), PAIRS)
def test_attention_stands_at_the_map_of_the_side_it_was_given(
    generator: Any, discriminator: Any
) -> None:
    shapes: list[tuple[int, ...]] = []
    make = generator(1, (32, 64), latent_dim=4, width=4, attention=16)
    judge = discriminator(1, (32, 64), width=4, attention=8)  # two blocks end there
    for network in (make, judge):
        (found,) = (m for m in network.modules() if isinstance(m, SelfAttention))
        found.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape)))
    judge(make(torch.randn(2, 4), LABELS[:2]), LABELS[:2])
    assert shapes == [(2, 16, 16, 32), (2, 16, 8, 16)]


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_logits_do_not_mix_samples_and_have_a_penalty_on_their_slope(kind: Any) -> None:
    network = kind(1, 16, width=4, num_classes=3, attention=8)
    for module in network.modules():
        if isinstance(module, SelfAttention):
            nn.init.ones_(module.gamma)
    assert not has_batch_norm(network)
    images = torch.randn(5, 1, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(network(images, LABELS).sum(), images, create_graph=True)
    slope.square().sum().backward()
    weights = [p for name, p in network.named_parameters() if "bias" not in name]
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in weights)
    network.eval()
    torch.testing.assert_close(network(images, LABELS)[:2], network(images[:2], LABELS[:2]))


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_length_of_a_path_of_images_can_be_penalised(kind: Any) -> None:
    network = kind(1, 8, latent_dim=4, width=4, num_classes=3, attention=8)
    z = torch.randn(5, 4, requires_grad=True)
    (length,) = torch.autograd.grad(network(z, LABELS).square().sum(), z, create_graph=True)
    length.square().sum().backward()
    assert z.grad is not None
    assert 0 < float(z.grad.abs().sum()) < float("inf")
    network.eval()
    torch.testing.assert_close(network(z, LABELS)[:2], network(z[:2], LABELS[:2]))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: BigGANGenerator(1, 32, latent_dim=3), "smallest map and 3 blocks: take 4 or a"),
        (lambda: BigGANGenerator(1, 32, width=0), "BigGANGenerator: width=0 must be at least 1"),
        (lambda: BigGANGenerator(1, 32, embedding_dim=0), "embedding_dim=0 must be at least 1"),
        (lambda: BigGANGenerator(1, 30), "nearest sizes are 28 and 32"),
        (lambda: BigGANGenerator(1, 32, width=1, attention=4), "in maps of 8, 16, 32 pixels"),
        (lambda: BigGANDiscriminator(1, 32, width=1, attention=4), "in maps of 16, 8 pixels"),
        (lambda: BigGANDiscriminator(1, 32, width=0), "BigGANDiscriminator: width=0"),
        (lambda: BigGANDiscriminator(2, 0), "take the MLP networks"),
        (lambda: BigGANDeepGenerator(1, 32, depth=0), "BigGANDeepGenerator: depth=0"),
        (lambda: BigGANDeepGenerator(1, 32, width=1, attention=7), "attention=7 is no side"),
        (lambda: BigGANDeepDiscriminator(1, 32, depth=0), "BigGANDeepDiscriminator: depth=0"),
        (lambda: BigGANDeepDiscriminator(1, 32, width=1, attention=4), "maps of 16, 8 pixels"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_mend(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()
