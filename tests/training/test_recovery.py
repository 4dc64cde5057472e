"""A collapse is survived, and so is a loss that is not finite; a killed run goes on alike."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from collapsing import (
    BAD,
    CALM,
    MEANS,
    Collapse,
    Measure,
    Spoil,
    Spots,
    batches_of,
    healthy,
    rates,
    said,
    spots_gan,
    train,
)
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Checkpoint
from resuming import bits, differences, with_scaler
from tiny import distance, fit, picture_gan, points_gan, quiet_trainer, weights
from zoo import examples

from lightning_gan.augment import AdaptiveAugmentation
from lightning_gan.callbacks import (
    Balance,
    CollapseGuard,
    Interrupted,
    LastCheckpoint,
    StopOnDivergence,
)
from lightning_gan.callbacks.collapse import roll_back
from lightning_gan.datamodules import Split
from lightning_gan.errors import ConfigurationError, DivergenceError
from lightning_gan.gan import GAN
from lightning_gan.training.schedule import LinearCurve


def adaptive_gans() -> dict[str, Callable[[], GAN]]:
    """Models in which something adapts: objective, regularizer, augmentation, network."""
    return examples() | {
        "AdaptiveAugmentation": lambda: picture_gan(
            augmentation=AdaptiveAugmentation(kimg=0.1, start=0.5)
        )
    }


# ----------------------------------------------------------------------------------- recovery


def test_a_collapse_is_survived(tmp_path: Path) -> None:
    guard, measure = CollapseGuard(recover=True), Measure()
    message = (
        r"^After 128 images 3 of the 4 modes .*: going on from the state after 64 images, with "
        r"learning rates times 0\.5 \(return 1 of 3\)\.$"
    )
    with pytest.warns(UserWarning, match=message):
        gan = train(spots_gan(), 32, [Collapse(10), guard, measure, Balance()], tmp_path)
    assert measure.missing == []
    assert float((gan.generator.means.detach() - MEANS).abs().max()) < 0.05  # type: ignore[operator]
    assert gan.progress.batches == 32
    assert gan.trainer.global_step == 32
    assert rates(gan) == [5e-5, 5e-5]
    assert batches_of(healthy(tmp_path)) == 32


ADAPTIVE = ("BEGAN", "EBGAN", "LeCam", "PathLength", "InfoGAN", "HistoricalAveraging", "TopK")


@pytest.mark.parametrize("name", [*ADAPTIVE, "AdaptiveAugmentation", "SNDCGANDiscriminator"])
def test_everything_but_the_progress_goes_back(name: str, tmp_path: Path) -> None:
    """The model, what adapts in it, and the moments of Adam, in the parameters that there were."""
    saved, after = tmp_path / "saved.ckpt", tmp_path / "after.ckpt"

    class Return(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if pl_module.progress.batches == 5:
                trainer.save_checkpoint(saved)
            if pl_module.progress.batches == 9:
                before = [id(weight) for weight in pl_module.parameters()]
                roll_back(trainer, pl_module, saved, 0.5)
                trainer.save_checkpoint(after)
                assert [id(weight) for weight in pl_module.parameters()] == before
                assert pl_module.outputs == []

    callbacks = [Return(), Balance(every=1)]  # which measures gradients
    gan = fit(adaptive_gans()[name](), 11, folder=tmp_path, callbacks=callbacks)
    old, new = (torch.load(path, weights_only=True) for path in (saved, after))
    assert differences(old["state_dict"], new["state_dict"]) == []
    for one, other in zip(old["optimizer_states"], new["optimizer_states"], strict=True):
        assert differences(one["state"], other["state"]) == []
        for a, b in zip(one["param_groups"], other["param_groups"], strict=True):
            rates = {name: a[name] / 2 for name in ("lr", "initial_lr")}
            assert b == a | rates
    assert (batches_of(old), batches_of(new)) == (5, 9)
    assert gan.progress.batches == 11


def test_the_scale_of_half_precision_goes_back_too(tmp_path: Path) -> None:
    seen = []

    class Return(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if pl_module.progress.batches == 4:
                trainer.save_checkpoint(tmp_path / "saved.ckpt")
            seen.append(trainer.precision_plugin.scaler.get_scale())
            if pl_module.progress.batches == 8:
                roll_back(trainer, pl_module, tmp_path / "saved.ckpt", 0.5)
                seen.append(trainer.precision_plugin.scaler.get_scale())

    train(spots_gan(), 8, [Return()], tmp_path, limit_val_batches=0, plugins=with_scaler())
    assert seen[-1] == seen[3] != seen[-2]


def test_what_an_adaptive_augmentation_remembers_goes_back_too(tmp_path: Path) -> None:
    gan = adaptive_gans()["AdaptiveAugmentation"]()
    seen = []

    class Return(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if pl_module.progress.batches == 4:
                trainer.save_checkpoint(tmp_path / "saved.ckpt")
            seen.append(pl_module.augmentation.controller.p)
            if pl_module.progress.batches == 8:
                roll_back(trainer, pl_module, tmp_path / "saved.ckpt", 0.5)
                seen.append(pl_module.augmentation.controller.p)

    fit(gan, 8, folder=tmp_path, callbacks=[Return()])
    assert seen[-1] == seen[3] != seen[-2]


def test_rates_ease_once_more_at_each_return_whatever_the_checkpoint_holds(tmp_path: Path) -> None:
    guard = CollapseGuard(patience=1, recover=True, ease=0.1, max_rollbacks=2)
    measure = Measure(CALM, BAD, CALM, BAD, CALM, BAD, BAD)
    with pytest.warns(UserWarning, match="modes") as caught:
        gan = train(spots_gan(), 28, [guard, measure], tmp_path)
    assert rates(gan) == pytest.approx([1e-6, 1e-6])
    assert [message.partition("are lost")[2] for message in said(caught)] == [
        ": going on from the state after 32 images, with learning rates times 0.1 (return 1 of 2).",
        ": going on from the state after 96 images, with learning rates times 0.1 (return 2 of 2).",
        ", and all returns are spent.",
    ]


def test_after_a_return_patience_is_taken_anew(tmp_path: Path) -> None:
    guard = CollapseGuard(patience=2, recover=True)
    with pytest.warns(UserWarning, match="return 1 of 3"):
        train(spots_gan(), 20, [guard, Measure(CALM, BAD, BAD, BAD, CALM)], tmp_path)
    assert guard.rollbacks == 1


def test_a_curve_of_the_rate_goes_on_from_the_eased_rate(tmp_path: Path) -> None:
    guard = CollapseGuard(patience=1, recover=True)
    gan = spots_gan(learning_rate=LinearCurve(1, 0, 160))
    with pytest.warns(UserWarning, match="going on"):
        train(gan, 11, [guard, Measure(CALM, BAD)], tmp_path)
    assert rates(gan) == pytest.approx([1e-4 / 2 * (1 - 80 / 160)] * 2)


def test_an_alarm_of_the_last_validation_names_the_checkpoint_to_take(tmp_path: Path) -> None:
    guard = CollapseGuard(patience=1, recover=True)
    message = r"after|After 64 images .*, and the training is over: .*healthy\.ckpt holds the state"
    with pytest.warns(UserWarning, match=message):
        gan = train(spots_gan(), 8, [guard, Measure(CALM, BAD)], tmp_path)
    assert rates(gan) == [1e-4, 1e-4]


def test_a_checkpoint_that_has_gone_is_missed_in_one_sentence(tmp_path: Path) -> None:
    class Remove(Callback):
        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            (tmp_path / "checkpoints" / "healthy.ckpt").unlink(missing_ok=True)

    guard = CollapseGuard(patience=1, recover=True, max_rollbacks=1)
    with pytest.warns(UserWarning, match=r"there is no .*healthy\.ckpt to go back to"):
        gan = train(spots_gan(), 10, [guard, Measure(CALM, BAD), Remove()], tmp_path)
    assert rates(gan) == [1e-4, 1e-4]


# --------------------------------------------------------------------------- what is not finite


@pytest.mark.parametrize("at", [2, 9])
def test_a_loss_that_is_not_finite_is_survived(at: int, tmp_path: Path) -> None:
    guard, measure = CollapseGuard(recover=True), Measure()
    callbacks = [guard, StopOnDivergence(1), measure, LastCheckpoint(1e-9)]
    back = 0 if at == 2 else 64
    message = (
        rf"^After {8 * at + 8} images a loss is not finite: going on from the state after {back} "
    )
    with pytest.warns(UserWarning, match=message):
        gan = train(spots_gan([Spoil([at])]), 20, callbacks, tmp_path)
    assert gan.progress.batches == 20
    assert measure.missing == []
    assert all(bool(torch.isfinite(value).all()) for value in weights(gan).values())
    assert rates(gan) == [5e-5, 5e-5]


def test_a_loss_that_stays_infinite_ends_the_training_after_all_returns(tmp_path: Path) -> None:
    guard = CollapseGuard(recover=True, max_rollbacks=2)
    callbacks = [guard, StopOnDivergence(1), Measure()]
    gan = spots_gan([Spoil(list(range(6, 20)))])
    with (
        pytest.raises(DivergenceError, match="loss is not finite after 72 images"),
        pytest.warns(UserWarning, match=r"return [12] of 2"),
    ):
        train(gan, 20, callbacks, tmp_path)
    assert guard.rollbacks == 2


def test_without_recovery_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    callbacks = [CollapseGuard(), StopOnDivergence(1), Measure()]
    with pytest.raises(DivergenceError, match="loss is not finite after 56 images"):
        train(spots_gan([Spoil([6])]), 20, callbacks, tmp_path)


def test_a_weight_that_is_not_finite_is_named_by_the_validation(tmp_path: Path) -> None:
    guard = CollapseGuard(patience=5)
    with pytest.warns(UserWarning, match=r"^After 32 images a weight is not finite\.$") as caught:
        gan = train(spots_gan([Spoil([2])]), 12, [guard, Balance()], tmp_path)
    assert len(said(caught)) == 1
    assert float(gan.trainer.callback_metrics["collapse/diverged"]) == 1
    assert not (tmp_path / "checkpoints").exists()


def test_a_sample_that_is_not_finite_ends_the_training_all_the_same(tmp_path: Path) -> None:
    class Broken(Spots):
        all_finite = False

        def read_splits(self) -> dict[str, Split]:
            splits = super().read_splits()
            self.spoilt = splits["train"].images
            return splits

        def train_dataloader(self) -> Any:
            self.spoilt[self.spoilt.argmax() // 2] = torch.nan
            return super().train_dataloader()

    gan = spots_gan(max_images=400)
    guard = CollapseGuard(recover=True)
    trainer = quiet_trainer(tmp_path, callbacks=[guard, StopOnDivergence(4)], log_every_n_steps=4)
    with (
        pytest.raises(DivergenceError, match="A sample among the last 4 batches"),
        pytest.warns(UserWarning, match="a loss is not finite"),
    ):
        trainer.fit(gan, Broken(8))


def test_it_must_look_before_the_training_is_ended() -> None:
    callbacks = [StopOnDivergence(), CollapseGuard(recover=True)]
    with pytest.raises(ConfigurationError, match="list CollapseGuard before it"):
        quiet_trainer(callbacks=callbacks).fit(points_gan(max_images=8), Spots(8))
    quiet_trainer(callbacks=[StopOnDivergence(), CollapseGuard()]).fit(
        points_gan(max_images=8), Spots(8)
    )


# ------------------------------------------------------------------------------------- resuming


class Kill(Callback):
    """Sends SIGTERM in the batch after so many."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.progress.batches == self.batches:
            os.kill(os.getpid(), signal.SIGTERM)


