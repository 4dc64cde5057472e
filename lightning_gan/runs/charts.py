"""Curves as small inline SVG, whose colours and fonts are those of the page around it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from lightning_gan.runs.curves import Curves, Series, Thinned, thinned
from lightning_gan.runs.expected import Band, Bands
from lightning_gan.runs.panels import SMALLEST, Panel

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 54, 346, 8, 176
COLOURS = 10
"""How many the style sheet has, as ``.c0`` to ``.c9``; further runs begin again."""
DASHES = ("", "5 3", "1.5 2.5", "8 3 1.5 3")
POINTS = 300
"""Of a line; fewer where there are many runs, so that a page does not grow without bounds."""


@dataclass(frozen=True)
class Scale:
    """Where values lie in a picture.

    Args:
        low: The value at ``start``.
        high: The value at ``end``, above ``low``.
        start: Place of ``low``, in the units of the picture.
        end: Place of ``high``.
        log: Whether equal ratios, not differences, have equal length; then ``low`` is positive.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high = self._moved(self.low), self._moved(self.high)
        return self.start + (self._moved(value) - low) / (high - low) * (self.end - self.start)

    def _moved(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self) -> list[float]:
        """A few round values between low and high."""
        return _decades(self.low, self.high) if self.log else _steps(self.low, self.high)


