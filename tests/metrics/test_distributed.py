"""One to four processes, one of which may see nothing: the values of one.

To the last bit, but for what comes from sums in float64.
"""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import start_processes
from torchmetrics import Metric

from lightning_gan.basics.randomness import block_generator
from lightning_gan.metrics import (
    ClassCoverage,
    ClassifierScore,
    DiscriminatorBalance,
    Duplicates,
    FeatureExtractor,
    FeatureSuite,
    FrechetDistance,
    KernelDistance,
    Memorisation,
    MixtureCoverage,
    Neighbours,
    ReferenceFeatures,
    ReferenceStatistics,
    StackedCoverage,
    VendiScore,
    chunks,
)

TOTAL, SIZE, WORLD = 1003, 50, 4
MEANS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


class Small(FeatureExtractor):
    """Six bounded features of pictures of any number of channels, three classes."""

    name, num_classes, reads_features = "small", 3, True

    def extract(self, images: Tensor) -> Tensor:
        rows = images.flatten(1)
        size = rows.shape[1]
        weights = torch.randn(size, 6, generator=torch.Generator().manual_seed(size))
        features: Tensor = (rows @ weights / size**0.5).tanh()
        return features

    def logits(self, images: Tensor) -> Tensor:
        return self.logits_of(self.extract(images))

    def logits_of(self, features: Tensor) -> Tensor:
        return 6 * features[:, :3]


class Wild(Small):
    """The same, and for one picture in fifty features far from those of any real."""

    def extract(self, images: Tensor) -> Tensor:
        return super().extract(images) * torch.where(images[:, 0, 0, 0] > 0.95, 1e4, 1.0)[:, None]


def pictures(count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, 3, 4, 4, generator=generator).tanh()


def fresh() -> list[Metric]:
    reals = pictures(1100, torch.Generator().manual_seed(1))
    held_out = pictures(300, torch.Generator().manual_seed(2))
    small = Small()
    features = ReferenceFeatures.from_samples(reals, small, held_out)
    statistics = ReferenceStatistics.from_samples(reals, small)
    return [
        FrechetDistance(small, statistics),
        FrechetDistance(Wild(), statistics),
        ClassCoverage(small, [1, 1, 2], "three"),
        StackedCoverage([1, 1, 2], "stacked", small),
        ClassifierScore(small),
        FeatureSuite(
            [
                KernelDistance(small, features, subsets=2, subset_size=100),
                Neighbours(small, features),
                VendiScore(small, features),
                Memorisation(small, features, clusters=3),
                Duplicates(small, features),
            ]
        ),
        MixtureCoverage(MEANS, 0.3, "points"),
    ]


def evaluate(
    rank: int, world: int, idle: bool = False, setting: Callable[[Metric], object] = id
) -> list[tuple[str, float]]:
    """The values over all chunks; with ``idle``, the last process is given none of them."""
    metrics, balance = fresh(), DiscriminatorBalance()
    workers = world - 1 if idle else world
    for metric in (*metrics, balance):
        setting(metric)
    for number, _, length in chunks(TOTAL, SIZE, rank, workers) if rank < workers else ():
        images = pictures(length, block_generator(0, number))
        for metric in metrics[:-1]:
            metric.update(images)
        points = images.flatten(1)[:, :2]
        metrics[-1].update(points)
        balance.update(points[:, 0], points[:, 1], points[:, 0].sigmoid(), points[:, 1].abs())
    found = [metric.compute().logged() for metric in (*metrics, balance)]
    return [(f"{i} {key}", x) for i, values in enumerate(found) for key, x in values.items()]


def work(rank: int, folder: str) -> None:
    """One of four processes; the first two and three of them also work among themselves."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD
    )
    found = {}
    for world in range(2, WORLD + 1):
        group = distributed.new_group(list(range(world)))

        def of_group(metric: Metric, group: object = group) -> None:
            metric.process_group = group

        for idle in (False, True) if rank < world else ():
            found[f"{world} {idle}"] = evaluate(rank, world, idle, of_group)
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found))
    distributed.barrier()
    distributed.destroy_process_group()


def rounded(key: str) -> bool:
    """Whether a value comes from sums in float64, whose last bits depend on their order."""
    return "gan/" in key or "fid/" in key


@pytest.mark.slow
def test_any_number_of_processes_computes_the_values_of_one(tmp_path: Path) -> None:
    expected = evaluate(0, 1)
    assert len(expected) == 55
    assert not any(value != value for _, value in expected)
    multiprocessing.set_forkserver_preload(
        ["lightning_gan.metrics"]
    )  # imported once, not each time
    start_processes(work, (str(tmp_path),), nprocs=WORLD, start_method="forkserver")  # type: ignore[no-untyped-call] # torch's own
    runs = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(WORLD)]
    assert [len(run) for run in runs] == [6, 6, 4, 2]
    for run in runs:
        for found in run.values():
            for (key, value), (name, other) in zip(expected, found, strict=True):
                assert key == name
                if rounded(key):
                    assert other == pytest.approx(
                        value, rel=1e-9 if "gan/" in key else 1e-12, abs=1e-12
                    ), key
                else:
                    assert other.hex() == value.hex(), key
