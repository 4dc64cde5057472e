"""What judges a training judges alike on one process and on several, and all of them act."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from guard_worker import everything
from tiny import distance

HERE = Path(__file__).resolve().parents[1]
SECONDS = 600
"""What a group of processes may take before it counts as hanging."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed"),
    pytest.mark.filterwarnings("ignore:After .* images"),  # what the guard says is tested elsewhere
]


def launch(folder: Path, processes: int) -> tuple[list[dict[str, Any]], str]:
    """What each of several processes ended with, and what they said."""
    done = subprocess.run(
        [sys.executable, str(HERE / "guard_worker.py"), str(folder), str(processes)],
        env=os.environ | {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ends = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(processes)]
    return ends, done.stderr


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes ended with."""
    found, said = launch(tmp_path_factory.mktemp("two"), 2)
    # once by rank zero in a training; the same again is not repeated
    assert said.count("3 of the 4 modes that were covered are lost (missing: north") == 1
    assert said.count("a loss is not finite: going on from the state after 160 images") == 1
    return found


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What three processes ended with."""
    return launch(tmp_path_factory.mktemp("three"), 3)[0]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process ends with."""
    return everything(tmp_path_factory.mktemp("alone"), 1)


@pytest.mark.parametrize("case", ["uneven", "nothing for some", "relative"])
def test_the_held_out_balance_does_not_depend_on_the_number_of_processes(
    case: str, two: list[dict[str, Any]], three: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    expected = alone["held out"][case]
    assert {"auc", "auc_sd", "d_gap_train_val", "n"} <= expected.keys()
    for several in (two, three):
        for found in several:
            close = pytest.approx(expected, rel=1e-12, abs=1e-12)
            assert found["held out"][case] == close
            assert found["held out"][case] == several[0]["held out"][case]


@pytest.mark.parametrize("case", ["guarded", "spoilt on one"])
def test_all_processes_go_back_together_and_end_as_one_does(
    case: str, two: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    expected = alone[case]
    assert expected["rollbacks"] == 2
    assert expected["missing"] == []
    for found in two:
        assert distance(found[case]["weights"], two[0][case]["weights"]) == 0
        assert distance(found[case]["weights"], expected["weights"]) < 1e-10
        for name in ("rates", "rollbacks", "missing", "logged", "progress"):
            assert found[case][name] == expected[name], name


def test_all_processes_stop_at_the_equilibrium_together(
    two: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    for found in (*two, alone):
        assert (found["stopped"]["streak"], found["stopped"]["batches"]) == (2, 8)
        assert distance(found["stopped"]["weights"], alone["stopped"]["weights"]) < 1e-10
