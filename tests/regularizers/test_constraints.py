"""Constraints on weights: spectral norm, orthogonal rows, frozen layers, clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny import composition, fit, picture_gan, points_gan, scored, weights
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    LabelMaps,
    MinibatchDiscrimination,
    MLPDiscriminator,
    MLPGenerator,
    Packed,
    R3GANDiscriminator,
    ResNetDiscriminator,
)
from lightning_gan.objectives import Hinge, NonSaturating, Wasserstein
from lightning_gan.regularizers import (
    FreezeD,
    OrthogonalRegularization,
    SpectralNormalization,
    WeightClipping,
)
from lightning_gan.regularizers.constraints import LAYERS

# ------------------------------------------------------------------------------- spectral norm


def dcgan(**kinds: bool) -> GAN:
    """A pair with convolutions, transposed ones and an embedding."""
    torch.manual_seed(3)
    return GAN(
        DCGANGenerator(1, 8, latent_dim=4, width=4, num_classes=2),
        DCGANDiscriminator(1, 8, width=4, num_classes=2, batch_norm=False),
        Hinge(),
        [SpectralNormalization(**kinds)],
    )


def matrix_of(layer: Any) -> np.ndarray:
    """The effective weight of a layer as a matrix (out, ...)."""
    weight: Tensor = layer.weight.detach()
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        weight = weight.transpose(0, 1)
    return weight.flatten(1).numpy()


def layers_of(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, LAYERS)]


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_the_largest_singular_value_becomes_one_after_many_forwards(player: str) -> None:
    kinds = {"discriminator": False, "generator": False} | {player: True}
    gan = dcgan(**kinds).double()
    labels = torch.zeros(2, dtype=torch.long)
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    z = torch.randn(2, 4, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(400):
            gan.discriminator.train()(images, labels)
            gan.generator.train()(z, labels)
    gan.eval()
    for name in kinds:
        found = [np.linalg.norm(matrix_of(m), 2) for m in layers_of(getattr(gan, name))]
        assert len(found) >= 3
        if kinds[name]:
            assert found == pytest.approx([1] * len(found), abs=1e-6)
        else:
            assert max(abs(value - 1) for value in found) > 0.05


def directions(network: nn.Module) -> dict[str, Tensor]:
    """The singular vectors; those of one entry are 1 or -1 and cannot move."""
    vectors = {k: v for k, v in network.named_buffers() if k.endswith(("._u", "._v"))}
    assert len(vectors) == 2 * len(layers_of(network))
    return {name: vector.clone() for name, vector in vectors.items() if len(vector) > 1}


def test_only_forwards_in_training_move_the_singular_vectors() -> None:
    gan = dcgan(generator=True)
    for network, inputs in ((gan.discriminator, torch.randn(2, 1, 8, 8)), (gan.generator, None)):
        given = torch.randn(2, 4) if inputs is None else inputs
        with torch.no_grad():
            for layer in layers_of(network):
                raw = layer.parametrizations.weight.original  # type: ignore[union-attr, operator, index]
                raw.copy_(torch.randn_like(raw))  # far from converged
        before = directions(network)
        network.eval()(given, torch.tensor([0, 1]))
        assert all(torch.equal(before[name], v) for name, v in directions(network).items())
        network.train()(given, torch.tensor([0, 1]))
        assert not any(torch.equal(before[name], v) for name, v in directions(network).items())


def test_the_averaged_generator_averages_raw_weights_and_copies_the_vectors() -> None:
    gan = points_gan(
        regularizers=[SpectralNormalization(generator=True)], ema_half_life=8, ema_rampup=1
    )
    fit(gan, 3)
    before = weights(gan.generator_ema)
    fit(gan, 4)  # one batch more, of 8
    now = weights(gan.generator)
    for name, value in weights(gan.generator_ema).items():
        vector = name.endswith(("._u", "._v"))
        expected = now[name] if vector else (before[name] + now[name]) / 2
        assert torch.allclose(value, expected, atol=1e-7), name
        assert vector or not torch.equal(before[name], now[name])
    samples = gan.sample(5)
    assert torch.isfinite(samples).all()
    for ema in layers_of(gan.generator_ema.eval()):
        inside: Any = ema.parametrizations.weight  # type: ignore[union-attr]
        divisor = inside[0]._u @ inside.original @ inside[0]._v
        assert torch.allclose(ema.weight, inside.original / divisor, rtol=1e-5)  # type: ignore[arg-type]


def test_spectral_norm_bounds_a_wasserstein_critic_only_where_it_is_on_the_critic() -> None:
    points_gan(Wasserstein(), [SpectralNormalization(generator=True)])
    with pytest.raises(ConfigurationError, match="bounded slope"):
        points_gan(Wasserstein(), [SpectralNormalization(discriminator=False, generator=True)])


def test_spectral_norm_refuses_what_it_cannot_divide() -> None:
    critic = DCGANDiscriminator(1, 8, width=4, batch_norm=False, spectral_norm=True)
    parts = composition(
        generator=MLPGenerator(1, 8), discriminator=critic, regularizers=[SpectralNormalization()]
    )
    with pytest.raises(ConfigurationError, match="normalised already"):
        parts.attach()
    # the last convolution of a residual block of R3GAN starts at zero
    with pytest.raises(ConfigurationError, match=r"starts at zero: take another network\."):
        picture_gan(regularizers=[SpectralNormalization()])
    with pytest.raises(ConfigurationError, match="neither player"):
        SpectralNormalization(discriminator=False)


def test_clipping_refuses_spectral_norm_whichever_comes_first() -> None:
    parts = [WeightClipping(), SpectralNormalization()]
    for order in (parts, parts[::-1]):
        with pytest.raises(ConfigurationError, match="use one of the two"):
            points_gan(Wasserstein(), [type(part)() for part in order])


# ------------------------------------------------------------------------------ orthogonal rows


def orthogonal(network: nn.Module, player: str = "generator") -> Tensor:
    kinds = {"discriminator": False, "generator": False} | {player: True}
    step = scored(torch.zeros(1), torch.zeros(1), **{player: network})
    found: Tensor = getattr(OrthogonalRegularization(**kinds), f"{player}_term")(step)
    return found


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_orthonormal_rows_cost_nothing_and_so_do_orthogonal_rows_of_any_length(player: str) -> None:
    network = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Linear(7, 4)).double()
    for layer in network:
        nn.init.orthogonal_(layer.weight)
    assert float(orthogonal(network, player).detach()) == pytest.approx(0, abs=1e-24)
    with torch.no_grad():
        network[1].weight.mul_(torch.tensor([[1.0], [2.0], [0.0], [-3.0]]))
    assert float(orthogonal(network, player).detach()) == pytest.approx(0, abs=1e-24)


def test_the_gradient_of_the_overlap_is_the_papers_and_not_half_of_it() -> None:
    # BigGAN-PyTorch adds 2 beta (W W^T o (1 - I)) W, half of what its loss has
    layers = (nn.Linear(7, 4), nn.Conv2d(2, 5, 3), nn.ConvTranspose2d(3, 4, 2), nn.Conv1d(2, 3, 2))
    for layer in layers:
        layer.double()
        found = orthogonal(layer)
        rows = matrix_of(layer)
        assert len(rows) == layer.weight.shape[1 if isinstance(layer, nn.ConvTranspose2d) else 0]
        apart = (rows @ rows.T) * (1 - np.eye(len(rows)))
        assert float(found.detach()) == pytest.approx((apart**2).sum(), rel=1e-12)
        (gradient,) = torch.autograd.grad(found, layer.weight)
        if isinstance(layer, nn.ConvTranspose2d):
            gradient = gradient.transpose(0, 1)
        assert gradient.flatten(1).numpy() == pytest.approx(4 * apart @ rows, rel=1e-9)


@pytest.mark.parametrize("normed", [False, True])
def test_embeddings_biases_and_norms_are_left_out(normed: bool) -> None:
    linear, embedding = nn.Linear(4, 3).double(), nn.Embedding(5, 4).double()
    alone = float(orthogonal(linear).detach())
    if normed:
        spectral_norm(embedding)
    network = nn.Sequential(linear, embedding, nn.BatchNorm1d(3))
    assert float(orthogonal(network).detach()) == pytest.approx(alone, rel=1e-12)


def test_each_player_has_its_own_overlap_or_none() -> None:
    networks = {"generator": nn.Linear(2, 2), "discriminator": nn.Linear(3, 3)}
    step = scored(torch.zeros(1), torch.zeros(1), **networks)
    for kinds in ((True, False), (False, True), (True, True)):
        part = OrthogonalRegularization(generator=kinds[0], discriminator=kinds[1])
        assert (part.generator_term(step) is not None) == kinds[0]
        assert (part.discriminator_term(step) is not None) == kinds[1]
    with pytest.raises(ConfigurationError, match="neither player"):
        OrthogonalRegularization(generator=False)


# ---------------------------------------------------------------------------------- frozen layers


class Layered(Discriminator):
    """Three convolutions with batch norm or spectral norm, and a projection."""

    def __init__(self, spectral: bool) -> None:
        super().__init__(1, 8, num_classes=2)
        layers: list[nn.Module] = []
        for inputs, maps in ((1, 3), (3, 4), (4, 5)):
            convolution = nn.Conv2d(inputs, maps, 3, padding=1)
            layers.append(spectral_norm(convolution) if spectral else convolution)
            layers += [nn.LeakyReLU(0.2)] if spectral else [nn.BatchNorm2d(maps), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.add_head(5 * 64)
        if spectral:
            self.head = spectral_norm(self.head)

    def features(self, samples: Tensor) -> Tensor:
        features: Tensor = self.layers(samples)
        return features


def packed() -> Discriminator:
    return Packed(MLPDiscriminator(2, 8, width=4), pack=2)


def with_maps() -> Discriminator:
    return LabelMaps(MLPDiscriminator(2, 8, width=4), num_classes=2)


def with_closeness() -> Discriminator:
    return MinibatchDiscrimination(MLPDiscriminator(1, 8, width=4, num_classes=2), 3, 2)


def residual() -> Discriminator:
    return R3GANDiscriminator(1, 8, widths=(8, 4), group_size=4, num_classes=2)


def attending() -> Discriminator:
    return ResNetDiscriminator(1, 8, width=8, attention=4, num_classes=2)


FREEZING: list[tuple[Callable[[], Discriminator], int, tuple[str, ...]]] = [
    (lambda: Layered(spectral=False), 2, ("layers.0.", "layers.1.", "layers.3.", "layers.4.")),
    (lambda: Layered(spectral=False), 3, ("layers.",)),
    (lambda: Layered(spectral=True), 2, ("layers.0.", "layers.2.")),
    (lambda: Layered(spectral=True), 3, ("layers.",)),
    (residual, 1, ("image.",)),
    (residual, 4, ("image.", "stages.0.0.")),
    (attending, 8, ("blocks.", "attention.query.")),
    (packed, 2, ("discriminator.layers.1.", "discriminator.layers.3.")),
    (with_maps, 1, ("discriminator.layers.1.",)),
    (with_closeness, 3, ("discriminator.layers.",)),
]


@pytest.mark.parametrize(("make", "count", "frozen"), FREEZING)
def test_the_first_layers_and_their_statistics_rest_and_all_others_move(
    make: Callable[[], Discriminator], count: int, frozen: tuple[str, ...]
) -> None:
    torch.manual_seed(4)
    critic = make()
    with torch.no_grad():
        for weight in critic.parameters():
            weight.add_(0.1 * torch.randn_like(weight))  # no zeros that stop a gradient
    generator = MLPGenerator(1, 8, width=4, num_classes=critic.num_classes)
    gan = GAN(generator, critic, NonSaturating(), [FreezeD(count)])
    before = weights(critic)
    fit(gan, 4)
    after = weights(critic)
    for name, value in before.items():
        if name != "head.parametrizations.weight.0._u":  # of one entry, 1 or -1
            assert torch.equal(value, after[name]) == name.startswith(frozen), name


def test_freezing_refuses_more_layers_than_there_are() -> None:
    parts = composition(
        generator=MLPGenerator(1, 8, num_classes=2),
        discriminator=Layered(spectral=True),
        regularizers=[FreezeD(4)],
    )
    with pytest.raises(
        ConfigurationError, match=r"layers=4, but Layered has only 3 below its head"
    ):
        parts.attach()
    with pytest.raises(ConfigurationError, match="layers=0 must be at least 1"):
        FreezeD(0)


# --------------------------------------------------------------------------------------- clipping


@pytest.mark.parametrize("bound", [0.01, 0.3])
def test_clipping_changes_only_what_lies_beyond_the_bound(bound: float) -> None:
    critic = DCGANDiscriminator(1, 8, width=4, batch_norm=False)
    nn.init.normal_(critic.layers[0].weight)
    before = weights(critic)
    WeightClipping(bound).constrain(critic)
    for name, value in weights(critic).items():
        assert value.numpy() == pytest.approx(np.clip(before[name].numpy(), -bound, bound))
    assert any(not torch.equal(before[name], value) for name, value in weights(critic).items())


def test_clipping_leaves_frozen_layers_as_they_are() -> None:
    critic = MLPDiscriminator(2, 0, width=8, depth=2)
    gan = points_gan(Wasserstein(), [FreezeD(1), WeightClipping(0.01)], discriminator=critic)
    before = weights(critic)
    fit(gan, 2)
    kept = [name for name, weight in weights(critic).items() if torch.equal(weight, before[name])]
    assert len(kept) == 2
    largest = {n: float(p.detach().abs().max()) for n, p in critic.named_parameters()}
    assert all(size <= 0.01 for name, size in largest.items() if name not in kept)
    assert max(largest[name] for name in kept) > 0.01
