"""The pictures of docs/tour.md, each drawn from the runs of the tour in a folder."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import checkout  # noqa: F401 - finds the package
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

import lightning_gan
from lightning_gan.checkpoints.files import checkpoint_in
from lightning_gan.datamodules import ArrayFile, Ring
from lightning_gan.metrics import MixtureCoverage
from lightning_gan.runs.curves import read_curves

LARGEST = 60_000
"""Bytes of a picture file."""
BLUE, ORANGE, GREEN, GREY = "#1f5ac8", "#d9480f", "#2b8a3e", "0.75"
POINTS = 1500
"""Points that are drawn of a ring."""
GAP = 6
"""Pixels between two pairs of rows."""
FRAME, HALF = (46, 10, 502, 476), 1.35
"""Where a run's pictures of points have their axes, in pixels, and how far these reach."""


def picture(name: str, folder: Path = Path()) -> Image.Image:
    """The picture of that name, of the runs below a folder."""
    return DRAWN[name](folder)


def save(image: Image.Image, path: Path) -> None:
    """Writes a small PNG file.

    Raises:
        ValueError: If it is larger than 60 kB even with 16 colours.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in (128, 64, 32, 16):
        few = image.convert("RGB").quantize(colours, Image.Quantize.MAXCOVERAGE)
        few.save(path, optimize=True)
        if path.stat().st_size <= LARGEST:
            return
    raise ValueError(f"{path} has {path.stat().st_size:,} bytes.")


def run_in(folder: Path, name: str) -> Path:
    """The run that the tour calls so."""
    return folder / "runs" / name / "version_0"


def _figure(columns: int, rows: int = 1, height: float = 2.6) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(8, height * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def _image(figure: Figure) -> Image.Image:
    pixels = BytesIO()
    figure.savefig(pixels, format="png", metadata={"Software": None})
    pixels.seek(0)
    return Image.open(pixels).convert("RGB")


def _show(axis: Axes, path: Path, title: str, cells: int = 6) -> None:
    """The first cells of a grid of pictures, ten in a row."""
    with Image.open(path) as image:
        side = image.width // 10
        axis.imshow(image.convert("RGB").crop((0, 0, cells * side, cells * side)))
    axis.set_title(title, fontsize=10)
    axis.set_axis_off()


def _grids(run: Path) -> list[Path]:
    """Grids of samples, in the order of images seen."""
    return sorted(path for path in (run / "samples").glob("*.png") if path.stem.isdigit())


def _curves(axis: Axes, run: Path, lines: dict[str, tuple[str, str]], unit: str = "images") -> None:
    """Series of a run by their names: a label and a colour each."""
    curves = read_curves(run)
    for name, (label, colour) in lines.items():
        if name in curves:
            found = curves[name]
            marker = "." if len(found.images) < 12 else ""
            axis.plot(found.images, found.values, marker=marker, label=label, color=colour)
    axis.set_xlabel(f"{unit} seen", fontsize=9)
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)


def _balance(axis: Axes, run: Path, title: str, stage: str = "gan", unit: str = "images") -> None:
    """D(x) and D(G(z)), of training or of held-out data."""
    names = {f"{stage}/d_real": ("D(x)", BLUE), f"{stage}/d_fake": ("D(G(z))", ORANGE)}
    _curves(axis, run, names, unit)
    axis.axhline(0.5, color="grey", linestyle=":", linewidth=1)
    axis.set(ylim=(0, 1))
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=8, frameon=False)


def _points(axis: Axes, points: Tensor, title: str) -> None:
    """Points over the eight modes of the ring, with what covers them in the title."""
    data = Ring()
    metric = MixtureCoverage(data.means, data.sigma, "ring")
    metric.update(points)
    found = metric.compute()
    axis.scatter(*data.means.T, s=130, facecolors="none", edgecolors=GREY, linewidths=1.2)
    axis.scatter(*points[:POINTS].T, s=3, color=BLUE, linewidths=0, alpha=0.5)
    axis.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xticks=[], yticks=[])
    share = f"{found.covered:.0f} of 8, {found.high_quality:.0%} near a heap"
    axis.set_title(f"{title}\n{share}", fontsize=9)


def _sampled(run: Path, count: int = 2500) -> Tensor:
    """Samples of the last state of a run."""
    return lightning_gan.load(str(checkpoint_in(run))).sample(count, seed=0)


def _rings(folder: Path, runs: dict[str, str]) -> Image.Image:
    """The points of several runs side by side, by their titles."""
    figure, axes = _figure(len(runs), height=8 / len(runs) + 0.5)
    for axis, (name, title) in zip(axes, runs.items(), strict=True):
        _points(axis, _sampled(run_in(folder, name)), title)
    return _image(figure)


def first(folder: Path) -> Image.Image:
    """Real digits beside samples before and after training."""
    run = run_in(folder, "first")
    before, *_, after = _grids(run)
    figure, axes = _figure(3, height=2.9)
    shown = {"real": run / "reals.png", "G before training: all grey": before, "G after it": after}
    for axis, (title, path) in zip(axes, shown.items(), strict=True):
        _show(axis, path, title)
    return _image(figure)


def losses(folder: Path) -> Image.Image:
    """Losses of G and their slopes against the logit of a fake; no run is needed."""
    logit = torch.linspace(-8, 8, 161, requires_grad=True)
    named = {
        "minimax: log(1 - D)": (-torch.nn.functional.softplus(logit), ORANGE),
        "non-saturating: -log D": (torch.nn.functional.softplus(-logit), BLUE),
    }
    figure, (values, slopes) = _figure(2)
    for label, (loss, colour) in named.items():
        (slope,) = torch.autograd.grad(loss.sum(), logit)
        values.plot(logit.detach(), loss.detach(), color=colour, label=label)
        slopes.plot(logit.detach(), slope.abs(), color=colour, label=label)
    values.set_title("loss of G", fontsize=10)
    slopes.set_title("size of its slope", fontsize=10)
    for axis in (values, slopes):
        axis.set_xlabel("logit of D for a fake (left: D is sure that it is fake)", fontsize=8)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, frameon=False)
    return _image(figure)


def saturation(folder: Path) -> Image.Image:
    """The minimax and the non-saturating loss."""
    return _compared(folder, {"minimax": "minimax", "nonsaturating": "non-saturating"})


def _compared(folder: Path, runs: dict[str, str]) -> Image.Image:
    """Balance, gradient of G and samples of two runs, each in a row with a title."""
    figure, axes = _figure(3, rows=2)
    for row, (name, title) in enumerate(runs.items()):
        run = run_in(folder, name)
        players, gradient, samples = axes[3 * row : 3 * row + 3]
        _balance(players, run, title)
        _curves(gradient, run, {"gradient_norm/generator": ("", GREEN)})
        gradient.set_yscale("log")
        gradient.set_title("size of G's gradient", fontsize=10)
        end = _grids(run)[-1]
        _show(samples, end, f"samples after {int(end.stem):,} images")
    _same_ranges(axes[0], axes[3])
    _same_ranges(axes[1], axes[4])
    return _image(figure)


def _same_ranges(*axes: Axes) -> None:
    """Gives axes one range of images seen, and one of values."""
    (lefts, rights), (lows, highs) = (
        zip(*limits, strict=True)
        for limits in ([axis.get_xlim() for axis in axes], [axis.get_ylim() for axis in axes])
    )
    for axis in axes:
        axis.set(xlim=(min(lefts), max(rights)), ylim=(min(lows), max(highs)))


def objectives(folder: Path) -> Image.Image:
    """Points of the losses of section 5."""
    runs = {
        "squares": "least squares",
        "clipping": "Wasserstein, clipped",
        "penalty": "Wasserstein, penalty",
    }
    return _rings(folder, runs)


def balance(folder: Path) -> Image.Image:
    """D(x) and D(G(z)) of the first run, on training pictures and on held-out ones."""
    figure, (training, held_out) = _figure(2)
    run = run_in(folder, "first")
    _balance(training, run, "in training")
    _balance(held_out, run, "on held-out digits", "val")
    _same_ranges(training, held_out)
    return _image(figure)


def survival(folder: Path) -> Image.Image:
    """The minimax loss alone and with R1."""
    return _compared(folder, {"minimax": "minimax", "slowed": "with R1, no batch norm"})


def wandering(folder: Path) -> Image.Image:
    """Points of the collapse as training goes on, and what D says meanwhile."""
    run = run_in(folder, "collapse")
    grids = _grids(run)
    figure, axes = _figure(3, rows=2)
    for axis, path in zip(axes[:5], grids[-5:], strict=False):
        with Image.open(path) as image:
            extent = (-HALF, HALF, -HALF, HALF)
            axis.imshow(image.convert("RGB").crop(FRAME), extent=extent, aspect="equal")
        axis.set_title(f"after {int(path.stem):,} points", fontsize=9)
        axis.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        axis.tick_params(labelsize=8)
    _balance(axes[5], run, "what D says", unit="points")
    return _image(figure)


def missing(folder: Path) -> Image.Image:
    """What D says of the run that loses heaps, and its points."""
    run = run_in(folder, "missing")
    figure, (players, points) = _figure(2, height=3.4)
    _balance(players, run, "what D says", unit="points")
    _points(points, _sampled(run), "its points")
    return _image(figure)


def cures(folder: Path) -> Image.Image:
    """Points of a run that loses heaps, and of the three cures."""
    runs = {
        "larger": "no cure",
        "packed": "packing",
        "minibatch": "minibatch discrimination",
        "penalties": "R1 and R2",
    }
    return _rings(folder, runs)


def memorised(folder: Path) -> Image.Image:
    """How D scores training and held-out digits; samples over their nearest training digits."""
    figure, (gap, samples) = _figure(2, height=3)
    for name, label, colour in (
        ("few", "200 digits, no penalty", ORANGE),
        ("many", "1,297 digits, R1", BLUE),
    ):
        _curves(gap, run_in(folder, name), {"val/d_gap_train_val": (label, colour)})
    gap.axhline(0, color="grey", linestyle=":", linewidth=1)
    gap.set_title("mean logit of training digits minus held-out", fontsize=10)
    gap.legend(fontsize=8, frameon=False)
    rows = _nearest(folder)
    samples.imshow(_stacked(rows).numpy(), cmap="gray", vmin=-1, vmax=1)
    samples.set_title("samples, each over its nearest training digit", fontsize=10)
    side = rows[0].shape[0]
    middles = [side // 2 + row * side + row // 2 * GAP for row in range(len(rows))]
    samples.set_yticks(middles, ("sample", "nearest") * (len(rows) // 2), fontsize=8)
    samples.set(xticks=[], frame_on=False)
    samples.tick_params(length=0)
    return _image(figure)


def _nearest(folder: Path, count: int = 8) -> list[Tensor]:
    """Samples of the run on few digits in two rows, each over the training digits nearest to it."""
    data = ArrayFile(str(folder / "few.npz"), batch_size=32, val_fraction=0.25, test_fraction=0.25)
    data.prepare_data()
    data.setup()
    reals = torch.cat([images for images, _ in data.some("train", 200)])
    fakes = _sampled(run_in(folder, "few"), 2 * count)
    nearest = reals[torch.cdist(fakes.flatten(1), reals.flatten(1)).argmin(1)]
    return [
        torch.cat([*part[:, 0]], dim=1)
        for fake, real in zip(fakes.split(count), nearest.split(count), strict=True)
        for part in (fake, real)
    ]


def _stacked(rows: list[Tensor]) -> Tensor:
    """The rows one below the other, with a white gap after each second one."""
    gap = torch.ones(GAP, rows[0].shape[1])
    pairs = [torch.cat([*pair]) for pair in zip(rows[::2], rows[1::2], strict=True)]
    return torch.cat([part for pair in pairs for part in (pair, gap)][:-1])


FUNCTIONS = (
    first,
    losses,
    saturation,
    objectives,
    balance,
    survival,
    wandering,
    missing,
    cures,
    memorised,
)
DRAWN: dict[str, Callable[[Path], Image.Image]] = {each.__name__: each for each in FUNCTIONS}
"""All pictures by their names."""
