"""A collapse is seen and named, and the healthiest state is kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from collapsing import (
    BAD,
    CALM,
    Collapse,
    Measure,
    Spots,
    batches_of,
    healthy,
    measured,
    said,
    spots_gan,
    train,
)
from tiny import distance, quiet_trainer, weights

from lightning_gan.callbacks import Balance, CollapseGuard, Evaluation
from lightning_gan.callbacks.loggers import CSVCurve
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.errors import ConfigurationError
from lightning_gan.objectives import Minimax


def test_lost_modes_are_named_in_one_warning_and_the_training_goes_on(tmp_path: Path) -> None:
    guard, measure = CollapseGuard(patience=2), Measure()
    message = r"^After 128 images 3 of the 4 modes .* lost \(missing: north, west, south\)\.$"
    with pytest.warns(UserWarning, match=message) as caught:
        gan = train(spots_gan(), 24, [Collapse(10), guard, measure, Balance()], tmp_path)
    assert len(said(caught)) == 1
    assert gan.progress.batches == 24
    metrics = gan.trainer.callback_metrics
    assert float(metrics["collapse/modes"]) == 1
    assert float(metrics["collapse/saturated"]) == float(metrics["collapse/diverged"]) == 0
    assert "collapse/frechet" not in metrics
    assert batches_of(healthy(tmp_path)) == 8


def test_an_evaluation_of_samples_shows_the_collapse_in_every_way(tmp_path: Path) -> None:
    evaluation = Evaluation(num_samples=400)
    callbacks = [Collapse(10), CollapseGuard(patience=2), evaluation, Balance()]
    pattern = (
        r"^After 128 images 3 of the 4 modes .* lost \(missing: mode 1, mode 2, mode 3\); "
        "the coverage fell .*; the Frechet distance rose"
    )
    with pytest.warns(UserWarning, match=pattern):
        gan = train(spots_gan(), 16, callbacks, tmp_path)
    metrics, best = gan.trainer.callback_metrics, measurements(gan.trainer).best
    assert best is not None
    for name in ("modes", "coverage", "frechet"):
        assert float(metrics[f"collapse/{name}"]) == 1
    assert batches_of(healthy(tmp_path)) == best.images / 8 <= 8


def test_one_bad_validation_is_no_alarm(tmp_path: Path) -> None:
    script = [CALM, BAD, CALM, BAD, CALM]
    guard = CollapseGuard(recover=True)
    train(spots_gan(), 20, [guard, Measure(*script)], tmp_path)
    assert guard.rollbacks == 0


def test_the_healthiest_state_is_that_of_the_least_distance_without_an_alarm(
    tmp_path: Path,
) -> None:
    distances, covered = (1.8, 1.6, 1.0, 1.7), (4, 4, 2, 4)
    values = [measured(count, distance) for distance, count in zip(distances, covered, strict=True)]
    train(spots_gan(), 16, [CollapseGuard(), Measure(*values)], tmp_path)
    assert batches_of(healthy(tmp_path)) == 8


def test_a_state_of_few_modes_is_not_the_healthiest_once_there_were_more(tmp_path: Path) -> None:
    values = [measured(count, at) for at, count in ((1.0, 2.0), (1.5, 4.0), (1.7, 4.0))]
    train(spots_gan(), 12, [CollapseGuard(), Measure(*values)], tmp_path)
    assert batches_of(healthy(tmp_path)) == 8


def test_what_a_collapsed_state_does_better_is_no_measure_for_others(tmp_path: Path) -> None:
    values = [measured(count, at, 0.0) for at, count in ((1.8, 4.0), (0.8, 1.0), (1.7, 4.0))]
    train(spots_gan(), 12, [CollapseGuard(), Measure(*values)], tmp_path)
    assert batches_of(healthy(tmp_path)) == 12


def test_without_distance_and_modes_the_healthiest_state_is_the_latest(tmp_path: Path) -> None:
    train(
        spots_gan(), 8, [CollapseGuard(), Measure(measured(), measured(None, math.nan))], tmp_path
    )
    assert batches_of(healthy(tmp_path)) == 8


def test_a_generator_that_gets_no_gradient_from_a_sure_discriminator_is_named(
    tmp_path: Path,
) -> None:
    gan = spots_gan(objective=Minimax(), off=3.0, rate=0.06, generator_rate=0.0)
    guard, balance = CollapseGuard(), Balance(every=1)
    with pytest.warns(
        UserWarning, match=r"is right about 100\.0% of held-out reals and 100\.0% of"
    ):
        train(gan, 80, [guard, balance], tmp_path)
    assert float(gan.trainer.callback_metrics["collapse/saturated"]) == 1
    val = measurements(gan.trainer).val
    assert val is not None
    assert val.acc_real == val.acc_fake == 1


@pytest.mark.parametrize("recover", [False, True])
def test_a_run_that_keeps_no_checkpoints_keeps_none_of_health(
    recover: bool, tmp_path: Path
) -> None:
    callbacks = [CollapseGuard(recover=recover), Measure()]
    often: dict[str, Any] = {"limit_val_batches": 1.0, "max_epochs": 1}
    trainer = quiet_trainer(tmp_path, callbacks=callbacks, **often)
    trainer.fit(spots_gan(), Spots(8))
    assert (tmp_path / "checkpoints").exists() == recover  # which has to


def test_what_it_finds_is_in_the_logs(tmp_path: Path) -> None:
    logger = CSVCurve(tmp_path)
    train(spots_gan(), 8, [CollapseGuard(), Measure(CALM, BAD)], tmp_path, logger=logger)
    logger.save()
    header, *rows = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("collapse/modes")
    assert [row.split(",")[column] for row in rows if row.split(",")[column]] == ["0.0", "1.0"]


def test_a_validation_outside_of_a_training_changes_nothing(tmp_path: Path) -> None:
    guard = CollapseGuard(recover=True)
    trainer = quiet_trainer(tmp_path, limit_val_batches=1.0, callbacks=[guard, Measure()])
    trainer.validate(spots_gan(), Spots(8), verbose=False)
    assert not (tmp_path / "checkpoints").exists()
    assert not [name for name in trainer.callback_metrics if name.startswith("collapse")]


def test_the_guard_leaves_a_healthy_training_as_it_is_to_the_bit(tmp_path: Path) -> None:
    ends = []
    for callbacks in ([CollapseGuard(recover=True), Measure(), Balance()], []):
        arguments: dict[str, Any] = {} if callbacks else {"limit_val_batches": 0}
        ends.append(weights(train(spots_gan(), 20, callbacks, tmp_path, **arguments)))
    assert distance(*ends) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 0},
        {"max_rollbacks": 0},
        {"margin": 1.0},
        {"deviations": -1.0},
        {"factor": 0.5},
        {"ease": 0.0},
        {"ease": 1.5},
    ],
)
def test_numbers_out_of_range_are_refused(arguments: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        CollapseGuard(**arguments)
