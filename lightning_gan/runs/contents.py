"""Everything that the folder of a run holds for those who look at it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import StampedValues, differing
from lightning_gan.runs.curves import Curves, read_curves
from lightning_gan.runs.lock import is_held
from lightning_gan.runs.pictures import (
    Allowance,
    Grids,
    Picture,
    read_grids,
    read_others,
    read_reals,
)
from lightning_gan.runs.record import RunRecord
from lightning_gan.runs.scores import Scores, read_scores


@dataclass(frozen=True)
class Contents:
    """What a run has left in its folder; None is what is not there.

    Args:
        folder: The folder.
        record: What it is and how it stands.
        is_held: Whether a living process writes into the folder; None where nobody can tell.
        curves: Its series by their names in the logs.
        scores: How the discriminator's scores were spread, over time.
        measured: Its last evaluation, and that of its last test, by the stage.
        remeasured: By the images seen, in what an evaluation was made otherwise than the one
            before, as dotted names of the stamp with both values.
        grids: Its samples over time.
        reals: Real images beside them.
        pictures: Other pictures, by name.
        config: Text of the last configuration.
    """

    folder: Path
    record: RunRecord
    is_held: bool | None
    curves: Curves
    scores: list[Scores]
    measured: dict[str, StampedValues]
    remeasured: dict[int, list[tuple[str, Any, Any]]]
    grids: Grids
    reals: Picture | None
    pictures: dict[str, Picture]
    config: str | None


Runs = dict[str, Contents]
"""Some runs by names that differ."""


def named(found: Sequence[Contents]) -> Runs:
    """Runs by their names, with the folder where two have one name."""
    names = [contents.record.name or contents.folder.name for contents in found]
    return {
        name if names.count(name) == 1 else f"{name} ({contents.folder})": contents
        for name, contents in zip(names, found, strict=True)
    }


def read_contents(folder: Path, picture_bytes: int) -> Contents:
    """What a run's folder holds.

    Args:
        folder: The folder.
        picture_bytes: What its pictures may take together.

    Raises:
        ConfigurationError: If it is no run's, or its record or curves cannot be read.
    """
    record = RunRecord.read(folder)
    allowance, tests = Allowance(picture_bytes), _tests(folder)
    reals, pictures = read_reals(folder, allowance), read_others(folder, allowance, [*tests])
    return Contents(
        folder,
        record,
        is_held(folder),
        read_curves(folder),
        read_scores(folder),
        _measured(folder, tests.values()),
        _remeasured(folder),
        read_grids(folder, allowance),
        reals,
        pictures,
        _config(folder, record),
    )


def _measured(folder: Path, tests: Iterable[StampedValues]) -> dict[str, StampedValues]:
    """The last measurement while training, and the last test, be it from Python or of a file."""
    during: list[StampedValues] = []
    after = [*tests]
    for stamped in _evaluations(folder / "evaluations.jsonl"):
        (after if stamped.run.get("stage") == "test" else during).append(stamped)
    last = {"val": during[-1:], "test": sorted(after, key=_date)[-1:]}
    return {stage: stamped for stage, found in last.items() for stamped in found}


def _remeasured(folder: Path) -> dict[int, list[tuple[str, Any, Any]]]:
    """Where the evaluations of a training were made otherwise than those before, and in what."""
    every = _evaluations(folder / "evaluations.jsonl")
    during = [stamped for stamped in every if stamped.run.get("stage") != "test"]
    found = {}
    for before, after in pairwise(during):
        with suppress(ConfigurationError):
            if names := differing(before, after):
                found[after.images_seen] = names
    return found


def _evaluations(path: Path) -> list[StampedValues]:
    """All measurements of a file with one on each line; lines that are torn are passed over."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(ConfigurationError):
            found.append(StampedValues.parse(line, path))
    return found


def _tests(folder: Path) -> dict[str, StampedValues]:
    """What ``lightning-gan test`` has measured, by the files' names, the latest at the end."""
    found = {}
    for path in sorted(folder.glob("test-*.json")):
        with suppress(ConfigurationError):
            found[path.stem] = StampedValues.read(path)
    return dict(sorted(found.items(), key=lambda each: _date(each[1])))


def _date(stamped: StampedValues) -> str:
    """When something was measured, as texts that are in the order of times."""
    return str(stamped.run.get("date", ""))


def _config(folder: Path, record: RunRecord) -> str | None:
    """The configuration that the run was last started with."""
    named = [Path(segment.config).name for segment in record.segments[-1:] if segment.config]
    for name in (*named, "config.yaml"):
        with suppress(OSError, ValueError):  # a name that no file can have is a ValueError
            return (folder / name).read_text(encoding="utf-8", errors="replace")
    return None
