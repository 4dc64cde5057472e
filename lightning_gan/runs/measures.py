"""Measures by their names in the logs: which one is meant, and which of its values is best."""

from collections.abc import Callable, Collection, Iterable

from lightning_gan.errors import ConfigurationError

BESIDE = ("_floor", "_debiased", "_real", "_held_out", "_std")
"""Endings of values that stand beside a measure and read it."""
SMALLER = ("fid/", "kid/", "exact", "kl", "kl_all", "tv", "unclassifiable", "outside")
"""Measures, and values of modes, that are better the smaller they are."""
LARGER = (
    *("precision/", "recall/", "density/", "coverage/", "vendi/", "is/"),
    *("covered", "covered_robust", "high_quality", "min_share"),
)
"""Those that are better the larger they are; others have a value in between that is right."""


def main_names(names: Collection[str], prefix: str) -> list[str]:
    """The names that begin with a prefix, without those that only stand beside another."""
    found = sorted(name for name in names if name.startswith(prefix))
    beside = {f"{name}{ending}" for name in found for ending in BESIDE}
    return [name for name in found if name not in beside]


def measure_called(name: str, names: Collection[str]) -> str:
    """The one measure that is called so, by its whole name or by what stands before the slash.

    Raises:
        ConfigurationError: If there is none, or more than one.
    """
    if name in names:
        return name
    found = main_names(names, f"{name}/")
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(
            f"--metric {name} may be {_listed(found)}: give one of them, or runs on the same data."
        )
    known = [known for known in main_names(names, "") if not known.startswith("eval/")]
    raise ConfigurationError(f"--metric {name} was not measured: there are {_listed(known)}.")


def better(name: str) -> Callable[[Iterable[float]], float] | None:
    """What takes the best of some values of a measure, ``min`` or ``max``.

    None where neither is best, as with a share that should be one half.
    """
    _, _, last = name.rpartition("/")
    if last.endswith("_std"):
        return None
    for endings, function in ((SMALLER, min), (LARGER, max)):
        if name.startswith(tuple(end for end in endings if end.endswith("/"))) or last in endings:
            return function
    return None


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
