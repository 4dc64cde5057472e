"""What the Trainer costs: our update against a bare PyTorch loop of the same arithmetic.

Both sides do the same updates on the same batches: fresh latents, a discriminator's step, a
generator's step through the frozen discriminator, Adam, the averaged generator. Ours is
lightning_gan.fit with the default callbacks and the record; the bare side is a plain loop in a
process of its own, which does not inherit what Lightning sets. Both begin anew in each round, since
where a process lies in memory can make it some percent faster or slower for as long as it lives.
The losses of the first steps are compared, and the benchmark ends where they differ. Beside them
stand the bare loop in a process that keeps the memory it has freed, as ours does, and the bare loop
under Lightning's Trainer, by manual optimization and with nothing else: what that costs is not ours
to spare.
"""

from __future__ import annotations

import tempfile
from typing import Any

from tqdm import tqdm

from benchmarks.measure import (
    Side,
    Window,
    circumstances,
    finish,
    furthest,
    joined,
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
STEPS = {"dcgan": 50, "ring": 200, "host": 1000}
"""Steps in a window: multiples of the 50 between two reports, so that each window has them."""
TURNS = 10
"""Turns that a window is taken in, since the speed of a machine changes within seconds."""
BOTH_KEEP = "ratio_where_both_keep"
"""In records of before malloc was told to keep memory there is none."""
COMPARED, ALIKE = 20, 1e-4
"""Steps whose losses are compared, and how much they may differ by rounding."""


def one_round(
    case: str, steps: int, threads: int, channels_last: bool
) -> tuple[float, dict[str, Window]]:
    """How far the losses differ, and a window of each side, in processes of their own."""
    how = {"case": case, "compared": COMPARED, "channels_last": channels_last}
    with tempfile.TemporaryDirectory() as folder:
        both = {
            "ours": Side("benchmarks.loops:ours", threads, folder=folder, **how),
            "bare": Side("benchmarks.loops:bare", threads, **how),
            "kept": Side("benchmarks.loops:bare", threads, keeps_memory=True, **how),
            "lightning": Side("benchmarks.loops:lightning", threads, **how),
        }
        with started(both) as sides:
            first = {name: side.window(COMPARED).facts for name, side in sides.items()}
            difference = furthest(first["ours"]["losses"], first["bare"]["losses"])
            refuse_other_losses(case, difference, ALIKE, COMPARED)
            # Up to the next report, so that each window has as many.
            take_turns(sides, 50 - COMPARED, 1)
            turns = take_turns(sides, steps // TURNS, TURNS)
    return difference, {name: joined(windows, TURNS)[0] for name, windows in turns.items()}


def measure(case: str, steps: int, rounds: int, threads: int) -> dict[str, Any]:
    """One row of the table."""
    from benchmarks.cases import CASES

    layout = CASES[case].channels_last
    made = [one_round(case, steps, threads, layout) for _ in tqdm(range(rounds), case, leave=False)]
    difference = max(difference for difference, _ in made)
    found = {side: [windows[side] for _, windows in made] for side in made[0][1]}
    return {
        "case": case,
        "losses_differ": difference,
        "ours_ms": per_step(found["ours"]),
        "bare_ms": per_step(found["bare"]),
        "ratio": ratio(found["ours"], found["bare"]),
        "ratio_of_wall": ratio(found["ours"], found["bare"], "wall"),
        BOTH_KEEP: ratio(found["ours"], found["kept"]),
        "ratio_of_lightning": ratio(found["lightning"], found["bare"]),
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
        "where both keep memory",
        "Lightning alone",
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
            shown(row[BOTH_KEEP], ".3f") if BOTH_KEEP in row else "not measured",
            shown(row["ratio_of_lightning"], ".3f"),
            row["aim"],
            f"{row['losses_differ']:.0e}",
        )
        for row in result["rows"]
    ]
    return markdown(head, rows)


def main(arguments: list[str]) -> None:
    """Measures; takes about ten minutes."""
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
