"""``lightning-gan predict``: samples from a checkpoint, which needs neither data nor recipe."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tqdm.auto import tqdm

from lightning_gan.basics.images import grid, save_png, scatter, to_uint8
from lightning_gan.cli.plain import (
    PlainParser,
    checkpoint_in,
    device_called,
    import_modules,
    usual_device,
)
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN, load


def _parser() -> argparse.ArgumentParser:
    parser = PlainParser("lightning-gan predict", description=__doc__)
    parser.add_argument(
        "--ckpt_path",
        type=Path,
        required=True,
        help="a checkpoint, or the folder of a run, whose newest last.ckpt is taken",
    )
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module with parts of your own that the checkpoint names; may be repeated",
    )
    parser.add_argument("--n", type=int, default=64, help="number of samples (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents (default: 0)")
    parser.add_argument("--class", type=int, dest="label", help="class index, where there are any")
    parser.add_argument("--truncation", type=float, help="largest entry of a latent")
    parser.add_argument("--output", type=Path, default=Path("samples"), help="folder to write to")
    parser.add_argument("--device", default=usual_device(), help="where to compute")
    return parser


def predict(arguments: list[str]) -> None:
    """Writes samples as numbered PNG files, and a grid of them; points as a CSV file and a plot.

    Raises:
        ConfigurationError: If an option makes no sense.
        WeightsError: If the checkpoint cannot be read.
    """
    options = _parser().parse_args(arguments)
    if options.n < 1:
        raise ConfigurationError(f"--n={options.n} must be at least 1.")
    import_modules(options.modules, "predict")
    gan = load(checkpoint_in(options.ckpt_path), device_called(options.device))
    samples = gan.sample(
        options.n, _labels(gan, options.label, options.n), options.seed, options.truncation
    )
    samples = samples.float().cpu()
    if options.output.exists() and not options.output.is_dir():
        raise ConfigurationError(f"--output {options.output} is a file: give a folder.")
    options.output.mkdir(parents=True, exist_ok=True)
    picture = options.output / "grid.png"
    if samples.ndim == 2:
        lines = [",".join(f"{value:.6g}" for value in point) for point in samples.tolist()]
        (options.output / "points.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        save_png(scatter(samples), picture)
    else:
        for index, image in enumerate(tqdm(to_uint8(samples), "writing", unit="png")):
            save_png(image.expand(3, -1, -1), options.output / f"{index:06d}.png")
        save_png(grid(samples[:400], columns=max(int(min(options.n, 400) ** 0.5), 1)), picture)
    print(f"{options.n} samples of {gan.progress.images:,} images' training: {picture}")


def _labels(gan: GAN, label: int | None, count: int) -> torch.Tensor | None:
    classes = gan.generator.num_classes
    if label is None:
        return None
    if not 0 <= label < classes:
        what = f"knows classes 0 to {classes - 1}" if classes else "was trained without classes"
        raise ConfigurationError(f"--class={label}: this generator {what}.")
    return torch.full((count,), label)
