"""StyleGAN2: modulated convolutions, smooth resampling, mapped styles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import StyleGAN2Discriminator, StyleGAN2Generator
from lightning_gan.networks.stylegan2_layers import Mapping

LABELS = torch.tensor([0, 1, 2, 2])


def generator(**arguments: Any) -> StyleGAN2Generator:
    defaults = {"latent_dim": 4, "style_dim": 6, "width": 4, "mapping_depth": 2}
    return StyleGAN2Generator(2, 16, **(defaults | arguments))


def discriminator(**arguments: Any) -> StyleGAN2Discriminator:
    return StyleGAN2Discriminator(2, 16, **({"width": 4, "minibatch_std": 2} | arguments))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# ------------------------------------------------------------------------------ sizes


def test_networks_for_ffhq_at_1024_pixels_have_the_published_number_of_parameters() -> None:
    # printed by stylegan2-ada-pytorch with two layers of mapping; the paper has six more
    with torch.device("meta"):
        shallow = StyleGAN2Generator(3, 1024, width=32, mapping_depth=2)
        paper = StyleGAN2Generator(3, 1024, width=32)
        critic = StyleGAN2Discriminator(3, 1024, width=32)
    assert parameters(shallow) == 28_794_124
    assert parameters(paper) == 28_794_124 + 6 * 262_656 == 30_370_060
    assert parameters(critic) == 29_012_513
    assert shallow.num_layers == 18


def test_networks_for_cifar_add_up_from_the_published_layers() -> None:
    with torch.device("meta"):
        maker = StyleGAN2Generator(3, 32, width=512, mapping_depth=2)
        labelled = StyleGAN2Generator(3, 32, width=512, mapping_depth=2, num_classes=10)
        critic = StyleGAN2Discriminator(3, 32, width=512, residual=False, minibatch_std=32)
    styled, image, dense, convolution = 2_622_465, 264_195, 262_656, 2_359_808
    assert parameters(maker) == 2 * dense + 8192 + 7 * styled + 4 * image
    assert parameters(labelled) - parameters(maker) == 5632 + 512 * 512
    assert parameters(critic) == 2048 + 6 * convolution + 2_364_416 + 4_194_816 + 513
    assert maker.num_layers == 8


@pytest.mark.parametrize("size", [28, (16, 32), (24, 16)])
def test_other_sizes_and_oblong_ones_are_made_and_judged(size: Any) -> None:
    maker = StyleGAN2Generator(1, size, latent_dim=4, style_dim=4, width=2, mapping_depth=1)
    images = maker(torch.randn(4, 4), LABELS)
    assert images.shape[2:] == ((size, size) if isinstance(size, int) else size)
    assert float(images.detach().abs().max()) <= 1
    assert StyleGAN2Discriminator(1, size, width=2)(images, LABELS).shape == (4,)


# -------------------------------------------------------------------------- generator


def test_without_style_mixing_training_is_the_plain_forward() -> None:
    network, z = generator(style_mixing=0.0), torch.randn(4, 4)
    assert torch.equal(network(z, LABELS), network.eval()(z, LABELS))  # noise starts at zero
    network.train()
    styles = network.styles(z, LABELS)
    assert torch.equal(styles, network.mapping(z, LABELS)[:, None].expand_as(styles))


def test_mixed_styles_are_those_of_one_latent_and_then_of_another() -> None:
    network = generator(style_mixing=1.0, num_classes=3)
    z = torch.randn(200, 4)
    labels = torch.arange(200) % 3
    own = network.mapping(z, labels)
    styles = network.styles(z, labels)
    assert styles.shape == (200, network.num_layers, 6)
    same = (styles == own[:, None]).all(dim=2)
    assert same[:, 0].all()
    assert not same[:, -1].any()
    assert (same.long().diff(dim=1) <= 0).all()
    others = styles[:, -1:]
    assert ((styles == others).all(dim=2) == ~same).all()
    counts = same.sum(dim=1).bincount(minlength=network.num_layers)
    assert counts[0] == 0
    assert (counts[1:] > 10).all()  # 200 samples over five layers


def test_the_share_of_mixed_samples_is_as_asked_for_and_none_in_evaluation() -> None:
    torch.manual_seed(0)
    network, z = generator(style_mixing=0.3), torch.randn(2000, 4)
    labels = torch.zeros(2000, dtype=torch.long)
    mixed = (network.styles(z, labels).diff(dim=1) != 0).flatten(1).any(dim=1)
    assert float(mixed.double().mean()) == pytest.approx(0.3, abs=0.04)
    network.eval()
    assert (network.styles(z, labels).diff(dim=1) == 0).all()


def test_a_forward_is_the_synthesis_of_the_styles() -> None:
    network, z = generator().eval(), torch.randn(4, 4)
    styles = network.styles(z, LABELS)
    assert torch.equal(network(z, LABELS), network.synthesise(styles))


def test_every_layer_has_a_style_of_its_own() -> None:
    network = generator().eval()
    styles = torch.randn(1, network.num_layers, 6)
    before = network.synthesise(styles)
    for layer in range(network.num_layers):
        changed = styles.clone()
        changed[:, layer] += 1
        assert (network.synthesise(changed) != before).any()


def test_the_length_of_the_way_in_style_space_has_gradients_for_every_weight() -> None:
    network = generator(num_classes=3).double()
    with torch.no_grad():
        for parameter in network.parameters():
            if (parameter == 0).all():
                parameter.normal_(std=0.1)
    styles = network.styles(torch.randn(4, 4).double(), LABELS)
    images = network.synthesise(styles)
    along = torch.randn_like(images) / 16
    (slope,) = torch.autograd.grad((images * along).sum(), styles, create_graph=True)
    slope.square().sum(dim=2).mean(dim=1).sqrt().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_synthesis_can_be_differentiated_twice() -> None:
    network = StyleGAN2Generator(1, 8, 2, 2, width=2, mapping_depth=1).double().eval()
    styles = torch.randn(1, network.num_layers, 2).double().requires_grad_()

    def corner(w: Tensor) -> Tensor:
        return network.synthesise(w)[:, :, 3:5, 3:5]

    assert torch.autograd.gradgradcheck(corner, styles)


def test_the_average_style_follows_the_batches_of_all_processes_in_training_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, z = generator(), torch.randn(4, 4)
    mean = network.mapping(z, LABELS).detach().mean(dim=0)
    network(z, LABELS)
    torch.testing.assert_close(network.w_average, 0.002 * mean)
    other = torch.cat([torch.arange(6.0), torch.tensor([2.0])])  # the sum of two rows elsewhere
    monkeypatch.setattr(processes, "mean", lambda own: (own + other) / 2)
    network(z, LABELS)
    whole = (4 * mean + torch.arange(6.0)) / 6
    torch.testing.assert_close(network.w_average, 0.998 * 0.002 * mean + 0.002 * whole)
    before = network.w_average.clone()
    network(z[:0], LABELS[:0])
    elsewhere = torch.arange(6.0) / 2
    torch.testing.assert_close(network.w_average, before.lerp(elsewhere, 0.002))
    before = network.w_average.clone()
    network.eval()(z, LABELS)
    assert torch.equal(network.w_average, before)
    assert "w_average" in network.state_dict()


def test_truncation_pulls_styles_towards_their_average() -> None:
    network = generator().eval()
    network.w_average.normal_()
    styles = network.styles(torch.randn(4, 4), LABELS)
    average = network.w_average.expand_as(styles)
    assert torch.equal(network.truncate(styles, 1), styles)
    assert torch.equal(network.truncate(styles, 0), average)
    torch.testing.assert_close(network.truncate(styles, 0.5), (styles + average) / 2)
    partly = network.truncate(styles, 0, layers=2)
    assert torch.equal(partly[:, :2], average[:, :2])
    assert torch.equal(partly[:, 2:], styles[:, 2:])


def test_latents_count_by_their_direction_only() -> None:
    network, z = generator().eval(), torch.randn(4, 4)
    torch.testing.assert_close(network(3 * z, LABELS), network(z, LABELS))


# ---------------------------------------------------------------------- discriminator


def test_labels_count_through_an_inner_product_and_nothing_else() -> None:
    network = discriminator(num_classes=3, mapping_depth=1)
    images = torch.randn(4, 2, 16, 16)
    logits, features = network.logits_and_features(images, LABELS)
    assert isinstance(network.projection, Mapping)
    product = network.head(features) * network.projection(None, LABELS)
    torch.testing.assert_close(logits, product.sum(dim=1) / math.sqrt(network.num_features))
    network.projection = Fixed(torch.randn(3, network.num_features))
    once = network(images, LABELS)
    network.projection.vectors *= 2
    torch.testing.assert_close(network(images, LABELS), 2 * once)
    network.projection.vectors *= 0
    assert torch.equal(network(images, LABELS), torch.zeros(4))


class Fixed(nn.Module):
    """A vector for each label."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.vectors = vectors

    def forward(self, z: None, labels: Tensor) -> Tensor:
        return self.vectors[labels]