def watched(*more: Callback) -> list[Callback]:
    guard = CollapseGuard(recover=True)
    return [Collapse(9), *more, guard, StopOnDivergence(1), Balance(), Measure(), LastCheckpoint()]


@pytest.mark.parametrize("kills", [(4, 9, 13, 17), (10, 16), (5, 6, 14, 18)])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(
    kills: tuple[int, ...], tmp_path: Path
) -> None:
    """It collapses after batch 9, is seen after 12 and 16, and goes back to 8; NaN comes at 21."""

    def run(folder: str, *kills: int) -> dict[str, Any]:
        place = tmp_path / folder
        path = place / "checkpoints" / "last.ckpt"
        for batches in kills:
            again = {"ckpt_path": path} if path.exists() else {}
            with pytest.raises(Interrupted):
                train(spots_gan([Spoil([21])]), 26, watched(Kill(batches)), place, **again)
        again = {"ckpt_path": path} if path.exists() else {}
        train(spots_gan([Spoil([21])]), 26, watched(), place, **again)
        guard = torch.load(path, weights_only=True)["callbacks"]["CollapseGuard"]
        return bits(path) | {"guard": guard}

    with pytest.warns(UserWarning, match="going on from the state after"):
        straight, killed = run("straight"), run("killed", *kills)
    assert differences(straight, killed) == []
    assert straight["guard"]["rollbacks"] == 2


