"""How the threads that compute wait for each other: it decides how fast a busy machine trains.

OpenMP's threads spin while they wait, which is fastest where every thread has a core of its own.
Where other programs need the cores too, a spinning thread keeps the one that it waits for from
running, and a training slows down to a tenth. Threads that sleep cost little there. Which of the
two it is must be said before torch is imported, and changes no bit of what is computed.
"""

import os
import statistics
import sys
import time
from pathlib import Path

VARIABLE, SLEEPING = "OMP_WAIT_POLICY", "PASSIVE"
"""By what all OpenMP runtimes are told that threads sleep: GNU's, which torch has on Linux, too."""
SETTINGS = ("OMP_", "GOMP_", "KMP_")
"""How the variables begin by which a user sets OpenMP."""
LOADAVG, QUOTA = Path("/proc/loadavg"), Path("/sys/fs/cgroup/cpu.max")
PAIRED = Path("/sys/devices/system/cpu/smt/active")
LOOKS, BETWEEN = 5, 0.01
"""How often is looked who is running, and the seconds between."""

_chosen = ""


def choose_waiting() -> None:
    """Lets threads sleep while they wait, where others need their cores.

    Nothing is changed where torch has been imported or the user has set anything of OpenMP.
    """
    global _chosen
    if "torch" in sys.modules or settings():
        return
    crowd = crowding()
    if crowd:
        os.environ[VARIABLE] = SLEEPING
    _chosen = f"sleeping: {crowd}" if crowd else "spinning: the cores were free"


def waiting() -> str:
    """How threads wait, and why, in words; empty where nobody has said anything."""
    return _chosen or ", ".join(f"{name}={value}" for name, value in settings().items())


def may_spin() -> bool:
    """Whether threads may spin while they wait."""
    return os.environ.get(VARIABLE, "").upper() != SLEEPING


def settings() -> dict[str, str]:
    """The variables that are set about OpenMP."""
    return {name: x for name, x in sorted(os.environ.items()) if name.startswith(SETTINGS)}


def crowding() -> str:
    """Why not every thread has a core of its own, in words; empty where each has."""
    cores, ours, quota = os.cpu_count() or 1, _cores(), _quota()
    threads = max(ours // _threads_of_a_core(), 1)  # torch takes one a core
    if quota is not None and quota < threads:
        return f"{threads} threads have the time of {quota:g} cores"
    if ours < cores:  # who runs on these is not told
        return ""
    others = _others()
    return f"{others} others ran on {cores} cores" if others + threads > cores else ""


def _cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _threads_of_a_core() -> int:
    """2 where each core is shown as two; else 1."""
    try:
        return 2 if PAIRED.read_text(encoding="ascii").strip() == "1" else 1
    except OSError:
        return 1


def _others() -> int:
    """How many other threads want to run at this moment; of the last minute where that is not told.

    The median of a few looks, since everybody runs for a moment now and then.
    """
    looks = []
    try:
        for _ in range(LOOKS):
            running, _, _ = LOADAVG.read_text(encoding="ascii").split()[3].partition("/")
            looks.append(int(running) - 1)
            time.sleep(BETWEEN)
    except (OSError, ValueError, IndexError):  # not on Linux
        return round(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    return round(statistics.median(looks))


def _quota() -> float | None:
    """Cores' worth of time that a container may use; None for no limit."""
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # there is none, or it is "max"
        return None
