"""Writes the tables of all recorded results into docs/performance.md anew."""

from __future__ import annotations

import argparse

from benchmarks.measure import put_table, recorded_commands


def main(arguments: list[str]) -> None:
    """Does so."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    for command in recorded_commands():
        put_table(command)
