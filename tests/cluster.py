"""A cluster made of stand-ins: SLURM's environment, srun, sbatch and scontrol."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE = 120
"""Seconds to wait for processes; far more than they take on a quiet machine."""

SCONTROL = """#!/bin/sh
echo "$@" >> "$SCONTROL_LOG"
kill -TERM $PPID  # SLURM ends the tasks of a job that it puts back into the queue
exit ${SCONTROL_CODE:-0}
"""
SRUN = """#!/bin/sh
while case "$1" in -*) true ;; *) false ;; esac; do shift; done
SLURM_PROCID=0 SLURM_LOCALID=0 exec "$@"
"""
PROGRAM = f"""#!/bin/sh
exec {sys.executable} -m lightning_gan "$@"
"""


def slurm(folder: Path, tasks: int) -> dict[str, str]:
    """The environment that SLURM gives to all tasks, and stand-ins for its programs."""
    bin = folder / "bin"
    bin.mkdir(parents=True)
    for name, text in {"scontrol": SCONTROL, "srun": SRUN, "lightning-gan": PROGRAM}.items():
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)]),
        "LIGHTNING_GAN_VENV": str(folder),
        "OMP_NUM_THREADS": "1",
        "SCONTROL_LOG": str(folder / "scontrol.log"),
        "SLURM_JOB_ID": "4242",
        "SLURM_JOB_NAME": "gan",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NNODES": "1",
        "SLURM_NTASKS": str(tasks),
        "SLURM_NTASKS_PER_NODE": str(tasks),
        "SLURM_NODELIST": "localhost",
        "SLURM_NODEID": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def srun(environment: dict[str, str], *command: str) -> list[subprocess.Popen[str]]:
    """Starts a command as so many tasks as the environment says."""
    return [
        subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | environment | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank},
            cwd=HERE.parent,
        )
        for rank in map(str, range(int(environment["SLURM_NTASKS"])))
    ]


def sbatch(folder: Path, environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    """Starts the script of the project as a job that was submitted in `folder`."""
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        ["bash", str(HERE.parent / "scripts" / "slurm" / "train.sbatch"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
        cwd=folder,
    )


def end(tasks: list[subprocess.Popen[str]]) -> tuple[list[int], str]:
    """The exit codes, and all that was said."""
    try:
        output = "".join(task.communicate(timeout=PATIENCE)[0] for task in tasks)
    finally:
        for task in tasks:
            task.kill()
    return [task.returncode for task in tasks], output
