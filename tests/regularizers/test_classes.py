"""Conditioning by classifiers and by comparison, and the turns of images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny import (
    distance,
    factor_of_term,
    fit,
    looked_at,
    picture_gan,
    points_gan,
    step_of,
    term,
    weights,
)
from torch import Tensor, nn
from torch.nn.functional import normalize

from lightning_gan.gan import GAN
from lightning_gan.networks import MLPGenerator
from lightning_gan.networks.layers import has_spectral_norm
from lightning_gan.regularizers import (
    AuxiliaryClassifier,
    ConditionalContrastive,
    DataToDataCrossEntropy,
    DiscriminativeClassifier,
    Regularizer,
    Rotation,
    TwinAuxiliaryClassifier,
)
from lightning_gan.training.schedule import PLAYERS, PlayerName
from lightning_gan.training.step import Step

CLASSES = 3
CONDITIONAL: list[Callable[[], Regularizer]] = [
    AuxiliaryClassifier,
    TwinAuxiliaryClassifier,
    DiscriminativeClassifier,
    lambda: ConditionalContrastive(embedding_dim=5),
    lambda: DataToDataCrossEntropy(embedding_dim=5),
]
for_every_kind = pytest.mark.parametrize(
    "make", [*CONDITIONAL, Rotation], ids=lambda make: type(make()).__name__
)


def conditional_gan(regularizer: Regularizer) -> GAN:
    """A conditional generator, and a discriminator that knows of classes by its regularizer."""
    if isinstance(regularizer, Rotation):
        return picture_gan(regularizers=[regularizer])
    torch.manual_seed(5)
    generator = MLPGenerator(2, 0, width=8, depth=2, num_classes=CLASSES)
    return points_gan(regularizers=[regularizer], generator=generator)


def attached(regularizer: Any, player: PlayerName, count: int = 8) -> tuple[Any, Step]:
    return regularizer, looked_at(conditional_gan(regularizer), player, count)


def zeroed(head: nn.Linear) -> None:
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)


def classified(head: nn.Linear, features: Tensor, classes: Tensor) -> float:
    """The mean cross-entropy, sample by sample in NumPy."""
    total = 0.0
    for row, wanted in zip(features.detach().numpy(), classes.tolist(), strict=True):
        logits = head.weight.detach().numpy() @ row + head.bias.detach().numpy()
        total += np.log(np.exp(logits).sum()) - logits[wanted]
    return total / len(features)


# ----------------------------------------------------------------------------------- classifiers


@pytest.mark.parametrize(("fakes", "times"), [(True, 2), (False, 1)])
def test_an_undecided_auxiliary_classifier_gives_ln_k_for_each_kind(
    fakes: bool, times: int
) -> None:
    for player, expected in (("discriminator", times), ("generator", 1)):
        part, step = attached(AuxiliaryClassifier(fakes=fakes), player)
        zeroed(part.classes)
        assert term(part, step, player) == pytest.approx(expected * math.log(CLASSES))


def test_the_auxiliary_classifier_is_the_cross_entropy_of_the_classes() -> None:
    for fakes in (True, False):
        part, step = attached(AuxiliaryClassifier(fakes=fakes), "discriminator")
        real = classified(part.classes, step.real_features, step.labels)
        fake = classified(part.classes, step.fake_features, step.labels)
        assert term(part, step) == pytest.approx(real + fakes * fake, rel=1e-9)
        assert term(part, step, "generator") == pytest.approx(fake, rel=1e-9)
    gan = conditional_gan(AuxiliaryClassifier(weight=1, generator_weight=0.1))
    factors = [factor_of_term(gan, player) for player in PLAYERS]
    assert factors == pytest.approx([1, 0.1])


def test_twins_that_agree_give_the_generator_nothing() -> None:
    part, step = attached(TwinAuxiliaryClassifier(), "generator")
    part.twin.load_state_dict(part.classes.state_dict())
    found = part.generator_term(step)
    assert float(found.detach()) == 0
    for gradient in torch.autograd.grad(found, list(step.generator.parameters())):
        assert not gradient.any()


def test_twins_are_two_cross_entropies_and_their_difference() -> None:
    part, step = attached(TwinAuxiliaryClassifier(), "discriminator")
    of_reals = classified(part.classes, step.real_features, step.labels)
    of_fakes = classified(part.classes, step.fake_features, step.labels)
    twin = classified(part.twin, step.fake_features, step.labels)
    assert term(part, step) == pytest.approx(of_reals + twin, rel=1e-9)
    assert term(part, step, "generator") == pytest.approx(of_fakes - twin, rel=1e-9)


def test_the_twin_never_sees_reals_nor_its_brother_fakes_in_the_discriminators_step() -> None:
    part, step = attached(TwinAuxiliaryClassifier(), "discriminator")
    features = {"real": step.real_features, "fake": step.fake_features}
    seen: dict[str, list[str]] = {"classes": [], "twin": []}
    for name, of in seen.items():

        def watch(_: nn.Module, given: tuple[Tensor], of: list[str] = of) -> None:
            of += [kind for kind, value in features.items() if given[0] is value]

        getattr(part, name).register_forward_pre_hook(watch)
    part.discriminator_term(step)
    assert seen == {"classes": ["real"], "twin": ["fake"]}


def test_an_undecided_classifier_of_kinds_gives_twice_ln_2k_and_nothing() -> None:
    part, step = attached(DiscriminativeClassifier(), "discriminator")
    zeroed(part.classes)
    assert term(part, step) == pytest.approx(2 * math.log(2 * CLASSES))
    assert term(part, step, "generator") == pytest.approx(0, abs=1e-12)


def test_the_classifier_of_kinds_tells_reals_and_fakes_of_each_class_apart() -> None:
    part, step = attached(DiscriminativeClassifier(), "discriminator")
    real, fake = step.real_features, step.fake_features
    as_real, as_fake = 2 * step.labels, 2 * step.labels + 1
    expected = classified(part.classes, real, as_real) + classified(part.classes, fake, as_fake)
    assert term(part, step) == pytest.approx(expected, rel=1e-9)
    expected = classified(part.classes, fake, as_real) - classified(part.classes, fake, as_fake)
    assert term(part, step, "generator") == pytest.approx(expected, rel=1e-9)


# ------------------------------------------------------------------------------------- who learns


@for_every_kind
def test_the_discriminators_term_teaches_head_and_trunk_and_not_the_generator(
    make: Callable[[], Regularizer],
) -> None:
    part, step = attached(make(), "discriminator")
    trunk = next(p for p in step.discriminator.parameters() if p.ndim >= 2)
    by = [*part.parameters(), trunk, *step.generator.parameters()]
    gradients = torch.autograd.grad(part.discriminator_term(step), by, allow_unused=True)
    heads = len(list(part.parameters()))
    for gradient in gradients[: heads + 1]:
        assert gradient is not None
        assert gradient.abs().sum() > 0
    assert gradients[heads + 1 :] == (None,) * (len(gradients) - heads - 1)


@for_every_kind
def test_the_generators_term_teaches_the_generator(make: Callable[[], Regularizer]) -> None:
    part, step = attached(make(), "generator")
    trunk = next(p for p in step.generator.parameters() if p.ndim >= 2)
    (gradient,) = torch.autograd.grad(part.generator_term(step), trunk)
    assert gradient.abs().sum() > 0


@for_every_kind
def test_heads_learn_with_the_discriminator_and_rest_while_the_generator_learns(
    make: Callable[[], Regularizer],
) -> None:
    part = make()
    part.generator_weight = 100.0  # were it to move the heads, it would show
    gan = conditional_gan(part)
    before, heads = weights(part), [id(p) for p in part.parameters()]
    discriminators, generators = (
        {id(p) for group in optimizer.param_groups for p in group["params"]}
        for optimizer in gan.configure_optimizers()
    )
    assert discriminators.issuperset(heads)
    assert generators.isdisjoint(heads)
    fit(gan, 1)
    assert all(not torch.equal(before[name], value) for name, value in weights(part).items())
    alone = conditional_gan(type(part)(**{**part._arguments, "generator_weight": 0.0}))
    fit(alone, 1)
    assert distance(weights(alone.regularizers[0]), weights(part)) == 0
    assert distance(weights(alone.generator), weights(gan.generator)) > 0


# ------------------------------------------------------------------------------------------ turns


def test_undecided_turns_give_ln_four() -> None:
    for player in PLAYERS:
        part, step = attached(Rotation(), player)
        zeroed(part.turns)
        assert term(part, step, player) == pytest.approx(math.log(4))
    factors = [factor_of_term(conditional_gan(Rotation()), player) for player in PLAYERS]
    assert factors == pytest.approx([1, 0.2])


def test_the_layer_that_tells_the_turns_can_be_normalised_as_in_mimicry() -> None:
    for spectral in (False, True):
        part = attached(Rotation(spectral_norm=spectral), "discriminator")[0]
        assert has_spectral_norm(part) == spectral


def corners(images: Tensor) -> Tensor:
    """The four corners, in the order that the first takes through quarter turns to the left."""
    return torch.stack([images[:, 0, i, j] for i, j in ((0, 0), (-1, 0), (-1, -1), (0, -1))], dim=1)


@pytest.mark.parametrize("player", PLAYERS)
def test_each_turn_is_right_and_as_frequent_as_the_others(player: PlayerName) -> None:
    images, seen = torch.zeros(400, 1, 4, 4, dtype=torch.float64), []
    images[:, 0, 0, 0] = 1

    def score(samples: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(samples)
        return samples.sum((1, 2, 3)), corners(samples)

    part = Rotation()
    part.turns = nn.Linear(4, 4).double()
    with torch.no_grad():
        part.turns.weight.copy_(50 * torch.eye(4))
        part.turns.bias.zero_()
    blank = torch.zeros_like(images)
    pair = (images, blank) if player == "discriminator" else (blank, images)
    # right for all of them: a wrong one would cost 50
    assert term(part, step_of(*pair, score, reads=()), player) == pytest.approx(0, abs=1e-9)
    counts = corners(seen[0]).sum(dim=0)
    assert counts.sum() == 400
    assert float(((counts - 100) ** 2 / 100).sum()) < 3 + 4 * 6**0.5


# ------------------------------------------------------------------------------------- comparisons


def unit(*size: int) -> Tensor:
    return normalize(torch.randn(*size, dtype=torch.float64), dim=1)


def contrastive(f: np.ndarray, e: np.ndarray, y: list[int], t: float) -> float:
    """2C, anchor by anchor."""
    total = 0.0
    for i in range(len(f)):
        own = math.exp(f[i] @ e[i] / t)
        others = [k for k in range(len(f)) if k != i]
        alike = sum(math.exp(f[i] @ f[k] / t) for k in others if y[k] == y[i])
        everyone = sum(math.exp(f[i] @ f[k] / t) for k in others)
        total -= math.log((own + alike) / (own + everyone))
    return total / len(f)


def data_to_data(f: np.ndarray, v: np.ndarray, y: list[int], m: float, tau: float) -> float:
    """D2D-CE, anchor by anchor."""
    total = 0.0
    for i in range(len(f)):
        p = math.exp(min(f[i] @ v[i] - m, 0) / tau)
        apart = sum(
            math.exp(max(f[i] @ f[j] - (1 - m), 0) / tau) for j in range(len(f)) if y[j] != y[i]
        )
        total -= math.log(p / (p + apart))
    return total / len(f)


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_both_comparisons_equal_a_reference_anchor_by_anchor(temperature: float) -> None:
    for margin in (0.9, 0.98, 0.3):
        f, proxies = unit(12, 4), unit(3, 4)
        labels = torch.tensor([0, 1, 2, 0, 0, 1, 1, 0, 2, 0, 0, 0])
        own = proxies[labels]
        found = float(ConditionalContrastive(temperature=temperature).loss(f, own, labels))
        expected = contrastive(f.numpy(), own.numpy(), labels.tolist(), temperature)
        assert found == pytest.approx(expected, rel=1e-9)
        part = DataToDataCrossEntropy(margin=margin, temperature=temperature)
        expected = data_to_data(f.numpy(), own.numpy(), labels.tolist(), margin, temperature)
        assert float(part.loss(f, own, labels)) == pytest.approx(expected, rel=1e-9)


def test_a_batch_of_one_class_has_nothing_to_be_told_apart_from() -> None:
    f, labels = unit(7, 4), torch.full((7,), 2)
    own = unit(1, 4).expand(7, 4)
    for part in (ConditionalContrastive(), DataToDataCrossEntropy()):
        assert float(part.loss(f, own, labels)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("count", [2, 6])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_orthonormal_embeddings_on_their_proxies_give_the_closed_forms(
    count: int, temperature: float
) -> None:
    f, labels = torch.eye(count, 8, dtype=torch.float64), torch.arange(count)
    found = float(ConditionalContrastive(temperature=temperature).loss(f, f, labels))
    assert found == pytest.approx(math.log(1 + (count - 1) * math.exp(-1 / temperature)))
    part = DataToDataCrossEntropy(temperature=temperature)
    assert float(part.loss(f, f, labels)) == pytest.approx(math.log(count))


def test_a_maximum_is_subtracted_from_all_exponents_or_none() -> None:
    # subtracted from the negatives only, as in StudioGAN, it gives 1.825 here
    f, labels = torch.eye(6, 8, dtype=torch.float64), torch.arange(6)
    found = float(DataToDataCrossEntropy().loss(f, f, labels))
    assert found == pytest.approx(1.792, abs=5e-4)
    cold = DataToDataCrossEntropy(temperature=1e-4)
    assert math.isfinite(float(cold.loss(unit(6, 8), unit(6, 8), labels)))


@pytest.mark.parametrize("make", CONDITIONAL[3:], ids=["2C", "D2D-CE"])
@pytest.mark.parametrize("player", PLAYERS)
def test_comparisons_are_of_unit_vectors_of_reals_or_fakes(
    make: Callable[[], Any], player: PlayerName
) -> None:
    part, step = attached(make(), player)
    features = step.real_features if player == "discriminator" else step.fake_features
    f = features.detach().numpy() @ part.embed.weight.detach().numpy().T
    f = f + part.embed.bias.detach().numpy()
    e = part.proxies.weight.detach().numpy()[step.labels.numpy()]
    f, e = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (f, e))
    labels = step.labels.tolist()
    if isinstance(part, ConditionalContrastive):
        expected = contrastive(f, e, labels, 1.0)
    else:
        expected = data_to_data(f, e, labels, 0.98, 0.5)
    assert term(part, step, player) == pytest.approx(expected, rel=1e-9)
