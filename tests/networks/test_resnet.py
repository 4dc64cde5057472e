"""The residual networks of WGAN-GP, SNGAN and SAGAN, and SNDCGAN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import (
    ResNetDiscriminator,
    ResNetGenerator,
    SNDCGANDiscriminator,
    SNDCGANGenerator,
)
from lightning_gan.networks.attention import SelfAttention
from lightning_gan.networks.conditional import ClassBatchNorm
from lightning_gan.networks.layers import has_batch_norm, has_spectral_norm
from lightning_gan.networks.resnet import DownBlock, UpBlock

LABELS = torch.tensor([0, 1, 2, 2, 1])
G48, G64, G128 = (512, 256, 128, 64), (1024, 512, 256, 128, 64), (1024, 1024, 512, 256, 128, 64)
D48, D128 = (64, 128, 256, 512, 1024), (64, 128, 256, 512, 1024, 1024)


def count(make: Callable[[], nn.Module]) -> int:
    with torch.device("meta"):  # counts without making the weights
        return sum(parameter.numel() for parameter in make().parameters())


def conv(inputs: int, outputs: int, side: int) -> int:
    return outputs * (inputs * side**2 + 1)


def generator_count(widths: Sequence[int], start: int, classes: int = 1) -> int:
    """Dense layer, blocks of three convolutions and two norms, a plain norm, the image."""
    blocks = sum(
        conv(a, b, 3) + conv(b, b, 3) + conv(a, b, 1) + 2 * classes * (a + b)
        for a, b in pairwise(widths)
    )
    return 129 * widths[0] * start**2 + blocks + 2 * widths[-1] + conv(widths[-1], 3, 3)


def discriminator_count(widths: Sequence[int], halved: int, classes: int = 0) -> int:
    """The first block, which widens at once; the others, which widen last; the head."""
    total = conv(3, widths[0], 3) + conv(widths[0], widths[0], 3) + conv(3, widths[0], 1)
    for step, (a, b) in enumerate(pairwise(widths), 1):
        total += conv(a, a, 3) + conv(a, b, 3) + (conv(a, b, 1) if step < halved or a != b else 0)
    return total + widths[-1] * (1 + classes) + 1


# The last numbers were counted on the networks of kwotsin/mimicry, where it has them.
GENERATORS: list[tuple[int, dict[str, Any], tuple[int, ...], int | None]] = [
    (32, {"width": 256}, (256,) * 4, 4_276_739),
    (32, {"width": 256, "num_classes": 10}, (256,) * 4, 4_304_387),
    (48, {"widths": G48}, G48, 4_878_083),
    (64, {"widths": G64}, G64, 12_220_675),
    (128, {"widths": G128}, G128, 32_150_787),
    (128, {"widths": G128, "num_classes": 1000}, G128, 41_996_931),
    (32, {"width": 128}, (128,) * 4, None),  # WGAN-GP's own; mimicry's is twice as wide
]
DISCRIMINATORS: list[tuple[int, dict[str, Any], tuple[int, ...], int | None]] = [
    (32, {"halved": 2}, (128,) * 4, 1_053_825),
    (32, {"halved": 2, "num_classes": 10}, (128,) * 4, 1_055_105),
    (48, {"widths": D48, "halved": 4}, D48, 10_141_441),
    (64, {"widths": D48, "halved": 5}, D48, 10_141_441),
    (128, {"widths": D128, "halved": 5}, D128, 29_017_857),
    (128, {"widths": D128, "halved": 5, "num_classes": 1000}, D128, None),
]


@pytest.mark.parametrize(("size", "arguments", "widths", "published"), GENERATORS)
def test_generators_have_the_papers_number_of_weights(
    size: int, arguments: dict[str, Any], widths: tuple[int, ...], published: int | None
) -> None:
    found = count(lambda: ResNetGenerator(3, size, **arguments))
    start = size // 2 ** (len(widths) - 1)
    assert found == generator_count(widths, start, arguments.get("num_classes", 1))
    assert published is None or found == published


@pytest.mark.parametrize(("size", "arguments", "widths", "published"), DISCRIMINATORS)
def test_discriminators_have_the_papers_number_of_weights(
    size: int, arguments: dict[str, Any], widths: tuple[int, ...], published: int | None
) -> None:
    found = count(lambda: ResNetDiscriminator(3, size, **arguments))
    classes = arguments.get("num_classes", 0)
    assert found == discriminator_count(widths, arguments["halved"], classes)
    assert published is None or found == published


def test_attention_adds_three_quarters_of_the_squared_width_and_one() -> None:
    plain = count(lambda: ResNetGenerator(3, 128, widths=G128, num_classes=1000))
    found = count(lambda: ResNetGenerator(3, 128, widths=G128, num_classes=1000, attention=32))
    # 256 maps where the map is 32 x 32: C * C/8 twice, C * C/2 twice; 42,078,852 in mimicry.
    assert found == plain + 256**2 * 5 // 4 + 1 == 42_078_852
    found = count(lambda: ResNetDiscriminator(3, 32, num_classes=10, attention=16))
    assert found == 1_055_105 + 128**2 * 5 // 4 + 1 == 1_075_586


def test_sndcgan_has_the_layers_of_its_table() -> None:
    discriminator = SNDCGANDiscriminator(3, 32, spectral_norm=False)
    layers = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    found = [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in layers]
    pairs = [[(maps, 3, 1), (maps, 4, 2)] for maps in (64, 128, 256)]
    assert found == [*pairs[0], *pairs[1], *pairs[2], (512, 3, 1)]
    assert discriminator.num_features == 512 * 4 * 4
    slopes = {m.negative_slope for m in discriminator.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.1}
    sizes = [conv(3, 64, 3), conv(64, 128, 3), conv(128, 256, 3), conv(256, 512, 3)]
    halving = [conv(maps, maps, 4) for maps in (64, 128, 256)]
    total = sum(parameter.numel() for parameter in discriminator.parameters())
    assert total == sum(sizes) + sum(halving) + 512 * 16 + 1
    up = sum(16 * a * a // 2 + a for a in (512, 256, 128))  # without bias; the norm has two sets
    for size, places in ((32, 16), (48, 36)):
        found_up = count(lambda size=size: SNDCGANGenerator(3, size))
        assert found_up == 129 * 512 * places + up + conv(64, 3, 3)


@pytest.mark.parametrize("size", [28, 48, 64, (16, 32), (48, 24)])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_square_and_oblong_images_fit(size: Any, num_classes: int) -> None:
    pairs: list[tuple[Any, Any]] = [
        (ResNetGenerator, ResNetDiscriminator),
        (SNDCGANGenerator, SNDCGANDiscriminator),
    ]
    for generator, discriminator in pairs:
        images = generator(2, size, latent_dim=4, width=4, num_classes=num_classes)(
            torch.randn(5, 4), LABELS
        )
        assert images.shape == (5, 2, *((size, size) if isinstance(size, int) else size))
        assert float(images.detach().abs().max()) <= 1
        judge = discriminator(2, size, width=4, num_classes=num_classes)
        assert judge(images, LABELS).shape == (5,)


def test_an_up_block_is_its_formula() -> None:
    block = UpBlock(4, 6, lambda maps: ClassBatchNorm(maps, 0))
    maps = torch.randn(3, 4, 5, 7)

    def normed(maps: Tensor) -> Tensor:
        return F.relu(F.batch_norm(maps, None, None, training=True))

    def twice(maps: Tensor) -> Tensor:
        return maps.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    expected = block.conv2(normed(block.conv1(twice(normed(maps))))) + block.skip(twice(maps))
    torch.testing.assert_close(block(maps, LABELS[:3]), expected)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(("halve", "outputs"), [(True, 4), (True, 6), (False, 6), (False, 4)])
def test_a_down_block_is_its_formula(halve: bool, outputs: int, layer_norm: bool) -> None:
    block = DownBlock(4, outputs, halve, layer_norm=layer_norm)
    maps = torch.randn(3, 4, 6, 8)
    first, second = (layer for layer in block.layers if isinstance(layer, nn.Conv2d))

    def active(maps: Tensor) -> Tensor:
        return F.relu(F.layer_norm(maps, maps.shape[1:]) if layer_norm else maps)

    def pool(maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps, 2) if halve else maps

    skip = maps if not halve and outputs == 4 else block.skip(maps)
    expected = pool(second(active(first(active(maps))))) + pool(skip)
    torch.testing.assert_close(block(maps), expected)


def test_the_first_block_takes_negative_pixels_too() -> None:
    block = DownBlock(3, 4, halve=True, first=True)
    first, second = (layer for layer in block.layers if isinstance(layer, nn.Conv2d))
    images = torch.randn(2, 3, 8, 8)
    expected = second(F.relu(first(images))) + block.skip(images)
    torch.testing.assert_close(block(images), F.avg_pool2d(expected, 2))


def test_blocks_leave_what_they_are_given_alone() -> None:
    maps = -torch.ones(3, 4, 4, 4)
    DownBlock(4, 4, halve=False)(maps)
    UpBlock(4, 4, lambda width: ClassBatchNorm(width, 3))(maps, LABELS[:3])
    assert torch.equal(maps, -torch.ones(3, 4, 4, 4))


def test_the_sum_over_places_is_the_mean_times_their_number() -> None:
    network = ResNetDiscriminator(1, 32, width=4)
    images = torch.randn(2, 1, 32, 32)
    sums = network.features(images)
    network.mean_pool = True
    torch.testing.assert_close(sums, 64 * network.features(images))


@pytest.mark.parametrize(("size", "halved"), [(8, 1), (28, 1), (32, 2), (48, 2), (64, 3)])
def test_the_map_is_halved_to_eight_to_fifteen_pixels(size: int, halved: int) -> None:
    network = ResNetDiscriminator(1, size, width=2)
    pools = [m for m in network.modules() if isinstance(m, nn.AvgPool2d)]
    assert (len(pools), len(network.blocks)) == (halved, halved + 2)


def test_images_of_adaptive_instance_norm_do_not_depend_on_their_neighbours() -> None:
    network = ResNetGenerator(1, 8, latent_dim=4, width=4, adain=True, num_classes=3)
    z = torch.randn(5, 4)
    assert not has_batch_norm(network)
    torch.testing.assert_close(network(z, LABELS)[:2], network(z[:2], LABELS[:2]))
    assert not torch.allclose(network(z, LABELS), network(z, (LABELS + 1) % 3), atol=1e-4)


def test_attention_stands_at_the_map_of_the_side_it_was_given() -> None:
    shapes: list[tuple[int, ...]] = []

    def note(_module: nn.Module, inputs: tuple[Tensor, ...], _out: Tensor) -> None:
        shapes.append(tuple(inputs[0].shape))

    generator = ResNetGenerator(1, (16, 32), latent_dim=4, widths=(8, 6, 4), attention=8)
    discriminator = ResNetDiscriminator(
        1, (16, 32), widths=(4, 6, 8, 10), halved=2, attention=4, spectral_norm=True
    )
    for network in (generator, discriminator):
        network.attention.register_forward_hook(note)
    discriminator(generator(torch.randn(2, 4), LABELS[:2]), LABELS[:2])
    assert shapes == [(2, 6, 8, 16), (2, 6, 4, 8)]
    assert has_spectral_norm(discriminator.attention)
    assert not has_spectral_norm(generator.attention)


def test_the_last_layer_of_sndcgan_can_be_left_alone_as_in_the_relativistic_gans_code() -> None:
    normalised, free = (
        SNDCGANDiscriminator(1, 8, width=2, spectral_head=spectral) for spectral in (True, False)
    )
    assert has_spectral_norm(normalised.head)
    assert not has_spectral_norm(free.head)
    assert has_spectral_norm(free.layers)


@pytest.mark.parametrize("kind", [ResNetDiscriminator, ResNetGenerator, SNDCGANDiscriminator])
def test_spectral_norm_bounds_every_layer_projection_included(kind: Any) -> None:
    extra = {"attention": 8, "latent_dim": 4} if kind is ResNetGenerator else {}
    network = kind(1, 16, width=4, num_classes=3, spectral_norm=True, **extra)
    samples = torch.randn(5, 4) if extra else torch.randn(5, 1, 16, 16)
    kinds: tuple[type[nn.Module], ...] = (nn.Conv2d, nn.Linear)
    kinds += () if extra else (nn.Embedding,)  # gains of classes are no linear layer
    layers = [module for module in network.modules() if isinstance(module, kinds)]
    for _ in range(300):
        network(samples, LABELS)
    largest = [float(torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2)) for m in layers]
    assert largest == pytest.approx([1.0] * len(largest), abs=2e-3)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"layer_norm": True}, {"spectral_norm": True}, {"attention": 8}, {"mean_pool": True}],
)
def test_logits_do_not_mix_samples_and_have_a_penalty_on_their_slope(
    arguments: dict[str, Any],
) -> None:
    network = ResNetDiscriminator(1, 16, width=8, num_classes=3, **arguments)
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


@pytest.mark.parametrize("arguments", [{}, {"adain": True}, {"attention": 8}])
def test_the_length_of_a_path_of_images_can_be_penalised(arguments: dict[str, Any]) -> None:
    network = ResNetGenerator(1, 8, latent_dim=4, width=8, num_classes=3, **arguments)
    z = torch.randn(5, 4, requires_grad=True)
    (length,) = torch.autograd.grad(network(z, LABELS).sum(), z, create_graph=True)
    length.square().sum().backward()
    assert z.grad is not None
    assert 0 < float(z.grad.abs().sum()) < float("inf")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ResNetGenerator(1, 32, widths=(8, 8)), "32 pixels take 4 widths.*has 2"),
        (lambda: ResNetGenerator(1, 8, widths=(8, 0)), "widths=.* must be at least 1"),
        (lambda: ResNetGenerator(1, 8, width=0), "width=0 must be at least 1"),
        (lambda: ResNetGenerator(1, 30), "nearest sizes are 28 and 32"),
        (lambda: ResNetGenerator(1, 32, width=2, attention=4), "in maps of 8, 16, 32 pixels"),
        (lambda: ResNetDiscriminator(1, 32, width=2, attention=4), "in maps of 16, 8 pixels"),
        (lambda: ResNetDiscriminator(1, 32, width=0), "width=0 must be at least 1"),
        (lambda: ResNetDiscriminator(1, 32, widths=(8,)), "halved=2 blocks of only 1"),
        (lambda: ResNetDiscriminator(1, 32, widths=(8, 0)), "widths=.* must be at least 1"),
        (lambda: ResNetDiscriminator(1, 32, halved=0), "halved=0 must be at least 1"),
        (lambda: ResNetDiscriminator(1, 28, halved=3), "28 x 28 pixels can be halved as often"),
        (lambda: ResNetDiscriminator(2, 0), "take the MLP networks"),
        (lambda: SNDCGANGenerator(1, 28, width=0), "SNDCGANGenerator: width=0"),
        (lambda: SNDCGANDiscriminator(1, 28, width=0), "SNDCGANDiscriminator: width=0"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_mend(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()
