"""Decoding picture files of any size and kind, with bounded memory."""

import functools
import math
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lightning_gan.basics.texts import printable
from lightning_gan.errors import DataError, said

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What is opened, whatever the content claims: Pillow runs Ghostscript on a PostScript file."""
LARGE = 2**24
"""Pixels from which on a JPEG is decoded at a fraction of its size, where that is enough."""
IN_FLIGHT = 2**26
"""Pixels that are decoded at the same time; a picture of more waits until it is alone."""
DEEPEST_DARK = 2**14 - 1
"""The largest value of 14 bits: pictures of 16 that hold no larger one may have a smaller range."""
QUARTER = 63
"""What remains of it where Pillow cuts 16 bits to 8."""
SIXTEEN = re.compile(";16[BLN]")
"""How Pillow calls colours of 16 bits each; "BGR;16" are all three in 16."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation that EXIF data can state."""
SIDEWAYS = {TURNS[number] for number in (5, 6, 7, 8)}
ORIENTATION = 0x0112
NOT_FINITE = "it holds values that are not finite"
MOST_NAMED = 20
"""Damaged pictures that an error names with their reasons."""

OpenFile = Callable[[], Path | BinaryIO]
Convert = Callable[[Image.Image], Image.Image]
Box = tuple[float, float, float, float]
Levels = tuple[float, float]
"""The values that become black and white."""


class UnreadableError(Exception):
    """A picture cannot be decoded; the message is the reason alone."""


def decode(
    file: OpenFile, size: tuple[int, int], channels: int, levels: Levels | None = None
) -> NDArray[np.uint8]:
    """Decodes a picture: shorter side resized, centre cropped, turned as its EXIF data says.

    Transparency is laid on white, unless there are four channels; an animation gives its first
    frame. Colour profiles are not applied.

    Args:
        file: Gives the picture; what it raises is what is wrong with it.
        size: Height and width in pixels.
        channels: 1 for grey, 3 for colour, 4 for colour and opacity.
        levels: The values of black and white in pictures of more than 8 bits; where None, those of
            16 bits, or 0 and 1 of floating point.

    Returns:
        Grey levels, uint8 ``(channels, *size)``.

    Raises:
        UnreadableError: If it cannot be decoded, would decode to more than twice
            ``PIL.Image.MAX_IMAGE_PIXELS`` pixels, or has values of an unknown range.
    """
    try:
        with Image.open(file(), formats=_formats()) as image:
            if image.width * image.height > LARGE:
                image.draft(None, (2 * max(size), 2 * max(size)))  # of a JPEG
            deep = any(SIXTEEN.search(_raw_mode(tile.args)) for tile in image.tile)
            with _room(image.width * image.height), closing(image):  # before the next one comes
                image.load()
                if image.mode.startswith(("I", "F")):
                    levels = levels or _range_of(image)
                elif deep:
                    _refuse_dark(image)
                convert = functools.partial(_converted, channels=channels, levels=levels)
                return _values(_fitted(image, size, convert), channels)
    except UnreadableError:
        raise
    except Exception as error:  # decoders raise whatever they come upon in a damaged file
        raise UnreadableError(_reason(error)) from error


def size_of(file: OpenFile) -> tuple[int, int]:
    """Height and width in pixels, by its header, of the picture that ``file`` gives.

    Raises:
        UnreadableError: If it is no picture.
    """
    try:
        with Image.open(file(), formats=_formats()) as image:
            return image.height, image.width
    except Exception as error:  # as in decode
        raise UnreadableError(_reason(error)) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Silences what Pillow warns of: large pictures, odd palettes, damaged EXIF data."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\..*")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def refuse_damaged(damaged: Mapping[str, str], mend: str = "") -> None:
    """Refuses pictures that cannot be read, all at once.

    Args:
        damaged: The reasons by path.
        mend: What else to do than to repair or remove them; may be empty.

    Raises:
        DataError: If there are any.
    """
    if not damaged:
        return
    named = [
        f"'{printable(path)}' cannot be read ({printable(reason)})"
        for path, reason in [*damaged.items()][:MOST_NAMED]
    ]
    rest = [printable(path) for path in damaged][MOST_NAMED:]
    named += [f"nor can {len(rest):,} more: {', '.join(rest)}"] if rest else []
    alone = len(damaged) == 1
    what, them = ("The picture", "it") if alone else (f"{len(damaged):,} pictures:", "them")
    raise DataError(f"{what} {', '.join(named)}: repair or remove {them}{mend}.")


def _reason(error: Exception) -> str:
    """Why a picture cannot be read, without its path."""
    if isinstance(error, UnidentifiedImageError):
        return "it is no picture of a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return said(error)


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of :data:`FORMATS` that Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


