"""FastGAN."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from tiny import composition, step_of
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gan.basics.randomness import Seeds, Shard
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import FastGANDiscriminator, FastGANGenerator, MLPGenerator
from lightning_gan.networks.fastgan import AddedNoise, Excitation, ExcitedChain, HalvingBlock
from lightning_gan.networks.layers import has_batch_norm
from lightning_gan.objectives import Hinge
from lightning_gan.regularizers import GradientPenalty

LABELS = torch.tensor([0, 1, 2, 2, 1])


def conv(inputs: int, outputs: int, side: int) -> int:
    return outputs * inputs * side**2


def excitation(inputs: int, outputs: int) -> int:
    return conv(inputs, outputs, 4) + conv(outputs, outputs, 1)


def up(inputs: int, outputs: int, twice: bool = False) -> int:
    once = conv(inputs, 2 * outputs, 3) + 2 * 2 * outputs
    again = conv(outputs, 2 * outputs, 3) + 2 * 2 * outputs
    return once + again + 2 if twice else once  # two scales of noise


def down(inputs: int, outputs: int) -> int:
    layers = conv(inputs, outputs, 4) + conv(outputs, outputs, 3) + conv(inputs, outputs, 1)
    return layers + 3 * 2 * outputs


def test_networks_for_256_pixels_have_the_layers_of_the_authors_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Spectral norm has no parameters, and is slow to set up without numbers.
    monkeypatch.setattr("lightning_gan.networks.fastgan.spectral_norm", lambda layer: layer)
    with torch.device("meta"):
        networks = [FastGANGenerator(3, 256), FastGANDiscriminator(3, 256)]
    found = [sum(p.numel() for p in network.parameters()) for network in networks]
    maps = [1024, 512, 256, 128, 128, 64, 32]  # of 4 to 256 pixels
    blocks = sum(up(a, b, i % 2 == 0) for i, (a, b) in enumerate(pairwise(maps)))
    gates = excitation(1024, 128) + excitation(512, 64) + excitation(256, 32)
    generator = conv(256, 2048, 4) + 2 * 2048 + blocks + gates + conv(32, 3, 3)
    maps = [16, 32, 64, 128, 256, 512]  # of 256 to 8 pixels
    trunk = conv(3, 16, 3) + sum(down(a, b) for a, b in pairwise(maps))
    gates = excitation(16, 128) + excitation(32, 256) + excitation(64, 512)
    head = conv(512, 1024, 1) + 2 * 1024 + conv(1024, 1, 4)
    painted = [128, 64, 64, 32]  # of 16 to 128 pixels
    both = sum(up(a, b) for maps in (256, 512) for a, b in pairwise([maps, *painted]))
    discriminator = trunk + gates + head + both + 2 * conv(32, 3, 3)
    assert found == [generator, discriminator] == [29_127_654, 9_981_616]


@pytest.mark.parametrize("size", [28, 48, 64, (16, 32), (48, 24)])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_square_and_oblong_images_fit(size: Any, num_classes: int) -> None:
    make = FastGANGenerator(2, size, latent_dim=4, width=2, num_classes=num_classes)
    images = make(torch.randn(5, 4), LABELS)
    assert images.shape == (5, 2, *make.size)
    assert float(images.detach().abs().max()) <= 1
    judge = FastGANDiscriminator(2, size, width=2, num_classes=num_classes)
    assert judge(images, LABELS).shape == (5,)
    for made, wanted in judge.reconstructions(images.detach()):
        assert made.shape == wanted.shape


def sides_that_scale(network: Any, samples: Tensor) -> list[tuple[int, int]]:
    """Pixels of each map that scales another, and of that other, on their shorter sides."""
    pairs: list[tuple[int, int]] = []

    def note(_module: nn.Module, inputs: tuple[Tensor, ...], _out: Tensor) -> None:
        pairs.append((min(inputs[0].shape[2:]), min(inputs[1].shape[2:])))

    for module in network.modules():
        if isinstance(module, Excitation):
            module.register_forward_hook(note)
    network(samples, LABELS[: len(samples)])
    return pairs


@pytest.mark.parametrize(
    ("size", "up", "down"),
    [
        (8, [(4, 8)], [(8, 4)]),
        (16, [(4, 16)], [(16, 8)]),
        (32, [(4, 32)], [(32, 8)]),
        (28, [(7, 28)], [(28, 7)]),
        (64, [(4, 64)], [(64, 8)]),
        (128, [(4, 64), (8, 128)], [(128, 16), (64, 8)]),
        (256, [(4, 64), (8, 128), (16, 256)], [(256, 32), (128, 16), (64, 8)]),
        (512, [(4, 64), (8, 128), (16, 256), (32, 512)], [(256, 32), (128, 16), (64, 8)]),
        (1024, [(4, 64), (8, 128), (16, 256), (32, 512)], [(256, 32), (128, 16), (64, 8)]),
    ],
)
def test_maps_scale_those_sixteen_times_as_large_or_eight_times_as_small(
    size: int, up: list[tuple[int, int]], down: list[tuple[int, int]]
) -> None:
    with torch.no_grad():
        generator = FastGANGenerator(1, size, latent_dim=4, width=1)
        assert sides_that_scale(generator, torch.randn(2, 4)) == up
        discriminator = FastGANDiscriminator(1, size, width=1)
        assert sides_that_scale(discriminator, torch.randn(2, 1, size, size)) == down


def test_an_excitation_scales_each_feature_map_by_one_factor_below_one() -> None:
    gate = Excitation(3, 5)
    source, maps = torch.randn(2, 3, 8, 8), torch.randn(2, 5, 6, 10)
    gate.eval()  # so that spectral norm rests
    _, first, _, second, _ = gate.factors
    hidden = F.silu(first(F.avg_pool2d(source, 2)))
    factors = torch.sigmoid(second(hidden))
    assert factors.shape == (2, 5, 1, 1)
    torch.testing.assert_close(gate(source, maps), maps * factors)


def test_a_chain_gives_every_map_and_scales_before_the_next_block() -> None:
    blocks = [nn.Conv2d(2, 2, 1) for _ in range(3)]
    chain = ExcitedChain(blocks, [2] * 4, distance=2, sources=4).eval()
    assert (chain.distance, len(chain.excitations)) == (2, 2)
    maps = torch.randn(1, 2, 4, 4)
    first = blocks[0](maps)
    second = chain.excitations[0](maps, blocks[1](first))
    third = chain.excitations[1](first, blocks[2](second))
    for found, expected in zip(chain(maps), [maps, first, second, third], strict=True):
        torch.testing.assert_close(found, expected)


def test_noise_is_the_same_for_all_maps_of_a_place_and_rests_in_evaluation() -> None:
    layer = AddedNoise()
    maps = torch.randn(2, 3, 4, 5)
    assert torch.equal(layer(maps), maps)  # the scale starts at zero
    nn.init.constant_(layer.scale, 0.5)
    added = (layer(maps) - maps).detach()
    torch.testing.assert_close(added, added[:, :1].expand_as(added))
    assert float(added[0].std()) > 0.1
    assert not torch.allclose(added[0], added[1])
    assert torch.equal(layer.eval()(maps), maps)


def noisy_generator() -> FastGANGenerator:
    torch.manual_seed(0)
    network = FastGANGenerator(1, 16, latent_dim=4, width=2)
    for module in network.modules():
        if isinstance(module, AddedNoise):
            nn.init.ones_(module.scale)
    return network


def test_noise_of_the_generator_is_a_function_of_seed_and_update() -> None:
    network, z = noisy_generator(), torch.randn(4, 4)

    def images(update: int) -> Tensor:
        random = Seeds(1).stream("noise", update, Shard(4, 0, 4), z)
        return network(z, LABELS[:4], random).detach()

    network(z, LABELS[:4])
    for _ in range(100):  # spectral norm comes to rest
        network(z, LABELS[:4])
    torch.testing.assert_close(images(0), images(0), atol=1e-4, rtol=0)
    assert not torch.allclose(images(0), images(1), atol=1e-2)


def test_a_halving_block_is_the_mean_of_two_ways() -> None:
    block = HalvingBlock(3, 4).eval()
    maps = torch.randn(2, 3, 8, 6)

    def active(maps: Tensor) -> Tensor:  # batch norm at rest, before it has seen anything
        return F.leaky_relu(maps / (1 + 1e-5) ** 0.5, 0.2)

    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 3
    for norm in norms:
        assert float((norm.weight.detach() - 1).abs().max()) < 0.2
        nn.init.ones_(norm.weight)
    long = active(block.layers[3](active(block.layers[0](maps))))
    short = active(block.skip[1](F.avg_pool2d(maps, 2)))
    torch.testing.assert_close(block(maps), (long + short) / 2)


@pytest.mark.parametrize("size", [8, 28, (32, 64)])
def test_the_logit_is_the_mean_of_the_papers_logits_of_patches(size: Any) -> None:
    network = FastGANDiscriminator(1, size, width=2).eval()
    images = torch.randn(3, 1, *network.size)
    maps = network.last(network.chain(network.first(images))[-1])
    patches = F.conv2d(maps, network.head.weight.reshape(1, -1, 4, 4))
    high, wide = maps.shape[2:]
    assert patches.shape == (3, 1, high - 3, wide - 3)
    logits = network(images, LABELS[:3])
    torch.testing.assert_close(logits, patches.mean(dim=(1, 2, 3)))
    judged = network.output(images, LABELS[:3])
    torch.testing.assert_close(judged.logits, patches.flatten())
    torch.testing.assert_close(judged.features, network.features(images))


def test_hinges_are_of_patches_and_not_of_their_mean() -> None:
    network = FastGANDiscriminator(1, 28, width=2).eval()
    network.head = nn.Linear(network.num_features, 1, bias=False)  # not normalised: large logits
    nn.init.normal_(network.head.weight, std=20)
    real, fake = torch.randn(2, 3, 1, 28, 28)
    step = step_of(real, fake, network.output)
    patches = [network.output(images, LABELS[:3]).logits.detach() for images in (real, fake)]
    expected = torch.relu(1 - patches[0]).mean() + torch.relu(1 + patches[1]).mean()
    found = Hinge().discriminator_loss(step).detach()
    torch.testing.assert_close(found, expected)
    means = [patch.view(3, 16).mean(dim=1) for patch in patches]
    assert float(found) > float(torch.relu(1 - means[0]).mean() + torch.relu(1 + means[1]).mean())


def test_the_projection_of_a_class_joins_every_patch() -> None:
    network = FastGANDiscriminator(1, 28, width=2, num_classes=3).eval()
    images = torch.randn(3, 1, 28, 28)
    logits = network.output(images, LABELS[:3]).logits
    torch.testing.assert_close(logits.view(3, 16).mean(dim=1), network(images, LABELS[:3]))


def quarters(images: Tensor) -> list[Tensor]:
    high, wide = images.shape[2] // 2, images.shape[3] // 2
    return [
        images[..., :high, :wide],
        images[..., :high, wide:],
        images[..., high:, :wide],
        images[..., high:, wide:],
    ]


@pytest.mark.parametrize(
    ("size", "whole", "part"),
    [
        (8, (8, 8), (4, 4)),
        (28, (28, 28), (14, 14)),
        (32, (32, 32), (16, 16)),
        ((32, 64), (32, 64), (16, 32)),
        (256, (128, 128), (128, 128)),
        (512, (128, 128), (128, 128)),
    ],
)
def test_decoders_paint_the_image_and_a_quarter_of_it_up_to_sixteen_times_the_map(
    size: Any, whole: tuple[int, int], part: tuple[int, int]
) -> None:
    network = FastGANDiscriminator(2, size, width=2).eval()
    images = torch.rand(1, 2, *network.size) * 2 - 1
    with torch.no_grad():
        (all_of_it, image), (some, quarter) = network.reconstructions(images)
    assert all_of_it.shape == image.shape == (1, 2, *whole)
    assert some.shape == quarter.shape == (1, 2, *part)
    torch.testing.assert_close(image, F.adaptive_avg_pool2d(images, whole))
    torch.testing.assert_close(quarter, F.adaptive_avg_pool2d(quarters(images)[0], part))
    assert max(float(made.abs().max()) for made in (all_of_it, some)) <= 1


def test_a_quarter_is_painted_from_the_same_quarter_of_the_larger_map() -> None:
    network = FastGANDiscriminator(1, 16, width=2)
    images = torch.rand(64, 1, 16, 16) * 2 - 1
    network.decoders[1] = nn.Identity()  # shows what it would paint from
    (_, (found, wanted)) = network.reconstructions(images)
    larger = network.chain(network.first(images))[-2]
    fitting = torch.stack([(q == wanted).flatten(1).all(1) for q in quarters(images)])
    assert fitting.sum(0).tolist() == [1] * 64
    assert fitting.any(1).all()  # each of the four is drawn for some
    expected = torch.stack(quarters(larger))[fitting.int().argmax(0), torch.arange(64)]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)  # spectral norm has moved


def test_quarters_depend_on_the_place_in_the_global_batch_and_not_on_the_process() -> None:
    network = FastGANDiscriminator(1, 8, width=2)
    images = torch.rand(6, 1, 8, 8)

    def targets(shard: Shard) -> Tensor:
        mine = images[shard.first : shard.first + shard.count]
        random = Seeds(3).stream("quarters", 5, shard, mine)
        return network.reconstructions(mine, random)[1][1]

    together = targets(Shard(6, 0, 6))
    assert torch.equal(torch.cat([targets(Shard(6, 0, 2)), targets(Shard(6, 2, 4))]), together)
    other = Seeds(3).stream("quarters", 5, Shard(6, 0, 4), images)
    with pytest.raises(ConfigurationError, match="sees 6 rows and its random numbers are for 4"):
        network.reconstructions(images, other)


def test_reconstructions_reach_trunk_and_decoders_and_logits_do_not_touch_decoders() -> None:
    network = FastGANDiscriminator(1, 16, width=2)
    images = torch.rand(6, 1, 16, 16) * 2 - 1
    network(images, torch.zeros(6, dtype=torch.long)).sum().backward()
    assert all(p.grad is None for p in network.decoders.parameters())
    network.zero_grad()
    pairs = network.reconstructions(images)
    sum((made - wanted).abs().mean() for made, wanted in pairs).backward()
    for part in (network.first, network.chain, network.decoders):
        assert all(p.grad is not None and p.grad.any() for p in part.parameters())
    assert all(p.grad is None for p in network.last.parameters())


def test_a_penalty_for_each_sample_is_refused_with_its_batch_norm() -> None:
    network = FastGANDiscriminator(1, 8, width=2)
    assert has_batch_norm(network)
    parts = composition(
        generator=MLPGenerator(1, 8, width=4),
        discriminator=network,
        regularizers=[GradientPenalty()],
    )
    with pytest.raises(ConfigurationError, match="batch norm"):
        parts.attach()


def test_the_length_of_a_path_of_images_can_be_penalised() -> None:
    network = FastGANGenerator(1, 8, latent_dim=4, width=2, num_classes=3)
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
        (lambda: FastGANGenerator(1, 32, width=0), "FastGANGenerator: width=0 must be at least 1"),
        (lambda: FastGANDiscriminator(1, 32, width=0), "FastGANDiscriminator: width=0"),
        (lambda: FastGANGenerator(1, 30), "nearest sizes are 28 and 32"),
        (lambda: FastGANDiscriminator(2, 0), "take the MLP networks"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_mend(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()
