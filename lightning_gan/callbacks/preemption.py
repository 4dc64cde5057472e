"""What a scheduler does to a run: signals, and the way back into SLURM's queue."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Trainer

from lightning_gan.errors import ConfigurationError

REQUEUED_EXIT_CODE = 75
"""Exit code of a run that SLURM starts again (sysexits.h: a temporary failure)."""

SCONTROL_SECONDS = 60
"""How long the answer of SLURM's controller is waited for."""

Handler = Callable[[int, FrameType | None], Any] | int | None


class Interrupted(SystemExit):
    """Training was told to stop; everything up to the last whole batch is saved.

    It ends the program with 128 + the signal's number, as a shell has it, or with 75 where SLURM
    is going to start it again.

    Args:
        signal_number: The signal that asked for it.
        checkpoint: Where training can go on from.
        images: Images seen.
        job: The SLURM job that was to be put back into the queue; empty for none.
        failure: Why that failed; empty if it did not.
    """

    count = 0
    """How many there have been in this process."""

    def __init__(
        self, signal_number: int, checkpoint: Path, images: int, job: str = "", failure: str = ""
    ) -> None:
        Interrupted.count += 1
        self.signal_number = signal_number
        self.requeued = bool(job) and not failure
        name = signal.Signals(signal_number).name
        if self.requeued:
            then = f"job {job} is back in SLURM's queue and goes on from there."
        elif job:
            then = (
                f"job {job} could not be put back into SLURM's queue ({failure}): submit it again "
                "with --ckpt_path last to go on."
            )
        else:
            then = "run the same command with --ckpt_path last to go on."
        self._sentence = (
            f"Stopped by {name} after {images} images; everything is in {checkpoint}"
            f"{', and ' if self.requeued else ', but ' if job else ': '}{then}"
        )
        super().__init__(self._sentence)
        self.code = REQUEUED_EXIT_CODE if self.requeued else 128 + signal_number
        if is_helper():
            self.code = 0

    def __str__(self) -> str:
        return self._sentence


def is_helper() -> bool:
    """Whether this is a process that Lightning started beside the one that the user did.

    Such a one ends quietly with 0: Lightning kills the whole run if it sees another exit code.
    """
    outside = "RANK" in os.environ or under_slurm()  # torchrun or srun started all
    return int(os.environ.get("LOCAL_RANK", "0")) > 0 and not outside


def under_slurm() -> bool:
    """Whether SLURM started this process and its siblings; interactive shells do not count."""
    return "SLURM_NTASKS" in os.environ and not _interactive()


def _interactive() -> bool:
    return SLURMEnvironment.job_name() in ("bash", "interactive")


def slurm_job() -> str:
    """The SLURM job that this process belongs to, as scontrol names it; empty for none."""
    if _interactive():
        return ""
    # One task of an array may bear the number of the whole array, so that it must be named by both.
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")
    return job if re.fullmatch(r"[0-9_]+", job) else ""


def requeue(job: str) -> str:
    """Puts a SLURM job back into the queue; returns why that failed, or nothing."""
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job],
            capture_output=True,
            text=True,
            timeout=SCONTROL_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return "there is no scontrol on this machine"
    except subprocess.TimeoutExpired:
        return f"scontrol gave no answer in {SCONTROL_SECONDS} seconds"
    except OSError as error:
        return f"scontrol could not be run: {error.strerror}"
    if done.returncode == 0:
        return ""
    said = " ".join((done.stderr or done.stdout).split()).rstrip(".")
    return f"scontrol ended with {done.returncode}" + (f": {said[:200]}" if said else "")


class Signals:
    """Notes signals, to be asked for between two batches. A second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.received: set[int] = set()
        self._before: dict[int, Handler] = {}

    def listen(self, numbers: Iterable[int]) -> None:
        """Notes these signals from now on, in the place of what handled them before."""
        for number in numbers:
            if number in self._before:
                continue
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # not in the main thread, where Python allows no handlers
                return

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and number in self.received:
            raise KeyboardInterrupt
        self.received.add(number)

    def restore(self) -> None:
        """Puts the handlers back, and forgets what came."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()
        self.received.clear()


def stop_signals(trainer: Trainer) -> tuple[int, ...]:
    """The signals that end a training, the one that asks for a requeue first."""
    environment = _environment(trainer)
    chosen = environment.requeue_signal if isinstance(environment, SLURMEnvironment) else None
    return _signals(chosen)


@contextmanager
def ignore_further_signals() -> Iterator[None]:
    """Once a training inside has been interrupted, further signals pass without effect.

    Schedulers and users send several in a row; what is left to do takes a second, and must not be
    cut off, even after this context, since the program is about to end. Until then, and where no
    training is interrupted, signals do what they did before.
    """
    earlier = Interrupted.count
    before = {number: signal.getsignal(number) for number in _signals()}

    def handle(number: int, frame: FrameType | None) -> None:
        if Interrupted.count > earlier:
            return
        handler = before[number]
        if callable(handler):
            handler(number, frame)
        elif handler != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    if threading.current_thread() is not threading.main_thread():  # where Python has no handlers
        yield
        return
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        if Interrupted.count == earlier:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _signals(first: int | None = None) -> tuple[int, ...]:
    """The signals that stop a training, SIGUSR1 or what stands for it first; Windows has none."""
    first = first or getattr(signal, "SIGUSR1", None)
    return tuple(number for number in (first, signal.SIGINT, signal.SIGTERM) if number is not None)


def _environment(trainer: Trainer) -> object:
    return trainer._accelerator_connector.cluster_environment


def _listeners(trainer: Trainer) -> list[tuple[Any, str]]:
    """Lightning's ways to listen for signals; these names are its own, not promised to stay."""
    return [
        (trainer._signal_connector, "register_signal_handlers"),
        (trainer.fit_loop.epoch_loop, "_broadcast_sigterm_tensor"),
    ]


def _nothing() -> None:
    """What they are replaced by."""


def take_over_signals(trainer: Trainer) -> None:
    """Keeps Lightning from handling signals by itself, until :func:`release_signals`.

    Its handlers write checkpoints in the midst of a batch and talk to other processes from inside
    a handler, which hangs where these are elsewhere; and before every batch of several processes
    it asks all of them for a signal, for which the device has to be waited for.
    """
    disable_slurm_requeue(trainer)
    for owner, name in _listeners(trainer):
        setattr(owner, name, _nothing)


def release_signals(trainer: Trainer) -> None:
    """Lets Lightning handle signals again."""
    for owner, name in _listeners(trainer):
        owner.__dict__.pop(name, None)


def disable_slurm_requeue(trainer: Trainer) -> None:
    """Turns off the checkpoints that Lightning writes by itself when SLURM sends a signal."""
    environment = _environment(trainer)
    if isinstance(environment, SLURMEnvironment):
        environment.auto_requeue = False


def refuse_slurm_checkpoints(folder: str | Path, ckpt_path: object) -> None:
    """Refuses checkpoints that Lightning's own SLURM handler left, and would load unasked.

    Args:
        folder: Where Lightning looks for them.
        ckpt_path: The checkpoint asked for; None or one of the above where none was.

    Raises:
        ConfigurationError: With the file to move away.
    """
    found = sorted(Path(folder).glob("hpc_ckpt_*.ckpt"))
    asked = ckpt_path is not None and Path(str(ckpt_path)) not in found
    if found and not asked and under_slurm():
        raise ConfigurationError(
            f"{found[-1]} was written by Lightning in the midst of a batch and would be loaded "
            "unasked: move it out of that folder, and give it as --ckpt_path if it is what you "
            "want."
        )
