"""Neighbours: brute force beside the test, closed forms for copies, ties that no order decides."""

import math

import pytest
import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import (
    FeatureBank,
    Neighbours,
    ReferenceFeatures,
    distances,
    get_extractor,
)
from lightning_gan.metrics.distances import distance_blocks, nearest, neighbourhood
from lightning_gan.metrics.features import shuffled

SHORT = ("precision", "recall", "density", "coverage", "nn1_real", "nn1_fake")


def gaussian(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def lattice(count: int, size: int, side: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(side, (count, size), generator=generator).float()


def measured(
    real: Tensor, fake: Tensor, manifold_k: int = 3, density_k: int = 5
) -> dict[str, float]:
    reference = ReferenceFeatures(real)
    metric = Neighbours(get_extractor("identity"), reference, manifold_k, density_k)
    for batch in torch.split(fake, 97):
        metric.update(batch)
    found = metric.compute().logged()
    names = [key.replace("/identity", "") for key in found]
    assert names == list(SHORT)
    return dict(zip(SHORT, found.values(), strict=True))


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, None].double() - b.double()).square().sum(2)


def brute_force(real: Tensor, fake: Tensor, manifold_k: int, density_k: int) -> dict[str, float]:
    """All distances by difference, every definition as it is written."""
    xx, yy, xy = squared(real, real), squared(fake, fake), squared(real, fake)
    for own in (xx, yy):
        own.fill_diagonal_(math.inf)

    def radii(own: Tensor, k: int) -> Tensor:
        return own.sort(1).values[:, k - 1]

    def share(own: Tensor, other: Tensor) -> float:
        both = torch.cat([own, other], 1)
        tied = both == both.amin(1, keepdim=True)
        return float((tied[:, : own.shape[1]].sum(1) / tied.sum(1).double()).mean())

    balls = xy <= radii(xx, density_k)[:, None]
    return {
        "precision": float((xy <= radii(xx, manifold_k)[:, None]).any(0).double().mean()),
        "recall": float((xy <= radii(yy, manifold_k)).any(1).double().mean()),
        "density": float(balls.sum()) / density_k / len(fake),
        "coverage": float(balls.any(1).double().mean()),
        "nn1_real": share(xx, xy),
        "nn1_fake": share(yy, xy.T),
    }


@pytest.mark.parametrize(("manifold_k", "density_k"), [(3, 5), (1, 1), (14, 2)])
def test_thirty_points_are_measured_as_by_brute_force(manifold_k: int, density_k: int) -> None:
    real, fake = gaussian(30, 3), 1.2 * gaussian(30, 3, seed=1)
    expected = brute_force(real, fake, manifold_k, density_k)
    assert measured(real, fake, manifold_k, density_k) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_points_of_a_lattice_full_of_ties_are_measured_as_by_brute_force(seed: int) -> None:
    real, fake = lattice(200, 3, 5, seed), lattice(200, 3, 6, seed + 10)
    assert measured(real, fake) == pytest.approx(brute_force(real, fake, 3, 5), abs=1e-12)


def test_tiles_of_any_size_change_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = lattice(150, 3, 5), lattice(150, 3, 6, seed=1)
    whole = measured(real, fake)
    for tile, held in ((1 << 20, 1 << 23), (16 * 150, 1 << 23), (1, 60), (1, 1)):
        monkeypatch.setattr(distances, "TILE", tile)
        monkeypatch.setattr(distances, "MAX_HELD", held)
        assert measured(real, fake) == whole


def test_scikit_learn_finds_the_same_neighbours() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    features = gaussian(300, 40) + 1000
    found = neighbourhood(FeatureBank(features))
    search = neighbors.NearestNeighbors(n_neighbors=10, algorithm="kd_tree").fit(features.double())
    length, index = search.kneighbors()
    assert torch.equal(found.indices, torch.from_numpy(index))
    assert torch.allclose(found.distances.sqrt(), torch.from_numpy(length), rtol=1e-12, atol=0)
    assert torch.equal(found.ties, torch.ones(300, dtype=torch.int64))


