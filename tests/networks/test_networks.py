"""What every generator and discriminator promises."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_networks import SMALL
from torch import Tensor, nn
from zoo import own

from lightning_gan.basics.randomness import RandomStream, Seeds, Shard
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import (
    AutoencoderDiscriminator,
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    Generator,
    MLPAutoencoderDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
    r3gan,
)
from lightning_gan.networks.layers import (
    batch_statistics,
    halvings,
    has_batch_norm,
    has_spectral_norm,
)
from lightning_gan.networks.mlp import Octaves
from lightning_gan.networks.r3gan import ResidualBlock


def sized(base: type[Generator] | type[Discriminator]) -> list[Any]:
    """All but wrappers, which are tested elsewhere."""
    return [kind for kind in own(base) if "image_size" in inspect.signature(kind).parameters]


def with_classes(kinds: list[Any]) -> list[tuple[Any, int]]:
    return [(kind, n) for kind in kinds for n in (0, 3) if n == 0 or kind not in UNCONDITIONAL]


GENERATORS, DISCRIMINATORS = sized(Generator), sized(Discriminator)
UNCONDITIONAL = (AutoencoderDiscriminator, MLPAutoencoderDiscriminator)
LABELS = torch.tensor([0, 1, 2, 2, 1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("kind", GENERATORS)
def test_a_generator_makes_images_of_the_size_it_was_given(
    kind: type[Generator], channels: int, num_classes: int
) -> None:
    generator = kind(channels=channels, image_size=8, num_classes=num_classes, **SMALL[kind])
    images = generator(torch.randn(5, 4), LABELS)
    assert images.shape == (5, channels, 8, 8)
    assert torch.isfinite(images).all()


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_label_does_not_drown_the_latent(kind: type[Generator]) -> None:
    """As strong as the latent it makes a generator that draws one picture of each class."""
    sizes = {**SMALL[kind], "latent_dim": 64}
    generator = kind(channels=1, image_size=8, num_classes=10, **sizes).eval()
    if generator.embedding is None:
        pytest.skip("the label goes elsewhere")
    power = generator.embedding.weight.detach().square().sum(1).mean()
    assert power < 0.15 * 64
    z, labels = torch.randn(32, 64), torch.arange(10)
    with torch.no_grad():
        of_latents = generator(z, labels[:1].expand(32)).std(0).mean()
        of_labels = generator(z[:1].expand(10, -1), labels).std(0).mean()
    assert of_latents > 2 * of_labels


def stream(shard: Shard, like: Tensor) -> RandomStream:
    return Seeds(0).stream("layers", 0, shard, like)


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_generator_takes_a_random_stream_exactly_where_it_says_so(kind: type[Generator]) -> None:
    generator, z = kind(channels=1, image_size=8, **SMALL[kind]), torch.randn(5, 4)
    assert ("random" in inspect.signature(generator.forward).parameters) == kind.draws_noise
    shard = Shard(5, 0, 5)
    before, random = stream(shard, z).normal(), stream(shard, z)
    generator.generate(z, LABELS, random)
    assert torch.equal(random.normal(), before) != kind.draws_noise
    still = stream(shard, z)
    generator.eval().generate(z, LABELS, still)
    assert torch.equal(still.normal(), before)


@pytest.mark.parametrize("kind", [kind for kind in GENERATORS if kind.draws_noise])
@pytest.mark.parametrize("shard", [Shard(6, 0, 6), Shard(8, 2, 4), Shard(5, 0, 1)])
def test_a_stream_for_another_number_of_rows_is_refused(
    kind: type[Generator], shard: Shard
) -> None:
    # its numbers would fit a mean or be spread over all rows, and no run could be repeated
    generator, z = kind(channels=1, image_size=8, **SMALL[kind]), torch.randn(5, 4)
    words = rf"^A layer sees 5 rows and its random numbers are for {shard.count}: give the network"
    for call in (generator, generator.generate):
        with pytest.raises(ConfigurationError, match=words):
            call(z, LABELS, stream(shard, z))
    some = stream(Shard(8, 0, 8), z).subset(slice(0, 5))
    generator.generate(z, LABELS, some)
    generator.eval().generate(z, LABELS, stream(shard, z))  # in evaluation nothing is drawn


@pytest.mark.parametrize(("kind", "num_classes"), with_classes(DISCRIMINATORS))
def test_a_discriminator_gives_one_logit_for_each_sample(
    kind: type[Discriminator], num_classes: int
) -> None:
    discriminator = kind(channels=3, image_size=8, num_classes=num_classes, **SMALL[kind])
    images = torch.randn(5, 3, 8, 8)
    assert discriminator(images, LABELS).shape == (5,)
    assert discriminator.features(images).ndim == 2


@pytest.mark.parametrize(("kind", "num_classes"), with_classes(GENERATORS + DISCRIMINATORS))
def test_labels_matter_exactly_where_there_are_classes(kind: Any, num_classes: int) -> None:
    network = kind(channels=1, image_size=8, num_classes=num_classes, **SMALL[kind]).eval()
    shape = (5, 4) if issubclass(kind, Generator) else (5, 1, 8, 8)
    samples = torch.randn(shape)
    same = torch.allclose(network(samples, LABELS), network(samples, (LABELS + 1) % 3), atol=1e-7)
    assert same == (num_classes == 0)


@pytest.mark.parametrize(("kind", "num_classes"), with_classes(GENERATORS + DISCRIMINATORS))
def test_every_weight_takes_part(kind: Any, num_classes: int) -> None:
    network = kind(channels=1, image_size=8, num_classes=num_classes, **SMALL[kind])
    with torch.no_grad():  # a layer that starts at zero stops what comes before it
        for parameter in network.parameters():
            if (parameter == 0).all():
                parameter.normal_(std=0.1)
    samples = torch.randn((5, 4) if issubclass(kind, Generator) else (5, 1, 8, 8))
    network(samples, LABELS).square().sum().backward()
    if hasattr(network, "reconstructions"):
        sum(made.square().sum() for made, _ in network.reconstructions(samples)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("kind", [MLPGenerator, MLPDiscriminator])
def test_perceptrons_take_points_too(kind: Any) -> None:
    network = kind(channels=2, image_size=0, **SMALL[kind])
    out = network(torch.randn(5, 4 if kind is MLPGenerator else 2), LABELS)
    assert out.shape == ((5, 2) if kind is MLPGenerator else (5,))


def test_octaves_add_the_waves_of_each_coordinate() -> None:
    x, y = 0.3, -0.7
    expected = [[x, y]]
    for wave in (math.sin, math.cos):
        expected += [[wave(w * value) / w for w in (2.0, 4.0, 8.0)] for value in (x, y)]
    found = Octaves(3, 2.0)(torch.tensor([[x, y]]))
    torch.testing.assert_close(found, torch.tensor([[v for part in expected for v in part]]))


def test_no_octave_is_steeper_than_the_coordinates() -> None:
    points = torch.linspace(-3, 3, 1001, requires_grad=True)
    slopes = [
        torch.autograd.grad(feature.sum(), points, retain_graph=True)[0].abs().amax().item()
        for feature in Octaves(6, 1.5)(points[:, None]).unbind(dim=1)
    ]
    assert len(slopes) == 13
    assert all(0.9 < slope <= 1 + 1e-6 for slope in slopes)


def test_a_discriminator_of_octaves_reads_them_and_saves_no_more() -> None:
    plain, fine = MLPDiscriminator(2, 0), MLPDiscriminator(2, 0, octaves=4)
    shapes = [[weight.shape for weight in d.state_dict().values()] for d in (plain, fine)]
    assert shapes[0][0] == (128, 2)
    assert shapes[1][0] == (128, 2 * 9)
    assert shapes[0][1:] == shapes[1][1:]
    assert fine(torch.randn(5, 2), LABELS).shape == (5,)


@pytest.mark.parametrize("options", [{"octaves": -1}, {"octaves": 1, "frequency": 0}])
def test_octaves_out_of_range_are_refused(options: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"must be (at least|above) 0"):
        MLPDiscriminator(2, 0, **options)


@pytest.mark.parametrize("kind", GENERATORS + DISCRIMINATORS)
@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ({}, "pass channels and image_size"),
        ({"channels": 0, "image_size": 8}, "channels=0 must be at least 1"),
        ({"channels": 1, "image_size": -8}, "must be at least 0"),
        ({"channels": 1, "image_size": 8, "num_classes": -1}, "num_classes"),
    ],
)
def test_sizes_that_are_missing_or_none_are_refused(
    kind: Any, sizes: dict[str, int], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        kind(**sizes, **SMALL[kind])


@pytest.mark.parametrize("kind", [DCGANGenerator, DCGANDiscriminator])
@pytest.mark.parametrize("size", [28, 32, 64])
def test_dcgan_fits_the_usual_sizes(kind: Any, size: int) -> None:
    network = kind(channels=1, image_size=size, width=2)
    if kind is DCGANGenerator:
        assert network(torch.randn(2, 100), LABELS[:2]).shape == (2, 1, size, size)
    else:
        assert network(torch.randn(2, 1, size, size), LABELS[:2]).shape == (2,)


def test_images_are_halved_down_to_four_to_seven_pixels() -> None:
    expected = {28: (2, 7), 32: (3, 4), 64: (4, 4), 8: (1, 4), 48: (3, 6), 14: (1, 7)}
    found = {size: halvings("X", (size, size)) for size in expected}
    assert found == {size: (steps, (side, side)) for size, (steps, side) in expected.items()}


@pytest.mark.parametrize("size", [(32, 64), (64, 32), (28, 56), (16, 80)])
def test_the_shorter_side_of_an_oblong_image_says_how_often_it_is_halved(
    size: tuple[int, int],
) -> None:
    steps, smallest = halvings("X", size)
    assert tuple(side * 2**steps for side in smallest) == size
    assert 4 <= min(smallest) <= 7
    with pytest.raises(ConfigurationError, match="multiples of"):
        halvings("X", (32, 44))


@pytest.mark.parametrize(
    ("size", "complaint"),
    [(0, "take the MLP networks"), (30, "nearest sizes are 28 and 32"), (5, "nearest sizes")],
)
def test_a_size_that_cannot_be_halved_is_refused_with_the_nearest(
    size: int, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        DCGANGenerator(1, size)


def test_r3gan_wants_one_width_for_each_map() -> None:
    with pytest.raises(ConfigurationError, match="take 2 widths"):
        R3GANGenerator(1, 8, widths=(8, 8, 8))


def test_dcgan_starts_as_its_paper_says() -> None:
    network = DCGANGenerator(3, 32, width=32)
    convolutions = [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    for layer in convolutions:
        assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert float(torch.cat([m.weight.detach() for m in norms]).mean()) == pytest.approx(1, abs=0.01)


def test_a_residual_block_starts_as_the_identity() -> None:
    maps = torch.randn(2, 8, 4, 4)
    assert torch.equal(ResidualBlock(8, 2, 4, blocks=3)(maps), maps)


def test_images_of_squashed_generators_lie_between_minus_one_and_one() -> None:
    for kind in (MLPGenerator, DCGANGenerator):
        images = kind(1, 8, **SMALL[kind])(100 * torch.randn(5, 4), LABELS)
        assert float(images.detach().abs().max()) <= 1


@pytest.mark.parametrize(
    ("make", "normed"),
    [
        (lambda: DCGANDiscriminator(1, 8, width=4), (True, False)),
        (lambda: DCGANDiscriminator(1, 16, width=4), (True, False)),
        (lambda: DCGANDiscriminator(1, 16, width=4, batch_norm=False), (False, False)),
        (
            lambda: DCGANDiscriminator(1, 16, width=4, batch_norm=False, spectral_norm=True),
            (False, True),
        ),
        (lambda: MLPDiscriminator(2, 0, width=4), (False, False)),
    ],
)
def test_norms_are_found_where_they_are(
    make: Callable[[], Discriminator], normed: tuple[bool, bool]
) -> None:
    discriminator = make()
    if discriminator.image_size == 8:  # one layer only, and the first has none
        normed = (False, False)
    assert (has_batch_norm(discriminator), has_spectral_norm(discriminator)) == normed


def test_spectral_norm_bounds_every_layer_and_rests_in_evaluation() -> None:
    network = DCGANDiscriminator(1, 8, width=4, batch_norm=False, spectral_norm=True)
    images = torch.randn(4, 1, 8, 8)
    for _ in range(200):
        network(images, LABELS[:4])
    largest = [
        float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2))
        for layer in network.modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    assert largest == pytest.approx([1.0] * len(largest), abs=1e-3)
    network.eval()
    before = [buffer.clone() for buffer in network.buffers()]
    network(images, LABELS[:4])
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))


def test_projection_adds_the_inner_product_with_the_label() -> None:
    network = MLPDiscriminator(2, 0, num_classes=3, width=4)
    points = torch.randn(5, 2)
    features: Tensor = network.features(points)
    assert network.projection is not None
    plain = network.head(features).squeeze(1)
    expected = plain + (network.projection.weight[LABELS] * features).sum(1)
    assert torch.allclose(network(points, LABELS), expected)


def test_batch_statistics_score_as_in_training_and_remember_nothing() -> None:
    network = DCGANDiscriminator(1, 28, width=4)
    images, labels = torch.rand(8, 1, 28, 28) * 2 - 1, torch.zeros(8, dtype=torch.long)
    wanted = copy.deepcopy(network).train()(images, labels)
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with batch_statistics(network):
        torch.testing.assert_close(network(images, labels), wanted)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not torch.allclose(network(images, labels), wanted)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MLPGenerator(2, 0, width=0), "MLPGenerator: width=0 must be at least 1"),
        (lambda: MLPGenerator(2, 0, width=4.5), r"MLPGenerator: width=4\.5 must be an integer"),
        (lambda: MLPGenerator(2, 0, latent_dim=[8]), r"latent_dim=\[8\] must be a number"),
        (lambda: MLPDiscriminator(2.0, 0), r"MLPDiscriminator: channels=2\.0 must be an integer"),
        (lambda: MLPDiscriminator(2, 0, num_classes=2.5), r"num_classes=2\.5 must be an integer"),
        (lambda: MLPDiscriminator(2, 0, depth=0), "MLPDiscriminator: depth=0"),
        (lambda: DCGANGenerator(1, 28, width=0), "DCGANGenerator: width=0"),
        (lambda: R3GANGenerator(1, 28, blocks=0), "R3GANGenerator: blocks=0"),
        (lambda: R3GANDiscriminator(1, 28, widths=(8, 0, 4)), "widths=.* must be at least 1"),
        (lambda: R3GANGenerator(1, 28, patch=3), "patch=3 must be a power of two below 4"),
    ],
)
def test_networks_without_substance_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()


def test_the_conditional_logit_of_r3gan_is_a_product_with_the_class_alone() -> None:
    network = R3GANDiscriminator(1, 8, widths=(8, 4), group_size=4, num_classes=3)
    images = torch.randn(5, 1, 8, 8)
    assert network.projection is not None
    with torch.no_grad():
        once = network(images, LABELS)
        network.projection.weight.mul_(2)  # linear in the embedding
        torch.testing.assert_close(network(images, LABELS), 2 * once)
        network.projection.weight.zero_()  # and nothing without it
        assert network(images, LABELS).tolist() == [0] * 5


def test_r3gan_for_cifar10_has_as_many_weights_as_its_paper_says() -> None:
    sizes: dict[str, Any] = {"widths": (768,) * 4, "blocks": 2, "num_classes": 10}
    with torch.device("meta"):
        counts = [
            sum(p.numel() for p in kind(channels=3, image_size=32, **sizes).parameters()) / 1e6
            for kind in (R3GANGenerator, R3GANDiscriminator)
        ]
    assert [round(count, 1) for count in counts] == [20.8, 21.3]


def by_filter(maps: Tensor, up: bool) -> Tensor:
    """Maps through the filter (1, 3, 3, 1), as R3GAN's reference resamplers have it."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=maps.dtype) / 8
    kernel = torch.outer(row, row)[None, None]
    planes = maps.reshape(-1, 1, *maps.shape[2:])
    if up:
        planes = nn.functional.conv_transpose2d(planes, 4 * kernel, stride=2, padding=1)
    else:
        planes = nn.functional.conv2d(planes, kernel, stride=2, padding=1)
    return planes.view(*maps.shape[:2], *planes.shape[2:])


