"""The oddest picture files that can be made, and what should become of each.

All that can be read show four squares: red, green, blue and white, or their grey levels.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from lightning_gan.datamodules.sources import ENDINGS

SIDE = 16
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
RGB: NDArray[np.uint8] = COLOURS.repeat(SIDE // 2, 0).repeat(SIDE // 2, 1)
GREY: NDArray[np.uint8] = np.asarray(Image.fromarray(RGB).convert("L"))
SHOWN = {
    "colour": RGB,
    "grey": np.dstack([GREY] * 3),
    "blue": np.dstack([RGB[..., 2]] * 3),
    "white": np.full_like(RGB, 255),
}


@dataclass(frozen=True)
class Odd:
    """A file and its fate.

    Args:
        name: Of the file.
        write: Writes it.
        shows: What is seen, a key of :data:`SHOWN`; "" where it is damaged or no picture.
        said: Part of what is said of one that is not read.
        tolerance: Largest difference of a level.
    """

    name: str
    write: Callable[[Path], object]
    shows: str = "colour"
    said: str = ""
    tolerance: int = 3

    @property
    def is_opened(self) -> bool:
        """Whether the file is taken for a picture by its name."""
        path = Path(self.name)
        return path.suffix.lower() in ENDINGS and not self.name.startswith(".")


def _saved(image: Image.Image, **options: object) -> Callable[[Path], object]:
    return lambda path: image.save(path, **options)  # type: ignore[arg-type]  # of many kinds


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _as(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]  # of many kinds
    return buffer.getvalue()


def _png(
    width: int, height: int, bits: int, colour: int, rows: bytes, interlaced: bool = False
) -> bytes:
    """A PNG file from its parts."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}
    chunks = (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _rows(values: NDArray[np.generic]) -> bytes:
    """Unfiltered rows of a PNG file."""
    return b"".join(b"\0" + row.tobytes() for row in values)


def _stored_for(orientation: int) -> Image.Image:
    """What has to be stored so that a viewer that obeys the orientation shows the squares."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = Image.fromarray(RGB)
    return image if undo is None else image.transpose(undo)


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def kinds() -> list[Odd]:
    """All of them, but for those that are no files."""
    colour, grey = Image.fromarray(RGB), Image.fromarray(GREY)
    opaque = colour.convert("RGBA")
    hole = Image.fromarray(np.dstack([RGB, np.where(RGB.min(2) == 255, 0, 255).astype(np.uint8)]))
    flat = colour.quantize(4)
    transparent = colour.quantize(4)
    white = max(range(4), key=lambda index: sum(transparent.getpalette()[3 * index :][:3]))  # type: ignore[index]
    wide = RGB.astype(np.uint16) * 257
    deep = GREY.astype(np.uint16) * 257
    jpeg, png = _as(colour, "JPEG", quality=95), _as(colour, "PNG")
    lab = ImageCms.profileToProfile(
        colour, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    found = [
        # modes
        Odd("mode_1.png", _saved(Image.fromarray(RGB[..., 2]).convert("1", dither=0)), "blue"),
        Odd("mode_l.png", _saved(grey), "grey"),
        Odd("mode_la.png", _saved(grey.convert("LA")), "grey"),
        Odd("mode_p.png", _saved(flat)),
        Odd("mode_p_transparent.png", _saved(transparent, transparency=white)),
        Odd("mode_p_half_transparent.png", _saved(transparent, transparency=bytes([255] * 4))),
        Odd("mode_l_transparent.png", _saved(grey, transparency=255), "grey"),
        Odd("mode_rgb_transparent.png", _saved(colour, transparency=(255, 255, 255))),
        Odd("mode_rgba.png", _saved(opaque)),
        Odd("mode_rgba_hole.png", _saved(hole)),
        Odd("mode_rgba.webp", _saved(hole, lossless=True)),
        Odd("mode_rgba.tiff", _saved(hole)),
        Odd("mode_la.tiff", _saved(grey.convert("LA")), "grey"),
        Odd("mode_i16.png", _saved(Image.fromarray(deep)), "grey"),
        Odd("mode_i16.tif", _saved(Image.fromarray(deep)), "grey"),
        Odd(
            "mode_i16_big_endian.tif",
            _bytes(_as(Image.fromarray(deep.astype(">u2")), "TIFF")),
            "grey",
        ),
        Odd("mode_i16.pgm", _bytes(b"P5 16 16 65535\n" + deep.astype(">u2").tobytes()), "grey"),
        Odd(
            "mode_i12.pgm",
            _bytes(b"P5 16 16 4095\n" + (deep // 16).astype(">u2").tobytes()),
            "grey",
        ),
        Odd("mode_i16.jp2", _saved(Image.fromarray(deep), irreversible=False), "grey"),
        Odd("twelve_of_16_bits.png", _saved(Image.fromarray(deep // 16)), "", "set levels"),
        Odd("ten_of_16_bits.tif", _saved(Image.fromarray(deep // 64)), "", "set levels"),
        Odd("int32.tif", _saved(Image.fromarray(GREY.astype(np.int32))), "", "set levels"),
        Odd("float.tif", _saved(Image.fromarray(GREY.astype(np.float32) / 255)), "grey"),
        Odd("float.pfm", _saved(Image.fromarray(GREY.astype(np.float32) / 255)), "grey"),
        Odd("float_255.tif", _saved(Image.fromarray(GREY.astype(np.float32))), "", "set levels"),
        Odd(
            "float_nan.tif",
            _saved(Image.fromarray(np.full((8, 8), np.nan, np.float32))),
            "",
            "not finite",
        ),
        Odd("rgb_16_bits.png", _bytes(_png(16, 16, 16, 2, _rows(wide.astype(">u2"))))),
        Odd(
            "rgb_12_of_16_bits.png",
            _bytes(_png(16, 16, 16, 2, _rows((wide // 16).astype(">u2")))),
            "",
            "8 bits a colour",
        ),
        Odd(
            "la_16_bits.png",
            _bytes(
                _png(
                    16, 16, 16, 4, _rows(np.dstack([deep, np.full_like(deep, 65535)]).astype(">u2"))
                )
            ),
            "grey",
        ),
        Odd(
            "rgba_16_bits.png",
            _bytes(
                _png(
                    16, 16, 16, 6, _rows(np.dstack([wide, np.full_like(deep, 65535)]).astype(">u2"))
                )
            ),
        ),
        Odd(
            "two_bits.png",
            _bytes(_png(16, 16, 2, 0, b"".join(b"\0" + bytes([0xFF] * 4) for _ in range(16)))),
            "white",
        ),
        Odd("cmyk.jpg", _saved(colour.convert("CMYK"), quality=98), tolerance=8),
        Odd("cmyk.tif", _saved(colour.convert("CMYK"))),
        Odd("ycbcr.jpg", _saved(colour.convert("YCbCr"), quality=98, subsampling=0), tolerance=8),
        Odd("ycbcr.tif", _saved(colour.convert("YCbCr")), tolerance=4),
        Odd("lab.tif", _saved(lab), tolerance=24),
        Odd("grey.jpg", _saved(grey, quality=98), "grey", tolerance=4),
        # animations and pages
        Odd("animated.gif", _saved(flat, save_all=True, append_images=[grey.convert("P")])),
        Odd(
            "animated.webp",
            _saved(
                colour, save_all=True, append_images=[Image.new("RGB", (16, 16))], lossless=True
            ),
        ),
        Odd(
            "animated.apng",
            _bytes(_as(colour, "PNG", save_all=True, append_images=[Image.new("RGB", (16, 16))])),
        ),
        Odd(
            "pages.tiff", _saved(colour, save_all=True, append_images=[Image.new("RGB", (16, 16))])
        ),
        Odd(
            "pages.mpo.jpg",
            _bytes(
                _as(
                    colour,
                    "MPO",
                    save_all=True,
                    append_images=[Image.new("RGB", (16, 16))],
                    quality=98,
                    subsampling=0,
                )
            ),
            tolerance=8,
        ),
        # formats
        Odd("bitmap.bmp", _saved(colour)),
        Odd("bitmap.dib", _bytes(_as(colour, "DIB"))),
        Odd("picture.ppm", _saved(colour)),
        Odd("plain.ppm", _bytes(("P3 16 16 255\n" + " ".join(map(str, RGB.flatten()))).encode())),
        Odd("bits.pbm", _saved(Image.fromarray(RGB[..., 2]).convert("1", dither=0)), "blue"),
        Odd("picture.jp2", _saved(colour)),
        Odd("picture.j2k", _saved(colour)),
        Odd("lossy.webp", _saved(colour, quality=100), tolerance=30),
        Odd("picture.jfif", _bytes(jpeg), tolerance=40),
        Odd("picture.jpe", _bytes(jpeg), tolerance=40),
        Odd(
            "progressive.jpg",
            _saved(colour, progressive=True, quality=98, subsampling=0),
            tolerance=8,
        ),
        Odd("interlaced.png", _bytes(_interlaced())),
        Odd("profile.png", _saved(colour, icc_profile=_profile())),
        Odd(
            "profile.jpg",
            _saved(colour, icc_profile=_profile(), quality=98, subsampling=0),
            tolerance=8,
        ),
        Odd("profile_damaged.png", _saved(colour, icc_profile=b"no profile")),
        Odd("compressed.tif", _saved(colour, compression="tiff_lzw")),
        Odd("deflated.tif", _saved(colour, compression="tiff_adobe_deflate")),
        Odd(
            "exif_damaged.jpg",
            _saved(colour, exif=b"Exif\0\0nonsense", quality=98, subsampling=0),
            tolerance=8,
        ),
        # names
        Odd("UPPER.PNG", _bytes(png)),
        Odd("double.jpg.png", _bytes(png)),
        Odd(
            "really_a_jpeg.png",
            _saved(colour, format="JPEG", quality=98, subsampling=0),
            tolerance=8,
        ),
        Odd("really_a_png.jpg", _bytes(png)),
        Odd("größe 尺寸 🎲.png", _bytes(png)),
        Odd("with\nnewline.png", _bytes(png)),
        Odd(os.fsdecode(b"no_text_\xff.png"), _bytes(png)),
        Odd("-rf.png", _bytes(png)),
        # sizes
        Odd("one_pixel.png", _saved(Image.new("RGB", (1, 1), "white")), "white"),
        Odd("thread.png", _saved(Image.new("RGB", (1, 5000), "white")), "white"),
        Odd("ribbon.png", _saved(Image.new("RGB", (5000, 1), "white")), "white"),
        Odd("huge_header.png", _bytes(_png(2**31 - 1, 2**31 - 1, 8, 2, b"")), "", "exceeds limit"),
        Odd("bomb.png", _bytes(_png(20_000, 20_000, 1, 0, b"")), "", "exceeds limit"),
        Odd("no_size.png", _bytes(_png(0, 0, 8, 2, b"")), "", ""),
        # damaged
        Odd("truncated.png", _bytes(png[:-30]), "", ""),
        Odd("truncated.jpg", _bytes(jpeg[: len(jpeg) // 2]), "", "runcated"),
        Odd("truncated.gif", _bytes(_as(flat, "GIF")[:-40]), "", ""),
        Odd("truncated.webp", _bytes(_as(colour, "WEBP")[:-20]), "", ""),
        Odd("truncated.tif", _bytes(_as(colour, "TIFF")[:-200]), "", ""),
        Odd("truncated.bmp", _bytes(_as(colour, "BMP")[:-200]), "", "runcated"),
        Odd("truncated.jp2", _bytes(_as(colour, "JPEG2000")[:-100]), "", ""),
        Odd("header_alone.png", _bytes(png[:40]), "", ""),
        Odd(
            "wrong_checksum.png", _bytes(png[:29] + bytes([png[29] ^ 1]) + png[30:]), "", "picture"
        ),
        Odd("zero_bytes.png", _bytes(b""), "", "no picture of"),
        Odd("text.png", _bytes(b"hello"), "", "no picture of"),
        Odd("page.jpg", _bytes(b"<!DOCTYPE html><title>404</title>"), "", "no picture of"),
        Odd(
            "postscript.png",
            _bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n"),
            "",
            "no picture of",
        ),
        Odd(
            "vector.png", _bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "", "no picture of"
        ),
        Odd("pickle.png", _bytes(b"\x80\x04K\x01."), "", "no picture of"),
        Odd("archive.png", _bytes(zipped({"a.png": png})), "", "no picture of"),
        Odd(
            "lfs_pointer.png",
            _bytes(b"version https://git-lfs.github.com/spec/v1\n"),
            "",
            "no picture of",
        ),
        # not taken for pictures
        Odd("notes.txt", _bytes(b"hello"), "", "*.txt"),
        Odd("picture.png.part", _bytes(png[:50]), "", "*.part"),
        Odd("nested.zip", _bytes(zipped({"a.png": png})), "", "*.zip"),
        Odd("none", _bytes(png), "", "none"),
        Odd(".hidden.png", _bytes(png), "", "hidden"),
        Odd("._apple_double.png", _bytes(b"\0\5\x16\7"), "", "hidden"),
        Odd("Thumbs.db", _bytes(b"\xd0\xcf\x11\xe0"), "", ""),
        Odd(".DS_Store", _bytes(b"\0\0\0\1Bud1"), "", ""),
    ]
    for orientation in range(1, 9):
        stored, exif = _stored_for(orientation), _exif(orientation)
        found += [
            Odd(f"turned_{orientation}.png", _saved(stored, exif=exif)),
            Odd(
                f"turned_{orientation}.jpg",
                _saved(stored, exif=exif, quality=98, subsampling=0),
                tolerance=8,
            ),
            Odd(f"turned_{orientation}.webp", _saved(stored, exif=exif, lossless=True)),
            Odd(f"turned_{orientation}.tif", _saved(stored, exif=exif)),
        ]
    if "AVIF" in Image.SAVE:
        found.append(
            Odd("picture.avif", _saved(colour, quality=100, subsampling="4:4:4"), tolerance=8)
        )
    return found


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip file of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def _interlaced() -> bytes:
    """The squares in the seven passes of Adam7."""
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    passes = [RGB[y::down, x::right] for y, x, down, right in [*starts, (1, 0, 2, 1)]]
    return _png(SIDE, SIDE, 8, 2, b"".join(map(_rows, passes)), interlaced=True)
