"""The rule of 50 : 50: reached by a perfect generator, not by a dead discriminator."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from collapsing import Measure, spots_gan, train
from lightning.pytorch import Callback
from tiny import Points, points_gan, quiet_trainer

from lightning_gan.callbacks import Balance, EquilibriumStopping, LastCheckpoint
from lightning_gan.callbacks.loggers import CSVCurve
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.panel import Measured
from lightning_gan.gan import GAN
from lightning_gan.metrics.balance import BalanceResult, Spread
from lightning_gan.metrics.neighbours import NeighboursResult
from lightning_gan.objectives import Hinge

HALF, LOGIT = Spread(0.5, 0.1), Spread(0.0, 0.1)
VAL = BalanceResult(LOGIT, LOGIT, HALF, HALF, 0.5, 0.5, n=100, auc=0.5, auc_sd=0.04)
NEAREST = NeighboursResult("identity", nn1_real=0.5, nn1_fake=0.5)
"""What an equilibrium shows; two deviations are 0.08, 0.02, and 0.05 of 400 samples."""


def is_undecided(val: BalanceResult = VAL, nearest: NeighboursResult | None = NEAREST) -> bool:
    return EquilibriumStopping().is_undecided(val, Measured(400, neighbours=nearest))


def test_an_equilibrium_is_undecided() -> None:
    assert is_undecided()


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [
        ("auc", 0.579, 0.581),
        ("auc", 0.421, 0.419),
        ("real_probability", 0.569, 0.571),
        ("fake_probability", 0.431, 0.429),
        ("nn1_real", 0.599, 0.601),
        ("nn1_fake", 0.401, 0.399),  # copies of the reals
    ],
)
def test_each_value_may_be_off_by_its_tolerance_and_chance(
    name: str, within: float, beyond: float
) -> None:
    for value, expected in ((within, True), (beyond, False), (math.nan, False)):
        if name in NEAREST._fields:
            assert is_undecided(nearest=NEAREST._replace(**{name: value})) == expected
        else:
            found: Any = Spread(value, 0.1) if name.endswith("probability") else value
            assert is_undecided(VAL._replace(**{name: found})) == expected


def test_genuine_digits_that_nobody_has_seen_are_accepted_and_copies_are_not() -> None:
    """Test digits beside training digits, 10,000 of each: other people wrote them."""
    unseen = NeighboursResult("e", nn1_real=0.530, nn1_fake=0.569, compared=10_000)
    beside = unseen._replace(nn1_real_held_out=0.530, nn1_fake_held_out=0.569, held_out=10_000)

    def accepted(nearest: NeighboursResult) -> bool:
        return EquilibriumStopping().is_undecided(VAL, Measured(10_000, neighbours=nearest))

    assert not accepted(unseen)  # with no held-out reals to judge by
    assert accepted(beside)
    assert accepted(beside._replace(nn1_real=0.5, nn1_fake=0.5))
    assert not accepted(beside._replace(nn1_fake=0.65))
    assert not accepted(beside._replace(nn1_fake=0.42))
    assert not accepted(beside._replace(nn1_fake=math.nan))


def test_few_samples_that_were_compared_may_differ_more() -> None:
    nearest = NeighboursResult("e", nn1_real=0.59, nn1_fake=0.5, compared=400)
    assert EquilibriumStopping().is_undecided(VAL, Measured(10_000, neighbours=nearest))
    many = nearest._replace(compared=10_000)
    assert not EquilibriumStopping().is_undecided(VAL, Measured(10_000, neighbours=many))


def test_values_that_are_not_measured_are_not_judged() -> None:
    few = VAL._replace(real_probability=None, fake_probability=None)
    assert EquilibriumStopping().is_undecided(few)
    assert is_undecided(few, None)
    assert not is_undecided(few, NEAREST._replace(nn1_real=0.7))
    assert not is_undecided(VAL._replace(auc=None))
    assert not EquilibriumStopping().is_undecided(None)


def dead() -> GAN:
    """A discriminator that always says 1/2 beside a generator that is wrong everywhere."""
    gan = spots_gan(off=0.5, rate=0.0)
    for weight in gan.discriminator.parameters():
        torch.nn.init.zeros_(weight)
    return gan


def streaks(
    gan: GAN, folder: Path, batches: int, *more: Callback, **arguments: Any
) -> EquilibriumStopping:
    judge = EquilibriumStopping(**arguments)
    train(gan, batches, [judge, Balance(), *more], folder)
    return judge


def test_a_generator_that_is_right_reaches_the_equilibrium_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gan = spots_gan(rate=1e-5)
    judge = streaks(gan, tmp_path, 20, Measure(), patience=2)
    assert judge.streak == 5
    (said,) = [message for message in caplog.messages if "undecided" in message]
    assert said.startswith("After 64 images the discriminator has been undecided on held-out data")
    assert re.search(r"at 2 validations in a row \(AUC 0\.\d+ ± 0\.029, D\(x\) = 0\.50, ", said)
    assert re.search(r"1-NN test 0\.\d+ and 0\.\d+\)\.$", said)
    assert gan.progress.batches == 20


def test_a_dead_discriminator_is_not_taken_for_an_equilibrium(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judge = EquilibriumStopping(patience=1, stop=True)
    gan = train(dead(), 12, [Balance(), judge, Measure()], tmp_path)
    val = measurements(gan.trainer).val
    assert val is not None
    assert val.real_probability == val.fake_probability == Spread(0.5, 0.0)
    assert val.auc == 0.5
    assert judge.streak == 0
    assert gan.progress.batches == 12
    assert not [message for message in caplog.messages if "undecided" in message]


def test_without_the_nearest_neighbour_test_the_doubt_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert streaks(dead(), tmp_path, 4, patience=1).streak == 1
    (said,) = [message for message in caplog.messages if "undecided" in message]
    assert said.endswith("with no nearest-neighbour test to tell it from a dead discriminator.")


def test_logits_without_probabilities_are_judged_by_their_order(tmp_path: Path) -> None:
    gan = spots_gan(objective=Hinge(), rate=1e-5)
    assert streaks(gan, tmp_path, 8, Measure()).streak == 2


def test_the_training_ends_where_that_is_asked_for_and_its_end_is_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gan = spots_gan(rate=1e-5)
    judge = streaks(gan, tmp_path, 40, Measure(), LastCheckpoint(), patience=3, stop=True)
    assert (judge.streak, gan.progress.batches) == (3, 12)
    assert any(message.endswith("; the training ends here.") for message in caplog.messages)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["lightning_gan"]["progress"]["batches"] == 12
    assert saved["callbacks"]["EquilibriumStopping"] == {"streak": 3}


@pytest.mark.parametrize(("patience", "batches"), [(3, 12), (4, 16)])
def test_a_training_that_has_ended_there_ends_at_once_unless_more_patience_is_asked_for(
    patience: int, batches: int, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    streaks(spots_gan(rate=1e-5), tmp_path, 40, Measure(), LastCheckpoint(), patience=3, stop=True)
    gan, judge = spots_gan(rate=1e-5), EquilibriumStopping(patience=patience, stop=True)
    train(gan, 40, [judge, Balance(), Measure()], tmp_path, ckpt_path=path)
    assert (judge.streak, gan.progress.batches) == (patience, batches)


def test_one_decided_validation_begins_the_streak_anew(tmp_path: Path) -> None:
    off, calm = (
        Measured(200, neighbours=NeighboursResult("identity", nn1_real=share, nn1_fake=share))
        for share in (0.9, 0.5)
    )
    gan = spots_gan(rate=1e-5)
    judge = streaks(gan, tmp_path, 24, Measure(calm, calm, off, calm), patience=3, stop=True)
    assert gan.progress.batches == 24
    assert judge.streak == 3


def test_a_streak_goes_on_with_a_larger_budget_as_if_it_had_been_there_from_the_start(
    tmp_path: Path,
) -> None:
    """Validations after 4, 8, 12, 16 batches; that at the end of the first budget, 10, is extra."""
    path = tmp_path / "checkpoints" / "last.ckpt"
    streaks(spots_gan(rate=1e-5), tmp_path, 10, Measure(), LastCheckpoint(), patience=4, stop=True)
    gan, judge = spots_gan(rate=1e-5), EquilibriumStopping(patience=4, stop=True)
    train(gan, 40, [judge, Balance(), Measure()], tmp_path, ckpt_path=path)
    assert (judge.streak, gan.progress.batches) == (4, 16)
    undisturbed, alone = spots_gan(rate=1e-5), EquilibriumStopping(patience=4, stop=True)
    train(undisturbed, 40, [alone, Balance(), Measure()], tmp_path / "undisturbed")
    assert (alone.streak, undisturbed.progress.batches) == (4, 16)
    for name, weight in undisturbed.state_dict().items():
        assert torch.equal(gan.state_dict()[name], weight)


def test_what_it_finds_is_in_the_logs(tmp_path: Path) -> None:
    judge = EquilibriumStopping()
    gan = spots_gan(rate=1e-5)
    train(gan, 8, [judge, Balance(), Measure()], tmp_path, logger=CSVCurve(tmp_path))
    gan.trainer.logger.save()  # type: ignore[union-attr]
    metrics = gan.trainer.callback_metrics
    assert float(metrics["equilibrium/undecided"]) == 1
    assert float(metrics["equilibrium/streak"]) == 2
    (file,) = tmp_path.rglob("metrics.csv")
    header, *rows = file.read_text().splitlines()
    column = header.split(",").index("equilibrium/streak")
    assert [row.split(",")[column] for row in rows if row.split(",")[column]] == ["1.0", "2.0"]


def test_a_validation_outside_of_a_training_counts_for_nothing() -> None:
    judge = EquilibriumStopping(patience=1)
    trainer = quiet_trainer(limit_val_batches=1.0, callbacks=[judge, Balance()])
    trainer.validate(points_gan(), Points(8), verbose=False)
    assert judge.streak == 0
    assert "equilibrium/streak" not in trainer.callback_metrics


def test_it_needs_the_balance() -> None:
    trainer = quiet_trainer(callbacks=[EquilibriumStopping()])
    with pytest.raises(ConfigurationError, match=r"there is no Balance among.*add .*Balance\(\)"):
        trainer.fit(points_gan(max_images=8), Points(8))


@pytest.mark.parametrize(
    "arguments",
    [{"patience": 0}, {"deviations": -1.0}, {"tolerance": -0.1}, {"nearest_tolerance": -0.1}],
)
def test_numbers_out_of_range_are_refused(arguments: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        EquilibriumStopping(**arguments)