@pytest.mark.parametrize("size", [(4, 4), (7, 14), (6, 10)])
def test_r3gan_resamples_as_its_authors_do(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(r3gan._doubled(maps), by_filter(maps, up=True))
    even = torch.randn(2, 3, 2 * size[0], 2 * size[1], dtype=torch.float64)
    torch.testing.assert_close(r3gan._halved(even), by_filter(even, up=False))
    inner = r3gan._stretched(maps)[..., 1:-1, 1:-1]
    torch.testing.assert_close(r3gan._doubled(maps)[..., 1:-1, 1:-1], inner)


def test_r3gan_starts_and_has_biases_as_its_authors_say() -> None:
    sizes: dict[str, Any] = {"widths": (64, 64), "num_classes": 9}
    generator = R3GANGenerator(3, 8, latent_dim=256, **sizes)
    assert generator.embedding is not None
    assert float(generator.embedding.weight.detach().std()) == pytest.approx(1 / 3, rel=0.05)
    for classes in (0, 9):
        discriminator = R3GANDiscriminator(3, 8, widths=(64, 64), num_classes=classes)
        biased = {name for name, _ in discriminator.named_parameters() if name.endswith("bias")}
        assert all(".widen." in name or ".mix." in name for name in biased)
    plain = R3GANDiscriminator(3, 8, widths=(64, 64), plain=True)
    assert {"image.bias", "head.bias"} <= {name for name, _ in plain.named_parameters()}


def test_plain_r3gan_has_means_and_linear_interpolation() -> None:
    pair = R3GANGenerator(1, 8, widths=(8, 8), plain=True), R3GANGenerator(1, 8, widths=(8, 8))
    pair[1].load_state_dict(pair[0].state_dict())
    z, labels = torch.randn(2, 64), LABELS[:2]
    inner = [network(z, labels)[..., 3:-3, 3:-3] for network in pair]
    assert not torch.equal(pair[0](z, labels), pair[1](z, labels))
    torch.testing.assert_close(*inner)
