"""The runs at and below a folder, each with its record and how it really stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import StampedValues
from lightning_gan.runs.lock import is_held
from lightning_gan.runs.measures import main_names
from lightning_gan.runs.record import EVALUATIONS, RunRecord, State, run_folders

DISTANCE = "fid/"
"""How the names of Frechet distances begin."""


class Distance(NamedTuple):
    """A Frechet distance, None if it was not finite, and the images that had been seen."""

    name: str
    value: float | None
    images: int


@dataclass(frozen=True)
class Run:
    """A run as it lies on the disk.

    Args:
        folder: Its folder.
        record: Its record.
        state: How it stands; one that was killed is "stopped", whatever its record says.
    """

    folder: Path
    record: RunRecord
    state: State

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """The run of a folder.

        Raises:
            ConfigurationError: If its record is missing or damaged.
        """
        record = RunRecord.read(folder)
        if record.state == "running" and is_held(folder) is False:
            record = RunRecord.read(folder)  # it may have come to its end in between
            return cls(folder, record, "stopped" if record.state == "running" else record.state)
        return cls(folder, record, record.state)

    @property
    def given_name(self) -> str | None:
        """The name that it was given (``--run_name``); None for the usual one.

        The usual one is the recipe, what differs from it, and the seed, which a list shows anyway.
        """
        record = self.record
        usual = (f"{record.recipe or 'gan'} ", f"seed={record.seed}")
        is_usual = record.name.startswith(usual[0]) and record.name.endswith(usual[1])
        return None if is_usual else record.name or None

    @property
    def best(self) -> Distance | None:
        """The smallest Frechet distance."""
        best = self.record.best
        if best is None:
            return None
        name = best["name"].removeprefix(DISTANCE)  # also where the extractor alone was kept
        return Distance(f"{DISTANCE}{name}", best["value"], best["images"])

    @property
    def last(self) -> Distance | None:
        """The last Frechet distance; of several that by which the best one was found."""
        values, best = self.record.values, self.best
        names = main_names(values, DISTANCE)
        if best is not None and best.name in names:
            names = [best.name]
        return Distance(names[0], values[names[0]], self._measured_at) if names else None

    @property
    def _measured_at(self) -> int:
        """Images that had been seen when the last values were measured."""
        try:
            return StampedValues.read(self.folder / EVALUATIONS).images_seen
        except ConfigurationError:  # of a run without a list of them
            return self.record.images


def find_runs(roots: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The runs at and below some folders, each once, and a sentence for each damaged record.

    Raises:
        ConfigurationError: If a folder does not exist.
    """
    folders: dict[Path, Path] = {}
    for root in roots:
        if not root.is_dir():
            raise ConfigurationError(
                f"There is no folder {root}: train first, or give the folder with the runs."
            )
        for folder in run_folders(root):
            folders.setdefault(folder.resolve(), folder)
    runs, damaged = [], []
    for folder in folders.values():
        try:
            runs.append(Run.read(folder))
        except ConfigurationError as error:
            damaged.append(str(error))
    return runs, damaged
