"""Finding and decoding picture files of any size and kind."""

import os
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lightning_gan.errors import DataError, said

ENDINGS = frozenset(
    ".avif .bmp .gif .jp2 .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()  # noqa: SIM905 - short
)
DECODING_ERRORS = (
    OSError,  # unknown or truncated
    SyntaxError,  # Pillow's for a broken PNG
    ValueError,
    EOFError,
    MemoryError,
    Image.DecompressionBombError,
)


class Picture(NamedTuple):
    """A file below a root, as a cache recognises it: relative path, size, time of change, class."""

    path: str
    size: int
    mtime: int
    folder: str


def find_pictures(root: Path) -> list[Picture]:
    """Lists the pictures directly in ``root``, or directly in its subfolders, by name.

    Hidden names are passed over, and so are links that lead out of ``root``.

    Raises:
        DataError: If ``root`` is missing or no folder, if there is no picture, or if there are
            pictures both directly in it and in subfolders.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"The picture folder '{root}' {what}: set root to a folder of pictures.")
    inside = root.resolve()
    direct = _pictures_in(root, inside, "")
    folders = [entry.name for entry in _entries(root, inside) if entry.is_dir()]
    nested = [picture for name in folders for picture in _pictures_in(root / name, inside, name)]
    if direct and nested:
        raise DataError(
            f"The folder '{root}' has pictures both directly in it ('{direct[0].path}') and in "
            f"subfolders ('{nested[0].path}'): move all of them into one subfolder for each class."
        )
    if not direct and not nested:
        raise DataError(
            f"There is no picture in '{root}': put some directly into it or into one subfolder for "
            "each class, not deeper and not as links that lead elsewhere."
        )
    return direct or nested


def decode(path: Path, image_size: int, channels: int) -> NDArray[np.uint8]:
    """Decodes a picture: turned as its EXIF data says, shorter side resized, centre cropped.

    Transparency is laid on white; an animation gives its first frame.

    Returns:
        Grey levels, uint8 ``(channels, image_size, image_size)``.

    Raises:
        DataError: If the file cannot be decoded, or would decode to more than twice
            ``PIL.Image.MAX_IMAGE_PIXELS`` pixels.
    """
    try:
        with Image.open(path) as file:
            image = _flat(ImageOps.exif_transpose(file)).convert("RGB" if channels == 3 else "L")
        size = (image_size, image_size)
        values = np.asarray(ImageOps.fit(image, size, Image.Resampling.BICUBIC))
    except DECODING_ERRORS as error:
        raise DataError(
            f"The picture '{path}' cannot be read ({said(error)}): repair or remove it."
        ) from error
    return values.transpose(2, 0, 1) if channels == 3 else values[None]


def _flat(image: Image.Image) -> Image.Image:
    """Reduces 16 bits a channel to 8, which Pillow would clip, and lays transparency on white."""
    if image.mode.startswith("I"):
        levels = np.asarray(image).clip(0, 65535) / 257
        return Image.fromarray(levels.round().astype(np.uint8))
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def _entries(folder: Path, inside: Path) -> list["os.DirEntry[str]"]:
    def stays(entry: "os.DirEntry[str]") -> bool:
        return not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(inside)

    with os.scandir(folder) as entries:
        shown = (entry for entry in entries if not entry.name.startswith((".", "__MACOSX")))
        return sorted((entry for entry in shown if stays(entry)), key=attrgetter("name"))


def _pictures_in(folder: Path, inside: Path, name: str) -> list[Picture]:
    found = []
    for entry in _entries(folder, inside):
        if Path(entry.name).suffix.lower() in ENDINGS and entry.is_file():
            stat = entry.stat()
            path = f"{name}/{entry.name}" if name else entry.name
            found.append(Picture(path, stat.st_size, stat.st_mtime_ns, name))
    return found
