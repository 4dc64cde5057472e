"""The commands of docs/cluster.md are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lightning_gan.__main__ import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8").replace("\\\n", "")
SBATCH = [shlex.split(line) for line in re.findall(r"^sbatch .*", TEXT, flags=re.MULTILINE)]
SCRIPT = "scripts/slurm/train.sbatch"


@pytest.mark.parametrize("command", SBATCH, ids=" ".join)
def test_the_options_of_a_job_are_those_of_fit(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = command[command.index(SCRIPT) + 1 :]
    assert main(["fit", *options, "--print_config"]) == 0, capsys.readouterr().err
    assert "class_path: lightning_gan" in capsys.readouterr().out


def test_a_job_has_a_task_for_each_gpu() -> None:
    sizes = [dict(word.split("=") for word in c[1 : c.index(SCRIPT)]) for c in SBATCH]
    assert any(
        size.get("--ntasks-per-node") == size.get("--gpus-per-node") == "8" for size in sizes
    )


def test_the_variables_and_files_of_the_page_are_those_of_the_code() -> None:
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "lightning_gan").rglob("*.py"))
    for name in ("LIGHTNING_GAN_CACHE", "run.lock", "WANDB_PROJECT", "WANDB_RUN_GROUP"):
        assert name in TEXT
        assert f'"{name}"' in code
