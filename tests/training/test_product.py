"""Every objective with every regularizer and every conditioning: trained, or refused in words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from tiny import composition
from torch import Tensor
from zoo import Decoding, Styled, own

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import (
    Discriminator,
    Generator,
    LabelMaps,
    MLPAutoencoderDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    Packed,
    ResNetDiscriminator,
    ResNetGenerator,
)
from lightning_gan.objectives import NonSaturating, Objective, TopK, Unrolled
from lightning_gan.regularizers import (
    R1,
    FreezeD,
    GradientPenalty,
    InfoGAN,
    LeCam,
    PathLength,
    Reconstruction,
    Regularizer,
)
from lightning_gan.training.composition import Composition
from lightning_gan.training.game import Game
from lightning_gan.training.latents import CodePrior, Prior
from lightning_gan.training.optimizers import GANAdam, step_after
from lightning_gan.training.schedule import PLAYERS, Progress

STEPS, BATCH, SIZE = 3, 4, 8
OBJECTIVES = own(Objective)
REGULARIZERS: list[type[Regularizer]] = own(Regularizer)
ARGUMENTS: dict[type[Any], dict[str, Any]] = {
    FreezeD: {"layers": 1},
    LeCam: {"start": 1},
    PathLength: {"every": 1},
}


def labels_in(classes: int, batch_norm: bool) -> tuple[Generator, Discriminator]:
    """A small residual pair: labels by class-wise or adaptive normalisation, and by projection."""
    generator = ResNetGenerator(1, SIZE, 6, width=4, num_classes=classes, adain=not batch_norm)
    return generator, ResNetDiscriminator(1, SIZE, width=4, num_classes=classes)


def perceptrons(classes: int, of_discriminator: int) -> tuple[Generator, Discriminator]:
    generator = MLPGenerator(1, SIZE, 6, width=8, depth=1, num_classes=classes)
    return generator, MLPDiscriminator(1, SIZE, width=8, depth=1, num_classes=of_discriminator)


def with_maps() -> tuple[Generator, Discriminator]:
    inner = MLPDiscriminator(2, SIZE, width=8, depth=1)
    return perceptrons(2, 0)[0], LabelMaps(inner, num_classes=2)


def packed() -> tuple[Generator, Discriminator]:
    return perceptrons(0, 0)[0], Packed(MLPDiscriminator(2, SIZE, width=8, depth=1), pack=2)


CONDITIONING: dict[str, Any] = {
    "no labels": lambda: perceptrons(0, 0),
    "labels in the generator alone": lambda: perceptrons(2, 0),
    "concatenation and projection": lambda: perceptrons(2, 2),
    "concatenation in both": with_maps,
    "packs": packed,
    "class-wise batch norm and projection": lambda: labels_in(2, True),
    "adaptive instance norm and projection": lambda: labels_in(2, False),
}


def put_together(
    objective: type[Objective], regularizer: type[Regularizer], conditioning: str
) -> Composition:
    """A model of the three, with the networks that the two parts ask for."""
    torch.manual_seed(0)
    generator, discriminator = CONDITIONING[conditioning]()
    parts: list[Regularizer] = [regularizer(**ARGUMENTS.get(regularizer, {}))]
    wrapped = {TopK: lambda: TopK(NonSaturating()), Unrolled: lambda: Unrolled(NonSaturating(), 1)}
    made: Objective = wrapped.get(objective, objective)()
    if conditioning == "no labels":
        if made.wants_reconstruction:
            discriminator = MLPAutoencoderDiscriminator(1, SIZE, width=8, code_dim=3)
        elif regularizer is Reconstruction:
            discriminator = Decoding(1, SIZE)
        if regularizer is PathLength:
            generator = Styled()
    if made.needs_lipschitz and not parts[0].bounds_lipschitz:
        parts.append(GradientPenalty())
    prior = CodePrior((2,), 1) if regularizer is InfoGAN else Prior()
    return composition(
        generator=generator,
        discriminator=discriminator,
        objective=made,
        regularizers=parts,
        prior=prior,
    )


def train(parts: Composition) -> list[Tensor]:
    """A few steps of a plain PyTorch loop; the losses."""
    game, progress = Game(parts), Progress()
    weights = {name: list(game.player(name).weights.parameters()) for name in PLAYERS}
    optimizers = {name: game.player(name).make_optimizer(GANAdam) for name in PLAYERS}
    real, labels = torch.rand(BATCH, 1, SIZE, SIZE) * 2 - 1, torch.arange(BATCH) % 2
    frozen = {id(w) for some in weights.values() for w in some if not w.requires_grad}
    losses = []
    for _ in range(STEPS):
        for name in PLAYERS:
            player = game.player(name)
            for other in PLAYERS:
                for weight in weights[other]:
                    weight.requires_grad_(other == name and id(weight) not in frozen)
            optimizers[name].zero_grad()
            (step,) = game.steps(
                player, real, labels, progress, discriminator_optimizer=optimizers["discriminator"]
            )
            loss, output = game.loss(step, player.due(progress.updates(name)))
            loss.backward()
            optimizers[name].step()
            progress.count_update(name)
            game.observe(step, [output])
            losses.append(loss.detach())
        progress.count_batch(BATCH)
    return losses


@pytest.mark.parametrize("conditioning", CONDITIONING)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_combination_trains_to_finite_losses_or_is_refused_in_a_sentence(
    objective: type[Objective], conditioning: str
) -> None:
    ends: Counter[str] = Counter()
    for regularizer in REGULARIZERS:
        name = f"{objective.__name__} x {regularizer.__name__} x {conditioning}"
        try:
            parts = put_together(objective, regularizer, conditioning)
            parts.attach()
        except ConfigurationError as refusal:
            sentence = str(refusal)
            assert sentence.endswith("."), name
            assert len(sentence.split()) >= 8, f"{name}: {sentence}"
            ends["refused"] += 1
            continue
        assert all(torch.isfinite(loss) for loss in train(parts)), name
        ends["trained"] += 1
    if conditioning == "no labels" and not objective.reads_labels:
        assert ends["trained"] >= len(REGULARIZERS) // 2, ends


def test_the_steps_ahead_need_an_optimizer_that_can_be_foreseen() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(ConfigurationError, match=r"RMSprop.*take GANAdam"):
        step_after(torch.optim.RMSprop([weight]), {"w": weight})


def test_a_penalty_reaches_the_weights_that_a_plain_loop_trains() -> None:
    parts = put_together(NonSaturating, R1, "no labels")
    parts.attach()
    before = [weight.detach().clone() for weight in parts.discriminator.parameters()]
    train(parts)
    moved = zip(before, parts.discriminator.parameters(), strict=True)
    assert all(not torch.equal(old, new) for old, new in moved)
