"""``lightning-gan predict``: samples from a checkpoint, which needs neither data nor recipe."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor
from tqdm.auto import tqdm

from lightning_gan.basics.images import grid, save_png, to_uint8
from lightning_gan.basics.texts import printable
from lightning_gan.basics.version import versions
from lightning_gan.checkpoints.files import called, checkpoint_in
from lightning_gan.checkpoints.pretrained import PREFIX
from lightning_gan.cli.functions import device_called, import_modules
from lightning_gan.errors import ConfigurationError, WeightsError, at_least, at_most, check_range
from lightning_gan.gan import GAN
from lightning_gan.runs.drawing import scatter
from lightning_gan.runs.drawn import ARRAY, GRID, POINTS, Files, picture_name, replaced
from lightning_gan.training.sampling import Sampling, class_indices

IN_GRID, IN_SCATTER = 400, 100_000
"""Samples that the picture of all shows at most: images, points."""
MOST = 10**12
"""Samples that can be asked for."""
FOLDER = "predict"
"""In the folder of a run: what was drawn from it."""


def predict(
    *,
    ckpt_path: Path | None = None,
    pretrained: str | None = None,
    n: int = 64,
    seed: int = 0,
    label: str | None = None,
    truncation: float | None = None,
    psi: float | None = None,
    output: Path | None = None,
    device: str | None = None,
    modules: Sequence[str] = (),
) -> None:
    """Draws samples from a checkpoint: numbered PNG files and a grid, or points as a CSV file.

    They take the place of those of an earlier call in the same folder, whole or not at all.
    Images of channels that no PNG file has become an array (n, C, H, W) in [-1, 1], samples.npy.

    Args:
        ckpt_path: A checkpoint, or the folder of a run, whose newest last.ckpt is taken.
        pretrained: In its place, a model that comes with the package, by the name of its recipe.
        n: Number of samples.
        seed: Seed of the latents.
        label: Class by name or number, where there are classes; drawn where left out.
        truncation: Largest entry of a latent.
        psi: What is left of a style's distance from the average style, where there are styles.
        output: Folder to write to; in the folder of the run, predict/seed_0 or the like, where left
            out, and predict/NAME/seed_0 for a pretrained model.
        device: Where to compute; the first GPU where there is one.
        modules: A module with parts of your own that the checkpoint names; may be repeated.

    Raises:
        ConfigurationError: If an option makes no sense, or the folder holds what predict has not
            written.
        WeightsError: If the checkpoint cannot be read, or its samples are not finite.
    """
    check_range("predict", at_least(1), at_most(MOST), n=n)
    if (ckpt_path is None) == (pretrained is None):
        raise ConfigurationError("predict: give either --ckpt_path FILE or --pretrained NAME.")
    sampling = Sampling(seed, truncation, psi)
    import_modules(modules)
    place = ckpt_path or f"{PREFIX}{pretrained}"
    checkpoint = checkpoint_in(place)
    gan = GAN.load_from_checkpoint(checkpoint, device_called(device))
    labels = class_indices(label, n, gan.generator.num_classes, gan.class_names)
    number = None if labels is None else int(labels[0])
    about = {
        "checkpoint": called(place),
        "images_seen": gan.progress.images,
        "count": n,
        "class": number,
        "seed": seed,
        "truncation": truncation,
        "psi": psi,
        "versions": versions(),
    }
    blocks = _finite(sampling.first(gan.generator_ema, gan.prior, n, labels), checkpoint)
    folder = output or _place(place, checkpoint) / _drawn_by(sampling, _class_name(gan, number))
    if gan.generator.image_size == 0:
        write, files = _write_points, Files(0, (POINTS, GRID))
    elif gan.generator.channels in (1, 3, 4):
        write, files = _write_pictures, Files(n, (GRID,))
    else:
        write, files = _write_array, Files(0, (ARRAY, GRID))
    with replaced(folder, files, about) as part, tqdm(total=n, disable=None, unit="sample") as bar:
        write(_counted(blocks, bar), n, part)
    sys.stdout.write(f"Drawn       {n:,} samples, after {gan.progress.images:,} images\n")
    sys.stdout.write(f"Pictures    {printable(str(folder / GRID))}\n")


def _place(asked: str | Path, checkpoint: Path) -> Path:
    """Where samples go: into the run of a checkpoint, but never into the package."""
    if str(asked).startswith(PREFIX):
        return Path(FOLDER) / str(asked).removeprefix(PREFIX)
    in_run = checkpoint.parent.name == "checkpoints"
    return (checkpoint.parent.parent if in_run else checkpoint.parent) / FOLDER


def _drawn_by(sampling: Sampling, label: str | None) -> str:
    """The name of a folder of samples: how they were drawn."""
    named = {
        "seed": sampling.seed,
        "class": label,
        "truncation": sampling.truncation,
        "psi": sampling.psi,
    }
    return "_".join(f"{key}_{value}" for key, value in named.items() if value is not None)


def _class_name(gan: GAN, number: int | None) -> str | None:
    """A class in the name of a folder: its own name where that is short and plain."""
    if number is None:
        return None
    name = gan.class_names[number] if number < len(gan.class_names) else ""
    return name if re.fullmatch(r"\w[\w-]{0,40}", name) else str(number)


def _finite(blocks: Iterable[Tensor], checkpoint: Path) -> Iterator[Tensor]:
    """The samples in float32 on the CPU.

    Raises:
        WeightsError: With the first that is NaN or infinite.
    """
    for block in blocks:
        samples = block.float().cpu()
        if not torch.isfinite(samples).all():
            raise WeightsError(
                f"The generator of {checkpoint} makes samples that are not finite, since its "
                "training has diverged: take another checkpoint of the run."
            )
        yield samples


def _counted(blocks: Iterable[Tensor], bar: "tqdm[None]") -> Iterator[Tensor]:
    for block in blocks:
        yield block
        bar.update(len(block))


def _write_pictures(blocks: Iterable[Tensor], count: int, folder: Path) -> None:
    """A picture of each image, and the grid of the first ones."""
    index, first = 0, []
    for block in blocks:
        if index < IN_GRID:
            first.append(block[: IN_GRID - index])
        for image in to_uint8(block):
            colours = image.expand(3, -1, -1) if len(image) == 1 else image
            save_png(colours, folder / picture_name(index))
            index += 1
    save_png(_grid(first), folder / GRID)


def _write_array(blocks: Iterable[Tensor], count: int, folder: Path) -> None:
    """All images in one array, and the grid of the first ones."""
    index, first, array = 0, [], None
    for block in blocks:
        if index < IN_GRID:
            first.append(block[: IN_GRID - index])
        if array is None:
            shape = (count, *block.shape[1:])
            array = open_memmap(folder / ARRAY, mode="w+", dtype=np.float32, shape=shape)
        array[index : index + len(block)] = block.numpy()
        index += len(block)
    save_png(_grid(first), folder / GRID)


def _grid(images: Sequence[Tensor]) -> Tensor:
    """About as many rows as columns of the first images."""
    shown = torch.cat([*images])
    return grid(shown, max(int(len(shown) ** 0.5), 1))


def _write_points(blocks: Iterable[Tensor], count: int, folder: Path) -> None:
    """A line of numbers for each point, and a picture of the first ones."""
    written, first = 0, []
    with (folder / POINTS).open("w", encoding="utf-8") as file:
        for block in blocks:
            if written < IN_SCATTER:
                first.append(block[: IN_SCATTER - written])
            for point in block.tolist():
                file.write(",".join(f"{value:.6g}" for value in point) + "\n")
            written += len(block)
    save_png(scatter(torch.cat(first)), folder / GRID)
