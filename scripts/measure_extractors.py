"""Measures what faults of three strengths cost with a bundled extractor of digits.

    python scripts/measure_extractors.py run          # under two minutes
    python scripts/measure_extractors.py table --into docs/metrics.md

The Frechet distance of training images, made worse on purpose, to the training images: of 5000 of
MNIST, and of all 1297 of scikit-learn. Besides, of images as they are, drawn many times over, at
random and with exact shares of the classes. Each extractor is a line of the file of results, by its
weights; what is there is not made again.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import checkout  # noqa: F401 - finds the package
import torch
from measure_faults import command_line
from provenance import provenance
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms.functional import gaussian_blur
from train_extractors import compressed

from lightning_gan.basics.images import from_uint8, to_uint8
from lightning_gan.datamodules import MNIST, Digits
from lightning_gan.metrics import (
    FeatureExtractor,
    FrechetDistance,
    ReferenceStatistics,
    bias_coefficient,
    frechet_distance,
    get_extractor,
)

RESULTS = Path("docs/extractors.jsonl")
EXTRACTORS = ("digits_cnn", "mnist_cnn")
SAMPLES = 5000
DRAWS, DRAWN = 20, 10
"""How often training images are drawn as they are, and one of how many."""
MARKS = "<!-- made by scripts/measure_extractors.py -->", "<!-- end of what that makes -->"


class Labelled(NamedTuple):
    """Pictures (N, 1, 28, 28) in [-1, 1] and their labels (N,)."""

    images: Tensor
    labels: Tensor

    def kept(self, keep: Tensor) -> Tensor:
        """The first of those that are kept."""
        return self.images[keep][:SAMPLES]


def noisy(d: Labelled, deviation: float) -> Tensor:
    """With Gaussian noise of that standard deviation on [-1, 1]."""
    images = d.images[:SAMPLES]
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + deviation * noise).clamp(-1, 1)


def blurred(d: Labelled, deviation: float) -> Tensor:
    """After a Gaussian blur of that standard deviation in pixels."""
    return gaussian_blur(d.images[:SAMPLES], [13, 13], [deviation, deviation]).clamp(-1, 1)


def packed(d: Labelled, quality: int) -> Tensor:
    """Out of JPEG files of that quality."""
    levels = to_uint8(d.images[:SAMPLES])
    return from_uint8(torch.stack([compressed(x, quality) for x in levels]))


def shifted(d: Labelled, pixels: int) -> Tensor:
    """Moved to the right by that many pixels."""
    return pad(d.images[:SAMPLES, ..., :-pixels], (pixels, 0), value=-1.0)


def half_of_8(d: Labelled) -> Tensor:
    """Without every second 8."""
    hit = d.labels == 8
    return d.kept(~hit | (hit.cumsum(0) % 2 == 0))


FAULTS: dict[str, Callable[[Labelled], Tensor]] = {
    "none": lambda d: d.images[:SAMPLES],
    "noise 0.1": lambda d: noisy(d, 0.1),
    "noise 0.2": lambda d: noisy(d, 0.2),
    "noise 0.4": lambda d: noisy(d, 0.4),
    "blur 0.5": lambda d: blurred(d, 0.5),
    "blur 1": lambda d: blurred(d, 1.0),
    "blur 2": lambda d: blurred(d, 2.0),
    "JPEG 50": lambda d: packed(d, 50),
    "JPEG 20": lambda d: packed(d, 20),
    "JPEG 5": lambda d: packed(d, 5),
    "shift 1": lambda d: shifted(d, 1),
    "shift 2": lambda d: shifted(d, 2),
    "shift 4": lambda d: shifted(d, 4),
    "half of the 8s": half_of_8,
    "no 8": lambda d: d.kept(d.labels != 8),
    "no 5 to 9": lambda d: d.kept(d.labels < 5),
}
KINDS = {
    "noise": ["noise 0.1", "noise 0.2", "noise 0.4"],
    "blur": ["blur 0.5", "blur 1", "blur 2"],
    "JPEG": ["JPEG 50", "JPEG 20", "JPEG 5"],
    "shift": ["shift 1", "shift 2", "shift 4"],
    "missing": ["half of the 8s", "no 8", "no 5 to 9"],
}
"""What gets worse from left to right."""
CLEAN = {
    "floor": "floor of a tenth of the training images",
    "at random": "a tenth of them, 20 draws",
    "exact shares": "the same with exact shares of the classes",
}


def genuine(name: str, root: Path) -> tuple[Labelled, Labelled]:
    """The training images of an extractor's data, and the same mixed, to be made worse."""
    data = Digits() if name == "digits_cnn" else MNIST(str(root), download=False)
    data.setup()
    train = data.split("train")
    order = torch.randperm(len(train.images), generator=torch.Generator().manual_seed(0))
    images = from_uint8(train.images)
    return Labelled(images, train.labels), Labelled(images[order], train.labels[order])