def test_a_return_that_was_decided_before_a_kill_is_made_after_it(tmp_path: Path) -> None:
    class Save(Checkpoint):
        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            trainer.save_checkpoint(tmp_path / "decided.ckpt")

    def callbacks(*more: Callback) -> list[Callback]:
        return [CollapseGuard(patience=1, recover=True), Measure(CALM, BAD), *more]

    with pytest.warns(UserWarning, match="the training is over"):
        train(spots_gan(), 8, callbacks(Save()), tmp_path)
    resumed = callbacks()
    resumed[1].scripted.clear()  # type: ignore[attr-defined]
    with pytest.warns(UserWarning, match="going on from the state after 32 images"):
        gan = train(spots_gan(), 9, resumed, tmp_path, ckpt_path=tmp_path / "decided.ckpt")
    assert rates(gan) == [5e-5, 5e-5]


def test_the_healthiest_state_can_be_gone_on_from(tmp_path: Path) -> None:
    straight = train(spots_gan(), 14, [], tmp_path)
    train(spots_gan(), 12, [CollapseGuard(), Measure()], tmp_path)
    path, resumed = tmp_path / "checkpoints" / "healthy.ckpt", spots_gan()
    assert batches_of(healthy(tmp_path)) == 12
    train(resumed, 14, [CollapseGuard(), Measure()], tmp_path / "on", ckpt_path=path)
    assert distance(weights(resumed), weights(straight)) == 0