def test_torch_fidelity_agrees_on_precision_and_recall() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_prc", reason="torch-fidelity is optional")
    real, fake = gaussian(300, 6), 1.3 * gaussian(300, 6, seed=1)
    found = theirs.prc_features_to_metric(fake.double(), real.double(), verbose=False)
    ours = measured(real, fake)
    assert ours["precision"] == pytest.approx(float(found["precision"]), abs=1e-6)
    assert ours["recall"] == pytest.approx(float(found["recall"]), abs=1e-6)
    assert ours["precision"] < 0.97 < ours["recall"]


@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_equal_vectors_are_at_no_distance_wherever_they_lie(shift: float) -> None:
    features = gaussian(400, 64) + shift
    for rows, block in distance_blocks(features, features.flip(0)):
        numbers = torch.arange(400)[rows]
        assert not block[numbers - rows.start, 399 - numbers].any()
    found, index = nearest(features, features.flip(0))
    assert not found.any()
    assert torch.equal(index, torch.arange(399, -1, -1))


def test_copies_of_the_reals_have_the_density_of_k_plus_one_over_k() -> None:
    real = gaussian(300, 8)
    found = measured(real, real.flip(0))
    expected = dict.fromkeys(SHORT, 1.0) | {"density": 1.2, "nn1_real": 0.0, "nn1_fake": 0.0}
    assert found == pytest.approx(expected, abs=1e-12)


def test_clouds_that_do_not_touch_share_nothing() -> None:
    found = measured(gaussian(200, 8), gaussian(200, 8, seed=1) + 30)
    assert found == dict.fromkeys(SHORT, 0.0) | {"nn1_real": 1.0, "nn1_fake": 1.0}


def test_equal_distributions_have_the_expected_coverage_and_cannot_be_told_apart() -> None:
    count, k = 400, 5
    expected = 1.0
    for i in range(k):
        expected *= (count - 1 - i) / (2 * count - 1 - i)
    draws = [measured(gaussian(count, 6, 2 * i), gaussian(count, 6, 2 * i + 1)) for i in range(8)]
    mean = {name: sum(draw[name] for draw in draws) / len(draws) for name in SHORT}
    assert mean["coverage"] == pytest.approx(1 - expected, abs=0.01)
    assert mean["density"] == pytest.approx(1, abs=0.06)
    assert mean["nn1_real"] == pytest.approx(0.5, abs=0.05)
    assert mean["nn1_fake"] == pytest.approx(0.5, abs=0.05)


def test_a_missing_mode_shows_in_coverage_and_recall_and_not_in_density_or_precision() -> None:
    offsets = 20 * torch.eye(4)
    label = torch.arange(800) % 4
    real = gaussian(800, 4) + offsets[label]
    whole = measured(real, gaussian(800, 4, seed=1) + offsets[label])
    missing = measured(real, gaussian(800, 4, seed=1) + offsets[label % 3])
    assert missing["coverage"] < 0.76 < 0.93 < whole["coverage"]
    assert missing["recall"] < 0.76 < 0.93 < whole["recall"]
    assert missing["precision"] == pytest.approx(whole["precision"], abs=0.04)
    assert missing["density"] == pytest.approx(whole["density"], abs=0.15)
    assert missing["nn1_real"] > 0.57 > 0.54 > whole["nn1_real"]


def test_no_order_of_samples_decides_a_tie() -> None:
    real = gaussian(200, 5)
    drawn = real[torch.randint(200, (200,), generator=torch.Generator().manual_seed(3))]
    found = measured(real, drawn)
    shuffle = torch.randperm(200, generator=torch.Generator().manual_seed(4))
    assert measured(real, drawn[shuffle]) == found
    assert found == pytest.approx(brute_force(real, drawn, 3, 5), abs=1e-12)
    assert found["nn1_fake"] > found["nn1_real"] > 0


def test_exchanging_reals_and_fakes_exchanges_their_values() -> None:
    a, b = lattice(150, 3, 5), lattice(150, 3, 5, seed=1)
    one, two = measured(a, b), measured(b, a)
    assert one["nn1_real"] == pytest.approx(two["nn1_fake"], abs=1e-12)
    assert one["nn1_fake"] == pytest.approx(two["nn1_real"], abs=1e-12)
    assert (one["precision"], one["recall"]) == (two["recall"], two["precision"])


