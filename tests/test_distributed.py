"""Two processes compute what one does on the joined batch, under both strategies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from distributed_worker import BATCH, BATCHES, CONFIGURATIONS, train, watch
from tiny import distance
from torch import nn

from lightning_gan.strategy import on_all_processes, share_buffers

HERE = Path(__file__).resolve().parent
STRATEGIES = ["gan_ddp", "ddp_find_unused_parameters_true"]
SECONDS = 200
"""What a group of processes may take before it counts as hanging."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed"),
]


@pytest.fixture(scope="module", params=STRATEGIES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """What the two processes ended with, and the folder that they wrote to."""
    folder = tmp_path_factory.mktemp("distributed")
    environment = os.environ | {
        "PYTHONPATH": str(HERE.parent),
        "OMP_NUM_THREADS": "1",
        "LIGHTNING_GAN_CACHE": str(folder / "cache"),
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "distributed_worker.py"), request.param, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "sync_dist" not in done.stderr
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2))
    return first, second, folder


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_two_processes_end_with_the_weights_of_one(
    name: str, both: tuple[dict[str, Any], dict[str, Any], Path]
) -> None:
    first, second, _ = both
    alone = train(name, {}, 1)
    assert distance(first[name]["weights"], second[name]["weights"]) == 0
    assert distance(first[name]["weights"], alone["weights"]) < 1e-10
    for counted in ("progress", "global_step"):
        assert first[name][counted] == second[name][counted] == alone[counted]
    assert alone["progress"]["images"] == BATCH * BATCHES


@pytest.mark.parametrize("part", ["held out", "frechet", "modes", "training", "test"])
def test_callbacks_say_on_two_processes_what_they_say_on_one(
    part: str, both: tuple[dict[str, Any], dict[str, Any], Path], tmp_path: Path
) -> None:
    first, second, _ = both
    alone = watch(tmp_path, {}, 1)[part]
    assert alone
    for values in (first["watched"][part], second["watched"][part]):
        assert values == pytest.approx(alone, rel=1e-9, abs=1e-12, nan_ok=True)


def test_pictures_and_checkpoints_are_written_once_and_as_one_process_does(
    both: tuple[dict[str, Any], dict[str, Any], Path], tmp_path: Path
) -> None:
    folder = both[2]
    watch(tmp_path, {}, 1)
    for name in ("0000000000.png", "0000000200.png"):
        ours, theirs = (path / "samples" / name for path in (folder, tmp_path))
        assert ours.read_bytes() == theirs.read_bytes()
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["lightning_gan"]["progress"]["images"] == 200


def test_evaluation_sees_the_same_statistics_of_batch_norm_on_all_processes(
    both: tuple[dict[str, Any], dict[str, Any], Path],
) -> None:
    first, second, _ = both
    assert distance(first["statistics"], second["statistics"]) == 0
    assert any(float(value.abs().sum()) > 0 for value in first["statistics"].values())


def test_alone_there_is_nothing_to_share() -> None:
    assert on_all_processes(3, torch.device("cpu")) == [3]
    share_buffers(nn.BatchNorm1d(2))
