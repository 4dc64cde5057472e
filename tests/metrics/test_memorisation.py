"""Copies of the training set and of itself: found, named, and not cried where there are none."""

import math

import pytest
import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import (
    Duplicates,
    FeatureBank,
    Memorisation,
    ReferenceFeatures,
    get_extractor,
)
from lightning_gan.metrics.features import shuffled
from lightning_gan.metrics.memorisation import closest_pairs, clusters, copying, mann_whitney

MODES = 8 * torch.eye(4)


def gaussian(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def mixture(count: int, seed: int) -> Tensor:
    return gaussian(count, 4, seed) + MODES[torch.arange(count) % 4]


def four_modes(labelled: bool = True) -> ReferenceFeatures:
    labels = torch.arange(2000) % 4 if labelled else None
    return ReferenceFeatures(mixture(2000, 0), mixture(1000, 1), labels)


def measured(reference: ReferenceFeatures, fakes: Tensor, cells: int = 10) -> dict[str, float]:
    metric = Memorisation(get_extractor("identity"), reference, cells)
    for batch in torch.split(fakes, 97):
        metric.update(batch)
    found = metric.compute().logged()
    return {key.replace("/identity", ""): value for key, value in found.items()}


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, None].double() - b.double()).square().sum(2)


def test_authenticity_is_that_of_brute_force() -> None:
    training, held_out, fakes = gaussian(150, 3), gaussian(80, 3, 1), gaussian(90, 3, 2)
    own = squared(training, training).fill_diagonal_(math.inf).amin(1)

    def authentic(samples: Tensor) -> float:
        distance, near = squared(samples, training).min(1)
        return 100 * float((own[near] < distance).double().mean())

    found = measured(ReferenceFeatures(training, held_out), fakes, cells=2)
    assert found["auth"] == pytest.approx(authentic(fakes), abs=1e-12)
    assert found["auth_real"] == pytest.approx(authentic(held_out), abs=1e-12)


def test_a_copied_training_set_has_no_authentic_sample_and_is_far_too_near() -> None:
    reference = four_modes()
    found = measured(reference, reference.train.flip(0))
    assert found["auth"] == 0
    assert found["ct"] < -15
    assert found["auth_real"] > 40


def test_a_sample_that_is_as_near_as_the_next_training_image_is_not_authentic() -> None:
    training = torch.tensor([[0.0], [1.0], [5.0], [5.0]])
    fakes = torch.tensor([[-1.0], [-1.1], [5.0], [5.1]])  # as near, farther, a copy, near a pair
    assert measured(ReferenceFeatures(training), fakes, cells=1) == {"auth": 50}


def test_new_samples_are_as_authentic_as_held_out_reals() -> None:
    found = measured(four_modes(), mixture(1000, 2))
    assert found["auth"] == pytest.approx(found["auth_real"], abs=6)
    assert abs(found["ct"]) < 3


@pytest.mark.parametrize(("copied", "most"), [(0.5, -5), (0.1, -0.5)])
def test_a_part_of_copies_shows_in_proportion(copied: float, most: float) -> None:
    reference = four_modes()
    count = int(1000 * copied)
    fresh = measured(reference, mixture(1000, 2))
    fakes = torch.cat([reference.train[:count], mixture(1000, 2)[count:]])
    found = measured(reference, fakes)
    assert found["auth"] == pytest.approx((1 - copied) * fresh["auth"], abs=3)
    assert found["ct"] - fresh["ct"] < most


def test_noise_lies_too_far_from_the_training_images() -> None:
    found = measured(four_modes(), mixture(1000, 2) + 1.5 * gaussian(1000, 4, 3))
    assert found["ct"] > 5
    assert found["auth"] > found["auth_real"]


