"""The Frechet distance against torchmetrics'; run as ``python scripts/benchmark.py metrics``.

Both sides get the same means and covariances of 2048 features, with as many threads, in float64,
and take turns; of each the fastest turn counts, since a shared machine only ever adds time. Ours
has the reals' factor at hand, as a reference keeps it. Their errors are of tr (AB)^1/2, where it is
known: covariances that commute, and samples fewer than features. Memory is what 50,000 samples in
batches of 500 add to the peak of a fresh process.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import checkout  # noqa: F401 - finds the package
import torch
from torch import Tensor
from torchmetrics.image.fid import _compute_fid
from tqdm import tqdm

from lightning_gan.metrics import (
    FrechetDistance,
    ReferenceStatistics,
    frechet_distance,
    get_extractor,
)
from lightning_gan.metrics.frechet import covariance_factor

SIZE = 2048
ROUNDS = 5
AIM = 3.0
"""How many times as fast as torchmetrics' the distance has to be."""
SAMPLES, BATCH = 50_000, 500


class Known(NamedTuple):
    """Two covariances and the trace of the square root of their product."""

    name: str
    first: Tensor
    second: Tensor
    trace: float


def commuting(name: str, a: Tensor, b: Tensor, basis: Tensor) -> Known:
    """Covariances of those eigenvalues (D,) in one basis (D, D)."""
    first, second = ((basis * values) @ basis.T for values in (a, b))
    trace = float((a * b).sqrt().sum())
    return Known(name, (first + first.T) / 2, (second + second.T) / 2, trace)


def sampled(size: int, count: int, random: torch.Generator) -> Known:
    """Covariances of so many samples on each side; the trace by their small inner products."""
    sides = []
    for scale in (1.0, 1.2):
        rows = scale * torch.randn(count, size, generator=random, dtype=torch.float64)
        sides.append((rows - rows.mean(0)) / (count - 1) ** 0.5)
    trace = float(torch.linalg.svdvals(sides[0] @ sides[1].T).sum())
    return Known(f"{count} samples", sides[0].T @ sides[0], sides[1].T @ sides[1], trace)


def cases(size: int) -> list[Known]:
    """Condition numbers from good to none, and fewer samples than features."""
    random = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(size, size, generator=random).double()).Q
    mixed = torch.randperm(size, generator=random)
    found = []
    for power in (2, 6, 12):
        values = torch.logspace(0, -power, size, dtype=torch.float64)
        found.append(commuting(f"condition 1e{power}", values, values[mixed], basis))
    values = torch.logspace(0, -2, size, dtype=torch.float64)
    first, second = values.clone(), values.clone()
    first[size // 2 :], second[: size // 4] = 0, 0
    found.append(commuting("singular", first, second, basis))
    return [*found, sampled(size, size // 2, random)]


def compare(known: Known, rounds: int = 1) -> dict[str, Any]:
    """Errors of the trace, and seconds of the fastest turn, of both sides."""
    zero = torch.zeros(len(known.first), dtype=torch.float64)
    factor = covariance_factor(known.first)
    traces = float(known.first.trace() + known.second.trace())
    seconds: tuple[list[float], list[float]] = ([], [])
    found = [0.0, 0.0]
    for _ in range(rounds):
        started = time.perf_counter()
        ours = frechet_distance(zero, known.first, zero, known.second, factor_a=factor)
        between = time.perf_counter()
        theirs = _compute_fid(zero, known.first, zero, known.second)
        seconds[0].append(between - started)
        seconds[1].append(time.perf_counter() - between)
        found = [float(ours), float(theirs)]
    errors = [abs(traces - value - 2 * known.trace) / 2 for value in found]
    return {
        "case": known.name,
        "ours_error": errors[0],
        "torchmetrics_error": errors[1],
        "ours_s": min(seconds[0]),
        "torchmetrics_s": min(seconds[1]),
        "ratio": min(seconds[1]) / min(seconds[0]),
    }


def memory(size: int, samples: int) -> dict[str, Any]:
    """Megabytes that a fresh process needs more at its peak for so many samples, and seconds."""
    done = subprocess.run(
        [sys.executable, __file__, str(size), str(samples)],
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def work(size: int, samples: int) -> None:
    """Updates a metric in this process and prints what that took."""
    extractor = get_extractor("identity")
    reference = ReferenceStatistics(torch.zeros(size), torch.eye(size, dtype=torch.float64), 50_000)
    before, started = kilobytes("VmRSS"), time.perf_counter()
    metric = FrechetDistance(extractor, reference)
    for start in range(0, samples, BATCH):
        metric.update(torch.randn(min(BATCH, samples - start), size))
    seconds = time.perf_counter() - started
    print(json.dumps({"mb": (kilobytes("VmHWM") - before) / 1000, "seconds": seconds}))


def kilobytes(name: str) -> int:
    """What Linux says of this process: VmRSS, its memory now, or VmHWM, the most so far."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def metrics() -> None:
    """Prints the table of all cases, and the same as JSON; takes about two minutes."""
    before = os.getloadavg()[0]
    known = cases(SIZE)
    rows = [compare(case, ROUNDS if case is known[0] else 1) for case in tqdm(known)]
    held = memory(SIZE, SAMPLES)
    print(
        f"\ntorch {torch.__version__}, {torch.get_num_threads()} threads, {os.cpu_count()} cores, "
        f"{platform.machine()}; load before: {before:.1f}"
    )
    print(f"{SIZE} features{'':21}{'ours':>10}{'torchmetrics':>14}")
    for row in rows:
        name = f"error, {row['case']}"
        print(f"{name:34}{row['ours_error']:10.0e}{row['torchmetrics_error']:14.0e}")
    best = rows[0]
    print(f"{'seconds':34}{best['ours_s']:10.2f}{best['torchmetrics_s']:14.2f}")
    print(f"{best['ratio']:.2f} times as fast; the aim is {AIM}")
    print(
        f"{SAMPLES} samples add {held['mb']:.0f} MB at the peak, their sums take "
        f"{held['seconds']:.0f} s"
    )
    print(json.dumps({"rows": rows, "memory": held, "aim": AIM, "load_before": before}))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    work(*map(int, sys.argv[1:3]))
