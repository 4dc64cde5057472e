"""``lightning-gan compare``: two measurements side by side, where they were made alike."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lightning_gan.cli.plain import PlainParser
from lightning_gan.evaluation.report import Report, check_comparable, comparison


def _parser() -> argparse.ArgumentParser:
    parser = PlainParser("lightning-gan compare", description=__doc__)
    parser.add_argument("first", type=Path, help="a report, or a run's evaluations.jsonl: its last")
    parser.add_argument("second", type=Path, help="another one")
    parser.add_argument(
        "--despite",
        action="append",
        default=[],
        metavar="NAME",
        help="a part of the stamp, such as samples.seed, that may differ; may be repeated",
    )
    return parser


def compare(arguments: list[str]) -> None:
    """Prints both, and their differences.

    Raises:
        ConfigurationError: If a file holds no report, or the stamps differ.
    """
    options = _parser().parse_args(arguments)
    first, second = Report.read(options.first), Report.read(options.second)
    check_comparable(first, second, options.despite)
    sys.stdout.write(comparison(first, second) + "\n")
