"""A stand-in for SLURM on one machine: its programs sbatch, squeue, scancel, srun and scontrol.

For ``scripts/walks/cluster.sh``; it knows the options that are used there, and nothing of nodes.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(os.environ.get("WALK_SLURM", ".slurm"))
"""A file for each job, with the number of its process while it is there."""


def sbatch(arguments: list[str]) -> int:
    """Starts a job in the background, with --wait until its end."""
    options = list(itertools.takewhile(lambda word: word.startswith("-"), arguments))
    job = str(1001 + len(list(FOLDER.glob("*.log"))))
    with (FOLDER / f"{job}.log").open("w") as log:
        command = [sys.executable, __file__, "job", job, *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    sys.stdout.write(f"Submitted batch job {job}\n")
    sys.stdout.flush()
    if "--wait" in options:
        return process.wait()
    (FOLDER / f"{job}.here").touch()
    return 0


def run_job(arguments: list[str]) -> int:
    """Runs the script of a job, and again as often as it is put back into the queue."""
    job, *rest = arguments
    script = next(index for index, word in enumerate(rest) if not word.startswith("-"))
    given = dict(word.removeprefix("--").partition("=")[::2] for word in rest[:script])
    here, requeued = FOLDER / f"{job}.here", FOLDER / f"{job}.requeue"
    try:
        while True:
            with Path(f"gan-{job}.out").open("a") as out:
                process = subprocess.Popen(
                    ["bash", *rest[script:]],
                    env=os.environ | _environment(job, given["ntasks-per-node"]),
                    stdout=out,
                    stderr=out,
                )
            here.write_text(str(process.pid))
            code = process.wait()
            if not requeued.exists():
                return code
            requeued.unlink()
    finally:
        here.unlink(missing_ok=True)


def _environment(job: str, tasks: str) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "SLURM_JOB_ID": job,
        "SLURM_JOB_NAME": "gan",
        "SLURM_NNODES": "1",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NTASKS": tasks,
        "SLURM_NTASKS_PER_NODE": tasks,
        "SLURM_NODELIST": "localhost",
        "SLURM_NODEID": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def squeue(arguments: list[str]) -> int:
    """Prints a job while it is there."""
    job = arguments[-1]
    sys.stdout.write(f"{job} gan\n" if (FOLDER / f"{job}.here").exists() else "")
    return 0


def scancel(arguments: list[str]) -> int:
    """Sends a signal to all tasks of a job."""
    number = getattr(signal, f"SIG{arguments[0].partition('=')[2]}")
    os.kill(int((FOLDER / f"{arguments[-1]}.here").read_text()), number)
    return 0


def scontrol(arguments: list[str]) -> int:
    """Puts a job back into the queue."""
    (FOLDER / f"{arguments[-1]}.requeue").touch()
    return 0


def srun(arguments: list[str]) -> int:
    """Runs lightning-gan as so many tasks, which share the import of its modules."""
    words = list(itertools.dropwhile(lambda word: word.startswith("-"), arguments))
    from lightning.pytorch.utilities import rank_zero_only

    from lightning_gan.__main__ import main
    from lightning_gan.cli import program  # noqa: F401 - the import that takes long

    tasks = []
    for rank in range(int(os.environ["SLURM_NTASKS"])):
        task = os.fork()
        if task == 0:
            os.environ |= {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
            rank_zero_only.rank = rank  # as an import in this process would have found it
            sys.argv = words
            code = main()
            sys.stdout.flush()
            os._exit(code)
        tasks.append(task)
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: [os.kill(task, number) for task in tasks])
    return max(os.waitstatus_to_exitcode(os.waitpid(task, 0)[1]) for task in tasks)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "job": run_job,
    "sbatch": sbatch,
    "squeue": squeue,
    "scancel": scancel,
    "scontrol": scontrol,
    "srun": srun,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    sys.exit(COMMANDS[sys.argv[1]](sys.argv[2:]))
