"""What the Trainer costs: our update against a bare PyTorch loop of the same arithmetic.

Both sides do the same updates on the same batches: fresh latents, a discriminator's step, a
generator's step through the frozen discriminator, Adam, the averaged generator. Ours is
lightning_gan.fit with the default callbacks and the record; the bare side is a plain loop in a
process of its own, which does not inherit what Lightning sets. The losses of the first steps are
compared, and the benchmark ends where they differ.
"""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.measure import (
    Side,
    circumstances,
    finish,
    furthest,
    markdown,
    parser,
    per_step,
    ratio,
    refuse_other_losses,
    shown,
    started,
    take_turns,
)

AIMS = {"dcgan": 1.02, "ring": 1.12, "host": 1.25}
"""The largest ratios of processor time that are acceptable."""
STEPS = {"dcgan": 50, "ring": 200, "host": 500}
"""Steps in a window: multiples of the 50 between two reports, so that each window has them."""
COMPARED, ALIKE = 20, 1e-4
"""Steps whose losses are compared, and how much they may differ by rounding."""


def measure(case: str, steps: int, rounds: int, threads: int) -> dict[str, Any]:
    """One row of the table."""
    from benchmarks.cases import CASES

    how = {"case": case, "compared": COMPARED, "channels_last": CASES[case].channels_last}
    with tempfile.TemporaryDirectory() as folder:
        both = {
            "ours": Side("benchmarks.loops:ours", threads, folder=folder, **how),
            "bare": Side("benchmarks.loops:bare", threads, **how),
        }
        with started(both) as sides:
            first = {name: side.window(COMPARED).facts["losses"] for name, side in sides.items()}
            difference = furthest(first["ours"], first["bare"])
            refuse_other_losses(case, difference, ALIKE, COMPARED)
            # Up to the next report, so that each window has as many.
            take_turns(sides, 50 - COMPARED, 1)
            found = take_turns(sides, steps, rounds, case)
    return {
        "case": case,
        "losses_differ": difference,
        "ours_ms": per_step(found["ours"]),
        "bare_ms": per_step(found["bare"]),
        "ratio": ratio(found["ours"], found["bare"]),
        "ratio_of_wall": ratio(found["ours"], found["bare"], "wall"),
        "aim": AIMS[case],
        "steps_a_window": steps,
    }


def table(result: dict[str, Any]) -> str:
    """The table of a result."""
    from benchmarks.cases import CASES

    head = (
        "training",
        "ours, ms",
        "bare loop, ms",
        "ratio",
        "by the clock",
        "aim",
        "losses differ",
    )
    rows = [
        (
            CASES[row["case"]].name,
            shown(row["ours_ms"]),
            shown(row["bare_ms"]),
            shown(row["ratio"], ".3f"),
            shown(row["ratio_of_wall"], ".3f"),
            row["aim"],
            f"{row['losses_differ']:.0e}",
        )
        for row in result["rows"]
    ]
    return markdown(head, rows)


def main(arguments: list[str]) -> None:
    """Measures; takes about two minutes."""
    options = parser(__doc__)
    options.add_argument("--cases", nargs="+", choices=list(AIMS), default=list(AIMS))
    asked = options.parse_args(arguments)
    rounds = 2 if asked.quick else asked.rounds
    with circumstances(asked.threads) as how:
        how["quick"] = asked.quick
        rows = [
            measure(case, 50 if asked.quick else STEPS[case], rounds, asked.threads)
            for case in asked.cases
        ]
    finish("overhead", {"circumstances": how, "rows": rows}, asked.record)