def test_one_tight_class_alone_is_no_copying_in_cells_though_it_is_in_the_whole() -> None:
    widths = torch.tensor([0.05, 1.0, 1.0, 1.0])
    label = torch.arange(4000) % 4

    def draw(seed: int) -> Tensor:
        return gaussian(4000, 4, seed) * widths[label, None] + MODES[label]

    training, held_out, fakes = draw(0), draw(1), draw(2)[label == 0]
    in_cells = measured(ReferenceFeatures(training, held_out, label), fakes)
    whole = measured(ReferenceFeatures(training, held_out, torch.zeros(4000)), fakes)
    by_clusters = measured(ReferenceFeatures(training, held_out), fakes, cells=4)
    assert abs(in_cells["ct"]) < 3
    assert whole["ct"] < -20
    assert by_clusters["ct"] == pytest.approx(in_cells["ct"], abs=1e-12)


def test_clusters_are_those_of_scikit_learn() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    features = mixture(400, 0)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(1))
    found = clusters(features, order, 4)
    start = features[order[:4]].double().numpy()
    theirs = cluster.KMeans(4, init=start, n_init=1, max_iter=25, tol=0, algorithm="lloyd")
    assert found.tolist() == theirs.fit_predict(features.double().numpy()).tolist()


def test_scipy_counts_the_same_pairs() -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randint(9, (n,), generator=generator).double() for n in (40, 25))
    u = stats.mannwhitneyu(a, b).statistic
    deviation = (40 * 25 * 66 / 12) ** 0.5
    assert float(mann_whitney(a, b)) == pytest.approx((u - 500) / deviation, abs=1e-12)
    assert float(mann_whitney(a, b)) == pytest.approx(-float(mann_whitney(b, a)), abs=1e-12)
    assert float(mann_whitney(a, a)) == 0
    assert float(mann_whitney(a + 9, a)) == pytest.approx(800 / (1600 * 81 / 12) ** 0.5)


def test_cells_weigh_as_their_held_out_reals_and_thin_ones_not_at_all() -> None:
    fake, real = torch.rand(60).double(), torch.rand(70).double()
    fakes, reals = torch.arange(60) // 20, torch.arange(70) // 35
    fakes[19] = 2  # cell 0 keeps 19 fakes, one too few; no held-out real is in cell 2
    expected = mann_whitney(fake[fakes == 1], real[reals == 1])
    assert torch.equal(copying(fake, fakes, real, reals), expected)
    fakes[19] = 0
    both = [mann_whitney(fake[fakes == cell], real[reals == cell]) for cell in (0, 1)]
    expected = torch.stack(both).mean()
    assert float(copying(fake, fakes, real, reals)) == pytest.approx(float(expected), abs=1e-12)


def test_the_nearest_training_images_are_named() -> None:
    reference = four_modes()
    metric = Memorisation(get_extractor("identity"), reference)
    fakes = mixture(300, 2)
    fakes[123], fakes[45] = reference.train[1717], reference.train[8] + 1e-4
    assert metric.nothing().closest.shape == (0, 2)
    metric.update(fakes)
    closest, distances = metric.compute().closest, metric.compute().distances
    assert closest[:2].tolist() == [[123, 1717], [45, 8]]
    assert closest.shape == (20, 2)
    assert distances[0] == 0
    assert distances[1] == pytest.approx(2e-4, rel=1e-2)
    apart = squared(fakes[closest[:, 0]], reference.train[closest[:, 1]])
    assert apart.diagonal().sqrt().tolist() == pytest.approx(list(distances), abs=1e-12)


def test_without_held_out_reals_there_is_only_authenticity() -> None:
    assert set(measured(ReferenceFeatures(mixture(300, 0)), mixture(100, 2))) == {"auth"}


def test_too_few_samples_for_any_cell_are_nan_with_the_reason() -> None:
    with pytest.warns(UserWarning, match="No cell has 20 generated samples"):
        found = measured(four_modes(), mixture(40, 2))
    assert math.isnan(found["ct"])
    assert math.isfinite(found["auth"])


@pytest.mark.parametrize("cells", [0, 2001])
def test_more_clusters_than_training_images_are_refused(cells: int) -> None:
    with pytest.raises(ConfigurationError, match=f"clusters={cells}"):
        measured(four_modes(labelled=False), mixture(40, 2), cells)