def test_without_classes_the_logit_is_linear_in_the_features() -> None:
    network = discriminator()
    logits, features = network.logits_and_features(torch.randn(4, 2, 16, 16), LABELS)
    assert network.projection is None
    torch.testing.assert_close(logits, network.head(features).squeeze(1))


@pytest.mark.parametrize("residual", [False, True])
def test_the_slope_penalty_reaches_every_weight(residual: bool) -> None:
    network = discriminator(num_classes=3, residual=residual, mapping_depth=2).double()
    images = torch.randn(4, 2, 16, 16).double().requires_grad_()
    logits = network(images, LABELS)
    (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    (slope.square().sum() + logits.sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_residual_blocks_keep_the_variance_and_only_they_have_skips() -> None:
    plain, residual = discriminator(residual=False), discriminator()
    assert parameters(residual) - parameters(plain) == 4 * 8 + 8 * 16
    torch.manual_seed(0)
    block = StyleGAN2Discriminator(64, 16, width=64, max_width=64).blocks[0]
    maps = block(torch.randn(8, 64, 1, 1).expand(-1, -1, 16, 16)).detach()
    assert float(maps[:, :, 2:-2, 2:-2].square().mean()) == pytest.approx(1, abs=0.2)


def test_alike_samples_are_seen_and_groups_must_fill_the_batch() -> None:
    network, image = discriminator(), torch.randn(1, 2, 16, 16)
    alone = discriminator(minibatch_std=0)
    rest = {name: value for name, value in network.state_dict().items() if name != "mix.weight"}
    alone.load_state_dict(rest | {"mix.weight": network.mix.weight[:, :-1]})
    pair = torch.cat([image, torch.randn(1, 2, 16, 16)])
    assert torch.allclose(alone(pair, LABELS[:2])[0], alone(image, LABELS[:1])[0], atol=1e-6)
    same = image.expand(2, -1, -1, -1)
    assert (network(pair, LABELS[:2])[0] - network(same, LABELS[:2])[0]).abs() > 1e-4
    with pytest.raises(ConfigurationError, match="groups of 2 samples"):
        network(torch.randn(3, 2, 16, 16), LABELS[:3])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: generator(style_mixing=1.5), "style_mixing=1.5 must be at least 0 and at most 1"),
        (lambda: generator(style_dim=0), "style_dim=0 must be at least 1"),
        (lambda: generator(width=0), "width=0 must be at least 1"),
        (lambda: generator(mapping_depth=0), "mapping_depth=0 must be at least 1"),
        (lambda: discriminator(max_width=0), "max_width=0 must be at least 1"),
        (lambda: discriminator(mapping_depth=0), "mapping_depth=0 must be at least 1"),
        (lambda: discriminator(minibatch_std=-1), "group=-1 must be at least 1"),
        (lambda: StyleGAN2Generator(2, 0), "take the MLP networks"),
    ],
)
def test_arguments_out_of_range_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()
