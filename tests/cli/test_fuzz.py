"""The fuzzing script: wrong inputs end in a sentence, and it notices when they do not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "fuzz.py"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import fuzz

    yield fuzz
    del sys.modules["fuzz"]


@pytest.mark.weekly
def test_wrong_inputs_end_in_a_sentence(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    seed = os.environ.get("LIGHTNING_GAN_FUZZ_SEED", "5000")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--inputs", "60", "--seed", seed, "--table", str(table)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert done.stdout.endswith("60 inputs, 0 at fault\n")
    *_, whole = [line for line in table.read_text().splitlines() if line.startswith("| all")]
    inputs, worked, refused, faults, _, _ = whole.strip("| ").split(" | ")[1:]
    assert (int(inputs), int(faults)) == (60, 0)
    assert int(refused) > 10  # the inputs are wrong
    assert int(worked) > 0


@pytest.mark.parametrize(
    ("code", "text", "wrong", "memory", "fault"),
    [
        (0, "Trained on 32 images.\n", False, 0, ""),
        (2, "lightning-gan: error: --n must be at least 1.\n", True, 0, ""),
        (0, "Trained on 32 images.\n", True, 0, "wrong, but taken"),
        (None, "a line\n", False, 0, "endless; last: ['a line']"),
        (2, "lightning-gan: error: One.\nlightning-gan: error: Two.\n", False, 0, "exit code 2, 2"),
        (2, "", False, 0, "exit code 2, 0 sentences"),
        (1, "lightning-gan: error: One.\n", False, 0, "exit code 1, 1 sentences"),
        (2, "lightning-gan: error: Got <class 'int'>.\n", False, 0, "no sentence"),
        (
            0,
            "Traceback (most recent call last):\nKeyError: 3\n",
            False,
            0,
            "traceback: KeyError: 3",
        ),
        (0, "\x1b[2J\n", False, 0, "terminal escapes"),
        (0, "", False, 3 * 2**30, "3.0 GB of memory"),
    ],
)
def test_what_counts_as_a_fault(
    fuzz: ModuleType, code: int | None, text: str, wrong: bool, memory: int, fault: str
) -> None:
    judged = fuzz.judged(code, text, wrong, memory)
    assert judged.startswith(fault) if fault else judged == ""


def test_what_lay_there_and_has_gone_is_named(fuzz: ModuleType, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "last.ckpt").write_bytes(b"weights")
    (here / "metrics.csv").write_text("step\n")
    (tmp_path / fuzz.BEFORE).write_text(fuzz.json.dumps(fuzz.lying(here)))
    (here / "metrics.csv").write_text("step\n1\n")
    assert fuzz.lost(tmp_path) == ""
    (here / "last.ckpt").write_bytes(b"")
    assert fuzz.lost(tmp_path) == "lost or changed: last.ckpt"


def test_a_seed_draws_the_same_input_again(fuzz: ModuleType) -> None:
    import fuzz_inputs

    first, again = (fuzz_inputs.part_option(random.Random(7)) for _ in range(2))
    assert first.run == again.run
    assert first.run[0] == "fit"
