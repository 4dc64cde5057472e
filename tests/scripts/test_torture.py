"""The torture script: killed runs end in the same bits, and it notices when they do not."""

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


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without it")
def test_three_killed_runs_end_in_the_bits_of_the_undisturbed_ones(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    words = ["--runs", "3", "--kills", "2", "--seed", "4", "--table", str(table)]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("3 runs, 0 different\n")
    text = table.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| \w+ \| ([12]) \| (\d) \|.*\| yes \|$", text, re.MULTILINE)
    assert [(number, ranks) for number, ranks, _ in rows] == [("1", "1"), ("2", "1"), ("3", "2")]
    assert sum(int(kills) for _, _, kills in rows) > 0


def test_a_single_bit_is_a_difference(torture: ModuleType) -> None:
    weights = torch.zeros(3)
    one = {"weights": torch.zeros(3), "steps": [1, 2.0], "none": None}
    other = {"weights": weights, "steps": [1, 2.0], "none": None}
    assert torture.same(one, other)
    weights.view(torch.int32)[0] ^= 1
    assert not torture.same(one, other)
    assert not torture.same(one, {"weights": torch.zeros(3)})
    assert not torture.same(torch.zeros(3), torch.zeros(3, dtype=torch.float64))
    assert not torture.same([1, 2], [1])


def test_a_run_that_differs_is_named_and_ends_the_script_with_1(
    torture: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torture, "Training", lambda *arguments: None)
    monkeypatch.setattr(torture, "finish", lambda training: torture.Usual(0.0, 0.0))
    monkeypatch.setattr(torture, "disturb", lambda *arguments: None)
    ends = {"run_2": torch.ones(1)}
    monkeypatch.setattr(
        torture, "result", lambda folder: {"weights": ends.get(folder.name, torch.zeros(1))}
    )
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", "unused")
    assert torture.main(["--runs", "3", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "**2 of 3 runs**" in said
    assert re.search(r"^\| 2 \|.*\| NO +\|$", said, re.MULTILINE)
    assert said.endswith("3 runs, 1 different\n")


def test_a_run_that_fails_says_why(
    torture: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = torture.Run(1, "points", 1)

    def fail(*arguments: object) -> None:
        raise TimeoutError("no end after 120 s")

    monkeypatch.setattr(torture, "Training", fail)
    torture.torture(run, tmp_path, {}, torture.Usual(0.0, 0.0), 1, 0)
    assert not run.equal
    assert "TimeoutError: no end after 120 s" in run.row()


def test_the_table_in_the_documentation_says_that_all_were_equal() -> None:
    text = (ROOT / "docs" / "torture.md").read_text(encoding="utf-8")
    equal, runs = re.search(r"\*\*(\d+) of (\d+) runs\*\*", text).groups()  # type: ignore[union-attr]
    assert equal == runs
    assert len(re.findall(r"\| yes \|$", text, re.MULTILINE)) == int(runs)