def test_a_run_in_another_folder_begins_a_new_record(tmp_path: Path) -> None:
    callbacks = [CollapseGuard(recover=True), Measure(), LastCheckpoint()]
    train(spots_gan([Spoil([11])]), 10, callbacks, tmp_path / "a")
    last = tmp_path / "a" / "checkpoints" / "last.ckpt"
    callbacks = [CollapseGuard(recover=True), Measure(), LastCheckpoint()]
    with pytest.warns(UserWarning, match="going on from the state after 80 images"):
        train(spots_gan([Spoil([11])]), 14, callbacks, tmp_path / "b", ckpt_path=last)


def test_a_state_of_updates_that_were_lost_is_not_returned_to(tmp_path: Path) -> None:
    class Saves(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if pl_module.progress.batches == 6:
                trainer.save_checkpoint(tmp_path / "early.ckpt")

    train(spots_gan(), 16, [CollapseGuard(recover=True), Measure(), Saves()], tmp_path)
    assert batches_of(healthy(tmp_path)) == 16
    callbacks = [CollapseGuard(recover=True), Measure()]
    early, gan = tmp_path / "early.ckpt", spots_gan([Spoil([6])])
    gan.allow_changes = True
    with (
        pytest.warns(UserWarning, match=r"healthy\.ckpt is of more images than the 48"),
        pytest.warns(UserWarning, match="going on from the state after 48 images"),
    ):
        train(gan, 7, callbacks, tmp_path, ckpt_path=early)