def draws(features: Tensor, labels: Tensor, seed: int) -> Iterator[tuple[str, Tensor]]:
    """A tenth of the training images' features (N, D), drawn twice: by chance, and class by class.

    Sorted by class and by chance within, every tenth one makes exact shares.
    """
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    yield "at random", features[order[: len(features) // DRAWN]]
    by_class = order[labels[order].argsort(stable=True)]
    yield "exact shares", features[by_class[seed % DRAWN :: DRAWN]]


def clean(extractor: FeatureExtractor, train: Labelled) -> dict[str, float]:
    """Mean and standard deviation of the distances of draws, and the floor beside them."""
    parts = torch.split(train.images, 500)
    features = torch.cat([extractor(part) for part in parts]).double()
    mean, covariance = features.mean(0), features.T.cov()
    found: dict[str, list[float]] = {}
    for seed in range(DRAWS):
        for kind, drawn in draws(features, train.labels, seed):
            distance = frechet_distance(drawn.mean(0), drawn.T.cov(), mean, covariance)
            found.setdefault(kind, []).append(float(distance))
    values = {"floor": bias_coefficient(covariance) * (DRAWN + 1) / len(features)}
    for kind, distances in found.items():
        values[f"{kind}, mean"] = statistics.mean(distances)
        values[f"{kind}, deviation"] = statistics.stdev(distances)
    return values


def measure(name: str, root: Path) -> dict[str, Any]:
    """What each fault costs with the extractor of that name."""
    started = time.perf_counter()
    extractor = get_extractor(name)
    train, digits = genuine(name, root)
    reference = ReferenceStatistics.from_samples(train.images, extractor)
    metric, values = FrechetDistance(extractor, reference), {}
    for fault, make in FAULTS.items():
        metric.reset()
        for part in torch.split(make(digits), 500):
            metric.update(part)
        values[fault] = metric.compute().value
    return {
        "extractor": name,
        "weights": extractor.fingerprint[:16],
        "values": values,
        "clean": clean(extractor, train),
        "seconds": round(time.perf_counter() - started, 1),
        **provenance(),
    }


def finished(path: Path) -> list[dict[str, Any]]:
    """The results that are there."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def run(root: Path, path: Path) -> None:
    """Makes the results that are not there yet."""
    known = {result["weights"] for result in finished(path)}
    for name in EXTRACTORS:
        if get_extractor(name).fingerprint[:16] not in known:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(measure(name, root)) + "\n")


def table(path: Path) -> str:
    """All faults, with a column for each extractor; those of earlier weights first."""
    results = sorted(finished(path), key=lambda result: str(result["extractor"]))
    heads = [f"`{r['extractor']}` {r['weights'][:8]}" for r in results]
    lines = [f"| fault | {' | '.join(heads)} |", "|---" * (len(results) + 1) + "|"]
    for fault in FAULTS:
        cells = [f"{result['values'][fault]:.3f}" for result in results]
        lines.append(f"| {fault} | {' | '.join(cells)} |")
    for kind in ("floor", "at random", "exact shares"):
        cells = [shown(result["clean"], kind) for result in results]
        lines.append(f"| *{CLEAN[kind]}* | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def shown(clean: dict[str, float], kind: str) -> str:
    """A floor, or a mean with its deviation."""
    names = [kind] if kind in clean else [f"{kind}, mean", f"{kind}, deviation"]
    return " ± ".join(f"{clean[name]:.4f}" for name in names)


def complaints(values: dict[str, float]) -> Iterator[str]:
    """Where faults do not cost what an eye would say."""
    for kind, faults in KINDS.items():
        costs = [values["none"], *(values[fault] for fault in faults)]
        if costs != sorted(costs):
            yield f"{kind}: {costs} do not rise"
    if not values["shift 1"] < values["blur 1"]:
        yield f"a shift by a pixel costs {values['shift 1']}, a blur of one {values['blur 1']}"


if __name__ == "__main__":
    command_line(__doc__.splitlines()[0], run, table, RESULTS, MARKS)
