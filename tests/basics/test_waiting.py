"""How threads wait is chosen once, before torch, from what runs on the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_gan.basics import waiting

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the system's files, of 2 cores where nobody else runs, before torch."""
    for name in (*waiting.settings(), *waiting.SETTINGS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(waiting, "_cores", lambda: 2)
    monkeypatch.setattr(waiting, "_chosen", "")
    for name in ("LOADAVG", "QUOTA", "PAIRED"):
        monkeypatch.setattr(waiting, name, tmp_path / name)
    running(tmp_path, 0)
    yield tmp_path
    os.environ.pop(waiting.VARIABLE, None)


def running(machine: Path, others: int) -> None:
    (machine / "LOADAVG").write_text(f"9.00 9.00 9.00 {others + 1}/150 4242\n")


def chosen() -> str | None:
    waiting.choose_waiting()
    return os.environ.get(waiting.VARIABLE)


def test_threads_spin_where_the_cores_are_free_whatever_ran_before(machine: Path) -> None:
    assert chosen() is None
    assert waiting.waiting() == "spinning: the cores were free"
    assert waiting.may_spin()


def test_threads_sleep_where_another_program_runs(machine: Path) -> None:
    running(machine, 1)
    assert chosen() == "PASSIVE"
    assert waiting.waiting() == "sleeping: 1 others ran on 2 cores"
    assert not waiting.may_spin()


def test_a_core_that_is_shown_as_two_leaves_room_for_others(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(waiting, "_cores", lambda: 8)
    (machine / "PAIRED").write_text("1\n")
    running(machine, 4)
    assert chosen() is None
    running(machine, 5)
    assert chosen() == "PASSIVE"


def test_what_runs_on_the_cores_of_others_does_not_count(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    running(machine, 63)
    assert chosen() is None


def test_threads_sleep_where_a_container_has_less_time_than_threads(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "QUOTA").write_text("max 100000\n")
    assert chosen() is None
    (machine / "QUOTA").write_text("150000 100000\n")
    assert chosen() == "PASSIVE"
    assert waiting.waiting() == "sleeping: 2 threads have the time of 1.5 cores"


def test_without_the_files_of_linux_the_load_of_the_last_minute_counts(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "LOADAVG").unlink()
    monkeypatch.setattr(os, "getloadavg", lambda: (0.3, 5.0, 5.0))
    assert chosen() is None
    monkeypatch.setattr(os, "getloadavg", lambda: (1.2, 0.0, 0.0))
    assert chosen() == "PASSIVE"


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"])
def test_a_users_own_settings_win(
    name: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(machine, 3)
    monkeypatch.setenv(name, "1")
    waiting.choose_waiting()
    assert waiting.settings() == {name: "1"}
    assert waiting.waiting() == f"{name}=1"


def test_nothing_is_changed_after_torch(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running(machine, 3)
    monkeypatch.setitem(sys.modules, "torch", os)
    assert chosen() is None
    assert waiting.waiting() == ""


PROGRAM = """
import sys, os
from importlib.abc import MetaPathFinder
from pathlib import Path
from lightning_gan.__main__ import main
from lightning_gan.basics import waiting

class Look(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print("at the import of torch:", os.environ.get("OMP_WAIT_POLICY"))

sys.meta_path.insert(0, Look())
waiting.LOADAVG = Path("loadavg")
waiting._cores = os.cpu_count
code = main(sys.argv[1:])
import torch
print("threads:", torch.get_num_threads(), os.cpu_count())
sys.exit(code)
"""
RUN = ["fit", "--config", "mlp_ring", "--model.max_images", "512"]
RUN += ["--trainer.limit_val_batches", "0"]


def test_the_program_chooses_before_torch_and_writes_it_down(tmp_path: Path) -> None:
    (tmp_path / "loadavg").write_text(f"9.00 9.00 9.00 {1 + (os.cpu_count() or 1)}/150 4242\n")
    environment = {k: x for k, x in os.environ.items() if not k.startswith(waiting.SETTINGS)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *RUN],
        env=environment | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "at the import of torch: PASSIVE" in done.stdout
    record = json.loads((tmp_path / "runs/mlp_ring/version_0/run.json").read_text())
    (segment,) = record["segments"]
    assert segment["waiting"].startswith("sleeping: ")
    assert f"threads: {segment['threads']} " in done.stdout