def _steps(low: float, high: float) -> list[float]:
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    inside = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    if len(inside) > 2:
        return [10.0**power for power in inside[:: -(-len(inside) // 5)]]
    around = range(inside.start - 1, inside.stop + 1)
    found = (factor * 10.0**power for power in around for factor in (1, 2, 5))
    return [value for value in found if low <= value <= high]


def short(value: float) -> str:
    """A number in few characters, as in ``150k``."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"


def chart(panel: Panel, runs: Sequence[tuple[str, Curves]], expected: Bands | None = None) -> str:
    """One panel as HTML: its title, the lines of all runs, and what each one is.

    With several runs, a colour is a run, and the dashes say which line it is.

    Args:
        panel: What to draw.
        runs: Name and curves of each run.
        expected: Bands that lie behind the lines of a single run.

    Returns:
        A ``figure``; with a sentence where no value is finite.
    """
    most = max(POINTS // max(len(runs) // 4, 1), 50)
    drawn = [_Drawn(panel, n, name, curves, most) for n, (name, curves) in enumerate(runs)]
    lines = [line for run in drawn for line in run.lines(alone=len(runs) == 1)]
    head = f"<figcaption>{escape(panel.title)}</figcaption>"
    if not any(line.is_visible for line in lines):
        return f"<figure class=chart>{head}<p class=none>No value is finite.</p></figure>"
    bands = {
        order: (expected or {})[name]
        for order, name in enumerate(panel.lines.values())
        if name in (expected or {})
    }
    x, y = _scales(panel, lines, list(bands.values()))
    behind = (_expected(band, order, x, y) for order, band in bands.items())
    front = (line.svg(x, y) for line in lines)
    body = "".join([*y_axis(y), *x_axis(x), *_level(panel, y), *behind, *front])
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(panel.title)}">'
        f"{body}</svg>"
    )
    return f"<figure class=chart>{head}{svg}{_legend(panel, lines, len(runs) == 1)}</figure>"


@dataclass(frozen=True)
class _Line:
    """One line: its values, and how it looks."""

    label: str
    run: str
    series: Series
    points: Thinned
    colour: int
    dash: str

    @property
    def is_visible(self) -> bool:
        return any(map(math.isfinite, self.points.middle))

    def svg(self, x: Scale, y: Scale) -> str:
        """The line, over what its groups range over."""
        said = f"{self.run}: {self.label}" if self.run else self.label
        parts = [f"<g class=c{self.colour}><title>{escape(said)}</title>", self._band(x, y)]
        stretches = [*self._stretches(y)]
        for stretch in stretches:
            places = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in stretch)
            dash = f' stroke-dasharray="{self.dash}"' if self.dash else ""
            parts.append(f'<polyline class=line points="{places}"{dash}/>')
        if self.points.are_few:
            parts += [
                f'<circle class=dot cx="{x(at):.1f}" cy="{y(value):.1f}" r="2"/>'
                for stretch in stretches
                for at, value in stretch
            ]
        return "".join([*parts, "</g>"])

    def _band(self, x: Scale, y: Scale) -> str:
        points = self.points
        if points.is_whole:
            return ""
        ranges = [
            (at, low, high)
            for at, low, high in zip(points.images, points.low, points.high, strict=True)
            if math.isfinite(low) and (low > 0 or not y.log)
        ]
        over = [f"{x(at):.1f},{y(high):.1f}" for at, _, high in ranges]
        under = [f"{x(at):.1f},{y(low):.1f}" for at, low, _ in reversed(ranges)]
        return f'<polygon class=band points="{" ".join(over + under)}"/>'

    def _stretches(self, y: Scale) -> Iterator[list[tuple[float, float]]]:
        """The points between gaps, which are where a logarithm has no place for a zero as well."""
        stretch: list[tuple[float, float]] = []
        for at, value in zip(self.points.images, self.points.middle, strict=True):
            if math.isfinite(value) and (value > 0 or not y.log):
                stretch.append((at, value))
            elif stretch:
                yield stretch
                stretch = []
        if stretch:
            yield stretch


@dataclass(frozen=True)
class _Drawn:
    """A run in a panel."""

    panel: Panel
    number: int
    name: str
    curves: Curves
    most: int

    def lines(self, alone: bool) -> Iterator[_Line]:
        """Its lines; with a colour each if the run is alone, or else with that of the run."""
        for order, (label, name) in enumerate(self.panel.lines.items()):
            if name in self.curves:
                series = self.curves[name]
                colour = (order if alone else self.number) % COLOURS
                dashed = name.endswith("_floor") or not alone
                dash = DASHES[order % len(DASHES)] if dashed else ""
                run = "" if alone else self.name
                yield _Line(label, run, series, thinned(series, self.most), colour, dash)


def _expected(band: Band, colour: int, x: Scale, y: Scale) -> str:
    """A band as far as the picture goes."""
    bottom = min(y.low, y.high)
    shown = [
        (at, max(low, bottom), max(high, bottom))
        for at, low, high in zip(band.images, band.low, band.high, strict=True)
        if at <= x.high
    ]
    over = [f"{x(at):.1f},{y(high):.1f}" for at, _, high in shown]
    under = [f"{x(at):.1f},{y(low):.1f}" for at, low, _ in reversed(shown)]
    return (
        f'<g class=c{colour % COLOURS}><title>expected</title><polygon class=expected points="'
        f'{" ".join(over + under)}"/></g>'
    )


def _scales(panel: Panel, lines: Sequence[_Line], expected: Sequence[Band]) -> tuple[Scale, Scale]:
    drawn = [
        value
        for line in lines
        for value in (*line.points.low, *line.points.high)
        if math.isfinite(value)
    ]
    values = drawn + [value for band in expected for value in (*band.low, *band.high)]
    if panel.level is not None:
        values.append(panel.level)
    if panel.from_zero:
        values.append(0.0)
    low, high = min(values), max(values)
    log = panel.log and min(drawn) >= 0
    if log:  # a band may reach below zero, and a line begin at it
        positive = min((value for value in values if value > SMALLEST), default=low)
        log = panel.is_logarithmic(positive, high)
        low = positive if log else low
    low, high = _with_room(low, high, log)
    end = max(line.points.images[-1] for line in lines if line.points.images)
    return Scale(0.0, end or 1.0, LEFT, RIGHT), Scale(low, high, BOTTOM, TOP, log)


def _with_room(low: float, high: float, log: bool) -> tuple[float, float]:
    """Limits a little beyond the values, so that no line lies on the frame."""
    if log:
        room = (high / low) ** 0.05
        return low / room, high * room
    room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return low - room, high + room


def y_axis(y: Scale) -> Iterator[str]:
    """Lines across the picture at round values, with these to the left."""
    for value in y.ticks():
        at = y(value)
        yield f'<line class=grid x1="{LEFT}" x2="{RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text class=y x="{LEFT - 5}" y="{at + 3.5:.1f}">{short(value)}</text>'


def x_axis(x: Scale) -> Iterator[str]:
    """The ground of the picture, with round values below it."""
    yield f'<line class=axis x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}"/>'
    for value in x.ticks():
        at = x(value)
        yield f'<line class=axis x1="{at:.1f}" x2="{at:.1f}" y1="{BOTTOM}" y2="{BOTTOM + 4}"/>'
        yield f'<text class=x x="{at:.1f}" y="{BOTTOM + 17}">{short(value)}</text>'


def _level(panel: Panel, y: Scale) -> Iterator[str]:
    if panel.level is not None:
        at = y(panel.level)
        yield f'<line class=level x1="{LEFT}" x2="{RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'


def _legend(panel: Panel, lines: Sequence[_Line], alone: bool) -> str:
    """What the lines are; of a single run with their last values, of several by their dashes."""
    if alone:
        entries = [
            key(line.label, f"c{line.colour}", line.dash, short(line.series.last)) for line in lines
        ]
    elif len(panel.lines) > 1:
        entries = [
            key(label, "", DASHES[order % len(DASHES)]) for order, label in enumerate(panel.lines)
        ]
    else:
        entries = []
    return f"<p class=legend>{' '.join(entries)}</p>" if entries else ""


def key(label: str, colour: str, dash: str = "", value: str = "") -> str:
    """A short line as in a chart, and what it stands for, as HTML.

    Args:
        label: What it stands for.
        colour: Its class in the style sheet; empty for that of the text.
        dash: As in :data:`DASHES`.
        value: Shown behind the label.
    """
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    sample = (
        f'<svg class="key {colour}" viewBox="0 0 24 8" aria-hidden="true">'
        f'<line class=line x1="0" x2="24" y1="4" y2="4"{dashes}/></svg>'
    )
    shown = f" <b>{value}</b>" if value else ""
    return f"<span>{sample} {escape(label)}{shown}</span>"
