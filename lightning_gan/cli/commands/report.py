"""``lightning-gan report``: runs as a page to look at and to send."""

import sys
from pathlib import Path

from lightning_gan.basics.texts import printable
from lightning_gan.errors import ConfigurationError
from lightning_gan.runs.page import write_page
from lightning_gan.runs.record import NAME as RECORD

PAGE = "report.html"


def report(*runs: Path, output: Path | None = None) -> None:
    """Writes one page with curves, samples and values of one or several runs.

    It needs no network and no other file: it can be opened from the disk, sent and kept.

    Args:
        runs: Folders of runs.
        output: The page; report.html in the folder of the run, or here for several, if left out.

    Raises:
        ConfigurationError: If a folder is no run's, or the page cannot be written.
    """
    if output is not None and output.is_dir():
        raise ConfigurationError(f"--output {output} is a folder: give a file.")
    for run in runs:
        _check(run)
    place = runs[0] if len(runs) == 1 else Path()
    page = write_page(runs, output or place / PAGE)
    sys.stdout.write(f"Report      {printable(str(page))}\n")


def _check(folder: Path) -> None:
    """Refuses the folder around runs, with one of them.

    Raises:
        ConfigurationError: If it is one.
    """
    below = sorted(path for depth in ("*", "*/*") for path in folder.glob(f"{depth}/{RECORD}"))
    if below and not (folder / RECORD).exists():
        raise ConfigurationError(
            f"{folder} is no run, but has some below it: give them, as in {below[-1].parent}."
        )
