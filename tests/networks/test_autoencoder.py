"""Discriminators that judge by the error of a reconstruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import (
    AutoencoderDiscriminator,
    BEGANGenerator,
    MLPAutoencoderDiscriminator,
)

LABELS = torch.zeros(4, dtype=torch.long)
IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
KINDS: list[Callable[..., Any]] = [
    lambda **more: AutoencoderDiscriminator(3, 16, width=4, code_dim=5, **more),
    lambda **more: MLPAutoencoderDiscriminator(3, 16, width=8, code_dim=5, **more),
]


class Constant(nn.Module):
    """Decodes everything to one number."""

    def __init__(self, number: float, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.image = torch.full(shape, number)

    def forward(self, code: Tensor) -> Tensor:
        return self.image.expand(len(code), *self.image.shape)


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(("power", "error"), [(1, 0.5), (2, 0.25)])
def test_the_logit_is_minus_the_mean_error_of_each_sample(
    make: Callable[..., Any], power: int, error: float
) -> None:
    network = make(power=power)
    network.decoder = Constant(0.5, (3, 16, 16))
    assert torch.allclose(network(torch.ones(4, 3, 16, 16), LABELS), torch.tensor(-error))
    assert torch.equal(network(torch.full((4, 3, 16, 16), 0.5), LABELS), torch.zeros(4))


@pytest.mark.parametrize("make", KINDS)
def test_scores_are_the_errors_of_the_reconstruction_and_the_codes(
    make: Callable[..., Any],
) -> None:
    network = make()
    logits, codes = network.logits_and_features(IMAGES, LABELS)
    again = network.reconstruct(IMAGES)
    assert again.shape == IMAGES.shape
    torch.testing.assert_close(logits, -(IMAGES - again).abs().mean(dim=(1, 2, 3)))
    assert torch.equal(codes, network.features(IMAGES))
    assert codes.shape == (4, network.num_features) == (4, 5)
    assert network.reconstructs


def test_the_gradient_passes_through_both_occurrences_of_the_sample() -> None:
    network = MLPAutoencoderDiscriminator(2, 0, width=8, code_dim=3, power=2).double()
    points = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(network(points, LABELS).sum(), points)
    rest = (points - network.reconstruct(points)).detach()
    jacobians = torch.stack(
        [torch.autograd.functional.jacobian(network.reconstruct, p[None])[0, :, 0] for p in points]
    )
    # the mean over two coordinates of the square: -(x - A(x)) (1 - dA/dx)
    expected = -(rest - torch.einsum("ni,nij->nj", rest, jacobians))
    torch.testing.assert_close(found, expected)


def test_points_are_reconstructed_too() -> None:
    network = MLPAutoencoderDiscriminator(2, 0)
    points = torch.randn(5, 2)
    assert network.reconstruct(points).shape == (5, 2)
    assert network(points, LABELS).shape == (5,)


def test_a_perceptron_without_a_bottleneck_learns_to_reconstruct() -> None:
    torch.manual_seed(0)
    network = MLPAutoencoderDiscriminator(2, 0, width=16, code_dim=4, power=2)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    points = torch.randn(64, 2)
    for _ in range(200):
        optimizer.zero_grad()
        (-network(points, LABELS)).mean().backward()
        optimizer.step()
    assert float(-network(points, LABELS).detach().mean()) < 0.01


@pytest.mark.parametrize("size", [28, 32, 64, (16, 32)])
def test_began_takes_the_usual_sizes_and_oblong_ones(size: Any) -> None:
    height, width = (size, size) if isinstance(size, int) else size
    discriminator = AutoencoderDiscriminator(1, size, width=2, code_dim=3, depth=1)
    generator = BEGANGenerator(1, size, latent_dim=3, width=2, depth=1)
    images = generator(torch.randn(2, 3), LABELS)
    assert images.shape == (2, 1, height, width)
    assert discriminator.reconstruct(images).shape == images.shape


def test_maps_of_the_encoder_grow_by_the_width_and_those_of_the_decoder_do_not() -> None:
    network = AutoencoderDiscriminator(3, 64, width=4, code_dim=6, depth=2)
    encoder = [m for m in network.encoder.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in encoder] == [4, 4, 4, 8, 8, 8, 12, 12, 12, 16, 16, 16]
    assert [m.stride[0] for m in encoder] == [1, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1]
    decoder = [m for m in network.decoder.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in decoder] == [4] * 8 + [3]
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(16 * 64, 6), (6, 4 * 64)]


def test_the_generator_is_the_decoder_with_a_squashed_end() -> None:
    generator = BEGANGenerator(3, 16, latent_dim=5, width=4)
    discriminator = AutoencoderDiscriminator(3, 16, width=4, code_dim=5)
    generator.decoder.load_state_dict(discriminator.decoder.state_dict())
    codes = discriminator.features(IMAGES)
    expected = discriminator.reconstruct(IMAGES).tanh()
    torch.testing.assert_close(generator(codes, LABELS), expected)
    assert float(generator(1e4 * codes, LABELS).detach().abs().max()) <= 1


def test_skips_show_the_first_map_at_every_size() -> None:
    plain = BEGANGenerator(3, 32, latent_dim=5, width=4)
    skipping = BEGANGenerator(3, 32, latent_dim=5, width=4, skips=True)
    count = [sum(p.numel() for p in network.parameters()) for network in (plain, skipping)]
    assert count[1] - count[0] == 2 * 4 * 4 * 9  # two sizes above the smallest
    with torch.no_grad():  # silence what was there without skips
        for stage in list(skipping.decoder.stages)[1:]:
            stage[0].weight[:, :4].zero_()  # type: ignore[index, union-attr, operator]
    z = torch.randn(4, 5)
    assert (skipping(z, LABELS) != skipping(z + 1, LABELS)).any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: KINDS[0](num_classes=3), "has no classes, but num_classes=3: set it to 0"),
        (lambda: KINDS[1](num_classes=3), "has no classes, but num_classes=3: set it to 0"),
        (lambda: KINDS[0](power=3), "power=3 must be 1"),
        (lambda: KINDS[0](depth=0), "depth=0 must be at least 1"),
        (lambda: MLPAutoencoderDiscriminator(2, 0, code_dim=0), "code_dim=0 must be at least 1"),
        (lambda: MLPAutoencoderDiscriminator(2, 0, width=0), "width=0 must be at least 1"),
        (lambda: BEGANGenerator(1, 8, width=0), "width=0 must be at least 1"),
        (lambda: AutoencoderDiscriminator(2, 0), "take the MLP networks"),
        (lambda: KINDS[0]().logits_from(torch.zeros(4, 5), LABELS), "not by its code alone"),
    ],
)
def test_autoencoders_that_cannot_be_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()
