"""Progress in a terminal is a bar, and in a file lines that are few."""

import io
import sys
import time
import warnings

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from tiny import fit, points_gan

from lightning_gan.callbacks import Balance, ImagesBar, progress_bar
from lightning_gan.callbacks.progress_bar import Lines, Pace
from lightning_gan.gan import GAN


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


def test_a_pace_has_fallen_when_it_stays_below_a_fifth_of_its_best() -> None:
    pace = Pace(window=2.0)
    for images in (500, 1000, 500, 150, 1000):  # a second each, twice
        pace.add(images, 1.0)
        pace.add(images, 1.0)
        assert not pace.has_fallen()
    assert (pace.best, pace.now) == (1000.0, 1000.0)
    pace.add(190, 2.0)
    assert not pace.has_fallen()  # it may have been stopped for a moment
    pace.add(190, 2.0)
    assert pace.has_fallen()


@pytest.mark.parametrize(
    ("threads", "policy", "warned"), [(2, "", True), (2, "passive", False), (1, "", False)]
)
def test_a_training_that_becomes_slow_warns_once_and_says_what_to_do(
    threads: int, policy: str, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    monkeypatch.setattr(progress_bar, "WINDOW", 1.0)
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)

    class Slower(Callback):
        """Makes a batch take one second, and from the tenth on six."""

        def on_train_batch_end(self, trainer: Trainer, gan: GAN, *_: object) -> None:
            clock.now += 1.0 if gan.progress.batches < 10 else 6.0

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(points_gan(), 30, callbacks=[Slower(), ImagesBar()], enable_progress_bar=True)
    said = [str(each.message) for each in caught if "slowed down" in str(each.message)]
    assert len(said) == warned
    for sentence in said:
        assert sentence.startswith(
            "Training has slowed down to 1 images/s, less than a fifth of its best (8/s)"
        )
        assert "OMP_WAIT_POLICY=PASSIVE" in sentence
