"""Whose turn it is, on paper and in real trainings."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tiny import Points, fit, points_gan, quiet_trainer
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.objectives import RelativisticPairing
from lightning_gan.regularizers import Penalty
from lightning_gan.training.schedule import Alternation, PerBatch, Phases, UpdateCounts
from lightning_gan.training.step import Step


def test_one_each_by_default() -> None:
    assert [PerBatch().updates(batch, 0) for batch in range(3)] == [UpdateCounts(1, 1)] * 3


def test_the_generator_moves_after_every_kth_batch() -> None:
    moves = [PerBatch(3, 2).updates(batch, 0) for batch in range(6)]
    assert moves == [(1, 0), (1, 0), (1, 2)] * 2


def test_the_generator_has_reals_of_its_own_where_asked_for() -> None:
    moves = [PerBatch(2, 3, fresh_reals=True).updates(batch, 0) for batch in range(10)]
    assert moves == [(1, 0), (1, 0), (0, 1), (0, 1), (0, 1)] * 2


class Seen(Penalty):
    """Keeps the reals of every update, by player."""

    def __init__(self) -> None:
        super().__init__()
        self.reals: dict[str, list[Tensor]] = {"discriminator": [], "generator": []}

    def discriminator_term(self, step: Step) -> None:
        self.reals[step.player].append(step.real.clone())

    generator_term = discriminator_term


def test_fresh_reals_are_shown_to_one_player_only() -> None:
    seen = Seen()
    gan = points_gan(RelativisticPairing(), [seen], alternation=PerBatch(fresh_reals=True))
    fit(gan, 6)
    reals = [*seen.reals["discriminator"], *seen.reals["generator"]]
    assert [len(shown) for shown in seen.reals.values()] == [3, 3]
    assert len(torch.cat(reals).unique(dim=0)) == sum(map(len, reals)), "no real is shown twice"
    counts = gan.progress.discriminator_updates, gan.progress.generator_updates
    assert counts == (3, 3)
    assert gan.progress.images == sum(map(len, reals))


def test_phases_take_whole_epochs_in_turn() -> None:
    moves = [Phases(2, 1).updates(0, epoch) for epoch in range(6)]
    assert moves == [(1, 0), (1, 0), (0, 1)] * 2


@pytest.mark.parametrize(
    "make", [lambda: PerBatch(0), lambda: PerBatch(1, 0), lambda: Phases(0), lambda: Phases(1, -1)]
)
def test_nobody_can_be_left_out(make: Callable[[], Alternation]) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        make()


class Reals(Penalty):
    """Keeps the reals and fakes of every update of the discriminator, and the generator's fakes."""

    def __init__(self) -> None:
        super().__init__()
        self.reals: list[Tensor] = []
        self.fakes: list[Tensor] = []
        self.generated: list[Tensor] = []

    def discriminator_term(self, step: Step) -> None:
        self.reals.append(step.real.clone())
        self.fakes.append(step.fake.detach().clone())

    def generator_term(self, step: Step) -> None:
        self.generated.append(step.fake.detach().clone())


@pytest.mark.parametrize(
    ("k", "moves_of_generator", "batches", "expected"),
    [(1, 1, 4, (4, 4)), (5, 1, 12, (12, 2)), (2, 3, 7, (7, 9)), (1, 2, 3, (3, 6))],
)
def test_a_training_makes_the_updates_that_were_asked_for(
    k: int, moves_of_generator: int, batches: int, expected: tuple[int, int]
) -> None:
    gan = fit(points_gan(alternation=PerBatch(k, moves_of_generator)), batches)
    assert (gan.progress.discriminator_updates, gan.progress.generator_updates) == expected
    assert gan.trainer.global_step == expected[1]
    assert gan.progress.batches == batches
    assert gan.progress.images == 8 * batches


def test_phases_train_one_player_for_an_epoch() -> None:
    gan = points_gan(alternation=Phases(1, 2))
    quiet_trainer(max_epochs=4, limit_train_batches=5).fit(gan, Points(8))
    assert (gan.progress.discriminator_updates, gan.progress.generator_updates) == (10, 10)


def test_the_frozen_player_of_a_phase_does_not_move() -> None:
    gan = points_gan(alternation=Phases(1, 1))
    start = [p.detach().clone() for p in gan.generator.parameters()]
    quiet_trainer(max_epochs=1, limit_train_batches=5).fit(gan, Points(8))
    assert all(torch.equal(a, b) for a, b in zip(start, gan.generator.parameters(), strict=True))


def test_every_update_of_the_critic_sees_fresh_reals_and_fakes() -> None:
    watched = Reals()
    fit(points_gan(regularizers=[watched], alternation=PerBatch(5, 2)), 10)
    for samples, count in ((watched.reals, 10), (watched.fakes, 10), (watched.generated, 4)):
        assert len(samples) == count
        assert len(torch.cat(samples).unique(dim=0)) == 8 * count


def test_max_steps_counts_updates_of_the_generator() -> None:
    gan = points_gan(alternation=PerBatch(2))
    quiet_trainer(max_steps=7).fit(gan, Points(8))
    assert gan.progress.generator_updates == gan.trainer.global_step == 7
    assert gan.progress.discriminator_updates == 14


def test_an_own_alternation_may_give_a_pair() -> None:
    class Pair(Alternation):
        def updates(self, batch: int, epoch: int) -> UpdateCounts:
            return (1, 2)  # type: ignore[return-value]

    assert fit(points_gan(alternation=Pair()), 3).progress.generator_updates == 6
