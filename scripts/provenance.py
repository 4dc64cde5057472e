"""How a line of results was made, for the scripts that write such lines."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import Any

import torch


def provenance() -> dict[str, Any]:
    """Commit, version of torch, machine and threads."""
    return {
        "commit": commit(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
    }


def commit() -> str:
    """The commit of the working tree, marked where it was changed since."""
    words = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
