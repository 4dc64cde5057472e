"""Histograms of the discriminator's scores as small inline SVG, like the charts beside them."""

from collections.abc import Iterator, Sequence

from lightning_gan.runs.charts import (
    BOTTOM,
    DASHES,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    key,
    x_axis,
    y_axis,
)
from lightning_gan.runs.scores import Scores


def histogram(scores: Scores, hidden: bool = False) -> str:
    """The shares of reals and of fakes in each bin, over each other, as an ``svg``.

    Args:
        scores: What is drawn; a kind of which there is none is left out.
        hidden: Whether it is not shown at first.
    """
    edges, shares = scores.edges, [_shares(scores.real), _shares(scores.fake)]
    x = Scale(edges[0], edges[-1], LEFT, RIGHT)
    y = Scale(0.0, max(max(each) for each in shares) * 1.05 or 1.0, BOTTOM, TOP)
    parts = [*y_axis(y), *x_axis(x)]
    if scores.probabilities:
        at = f"{x(0.5):.1f}"
        parts.append(f'<line class=level x1="{at}" x2="{at}" y1="{TOP}" y2="{BOTTOM}"/>')
    for number, each in enumerate(shares):
        if any(each):
            parts += _steps(number, [(x(edge), y(share)) for edge, share in _corners(edges, each)])
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{caption(scores)}" '
        f'data-caption="{caption(scores)}"{" hidden" if hidden else ""}>{"".join(parts)}</svg>'
    )


def title(scores: Scores) -> str:
    """What the histogram is of."""
    kind = "D(x) and D(G(z))" if scores.probabilities else "the discriminator's scores"
    return f"Spread of {kind} on held-out images"


def caption(scores: Scores) -> str:
    """After how many images it was counted."""
    return f"{scores.images:,} images"


def legend() -> str:
    """What the lines are, as HTML."""
    kinds = enumerate(("reals", "fakes"))
    keys = (key(kind, f"c{number}", DASHES[number]) for number, kind in kinds)
    return f"<p class=legend>{' '.join(keys)}</p>"


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _corners(edges: Sequence[float], shares: Sequence[float]) -> Iterator[tuple[float, float]]:
    """The outline of the bins, from the ground to the ground."""
    yield edges[0], 0.0
    for number, share in enumerate(shares):
        yield edges[number], share
        yield edges[number + 1], share
    yield edges[-1], 0.0


def _steps(number: int, corners: Sequence[tuple[float, float]]) -> Iterator[str]:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    dash = f' stroke-dasharray="{DASHES[number]}"' if DASHES[number] else ""
    yield f'<g class=c{number}><polygon class=band points="{places}"/>'
    yield f'<polyline class=line points="{places}"{dash}/></g>'
