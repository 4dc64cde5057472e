"""Features of the reals: right, mixed, kept, found again, never stale."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics import FeatureExtractor, ReferenceFeatures, get_extractor


class Counting(FeatureExtractor):
    """The points themselves; counts how often it is asked."""

    name = "counting"

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def extract(self, images: Tensor) -> Tensor:
        self.calls += 1
        return images.flatten(1)


def gaussian(count: int, size: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def test_reference_features_are_those_of_the_images_at_any_batch_size() -> None:
    images = torch.randint(0, 256, (30, 1, 4, 4), dtype=torch.uint8)
    extractor = get_extractor("pixel")
    for batch_size in (7, 500):
        found = ReferenceFeatures.from_samples(images, extractor, images[:5], batch_size=batch_size)
        assert torch.equal(found.train, (images.float() / 127.5 - 1).flatten(1))
        assert found.val is not None
        assert torch.equal(found.val, found.train[:5])
        assert (found.size, found.name) == (16, "pixel")


def test_the_reals_that_are_compared_are_a_mixed_sample_that_only_grows() -> None:
    found = ReferenceFeatures(torch.arange(100.0)[:, None])
    few, many = found.sample(20), found.sample(60)
    assert torch.equal(few.features, many.features[:20])
    assert torch.equal(many.features[:, 0].long(), many.index)
    assert len({*many.index.tolist()}) == 60
    assert 30 < float(many.features.mean()) < 70
    assert len(found.sample(1000)) == 100
    assert torch.equal(ReferenceFeatures(found.train).sample(20).index, few.index)
    assert found.sample(1000) is found.sample(1000)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"train": torch.zeros(1, 3)}, "training features of shape"),
        ({"train": torch.full((5, 3), float("nan"))}, "all finite"),
        ({"train": torch.zeros(5, 3), "val": torch.zeros(0, 3)}, "held-out features"),
        ({"train": torch.zeros(5, 3), "val": torch.zeros(5, 4)}, "same extractor"),
        ({"train": torch.zeros(5, 3), "labels": torch.zeros(4)}, "one class per image"),
    ],
)
def test_reals_that_are_no_reference_are_refused(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        ReferenceFeatures(**arguments)


def test_a_second_call_reads_the_features_from_the_cache(tmp_path: Path) -> None:
    images, unseen, labels = gaussian(30), gaussian(9, seed=1), torch.arange(30)

    def load(images: Tensor, unseen: Tensor | None) -> tuple[ReferenceFeatures, int]:
        extractor = Counting()
        found = ReferenceFeatures.load_or_build(
            images, extractor, unseen, labels, data_name="my data", cache_dir=tmp_path
        )
        return found, extractor.calls

    (built, _), (read, calls) = load(images, unseen), load(images, unseen)
    assert calls == 0
    for name in ("train", "val", "labels"):
        assert torch.equal(getattr(built, name), getattr(read, name))
    assert read.name == "counting"
    held_out, path = sorted(tmp_path.iterdir())
    assert path.name.startswith("my-data-train-counting-features-")
    assert held_out.name.startswith("my-data-held-out-counting-features-")
    for tested in (unseen + 1, None):  # as a test after validations does: other held-out reals
        again, calls = load(images, tested)
        assert calls == (0 if tested is None else 1)
        assert torch.equal(again.train, built.train)
        assert (again.val is None) == (tested is None)
    assert load(images + 1, unseen)[1] == 1
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(UserWarning, match="damaged"):
        assert load(images, unseen)[1] == 1
