"""Images as numbers and as picture files."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad


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


def scatter(points: Tensor, real: Tensor | None = None, size: int = 512) -> Tensor:
    """Draws generated points in the plane in blue over the real ones in grey.

    Of points in more dimensions the first two are drawn; those on a line lie in the middle.

    Args:
        points: Generated points (N, D).
        real: Real points (M, D), which also set the frame.
        size: Height and width of the picture in pixels.

    Returns:
        A picture (3, size, size), uint8.
    """
    points = pad(points[:, :2], (0, 2 - min(points.shape[1], 2)))
    real = None if real is None else pad(real[:, :2], (0, 2 - min(real.shape[1], 2)))
    frame = points if real is None else real
    low, high = frame.min(0).values, frame.max(0).values
    middle, half = (low + high) / 2, float((high - low).max()) * 0.65 + 1e-9
    canvas = torch.full((3, size, size), 255, dtype=torch.uint8)
    layers = [(points, (31, 90, 200))]
    if real is not None:
        layers.insert(0, (real[:: max(len(real) // 20_000, 1)], (205, 205, 205)))
    for layer, colour in layers:
        place = ((layer - middle) / half + 1) / 2 * (size - 1)
        place = place[torch.isfinite(place).all(1)].round().long()
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            column, row = place[:, 0] + dx, size - 1 - place[:, 1] + dy
            inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
            for channel, value in enumerate(colour):
                canvas[channel, row[inside], column[inside]] = value
    return canvas


def save_png(picture: Tensor, path: Path) -> None:
    """Writes a picture (3 or 4, H, W), uint8, making folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0).numpy())).save(path)
