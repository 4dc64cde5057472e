"""A job that SLURM puts back into its queue ends as if nothing had been."""

from __future__ import annotations

import csv
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from cluster import PATIENCE, end, sbatch, slurm, srun
from tiny import distance

from lightning_gan.cli.program import run as main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no SIGUSR1"),
]

OPTIONS = (
    "--config mlp_ring --data.batch_size 32 --trainer.log_every_n_steps 10 "
    "--trainer.enable_progress_bar false --trainer.accelerator cpu --trainer.limit_val_batches 0 "
    "--model.generator.width 8 --model.discriminator.width 8 --ckpt_path last"
)


def options(images: int) -> list[str]:
    """The options of a job, the same before and after a requeue."""
    return [*OPTIONS.split(), "--model.max_images", str(images)]


def fit_two(folder: Path) -> list[str]:
    """The arguments of a job of two tasks, the same before and after a requeue."""
    two = ["--trainer.devices", "2", "--trainer.default_root_dir", str(folder)]
    return ["fit", *options(60 * 64), *two]


def one_after_the_other(*runs: list[str]) -> list[str]:
    """Python's arguments for several runs in one process, which starts faster than several."""
    calls = " or ".join(f"run({arguments!r})" for arguments in runs)
    return ["-c", f"import sys; from lightning_gan.cli.program import run; sys.exit({calls})"]


def last(folder: Path) -> dict[str, Any]:
    """The checkpoint of a run, the only one below its folder."""
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["version_0"]
    assert not list(folder.rglob("hpc_ckpt*"))
    path = folder / "version_0" / "checkpoints" / "last.ckpt"
    checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
    return checkpoint


def curve(run: Path) -> list[dict[str, str]]:
    """What was logged, but for the speed."""
    with (run / "version_0" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{n: v for n, v in row.items() if n != "progress/images_per_second"} for row in rows]


def check_the_same_end(run: Path, undisturbed: Path) -> None:
    """Weights, averages, optimizers and curve are what they would be without the stop."""
    ours, theirs = last(run), last(undisturbed)
    assert distance(ours["state_dict"], theirs["state_dict"]) == 0
    assert ours["lightning_gan"]["progress"] == theirs["lightning_gan"]["progress"]
    for one, other in zip(ours["optimizer_states"], theirs["optimizer_states"], strict=True):
        for index, state in one["state"].items():
            for name, value in state.items():
                assert torch.equal(value, other["state"][index][name])
    rows = zip(curve(run), curve(undisturbed), strict=True)
    # The row in which the stop falls is a mean over the batches after it alone.
    assert sum(ours != theirs for ours, theirs in rows) <= 1


@pytest.mark.weekly
def test_a_job_of_one_task_goes_on_after_a_requeue_as_if_nothing_had_been(tmp_path: Path) -> None:
    environment = slurm(tmp_path, 1)
    command = options(600 * 32)
    task = sbatch(tmp_path / "here", environment, *command)
    run = tmp_path / "here" / "runs" / "4242"
    deadline = time.monotonic() + PATIENCE
    while not (run / "version_0" / "metrics.csv").is_file():
        assert task.poll() is None, task.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    task.send_signal(signal.SIGUSR1)
    codes, output = end([task])
    assert codes == [75], output
    assert "Stopped by SIGUSR1 after" in output
    assert "job 4242 is back in SLURM's queue" in output
    assert "Traceback" not in output
    assert Path(environment["SCONTROL_LOG"]).read_text() == "requeue 4242\n"
    assert 0 < last(run)["lightning_gan"]["progress"]["batches"] < 600
    codes, output = end([sbatch(tmp_path / "here", environment, *command)])
    assert codes == [0], output
    undisturbed = tmp_path / "undisturbed"
    assert main(["fit", *command, "--trainer.default_root_dir", str(undisturbed)]) == 0
    check_the_same_end(run, undisturbed)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_a_job_of_two_tasks_goes_on_after_a_requeue_as_if_nothing_had_been(tmp_path: Path) -> None:
    environment = slurm(tmp_path, 2)
    run, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    send = "--trainer.callbacks+=preemption_worker.SendOnce"  # SIGUSR1 to rank 1 in batch 25
    codes, output = end(srun(environment, "-m", "lightning_gan", *fit_two(run), send))
    assert codes == [75, 75], output
    assert output.count("Stopped by SIGUSR1 after") == 1
    assert "Traceback" not in output
    assert Path(environment["SCONTROL_LOG"]).read_text() == "requeue 4242\n"
    assert last(run)["lightning_gan"]["progress"]["batches"] == 30
    both = one_after_the_other(fit_two(run), fit_two(undisturbed))
    codes, output = end(srun(environment, *both))
    assert codes == [0, 0], output
    check_the_same_end(run, undisturbed)
