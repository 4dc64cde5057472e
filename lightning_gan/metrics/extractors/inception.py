"""The network behind the FID of the papers, from a file that the user supplies."""

import hashlib
import os
import pickle
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_gan.basics.cache import cache_folder, written_whole
from lightning_gan.basics.images import to_uint8
from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.metrics.extractors.base import FeatureExtractor, to_channels

FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
DIGEST_PREFIX = "6726825d"  # start of the file's SHA-256, as its name says
VARIABLE = "LIGHTNING_GAN_INCEPTION"


class Inception(FeatureExtractor):
    """Inception of 2015-12-05, pool3 (2048 numbers): ``fid/inception`` is the FID of the papers.

    Images are rounded to uint8, grey repeated to three channels, resized to 299 by TensorFlow 1's
    bilinear rule and scaled by (x - 128) / 128 (Heusel et al. 2017). Needs the extra
    ``lightning-gan[inception]`` and the weights, which are not bundled (91 MB).

    Args:
        weights: Path of the weights; by default the environment variable
            LIGHTNING_GAN_INCEPTION, then the cache folder.
        allow_download: Whether a missing file may be fetched from torch-fidelity's release.

    Raises:
        WeightsError: If the file is missing, is another file, or holds more than tensors.
        ConfigurationError: If torch-fidelity is not installed.
    """

    name = "inception"
    num_features = 2048
    resizing = "bilinear to 299 as in TensorFlow 1, of rounded uint8"

    def __init__(
        self, weights: str | os.PathLike[str] | None = None, allow_download: bool = False
    ) -> None:
        super().__init__()
        path = _locate(weights, allow_download)
        _check(path)
        self.network = _build(path)
        self.freeze()

    def extract(self, images: Tensor) -> Tensor:
        """Features (N, 2048) of the last pooling."""
        pixels = to_uint8(to_channels(images, 3))
        return self.network(pixels)[0]


def _locate(weights: str | os.PathLike[str] | None, allow_download: bool) -> Path:
    given = weights if weights is not None else os.environ.get(VARIABLE)
    path = Path(given).expanduser() if given else cache_folder() / FILE
    if path.is_file():
        return path
    if allow_download:
        return _download(path)
    raise WeightsError(
        f"The Inception weights {path} are missing: fetch {URL} and give its path in the "
        f"environment variable {VARIABLE} or as Inception(weights=...)."
    )


def _download(path: Path) -> Path:
    """Fetches the file, and gives it its name once it is checked."""
    try:
        with written_whole(path) as part:
            with urllib.request.urlopen(URL, timeout=30) as response, part.open("wb") as file:
                shutil.copyfileobj(response, file)
            _check(part)
    except OSError as error:
        raise WeightsError(
            f"The Inception weights could not be fetched ({error}): fetch {URL} elsewhere and "
            f"give its path in the environment variable {VARIABLE}."
        ) from error
    return path


def _check(path: Path) -> None:
    """Refuses any other file, and any pickle that would run code."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(DIGEST_PREFIX):
        raise WeightsError(
            f"{path} is not the Inception file of 2015-12-05 (SHA-256 {digest[:8]}... instead of "
            f"{DIGEST_PREFIX}...): fetch {URL} again."
        )
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise WeightsError(
            f"{path} holds more than tensors and is not opened: fetch {URL} again."
        ) from error


def _build(path: Path) -> Any:  # noqa: ANN401 (torch-fidelity is not typed)
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ConfigurationError(
            "The Inception network comes with torch-fidelity, which is not installed: "
            "pip install 'lightning-gan[inception]'."
        ) from error
    return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(path))
