"""Two processes, one of which may see nothing: the values of one process."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn
from torchmetrics import Metric

from lightning_gan.metrics import (
    ClassCoverage,
    DiscriminatorBalance,
    FeatureExtractor,
    FrechetDistance,
    MixtureCoverage,
    ReferenceStatistics,
    chunk_generator,
    chunks,
    get_extractor,
)

MEANS = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
TOTAL, SIZE = 230, 50


class Nearest(FeatureExtractor):
    """Classifies a point by the nearest mean."""

    name, num_classes = "nearest", 3

    def logits(self, images: Tensor) -> Tensor:
        return -(images[:, None] - MEANS).square().sum(2)


def fresh() -> list[Metric]:
    reals = torch.randn(300, 2, generator=torch.Generator().manual_seed(1)) + 0.5
    extractor = get_extractor("identity")
    return [
        FrechetDistance(extractor, ReferenceStatistics.from_samples(reals, extractor)),
        MixtureCoverage(MEANS, 0.5, "three"),
        ClassCoverage(Nearest(), [1, 1, 1], "three"),
        DiscriminatorBalance(),
    ]


def evaluate(rank: int, world: int, idle: bool) -> dict[str, float]:
    """The values over all chunks; with ``idle``, the last process is given none of them."""
    metrics = fresh()
    workers = world - 1 if idle else world
    for number, _, length in chunks(TOTAL, SIZE, rank, workers) if rank < workers else ():
        points = torch.randn(length, 2, generator=chunk_generator(0, number))
        for metric in metrics[:3]:
            metric.update(points)
        metrics[3].update(points[:, 0], points[:, 1], points[:, 0].sigmoid(), points[:, 1].abs())
    values = {k: float(v) for metric in metrics for k, v in metric.compute().items()}
    assert isinstance(metrics[2], ClassCoverage)
    values["missing"] = len(metrics[2].missing())
    return values


def work(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world
    )
    values = [evaluate(rank, world, idle) for idle in (False, True)]
    (Path(folder) / f"{rank}.json").write_text(json.dumps(values))
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_agree_with_one_even_if_one_of_them_has_no_samples(tmp_path: Path) -> None:
    expected = evaluate(0, 1, idle=False)
    spawn(work, (2, str(tmp_path)), nprocs=2)  # type: ignore[no-untyped-call] # torch's own
    for rank in range(2):
        for found in json.loads((tmp_path / f"{rank}.json").read_text()):
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
