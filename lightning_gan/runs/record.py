"""The record of a run (``run.json``): what it is, how it went, and how to go on from it."""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, get_args

from lightning_gan.basics.cache import written_whole
from lightning_gan.errors import ConfigurationError

FORMAT = 1
NAME = "run.json"
LARGEST = 2**63
"""Counts in a record are smaller, whatever their sign."""
DEEPEST = 50
"""How deeply options are nested in a record at most."""

EVALUATIONS = "evaluations.jsonl"
"""Beside it: every evaluation of the run, one on each line."""

State = Literal["running", "finished", "stopped", "diverged", "failed"]
"""How a run stands. One that is "running" and whose lock nobody holds was killed."""


@dataclass
class Segment:
    """A stretch of a run between two starts.

    Args:
        started: When, in UTC.
        images: Images seen before it.
        processes: How many trained.
        batch_size: Samples of each process at a time; None where that is not known.
        device: Kind of device, such as ``cuda``, with its name.
        threads: Threads of torch.
        versions: Of this package and of what computes for it.
        config: Name of the file with the whole configuration, in the folder; empty for none.
        changes: What differs from the segment before, as dotted names with both values.
        passed_over: Files beside the data that were not read.
        matmul_precision: How exactly float32 matrices were multiplied: ``highest``, or ``high`` for
            TF32 where there is such a device; empty where that is not known.
        waiting: How threads wait for each other, and why; empty where nobody has chosen it.
    """

    started: str
    images: int
    processes: int
    batch_size: int | None
    device: str
    threads: int
    versions: dict[str, str]
    config: str = ""
    changes: dict[str, list[Any]] = field(default_factory=dict)
    passed_over: int = 0
    matmul_precision: str = ""
    waiting: str = ""

    def check(self) -> None:
        """Refuses what no run has written.

        Raises:
            ValueError: If a field is of another kind, or beyond all measure.
        """
        counts = [self.images, self.processes, self.batch_size or 0, self.threads, self.passed_over]
        texts = [self.started, self.device, self.config, self.matmul_precision, self.waiting]
        texts += self.versions.values()
        both = self.changes.values()
        if not (
            all(isinstance(count, int) and abs(count) < LARGEST for count in counts)
            and all(isinstance(text, str) for text in texts)
            and all(isinstance(change, list) and _depth(change) <= DEEPEST for change in both)
        ):
            raise ValueError("no run has written this")


@dataclass
class RunRecord:
    """What a run is, what it ran on, and where it stands.

    Args:
        id: Eight hexadecimal digits, unlike those of any other run; the run's id in W&B too.
        name: What ran, in short: the recipe, what differs from it, and the seed.
        recipe: Name of the recipe or configuration file; None for a run from Python.
        differs: Options given besides the recipe, by dotted name.
        seed: Of training.
        identity: What the run is: ``model`` (parts and arguments), ``data`` (class, arguments, and
            names of the classes), of a user's own data ``samples`` (how many, and a hash),
            ``global_batch_size`` and ``precision``.
        parameters: Numbers of weights, by player.
        max_images: Budget; None for none.
        segments: Its starts, the first one first.
        state: How it stands.
        images: Images seen at the last word.
        updated: When that was, in UTC.
        said: Why it ended, in a sentence; empty if it is running or simply finished.
        values: The last value of everything measured, by the names in the logs.
        best: The smallest Frechet distance, as ``{"name", "value", "images"}``; None before one.
    """

    id: str
    name: str
    recipe: str | None
    differs: dict[str, Any]
    seed: int
    identity: dict[str, Any]
    parameters: dict[str, int]
    max_images: int | None
    segments: list[Segment] = field(default_factory=list)
    state: State = "running"
    images: int = 0
    updated: str = ""
    said: str = ""
    values: dict[str, float | None] = field(default_factory=dict)
    best: dict[str, Any] | None = None

    def write(self, folder: Path) -> None:
        """Writes it into the folder of the run, whole or not at all."""
        self.updated = utc_now()
        text = json.dumps({"format": FORMAT} | asdict(self), indent=1)
        with written_whole(folder / NAME) as new:
            new.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """The record of a run's folder.

        Raises:
            ConfigurationError: If there is none, or it cannot be read.
        """
        path = folder / NAME
        try:
            text = path.read_text(encoding="utf-8")
            content = json.loads(text, parse_constant=lambda _: None)  # no NaN, no infinity
            if content.pop("format") > FORMAT:
                raise ConfigurationError(f"{path} is of a newer lightning-gan: install that one.")
            segments = [Segment(**segment) for segment in content.pop("segments")]
            record = cls(**content, segments=segments)
            record._check()
            return record
        except OSError as error:
            raise ConfigurationError(
                f"{folder} holds no {NAME} ({error.strerror}): give the folder of a run."
            ) from error
        except ConfigurationError:
            raise
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise ConfigurationError(
                f"{path} is damaged: its run can go on from its checkpoint, but is not listed."
            ) from error

    def _check(self) -> None:
        """Refuses what no run has written, so that nobody who reads a record has to.

        Raises:
            ValueError: If a field is of another kind, or beyond all measure.
        """
        best = self.best or {"name": "", "value": 0.0, "images": 0}
        counts = [self.seed, self.images, best["images"]]
        counts += [] if self.max_images is None else [self.max_images]
        values = [value for value in self.values.values() if value is not None]
        texts = [self.id, self.name, self.recipe or "", self.updated, self.said, best["name"]]
        options = [self.differs, self.identity]
        counts += self.parameters.values()
        for segment in self.segments:
            segment.check()
        if not (
            all(isinstance(text, str) for text in texts)
            and all(isinstance(count, int) and abs(count) < LARGEST for count in counts)
            and all(isinstance(value, int | float) for value in [*values, best["value"]])
            and all(isinstance(each, dict) and _depth(each) <= DEEPEST for each in options)
            and self.state in get_args(State)
        ):
            raise ValueError("no run has written this")
        self.values = {name: value and float(value) for name, value in self.values.items()}
        if self.best is not None:
            self.best = best | {"value": float(best["value"])}


def _depth(value: object) -> int:
    """How deeply lists and dictionaries are nested in each other."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def utc_now() -> str:
    """The time, to the second, in ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def run_folders(root: Path) -> list[Path]:
    """The folders of runs at and below ``root``, in the order of their names; links are followed.

    Each is found once, by its own name where that lies below ``root`` as well.
    """
    found, seen = [], set()
    for place, folders, files in os.walk(root, followlinks=True):
        folder = Path(place)
        if (real := folder.resolve()) in seen:
            folders.clear()  # of a link that leads back
            continue
        seen.add(real)
        folders.sort(key=lambda name: (folder / name).is_symlink())
        if NAME in (*files, *folders):  # or a damaged one
            found.append(folder)
    return sorted(found)
