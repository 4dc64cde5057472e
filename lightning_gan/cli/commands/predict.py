"""``lightning-gan predict``: samples from a checkpoint, which needs neither data nor recipe."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from lightning_gan.basics.images import grid, save_png, scatter, to_uint8
from lightning_gan.cli.functions import device_called, import_modules
from lightning_gan.errors import ConfigurationError, at_least, check_range
from lightning_gan.gan import GAN

GRID = "grid.png"
POINTS, ARRAY = "points.csv", "samples.npy"
"""What is written beside the samples, and instead of them."""
IN_GRID = 400
"""Samples that the grid shows at most."""


def predict(
    *,
    ckpt_path: Path,
    n: int = 64,
    seed: int = 0,
    label: int | None = None,
    truncation: float | None = None,
    psi: float | None = None,
    output: Path = Path("samples"),
    device: str | None = None,
    modules: Sequence[str] = (),
) -> None:
    """Draws samples from a checkpoint: numbered PNG files and a grid, or points as a CSV file.

    Images of channels that no PNG file has become an array (n, C, H, W) in [-1, 1], samples.npy.

    Args:
        ckpt_path: A checkpoint, or the folder of a run, whose newest last.ckpt is taken.
        n: Number of samples.
        seed: Seed of the latents.
        label: Class index, where there are classes; drawn where left out.
        truncation: Largest entry of a latent.
        psi: What is left of a style's distance from the average style, where there are styles.
        output: Folder to write to.
        device: Where to compute; the first GPU where there is one.
        modules: A module with parts of your own that the checkpoint names; may be repeated.

    Raises:
        ConfigurationError: If an option makes no sense.
        WeightsError: If the checkpoint cannot be read.
    """
    check_range("predict", at_least(1), n=n)
    if output.exists() and not output.is_dir():
        raise ConfigurationError(f"--output {output} is a file: give a folder.")
    import_modules(modules)
    gan = GAN.load_from_checkpoint(ckpt_path, device_called(device))
    samples = gan.sample(n, _labels(gan, label, n), seed, truncation, psi).float().cpu()
    output.mkdir(parents=True, exist_ok=True)
    picture = output / GRID
    if samples.ndim == 2:
        lines = [",".join(f"{value:.6g}" for value in point) for point in samples.tolist()]
        (output / POINTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
        save_png(scatter(samples), picture)
    else:
        if samples.shape[1] in (1, 3, 4):
            for index, image in enumerate(tqdm(to_uint8(samples), "writing", unit="png")):
                colours = image.expand(3, -1, -1) if len(image) == 1 else image
                save_png(colours, output / f"{index:06d}.png")
        else:
            np.save(output / ARRAY, samples.numpy())
        save_png(grid(samples[:IN_GRID], columns=max(int(min(n, IN_GRID) ** 0.5), 1)), picture)
    sys.stdout.write(f"{n} samples of {gan.progress.images:,} images' training: {picture}\n")


def _labels(gan: GAN, label: int | None, count: int) -> Tensor | None:
    classes = gan.generator.num_classes
    if label is None:
        return None
    if not 0 <= label < classes:
        what = f"knows classes 0 to {classes - 1}" if classes else "was trained without classes"
        raise ConfigurationError(f"--class={label}: this generator {what}.")
    return torch.full((count,), label)
