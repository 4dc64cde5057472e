"""The curve of a run in a CSV file, which a resumed run continues, and the axis of all loggers."""

import contextlib
import csv
import io
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from lightning_gan.basics.cache import written_whole
from lightning_gan.callbacks.base import epoch_of
from lightning_gan.errors import ConfigurationError, said
from lightning_gan.gan import GAN

AXIS = "progress/images"
"""Images seen, by which all that is logged is drawn."""

SECTIONS = {
    "penalty": "loss",
    "gradient_norm": "optimizers",
    "learning_rate": "optimizers",
    "state": "optimizers",
    "collapse": "alarms",
    "equilibrium": "alarms",
} | {own: own for own in ("loss", "gan", "val", "test", "fid", "optimizers", "progress", "alarms")}
"""Where W&B shows values, by the first word of their names; all others are about samples."""

SPEED = "progress/images_per_second"
"""What rows of the usual reports of training have."""

OF_VALIDATIONS = ("val", "eval/", "equilibrium/", "collapse/")
"""How names begin that rows of validations have, and those of training have not."""


FIRST = ("step", AXIS, "epoch")
"""The first columns of a curve, in this order."""


class _Rows(ExperimentWriter):
    """Appends to the rows that are there, where Lightning's own writer deletes them."""

    def _check_log_dir_exists(self) -> None:
        """Takes up the columns of a curve; one that cannot be read is moved aside."""
        path = Path(self.metrics_file_path)
        try:
            self.metrics_keys = list(_read(path)[0]) if path.is_file() else []
        except (OSError, ValueError, csv.Error) as error:
            aside = free_name(path.with_name(f"{path.name}.damaged"))
            path.rename(aside)
            rank_zero_warn(f"{path} cannot be read ({said(error)}): it is {aside.name} now.")

    def _record_new_keys(self) -> set[str]:
        new = set().union(*self.metrics) - set(self.metrics_keys)
        known = new | set(self.metrics_keys)
        first = [key for key in FIRST if key in known]
        self.metrics_keys = [*first, *sorted(known - set(FIRST))]
        return new

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        _write(path, fieldnames, _read(path)[1])

    def cut(self, images: int, validated: int) -> list[dict[str, str]]:
        """Drops what a run that goes on writes again, and a row that was not written to its end.

        Returns the rows that are left.

        Args:
            images: Images that it goes on from.
            validated: Those of its last validation; the rows of one that is due come again.
        """
        path = Path(self.metrics_file_path)
        if not path.is_file():
            return []
        keys, rows = _read(path)
        kept = []
        for row in rows:
            of = int(float(row.get(AXIS) or 0))
            if of < images or (of == images and (of == validated or not _is_of_validation(row))):
                kept.append(row)
        _write(path, keys, kept)
        return kept


def _is_of_validation(row: Mapping[str, str]) -> bool:
    """Whether a row of a curve was written by a validation, not in training."""
    return any(value and name.startswith(OF_VALIDATIONS) for name, value in row.items())


