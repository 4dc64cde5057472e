"""Divergence and signals: the run stops with a reason, and its last good state is kept."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from tiny import Points, distance, fit, points_gan, quiet_trainer, weights
from torch import Tensor

from lightning_gan.callbacks import Interrupted, LastCheckpoint, StopOnDivergence
from lightning_gan.errors import ConfigurationError, DivergenceError
from lightning_gan.regularizers import Penalty
from lightning_gan.training.step import Step


class Spoil(Penalty):
    """Turns the discriminator's loss into NaN after some images."""

    def discriminator_term(self, step: Step) -> Tensor:
        spoilt = step.value_of(lambda images: images) >= 24
        return step.real_logits.mean() * (float("nan") if spoilt else 0.0)


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    def explode(parameters: Any) -> torch.optim.SGD:
        return torch.optim.SGD(parameters, lr=1e20)

    gan = points_gan(discriminator_optimizer=explode)
    with pytest.raises(DivergenceError, match=r"loss is not finite after \d+ images.*lower"):
        fit(gan, 50, callbacks=[StopOnDivergence(every=1)])
    assert gan.progress.batches < 10


def test_divergence_is_looked_for_as_often_as_asked(tmp_path: Path) -> None:
    gan = points_gan(regularizers=[Spoil()])
    with pytest.raises(DivergenceError):
        fit(gan, 50, callbacks=[StopOnDivergence(every=4)])
    assert gan.progress.batches % 4 == 0


@pytest.mark.parametrize("budget", ["images", "epochs"])
def test_a_divergence_right_before_the_end_is_seen(budget: str, tmp_path: Path) -> None:
    """A look after every hundredth batch has none before the end of 25 batches, an epoch."""
    gan = points_gan(regularizers=[Spoil()], max_images=200 if budget == "images" else None)
    options = {} if budget == "images" else {"max_epochs": 1}
    trainer = quiet_trainer(tmp_path, callbacks=[StopOnDivergence(every=100)], **options)
    with pytest.raises(DivergenceError, match="loss is not finite after 200 images"):
        trainer.fit(gan, Points(8))


def test_the_last_good_checkpoint_survives_a_divergence(tmp_path: Path) -> None:
    last = LastCheckpoint(every_minutes=1e-9)
    trainer = quiet_trainer(tmp_path, callbacks=[last])
    with pytest.raises(DivergenceError, match="not finite"):
        trainer.fit(points_gan(regularizers=[Spoil()]), Points(8))
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["lightning_gan"]["progress"]["images"] == 24
    assert all(torch.isfinite(value).all() for value in saved["state_dict"].values())


def saved_batches(folder: Path) -> int:
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    batches: int = state["lightning_gan"]["progress"]["batches"]
    return batches


def test_the_end_of_a_training_is_saved(tmp_path: Path) -> None:
    fit(points_gan(), 5, default_root_dir=tmp_path, callbacks=[LastCheckpoint()])
    assert saved_batches(tmp_path) == 5


class Send(Callback):
    """Sends this process a signal in the middle of a batch."""

    def __init__(self, number: int, batch: int) -> None:
        self.number, self.batch = number, batch

    def on_train_batch_start(
        self, trainer: Any, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == self.batch:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_answered_by_a_checkpoint_after_the_batch_at_hand(
    number: signal.Signals, tmp_path: Path
) -> None:
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    gan = points_gan()
    callbacks = [Send(number, 3), LastCheckpoint()]
    with pytest.raises(Interrupted, match=rf"Stopped by {number.name} after 32 images") as caught:
        fit(gan, 50, default_root_dir=tmp_path, callbacks=callbacks)
    assert caught.value.signal_number == number
    assert saved_batches(tmp_path) == gan.progress.batches == 4
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_an_interrupted_run_can_be_resumed_to_the_same_end(tmp_path: Path) -> None:
    straight = fit(points_gan(), 9)
    with pytest.raises(Interrupted):
        fit(
            points_gan(),
            9,
            default_root_dir=tmp_path,
            callbacks=[Send(signal.SIGTERM, 3), LastCheckpoint()],
        )
    resumed = points_gan(max_images=72)
    path = tmp_path / "checkpoints" / "last.ckpt"
    quiet_trainer().fit(resumed, Points(8), ckpt_path=path, weights_only=True)
    assert distance(weights(resumed), weights(straight)) == 0


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    class Impatient(Send):
        def on_train_batch_start(self, *arguments: Any) -> None:
            super().on_train_batch_start(*arguments)
            super().on_train_batch_start(*arguments)

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(
            points_gan(),
            9,
            default_root_dir=tmp_path,
            callbacks=[Impatient(signal.SIGINT, 3), LastCheckpoint()],
        )
    assert not (tmp_path / "checkpoints").exists()


def test_handlers_are_put_back_in_the_end() -> None:
    before, last = signal.getsignal(signal.SIGTERM), LastCheckpoint()
    last.on_train_start(quiet_trainer(), points_gan())
    assert signal.getsignal(signal.SIGTERM) != before
    last.teardown(quiet_trainer(), points_gan(), "fit")
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_interval_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="every_minutes"):
        LastCheckpoint(0)


def test_a_resumed_run_whose_budget_is_spent_makes_no_update(tmp_path: Path) -> None:
    fit(points_gan(), 5, default_root_dir=tmp_path, callbacks=[LastCheckpoint()])
    resumed = points_gan(max_images=40)
    path = tmp_path / "checkpoints" / "last.ckpt"
    quiet_trainer().fit(resumed, Points(8), ckpt_path=path, weights_only=True)
    assert resumed.progress.batches == 5