def test_a_generator_of_one_training_image_counts_all_its_copies_as_ties() -> None:
    real = gaussian(100, 5)
    found = measured(real, real[7].expand(100, 5))
    assert found["nn1_fake"] == pytest.approx(99 / 100, abs=1e-12)
    assert found["recall"] == pytest.approx(1 / 100, abs=1e-12)
    assert found["precision"] == 1


def test_one_sample_far_out_does_not_blur_the_others() -> None:
    real = gaussian(200, 8)
    fake = real.flip(0).clone()
    fake[50] = 1e30
    found = measured(real, fake)
    assert found["precision"] == pytest.approx(199 / 200, abs=1e-12)
    assert found["coverage"] > 0.99
    assert found["nn1_fake"] < 0.01


def test_as_many_samples_are_compared_as_there_are_reals() -> None:
    real, fake = gaussian(60, 4), gaussian(100, 4, seed=1)
    assert measured(real, fake) == measured(real, fake[shuffled(100)[:60]])
    more = ReferenceFeatures(gaussian(90, 4))
    metric = Neighbours(get_extractor("identity"), more)
    metric.update(fake[:60])
    bounded = Neighbours(get_extractor("identity"), more, max_samples=60)
    bounded.update(fake[:60])
    assert bounded.compute() == metric.compute()
    chosen = more.train[more.order[:60]]
    expected = brute_force(chosen, fake[:60], 3, 5)
    assert [*metric.compute().logged().values()] == pytest.approx([*expected.values()])


@pytest.mark.parametrize("held_out", [40, 60, 90])
def test_the_test_of_held_out_reals_stands_beside_that_of_the_samples(held_out: int) -> None:
    real, val, fake = gaussian(60, 4), gaussian(held_out, 4, seed=1), gaussian(60, 4, seed=2) + 9
    reference = ReferenceFeatures(real, val)
    metric = Neighbours(get_extractor("identity"), reference)
    metric.update(fake)
    found = metric.compute()
    count = min(60, held_out)
    assert (found.compared, found.held_out) == (60, count)
    bank = FeatureBank(real[reference.order]).sample(count)
    expected = measured(bank.features, FeatureBank(val).sample(count).features)
    assert found.nn1_real_held_out == pytest.approx(expected["nn1_real"], abs=1e-12)
    assert found.nn1_fake_held_out == pytest.approx(expected["nn1_fake"], abs=1e-12)
    assert found.nn1_fake == 1
    assert found.logged()["nn1/identity_fake_held_out"] == found.nn1_fake_held_out


def test_of_samples_sorted_by_class_no_class_is_left_out() -> None:
    """Four clusters one after the other, of which the first three fill what is compared."""
    centres = 20 * torch.eye(4).repeat_interleave(100, 0)
    real, fake = gaussian(400, 4) + centres, gaussian(400, 4, seed=1) + centres
    metric = Neighbours(get_extractor("identity"), ReferenceFeatures(real), max_samples=300)
    metric.update(fake)
    assert metric.compute().coverage > 0.9
    assert metric.compute().nn1_real < 0.56


def test_too_few_samples_for_k_neighbours_are_nan() -> None:
    with pytest.warns(UserWarning, match="at least 6"):
        assert all(math.isnan(x) for x in measured(gaussian(30, 4), gaussian(5, 4)).values())


@pytest.mark.parametrize(("manifold_k", "density_k"), [(0, 5), (3, 0), (3, 30)])
def test_a_number_of_neighbours_that_there_are_not_is_refused(
    manifold_k: int, density_k: int
) -> None:
    with pytest.raises(ConfigurationError, match="at least 1 and below 30"):
        measured(gaussian(30, 4), gaussian(30, 4), manifold_k, density_k)


def test_metrics_that_share_a_reference_share_no_answer_that_depends_on_k() -> None:
    reference = ReferenceFeatures(gaussian(200, 3), val=gaussian(30, 3, 1))
    found = []
    for density_k in (40, 5):  # with the first there are too few held-out samples
        metric = Neighbours(get_extractor("identity"), reference, density_k=density_k)
        metric.update(gaussian(100, 3, 2))
        found.append(metric.compute().nn1_real_held_out)
    assert found[0] is None
    assert found[1] is not None
