"""The torture script: killed runs leave the same bits, and it notices when they do not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from scripts.traces import differences, disturbances

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "torture.py"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@pytest.fixture
def torture(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import torture

    yield torture
    del sys.modules["torture"]


@pytest.mark.weekly
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without it")
def test_killed_runs_leave_what_the_undisturbed_ones_leave(tmp_path: Path) -> None:
    """One of points, one of digits by the Trainer's own schedule, in short."""
    pytest.importorskip("tensorboard")
    table = tmp_path / "table.md"
    words = ["--runs", "2", "--kinds", "unrolled_ring", "dcgan_digits", "--kills", "3"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words, "--seed", "4", "--table", str(table)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("2 runs, 0 different\n")
    text = table.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| \w+ \| 1 \| (\d) \|.*\| yes \|$", text, re.MULTILINE)
    assert [number for number, _ in rows] == ["1", "2"]
    assert sum(int(kills) for _, kills in rows) > 0


def test_a_single_bit_is_a_difference() -> None:
    weights = torch.zeros(3)
    one: dict[str, object] = {"weights": torch.zeros(3), "steps": [1, 2.0], "none": None}
    other = {"weights": weights, "steps": [1, 2.0], "none": None}
    assert differences(one, other) == []
    weights.view(torch.int32)[0] ^= 1
    assert differences(one, other)[0].startswith("/weights")
    assert differences(one, {"weights": torch.zeros(3)})
    assert differences(torch.zeros(3), torch.zeros(3, dtype=torch.float64))
    assert differences(torch.zeros(3), None)
    assert differences([1, 2], [1])


def test_what_wandb_has_lost_is_no_difference_and_a_second_value_is() -> None:
    undisturbed = {"W&B": {"loss at 8": [1.0], "loss at 16": [2.0]}, "samples": {}}
    assert disturbances(undisturbed, {"W&B": {"loss at 16": [2.0]}, "samples": {}}) == []
    twice = {"W&B": {"loss at 16": [2.0, 2.5]}, "samples": {}}
    assert disturbances(undisturbed, twice) == ["/W&B/loss at 16: 1 and 2"]
    assert disturbances(undisturbed, {"W&B": {}, "samples": {"a.png": "1"}})


def test_a_process_kills_itself_within_the_write_that_was_chosen(
    torture: ModuleType, tmp_path: Path
) -> None:
    child = os.fork()
    if child == 0:
        executioner = torture.Executioner(torture.Doom("a write", 0, file="run.json"))
        executioner.is_near = True
        opened = executioner.opener(open)
        with opened(tmp_path / "metrics.csv", "w") as file:
            file.write("whole")
        with opened(tmp_path / "run.json", "w") as file:
            file.write("halved")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert (tmp_path / "metrics.csv").read_text() == "whole"
    assert (tmp_path / "run.json").read_text() == "hal"


def test_a_run_that_differs_is_named_and_ends_the_script_with_1(
    torture: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torture, "Training", lambda *arguments: None)
    monkeypatch.setattr(torture, "finish", lambda training: (0.0, 0.0))
    monkeypatch.setattr(torture, "disturb", lambda *arguments: "")
    monkeypatch.setattr(torture, "let_die", lambda *arguments: "")
    ends = {"run_2": torch.ones(1)}

    def result(folder: Path) -> dict[str, object]:
        return {"weights": ends.get(folder.name, torch.zeros(1)), "W&B": {}}

    monkeypatch.setattr(torture, "result", result)
    for name in ("LIGHTNING_GAN_CACHE", "WANDB_SILENT", "WANDB_CONSOLE"):
        monkeypatch.setenv(name, "unused")
    assert torture.main(["--runs", "3", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "**2 of 3 runs**" in said
    assert re.search(r"^\| 2 \|.*\| NO /weights", said, re.MULTILINE)
    assert said.endswith("3 runs, 1 different\n")


def test_a_run_that_fails_says_why(torture: ModuleType, tmp_path: Path) -> None:
    run = torture.Run(1, "mlp_ring", 1)

    def fail(*arguments: object) -> None:
        raise TimeoutError("no end after 900 s")

    torture.torture(run, tmp_path, fail, 1, 0)
    assert not run.equal
    assert "TimeoutError: no end after 900 s" in run.row()


def test_the_table_in_the_documentation_says_that_all_were_equal() -> None:
    text = (ROOT / "docs" / "torture.md").read_text(encoding="utf-8")
    equal, runs = re.search(r"\*\*(\d+) of (\d+) runs\*\*", text).groups()  # type: ignore[union-attr]
    assert equal == runs
    assert len(re.findall(r"\| yes \|$", text, re.MULTILINE)) == int(runs)