def duplicates(fakes: Tensor, reals: Tensor, batch: int = 500) -> tuple[Duplicates, list[float]]:
    extractor = get_extractor("identity" if fakes.ndim == 2 else "pixel")
    metric = Duplicates(extractor, ReferenceFeatures.from_samples(reals, extractor))
    for part in torch.split(fakes, batch):
        metric.update(part)
    found = metric.compute()
    assert list(found.logged()) == [f"dup/{extractor.name}_min_pair_ratio", "dup/exact"]
    return metric, [*found.logged().values()]


def test_a_planted_pair_is_found_among_ten_thousand() -> None:
    fakes = gaussian(10_000, 16)
    fakes[8888] = fakes[17] + 1e-4
    metric, (ratio, exact) = duplicates(fakes, gaussian(10_000, 16, 1))
    assert metric.compute().closest[0].tolist() == [17, 8888]
    assert metric.compute().distances[0] == pytest.approx(4e-4, rel=1e-2)
    assert ratio < 0.01
    assert exact == 0


def test_the_closest_pairs_are_those_of_brute_force() -> None:
    features = gaussian(300, 2)
    features[40:60] = features[40] + 1e-3 * gaussian(20, 2, 1)  # neighbours of one another
    pairs, found = closest_pairs(FeatureBank(features))
    apart = squared(features, features).sqrt()
    rows, columns = torch.triu_indices(300, 300, offset=1)
    expected, order = apart[rows, columns].sort(stable=True)
    assert torch.allclose(found, expected[:20], rtol=1e-12, atol=0)
    assert torch.equal(pairs, torch.stack([rows, columns], 1)[order[:20]])


def test_the_ratio_is_one_for_copies_of_the_reals() -> None:
    reals = gaussian(200, 3)
    assert duplicates(reals.flip(0), reals)[1] == pytest.approx([1, 0], abs=1e-12)


def test_images_that_are_equal_in_uint8_are_counted_and_named() -> None:
    images = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    images = (images * 127.5 + 127.5).round() / 127.5 - 1
    images[30], images[59] = images[4], images[4] + 1e-3  # a thousandth is below half a grey level
    metric, (_, exact) = duplicates(images, torch.rand(60, 1, 4, 4) * 2 - 1, batch=25)
    assert exact == 2
    assert sorted(metric.compute().closest[:3].tolist()) == [[4, 30], [4, 59], [30, 59]]
    assert metric.compute().closest[0].tolist() == [4, 30]


def test_a_constant_generator_repeats_itself_but_for_the_first_time() -> None:
    metric, (ratio, exact) = duplicates(torch.ones(50, 3), gaussian(50, 3))
    assert (ratio, exact) == (0, 49)
    assert len(metric.compute().closest) == 20


def test_a_sample_that_is_not_finite_keeps_its_number() -> None:
    fakes = gaussian(2000, 4)
    fakes[1500] = fakes[12]
    fakes[100, 2] = math.inf
    metric, (_, exact) = duplicates(fakes, gaussian(2000, 4, 1))
    assert metric.compute().closest[0].tolist() == [12, 1500]
    assert (exact, metric.nonfinite) == (1, 1)


def test_fewer_reals_than_samples_are_compared_with_as_many() -> None:
    fakes, reals = gaussian(300, 3), gaussian(100, 3, 1)
    ratio, some = duplicates(fakes, reals)[1][0], fakes[shuffled(300)[:100]]
    assert ratio == pytest.approx(duplicates(some, reals)[1][0], abs=1e-12)


def test_what_is_computed_in_inference_mode_serves_outside_of_it() -> None:
    metric = Memorisation(get_extractor("identity"), four_modes())
    metric.update(mixture(300, 5))
    with torch.inference_mode():
        first = metric.compute()
    other = Memorisation(get_extractor("identity"), metric.reference)
    other.update(mixture(400, 6))
    assert 0 < other.compute().authentic < 100
    assert first.authentic == metric.compute().authentic
