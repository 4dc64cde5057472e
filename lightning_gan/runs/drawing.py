"""The curves of a run as a picture file."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_gan.basics.cache import written_whole
from lightning_gan.runs.curves import Curves, read_curves, thinned
from lightning_gan.runs.panels import Panel, balance, distances, losses, modes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = "curves.png"


def draw_curves(folder: Path, picture: Path | None = None) -> Path:
    """Draws losses, balance, distance and modes against images seen; what was not measured says so.

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
    figure = Figure(figsize=(12, 6.5), dpi=100, layout="constrained")
    shown = [losses(), balance(curves), distances(curves)[0], modes(curves)[0]]
    for axis, panel in zip(figure.subplots(2, 2).flat, shown, strict=True):
        _draw(axis, panel, curves)
    target = folder / PICTURE if picture is None else picture
    with written_whole(target) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
    return target


def _draw(axis: "Axes", panel: Panel, curves: Curves) -> None:
    from matplotlib.ticker import LogLocator

    axis.set_title(panel.title, fontsize=11)
    lines = panel.among(curves).lines
    if not lines:
        axis.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    values: list[float] = []
    for label, name in lines.items():
        points = thinned(curves[name])
        style = "--" if name.endswith("_floor") else "-"
        marker = "." if points.are_few else ""
        axis.plot(points.images, points.middle, style, label=label, linewidth=1.4, marker=marker)
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
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.legend(fontsize=9, frameon=False)
    axis.grid(alpha=0.3)
