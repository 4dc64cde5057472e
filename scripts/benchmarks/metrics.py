"""The Frechet distance against torchmetrics', in time, error and memory.

Both sides get the same means and covariances of 2048 features, with as many threads, in float64,
and take turns; their processor time counts, since the machine may be shared. Ours has the reals'
factor at hand, as a reference keeps it. Their errors are of tr (AB)^1/2, where it is known:
covariances that commute, and samples fewer than features. Memory is what 50,000 samples in batches
of 500 add to the peak of a fresh process.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import checkout  # noqa: F401 - finds the package
import torch
from torch import Tensor
from torchmetrics.image.fid import _compute_fid
from tqdm import tqdm

from benchmarks.measure import (
    Side,
    Turns,
    circumstances,
    finish,
    markdown,
    parser,
    shown,
    spread,
    started,
)
from lightning_gan.metrics import (
    FrechetDistance,
    ReferenceStatistics,
    frechet_distance,
    get_extractor,
)
from lightning_gan.metrics.frechet import covariance_factor

SIZE = 2048
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
    """Errors of the trace, and processor seconds of a turn, of both sides."""
    zero = torch.zeros(len(known.first), dtype=torch.float64)
    factor = covariance_factor(known.first)
    traces = float(known.first.trace() + known.second.trace())
    seconds: tuple[list[float], list[float]] = ([], [])
    found = [0.0, 0.0]
    for _ in range(rounds):
        begun = time.process_time()
        ours = frechet_distance(zero, known.first, zero, known.second, factor_a=factor)
        between = time.process_time()
        theirs = _compute_fid(zero, known.first, zero, known.second)
        seconds[0].append(between - begun)
        seconds[1].append(time.process_time() - between)
        found = [float(ours), float(theirs)]
    errors = [abs(traces - value - 2 * known.trace) / 2 for value in found]
    return {
        "case": known.name,
        "ours_error": errors[0],
        "torchmetrics_error": errors[1],
        "ours_s": spread(seconds[0]),
        "torchmetrics_s": spread(seconds[1]),
        "ratio": spread([b / a for a, b in zip(*seconds, strict=True)]),
    }


def memory(size: int, samples: int, threads: int = 1) -> dict[str, Any]:
    """Megabytes that a fresh process needs more at its peak for so many samples, and seconds."""
    side = Side("benchmarks.metrics:add_samples", threads, size=size, samples=samples)
    with started({"ours": side}):
        return side.window(1).facts


def add_samples(turns: Turns, size: int, samples: int) -> None:
    """Updates a metric in this process and tells what that took."""
    extractor = get_extractor("identity")
    reference = ReferenceStatistics(torch.zeros(size), torch.eye(size, dtype=torch.float64), 50_000)
    turns.next()
    before, begun = kilobytes("VmRSS"), time.perf_counter()
    metric = FrechetDistance(extractor, reference)
    for start in range(0, samples, BATCH):
        metric.update(torch.randn(min(BATCH, samples - start), size))
    seconds = time.perf_counter() - begun
    turns.facts = {"mb": (kilobytes("VmHWM") - before) / 1000, "seconds": seconds}
    turns.next()


def kilobytes(name: str) -> int:
    """What Linux says of this process: VmRSS, its memory now, or VmHWM, the most so far."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def table(result: dict[str, Any]) -> str:
    """The table of a result."""
    best, held = result["rows"][0], result["memory"]
    lines: list[tuple[str, str, str]] = [
        ("seconds", shown(best["ours_s"]), shown(best["torchmetrics_s"])),
        (f"times as fast; the aim is {result['aim']}", shown(best["ratio"]), ""),
    ]
    for row in result["rows"]:
        errors = f"{row['ours_error']:.0e}", f"{row['torchmetrics_error']:.0e}"
        lines.append((f"error, {row['case']}", *errors))
    more = f"{held['mb']:.0f} MB and {held['seconds']:.0f} s"
    lines.append((f"{result['samples']:,} samples add at the peak", more, ""))
    return markdown((f"{result['features']} features", "ours", "torchmetrics"), lines)


def main(arguments: list[str]) -> None:
    """Measures; takes about two minutes."""
    asked = parser(__doc__).parse_args(arguments)
    size, samples = (256, 5000) if asked.quick else (SIZE, SAMPLES)
    torch.set_num_threads(asked.threads)
    with circumstances(asked.threads) as how:
        how["quick"] = asked.quick
        known = cases(size)
        rounds = 2 if asked.quick else asked.rounds
        rows = [compare(case, rounds if case is known[0] else 1) for case in tqdm(known)]
        held = memory(size, samples, asked.threads)
    result = {"circumstances": how, "rows": rows, "memory": held, "aim": AIM}
    finish("metrics", result | {"features": size, "samples": samples}, asked.record)
