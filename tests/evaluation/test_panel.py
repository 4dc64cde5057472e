"""All measures of one data set: each extractor looks at a sample once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import Few, Pictures, Points
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.panel import MEASURES, Panel, default_num_samples, extractor_for
from lightning_gan.metrics import FeatureExtractor, KernelDistance, ReferenceFeatures
from lightning_gan.metrics.samples import SampleBatch


class Counting(FeatureExtractor):
    """Tells dark pictures from light ones, and counts the samples that it looks at."""

    name, num_classes, num_features = "counting", 2, 3
    class_names = ("dark", "light")
    reads_features = True
    looked_at = 0

    def extract(self, images: Tensor) -> Tensor:
        Counting.looked_at += len(images)
        return images.flatten(1)[:, :3]

    def logits_of(self, features: Tensor) -> Tensor:
        return torch.stack([-features[:, 0], features[:, 0]], 1)


COUNTING = f"{__name__}.Counting"


def pictures(count: int = 30, seed: int = 0) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_all_measures_together_look_at_each_sample_once() -> None:
    panel = Panel(Pictures(), extractor=COUNTING)
    assert panel.measures == MEASURES
    Counting.looked_at = 0
    values = panel.measure([(0, pictures()), (1, pictures(7, seed=1))]).logged()
    assert Counting.looked_at == values["eval/n"] == 37
    kinds = {key.partition("/")[0] for key in values}
    assert kinds == {
        *("fid", "kid", "precision", "recall", "density", "coverage", "nn1", "vendi", "is"),
        *("auth", "ct", "dup", "modes", "eval"),
    }


def test_a_value_is_what_the_metric_by_itself_gives() -> None:
    data, samples = Pictures(), pictures(60)
    panel = Panel(data, extractor=COUNTING)
    values = panel.measure([(0, samples)]).logged()
    reference = ReferenceFeatures.from_samples(data.split("train").images, Counting())
    alone = KernelDistance(Counting(), reference)
    alone.update(samples)
    assert values["kid/counting"] == alone.compute().value
    dark = int((samples[:, 0, 0, 0] < 0).sum())
    assert values["modes/pictures/min_share"] == min(dark, 60 - dark) / 60


def test_a_second_measurement_forgets_the_first() -> None:
    panel = Panel(Points(), ["frechet", "modes", "kernel"])
    points = Points().split("val").images
    first = panel.measure([(0, points)])
    panel.measure([(0, points + 3)])
    assert panel.measure([(0, points)]) == first


def test_samples_that_are_no_numbers_are_counted_and_left_out() -> None:
    samples = pictures(2000)
    samples[3] = torch.nan
    samples[4, 0, 0, 1] = 1.5
    panel = Panel(Pictures(), ["frechet"], extractor="pixel")
    with pytest.warns(UserWarning, match="leave \\[-1, 1\\]"):
        measured = panel.measure([(0, samples)])
    assert (measured.n, measured.nonfinite, measured.out_of_range) == (2000, 1, 1)
    assert measured.frechet is not None
    assert measured.frechet.value > 0


def test_a_batch_is_cleaned_once_and_read_once() -> None:
    Counting.looked_at = 0
    batch, extractor = SampleBatch(pictures(5)), Counting()
    assert SampleBatch.of(batch) is batch
    features = batch.features(extractor)
    assert torch.equal(batch.logits(extractor)[:, 1], features[:, 0])
    assert batch.features(extractor) is features
    assert Counting.looked_at == 5


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"extractor": "pixel", "measures": ["modes"]}, "needs a classifier of these data"),
        ({"extractor": "pixel", "measures": ["score"]}, "needs an extractor that classifies"),
        ({"extractor": "pixel", "measures": []}, "There is no measure"),
        ({"extractor": "pixel", "measures": ["beauty"]}, "to be one of frechet"),
        ({"classifier": "mnist_cnn"}, "tells 10 classes apart but the data have 2"),
    ],
)
def test_measures_that_do_not_fit_the_data_are_refused(
    arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Panel(Pictures(), **arguments)


def test_what_does_not_fit_is_left_out_where_nothing_is_asked_for() -> None:
    panel = Panel(Pictures(), extractor="pixel")
    assert panel.measures == tuple(name for name in MEASURES if name not in ("score", "modes"))
    assert "modes" not in panel.metrics
    assert Panel(Points(), default_measures=("modes", "score")).measures == ("modes",)


@pytest.mark.parametrize(
    ("count", "left_out"), [(2, {"neighbours", "memorisation"}), (6, {"memorisation"}), (10, set())]
)
def test_few_training_samples_leave_out_what_needs_more(count: int, left_out: set[str]) -> None:
    data = Few(count)
    panel = Panel(data)
    assert set(Panel(Points()).measures) - set(panel.measures) == left_out
    found = panel.measure([(0, torch.randn(50, 2))])
    assert found.frechet is not None
    for measure in left_out:
        words = f"'{measure}' needs at least .* training samples, which .*: leave it out"
        with pytest.raises(ConfigurationError, match=words):
            Panel(data, [measure])  # type: ignore[list-item]


def test_fewer_reals_than_features_are_remarked_on_with_the_numbers() -> None:
    (remark,) = Panel(Few(2), ["frechet"]).remarks
    assert "The reference has 2 samples and identity has 2 features" in remark
    assert "beside fid/identity_floor, or give more than 2 samples" in remark
    assert not Panel(Few(3), ["frechet"]).remarks
    assert not Panel(Few(2), ["modes"]).remarks


def test_data_have_their_usual_extractor_and_number_of_samples() -> None:
    assert (extractor_for(Points()).name, default_num_samples(Points())) == ("identity", 2500)
    assert (extractor_for(Pictures()).name, default_num_samples(Pictures())) == ("pixel", 10_000)


def test_stamps_tell_extractor_reference_and_neighbours() -> None:
    first, second = Panel(Points()).stamp(), Panel(Points(), ["frechet"]).stamp()
    assert first["reference"] == second["reference"]
    assert first["held_out"]["count"] == len(Points().split("test").images)
    assert first["neighbours"] == {"manifold_k": 3, "density_k": 5} | {
        "most": 10_000,
        "order": "shuffled",
    }
    assert (second["held_out"], second["neighbours"]) == (None, None)
    assert Panel(Points(), ["frechet"], extractor="pixel").stamp() != second


def test_values_of_other_held_out_samples_do_not_compare() -> None:
    one, other = (Panel(Points(8), ["neighbours"], val_split=name) for name in ("val", "test"))
    assert one.stamp()["held_out"] != other.stamp()["held_out"]
    assert Panel(Points(8), ["frechet"]).stamp()["held_out"] is None
