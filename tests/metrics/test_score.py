"""The Inception score of any classifier: its two ends, a reference beside the test, its splits."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import ClassifierScore, FeatureExtractor, get_extractor, inception_score
from lightning_gan.metrics.features import shuffled


class Linear(FeatureExtractor):
    """Takes points for their own logits."""

    name, num_classes = "linear", 5

    def logits(self, images: Tensor) -> Tensor:
        return images


def some_logits(count: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))


def measured(logits: Tensor, splits: int = 10, batch: int = 37) -> tuple[float, float]:
    metric = ClassifierScore(Linear(), splits)
    for part in torch.split(logits, batch):
        metric.update(part)
    found = metric.compute()
    assert found.logged() == {"is/linear": found.value, "is/linear_std": found.std}
    return found.value, found.std


def by_numpy(logits: Tensor, splits: int) -> tuple[float, float]:
    """As in the code of the paper, in float64, after the shuffle."""
    raised = np.exp(logits[shuffled(len(logits))].double().numpy())
    shares = raised / raised.sum(1, keepdims=True)
    scores = []
    for i in range(splits):
        part = shares[i * len(shares) // splits : (i + 1) * len(shares) // splits]
        terms = part * (np.log(part) - np.log(part.mean(0, keepdims=True)))
        scores.append(np.exp(terms.sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def test_one_sure_image_of_each_class_scores_the_number_of_classes() -> None:
    sure = 200 * torch.eye(5).repeat(20, 1)
    assert measured(sure, splits=1) == pytest.approx((5, 0), abs=1e-9)


@pytest.mark.parametrize("logits", [torch.zeros(50, 5), 200 * torch.eye(5)[:1].repeat(50, 1)])
def test_an_undecided_classifier_and_a_single_class_score_one(logits: Tensor) -> None:
    assert measured(logits) == pytest.approx((1, 0), abs=1e-12)


def test_two_classes_with_uneven_shares_score_the_exponential_of_their_entropy() -> None:
    logits = 200 * torch.eye(5)[[0, 0, 0, 1]].repeat(10, 1)
    expected = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert float(inception_score(logits)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("count", "splits"), [(100, 10), (103, 10), (64, 1), (17, 5)])
def test_splits_are_those_of_the_paper(count: int, splits: int) -> None:
    logits = some_logits(count)
    assert measured(logits, splits) == pytest.approx(by_numpy(logits, splits), rel=1e-10)


def test_samples_sorted_by_class_score_like_mixed_ones() -> None:
    mixed = 8 * torch.eye(5).repeat(40, 1)
    ordered = mixed[mixed.argmax(1).argsort(stable=True)]
    assert measured(ordered)[0] == pytest.approx(measured(mixed)[0], rel=0.05)
    assert measured(ordered, splits=1) == pytest.approx(measured(mixed, splits=1), abs=1e-12)


def test_scipy_agrees_on_the_divergences() -> None:
    stats = pytest.importorskip("scipy.stats")
    shares = some_logits(80).double().softmax(1).numpy()
    expected = math.exp(np.mean([stats.entropy(share, shares.mean(0)) for share in shares]))
    assert float(inception_score(some_logits(80))) == pytest.approx(expected, rel=1e-12)


def test_torch_fidelity_agrees() -> None:
    theirs: Any = pytest.importorskip(
        "torch_fidelity.metric_isc", reason="torch-fidelity is optional"
    )
    logits = some_logits(203)
    mixed = logits[shuffled(203)]
    found = theirs.isc_features_to_metric(mixed, splits=10, shuffle=False)
    expected = [found[key] for key in ("inception_score_mean", "inception_score_std")]
    assert measured(logits) == pytest.approx(expected, rel=1e-6)


def test_a_mode_that_is_missing_lowers_the_score() -> None:
    every, four = 8 * torch.eye(5).repeat(200, 1), 8 * torch.eye(5)[torch.arange(1000) % 4]
    assert measured(four)[0] < 4.01 < 4.8 < measured(every)[0] <= 5


def test_an_excluded_class_makes_no_nan() -> None:
    logits = some_logits(100)
    logits[:, 3] = -1e38
    without = logits[:, [0, 1, 2, 4]]
    assert measured(logits)[0] == pytest.approx(by_numpy(without, 10)[0], rel=1e-10)
    infinite = logits.clone()
    infinite[:, 3] = -math.inf
    assert float(inception_score(infinite)) == pytest.approx(
        float(inception_score(without)), rel=1e-12
    )


def test_batches_of_any_size_give_equal_bits() -> None:
    logits = some_logits(205)
    assert len({measured(logits, batch=batch) for batch in (1, 50, 205)}) == 1


def test_a_sample_that_is_not_finite_is_left_out() -> None:
    logits = some_logits(2001)
    broken = logits.clone()
    broken[1000, 2] = math.nan
    kept = torch.cat([logits[:1000], logits[1001:]])
    assert measured(broken) == measured(kept)


def test_fewer_samples_than_splits_are_nan() -> None:
    with pytest.warns(UserWarning, match="at least 10"):
        assert all(math.isnan(value) for value in measured(some_logits(9)))


@pytest.mark.parametrize(("name", "splits"), [("pixel", 10), ("mnist_cnn", 0)])
def test_what_cannot_be_scored_is_refused(name: str, splits: int) -> None:
    with pytest.raises(ConfigurationError, match="take a classifier"):
        ClassifierScore(get_extractor(name), splits)


def test_a_bundled_classifier_scores_images_between_one_and_ten() -> None:
    metric = ClassifierScore(get_extractor("mnist_cnn"), splits=2)
    metric.update(torch.rand(20, 1, 28, 28) * 2 - 1)
    assert 1 <= metric.compute().logged()["is/mnist_cnn"] <= 10
