"""The commands and loaders of docs/export.md are run, the loaders without this package."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import lightning_gan
from lightning_gan.__main__ import main
from lightning_gan.callbacks import Evaluation
from lightning_gan.datamodules import Digits
from lightning_gan.gan import GAN
from lightning_gan.networks import DCGANDiscriminator, DCGANGenerator
from lightning_gan.objectives import NonSaturating

TEXT = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
LOADERS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in block.splitlines()
]
SHORT = (
    "--model.max_images 128 --trainer.accelerator cpu --trainer.limit_val_batches 0 "
    "--trainer.enable_progress_bar false --model.generator.width 4 --model.discriminator.width 4"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short run of dcgan_digits."""
    root = tmp_path_factory.mktemp("exports")
    sizes = {"channels": 1, "image_size": 28, "width": 4}
    gan = GAN(DCGANGenerator(**sizes), DCGANDiscriminator(**sizes), NonSaturating(), max_images=128)
    few = [Evaluation(num_samples=50, cache_dir=str(root / "cache"))]
    options = {"accelerator": "cpu", "enable_progress_bar": False, "limit_val_batches": 1}
    lightning_gan.fit(gan, Digits(), root / "runs" / "dcgan_digits", callbacks=few, **options)
    return root


def export(form: str) -> None:
    """Runs the page's command of that format, and its loader where the package cannot be found."""
    (command,) = [c for c in COMMANDS if c[0] == "export" and (form in c)]
    assert main(command) == 0
    (loader,) = [source for source in LOADERS if f"digits_{form}" in source]
    assert len([line for line in loader.splitlines() if line and "import" not in line]) <= 10
    check = "import sys; assert 'lightning_gan' not in sys.modules; print(tuple(images.shape))"
    command = [sys.executable, "-W", "ignore", "-c", loader + check]
    path = [place for place in sys.path if not (Path(place or ".") / "lightning_gan").is_dir()]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(path), "OMP_NUM_THREADS": "1"},
    )
    assert ran.stdout.split("\n")[0] == "(16, 1, 28, 28)", ran.stderr


def test_the_loader_of_a_torch_program_needs_nothing_of_this_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    export("torch")


def test_the_loader_of_an_onnx_file_needs_nothing_of_this_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="the extra [export] is not installed")
    monkeypatch.chdir(folder)
    export("onnx")


def test_other_commands_read_the_safetensors_form(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    (plain,) = [c for c in COMMANDS if c[0] == "export" and "--to" not in c]
    assert main(plain) == 0
    assert 'license: "apache-2.0"' in Path("digits/README.md").read_text(encoding="utf-8")
    drawn, measured, begun, predict, fit = [c for c in COMMANDS if c[0] != "export"]
    assert main(predict) == 0
    assert len([*Path("digits/predict").glob("*/0*.png")]) == 16
    with pytest.warns(UserWarning, match="holds no discriminator, which starts anew"):
        assert main([*fit, *SHORT.split()]) == 0, capsys.readouterr().err
    few = ["--model.max_images", "32", "--trainer.limit_val_batches", "0"]
    for words in drawn, measured, [*begun, *few]:
        assert main(words) == 0, capsys.readouterr().err
    assert len([*Path("predict/rpgan_digits").glob("*/0*.png")]) == 16
