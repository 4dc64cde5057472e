"""Modes: a perfect sampler, a dropped mode, a collapsed mode, a class missing by name."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import ClassCoverage, FeatureExtractor, MixtureCoverage
from lightning_gan.metrics.modes import divergence, total_variation

NAMES = ("cat", "dog", "fox", "owl")
KEYS = {"covered", "covered_robust", "high_quality", "kl", "kl_all", "kl_floor", "std_ratio"}


class FirstPixel(FeatureExtractor):
    """Reads the class of an image off its first pixel: -1, 0, 0.5 or 1."""

    name, num_classes, class_names = "first_pixel", 4, NAMES

    def logits(self, images: Tensor) -> Tensor:
        return -20 * (images[:, 0, 0, :1] - torch.tensor([-1.0, 0.0, 0.5, 1.0])).abs()


def pictures(counts: list[int]) -> Tensor:
    values = torch.tensor([-1.0, 0.0, 0.5, 1.0]).repeat_interleave(torch.tensor(counts))
    return values[:, None, None, None].expand(-1, 1, 2, 2)


def ring() -> Tensor:
    angle = 2 * math.pi * torch.arange(8).double() / 8
    return torch.stack([angle.cos(), angle.sin()], 1)


def draw(count: int, sigma: float = 0.01, modes: int = 8, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(modes, (count,), generator=generator)
    return ring()[index] + sigma * torch.randn(count, 2, generator=generator)


def coverage(points: Tensor) -> dict[str, float]:
    metric = MixtureCoverage(ring(), 0.01, "ring8")
    metric.update(points)
    return {key.removeprefix("modes/ring8/"): x for key, x in metric.compute().logged().items()}


def test_a_histogram_has_no_divergence_from_itself_and_disjoint_ones_are_far() -> None:
    half = torch.tensor([0.5, 0.5, 0.0]).double()
    one = torch.tensor([0.0, 0.0, 1.0]).double()
    assert float(divergence(half, half)) == 0
    assert float(divergence(half, torch.full((3,), 1 / 3).double())) == pytest.approx(math.log(1.5))
    assert math.isinf(float(divergence(one, half)))
    assert float(total_variation(half, one)) == 1


def test_shares_equal_to_the_prior_are_covered_without_distance() -> None:
    metric = ClassCoverage(FirstPixel(), [10, 20, 30, 40], "animals")
    for part in torch.split(pictures([1, 2, 3, 4]), 3):
        metric.update(part)
    found = metric.compute()
    keys = ("covered", "min_share", "tv", "kl", "within_classes", "unclassifiable")
    assert set(found.logged()) == {f"modes/animals/{key}" for key in keys}
    assert (found.covered, found.missing, found.total) == (4, [], 4)
    assert found.min_share == pytest.approx(0.1)
    assert found.tv == pytest.approx(0, abs=1e-12)
    assert found.kl == pytest.approx(0, abs=1e-12)
    assert metric.histogram.dtype == torch.int64


def test_classes_of_one_picture_each_are_told_although_all_are_covered() -> None:
    images = pictures([25, 25, 25, 25]).repeat(1, 1, 8, 8)  # 16 x 16 pixels
    images[:, :, 2:] = 2 * torch.rand(100, 1, 1, 1) - 1
    classes = FirstPixel().logits(images).argmax(1)
    small = adaptive_avg_pool2d(images.double().mean(1, keepdim=True), 8).flatten(1)
    of_classes = torch.stack([small[classes == k].mean(0) for k in range(4)])[classes]
    expected = (small - of_classes).square().sum() / (small - small.mean(0)).square().sum()
    metric = ClassCoverage(FirstPixel(), [0.25] * 4, "animals")
    for part in torch.split(images, 7):
        metric.update(part)
    found = metric.compute()
    assert found.within_classes == pytest.approx(float(expected), abs=1e-3)
    assert not found.alike
    metric.reset()
    metric.update(pictures([25, 25, 25, 25]))
    assert metric.compute().within_classes == pytest.approx(0, abs=1e-9)
    assert metric.compute().alike
    metric.reset()
    metric.update(pictures([9, 0, 0, 0]))  # no variance: nothing to divide
    assert not metric.compute().alike


def test_pictures_between_two_classes_are_told_although_each_is_counted_in_one() -> None:
    between = torch.full((5, 1, 2, 2), 0.25 + 0.01)  # exp(-20 * 0.24) to exp(-20 * 0.26): 0.6
    metric = ClassCoverage(FirstPixel(), [0.25] * 4, "animals")
    metric.update(pictures([5, 5, 5, 0]))
    assert metric.compute().unclassifiable == 0
    metric.update(between)
    found = metric.compute()
    assert found.unclassifiable == pytest.approx(5 / 20)
    assert found.covered == 3
    assert metric.histogram.tolist() == [5, 5, 10, 0]


def test_a_dropped_class_is_missing_by_name_although_the_classifier_errs_now_and_then() -> None:
    metric = ClassCoverage(FirstPixel(), [0.25] * 4, "animals")
    metric.update(pictures([400, 300, 5, 295]))  # 0.5 %, far below a tenth of 25 %
    found = metric.compute()
    assert (found.covered, found.missing) == (3, ["fox"])
    assert found.min_share == pytest.approx(0.005)
    assert found.tv == pytest.approx(0.245)
    metric.reset()
    metric.update(pictures([0, 10, 0, 0]))
    assert metric.compute().missing == ["cat", "fox", "owl"]


def test_a_class_that_the_data_does_not_have_is_not_asked_for() -> None:
    metric = ClassCoverage(FirstPixel(), [1, 1, 1, 0], "animals")
    metric.update(pictures([5, 5, 5, 0]))
    assert (metric.compute().covered, metric.compute().missing) == (3, [])
    assert metric.compute().total == 3
    assert metric.compute().logged()["modes/animals/outside"] == 0


def test_a_class_that_the_data_lack_leaves_a_finite_divergence_and_is_told_by_its_share() -> None:
    metric = ClassCoverage(FirstPixel(), [2, 1, 1, 0], "animals")
    metric.update(pictures([20, 10, 10, 10]))  # in the data's shares, but for a fifth
    found = metric.compute()
    assert found.kl == pytest.approx(0, abs=1e-12)
    assert found.outside == pytest.approx(0.2)
    assert found.tv == pytest.approx(0.2)
    metric.reset()
    metric.update(pictures([20, 0, 0, 1]))
    assert metric.compute().kl == pytest.approx(math.log(2))  # all of a class of half the data
    metric.reset()
    metric.update(pictures([0, 0, 0, 4]))
    found = metric.compute()
    assert (found.covered, found.outside) == (0, 1)
    assert math.isnan(found.logged()["modes/animals/kl"])


def test_class_coverage_without_images_is_nan_with_a_warning() -> None:
    metric = ClassCoverage(FirstPixel(), [1] * 4, "animals")
    metric.update(pictures([0, 0, 0, 0]))
    with pytest.warns(UserWarning, match="at least 1"):
        assert all(math.isnan(value) for value in metric.compute().logged().values())
    assert metric.compute().missing == list(NAMES)


@pytest.mark.parametrize("prior", [[1, 1, 1], [1, 1, 1, -1], [0, 0, 0, 0]])
def test_a_prior_that_does_not_fit_is_refused(prior: list[float]) -> None:
    with pytest.raises(ConfigurationError):
        ClassCoverage(FirstPixel(), prior, "animals")


def test_an_extractor_that_does_not_classify_is_refused() -> None:
    from lightning_gan.metrics import get_extractor

    with pytest.raises(ConfigurationError, match="0 classes"):
        ClassCoverage(get_extractor("pixel"), [1] * 4, "animals")


def test_a_perfect_ring_sampler_reaches_the_ceilings() -> None:
    found = coverage(draw(100_000))
    assert set(found) == KEYS
    assert found["covered"] == found["covered_robust"] == 8
    assert found["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert found["std_ratio"] == pytest.approx(0.974, abs=0.01)
    assert found["kl"] < 10 * found["kl_floor"]


def test_the_divergence_of_a_perfect_sampler_is_its_floor_on_average() -> None:
    runs = [coverage(draw(2500, seed=seed)) for seed in range(30)]
    mean = sum(run["kl_all"] for run in runs) / len(runs)
    assert runs[0]["kl_floor"] == pytest.approx(7 / 5000)
    assert mean == pytest.approx(7 / 5000, rel=0.3)


def test_a_dropped_mode_is_seen() -> None:
    found = coverage(draw(2500, modes=7))
    assert found["covered"] == found["covered_robust"] == 7
    assert found["kl"] == pytest.approx(math.log(8 / 7), abs=0.01)


def test_modes_that_are_not_robustly_covered_are_missing_by_name() -> None:
    metric = MixtureCoverage(ring(), 0.01, "ring")
    metric.update(torch.cat([draw(2500, modes=7), ring()[7:]]))
    assert metric.compute().missing == ["mode 7"]
    metric.update(ring()[7:].repeat(2500, 1))
    assert metric.compute().missing == []


def test_a_mode_of_one_lucky_point_is_covered_but_not_robustly() -> None:
    found = coverage(torch.cat([draw(2500, modes=7), ring()[7:]]))
    assert (found["covered"], found["covered_robust"]) == (8, 7)


def test_a_generator_of_eight_points_is_seen_by_the_ratio_alone() -> None:
    found = coverage(ring().repeat(100, 1) + 0.01)
    assert (found["covered_robust"], found["high_quality"]) == (8, 1)
    assert found["std_ratio"] == pytest.approx(0, abs=1e-6)


def test_the_ratio_equals_the_deviation_of_each_mode() -> None:
    points = draw(1000)
    offset, nearest = torch.cdist(points, ring()).min(1)
    deviations = [
        (points[(nearest == k) & (offset <= 0.03)]).var(0).mean().sqrt() / 0.01 for k in range(8)
    ]
    assert coverage(points)["std_ratio"] == pytest.approx(float(sum(deviations)) / 8, rel=1e-6)


def test_points_in_the_void_are_of_no_quality_and_count_for_their_nearest_mode() -> None:
    found = coverage(torch.zeros(10, 2) + torch.tensor([0.5, 0.0]))
    assert found["covered"] == found["high_quality"] == 0
    assert math.isnan(found["kl"])
    assert math.isnan(found["std_ratio"])
    assert found["kl_all"] == pytest.approx(math.log(8))


def test_points_that_are_not_finite_make_the_mixture_nan() -> None:
    metric = MixtureCoverage(ring(), 0.01, "ring8")
    metric.update(torch.full((10, 2), float("nan")))
    with pytest.warns(UserWarning, match="10 of 10"):
        assert all(math.isnan(value) for value in metric.compute().logged().values())


def test_batches_of_any_size_give_equal_counts() -> None:
    points, metric = draw(501), MixtureCoverage(ring(), 0.01, "ring8")
    for part in torch.split(points, [1, 0, 300, 200]):
        metric.update(part)
    whole = coverage(points)
    for key, value in metric.compute().logged().items():
        assert value == pytest.approx(whole[key.removeprefix("modes/ring8/")], rel=1e-12)


@pytest.mark.parametrize("points", [torch.zeros(4, 3), torch.zeros(4, 2, 1)])
def test_points_of_another_dimension_are_refused(points: Tensor) -> None:
    with pytest.raises(ConfigurationError, match="do not fit"):
        MixtureCoverage(ring(), 0.01, "ring8").update(points)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_a_mixture_without_width_is_refused(sigma: float) -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        MixtureCoverage(ring(), sigma, "ring8")
