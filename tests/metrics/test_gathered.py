"""Gathered features: kept, shared, in one order on any number of processes, bit for bit."""

import json
import math
import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import start_processes
from torchmetrics import MetricCollection

from lightning_gan.basics.randomness import block_generator
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import (
    ClassifierScore,
    Duplicates,
    FeatureExtractor,
    FeatureMetric,
    FeatureSuite,
    KernelDistance,
    Memorisation,
    Neighbours,
    ReferenceFeatures,
    VendiScore,
    chunks,
    get_extractor,
)
from lightning_gan.metrics.gathered import GatheredMetric
from lightning_gan.metrics.samples import picture_hashes

TOTAL, SIZE = 1001, 50  # the last chunk has one sample, which is not finite
Gather = Callable[..., list[Tensor]]


class Counting(FeatureExtractor):
    """The points themselves, which it can also classify; counts how often it is asked."""

    name, num_classes = "counting", 3

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def extract(self, images: Tensor) -> Tensor:
        self.calls += 1
        return images.flatten(1)

    def logits(self, images: Tensor) -> Tensor:
        return images[:, :3]


def gaussian(count: int, size: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def reference() -> ReferenceFeatures:
    return ReferenceFeatures(gaussian(1100), gaussian(300, seed=1), name="counting")


def members(extractor: FeatureExtractor) -> list[FeatureMetric]:
    reals = reference()
    return [
        KernelDistance(extractor, reals, subsets=2, subset_size=100),
        Neighbours(extractor, reals),
        VendiScore(extractor, reals),
        Memorisation(extractor, reals, clusters=3),
        Duplicates(extractor, reals),
    ]


def evaluate(
    rank: int, world: int, idle: bool = False, setting: Callable[[GatheredMetric], Any] = id
) -> list[str]:
    """All values to the last bit; with ``idle``, the last process is given no chunk."""
    suite, score = FeatureSuite(members(Counting())), ClassifierScore(Counting())
    workers = world - 1 if idle else world
    for metric in (suite, score):
        setting(metric)
        for number, _, length in chunks(TOTAL, SIZE, rank, workers) if rank < workers else ():
            points = torch.randn(length, 6, generator=block_generator(0, number))
            metric.update(points * float("nan") if length == 1 else points)
    found = suite.compute()
    values = found.logged() | score.compute().logged()
    shown = [result.closest.tolist() for result in found.results[3:]]
    return [*(f"{key} {value.hex()}" for key, value in values.items()), *map(str, shown)]


class Meeting:
    """Gathers among threads, as a process group does among processes."""

    def __init__(self, world: int) -> None:
        self.barrier = threading.Barrier(world, timeout=60)
        self.held: list[Tensor | None] = [None] * world

    def gather(self, rank: int) -> Gather:
        def all_gather(tensor: Tensor, group: Any = None) -> list[Tensor]:
            self.held[rank] = tensor
            self.barrier.wait()
            found = [x.clone() for x in self.held if x is not None]
            self.barrier.wait()
            return found

        return all_gather


def among_threads(world: int, idle: bool) -> list[list[str]]:
    meeting, results = Meeting(world), [[""]] * world

    def run(rank: int) -> None:
        def setting(metric: GatheredMetric) -> None:
            metric.dist_sync_fn = meeting.gather(rank)
            metric.distributed_available_fn = lambda: True
            if idle and rank == world - 1:
                metric.update(torch.zeros(0, 6))  # or torchmetrics warns

        results[rank] = evaluate(rank, world, idle, setting)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize(
    ("world", "idle"), [(2, False), (2, True), (3, False), (3, True), (4, False), (4, True)]
)
def test_any_number_of_processes_computes_the_bits_of_one(world: int, idle: bool) -> None:
    expected = evaluate(0, 1)
    assert len(expected) == 22
    assert not any("nan" in line for line in expected)
    assert among_threads(world, idle) == [expected] * world


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=3
    )
    pair = distributed.new_group([0, 1])

    def of_two(metric: GatheredMetric) -> None:
        metric.process_group = pair

    found = [evaluate(rank, 3), evaluate(rank, 3, idle=True)]
    if rank < 2:
        found += [evaluate(rank, 2, setting=of_two), evaluate(rank, 2, True, of_two)]
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found))
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_and_three_genuine_processes_compute_the_bits_of_one(tmp_path: Path) -> None:
    expected = evaluate(0, 1)
    multiprocessing.set_forkserver_preload(["lightning_gan.metrics"])  # imported once, not thrice
    start_processes(work, (str(tmp_path),), nprocs=3, start_method="forkserver")  # type: ignore[no-untyped-call] # torch's own
    for rank, times in enumerate((4, 4, 2)):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == [expected] * times


