"""What matplotlib draws of a run: its curves as a picture file, and points in the plane."""

import math
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from lightning_gan.basics.cache import written_whole
from lightning_gan.runs.curves import Curves, read_curves, thinned
from lightning_gan.runs.expected import Bands, expected_in
from lightning_gan.runs.panels import Panel, balance, distances, losses, modes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = "curves.png"
BEYOND = 1.05
"""How far the axes reach, as a share of the images seen."""
MOST_POINTS = 20_000
"""Real points that are drawn at most."""


def draw_curves(folder: Path, picture: Path | None = None) -> Path:
    """Draws losses, balance, distance and modes against images seen; what was not measured says so.

    Behind the curves of a recipe as it stands lie the bands that recorded runs of it give.

    Args:
        folder: Folder of a run, with its ``metrics.csv``.
        picture: The PNG file; ``curves.png`` in the folder where None.

    Returns:
        The file. Equal curves give equal bytes.

    Raises:
        ConfigurationError: If there are curves that cannot be read.
        OSError: If the file cannot be written.
    """
    from matplotlib.figure import Figure  # takes a second, and only who draws needs it

    curves = read_curves(folder)
    expected = expected_in(folder)
    bands = {} if expected is None else expected.bands
    figure = Figure(figsize=(12, 6.5), dpi=100, layout="constrained")
    shown = [losses(), balance(curves), distances(curves)[0], modes(curves)[0]]
    for axis, panel in zip(figure.subplots(2, 2).flat, shown, strict=True):
        _draw(axis, panel, curves, bands)
    target = folder / PICTURE if picture is None else picture
    with written_whole(target) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
    return target


def _draw(axis: "Axes", panel: Panel, curves: Curves, bands: Bands) -> None:
    from matplotlib.ticker import LogLocator

    axis.set_title(panel.title, fontsize=11)
    lines = panel.among(curves).lines
    if not lines:
        axis.text(0.5, 0.5, "nothing logged", ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    values: list[float] = []
    end = max(series.images[-1] for series in curves.values() if series.images)
    for label, name in lines.items():
        points = thinned(curves[name])
        style = "--" if name.endswith("_floor") else "-"
        marker = "." if points.are_few else ""
        (line,) = axis.plot(
            points.images, points.middle, style, label=label, linewidth=1.4, marker=marker
        )
        if name in bands:
            band = bands[name]
            near = sum(images <= BEYOND * end for images in band.images) + 1  # the next one as well
            low = [max(value, 0.0) if min(points.middle) >= 0 else value for value in band.low]
            colour: Any = line.get_color()
            axis.fill_between(
                band.images[:near],
                low[:near],
                band.high[:near],
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
        values += [value for value in points.middle if math.isfinite(value)]
    if panel.level is not None:
        axis.axhline(panel.level, color="grey", linewidth=1, linestyle=":")
    if values and panel.is_logarithmic(min(values), max(values)):
        axis.set_yscale("log", subs=[])
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
    if panel.from_zero:
        axis.set_ylim(bottom=0)
    axis.set_xlabel("images seen", fontsize=10)
    axis.set_xlim(0, BEYOND * end if end else None)
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.legend(fontsize=9, frameon=False)
    axis.grid(alpha=0.3)


def scatter(points: Tensor, real: Tensor | None = None, size: int = 512) -> Tensor:
    """Draws generated points in the plane in blue over the real ones in grey.

    Of points in more dimensions the first two are drawn; those on a line lie in the middle.

    Args:
        points: Generated points (N, D); those that are not finite are left out.
        real: Real points (M, D), which also set the frame.
        size: Height and width of the picture in pixels.

    Returns:
        A picture (3, size, size), uint8. Equal points give equal bytes.
    """
    from matplotlib.figure import Figure

    points = pad(points[:, :2], (0, 2 - min(points.shape[1], 2)))
    real = None if real is None else pad(real[:, :2], (0, 2 - min(real.shape[1], 2)))
    figure = Figure(figsize=(size / 100, size / 100), dpi=100)
    axis = figure.add_axes((0.09, 0.07, 0.89, 0.91))
    frame = points[torch.isfinite(points).all(1)] if real is None else real
    if len(frame):
        low, high = frame.min(0).values, frame.max(0).values
        half = float((high - low).max()) * 0.65 + 1e-9
        left, bottom = ((low + high) / 2 - half).tolist()
        axis.set(xlim=(left, left + 2 * half), ylim=(bottom, bottom + 2 * half))
    if real is not None:
        some = real[:: -(-len(real) // MOST_POINTS) or 1]
        axis.scatter(some[:, 0], some[:, 1], s=2, color="0.8", linewidths=0)
    axis.scatter(points[:, 0], points[:, 1], s=2, color="#1f5ac8", linewidths=0)
    axis.tick_params(labelsize=7)
    pixels = BytesIO()
    figure.savefig(pixels, format="rgba")
    picture = torch.frombuffer(bytearray(pixels.getvalue()), dtype=torch.uint8)
    return picture.view(size, size, 4)[..., :3].permute(2, 0, 1)
