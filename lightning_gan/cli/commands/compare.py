"""``lightning-gan compare``: two measurements side by side, where they were made alike."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_gan.evaluation.stamped_values import StampedValues, check_comparable, comparison


def compare(first: Path, second: Path, *, despite: Sequence[str] = ()) -> None:
    """Prints two measurements side by side, and their differences, where they were made alike.

    Args:
        first: A measurement, or a run's evaluations.jsonl, of which the last one is taken.
        second: Another one.
        despite: A part of the stamp, such as samples.seed, that may differ; may be repeated.

    Raises:
        ConfigurationError: If a file holds no measurement, or the stamps differ.
    """
    measured = StampedValues.read(first), StampedValues.read(second)
    check_comparable(*measured, despite)
    sys.stdout.write(comparison(*measured) + "\n")
