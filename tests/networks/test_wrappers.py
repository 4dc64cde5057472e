"""Discriminators around discriminators, and layers that look across the batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lightning_gan.checkpoints.parts import build, describe
from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import (
    AutoencoderDiscriminator,
    DCGANDiscriminator,
    Discriminator,
    FastGANDiscriminator,
    LabelMaps,
    MinibatchDiscrimination,
    MLPAutoencoderDiscriminator,
    MLPDiscriminator,
    Packed,
)
from lightning_gan.networks.minibatch import MinibatchStd

LABELS = torch.tensor([0, 1, 2, 2, 1, 0])
IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
POINTS = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))


def dcgan(channels: int, num_classes: int = 0) -> DCGANDiscriminator:
    return DCGANDiscriminator(channels, 8, width=4, num_classes=num_classes)


def mlp(channels: int, num_classes: int = 0) -> MLPDiscriminator:
    return MLPDiscriminator(channels, 0, width=8, depth=2, num_classes=num_classes)


# ------------------------------------------------------------------------------ packs


@pytest.mark.parametrize(("inner", "samples"), [(dcgan(3), IMAGES), (mlp(2), POINTS)])
def test_packs_of_one_are_the_plain_discriminator_bit_for_bit(
    inner: Discriminator, samples: Tensor
) -> None:
    packed = Packed(inner, pack=1)
    assert torch.equal(packed(samples, LABELS), inner(samples, LABELS))
    assert torch.equal(packed.features(samples), inner.features(samples))
    assert (packed.pack, packed.channels, packed.size) == (1, inner.channels, inner.size)


def test_a_pack_is_consecutive_samples_side_by_side() -> None:
    packed = Packed(dcgan(6), pack=2)
    joined = torch.stack([torch.cat([IMAGES[i], IMAGES[i + 1]]) for i in (0, 2, 4)])
    assert torch.equal(packed.join(IMAGES), joined)
    points = torch.cat([POINTS[::3], POINTS[1::3], POINTS[2::3]], dim=1)
    assert torch.equal(Packed(mlp(6), pack=3).join(POINTS), points)


def test_a_pack_has_one_logit_and_packs_do_not_know_each_other() -> None:
    packed = Packed(mlp(4), pack=2)
    logits = packed(POINTS, LABELS)
    assert logits.shape == (3,)
    assert packed.features(POINTS).shape == (3, packed.num_features)
    assert torch.equal(packed.logits_from(packed.features(POINTS), LABELS), logits)
    order = torch.tensor([4, 5, 0, 1, 2, 3])
    assert torch.allclose(packed(POINTS[order], LABELS), logits[[2, 0, 1]])


def test_only_the_first_layer_grows_with_the_pack() -> None:
    plain, packed = dcgan(3), Packed(dcgan(Packed.inner_channels(3, {"pack": 4})), pack=4)
    shapes = zip(plain.parameters(), packed.parameters(), strict=True)
    grown = [i for i, (a, b) in enumerate(shapes) if a.shape != b.shape]
    assert grown == [0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Packed(mlp(4), pack=0), "pack=0 must be at least 1"),
        (lambda: Packed(mlp(4, num_classes=3)), "num_classes=3: set it to 0"),
        (lambda: Packed(mlp(5), pack=2), "2 times the channels of the data"),
        (lambda: Packed(mlp(8), pack=4)(POINTS, LABELS), "drop the last, incomplete batch"),
    ],
)
def test_packs_that_cannot_be_made_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()


def test_packs_of_packs_multiply() -> None:
    packed = Packed(Packed(mlp(12), pack=3), pack=2)
    assert (packed.pack, packed.channels) == (6, 2)
    assert packed(POINTS, LABELS).shape == (1,)


# ------------------------------------------------------------------------- label maps


@pytest.mark.parametrize("maps", [1, 3])
@pytest.mark.parametrize(("make", "samples"), [(dcgan, IMAGES), (mlp, POINTS)])
def test_labels_join_the_sample_and_change_its_logit(
    make: Callable[[int], Discriminator], samples: Tensor, maps: int
) -> None:
    channels = samples.shape[1]
    inner = make(LabelMaps.inner_channels(channels, {"maps": maps})).eval()
    network = LabelMaps(inner, num_classes=3, maps=maps)
    joined = network.join(samples, LABELS)
    assert joined.shape == (6, channels + maps, *samples.shape[2:])
    assert torch.equal(joined[:, :channels], samples)
    for sample, label in zip(joined, LABELS, strict=True):
        embedded = network.embedding.weight[label][:, None]
        assert (sample[channels:].reshape(maps, -1) == embedded).all()
    logits = network(samples, LABELS)
    assert logits.shape == (6,)
    assert torch.equal(network.logits_from(network.features(samples, LABELS), LABELS), logits)
    assert (logits != network(samples, (LABELS + 1) % 3)).all()


def test_every_sample_of_a_pack_brings_its_label() -> None:
    network = LabelMaps(Packed(mlp(6), pack=2), num_classes=3)
    assert (network.pack, network.channels, network.num_classes) == (2, 2, 3)
    before, labels = network(POINTS, LABELS), LABELS.clone()
    labels[3] = 0
    assert (network(POINTS, labels) != before).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LabelMaps(mlp(3), 0), "num_classes=0 must be at least 1"),
        (lambda: LabelMaps(mlp(3), 3, maps=0), "maps=0 must be at least 1"),
        (lambda: LabelMaps(mlp(3, num_classes=3), 3), "num_classes=3: set it to 0"),
        (lambda: LabelMaps(mlp(2), 3, maps=2), "more than 2, but it has channels=2"),
        (lambda: LabelMaps(mlp(3), 3).features(POINTS), "no features without them"),
    ],
)
def test_label_maps_that_cannot_be_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()


# ----------------------------------------------------------------- minibatch discrimination


def test_identical_samples_are_close_to_all_others_and_far_ones_to_none() -> None:
    network = MinibatchDiscrimination(mlp(2), kernels=7, dims=3)
    same = torch.ones(6, 8)
    assert torch.equal(network.closeness(same), torch.full((6, 7), 5.0))
    far = 1e4 * torch.arange(6.0)[:, None] * torch.ones(8)
    assert torch.equal(network.closeness(far), torch.zeros(6, 7))


def test_closeness_is_the_formula_of_the_paper_without_the_sample_itself() -> None:
    network = MinibatchDiscrimination(mlp(2), kernels=4, dims=3)
    features = network.discriminator.features(POINTS)
    matrices = torch.einsum("nf,fkd->nkd", features, network.mix.view(8, 4, 3))
    expected = torch.zeros(6, 4)
    for i in range(6):
        for k in range(4):
            for j in range(6):
                if j != i:
                    expected[i, k] += (-(matrices[i, k] - matrices[j, k]).abs().sum()).exp()
    torch.testing.assert_close(network.closeness(features), expected)
    torch.testing.assert_close(network.features(POINTS), torch.cat([features, expected], dim=1))


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("kind", [dcgan, mlp])
def test_minibatch_discrimination_has_one_head_and_uses_every_weight(
    kind: Callable[[int, int], Discriminator], num_classes: int
) -> None:
    samples = IMAGES if kind is dcgan else POINTS
    plain = kind(samples.shape[1], num_classes)
    before, features = sum(p.numel() for p in plain.parameters()), plain.num_features
    network = MinibatchDiscrimination(plain, kernels=5, dims=2)
    added = features * 10 + 5 * (1 + num_classes)
    assert sum(p.numel() for p in network.parameters()) == before + added
    network(samples, LABELS).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    changes = (network(samples, LABELS) != network(samples, (LABELS + 1) % 3)).any()
    assert bool(changes) == (num_classes > 0)


def test_several_processes_look_across_the_whole_batch_in_training_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = MinibatchDiscrimination(mlp(2), kernels=4, dims=3)
    features = network.discriminator.features(POINTS).detach()
    whole, alone = network.closeness(features), network.closeness(features[3:])
    everyone = (features @ network.mix).view(6, 4, 3)
    monkeypatch.setattr(processes, "gather", lambda rows: everyone)
    monkeypatch.setattr(processes, "own_rows", lambda rows: rows.chunk(2)[1])
    torch.testing.assert_close(network.closeness(features[3:]), whole[3:])
    torch.testing.assert_close(network.eval().closeness(features[3:]), alone)


def test_closeness_can_be_differentiated_twice() -> None:
    network = MinibatchDiscrimination(mlp(2), kernels=2, dims=2).double()
    features = torch.randn(4, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network.closeness, features)
    assert torch.autograd.gradgradcheck(network.closeness, features)


def test_wrappers_can_be_stacked() -> None:
    inner = MinibatchDiscrimination(Packed(mlp(6), pack=2), kernels=3, dims=2)
    network = LabelMaps(inner, num_classes=3)
    assert (network.pack, network.num_features) == (2, 8 + 3)
    logits, features = network.logits_and_features(POINTS, LABELS)
    assert (logits.shape, features.shape) == ((3,), (3, 11))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MinibatchDiscrimination(mlp(2), kernels=0), "kernels=0 must be at least 1"),
        (lambda: MinibatchDiscrimination(mlp(2), dims=0), "dims=0 must be at least 1"),
        (
            lambda: MinibatchDiscrimination(MLPAutoencoderDiscriminator(2, 0)),
            "MLPAutoencoderDiscriminator has none",
        ),
        (
            lambda: MinibatchDiscrimination(Packed(LabelMaps(mlp(3), 3))),
            "num_classes=3: set it to 0",
        ),
        (lambda: MinibatchDiscrimination(LabelMaps(mlp(3), 3)), "put LabelMaps around it"),
    ],
)
def test_minibatch_discrimination_without_features_is_refused(
    make: Callable[[], object], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()


# ------------------------------------------------------------------------------ wrappers


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda c: Packed(dcgan(c), 3), Packed.inner_channels(3, {"pack": 3})),
        (lambda c: Packed(dcgan(c)), Packed.inner_channels(3, {})),
        (lambda c: LabelMaps(dcgan(c), 3, 2), LabelMaps.inner_channels(3, {"maps": 2})),
        (lambda c: LabelMaps(dcgan(c), 3), LabelMaps.inner_channels(3, {"num_classes": 3})),
        (
            lambda c: MinibatchDiscrimination(dcgan(c)),
            MinibatchDiscrimination.inner_channels(3, {}),
        ),
    ],
)
def test_a_wrapper_says_how_many_channels_the_inner_discriminator_has(
    make: Callable[[int], Discriminator], wanted: int
) -> None:
    network = make(wanted)
    assert (network.channels, network.size) == (3, (8, 8))
    again = build(describe(network))
    assert describe(again) == describe(network)
    again.load_state_dict(network.state_dict())


def test_autoencoders_can_be_packed_and_shown_labels() -> None:
    inner = AutoencoderDiscriminator(8, 8, width=4, code_dim=4, depth=1)
    network = LabelMaps(Packed(inner, pack=2), num_classes=3)
    assert network.reconstructs
    logits, codes = network.logits_and_features(IMAGES, LABELS)
    assert (logits.shape, codes.shape) == ((3,), (3, 4))
    assert (logits < 0).all()


# --------------------------------------------------------------------- standard deviation


@pytest.mark.parametrize("shape", [(8, 3, 4, 4), (8, 5)])
def test_identical_samples_have_the_least_spread_and_halves_of_both_signs_have_one(
    shape: tuple[int, ...],
) -> None:
    layer = MinibatchStd(4)
    same = layer(torch.ones(shape))
    assert same.shape == (shape[0], shape[1] + 1, *shape[2:])
    assert torch.equal(same[:, :-1], torch.ones(shape))
    assert torch.allclose(same[:, -1], torch.tensor(1e-4))
    signs = torch.ones(shape)
    signs[::2] = -1
    assert torch.allclose(layer(signs)[:, -1], torch.tensor(1.0))


def test_groups_are_consecutive_samples() -> None:
    samples = torch.zeros(8, 2, 3, 3)
    samples[5] = 4.0  # the biased standard deviation of (0, 4, 0, 0) is sqrt(3)
    spread = MinibatchStd(4)(samples)[:, -1, 0, 0]
    assert torch.allclose(spread, torch.tensor([1e-4] * 4 + [3**0.5] * 4))


def test_groups_that_do_not_fill_the_batch_are_refused_in_training_and_shrink_in_evaluation() -> (
    None
):
    layer, samples = MinibatchStd(4), torch.randn(6, 5)
    with pytest.raises(ConfigurationError, match="drop the last, incomplete batch"):
        layer(samples)
    assert torch.equal(layer.eval()(samples), MinibatchStd(3)(samples))
    with pytest.raises(ConfigurationError, match="group=0 must be at least 1"):
        MinibatchStd(0)


def test_the_spread_can_be_differentiated_twice_where_samples_agree() -> None:
    samples = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    layer = nn.Sequential(MinibatchStd(2), nn.Flatten())
    assert torch.autograd.gradcheck(layer, samples, eps=1e-9)
    spread = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, spread)


def test_dcgan_shows_the_spread_to_its_head() -> None:
    network = DCGANDiscriminator(3, 8, width=4, minibatch_std=3)
    plain = DCGANDiscriminator(3, 8, width=4)
    assert network.num_features == plain.num_features + 4 * 4
    same = IMAGES[:1].expand(6, -1, -1, -1)
    assert torch.allclose(network.features(same)[:, -1], torch.tensor(1e-4))
    assert network.features(IMAGES)[:, -1].min() > 0.01


def test_packs_and_labels_leave_the_logits_of_squares() -> None:
    images = torch.randn(6, 3, 32, 32)
    bare = FastGANDiscriminator(3, 32, width=4).output(images, LABELS).logits
    packed = Packed(FastGANDiscriminator(6, 32, width=4))
    assert len(packed.output(images, LABELS).logits) == len(bare) / 2 > 3
    assert torch.allclose(
        packed.output(images, LABELS).logits.view(3, -1).mean(1), packed(images, LABELS), atol=1e-5
    )
    labelled = LabelMaps(FastGANDiscriminator(4, 32, width=4), num_classes=3)
    assert len(labelled.output(images, LABELS).logits) == len(bare)
