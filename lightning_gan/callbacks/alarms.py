"""What goes wrong in a training, told from what a validation measured and the best before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Values = Mapping[str, float]
"""Values by their names in the logs."""

GRADIENT = "gradient_norm/generator"
SURE, FADED = 0.99, 0.01
"""Accuracies from which on, and share of the largest gradient below which, a game is over."""
FLOORS = 10.0
"""Floors by which a Frechet distance may rise. It deviates by a quarter of the floor, or less, with
a hundred features; with the two of points by the floor itself and with every change of shares."""
SHOWN = 5
"""Names in a sentence."""


@dataclass(frozen=True)
class Modes:
    """What is known of the modes besides their number.

    Args:
        missing: Names of those that were not found.
        total: Number of modes there are; 0 if that is not known.
    """

    missing: Sequence[str] = ()
    total: int = 0


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


def alarms(now: Values, best: Values, limits: Limits, modes: Modes) -> dict[str, str]:
    """Every check that the values allow, by name: a clause on what is wrong, or nothing.

    Args:
        now: What the validation measured.
        best: The best values before.
        limits: What is tolerated.
        modes: What is known of the modes.
    """
    checks: dict[str, Callable[[], list[str]]] = {
        "modes": lambda: [_modes(now, best, limits, modes, key) for key in modes_in(now)],
        "coverage": lambda: [_coverage(now, best, limits, key) for key in coverages_in(now)],
        "frechet": lambda: [_frechet(now, best, limits, key) for key in distances_in(now)],
        "saturated": lambda: _saturated(now, best),
    }
    found = {name: check() for name, check in checks.items()}
    return {
        name: next(filter(None, clauses), "") for name, clauses in found.items() if len(clauses)
    }


def _modes(now: Values, best: Values, limits: Limits, modes: Modes, key: str) -> str:
    before = best.get(key, -math.inf)
    established = before >= modes.total / 2  # at first they come and go
    if not (established and now[key] < (1 - limits.margin) * before):
        return ""
    names = ", ".join(modes.missing[:SHOWN])
    more = f" and {len(modes.missing) - SHOWN} more" if len(modes.missing) > SHOWN else ""
    which = f" (missing: {names}{more})" if names else ""
    return f"{before - now[key]:.0f} of the {before:.0f} modes that were covered are lost{which}"


def _coverage(now: Values, best: Values, limits: Limits, key: str) -> str:
    before, value = best.get(key, -math.inf), now[key]
    spread = value * (1 - value) + before * (1 - before) if math.isfinite(before) else 0.0
    chance = limits.deviations * math.sqrt(spread / now.get("eval/n", math.inf))
    fell = value < before - limits.margin - chance
    return f"{key} fell from {before:.3f} to {value:.3f}" if fell else ""


def _frechet(now: Values, best: Values, limits: Limits, key: str) -> str:
    before = best.get(key, math.inf)
    tolerated = limits.factor * before + FLOORS * now[f"{key}_floor"]
    rose = not now[key] <= tolerated and math.isfinite(before)
    return f"{key} rose from {before:.3g} at its best to {now[key]:.3g}" if rose else ""


def _saturated(now: Values, best: Values) -> list[str]:
    names = ("val/acc_real", "val/acc_fake")
    if not {*names, GRADIENT} <= now.keys():
        return []
    real, fake = (now[name] for name in names)
    share = now[GRADIENT] / best[GRADIENT] if best.get(GRADIENT) else 1.0
    if not (min(real, fake) >= SURE and share < FADED):
        return [""]
    return [
        f"the discriminator is right about {real:.1%} of held-out reals and {fake:.1%} of fakes, "
        f"and the generator's gradient has fallen to {share:.2%} of its largest"
    ]


def improved(best: Values, now: Values) -> dict[str, float]:
    """The best values so far, those of a validation included; what is not finite is none."""
    lower, higher = distances_in(now), [*modes_in(now), *coverages_in(now), GRADIENT]
    found = dict(best)
    for keys, choose in ((lower, min), (higher, max)):
        for key in keys:
            value = now.get(key, math.nan)
            if math.isfinite(value):
                found[key] = choose(found.get(key, value), value)
    return found


def watched(now: Values) -> dict[str, float]:
    """The values that any check or choice here looks at."""
    kinds = ("fid/", "modes/", "coverage/", "val/acc_", "eval/n", GRADIENT)
    return {name: value for name, value in now.items() if name.startswith(kinds)}


def health(now: Values, images: int) -> tuple[str, float]:
    """What states are compared by, and how well this one does; less is healthier.

    By the Frechet distance, by modes where there is none, and otherwise the later the better.
    """
    judged = {key: now[key] for key in distances_in(now)}
    judged |= {key: -now[key] for key in modes_in(now)}
    finite = ((key, value) for key, value in judged.items() if math.isfinite(value))
    return next(finite, ("images", -images))


def distances_in(values: Values) -> list[str]:
    """Names of the Frechet distances: what has a floor."""
    return [key for key in values if key.startswith("fid/") and f"{key}_floor" in values]


def coverages_in(values: Values) -> list[str]:
    """Names of the coverages."""
    return [key for key in values if key.startswith("coverage/")]


def modes_in(values: Values) -> list[str]:
    """Names of the numbers of modes covered, by the stricter rule where there are two."""
    all_ = [key for key in values if key.startswith("modes/") and key.endswith("/covered")]
    return [f"{key}_robust" if f"{key}_robust" in values else key for key in all_]
