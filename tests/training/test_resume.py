"""Training N batches, stopping, and training N more ends in the bits of training 2N at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from resuming import BATCH, EPOCH, bits, differences, with_scaler
from tiny import Pictures, Points, picture_gan, points_gan, quiet_trainer

from lightning_gan.augment import InstanceNoise
from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.datamodules import Split
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPGenerator
from lightning_gan.objectives import NonSaturating, Wasserstein
from lightning_gan.regularizers import R1, GradientPenalty
from lightning_gan.training.schedule import LinearCurve, PerBatch, Phases

CHAINS = [(5, 8, 13, 20), (8, 11, 16, 20)]
"""Batches after which a run stops: within an epoch, at its end, after a resume from one."""


# ------------------------------------------------------------------- what moves while it trains


def over_phases() -> GAN:
    return points_gan(alternation=Phases(1, 1))


def over_long_phases() -> GAN:
    return points_gan(alternation=Phases(2, 1), ema_half_life=50, ema_rampup=1)


def over_curves() -> GAN:
    return points_gan(
        NonSaturating(0.9),
        [R1(LinearCurve(1, 0.1, 150), every=3)],
        augmentation=InstanceNoise(LinearCurve(0.5, 0, 120)),
        learning_rate=LinearCurve(1, 0, 200),
        num_classes=3,
    )


def over_pieces() -> GAN:
    return points_gan(accumulate=3, gradient_clip=0.1, alternation=PerBatch(3, 2))


def over_rounds() -> GAN:
    return picture_gan(Wasserstein(), [GradientPenalty()], alternation=PerBatch(5))


def over_running_statistics() -> GAN:
    torch.manual_seed(3)
    return points_gan(generator=MLPGenerator(2, 0, width=8, batch_norm=True))


MAKERS: list[Callable[[], GAN]] = [
    over_phases,
    over_long_phases,
    over_curves,
    over_pieces,
    over_rounds,
    over_running_statistics,
]


class Small(Points):
    """Points of which eight batches make an epoch."""

    def read_splits(self) -> dict[str, Split]:
        splits = super().read_splits()
        train = Split(*(tensor[: BATCH * EPOCH] for tensor in splits["train"]))
        return splits | {"train": train}


def train(
    make: Callable[[], GAN], folder: Path, batches: int, resume: bool = False, **arguments: Any
) -> Path:
    """Trains until so many batches have been seen in all; returns the checkpoint."""
    gan = make()
    if not {"max_steps", "max_epochs"} & arguments.keys():
        gan.max_images = batches * BATCH
    path = folder / "checkpoints" / "last.ckpt"
    trainer = quiet_trainer(folder, callbacks=[LastCheckpoint()], **arguments)
    data = Pictures(BATCH) if gan.generator.image_size else Small(BATCH)
    trainer.fit(gan, data, ckpt_path=path if resume else None, weights_only=True)
    assert gan.progress.batches == batches
    return path


@pytest.mark.parametrize("chain", CHAINS, ids=["from within", "from the end"])
@pytest.mark.parametrize("make", MAKERS)
def test_whatever_moves_while_it_trains_goes_on_bit_for_bit(
    make: Callable[[], GAN], chain: tuple[int, ...], tmp_path: Path
) -> None:
    straight = bits(train(make, tmp_path / "straight", chain[-1]))
    for number, batches in enumerate(chain):
        stopped = train(make, tmp_path / "stopped", batches, resume=number > 0)
    assert differences(straight, bits(stopped)) == []


def test_the_scale_of_half_precision_goes_on_bit_for_bit(tmp_path: Path) -> None:
    chain = CHAINS[0]
    straight = bits(train(over_pieces, tmp_path / "a", chain[-1], plugins=with_scaler()))
    for number, batches in enumerate(chain):
        stopped = train(over_pieces, tmp_path / "b", batches, number > 0, plugins=with_scaler())
    assert differences(straight, bits(stopped)) == []
    assert straight["MixedPrecision"]["scale"] != 4


@pytest.mark.parametrize("make", [over_phases, over_long_phases])
def test_phases_do_not_slip_where_the_budget_is_in_epochs(
    make: Callable[[], GAN], tmp_path: Path
) -> None:
    straight = bits(train(make, tmp_path / "straight", 6 * EPOCH, max_epochs=6))
    for number, epochs in enumerate((1, 3, 4, 6)):
        stopped = train(
            make, tmp_path / "stopped", epochs * EPOCH, resume=number > 0, max_epochs=epochs
        )
    assert differences(straight, bits(stopped)) == []


def test_phases_do_not_slip_where_the_budget_is_in_steps(tmp_path: Path) -> None:
    # the generator moves in epochs 1 and 3, so that its 4th and 8th step halve and end an epoch
    arguments: dict[str, Any] = {"max_epochs": -1}
    straight = bits(train(over_phases, tmp_path / "a", 4 * EPOCH, max_steps=16, **arguments))
    for number, (steps, batches) in enumerate(((4, 12), (8, 16), (12, 28), (16, 32))):
        stopped = train(
            over_phases, tmp_path / "b", batches, number > 0, max_steps=steps, **arguments
        )
    assert differences(straight, bits(stopped)) == []
    assert straight["position"] == {"epoch": 3, "position": EPOCH}


@pytest.mark.parametrize("chain", CHAINS, ids=["from within", "from the end"])
def test_a_budget_in_steps_loses_no_batch(chain: tuple[int, ...], tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"max_epochs": -1}
    straight = bits(train(over_curves, tmp_path / "a", 20, max_steps=20, **arguments))
    for number, steps in enumerate(chain):
        stopped = train(
            over_curves, tmp_path / "b", steps, number > 0, max_steps=steps, **arguments
        )
    assert differences(straight, bits(stopped)) == []


def test_shortened_epochs_go_on_bit_for_bit(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"limit_train_batches": 3}
    straight = bits(train(over_phases, tmp_path / "a", 11, **arguments))
    for number, batches in enumerate((3, 5, 6, 8, 11)):
        stopped = train(over_phases, tmp_path / "b", batches, number > 0, **arguments)
    assert differences(straight, bits(stopped)) == []


def test_differences_sees_a_single_bit(tmp_path: Path) -> None:
    path = train(over_curves, tmp_path, 3)
    one, other = bits(path), bits(path)
    assert differences(one, other) == []
    name = next(iter(other["state_dict"]))
    other["state_dict"][name].view(torch.int32)[0, 0] ^= 1
    (found,) = differences(one, other)
    assert found.startswith(f"/state_dict/{name}")


# ----------------------------------------------------------------------------------- processes


def test_going_on_with_another_batch_works_where_it_is_allowed(tmp_path: Path) -> None:
    path = train(over_curves, tmp_path, 3)
    gan = over_curves()
    gan.max_images = 3 * BATCH + 4 * 2 * BATCH
    gan.allow_changes = True
    quiet_trainer(tmp_path).fit(gan, Small(2 * BATCH), ckpt_path=path, weights_only=True)
    assert gan.changes == {"global_batch_size": [BATCH, 2 * BATCH]}
    assert gan.progress.batches == 7


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without it")
def test_two_processes_go_on_bit_for_bit_and_one_after_them_without_a_word(tmp_path: Path) -> None:
    fit = "fit --config mlp_ring --trainer.limit_val_batches 0"
    small = "--model.generator.width 8 --model.discriminator.width 8"
    quiet = "--trainer.enable_progress_bar false --trainer.accelerator cpu"

    def run(folder: str, batches: int, devices: int) -> tuple[Path, str]:
        budget = f"--model.max_images {batches * 64} --trainer.devices {devices} "
        budget += f"--data.batch_size {64 // devices}"
        place = f"--trainer.default_root_dir {folder} --ckpt_path last"
        words = f"{fit} {small} {quiet} {budget} {place}".split()
        done = subprocess.run(
            [sys.executable, "-m", "lightning_gan", *words],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return tmp_path / folder / "version_0" / "checkpoints" / "last.ckpt", done.stderr

    straight, _ = run("straight", 60, 2)
    run("stopped", 25, 2)
    stopped, said = run("stopped", 60, 2)
    assert differences(bits(straight), bits(stopped)) == []
    assert "bit for bit" not in said
    alone, said = run("stopped", 70, 1)
    assert "bit for bit" not in said
    progress = bits(alone)["lightning_gan"]["progress"]
    assert progress["images"] == 70 * 64


def test_double_precision_goes_on_and_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    options: dict[str, Any] = {"precision": "64-true"}
    chain = CHAINS[0]
    straight = bits(train(over_curves, tmp_path / "a", chain[-1], **options))
    for number, batches in enumerate(chain):
        stopped = train(over_curves, tmp_path / "b", batches, number > 0, **options)
    assert differences(straight, bits(stopped)) == []
    saved = torch.load(stopped, weights_only=True)["state_dict"]
    assert saved["generator_ema.layers.0.weight"].dtype == torch.float64
    loaded = GAN.load_from_checkpoint(stopped).state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in saved.items())
