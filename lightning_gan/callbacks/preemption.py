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
        name, code = signal.Signals(signal_number).name, 128 + signal_number
        if not job:
            then = ": run the same command with --ckpt_path last to go on."
        elif failure:
            then = (
                f", but job {job} could not be put back into SLURM's queue ({failure}): submit it "
                "again with --ckpt_path last to go on."
            )
        else:
            then = f", and job {job} is back in SLURM's queue and goes on from there."
            code = REQUEUED_EXIT_CODE
        super().__init__(
            f"Stopped by {name} after {images:,} images; everything is in {checkpoint}{then}"
        )
        self.code = 0 if is_helper() else code


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
        self.before: dict[int, Handler] = {}

    def listen(self, numbers: Iterable[int], handler: Handler = None) -> None:
        """Notes these signals from now on, in the place of what handled them before.

        Args:
            numbers: The signals.
            handler: What is done instead of noting them.
        """
        if threading.current_thread() is not threading.main_thread():
            return  # there Python allows no handlers
        for number in numbers:
            if number not in self.before:
                self.before[number] = signal.getsignal(number)
                signal.signal(number, handler or self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and number in self.received:
            raise KeyboardInterrupt
        self.received.add(number)

    def restore(self) -> None:
        """Puts the handlers back, and forgets what came."""
        for number, handler in self.before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self.before.clear()
        self.received.clear()


def stop_signals(environment: object = None) -> tuple[int, ...]:
    """The signals that end a training, the one that asks for a requeue first.

    That is SIGUSR1, which Windows does not have, or what SLURM's environment has in its place.
    """
    chosen = environment.requeue_signal if isinstance(environment, SLURMEnvironment) else None
    first = chosen or getattr(signal, "SIGUSR1", None)
    return tuple(number for number in (first, signal.SIGINT, signal.SIGTERM) if number is not None)


@contextmanager
def ignore_further_signals() -> Iterator[None]:
    """Once a training inside has been interrupted, further signals pass without effect.

    Schedulers and users send several in a row; what is left to do takes a second, and must not be
    cut off, even after this context, since the program is about to end. Until then, and where no
    training is interrupted, signals do what they did before.
    """
    earlier, signals = Interrupted.count, Signals()

    def handle(number: int, frame: FrameType | None) -> None:
        if Interrupted.count > earlier:
            return
        handler = signals.before[number]
        if callable(handler):
            handler(number, frame)
        elif handler != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signals.listen(stop_signals(), handle)
    try:
        yield
    finally:
        if Interrupted.count == earlier:
            signals.restore()


def cluster_environment(trainer: Trainer) -> object:
    """What started the processes of the run, as Lightning found it."""
    return trainer._accelerator_connector.cluster_environment


def _listeners(trainer: Trainer) -> list[tuple[Any, str]]:
    """Lightning's ways to listen for signals; these names are its own, not promised to stay."""
    return [
        (trainer._signal_connector, "register_signal_handlers"),
        (trainer.fit_loop.epoch_loop, "_broadcast_sigterm_tensor"),
    ]


def take_over_signals(trainer: Trainer) -> None:
    """Keeps Lightning from handling signals by itself, until :func:`release_signals`.

    Its handlers write checkpoints in the midst of a batch and talk to other processes from inside
    a handler, which hangs where these are elsewhere; and before every batch of several processes
    it asks all of them for a signal, for which the device has to be waited for.
    """
    disable_slurm_requeue(trainer)
    for owner, name in _listeners(trainer):
        setattr(owner, name, lambda: None)


def release_signals(trainer: Trainer) -> None:
    """Lets Lightning handle signals again."""
    for owner, name in _listeners(trainer):
        owner.__dict__.pop(name, None)


def disable_slurm_requeue(trainer: Trainer) -> None:
    """Turns off the checkpoints that Lightning writes by itself when SLURM sends a signal."""
    environment = cluster_environment(trainer)
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
