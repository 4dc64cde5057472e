"""Stacked digits: closed floors, known numbers of modes despite errors, several processes."""

import json
import math
from pathlib import Path

import pytest
import torch
from stacking import EVEN, KEYS, MANY, Codes, Perfect, coded, covered, of_modes
from torch import distributed
from torch.multiprocessing.spawn import spawn

from lightning_gan.basics.randomness import block_generator
from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import StackedCoverage, chunks, expected_divergence, get_extractor
from lightning_gan.metrics.stacked import MIN_PICTURES

UNIFORM = torch.full((1000,), 1e-3, dtype=torch.float64)

# -------------------------------------------------------------------------------------- the floor


def binomial_sum(shares: list[float], count: int) -> float:
    """The mean divergence, term by term, of exact integers."""
    return math.log(len(shares)) + sum(
        math.comb(count, n) * p**n * (1 - p) ** (count - n) * (n / count) * math.log(n / count)
        for p in shares
        for n in range(1, count + 1)
    )


@pytest.mark.parametrize("count", [1, 2, 7, 40, 100])
@pytest.mark.parametrize("shares", [[0.25] * 4, [0.5, 0.3, 0.2, 0.0], [1.0, 0.0], [0.9, 0.1]])
def test_the_floor_is_the_sum_over_all_histograms(shares: list[float], count: int) -> None:
    found = float(expected_divergence(torch.tensor(shares, dtype=torch.float64), count))
    assert found == pytest.approx(binomial_sum(shares, count), rel=1e-9, abs=1e-12)


def test_one_sample_diverges_by_the_logarithm_of_the_modes() -> None:
    assert float(expected_divergence(UNIFORM, 1)) == pytest.approx(math.log(1000), rel=1e-12)


@pytest.mark.parametrize("count", [26_000, 50_000, 128_000])
def test_the_floor_of_many_samples_is_half_the_modes_by_the_samples(count: int) -> None:
    first = 999 / (2 * count)
    second = 1000**2 / (12 * count**2)
    assert float(expected_divergence(UNIFORM, count)) == pytest.approx(first + second, rel=1e-3)


@pytest.mark.parametrize("count", [2500, 26_000])
def test_uniform_labels_score_the_floor_on_average(count: int) -> None:
    random = torch.Generator().manual_seed(0)
    metric = StackedCoverage(EVEN, "coded", Perfect())
    found = [
        covered(metric, coded(torch.randint(1000, (count,), generator=random))) for _ in range(20)
    ]
    floor = found[0]["kl_floor"]
    assert floor == pytest.approx(float(expected_divergence(UNIFORM, count)), rel=1e-9)
    mean = sum(value["kl"] for value in found) / len(found)
    deviation = math.sqrt(2 * 999) / (2 * count)
    assert abs(mean - floor) < 4 * deviation / math.sqrt(20)


def test_balanced_labels_have_no_divergence() -> None:
    metric = StackedCoverage(EVEN, "coded", Perfect())
    found = covered(metric, coded(torch.arange(1000).repeat(26)))
    assert found["kl"] == pytest.approx(0, abs=1e-12)
    assert (found["covered"], found["covered_robust"], found["unclassifiable"]) == (1000, 1000, 0)
    assert metric.compute().missing == []


def test_the_floor_knows_that_some_digits_are_likelier() -> None:
    shares = torch.arange(1.0, 11.0).double() / 55
    metric = StackedCoverage(shares * 1000, "coded", Perfect())
    prior = torch.cartesian_prod(shares, shares, shares).prod(1)
    found = covered(metric, coded(torch.arange(200)))["kl_floor"]
    assert found == pytest.approx(float(expected_divergence(prior, 200)), rel=1e-9)
    imbalance = 3 * float((shares * (10 * shares).log()).sum())
    many = float(expected_divergence(prior, 10**6))
    assert many == pytest.approx(imbalance + 999 / 2e6, rel=1e-4)


# ---------------------------------------------------------------------------------- known modes


@pytest.mark.parametrize("count", [1, 10, 100, 500, 1000])
def test_a_known_number_of_modes_is_counted_despite_errors(count: int) -> None:
    random = torch.Generator().manual_seed(count)
    numbers = of_modes(count, random)
    metric = StackedCoverage(EVEN, "coded", Codes())
    found = covered(metric, *torch.split(coded(numbers, random), 5000))
    assert set(found) == KEYS
    assert found["covered_robust"] == pytest.approx(count, rel=0.02)
    if count < 1000:  # the papers' rule counts what was misread
        assert found["covered"] > 1.15 * found["covered_robust"]
    assert len(metric.compute().missing) == 1000 - found["covered_robust"]
    assert found["unclassifiable"] == pytest.approx(1 - (1 - 0.009) ** 3, rel=0.1)
    assert found["kl"] < math.log(1000 / count) + 999 / MANY


def test_errors_of_a_single_mode_are_told_from_modes_by_its_size() -> None:
    """Some 26 pictures of 26000 are misread with certainty in each channel: five would do."""
    numbers = torch.full((MANY,), 555)
    metric = StackedCoverage(EVEN, "coded", Codes())
    found = covered(metric, coded(numbers, torch.Generator().manual_seed(0)))
    assert int((metric.counts[1] >= MIN_PICTURES).sum()) == 4
    assert found["covered_robust"] == 1
    assert found["covered"] > 4


