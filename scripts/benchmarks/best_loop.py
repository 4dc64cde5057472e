"""Ours against a hand-written loop with everything that helps.

The loop reads batches from memory, makes fakes without a graph, freezes the discriminator in the
generator's update, averages all weights in one call, keeps the memory it has freed, and has the
layout and the precision that are fastest for its networks. It logs, shows, checks and saves
nothing. Ours is lightning_gan.fit with all that it does by itself, in the same layout and
precision. In float32 the losses of the first steps are compared, and the benchmark ends where they
differ; in bfloat16 they are shown.
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
    rate,
    ratio,
    refuse_other_losses,
    shown,
    started,
    take_turns,
)

NAMES = ("dcgan", "resnet", "r3gan")
AIM = 0.95
"""The least share of the loop's images a second that is aimed at."""
COMPARED, ALIKE = 20, 5e-2
"""Steps whose losses are compared, and how much rounding may have grown by then."""


def measure(case: str, half: bool, rounds: int, threads: int, quick: bool) -> dict[str, Any]:
    """One row of the table."""
    from benchmarks.cases import CASES

    chosen, compared = CASES[case], 3 if quick else COMPARED
    how = {"case": case, "half": half, "channels_last": chosen.channels_last, "compared": compared}
    with tempfile.TemporaryDirectory() as folder:
        both = {
            "ours": Side("benchmarks.loops:ours", threads, folder=folder, **how),
            "loop": Side("benchmarks.loops:bare", threads, keeps_memory=True, **how),
        }
        with started(both) as sides:
            first = {name: side.window(compared).facts["losses"] for name, side in sides.items()}
            difference = furthest(first["ours"], first["loop"])
            if not half:
                refuse_other_losses(case, difference, ALIKE, compared)
            found = take_turns(sides, 2 if quick else chosen.steps, rounds, case)
    return {
        "case": case,
        "precision": "bfloat16" if half else "float32",
        "losses_differ": difference,
        "ours": rate(found["ours"], chosen.batch),
        "loop": rate(found["loop"], chosen.batch),
        "share": ratio(found["loop"], found["ours"]),
        "share_by_wall": ratio(found["loop"], found["ours"], "wall"),
    }


def table(result: dict[str, Any]) -> str:
    """The table of a result."""
    from benchmarks.cases import CASES

    head = (
        "training",
        "precision",
        "ours, images/s",
        "best loop, images/s",
        f"ours / loop, aim {AIM}",
        "by the clock",
        "losses differ",
    )
    rows = [
        (
            CASES[row["case"]].name,
            row["precision"],
            shown(row["ours"], ".0f"),
            shown(row["loop"], ".0f"),
            shown(row["share"], ".3f"),
            shown(row["share_by_wall"], ".3f"),
            f"{row['losses_differ']:.0e}",
        )
        for row in result["rows"]
    ]
    return markdown(head, rows)


def main(arguments: list[str]) -> None:
    """Measures; takes about three minutes."""
    options = parser(__doc__)
    options.add_argument("--cases", nargs="+", choices=NAMES, default=NAMES)
    asked = options.parse_args(arguments)
    rounds = 2 if asked.quick else asked.rounds
    with circumstances(asked.threads) as how:
        how["quick"] = asked.quick
        rows = [
            measure(case, half, rounds, asked.threads, asked.quick)
            for case in asked.cases
            for half in (False, True)
        ]
    finish("best_loop", {"circumstances": how, "rows": rows}, asked.record)
