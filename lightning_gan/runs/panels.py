"""Which curves belong into one picture, by their names in the logs, which only this file reads."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

ALARMS = {
    "collapse/modes": "Modes were lost",
    "collapse/alike": "Each class was nearly one picture",
    "collapse/coverage": "The coverage fell",
    "collapse/frechet": "The Frechet distance rose",
    "collapse/saturated": "The discriminator was right about everything, the gradient nearly gone",
    "collapse/diverged": "A weight was not finite",
    "eval/nonfinite": "Samples held values that were not finite",
}
"""What is wrong where a value is not 0."""
RETURNS = "collapse/rollbacks"
MEANINGS = {
    "auth": "share, in %, of samples that are no near copy of a training image; that of held-out "
    "reals (_real) is the value to reach",
    "coverage": "share of reals that have a sample near them; more is better",
    "ct": "far below 0 where training images are copied, far above where samples are far from them",
    "density": "how densely samples lie among the reals; about 1 for equal distributions",
    "dup": "how near samples are to each other, and how many repeat one bit for bit",
    "eval": "the evaluation itself",
    "fid": "Frechet distance to the training images; less is better, down to the floor",
    "is": "Inception score by this classifier; it looks at no real image",
    "kid": "kernel distance to the training images; about 0 where nothing is wrong",
    "modes": "which classes or modes the samples cover",
    "nn1": "share whose nearest neighbour is of its own kind; 0.5 where they cannot be told apart",
    "precision": "share of samples that lie among the reals; more is better",
    "recall": "share of reals that lie among the samples; more is better",
    "vendi": "effective number of different samples; as many reals have that of _real",
}
"""What values say, by the beginnings of their names."""

SMALLEST = 1e-100
"""Values from which on there are logarithmic scales."""
WIDE = 10.0
"""From which ratio of the largest to the smallest value on a logarithmic scale reads better."""


@dataclass(frozen=True)
class Panel:
    """A picture of curves.

    Args:
        title: Above it.
        lines: Names in the logs, by what each line is called.
        level: Where a horizontal line helps to read it; None for none.
        log: Whether values that range widely are drawn on a logarithmic scale.
        from_zero: Whether the scale begins at 0, as it should for counts.
    """

    title: str
    lines: dict[str, str]
    level: float | None = None
    log: bool = False
    from_zero: bool = False

    def is_logarithmic(self, low: float, high: float) -> bool:
        """Whether values that range from ``low`` to ``high`` read better on such a scale."""
        return self.log and low > SMALLEST and high / low > WIDE

    def among(self, names: Collection[str]) -> "Panel":
        """This panel with the lines that there are."""
        lines = {label: name for label, name in self.lines.items() if name in names}
        return replace(self, lines=lines)


def losses() -> Panel:
    """The losses of both players."""
    return Panel("Losses", _players("loss"))


def balance(names: Collection[str], stage: str = "gan") -> Panel:
    """What the discriminator makes of reals and fakes: probabilities, or else raw scores.

    Args:
        names: Names in the logs.
        stage: ``gan`` for training, ``val`` for held-out reals.
    """
    where = "in training" if stage == "gan" else "on held-out images"
    if f"{stage}/score_real" in names and f"{stage}/d_real" not in names:
        scores = {"of reals": f"{stage}/score_real", "of fakes": f"{stage}/score_fake"}
        return Panel(f"Scores of the discriminator {where}", scores)
    probabilities = {"D(x)": f"{stage}/d_real", "D(G(z))": f"{stage}/d_fake"}
    return Panel(f"D(x) and D(G(z)) {where}", probabilities, level=0.5)


def distances(names: Collection[str]) -> list[Panel]:
    """The Frechet distance by each extractor, with what a perfect generator would score."""
    floors = [name for name in sorted(names) if name.startswith("fid/") and name.endswith("_floor")]
    of = [floor.removesuffix("_floor") for floor in floors] or ["fid/"]
    return [
        Panel(
            f"Frechet distance {_about(name)}".strip(),
            {"samples": name, "a perfect generator": f"{name}_floor"},
            log=True,
        )
        for name in of
    ]


def modes(names: Collection[str]) -> list[Panel]:
    """The number of classes or modes that are covered, of each data set."""
    of = [name for name in sorted(names) if name.startswith("modes/") and name.endswith("/covered")]
    return [
        Panel(
            f"Classes or modes covered {_about(name.removesuffix('/covered'))}".strip(),
            {"covered": name, "by the stricter rule": f"{name}_robust"},
            from_zero=True,
        )
        for name in of or ["modes//covered"]
    ]


def all_panels(names: Collection[str]) -> list[Panel]:
    """All panels that have a line among these names in the logs, in the order of a page."""
    found = (panel.among(names) for panel in _all(names))
    return [panel for panel in found if panel.lines]


def _all(names: Collection[str]) -> Iterator[Panel]:
    yield losses()
    yield balance(names)
    yield balance(names, "val")
    yield Panel("Right about, in training", {"reals": "gan/acc_real", "fakes": "gan/acc_fake"})
    yield from distances(names)
    yield from modes(names)
    for extractor in sorted(_after("coverage/", names)):
        measures = ("precision", "recall", "coverage")
        lines = {measure: f"{measure}/{extractor}" for measure in measures}
        yield Panel(f"Precision, recall, coverage ({extractor})", lines)
    yield Panel("Norms of the gradients", _players("gradient_norm"), log=True)
    penalties = {name: f"penalty/{name}" for name in sorted(_after("penalty/", names))}
    yield Panel("Penalties, before their weights", penalties, log=True)
    for part in sorted(_after("state/", names)):
        yield Panel(f"What adapts: {part}", {part: f"state/{part}"})
    yield Panel("Learning rates", _players("learning_rate"), log=True)
    yield Panel("Images a second", {"images": "progress/images_per_second"})


def _players(group: str) -> dict[str, str]:
    return {player: f"{group}/{player}" for player in ("discriminator", "generator")}


def _after(prefix: str, names: Collection[str]) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def _about(name: str) -> str:
    """What a name is of, in brackets."""
    of = name.partition("/")[2]
    return f"({of})" if of else ""
