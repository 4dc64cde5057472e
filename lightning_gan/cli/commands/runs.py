"""``lightning-gan runs``: the runs at and below a folder."""

import sys
from pathlib import Path
from typing import Literal

from lightning_gan.cli.functions import note
from lightning_gan.runs.formats import as_csv, as_markdown, as_text
from lightning_gan.runs.listing import find_runs
from lightning_gan.runs.overview import as_json, columns_of, newest_first

TABLES = {"text": as_text, "markdown": as_markdown, "csv": as_csv}


def runs(
    folder: Path = Path("runs"), *, format: Literal["text", "markdown", "csv", "json"] = "text"
) -> None:
    """Lists the runs at and below a folder, the one last heard from first.

    A run whose record says that it is running, while no process does, was killed: it is stopped.

    Args:
        folder: Where to look.
        format: A table that fits 120 columns, one for a page, or all there is for a program.

    Raises:
        ConfigurationError: If there is no such folder.
    """
    found, damaged = find_runs([folder])
    found = newest_first(found)
    if format == "json":
        sys.stdout.write(as_json(found))
    elif found or format == "csv":
        sys.stdout.write(TABLES[format](columns_of(found)))
    if not found and not damaged:
        note(f"There are no runs at or below {folder}: train one with lightning-gan fit.")
    for sentence in damaged:
        note(sentence)
