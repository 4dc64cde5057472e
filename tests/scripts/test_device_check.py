"""The check of a GPU: its logic, tried on a CPU at sizes that say nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import device_check
import pytest
import torch


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["device_check.py", *words])
    device_check.main()


def test_a_machine_without_a_gpu_is_told_so_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    results = tmp_path / "results.jsonl"
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "--results", str(results))
    assert end.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["This machine has no GPU that PyTorch can use: nothing was checked."]
    assert not results.exists()


def test_all_parts_together_take_at_most_eight_minutes() -> None:
    assert device_check.LIMITS.keys() == device_check.PARTS.keys()
    assert sum(device_check.LIMITS.values()) <= 480


def test_the_tests_that_need_a_gpu_are_found() -> None:
    assert "tests/training/test_cuda.py" in device_check.test_files()


@pytest.mark.parametrize("family", device_check.FAMILIES.values(), ids=device_check.FAMILIES)
def test_every_family_is_built_at_both_sizes(family: device_check.Family) -> None:
    small, usual = (family.make("cpu", tiny) for tiny in (True, False))
    sizes = [sum(weight.numel() for weight in gan.parameters()) for gan in (small, usual)]
    assert 5 * sizes[0] < sizes[1]
    assert small.generator.sample_shape == usual.generator.sample_shape


@pytest.mark.slow
def test_results_are_written_as_they_come_and_a_part_that_is_late_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    monkeypatch.setitem(device_check.LIMITS, "tests", 0.1)
    for part in ("throughput", "compiled"):
        monkeypatch.setitem(device_check.LIMITS, part, 600)  # for a busy machine
    parts = ["--parts", "tests", "throughput", "compiled", "--families", "DCGAN 28", "R3GAN small"]
    run(monkeypatch, "--device", "cpu", "--quick", *parts, "--results", str(results))
    lines: list[dict[str, Any]] = device_check.lines_of(results)
    assert lines[0]["part"] == "start"
    ends = {line["part"]: line["outcome"] for line in lines if line.get("what") == "end"}
    assert ends == dict.fromkeys(("throughput", "compiled"), "exit code 0") | {
        "tests": "its time was over"
    }
    cells = [line for line in lines if "images_a_second" in line]
    assert len(cells) == 2 * 2 * len(device_check.QUICK_BATCHES)
    assert all(cell["ok"] and cell["images_a_second"]["median"] > 0 for cell in cells)
    assert "| DCGAN 28 | 4 |" in device_check.recorded_table(results)
