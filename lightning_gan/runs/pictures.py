"""The pictures of a run as data URIs, few enough for a page."""

import base64
import re
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from PIL import Image

from lightning_gan.basics.images import DESCRIPTION

T = TypeVar("T")

MAX_SLIDES = 40
"""Of a run; where there are more, some are left out in between."""
LONGEST = 500
"""Characters that are shown of what a file says."""
PNG = b"\x89PNG\r\n\x1a\n"
GRID = re.compile(r"\d+")
OF_KIND = re.compile(
    r"(?P<kind>.*?)"
    r"(?:_?(?P<when>\d+)|(?P<stage>_val|_test)(?:-(?P<then>\d+)(?:-(?P<number>\d+))?)?)?"
)
"""Names of files without the ending: what they show, and after how many images; of a test, which of
several then, too."""
REALS = "reals"
BESIDE_REALS = "beside_reals"


@dataclass(frozen=True)
class Picture:
    """A PNG file inside a page.

    Args:
        caption: After how many images, where that is known.
        about: What the file says that it shows; empty if it does not.
        uri: Its bytes as a data URI.
        width: In pixels.
        height: In pixels.
    """

    caption: str
    about: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Grids:
    """Grids of samples from the same latents, as training goes on.

    Args:
        pictures: In the order of images seen.
        total: How many there are in the folder.
    """

    pictures: list[Picture]
    total: int


class Allowance:
    """The bytes that the pictures of a run may still take.

    Args:
        size: In bytes.
    """

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, path: Path, caption: str) -> Picture | None:
        """A PNG file; None where it cannot be read, is torn, or would take too much."""
        try:
            content = path.read_bytes()
        except OSError:
            return None
        whole = content.startswith(PNG) and content[12:16] == b"IHDR" and b"IEND" in content[-16:]
        if not whole or len(content) > self.left:
            return None
        self.left -= len(content)
        width, height = struct.unpack(">II", content[16:24])
        uri = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
        return Picture(caption, _described(content), uri, width, height)


def _described(content: bytes) -> str:
    """What a PNG file says that it shows; empty where it says nothing, or nothing that is one."""
    wrong = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
    with suppress(*wrong), Image.open(BytesIO(content), formats=["PNG"]) as file:
        return str(file.info.get(DESCRIPTION, ""))[:LONGEST]
    return ""


def read_grids(folder: Path, allowance: Allowance) -> Grids:
    """The grids of a run over time; the first and the last one of them in any case that fits.

    Args:
        folder: Folder of the run.
        allowance: What they may take.
    """
    paths = sorted(
        (path for path in (folder / "samples").glob("*.png") if GRID.fullmatch(path.stem)),
        key=lambda path: int(path.stem),
    )
    chosen = _spread(paths, allowance.left)
    found = [allowance.read(path, f"{int(path.stem):,} images") for path in chosen]
    return Grids([picture for picture in found if picture is not None], len(paths))


def _spread(paths: Sequence[Path], size: int) -> list[Path]:
    """As many of the paths as fit, evenly spread, the last one among them."""
    for count in range(min(len(paths), MAX_SLIDES), 1, -1):
        chosen = evenly_spread(paths, count)
        if sum(path.stat().st_size for path in chosen if path.is_file()) <= size:
            return chosen
    return list(paths[-1:])


def evenly_spread(things: Sequence[T], count: int) -> list[T]:
    """Some of many things, at most ``count`` of at least 2, the first and the last among them."""
    if len(things) <= count:
        return list(things)
    return [things[round(n * (len(things) - 1) / (count - 1))] for n in range(count)]


def read_reals(folder: Path, allowance: Allowance) -> Picture | None:
    """The real images beside which the grids are looked at, where they were drawn."""
    return allowance.read(folder / f"{REALS}.png", "")


def read_others(
    folder: Path, allowance: Allowance, tests: Sequence[str] = ()
) -> dict[str, Picture]:
    """All other pictures of samples, the latest of each kind, and that of a test.

    Args:
        folder: Folder of the run.
        allowance: What they may take.
        tests: What the files of its tests are called, without the ending, the latest at the end.

    Returns:
        By name, as in ``nearest_training`` or ``closest_pairs_test``.
    """
    order = {name: number for number, name in enumerate(tests)}
    latest: dict[str, tuple[int, int, int, Path]] = {}
    for path in sorted((folder / "samples").glob("*.png")):
        match = OF_KIND.fullmatch(path.stem)
        if match is None or GRID.fullmatch(path.stem):
            continue
        name = match["kind"] + (match["stage"] or "")
        images, number = int(match["when"] or match["then"] or 0), int(match["number"] or 0)
        test = order.get(path.stem.removeprefix(f"{match['kind']}_"), -1)
        latest[name] = max(latest.get(name, (-1, -1, 0, path)), (test, images, number, path))
    found = {}
    for name, (_, images, _, path) in latest.items():
        caption = f"after {images:,} images" if images else ""
        if (picture := allowance.read(path, caption)) is not None:
            found[name] = picture
    return found
