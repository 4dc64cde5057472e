"""Progress in a terminal is a bar, and in a file lines that are few."""

import io
import sys
import time

import pytest
from tiny import fit, points_gan

from lightning_gan.callbacks import Balance, ImagesBar
from lightning_gan.callbacks.progress_bar import Lines


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_a_file_gets_a_line_every_ten_seconds_and_the_first_and_the_last(clock: Clock) -> None:
    file = io.StringIO()
    lines = Lines(0, 150_016, file)
    for second in range(1, 26):
        clock.now = 100.0 + second
        lines.show(second * 1000, {"D(x)": "0.63", "D(G(z))": "0.37"})
    lines.close()
    assert file.getvalue().splitlines() == [
        "images 0 of 150,016 (0 %)",
        "images 10,000 of 150,016 (7 %), 1,000/s, D(x)=0.63, D(G(z))=0.37",
        "images 20,000 of 150,016 (13 %), 1,000/s, D(x)=0.63, D(G(z))=0.37",
        "images 25,000 of 150,016 (17 %), 1,000/s, D(x)=0.63, D(G(z))=0.37",
    ]


def test_a_run_that_goes_on_begins_where_it_was_and_an_open_one_has_no_share(clock: Clock) -> None:
    file = io.StringIO()
    lines = Lines(500, None, file)
    lines.close()
    clock.now += 2
    lines.show(700, {})
    lines.close()
    lines.close()
    assert file.getvalue().splitlines() == ["images 500", "images 700, 100/s"]


def test_a_training_writes_lines_to_a_file_and_draws_a_bar_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> None:
        balance = Balance(every=2)
        fit(points_gan(), 6, callbacks=[ImagesBar(refresh=0), balance], enable_progress_bar=True)

    shown()
    first, last = capsys.readouterr().err.splitlines()
    assert first == "images 0 of 48 (0 %)"
    assert last.startswith("images 48 of 48 (100 %), ")
    assert "D(x)=" in last
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    shown()
    assert "48.0/48.0" in terminal.getvalue()
    assert "D(G(z))=" in terminal.getvalue()
