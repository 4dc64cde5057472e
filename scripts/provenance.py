"""How a line of results was made, for the scripts that write such lines."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import Any

import torch
from checkout import ROOT

RESULTS = ("results", "docs/performance", "docs/performance.md")
"""Written by the scripts that measure."""


def provenance() -> dict[str, Any]:
    """Commit, version of torch, machine and threads."""
    return {
        "commit": commit(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
    }


def commit() -> str:
    """The commit of the working tree, marked where more than results was changed since."""
    name = _git("describe", "--always", "--exclude=*")
    ours = [f":!{path}" for path in RESULTS]
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *ours)
    return f"{name}-dirty" if changed else name or "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout.strip()
