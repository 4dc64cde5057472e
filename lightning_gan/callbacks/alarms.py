"""What goes wrong in a training, told from what a validation measured and the best before."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lightning_gan.callbacks.measurements import Measurements
from lightning_gan.evaluation.panel import Measured
from lightning_gan.metrics.modes import ALIKE

MIN_ACCURACY, MAX_GRADIENT = 0.99, 0.01
"""Accuracies from which on, and share of the largest gradient below which, a game is over."""
FLOORS = 10.0
"""Floors by which a Frechet distance may rise. It deviates by a quarter of the floor, or less, with
a hundred features; with the two of points by the floor itself and with every change of shares."""
MAX_NAMES = 5
"""Names in a sentence."""


@dataclass(frozen=True)
class Limits:
    """How much worse than the best something may be.

    Args:
        margin: Share of the modes, and amount of the coverage, that may be lost.
        deviations: How many standard deviations of the coverage may be chance.
        factor: How many times its best the Frechet distance may be.
    """

    margin: float
    deviations: float
    factor: float


@dataclass(frozen=True)
class Health:
    """How well a training does, in plain numbers; None is what was not measured.

    Args:
        extractor: Name of the extractor that distance and coverage are of.
        frechet: The Frechet distance.
        floor: What a perfect generator would score.
        coverage: Coverage of the reals.
        modes: Number of modes that are covered, by the stricter rule where there are two.
        num_modes: Number of modes there are; 0 if that is not known.
        within: Share of the variance of the pictures that lies within the classes.
        n: Number of samples that these are of; with None nothing is chance.
        acc_real: Share of held-out reals that the discriminator is right about.
        acc_fake: Share of fakes that it is right about.
        auc: Share of pairs of a held-out real and a fake that it tells apart, for objectives under
            which it is right or wrong about none by itself.
        gradient: Norm of the generator's gradient.
    """

    extractor: str = ""
    frechet: float | None = None
    floor: float = 0.0
    coverage: float | None = None
    modes: float | None = None
    num_modes: int = 0
    within: float | None = None
    n: float | None = None
    acc_real: float | None = None
    acc_fake: float | None = None
    auc: float | None = None
    gradient: float | None = None

    @classmethod
    def of(cls, latest: Measurements) -> "Health":
        """What has been measured last of it."""
        samples, val, training = latest.samples or Measured(n=0), latest.val, latest.training
        frechet, neighbours, modes = samples.frechet, samples.neighbours, samples.modes
        measured = frechet or neighbours
        return cls(
            extractor=measured.extractor if measured else "",
            frechet=frechet and frechet.value,
            floor=frechet.floor if frechet else 0.0,
            coverage=neighbours and neighbours.coverage,
            modes=modes and modes.strictly_covered,
            num_modes=modes.total if modes else 0,
            within=modes and modes.within_classes,
            n=(neighbours and neighbours.compared) or samples.n,
            acc_real=val and val.acc_real,
            acc_fake=val and val.acc_fake,
            auc=val and val.auc,
            gradient=training.gradient_norm.get("generator") if training else None,
        )

    def best(self, before: "Health") -> "Health":
        """The best values of both; what is not finite is none."""
        before = self._comparable(before)
        best: dict[str, Any] = {}
        for name in ("frechet", "coverage", "modes", "within", "gradient"):
            values = (getattr(before, name), getattr(self, name))
            finite = [x for x in values if x is not None and math.isfinite(x)]
            better = min if name == "frechet" else max
            best[name] = better(finite, default=None)
        return Health(self.extractor or before.extractor, **best)

    def finite(self) -> "Health":
        """The same in which NaN and infinity are what they tell: not measured."""
        wrong = [name for name, x in vars(self).items() if isinstance(x, float) and x - x != 0]
        nothing = Health()
        return replace(self, **{name: getattr(nothing, name) for name in wrong})

    def _comparable(self, other: "Health") -> "Health":
        """The other one without what is of another extractor."""
        if self.extractor in ("", other.extractor):
            return other
        return replace(other, extractor=self.extractor, frechet=None, coverage=None)

    def rank(self, images: int) -> tuple[str, float]:
        """What states are compared by, and how well this one does; less is healthier.

        By the Frechet distance, by modes where there is none, and otherwise the later the better.
        """
        if self.frechet is not None and math.isfinite(self.frechet):
            return f"frechet {self.extractor}", self.frechet
        if self.modes is not None and math.isfinite(self.modes):
            return "modes", -self.modes
        return "images", -images

    def alarms(self, best: "Health", limits: Limits, missing: Sequence[str] = ()) -> dict[str, str]:
        """Every check that was possible, by name: a clause on what is wrong, or nothing.

        Args:
            best: The best values before.
            limits: What is tolerated.
            missing: Names of the modes that were not found.
        """
        best = self._comparable(best)
        unjudged = None in (self.acc_real, self.acc_fake) and self.auc is None
        # From the limits, the value now and the best before to a clause.
        checks: dict[str, tuple[Callable[..., str], float | None, float | None]] = {
            "modes": (partial(self._lost_modes, missing), self.modes, best.modes),
            "alike": (self._alike, self.within, self.within),  # whatever was before
            "coverage": (self._lost_coverage, self.coverage, best.coverage),
            "frechet": (self._risen_distance, self.frechet, best.frechet),
            "saturated": (self._saturation, None if unjudged else self.gradient, best.gradient),
        }
        return {
            name: "" if before is None else check(limits, now, before)
            for name, (check, now, before) in checks.items()
            if now is not None
        }

    def _lost_modes(self, missing: Sequence[str], limits: Limits, now: float, before: float) -> str:
        established = before >= self.num_modes / 2  # at first they come and go
        if not (established and now < (1 - limits.margin) * before):
            return ""
        names = ", ".join(missing[:MAX_NAMES])
        more = f" and {len(missing) - MAX_NAMES} more" if len(missing) > MAX_NAMES else ""
        which = f" (missing: {names}{more})" if names else ""
        return f"{before - now:.0f} of the {before:.0f} modes that were covered are lost{which}"

    def _alike(self, limits: Limits, now: float, before: float) -> str:
        if not now < ALIKE:
            return ""
        return f"each class is nearly one picture: {now:.0%} of the variance lies within classes"

    def _lost_coverage(self, limits: Limits, now: float, before: float) -> str:
        spread = now * (1 - now) + before * (1 - before)
        chance = limits.deviations * math.sqrt(spread / self.n) if self.n else 0.0
        fell = now < before - limits.margin - chance
        return f"the coverage fell from {before:.3f} to {now:.3f}" if fell else ""

    def _risen_distance(self, limits: Limits, now: float, before: float) -> str:
        rose = not now <= limits.factor * before + FLOORS * self.floor
        values = f"from {before:.3g} at its best to {now:.3g}"
        return f"the Frechet distance rose {values}" if rose else ""

    def _saturation(self, limits: Limits, now: float, before: float) -> str:
        real, fake = self.acc_real, self.acc_fake
        if real is None or fake is None:
            least = self.auc
            right = f"tells {least or 0:.1%} of pairs of a real and a fake apart"
        else:
            right = f"is right about {real:.1%} of held-out reals and {fake:.1%} of fakes"
            least = min(real, fake)
        share = now / before if before else 1.0
        if not ((least or 0) >= MIN_ACCURACY and share < MAX_GRADIENT):
            return ""
        return (
            f"the discriminator {right}, and the generator's gradient has fallen to {share:.2%} of "
            "its largest"
        )
