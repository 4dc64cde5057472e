"""The curve of a run in a CSV file, which a resumed run continues."""

import csv
from pathlib import Path

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from lightning_gan.errors import ConfigurationError


class _Continued(ExperimentWriter):
    """Appends to the metrics that are there, where Lightning's own writer deletes them."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                self.metrics_keys = next(csv.reader(file), [])


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
    def experiment(self) -> _Continued:
        """The writer, made on rank zero when it is first needed."""
        if not isinstance(self._experiment, _Continued):
            self._experiment = _Continued(log_dir=self.log_dir)
        return self._experiment
