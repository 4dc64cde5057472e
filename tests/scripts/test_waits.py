"""What the benchmarks of waiting and of the start make of what they have measured."""

from __future__ import annotations

from benchmarks import contention, startup

RATES = {
    "default": {"alone": [900.0, 1000.0, 1100.0], "a Python loop": [20.0, 30.0, 240.0]},
    "passive": {"alone": [700.0, 800.0, 950.0], "a Python loop": [300.0, 500.0, 550.0]},
    "one thread": {"alone": [600.0, 610.0, 620.0], "a Python loop": [590.0, 600.0, 605.0]},
}


def test_ways_to_wait_are_judged_alone_by_the_default_and_beside_others_by_one_thread() -> None:
    assert [*contention.aims(RATES)] == [
        "default, a Python loop: 0.05 of one thread's median, 0.03 at the least",
        "passive, alone: 0.80 of default's median, 0.70 at the least",
        "passive, a Python loop: 0.83 of one thread's median, 0.50 at the least",
        "one thread, alone: 0.61 of default's median, 0.60 at the least",
    ]


def test_the_table_has_medians_and_what_the_program_chooses() -> None:
    text = contention.table({"rates": RATES, "chosen": {"alone": "spinning: the cores were free"}})
    assert "800 (700 to 950)" in text
    assert "* Chosen alone: spinning: the cores were free." in text


def test_a_start_that_takes_too_long_is_marked() -> None:
    parts = dict(zip(startup.PARTS, ([1.4], [2.7], [0.9], [0.1]), strict=True))
    late = parts | {"until the first batch": [2.95]}
    quick, slow = {"processor": [0.1], "clock": [9.0]}, {"processor": [1.2], "clock": [1.3]}
    seconds = {"--help": quick, "fit --help": slow, "a": parts, "b": late}
    lines = startup.table({"seconds": seconds}).splitlines()
    assert [line.endswith("too long |") for line in lines if "`" in line] == [
        *(False, True, False, True)
    ]


def test_every_help_is_asked_for() -> None:
    from lightning_gan.cli.commands import COMMANDS

    assert {*startup.COMMANDS} == COMMANDS.keys()
