"""The commands of docs/data.md are run as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_gan.__main__ import main
from lightning_gan.datamodules.listing import find_pictures

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
COMMANDS = "".join(re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL)).splitlines()
SHORT = (
    "--model.max_images 64 --trainer.accelerator cpu --trainer.limit_val_batches 0 "
    "--trainer.enable_progress_bar false --data.batch_size 8 --model.generator.width 4 "
    "--model.discriminator.width 4"
)


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A little of what the page speaks of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    numbers = np.random.default_rng(0)
    for folder, count in {"pictures/cats": 10, "pictures/dogs": 10, "drawn": 30}.items():
        Path(folder).mkdir(parents=True)
        for number in range(count):
            pixels = numbers.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(f"{folder}/{number}.png")
    scans = numbers.integers(-1000, 401, (20, 5, 32, 32), dtype=np.int16)
    np.savez("scans.npz", images=scans, labels=np.arange(20) % 2)
    np.save("spectra.npy", numbers.random((20, 2), dtype=np.float32))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command: str) -> None:
    words = shlex.split(command)[1:]
    if "pictures.zip" in words:
        shutil.make_archive("pictures", "zip", "pictures")
    if words[0] == "fit":
        words += SHORT.split()
    else:
        words += ["--measures", "[frechet]"]
    assert main(words) == 0


def test_the_sentence_of_the_page_is_what_is_said() -> None:
    Path("pictures/dogs/1.heic").touch()
    Path("pictures/cows").symlink_to(Path("drawn").absolute())
    (shown,) = re.findall(r"```text\n(.*?)```", TEXT, flags=re.DOTALL)
    said, shown = (
        re.sub(r"[\d,]*\d", "N", " ".join(text.split()))
        for text in (str(find_pictures(Path("pictures"))), shown)
    )
    assert said == shown.replace(", hens N", "")
