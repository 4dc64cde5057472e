"""Made-up files in the layouts that the data modules read."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_gan.datamodules import Samples, Split

WriteIdx = Callable[..., Path]


@pytest.fixture
def numbered() -> Callable[..., Samples]:
    """Pictures of 1 x 2 pixels whose label, and left pixel, is the number of the row."""

    def make(count: int) -> Samples:
        images = torch.zeros(count, 1, 1, 2, dtype=torch.uint8)
        images[:, 0, 0, 0] = torch.arange(count)
        return Samples(Split(images, torch.arange(count)))

    return make


@pytest.fixture
def write_idx(tmp_path: Path) -> WriteIdx:
    """Writes made-up pictures as MNIST's four files and returns the root."""

    def write(folder: str = "MNIST", train: int = 300, test: int = 70) -> Path:
        raw = tmp_path / folder / "raw"
        raw.mkdir(parents=True)
        numbers = np.random.default_rng(0)
        for part, count in (("train", train), ("t10k", test)):
            pixels = numbers.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels = (np.arange(count) % 10).astype(np.uint8)
            (raw / f"{part}-images-idx3-ubyte").write_bytes(
                struct.pack(">IIII", 0x803, count, 28, 28) + pixels.tobytes()
            )
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(
                struct.pack(">II", 0x801, count) + labels.tobytes()
            )
        return tmp_path

    return write


@pytest.fixture
def real_data() -> str:
    """The folder of real data, in torchvision's layout."""
    default = Path(__file__).parents[2] / "data"
    return os.environ.get("LIGHTNING_GAN_TEST_DATA", str(default))
