"""Measurements side by side, under the shortest names that tell them apart."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from lightning_gan.basics.plain import Plain
from lightning_gan.basics.texts import printable, shortened
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import StampedValues, check_comparable, torn
from lightning_gan.runs.formats import Column, as_text
from lightning_gan.runs.identity import configuration, differing_options, option, short_names, shown
from lightning_gan.runs.overview import NOTHING, in_short
from lightning_gan.runs.record import EVALUATIONS, NAME, RunRecord

LONGEST = 32
"""Characters of a title."""
LONG = 80
"""Characters of what a measurement says of itself, at most, in one thing."""
MOST_FACTS = 3
"""How many facts a title is made of, at most."""


@dataclass(frozen=True)
class Measured:
    """A measurement, and the run that it is of where that is known.

    Args:
        path: What the user gave: a file, or the folder of a run.
        stamped: The measurement.
        record: Of the run in whose folder it lies; None if it lies in none.
        note: A sentence about what was passed over in the file; empty if nothing was.
    """

    path: Path
    stamped: StampedValues
    record: RunRecord | None
    note: str = ""

    @classmethod
    def read(cls, path: Path) -> "Measured":
        """The measurement of a file, or the last one of a run's folder.

        Raises:
            ConfigurationError: If there is none, or it is damaged.
        """
        folder = path if path.is_dir() else path.parent
        file = path / EVALUATIONS if path.is_dir() else path
        if path.is_dir() and not file.exists():
            raise ConfigurationError(
                f"{path} holds no {EVALUATIONS}: give the folder of a run that has been evaluated, "
                "such as runs/dcgan_digits/version_0."
            )
        record = RunRecord.read(folder) if (folder / NAME).exists() else None
        note = torn(file) if file.suffix == ".jsonl" else ""
        return cls(path, StampedValues.read(file), record, note)


def comparison(measured: Sequence[Measured], despite: Collection[str] = ()) -> str:
    """A table of the values of all, their differences to the first, and what each of them is.

    Args:
        measured: Two or more.
        despite: Dotted names in the stamps that may differ.

    Raises:
        ConfigurationError: If they were not measured alike.
    """
    first, *others = measured
    for other in others:
        check_comparable(first.stamped, other.stamped, despite, f"{first.path} and {other.path}")
    names = titles(measured)
    stamped = [each.stamped for each in measured]
    keys = sorted({key for each in stamped for key in each.values if not key.startswith("eval/")})
    values = [[each.values.get(key) for key in keys] for each in stamped]
    columns = [Column("", keys), _values(names[0], values[0])]
    for name, these in zip(names[1:], values[1:], strict=True):
        gaps = [
            NOTHING if x is None or y is None else f"{y - x:+.4g}"
            for x, y in zip(values[0], these, strict=True)
        ]
        columns += [_values(name, these), Column("difference", gaps, right=True)]
    legend = [f"{name}: {_about(each, name)}" for name, each in zip(names, measured, strict=True)]
    legend += [each.note for each in measured if each.note]
    return as_text(columns) + "".join(f"{line.rstrip()}\n" for line in legend)


def _values(name: str, values: Sequence[float | None]) -> Column:
    """A column of values; what was not measured is nothing, and no NaN."""
    return Column(name, [NOTHING if x is None else f"{x:.6g}" for x in values], right=True)


def titles(measured: Sequence[Measured]) -> list[str]:
    """For each measurement a name of 32 characters at most that no other one has.

    Their recipes, or the fewest and shortest options, with seeds and images where these do not tell
    all apart; else the ends of their paths; else their numbers.
    """
    recipes, options, seeds, images = _facts(measured)
    for facts in (recipes, options, recipes + options, recipes + options + seeds):
        if names := _shortest(facts):
            return names
    names = _shortest(recipes + options + seeds + images) or _places(measured)
    return names if _tell_apart(names) else [f"#{n}" for n in range(1, len(measured) + 1)]


def _shortest(facts: Sequence[Sequence[str]]) -> list[str]:
    """The fewest facts, of these the shortest, that tell all apart; nothing if none do."""
    useful = [texts for texts in facts if len(set(texts)) > 1]
    for size in range(1, MOST_FACTS + 1):
        some = combinations(useful, size)
        joined = [[" ".join(texts) for texts in zip(*each, strict=True)] for each in some]
        if found := [names for names in joined if _tell_apart(names)]:
            return min(found, key=lambda names: max(map(len, names)))
    return []


def _tell_apart(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names) and max(map(len, names)) <= LONGEST


def _facts(measured: Sequence[Measured]) -> list[list[list[str]]]:
    """Recipes, options in which they differ, seeds and images; nothing if a run is not known."""
    records = [each.record for each in measured if each.record is not None]
    if len(records) < len(measured):
        return [[], [], [], []]
    configurations = [configuration(record.identity) for record in records]
    names = differing_options(configurations)
    options = []
    for name, short in zip(names, short_names(names), strict=True):
        column = [option(each, name) for each in configurations]
        options.append([_fact(short, value, column) for value in column])
    recipes = [printable(record.recipe or record.name) for record in records]
    images = [f"{each.stamped.images_seen:,} images" for each in measured]
    return [[recipes], options, [[f"seed {record.seed}" for record in records]], [images]]


def _fact(name: str, value: Plain, column: Sequence[Plain]) -> str:
    """A part by itself, another option with its name."""
    text = printable(shown(value, column))
    return text if isinstance(value, dict | list) else f"{printable(name)}={text}"


def _places(measured: Sequence[Measured]) -> list[str]:
    """The shortest ends of paths that tell them apart, without what they all end in."""
    parts = [list(each.path.parts) for each in measured]
    while all(len(each) > 1 and each[-1] == parts[0][-1] for each in parts):
        parts = [each[:-1] for each in parts]
    return short_names([printable("/".join(each)) for each in parts], "/")


def _about(measured: Measured, name: str) -> str:
    """What was measured, where and when, as far as is known."""
    record, said = measured.record, [] if str(measured.path) == name else [str(measured.path)]
    about = {key: value for key, value in measured.stamped.run.items() if value != ""}
    if record is not None:
        said += [record.recipe or record.name, in_short(record.differs), f"seed {record.seed}"]
        about = {key: value for key, value in about.items() if key not in ("id", "name", "recipe")}
    said += [f"{key} {value}" for key, value in sorted(about.items())]
    return ", ".join(shortened(text, LONG) for text in said if text != NOTHING)