def test_processes_without_any_sample_agree_that_there_is_no_value() -> None:
    meeting, found = Meeting(2), [0.0, 0.0]

    def run(rank: int) -> None:
        metric = VendiScore(get_extractor("identity"))
        metric.dist_sync_fn = meeting.gather(rank)
        metric.distributed_available_fn = lambda: True
        metric.update(torch.zeros(0, 3))
        metric._warned.add("few")
        found[rank] = metric.compute().logged()["vendi/identity"]

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] != found[0]
    assert found[1] != found[1]


def test_the_number_of_a_chunk_may_be_given_instead_of_its_turn() -> None:
    points = gaussian(90)
    metric, turned = (Duplicates(Counting(), reference()) for _ in range(2))
    for start in (0, 30, 60):
        metric.update(points[start : start + 30])
    for start in (60, 0, 30):
        turned.update(points[start : start + 30], chunk=start // 30)
    assert torch.equal(turned.gathered().features, points)
    assert [*metric.compute().logged().values()] == [*turned.compute().logged().values()]
    assert torch.equal(metric.compute().closest, turned.compute().closest)


def test_a_suite_extracts_once_and_gives_what_its_metrics_give_alone() -> None:
    extractor = Counting()
    suite = FeatureSuite(members(extractor))
    points = gaussian(500, seed=3)
    for batch in torch.split(points, 100):
        suite.update(batch)
    assert extractor.calls == 5
    found = suite.compute().logged()
    for metric in members(Counting()):
        for batch in torch.split(points, 100):
            metric.update(batch)
        for key, value in metric.compute().logged().items():
            assert value == found.pop(key), key
    assert not found


def test_a_suite_gives_nan_to_those_metrics_alone_that_need_more_samples() -> None:
    suite = FeatureSuite(members(Counting()))
    suite.update(gaussian(4, seed=3))
    with (
        pytest.warns(UserWarning, match="at least 6 generated samples and has 4"),
        pytest.warns(UserWarning, match="lower subset_size"),
        pytest.warns(UserWarning, match="No cell has 20"),
    ):
        found = suite.compute().logged()
    assert math.isnan(found["density/counting"])
    assert not math.isnan(found["kid/counting"])
    assert not math.isnan(found["auth/counting"])


def test_a_suite_of_two_extractors_is_refused() -> None:
    both = [VendiScore(get_extractor(name)) for name in ("pixel", "identity")]
    for metrics, found in ((both, "2 were given"), ([], "0 were given")):
        with pytest.raises(ConfigurationError, match=found):
            FeatureSuite(metrics)


def test_a_collection_of_torchmetrics_gives_the_same_values() -> None:
    collection = MetricCollection({type(m).__name__: m for m in members(Counting())})
    suite = FeatureSuite(members(Counting()))
    for batch in torch.split(gaussian(500, seed=3), 100):
        collection.update(batch)
        suite.update(batch)
    alone = {k: x for result in collection.compute().values() for k, x in result.logged().items()}
    assert alone == suite.compute().logged()


def test_features_stay_float32_and_reals_out_of_checkpoints_whatever_the_model_does() -> None:
    metric = Neighbours(Counting(), reference())
    metric.update(gaussian(50, seed=3))
    expected = metric.compute()
    model = torch.nn.ModuleList([metric])
    for change in (model.half, model.double, model.bfloat16):
        change()
    metric.set_dtype(torch.float16)
    assert [metric.rows[0].dtype, metric.marks[0].dtype] == [torch.float32, torch.int64]
    metric._computed = None
    assert metric.compute() == expected
    assert not model.state_dict()
    assert not [*model.parameters()]
    metric.reset()
    assert metric.rows == metric.marks == []


def test_gradients_and_half_precision_are_left_behind() -> None:
    metric = VendiScore(get_extractor("pixel"))
    images = gaussian(40, 48).reshape(40, 3, 4, 4).clamp(-1, 1).bfloat16().requires_grad_()
    metric.update(images)
    assert not metric.rows[0].requires_grad
    assert metric.compute().value == pytest.approx(18, abs=18)


def test_too_many_broken_samples_leave_no_value() -> None:
    class Overflowing(Counting):
        def extract(self, images: Tensor) -> Tensor:
            return images * 1e38

    metric = VendiScore(Overflowing())
    metric.update(torch.cat([torch.ones(100, 2), torch.full((2, 2), 9.0)]))
    assert metric.nonfinite == 2
    with pytest.warns(UserWarning, match="2 of 102 generated samples are not finite"):
        assert math.isnan(metric.compute().value)


def test_hashes_tell_grey_levels_apart_and_nothing_finer() -> None:
    image = torch.zeros(1, 1, 4, 4)
    levels = torch.cat([image, image + 0.001, image + 0.02])
    first, second, third = picture_hashes(levels).tolist()
    assert first == second != third
    assert len({*picture_hashes(gaussian(300)).tolist()}) == 300
