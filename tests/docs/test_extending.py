"""The examples of docs/extending.md are run as they stand there."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_gan.__main__ import main
from lightning_gan.callbacks import Evaluation
from lightning_gan.cli import training

TEXT = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
(SHELL,) = re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL)
SHORT = (
    "--model.max_images 512 --trainer.accelerator cpu --trainer.limit_val_batches 1 "
    "--trainer.enable_progress_bar false"
)


@pytest.fixture
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    monkeypatch.delitem(sys.modules, "exponential", raising=False)


@pytest.mark.usefixtures("_own_folder")
def test_an_objective_from_outside_is_trained_explained_and_sampled(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("exponential.py").write_text(PYTHON[0], encoding="utf-8")
    fit, explain, predict = (shlex.split(line) for line in SHELL.splitlines())
    monkeypatch.setattr(training.CLI, "after_fit", lambda self: None)
    assert main([*fit[1:], *SHORT.split()]) == 0, capsys.readouterr().err
    config = Path("runs/mlp_ring/version_0/config.yaml").read_text(encoding="utf-8")
    assert "class_path: exponential.Exponential" in config
    assert "largest: 5" in config
    assert main(explain[1:]) == 0
    assert "Judges logits by the exponential loss" in capsys.readouterr().out
    assert main(predict[1:]) == 0
    assert Path("runs/mlp_ring/version_0/predict/seed_0/grid.png").is_file()


@pytest.mark.usefixtures("_own_folder")
def test_a_module_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "mlp_ring", "--model.objective", "nowhere.Loss"]) == 2
    assert "--model.objective: No module named 'nowhere'" in capsys.readouterr().err
    assert main(["predict", "--ckpt_path", "x.ckpt", "--import", "nowhere"]) == 2
    assert "--import nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("source", [PYTHON[1], PYTHON[3]], ids=["penalty", "loop"])
def test_the_other_examples_run(source: str) -> None:
    names: dict[str, object] = {}
    exec(compile(source.replace("range(100)", "range(5)"), "extending.md", "exec"), names)
    assert "LogitDecay" in names or names["loss"].detach() > 0  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_own_folder")
def test_plain_modules_train_on_a_tensor_and_load_as_the_page_says() -> None:
    names: dict[str, Any] = {"Evaluation": Evaluation}
    quick = 'accelerator="cpu", enable_progress_bar=False, callbacks=[Evaluation(num_samples=50)]'
    assert "batch_size=32)" in PYTHON[2]
    exec(PYTHON[2].replace("batch_size=32)", f"batch_size=32, {quick})"), names)
    (loading,) = re.findall(r"`(lightning_gan\.load\(.*)`", TEXT)
    loaded = eval(loading, names)
    assert loaded.progress.images == 640
    assert torch.equal(loaded.sample(3), names["gan"].sample(3))
