"""The progress of the whole training, counted in images: a bar, or lines in a file."""

import sys
import time
from typing import Protocol, TextIO

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities import rank_zero_warn
from tqdm.auto import tqdm

from lightning_gan.basics.waiting import SLEEPING, VARIABLE, may_spin
from lightning_gan.callbacks.base import GANCallback
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.errors import at_least, check_range
from lightning_gan.gan import GAN
from lightning_gan.metrics.balance import BalanceResult

SLOW = 0.2
"""Share of the best pace below which a training is slow."""
WINDOW = 3.0
"""Seconds of training that a pace is taken over."""
BETWEEN_LINES = 10.0
"""Seconds between two lines of progress, where it is written to a file."""


class Progress(Protocol):
    """What shows how many images were seen."""

    def show(self, images: int, numbers: dict[str, str]) -> None:
        """Shows the images seen so far, and live numbers."""

    def close(self) -> None:
        """Shows the last state."""


class Bar:
    """A bar in a terminal or notebook.

    Args:
        seen: Images that were seen before.
        total: Images there will be; None if that is open.
        refresh: Seconds between two updates.
    """

    def __init__(self, seen: int, total: int | None, refresh: float) -> None:
        self._bar = tqdm(
            total=total,
            initial=seen,
            desc="images",
            unit="",
            unit_scale=True,
            mininterval=refresh,
            dynamic_ncols=True,
            smoothing=0.05,
        )
        self._numbers: dict[str, str] = {}

    def show(self, images: int, numbers: dict[str, str]) -> None:
        """Advances the bar."""
        self._bar.update(images - self._bar.n)
        if numbers is not self._numbers:
            self._numbers = numbers
            self._bar.set_postfix(numbers, refresh=False)

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()


class Lines:
    """Lines in a file, ``images 12,800 of 150,016 (9 %), 928/s, D(x)=0.63, D(G(z))=0.37``.

    Args:
        seen: Images that were seen before.
        total: Images there will be; None if that is open.
        file: Where they are written.
    """

    def __init__(self, seen: int, total: int | None, file: TextIO) -> None:
        self._total = total
        self._file = file
        self._latest: tuple[int, dict[str, str]] = (seen, {})
        self._written = (seen, time.monotonic())
        self._write(seen, {}, rate=None)

    def show(self, images: int, numbers: dict[str, str]) -> None:
        """Writes a line if the last one is some time ago."""
        self._latest = (images, numbers)
        if time.monotonic() - self._written[1] >= BETWEEN_LINES:
            self._write_latest()

    def close(self) -> None:
        """Writes the last state, unless it stands there."""
        if self._latest[0] != self._written[0]:
            self._write_latest()

    def _write_latest(self) -> None:
        (images, numbers), (before, then), now = self._latest, self._written, time.monotonic()
        self._write(images, numbers, rate=(images - before) / max(now - then, 1e-9))
        self._written = (images, now)

    def _write(self, images: int, numbers: dict[str, str], rate: float | None) -> None:
        total = self._total
        of = f" of {total:,} ({100 * images / total:.0f} %)" if total else ""
        parts = [f"images {images:,}{of}"]
        parts += [] if rate is None else [f"{rate:,.0f}/s"]
        parts += [f"{name}={value}" for name, value in numbers.items()]
        self._file.write(", ".join(parts) + "\n")
        self._file.flush()


class Pace:
    """Images a second while training, against the best of the run.

    Args:
        window: Seconds of training that one rate is of.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._images, self._seconds = 0, 0.0
        self._slow_windows = 0
        self.best = self.now = 0.0

    def add(self, images: int, seconds: float) -> None:
        """Counts a batch."""
        self._images += images
        self._seconds += seconds
        if self._seconds >= self._window:
            self.now = self._images / self._seconds
            self.best = max(self.best, self.now)
            self._slow_windows = self._slow_windows + 1 if self.now < SLOW * self.best else 0
            self._images, self._seconds = 0, 0.0

    def has_fallen(self) -> bool:
        """Whether it is slow, and not for a moment only, as when the process was stopped."""
        return self._slow_windows >= 2


class ImagesBar(GANCallback, ProgressBar):
    """Shows the images seen, images a second, and the live balance D(x), D(G(z)).

    In a terminal it is a bar; in a file, such as the log of a job, a line every ten seconds. A
    training on several threads of a CPU that slows down to a fifth of its best warns once, and says
    how threads should wait where other programs need the cores.

    Args:
        refresh: Seconds between two updates of the bar.

    Raises:
        ConfigurationError: If ``refresh`` is negative or NaN.
    """

    def __init__(self, refresh: float = 0.5) -> None:
        super().__init__()
        check_range(self, at_least(0), refresh=refresh)
        self.refresh = refresh
        self._progress: Progress | None = None
        self._enabled = True
        self._pace: Pace | None = None
        self._started = (0.0, 0)
        self._shown: tuple[BalanceResult | None, dict[str, str]] = (None, {})

    def disable(self) -> None:
        """Shows nothing from now on."""
        self._enabled = False

    def enable(self) -> None:
        """Shows the bar again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Opens the bar at the images that were seen before."""
        spinning = gan.device.type == "cpu" and torch.get_num_threads() > 1 and may_spin()
        self._pace = Pace(WINDOW) if spinning else None
        if self._enabled and trainer.is_global_zero:
            seen, total = _images(gan), gan.max_images
            drawn = sys.stderr.isatty() or "ipykernel" in sys.modules
            self._progress = (
                Bar(seen, total, self.refresh) if drawn else Lines(seen, total, sys.stderr)
            )

    def on_train_batch_start(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Looks at the clock."""
        self._started = (time.perf_counter(), gan.progress.images)

    def on_train_batch_end(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Advances the bar; numbers change when the balance has new ones."""
        if self._pace is not None:
            began, images = self._started
            self._pace.add(gan.progress.images - images, time.perf_counter() - began)
            if self._pace.has_fallen():
                rank_zero_warn(slowed(self._pace))
                self._pace = None
        if self._progress is not None:
            report = measurements(trainer).training
            balance = report.balance if report else None
            if balance is not self._shown[0]:
                self._shown = (balance, live_numbers(balance))
            self._progress.show(_images(gan), self._shown[1])

    def on_train_end(self, trainer: Trainer, gan: GAN) -> None:
        """Closes the bar."""
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def on_exception(self, trainer: Trainer, gan: GAN, exception: BaseException) -> None:
        """Closes the bar, so that the message stands on a line of its own."""
        self.on_train_end(trainer, gan)


def slowed(pace: Pace) -> str:
    """That a training has become slow, and what to do."""
    return (
        f"Training has slowed down to {pace.now:,.0f} images/s, less than a fifth of its best "
        f"({pace.best:,.0f}/s). If other programs need the cores, stop with Ctrl-C and go on with "
        f"{VARIABLE}={SLEEPING} before the command and --ckpt_path last: threads that sleep while "
        "they wait leave the cores to others."
    )


def _images(gan: GAN) -> int:
    """Images seen, of those that the bar counts."""
    return min(gan.progress.images, gan.max_images or gan.progress.images)


def live_numbers(balance: BalanceResult | None) -> dict[str, str]:
    """D(x) and D(G(z)) as probabilities where they exist, as logits otherwise."""
    if balance is None:
        return {}
    if balance.real_probability is not None and balance.fake_probability is not None:
        shown = {"D(x)": balance.real_probability, "D(G(z))": balance.fake_probability}
    else:
        shown = {"score(x)": balance.real_logits, "score(G(z))": balance.fake_logits}
    return {name: f"{spread.mean:.2f}" for name, spread in shown.items()}
