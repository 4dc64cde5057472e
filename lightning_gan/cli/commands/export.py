"""``lightning-gan export``: a trained generator for others, in a format of their own."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_gan.cli.functions import import_modules
from lightning_gan.exports import export as exports
from lightning_gan.exports.export import Format


def export(
    checkpoint: Path,
    *,
    to: Format = "safetensors",
    output: Path = Path("export"),
    with_discriminator: bool = False,
    half: bool = False,
    license: str = "unknown",
    modules: Sequence[str] = (),
) -> None:
    """Writes the averaged generator of a checkpoint, its configuration and a model card.

    Safetensors are weights, which other commands read; torch and onnx are graphs that need nothing
    of this package and make any number of samples.

    Args:
        checkpoint: A checkpoint, or the folder of a run, whose newest last.ckpt is taken.
        to: The format.
        output: Folder to write to; a new one, or that of an export.
        with_discriminator: Whether the discriminator is written too.
        half: Whether weights are float16.
        license: Identifier of the licence for the card, such as apache-2.0.
        modules: A module with parts of your own that the checkpoint names; may be repeated.

    Raises:
        ConfigurationError: If an option makes no sense, or a network cannot be written so.
        WeightsError: If the checkpoint cannot be read.
    """
    import_modules(modules)
    folder = exports.export(checkpoint, output, to, with_discriminator, half, license)
    for path in sorted(folder.iterdir()):
        sys.stdout.write(f"{path.stat().st_size:>12,} bytes  {path}\n")
