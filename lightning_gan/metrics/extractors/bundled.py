"""The weights that ship with the package: their checksums, and how they are read."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor

from lightning_gan.errors import WeightsError

WEIGHTS_FOLDER = Path(__file__).resolve().parents[1] / "weights"

# SHA-256 of the bundled files, as scripts/train_extractors.py prints it.
WEIGHTS = {
    "digits_cnn": "a8acec5c6b7d1e2d3fea00abd52eb38dfe7e105aadae786b988033e411f5b530",
    "mnist_cnn": "59a690551fd203324c783382c4c14ad40a55d30cb62bd294c952897c2363477f",
    "cifar10_cnn": "cdbe6fc705a0d4606019af2f8dac35cb1428fbf80701bcdee0e73825637e88bc",
}


def load_bundled(name: str, folder: Path = WEIGHTS_FOLDER) -> dict[str, Tensor]:
    """The tensors of a bundled file, after its checksum was compared with the pinned one.

    Raises:
        WeightsError: If the file is missing or its SHA-256 differs from ``WEIGHTS``.
    """
    path = folder / f"{name}.safetensors"
    way_out = (
        "install the package again, or train it anew with "
        f"'python scripts/train_extractors.py {name} --root data'"
    )
    if not path.is_file():
        raise WeightsError(f"The bundled weights {path} are missing: {way_out}.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS[name]:
        raise WeightsError(
            f"The bundled weights {path} are damaged (SHA-256 {found[:12]}... instead of "
            f"{WEIGHTS[name][:12]}...): {way_out}."
        )
    return load(content)


def bundled_record(name: str, folder: Path = WEIGHTS_FOLDER) -> dict[str, str]:
    """How a bundled classifier was made: accuracy, seed, epochs, data, command, seconds.

    Raises:
        WeightsError: If the file is missing or cannot be read.
    """
    path = folder / f"{name}.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The bundled weights {path} cannot be read: {error}.") from error
