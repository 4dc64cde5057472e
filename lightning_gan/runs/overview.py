"""A list of runs as a table: what each is, how far it has come, and what it reached."""

import json
from collections.abc import Collection, Mapping, Sequence

from lightning_gan.basics.plain import Plain
from lightning_gan.runs.formats import Column
from lightning_gan.runs.identity import short_names, shown
from lightning_gan.runs.listing import Distance, Run
from lightning_gan.runs.record import RunRecord

NOTHING = "-"
IN_JSON = ("id", "name", "recipe", "differs", "seed", "images", "max_images", "updated", "said")
"""What of a record stands in a list for programs."""


def newest_first(runs: Sequence[Run]) -> list[Run]:
    """The runs in the order in which they were heard from, the last one first."""
    return sorted(runs, key=lambda run: run.record.updated, reverse=True)


def columns_of(runs: Sequence[Run]) -> list[Column]:
    """A row for each run, in their order; both distances in a row have the same name.

    A run that was given a name shows it in the place of what differs.
    """
    records = [run.record for run in runs]
    shared = _shared(records)
    distances = [run.last or run.best for run in runs]
    names = [NOTHING if distance is None else distance.name for distance in distances]
    named = any(run.given_name for run in runs)
    what = [run.given_name or _differs(run.record, shared[run.record.recipe]) for run in runs]
    return [
        Column("run", [str(run.folder) for run in runs], cut="start"),
        Column("recipe", [record.recipe or NOTHING for record in records], cut="end"),
        Column("name, or differs" if named else "differs", what, cut="end"),
        Column("seed", [str(record.seed) for record in records], right=True),
        Column("images", [f"{record.images:,}" for record in records], right=True),
        Column("of", [_count(record.max_images) for record in records], right=True),
        Column("state", [run.state for run in runs]),
        Column("distance", names, cut="end"),
        Column("last", list(map(_value, [run.last for run in runs], names)), right=True),
        Column("best", list(map(_value, [run.best for run in runs], names)), right=True),
    ]


def _shared(records: Sequence[RunRecord]) -> dict[str | None, set[str]]:
    """For each recipe the options in which all of its runs differ from it alike."""
    of: dict[str | None, list[dict[str, Plain]]] = {}
    for record in records:
        of.setdefault(record.recipe, []).append(record.differs)
    return {recipe: _alike(each) for recipe, each in of.items()}


def _alike(options: Sequence[Mapping[str, Plain]]) -> set[str]:
    """The names that all have, with one value."""
    first = options[0]
    return {name for name in first if all(name in o and o[name] == first[name] for o in options)}


def _differs(record: RunRecord, shared: Collection[str]) -> str:
    """What differs from the recipe, but for what has a column of its own.

    Options that tell runs of the recipe apart come first, since a terminal may cut the others.
    """
    names = sorted(record.differs, key=lambda name: name in shared)
    return in_short({name: record.differs[name] for name in names if name != "model.max_images"})


def in_short(differs: Mapping[str, Plain]) -> str:
    """Options with their values, without seeds; ``-`` for none."""
    options = {name: value for name, value in differs.items() if "seed" not in name.split(".")[-1]}
    names = short_names(list(options))
    texts = (shown(value, [value]) for value in options.values())
    return " ".join(f"{a}={_class_name(b)}" for a, b in zip(names, texts, strict=True)) or NOTHING


def as_json(runs: Sequence[Run]) -> str:
    """The runs as a list of objects, with nothing shortened."""
    return json.dumps([_plain(run) for run in runs], indent=1) + "\n"


def _plain(run: Run) -> dict[str, Plain]:
    distances = {"last": run.last, "best": run.best}
    return (
        {"folder": str(run.folder), "state": run.state}
        | {name: getattr(run.record, name) for name in IN_JSON}
        | {name: each and each._asdict() for name, each in distances.items()}
    )


def _class_name(text: str) -> str:
    """The bare name of a class of this package that was given by its path."""
    return text.rpartition(".")[2] if text.startswith("lightning_gan.") else text


def _count(number: int | None) -> str:
    return NOTHING if number is None else f"{number:,}"


def _value(distance: Distance | None, name: str) -> str:
    """The value of a distance of that name, ``nan`` where it was not finite."""
    if distance is None or distance.name != name:
        return NOTHING
    return "nan" if distance.value is None else f"{distance.value:.4g}"
