"""The Vendi score: closed forms of its spectrum, and a second way to it."""

import math

import pytest
import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import ReferenceFeatures, VendiScore, get_extractor, vendi_score


def gaussian(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [12, 100])
def test_orthogonal_clusters_count_as_many(size: int) -> None:
    found = vendi_score(torch.eye(size)[torch.arange(60) % 12])
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(12, rel=1e-12)


def test_equal_directions_count_as_one() -> None:
    lengths = torch.linspace(1e-20, 1e20, 50)[:, None]
    assert float(vendi_score(lengths * gaussian(1, 7))) == pytest.approx(1, abs=1e-6)
    assert float(vendi_score(gaussian(1, 7))) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("cosine", [0.0, 0.3, 0.9, -0.5])
def test_two_vectors_have_the_score_of_their_angle(cosine: float) -> None:
    shares = [(1 + cosine) / 2, (1 - cosine) / 2]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    vectors = torch.tensor([[1.0, 0.0], [cosine, (1 - cosine**2) ** 0.5]], dtype=torch.float64)
    assert float(vendi_score(vectors)) == pytest.approx(expected, rel=1e-12)
    assert float(vendi_score(vectors.repeat(10, 1))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("count", "size"), [(80, 20), (20, 80), (30, 30)])
def test_other_libraries_find_the_same_spectrum(count: int, size: int) -> None:
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    linalg = pytest.importorskip("scipy.linalg")
    stats = pytest.importorskip("scipy.stats")
    features = gaussian(count, size) + 0.5
    similarity = pairwise.cosine_similarity(features.double())
    expected = math.exp(stats.entropy(linalg.eigvalsh(similarity / count).clip(0)))
    assert float(vendi_score(features)) == pytest.approx(expected, rel=1e-10)


def test_vectors_of_no_length_are_equal_to_each_other_and_unlike_the_rest() -> None:
    features = torch.cat([torch.zeros(10, 3), torch.eye(3).repeat(10, 1)])
    assert float(vendi_score(features)) == pytest.approx(4, rel=1e-12)
    assert float(vendi_score(torch.zeros(10, 3))) == pytest.approx(1, abs=1e-12)


def test_lengths_that_overflow_when_squared_do_not_matter() -> None:
    features = gaussian(40, 5)
    expected = float(vendi_score(features))
    for factor in (1e-30, 1e30):
        scaled = features.double() * factor
        assert float(vendi_score(scaled)) == pytest.approx(expected, rel=1e-12)


def test_a_missing_mode_lowers_the_score_below_that_of_the_reals() -> None:
    modes = 3 * torch.eye(6)
    label = torch.arange(600) % 6
    metric = VendiScore(
        get_extractor("identity"),
        ReferenceFeatures(0.1 * gaussian(900, 6) + modes[label.repeat(2)[:900]]),
    )
    fakes = 0.1 * gaussian(600, 6, seed=1)
    found = {}
    for kept in (6, 5):
        metric.reset()
        for batch in torch.split(fakes + modes[label % kept], 70):
            metric.update(batch)
        found[kept] = metric.compute()
    assert set(found[6].logged()) == {"vendi/identity", "vendi/identity_real"}
    assert found[6].real == found[5].real
    assert found[6].value == pytest.approx(found[6].real, rel=0.01)
    assert found[5].value < 5.3 < found[6].value


def test_without_a_reference_the_generated_images_stand_alone() -> None:
    metric = VendiScore(get_extractor("pixel"))
    images = gaussian(30, 48).reshape(30, 3, 4, 4).clamp(-1, 1)
    metric.update(images)
    found = metric.compute()
    assert set(found.logged()) == {"vendi/pixel"}
    assert found.value == pytest.approx(float(vendi_score(images.flatten(1))))


def test_fewer_than_two_samples_have_no_value() -> None:
    metric = VendiScore(get_extractor("identity"))
    metric.update(torch.zeros(1, 3))
    with pytest.warns(UserWarning, match="at least 2"):
        assert math.isnan(metric.compute().value)
    with pytest.raises(ConfigurationError, match="one vector"):
        vendi_score(torch.zeros(0, 3))
