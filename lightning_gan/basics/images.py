"""Images as numbers and as picture files."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from lightning_gan.basics.cache import written_whole

DESCRIPTION = "Description"
"""The name that PNG files give to what they show."""


def from_uint8(images: Tensor) -> Tensor:
    """Grey levels 0..255 as float32 in [-1, 1]: ``x / 127.5 - 1``, any shape.

    The same bits on every device: on a GPU, torch divides by a tensor but multiplies by the rounded
    reciprocal of a number.

    Example:
        >>> from_uint8(torch.tensor([0, 51, 255], dtype=torch.uint8))
        tensor([-1.0000, -0.6000,  1.0000])
    """
    half = torch.full((), 127.5, device=images.device)
    return images.to(torch.float32, copy=True).div_(half).sub_(1)


def in_range(images: Tensor) -> Tensor:
    """Images as float32 in [-1, 1], of grey levels or as they are."""
    return from_uint8(images) if images.dtype == torch.uint8 else images


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8, rounded; values outside are clamped."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def visible(images: Tensor) -> Tensor:
    """What a picture file can show of images (N, C, H, W) in [-1, 1]: uint8 (N, 1 or 3, H, W).

    Of four channels the last one is opacity over white. Of two the first is shown, and of five or
    more the first three.
    """
    levels, channels = to_uint8(images), images.shape[1]
    if channels == 4:
        opacity = levels[:, 3:].float() / 255
        return (levels[:, :3] * opacity + 255 * (1 - opacity)).round().to(torch.uint8)
    return levels if channels == 1 else levels[:, :1] if channels == 2 else levels[:, :3]


def grid(images: Tensor, columns: int, smallest: int = 64) -> Tensor:
    """Lays images out in rows, with white lines between them.

    Args:
        images: Images (N, C, H, W) in [-1, 1]; see :func:`visible`.
        columns: Images in a row.
        smallest: Small images are enlarged by a whole factor to about this size.

    Returns:
        A picture (3, height, width), uint8.
    """
    from torchvision.utils import make_grid  # here, since the metrics do without torchvision

    factor = max(smallest // images.shape[-1], 1)
    pictures = visible(images).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    return make_grid(pictures, columns, padding=2, pad_value=255)


def beside(left: Tensor, right: Tensor, gap: int = 32) -> Tensor:
    """Two pictures (3, H, W) of one height side by side, with white between them."""
    return torch.cat([left, left.new_full((3, left.shape[1], gap), 255), right], dim=2)


def save_png(picture: Tensor, path: Path, caption: str = "") -> None:
    """Writes a picture (3 or 4, H, W), uint8, whole or not at all, making folders as needed.

    Args:
        picture: The picture.
        path: The file.
        caption: What it shows, which the file holds as its ``Description``; empty for none.
    """
    about = PngInfo()
    if caption:
        about.add_itxt(DESCRIPTION, caption)
    image = Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0).numpy()))
    with written_whole(path) as part:
        image.save(part, pnginfo=about)