def _read(path: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """Columns and rows of a curve, without a last line that has no end.

    Raises:
        ValueError: If it is no text, a row does not fit the columns, or a value is no number.
    """
    text = path.read_bytes().rpartition(b"\n")[0].decode("utf-8")
    reader = csv.DictReader(io.StringIO(text), strict=True)
    rows = list(reader)
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("a row does not fit its header")
    for row in rows:
        numbers = {name: float(value) for name, value in row.items() if value}
        if not math.isfinite(numbers.get(AXIS, 0.0)):
            raise ValueError(f"{AXIS} is no number of images")
    return reader.fieldnames or [], rows


def _write(path: Path, keys: Sequence[str], rows: list[dict[str, str]]) -> None:
    """Writes a curve whole, or leaves the old one."""
    with written_whole(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(rows)


def free_name(path: Path) -> Path:
    """The path itself, or with a number where there is something already."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(1))
    return path if not path.exists() else next(each for each in numbered if not each.exists())


def cut_lines(path: Path, images_of: Callable[[str], int], images: int) -> None:
    """Drops the lines of a file that are of after so many images, or cannot be read."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if images_of(line) <= images:
                kept.append(f"{line}\n")
    with written_whole(path) as new:
        new.write_text("".join(kept), encoding="utf-8")


def in_sections(metrics: dict[str, float]) -> dict[str, float]:
    """The same values by names that W&B shows in few sections: ``samples/recall/mnist_cnn``."""
    found = {}
    for name, value in metrics.items():
        prefix, slash, _ = name.partition("/")
        section = SECTIONS.get(prefix, "samples") if slash else prefix
        found[name if section == prefix else f"{section}/{name}"] = value
    return found


def put_on_axis(logger: Logger, trainer: Trainer, gan: GAN) -> None:
    """Gives every row of a logger the images seen, which are the axis of all that is logged.

    Lightning counts batches in some rows and optimizer steps in others. A CSV keeps its column of
    batches; elsewhere the step is the images, since it is what is drawn. W&B is told to keep the
    smallest value of each distance.
    """
    # Of a logger that was on another run's axis, what it did before.
    log = getattr(logger.log_metrics, "before", logger.log_metrics)
    told: set[str] = set()

    def log_metrics(metrics: dict[str, float], step: int | None = None) -> None:
        images, batches = gan.progress.images, gan.progress.batches
        row = metrics | {"epoch": epoch_of(trainer, gan), AXIS: images}
        if isinstance(logger, WandbLogger):
            row = in_sections(row)
            # By their names: of several patterns that fit one, such as *, W&B takes any.
            for name in row.keys() - told:
                if name.startswith("fid/"):
                    logger.experiment.define_metric(name, step_metric=AXIS, summary="min")
            told.update(row)
        log(row, batches if isinstance(logger, CSVLogger) else images)

    log_metrics.before = log  # type: ignore[attr-defined]
    logger.log_metrics = log_metrics  # type: ignore[method-assign]


class CSVCurve(CSVLogger):
    """Writes ``metrics.csv`` into ``save_dir/name/version``, and goes on with it after a resume.

    Args:
        save_dir: Folder of all runs of one kind.
        name: Folder in it; empty for none.
        version: Folder of the run; the next ``version_N`` where None.

    Raises:
        ConfigurationError: If no folder can be made there.
    """

    def __init__(self, save_dir: str, name: str = "", version: str | None = None) -> None:
        super().__init__(save_dir, name=name, version=version)
        self.is_new = version is None
        """Whether the folder is made for this run."""
        root = Path(self.root_dir)
        self.new_around = [place for place in (root, *root.parents) if not place.exists()]
        """Folders around it that are not there yet, the innermost first."""

    def _get_next_version(self) -> int:
        """A number that no other run gets, even one that starts at the same moment."""
        version = super()._get_next_version()
        while getattr(rank_zero_only, "rank", 0) == 0:
            folder = Path(self.root_dir, f"version_{version}")
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
                folder.mkdir()
                break
            except OSError as error:
                if not folder.exists():
                    raise ConfigurationError(
                        f"The folder {folder} of the run cannot be made ({error.strerror}): give "
                        "another --trainer.default_root_dir."
                    ) from error
                version += 1
        return version

    @property
    @rank_zero_experiment
    def experiment(self) -> _Rows:
        """The writer, made on rank zero when it is first needed."""
        if not isinstance(self._experiment, _Rows):
            self._experiment = _Rows(log_dir=self.log_dir)
        return self._experiment


class TensorBoardHistory(TensorBoardLogger):
    """A history in TensorBoard that holds each value of each step once, however often it went on.

    What lies beyond the checkpoint comes again, so its reader shows it no more. It knows steps
    only: where the checkpoint is of before the validation of its step, the values of training at
    that step go with those of the validation, and have to be told again.

    Args:
        folder: Folder of the run.
        images: Images that the run goes on from; None for a new run.
        validated: Those of its last validation.
    """

    def __init__(self, folder: str, images: int | None = None, validated: int = 0) -> None:
        beyond = None if images is None else images + (images == validated)
        super().__init__(folder, "", "tensorboard", default_hp_metric=False, purge_step=beyond)
        self.beyond = beyond

    def tell_again(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Logs the last values of training again, where they went with those of a validation."""
        for row in rows:
            if float(row.get(AXIS) or 0) == self.beyond:
                values = {name: x for name, x in row.items() if x and name not in FIRST}
                self.log_metrics({name: float(x) for name, x in values.items()})
