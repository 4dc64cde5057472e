"""Two runs in one place: each gets a folder of its own, and none writes into another's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_gan.callbacks.loggers import CSVCurve
from lightning_gan.checkpoints.files import read_checkpoint
from lightning_gan.cli import program, training

ROOT = Path(__file__).resolve().parents[2]
SMALL = "--model.generator.width 8 --model.discriminator.width 8 --data.batch_size 32"
QUIET = "--trainer.enable_progress_bar false --trainer.accelerator cpu"
FIT = ["fit", "--config", "mlp_ring", *f"{SMALL} {QUIET}".split()]
FIT += ["--trainer.limit_val_batches", "0", "--model.max_images"]
LAST = Path("runs/mlp_ring/version_0/checkpoints/last.ckpt")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    monkeypatch.setattr(training.CLI, "after_fit", lambda self: None)


def images(path: Path) -> int:
    seen: int = read_checkpoint(path)["lightning_gan"]["progress"]["images"]
    return seen


def test_runs_that_start_at_the_same_moment_get_folders_of_their_own(tmp_path: Path) -> None:
    starts = 8
    together = threading.Barrier(starts)
    curves = [CSVCurve(str(tmp_path)) for _ in range(starts)]

    def start(curve: CSVCurve) -> None:
        together.wait()
        assert isinstance(curve.version, int)

    threads = [threading.Thread(target=start, args=(curve,)) for curve in curves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(curve.version or 0) for curve in curves) == list(range(starts))


def test_a_number_that_was_just_taken_is_not_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version_0").mkdir()
    monkeypatch.setattr(CSVCurve.__mro__[1], "_get_next_version", lambda self: 0)
    assert CSVCurve(str(tmp_path)).version == 1


def test_a_place_where_no_folder_can_be_made_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert program.run([*FIT, "32", "--trainer.default_root_dir", "file"]) == 2
    assert "give another --trainer.default_root_dir" in capsys.readouterr().err


HOLDER = """
import sys
from pathlib import Path
from lightning_gan.runs.lock import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A living process that writes into the folder of a run."""
    assert program.run([*FIT, "64"]) == 0
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(LAST.parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_a_run_that_is_being_written_is_not_resumed_until_its_process_is_dead(
    holder: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    before = sorted(LAST.parents[1].rglob("*"))
    assert program.run([*FIT, "128", "--ckpt_path", "last", "--wandb", "offline"]) == 2
    assert sorted(LAST.parents[1].rglob("*")) == before, "W&B was not opened"
    said = capsys.readouterr().err
    assert f"is being written by process {holder.pid} on " in said
    assert images(LAST) == 64
    assert program.run([*FIT, "32"]) == 0  # a run of its own is welcome
    other = Path("runs/mlp_ring/version_1/checkpoints/last.ckpt")
    assert images(other) == 32
    shutil.rmtree(other.parents[1])
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (LAST.parents[1] / "run.lock").exists()
    assert program.run([*FIT, "128", "--ckpt_path", "last"]) == 0
    assert images(LAST) == 128
    assert not (LAST.parents[1] / "run.lock").exists()