def test_a_mode_far_from_a_large_one_counts_from_five_sure_pictures_on() -> None:
    metric = StackedCoverage(EVEN, "coded", Perfect())
    large = torch.zeros(1000, dtype=torch.long)  # 000
    near, far = torch.tensor([7, 900]), torch.tensor([77, 123])  # of 000; two digits away
    for times, expected in ((4, 1), (5, 3), (9, 3), (10, 5)):
        numbers = torch.cat([large, near.repeat(times), far.repeat(times)])
        assert covered(metric, coded(numbers))["covered_robust"] == expected
    assert metric.compute().missing[:3] == ["001", "002", "003"]


def test_batches_of_any_size_give_equal_values() -> None:
    pictures = coded(torch.randint(1000, (501,)))
    metric = StackedCoverage([3, *[1] * 9], "coded", Codes())
    parts = covered(metric, *torch.split(pictures, [1, 0, 300, 200]))
    assert parts == covered(metric, pictures)


def test_what_surrounds_a_digit_is_not_shown_to_the_classifier() -> None:
    pictures = coded(torch.randint(1000, (300,)))
    framed = torch.nn.functional.pad(pictures, (2, 2, 2, 2), value=0.7)
    bare, hidden = (StackedCoverage(EVEN, "coded", Codes(), padding=size) for size in (0, 2))
    assert covered(bare, pictures) == covered(hidden, framed)
    assert bare.reader.fingerprint != hidden.reader.fingerprint, "their features differ"


def test_other_numbers_of_channels_and_digits_are_counted_alike() -> None:
    metric = StackedCoverage(EVEN, "pairs", Perfect(), stacked=2)
    found = covered(metric, coded(torch.arange(100).repeat(5))[:, 1:])
    assert (found["covered"], found["covered_robust"]) == (100, 100)
    assert metric.compute().missing == []


# ------------------------------------------------------------------------------ what goes wrong


def test_without_pictures_the_values_are_nan_and_every_mode_is_missing() -> None:
    metric = StackedCoverage(EVEN, "coded", Codes())
    metric.update(coded(torch.zeros(0, dtype=torch.long)))
    with pytest.warns(UserWarning, match="at least 1"):
        values = metric.compute().logged()
    assert {key.removeprefix("modes/coded/") for key in values} == KEYS
    assert all(math.isnan(value) for value in values.values())
    assert len(metric.compute().missing) == 1000


def test_pictures_that_are_not_finite_make_the_values_nan() -> None:
    metric = StackedCoverage(EVEN, "coded", Codes())
    metric.update(torch.full((10, 3, 1, 2), float("nan")))
    with pytest.warns(UserWarning, match="10 of 10"):
        assert all(math.isnan(value) for value in metric.compute().logged().values())


@pytest.mark.parametrize("shape", [(4, 1, 28, 28), (4, 3), (4, 4, 28, 28)])
def test_pictures_that_do_not_stack_three_digits_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="do not stack 3 digits"):
        StackedCoverage(EVEN, "coded", Codes()).update(torch.zeros(shape))


@pytest.mark.parametrize("shares", [[1] * 9, [1] * 9 + [-1], [0] * 10, [1] * 9 + [math.nan]])
def test_shares_that_do_not_fit_are_refused(shares: list[float]) -> None:
    with pytest.raises(ConfigurationError, match="shares"):
        StackedCoverage(shares, "coded", Codes())


def test_numbers_out_of_range_and_extractors_without_classes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="stacked=0"):
        StackedCoverage(EVEN, "coded", Codes(), stacked=0)
    with pytest.raises(ConfigurationError, match="padding=-1"):
        StackedCoverage(EVEN, "coded", Codes(), padding=-1)
    with pytest.raises(ConfigurationError, match="0 classes"):
        StackedCoverage(EVEN, "coded", get_extractor("pixel"))


# ------------------------------------------------------------------------------------- processes

TOTAL, SIZE = 2300, 250


def evaluate(rank: int, world: int) -> dict[str, object]:
    """The values, and the missing modes, over all chunks."""
    metric = StackedCoverage(EVEN, "coded", Codes())
    for number, _, length in chunks(TOTAL, SIZE, rank, world):
        random = block_generator(0, number)
        metric.update(coded(torch.randint(200, (length,), generator=random), random))
    values = {key: value.hex() for key, value in metric.compute().logged().items()}
    return values | {"missing": metric.compute().missing}


def work(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world
    )
    (Path(folder) / f"{rank}.json").write_text(json.dumps(evaluate(rank, world)))
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(not distributed.is_available(), reason="torch is built without it")
@pytest.mark.parametrize("world", [2, 3])
def test_processes_agree_with_one_bit_for_bit(world: int, tmp_path: Path) -> None:
    expected = evaluate(0, 1)
    spawn(work, (world, str(tmp_path)), nprocs=world)  # type: ignore[no-untyped-call] # torch's
    for rank in range(world):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == expected
