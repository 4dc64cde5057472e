"""``lightning-gan table``: what configurations reach, over the seeds of their runs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lightning_gan.cli.functions import note
from lightning_gan.runs.formats import as_csv, as_latex, as_markdown
from lightning_gan.runs.seeds import seed_table


def table(
    *folders: Path,
    by: Sequence[str] = (),
    metric: str = "fid",
    format: Literal["markdown", "latex", "csv"] = "markdown",
    despite: Sequence[str] = (),
) -> None:
    """Prints a row for each configuration: mean and sample standard deviation over its seeds.

    A configuration is what a run is but for its seeds. The numbers are those of the last evaluation
    of each run, and of its best. What is not averaged, and why, is said beside the table.

    Args:
        folders: Where runs lie, at any depth.
        by: An option that tells the rows apart, such as objective, or recipe; may be repeated. All
            options that differ where left out.
        metric: A measure by its name in the logs, or what stands before the slash.
        format: For a page, a paper (a tabular for booktabs), or a program (all digits).
        despite: A part of the stamp, such as versions.torch, that may differ, or images_seen; may
            be repeated.

    Raises:
        ConfigurationError: If there is nothing to average, or runs must not be averaged.
    """
    found = seed_table(folders, by, metric, despite)
    if format == "csv":
        sys.stdout.write(as_csv(found.exact_columns()))
    else:
        write = as_latex if format == "latex" else as_markdown
        sys.stdout.write(write(found.columns()))
    for sentence in found.notes:
        note(sentence)
