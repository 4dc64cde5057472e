"""Ctrl-C and SIGTERM: the run says what to do, and goes on later as if nothing had been."""

from __future__ import annotations

import csv
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

FIT = "fit --config mlp_ring --data.batch_size 32 --trainer.log_every_n_steps 10"
QUIET = "--trainer.enable_progress_bar false --trainer.accelerator cpu"
PATIENCE = 120
"""Seconds to wait for a process; far more than it takes on a quiet machine."""


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    arguments = [*FIT.split(), *QUIET.split(), "--trainer.default_root_dir", str(folder), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "lightning_gan", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
    )


def wait_for_training(process: subprocess.Popen[str], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (folder / "version_0" / "metrics.csv").is_file():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def end(process: subprocess.Popen[str], seconds: float = PATIENCE) -> tuple[int, str]:
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, output


def saved_images(folder: Path) -> int:
    checkpoint = torch.load(folder / "version_0/checkpoints/last.ckpt", weights_only=True)
    images: int = checkpoint["lightning_gan"]["progress"]["images"]
    return images


def logged_images(folder: Path) -> list[int]:
    with (folder / "version_0" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["loss/generator"]]
    return [int(row["progress/images"]) for row in rows]


def go_on(folder: Path, before: list[int], *options: str) -> None:
    """Resumes in the same folder; the curve goes on where it was cut, and nothing is lost."""
    images = saved_images(folder)
    budget = ("--model.max_images", str(images + 3200), "--ckpt_path", "last")
    code, output = end(start(folder, *budget, *options))
    assert code == 0, output
    assert [path.name for path in folder.iterdir()] == ["version_0"]
    after = logged_images(folder)
    assert after[: len(before)] == before
    assert after == sorted(set(after))
    assert after[-1] <= saved_images(folder)
    assert images + 3200 <= saved_images(folder)
    steps = {b - a for a, b in itertools.pairwise(after)}
    assert len(steps) == 1  # no batch was lost or repeated at the cut


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.weekly)],
)
def test_a_stopped_run_leaves_a_checkpoint_and_goes_on(
    run: Path, number: signal.Signals, code: int
) -> None:
    process = start(run)
    wait_for_training(process, run)
    process.send_signal(number)
    exit_code, output = end(process)
    assert exit_code == code, output
    assert f"Stopped by {number.name} after" in output
    assert "--ckpt_path last" in output
    assert "Traceback" not in output
    assert (run / "version_0" / "curves.png").stat().st_size > 10_000
    before = logged_images(run)
    assert saved_images(run) >= before[-1]
    go_on(run, before)


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without it")
@pytest.mark.parametrize(
    ("number", "group", "code"),
    [
        pytest.param(signal.SIGTERM, False, 143, id="kill", marks=pytest.mark.weekly),
        pytest.param(signal.SIGTERM, True, 143, id="kill the group", marks=pytest.mark.weekly),
        pytest.param(signal.SIGINT, True, 130, id="ctrl-c"),
    ],
)
def test_two_processes_stop_together_within_half_a_minute(
    run: Path, number: signal.Signals, group: bool, code: int
) -> None:
    two = ("--trainer.devices", "2")
    process = start(run, *two)
    wait_for_training(process, run)
    if group:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    exit_code, output = end(process, seconds=30)
    assert exit_code == code, output
    assert output.count("Stopped by") == 1
    assert "Traceback" not in output
    before = logged_images(run)
    if number == signal.SIGTERM and group:
        go_on(run, before, *two)
    else:
        assert saved_images(run) >= before[-1]
