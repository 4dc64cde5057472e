"""``lightning-gan compare``: two measurements side by side, where they were made alike."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_gan.evaluation.report import Report, check_comparable, comparison


def compare(first: Path, second: Path, *, despite: Sequence[str] = ()) -> None:
    """Prints two measurements side by side, and their differences, where they were made alike.

    Args:
        first: A report, or a run's evaluations.jsonl, of which the last one is taken.
        second: Another one.
        despite: A part of the stamp, such as samples.seed, that may differ; may be repeated.

    Raises:
        ConfigurationError: If a file holds no report, or the stamps differ.
    """
    reports = Report.read(first), Report.read(second)
    check_comparable(*reports, despite)
    sys.stdout.write(comparison(*reports) + "\n")
