"""The training step: who moves when, what is frozen, what is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import Points, distance, fit, picture_gan, points_gan, quiet_trainer, weights
from torch import Tensor, nn

from lightning_gan.augment import InstanceNoise
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import (
    Hinge,
    LeastSquares,
    NonSaturating,
    Objective,
    RelativisticPairing,
    Wasserstein,
)
from lightning_gan.regularizers import R1, R2, GradientPenalty, Regularizer
from lightning_gan.training.players import Player
from lightning_gan.training.schedule import PLAYERS, LinearCurve, PerBatch
from lightning_gan.training.step import Step


class Watched(GAN):
    """Notes what changed in every update of a player."""

    def _update(self, player: Player, real: Tensor, labels: Tensor) -> None:
        moved = self.__dict__.setdefault("moved", [])
        before = {name: (weights(getattr(self, name)), self._grads(name)) for name in PLAYERS}
        super()._update(player, real, labels)
        moved.append(
            (
                player.name,
                [n for n in PLAYERS if distance(weights(getattr(self, n)), before[n][0]) > 0],
                [n for n in PLAYERS if not same(self._grads(n), before[n][1])],
            )
        )

    def _grads(self, name: str) -> list[Tensor | None]:
        grads = [p.grad for p in getattr(self, name).parameters()]
        return [None if g is None else g.clone() for g in grads]


def same(one: list[Tensor | None], other: list[Tensor | None]) -> bool:
    return all(
        a is b if a is None or b is None else torch.equal(a, b)
        for a, b in zip(one, other, strict=True)
    )


def test_a_player_moves_and_learns_only_in_its_own_update() -> None:
    plain = points_gan()
    gan = Watched(plain.generator, plain.discriminator, NonSaturating(), [R1()])
    fit(gan, 3)
    d, g = "discriminator", "generator"
    assert gan.moved == [(d, [d], [d]), (g, [g], [g])] * 3


def test_the_generator_has_no_gradient_after_the_discriminators_update() -> None:
    gan = fit(points_gan(alternation=PerBatch(2)), 1)
    assert gan.progress.discriminator_updates == 1
    assert all(p.grad is None for p in gan.generator.parameters())


def flags(gan: GAN) -> dict[str, bool]:
    return {name: p.requires_grad for name, p in gan.named_parameters()}


def test_what_was_frozen_stays_frozen_and_the_rest_does_not() -> None:
    gan = points_gan(regularizers=[R1(), GradientPenalty()])
    gan.generator.layers[0].weight.requires_grad_(False)  # type: ignore[union-attr]
    frozen, before = weights(gan.generator)["layers.0.weight"], flags(gan)
    fit(gan, 2)
    assert flags(gan) == before
    assert torch.equal(weights(gan.generator)["layers.0.weight"], frozen)


@pytest.mark.parametrize("player", PLAYERS)
def test_an_exception_in_the_middle_of_an_update_leaves_nothing_frozen(player: str) -> None:
    def fail(step: Step) -> Tensor:
        raise RuntimeError("in the middle")

    objective = NonSaturating()
    setattr(objective, f"{player}_loss", fail)
    gan = points_gan(objective)
    before = flags(gan)
    with pytest.raises(RuntimeError, match="in the middle"):
        fit(gan, 1)
    assert flags(gan) == before


def test_training_stops_once_the_budget_of_images_is_spent() -> None:
    gan = points_gan(max_images=100)
    quiet_trainer().fit(gan, Points(8))
    assert gan.progress.images == 104


def test_a_run_whose_budget_is_spent_does_not_go_on() -> None:
    gan = fit(points_gan(), 3)
    before = weights(gan)
    fit(gan, 3)
    assert gan.progress.images == 24
    assert distance(weights(gan), before) == 0


class Rates(torch.optim.SGD):
    """Plain descent that notes its rate at every step."""

    seen: list[tuple[float, float]]

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr=lr)
        self.lr = lr
        self.__class__.seen = []

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        self.seen.append((self.lr, self.param_groups[0]["lr"]))
        return super().step(closure)  # type: ignore[return-value]


def test_both_rates_follow_the_curve_from_where_they_start() -> None:
    gan = points_gan(
        generator_optimizer=lambda p: Rates(p, 1e-4),
        discriminator_optimizer=lambda p: Rates(p, 4e-4),
        learning_rate=LinearCurve(1, 0, images=32),
    )
    fit(gan, 4)
    factors = [1, 0.75, 0.5, 0.25]
    expected = [(lr, factor * lr) for factor in factors for lr in (4e-4, 1e-4)]
    assert [pytest.approx(pair) for pair in expected] == Rates.seen


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_the_norm_of_a_players_gradient_is_clipped(clip: float) -> None:
    def descend(parameters: Any) -> torch.optim.SGD:
        return torch.optim.SGD(parameters, lr=1.0)

    arguments: dict[str, Any] = {"generator_optimizer": descend, "discriminator_optimizer": descend}
    gan, free = points_gan(gradient_clip=clip, **arguments), points_gan(**arguments)
    start = weights(gan)
    fit(gan, 1)
    fit(free, 1)
    for player in PLAYERS:
        names = [name for name in start if name.startswith(f"{player}.")]
        steps = [
            torch.cat([(weights(g)[n] - start[n]).flatten() for n in names]) for g in (gan, free)
        ]
        if clip > 1:
            assert torch.equal(*steps)
        else:
            assert float(steps[0].norm()) == pytest.approx(clip, rel=1e-3)
            if player == "discriminator":
                cosine = torch.nn.functional.cosine_similarity(*steps, dim=0)
                assert float(cosine) == pytest.approx(1, abs=1e-5)


def test_one_player_can_be_clipped_alone_or_otherwise_than_the_other() -> None:
    def moved(**clips: float) -> dict[str, float]:
        def descend(parameters: Any) -> torch.optim.SGD:
            return torch.optim.SGD(parameters, lr=1.0)

        gan = points_gan(generator_optimizer=descend, discriminator_optimizer=descend, **clips)
        start = {player: weights(getattr(gan, player)) for player in PLAYERS}
        fit(gan, 1)
        steps = {
            player: [x - start[player][n] for n, x in weights(getattr(gan, player)).items()]
            for player in PLAYERS
        }
        return {p: float(torch.cat([s.flatten() for s in steps[p]]).norm()) for p in PLAYERS}

    free = moved()
    alone = moved(discriminator_clip=1e-3)
    assert alone["discriminator"] == pytest.approx(1e-3, rel=1e-3)
    assert alone["generator"] > 2e-3
    alone = moved(generator_clip=1e-3)
    assert alone == {
        "discriminator": free["discriminator"],
        "generator": pytest.approx(1e-3, rel=1e-3),
    }
    both = moved(gradient_clip=1e-3, generator_clip=2e-3)
    assert both["discriminator"] == pytest.approx(1e-3, rel=1e-3)
    assert both["generator"] == pytest.approx(2e-3, rel=1e-3)


PARTS: dict[str, tuple[Objective, list[Regularizer]]] = {
    "non-saturating": (NonSaturating(), []),
    "least squares": (LeastSquares(), []),
    "hinge": (Hinge(), []),
    "wasserstein with penalty": (Wasserstein(), [GradientPenalty()]),
    "relativistic with r1 and r2": (RelativisticPairing(), [R1(0.5), R2(0.5, every=2)]),
}


@pytest.mark.parametrize("make", [points_gan, picture_gan])
@pytest.mark.parametrize("accumulate", [3, 4])
@pytest.mark.parametrize("name", PARTS)
def test_a_batch_worked_through_in_pieces_gives_the_weights_of_the_whole(
    name: str, accumulate: int, make: Callable[..., GAN]
) -> None:
    objective, regularizers = PARTS[name]
    ends = [
        weights(
            fit(
                make(objective, regularizers, accumulate=pieces, augmentation=InstanceNoise(0.1)),
                4,
                precision="64-true",
            )
        )
        for pieces in (1, accumulate)
    ]
    assert distance(*ends) < 1e-10


def test_half_of_the_average_is_new_after_one_half_life() -> None:
    gan = points_gan(
        generator=MLPGenerator(2, 0, width=4, depth=1, batch_norm=True),
        ema_half_life=100,
        ema_rampup=1,
    )
    gan.average.images = 1000  # as if training had begun long ago
    for weight in gan.generator_ema.parameters():
        nn.init.constant_(weight, 1.0)
    for weight in gan.generator.parameters():
        nn.init.constant_(weight, 3.0)
    for buffer in gan.generator.buffers():
        buffer.fill_(7)
    for images in range(1010, 1101, 10):
        gan.progress.images = images
        gan.average.follow(gan.progress.images, gan.ema_half_life, gan.ema_rampup)
    assert all(
        w.flatten().tolist() == pytest.approx([2.0] * w.numel())
        for w in gan.generator_ema.parameters()
    )
    assert all((buffer == 7).all() for buffer in gan.generator_ema.buffers())


def test_without_a_half_life_the_average_is_a_copy() -> None:
    gan = fit(points_gan(ema_half_life=0), 3)
    assert distance(weights(gan.generator_ema), weights(gan.generator)) == 0


def test_the_first_update_copies_and_the_next_ones_average() -> None:
    gan = fit(points_gan(ema_rampup=100), 1)
    assert distance(weights(gan.generator_ema), weights(gan.generator)) == 0
    before = weights(gan.generator_ema)
    gan.ema_half_life = 16
    fit(gan, 2)
    keep = 0.5 ** (8 / 16)
    after = weights(gan.generator)
    expected = {name: keep * before[name] + (1 - keep) * after[name] for name in after}
    assert distance(weights(gan.generator_ema), expected) < 1e-6


def test_early_on_the_average_forgets_in_proportion_to_the_images_seen() -> None:
    gan = points_gan(ema_half_life=10**9, ema_rampup=0.5)
    fit(gan, 2)
    before = weights(gan.generator_ema)
    fit(gan, 3)
    keep = 0.5 ** (8 / (0.5 * 16))
    after = weights(gan.generator)
    expected = {name: keep * before[name] + (1 - keep) * after[name] for name in after}
    assert distance(weights(gan.generator_ema), expected) < 1e-6


def test_the_average_moves_with_the_generator_and_counts_all_images_between() -> None:
    gan = points_gan(alternation=PerBatch(5), ema_half_life=40, ema_rampup=100)
    fit(gan, 5)
    before = weights(gan.generator_ema)
    fit(gan, 9)
    assert distance(weights(gan.generator_ema), before) == 0
    fit(gan, 10)
    after = weights(gan.generator)
    expected = {name: (before[name] + after[name]) / 2 for name in after}
    assert distance(weights(gan.generator_ema), expected) < 1e-6


def test_channels_last_changes_the_layout_and_not_the_result() -> None:
    ends = [
        weights(fit(picture_gan(channels_last=flag), 3, precision="64-true"))
        for flag in (False, True)
    ]
    assert distance(*ends) < 1e-10
    gan = fit(picture_gan(channels_last=True), 1)
    assert gan.discriminator.image.weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[union-attr, operator]


def test_a_conditional_pair_learns_which_class_lies_where() -> None:
    torch.manual_seed(0)
    gan = points_gan(
        RelativisticPairing(),
        [R1(0.1), R2(0.1)],
        generator=MLPGenerator(2, 0, width=32, depth=2, num_classes=3),
        discriminator=MLPDiscriminator(2, 0, width=32, depth=2, num_classes=3),
        generator_optimizer=lambda p: torch.optim.Adam(p, 2e-3, (0.0, 0.99)),
        discriminator_optimizer=lambda p: torch.optim.Adam(p, 2e-3, (0.0, 0.99)),
    )
    fit(gan, 400, batch_size=64)
    for label, mean in enumerate(Points.means):
        points = gan.sample(200, torch.full((200,), label))
        assert float((points.mean(0) - mean).norm()) < 0.3


@pytest.mark.parametrize(
    "wrong",
    [
        {"accumulate": 0},
        {"max_images": 0},
        {"ema_half_life": -1},
        {"ema_rampup": -0.1},
        {"gradient_clip": -1.0},
        {"gradient_clip": 0.0},
        {"generator_clip": 0.0},
        {"discriminator_clip": -1.0},
    ],
)
def test_numbers_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        points_gan(**wrong)


@pytest.mark.parametrize(
    ("discriminator", "complaint"),
    [
        (MLPDiscriminator(3, 0), "channels"),
        (MLPDiscriminator(2, 8), "image_size"),
        (MLPDiscriminator(2, 0, num_classes=3), "num_classes"),
    ],
)
def test_players_of_different_sizes_are_refused(
    discriminator: MLPDiscriminator, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        points_gan(discriminator=discriminator)


def test_data_of_another_size_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="channels=2 but the networks have channels=1"):
        quiet_trainer().fit(picture_gan(), Points(8))
    with pytest.raises(ConfigurationError, match="4 classes but the data have 3"):
        quiet_trainer().fit(points_gan(num_classes=4), Points(8))


def test_plain_loaders_will_do() -> None:
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.randn(32, 2), torch.zeros(32, dtype=torch.long)), 8
    )
    gan = points_gan()
    quiet_trainer(max_epochs=2).fit(gan, loader, loader)
    assert gan.progress.images == 64
