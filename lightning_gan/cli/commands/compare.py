"""``lightning-gan compare``: measurements side by side, where they were made alike."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_gan.errors import ConfigurationError
from lightning_gan.runs.comparison import Measured, comparison


def compare(*measurements: Path, despite: Sequence[str] = ()) -> None:
    """Prints measurements that were made alike side by side, with differences to the first.

    Args:
        measurements: Two or more: folders of runs or their evaluations.jsonl, of which the last
            evaluation is taken, and files that test or evaluate has written.
        despite: A part of the stamp, such as samples.seed, that may differ; may be repeated.

    Raises:
        ConfigurationError: If a file holds no measurement, or the stamps differ.
    """
    if len(measurements) < 2:
        raise ConfigurationError("A comparison takes two measurements or more: give another one.")
    sys.stdout.write(comparison([Measured.read(path) for path in measurements], despite))