class Room:
    """Lets pictures in as long as their pixels together are few, or one alone.

    Args:
        pixels: How many at most.
    """

    def __init__(self, pixels: int) -> None:
        self._free = self._all = pixels
        self._changed = threading.Condition()

    @contextmanager
    def __call__(self, pixels: int) -> Iterator[None]:
        """Waits until there is room for so many."""
        taken = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()


_room = Room(IN_FLIGHT)


def _raw_mode(arguments: object) -> str:
    """What a decoder calls the values in a file, as in "RGB;16B"."""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _fitted(image: Image.Image, size: tuple[int, int], convert: Convert) -> Image.Image:
    """The middle of a picture in that size, converted and turned."""
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    height, width = size[::-1] if turn in SIDEWAYS else size
    shrunk, factor = _shrunk(image, max(size), convert)
    left, top, right, bottom = (end / factor for end in _middle(image, width / height))
    box = (left, top, right, bottom)
    small = shrunk.resize((width, height), Image.Resampling.BICUBIC, box)
    return small if turn is None else small.transpose(turn)


def _shrunk(image: Image.Image, side: int, convert: Convert) -> tuple[Image.Image, int]:
    """Converts a picture, a large one in bands that are averaged to three times the side or more.

    Returns:
        The picture, and how many pixels have become one in each direction.
    """
    factor = min(image.width, image.height) // (3 * side)
    if image.width * image.height <= LARGE or factor < 2:
        return convert(image), 1
    bands, rows = [], factor * max(LARGE // (factor * image.width), 1)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        bands.append(convert(image.crop((0, top, image.width, bottom))).reduce(factor))
    whole = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        whole.paste(band, (0, top))
        top += band.height
    return whole, factor


def _converted(image: Image.Image, channels: int, levels: Levels | None) -> Image.Image:
    """Makes it grey, colour, or colour times opacity beside the opacity."""
    if image.mode.startswith(("I", "F")) and levels is not None:
        image = Image.fromarray(_grey_levels(image, *levels))
    if image.mode in ("LAB", "HSV"):  # which become nothing else
        image = image.convert("RGB")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        opaque = image if image.mode == "RGBA" else image.convert("RGBA")
        return opaque.convert("RGBa")
    return image.convert("L" if channels == 1 else "RGB")


def _middle(image: Image.Image, shape: float) -> Box:
    """The largest part, in the middle, of that width by height: left, top, right and bottom."""
    width = min(image.width, shape * image.height)
    height = min(image.height, image.width / shape)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    # the sums may be rounded up
    return left, top, min(left + width, image.width), min(top + height, image.height)


def _values(image: Image.Image, channels: int) -> NDArray[np.uint8]:
    if channels == 4:
        values = np.asarray(image.convert("RGBA"))
    elif image.mode == "RGBa":  # laid on white
        levels = np.asarray(image).astype(np.uint16)
        white = (levels[..., :3] + (255 - levels[..., 3:])).clip(0, 255).astype(np.uint8)
        values = np.asarray(Image.fromarray(white).convert("RGB" if channels == 3 else "L"))
    else:
        values = np.asarray(image)
    return values.transpose(2, 0, 1) if values.ndim == 3 else values[None]


def _grey_levels(image: Image.Image, black: float, white: float) -> NDArray[np.uint8]:
    """Values of more than 8 bits in 256 levels."""
    values = np.asarray(image).astype(np.float32)
    if not np.isfinite(values).all():
        raise UnreadableError(NOT_FINITE)
    values -= black
    values *= 255 / (white - black)
    return values.clip(0, 255).round().astype(np.uint8)


def _range_of(image: Image.Image) -> Levels:
    """The range that the type of a picture stands for."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UnreadableError(NOT_FINITE)
    state = f"set levels to the values of black and white, as in [{low:g}, {high:g}]"
    if image.mode == "F":
        if low >= 0 and high <= 1:
            return 0, 1
        raise UnreadableError(f"its floating point values are not from 0 to 1: {state}")
    if image.mode == "I" and image.format not in ("PPM", "PNG"):
        raise UnreadableError(f"nothing says what range its 32 bits have: {state}")
    if 0 < high <= DEEPEST_DARK:
        raise UnreadableError(
            f"its 16 bits hold no value above {high:,.0f}, so that it is dark or its range is "
            "smaller: set levels to the values of black and white, [0, 65535] or as [0, 4095]"
        )
    return 0, 65535


def _refuse_dark(image: Image.Image) -> None:
    """Refuses colours of 16 bits that are all below a quarter: Pillow has cut them to 8 bits."""
    values = np.asarray(image)[..., : 3 if image.mode.startswith("RGB") else 1]
    if 0 < int(values.max()) <= QUARTER:
        raise UnreadableError(
            "its 16 bits a colour hold no value above a quarter of their range: convert it to 8 "
            "bits a colour"
        )
