"""How the discriminator's scores are spread, validation by validation (``scores.jsonl``)."""

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "scores.jsonl"
BINS = 40
"""Of a histogram, at most."""
MOST_BINS = 1000
"""Of what is read; no run has written more."""


@dataclass(frozen=True)
class Scores:
    """Held-out reals and as many fakes, counted in bins of their scores.

    Args:
        images: Images that had been seen.
        probabilities: Whether a score is D(x), in [0, 1], or what the discriminator itself gives.
        low: Where the first bin begins.
        width: Of each bin.
        real: Reals in each bin (B,).
        fake: Fakes in each bin (B,).

    Raises:
        ValueError: If no run has written this.
    """

    images: int
    probabilities: bool
    low: float
    width: float
    real: Sequence[int]
    fake: Sequence[int]

    def __post_init__(self) -> None:
        numbers = [self.images, *self.real, *self.fake]
        if not (
            all(isinstance(number, int) and 0 <= number < 2**63 for number in numbers)
            and 0 < len(self.real) == len(self.fake) <= MOST_BINS
            and all(math.isfinite(edge) for edge in (*self.edges, self.width))
            and self.edges[0] < self.edges[-1]
        ):
            raise ValueError("no run has written this")

    @property
    def edges(self) -> list[float]:
        """Where the bins begin and end (B + 1,)."""
        return [self.low + number * self.width for number in range(len(self.real) + 1)]

    def append(self, folder: Path) -> None:
        """Writes a line more to the file of a run.

        Raises:
            OSError: If it cannot be written.
        """
        with (folder / NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(self)) + "\n")


def bins_over(low: float, high: float) -> tuple[float, float, int]:
    """Bins of a round width from ``low`` to ``high``: where the first begins, width, and count.

    Round, so that a difference in the last bits, as between numbers of processes, moves no edge.
    """
    rough = (high - low) / (BINS - 1)
    # where all values are equal, or differ in the last bits, a bin is still wider than these
    rough = max(rough, 1e-6 * max(abs(low), abs(high)), 1e-12)
    power = 10.0 ** math.floor(math.log10(rough))
    width = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.floor(low / width)
    return first * width, width, math.floor(high / width) - first + 1


def images_of(line: str) -> int:
    """Images that had been seen at a line of the file.

    Raises:
        ValueError: If it is none that a run has written; also a TypeError or LookupError.
    """
    return int(json.loads(line)["images"])


def read_scores(folder: Path) -> list[Scores]:
    """All histograms of a run in the order of images; lines that are torn are passed over.

    Where two are of one number of images, the later one counts.
    """
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found: dict[int, Scores] = {}
    for line in lines:
        with suppress(ValueError, TypeError, OverflowError, RecursionError):
            scores = Scores(**json.loads(line))
            found[scores.images] = scores
    return [found[images] for images in sorted(found)]
