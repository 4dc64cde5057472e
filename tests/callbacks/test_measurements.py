"""What callbacks learn of each other: values, whatever these are called in the logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from collapsing import Collapse, spots_gan, train
from tiny import Points, points_gan, quiet_trainer

from lightning_gan.callbacks import Balance, CollapseGuard, EquilibriumStopping, Evaluation
from lightning_gan.callbacks.measurements import TrainingReport, measurements
from lightning_gan.evaluation.panel import Measured
from lightning_gan.metrics.balance import BalanceResult


@pytest.fixture
def _renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is logged under other names."""

    def rename(kind: Any) -> None:
        logged = kind.logged
        monkeypatch.setattr(
            kind, "logged", lambda *args: {f"new/{k}": x for k, x in logged(*args).items()}
        )

    for kind in (BalanceResult, Measured, TrainingReport):
        rename(kind)


@pytest.mark.usefixtures("_renamed")
def test_a_collapse_is_seen_whatever_the_values_are_called_in_the_logs(tmp_path: Path) -> None:
    callbacks = [Collapse(10), CollapseGuard(patience=2), Evaluation(num_samples=400), Balance()]
    message = "modes that were covered are lost.*the coverage fell.*the Frechet distance rose"
    with pytest.warns(UserWarning, match=message):
        gan = train(spots_gan(), 16, callbacks, tmp_path)
    logged = gan.trainer.callback_metrics
    assert {"new/val/auc", "new/fid/identity", "collapse/saturated"} <= logged.keys()
    assert not {"val/auc", "fid/identity"} & logged.keys()


@pytest.mark.usefixtures("_renamed")
def test_an_equilibrium_is_seen_whatever_the_values_are_called_in_the_logs(tmp_path: Path) -> None:
    judge = EquilibriumStopping(patience=2, stop=True)
    callbacks = [judge, Balance(), Evaluation(["neighbours"], num_samples=200)]
    gan = train(spots_gan(rate=1e-5), 40, callbacks, tmp_path)
    assert (judge.streak, gan.progress.batches) == (2, 8)


def test_each_run_has_measurements_of_its_own() -> None:
    trainers = [quiet_trainer(limit_val_batches=1.0, callbacks=[Balance()]) for _ in range(2)]
    trainers[0].validate(points_gan(), Points(8), verbose=False)
    assert measurements(trainers[0]).val is not None
    assert measurements(trainers[1]).val is None
