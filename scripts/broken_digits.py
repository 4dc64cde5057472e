"""Trains dcgan_digits with what is wrong on purpose, whose curves must leave the expected bands.

    python scripts/broken_digits.py      # eight minutes of CPU

`results/curves/broken` keeps the curves: of a rate twenty times the recipe's, and of training
without the digit 5, whose samples are measured against all digits.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from checkout import ROOT
from run_recipes import write_curve

from lightning_gan.cli import program
from lightning_gan.datamodules import Digits
from lightning_gan.datamodules.base import Split
from lightning_gan.datamodules.memory import Samples, TrainingBatches

KEPT = ROOT / "results" / "curves" / "broken"
MISSING = 5


class DigitsWithoutFive(Digits):
    """The digits, of which training sees all but the fives."""

    def train_dataloader(self) -> TrainingBatches:
        """As the digits have it, without the fives."""
        images, labels = self.split("train")
        kept = labels != MISSING
        samples = Samples(Split(images[kept], labels[kept]), torch.device("cpu"))
        return TrainingBatches(samples, self.batch_size, seed=self.seed)


BROKEN = {"rate": ["--lr", "2e-2"], "without_five": ["--data", "broken_digits.DigitsWithoutFive"]}


def main() -> None:
    """Trains both and keeps their curves."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for name, words in BROKEN.items():
        if (KEPT / f"{name}.csv").exists():
            continue
        with TemporaryDirectory() as folder:
            fit = ["fit", "--config", "dcgan_digits", "--trainer.default_root_dir", folder]
            program.run([*fit, "--seed_everything", "0", *words])
            (version,) = Path(folder).glob("version_*")
            write_curve(version / "metrics.csv", KEPT / f"{name}.csv")


if __name__ == "__main__":
    sys.modules["broken_digits"] = sys.modules["__main__"]
    torch.set_num_threads(1)
    main()
