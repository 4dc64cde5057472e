"""The benchmark of the Frechet distance, at a size that takes no time."""

from __future__ import annotations

import sys

import pytest
from benchmarks.metrics import Known, cases, compare, memory


@pytest.mark.parametrize("known", cases(64), ids=lambda known: known.name)
def test_what_is_known_of_a_case_is_right_and_ours_errs_less(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_gan.metrics.frechet.LARGE", 16)  # as with 2048 features
    found = compare(known, rounds=2)
    assert found["ours_error"] < (2e-6 if known.name == "singular" else 1e-9)
    assert found["ours_error"] < 1.5 * found["torchmetrics_error"] + 1e-13
    assert found["ratio"]["n"] == 2


@pytest.mark.weekly
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is asked of Linux")
def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    few, many = (memory(200, count)["mb"] for count in (1_000, 20_000))
    assert 0 < many < few + 20
