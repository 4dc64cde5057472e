"""Statistics of the reals: right, kept, found again, never stale."""

import os
from pathlib import Path

import pytest
import torch

from lightning_gan.basics.cache import cache_folder
from lightning_gan.datamodules import CIFAR10, MNIST, Digits, RealData
from lightning_gan.evaluation.panel import extractor_for
from lightning_gan.metrics import FeatureExtractor, ReferenceStatistics, get_extractor, reference

DATA = os.environ.get("LIGHTNING_GAN_TEST_DATA", str(Path(__file__).resolve().parents[2] / "data"))


def images(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (60, 1, 4, 4), generator=generator, dtype=torch.uint8)


class Counting(FeatureExtractor):
    """Counts how often it is asked."""

    name = "counting"
    gain: torch.Tensor

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor(gain))
        self.calls = 0

    def extract(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return images.flatten(1) * self.gain


def test_mean_and_covariance_are_those_of_the_features_at_any_batch_size() -> None:
    features = (images().float() / 127.5 - 1).flatten(1).double()
    for batch_size in (7, 500):
        found = ReferenceStatistics.from_samples(images(), get_extractor("pixel"), batch_size)
        assert torch.allclose(found.mean, features.mean(0), atol=1e-12)
        assert torch.allclose(found.covariance, torch.cov(features.T), atol=1e-12)
        assert (found.count, found.name) == (60, "pixel")
        assert found.mean.dtype == found.covariance.dtype == torch.float64


def test_float_images_and_their_uint8_have_equal_statistics() -> None:
    extractor = get_extractor("pixel")
    first = ReferenceStatistics.from_samples(images(), extractor)
    second = ReferenceStatistics.from_samples(images().float() / 127.5 - 1, extractor)
    assert torch.equal(first.covariance, second.covariance)


def test_the_factor_is_a_square_root_of_the_covariance() -> None:
    found = ReferenceStatistics.from_samples(images(), get_extractor("pixel"))
    assert torch.allclose(found.factor @ found.factor.T, found.covariance, atol=1e-12)


def test_statistics_of_known_features_are_those_of_their_images() -> None:
    extractor, asked = get_extractor("pixel"), Counting()
    features = extractor(images().float() / 127.5 - 1)
    expected = ReferenceStatistics.from_samples(images(), extractor)
    found = ReferenceStatistics.from_samples(images(), asked, features=features)
    assert asked.calls == 0
    assert torch.equal(found.covariance, expected.covariance)


def test_statistics_that_come_with_the_package_are_read_first_if_they_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled, cache = tmp_path / "bundled", tmp_path / "cache"
    monkeypatch.setattr(reference, "BUNDLED_FOLDER", bundled)
    ReferenceStatistics.load_or_build(images(), Counting(), cache_dir=bundled)
    asked = Counting()
    ReferenceStatistics.load_or_build(images(), asked, cache_dir=cache)
    assert asked.calls == 0
    assert not cache.exists()
    (path,) = bundled.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    ReferenceStatistics.load_or_build(images(), asked, cache_dir=cache)
    assert asked.calls == 1
    assert cache.exists()


@pytest.mark.parametrize("data", [Digits(), MNIST(DATA), CIFAR10(DATA)], ids=lambda data: data.name)
def test_statistics_of_the_bundled_sets_come_with_the_package(
    data: RealData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"mnist": "MNIST/raw", "cifar10": "cifar-10-batches-py"}
    if data.name in parts and not (Path(DATA) / parts[data.name]).is_dir():
        pytest.skip(f"there is no {data.name} in {DATA}")
    extractor, images = extractor_for(data), data.split("train").images
    monkeypatch.setattr(type(extractor), "forward", None)  # nothing is extracted
    found = ReferenceStatistics.load_or_build(
        images, extractor, data_name=data.name, cache_dir=tmp_path
    )
    assert found.count == len(images)
    assert [*tmp_path.iterdir()] == []


def test_a_second_call_reads_the_cache(tmp_path: Path) -> None:
    built = ReferenceStatistics.load_or_build(images(), Counting(), cache_dir=tmp_path)
    again = Counting()
    read = ReferenceStatistics.load_or_build(images(), again, cache_dir=tmp_path)
    assert again.calls == 0
    assert torch.equal(built.mean, read.mean)
    assert torch.equal(built.covariance, read.covariance)
    assert torch.equal(built.factor, read.factor)
    assert (built.bias, built.count, built.name) == (read.bias, read.count, read.name)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


@pytest.mark.parametrize("what", ["image", "weights", "split", "type"])
def test_whatever_changes_misses_the_cache(tmp_path: Path, what: str) -> None:
    ReferenceStatistics.load_or_build(images(), Counting(), cache_dir=tmp_path)
    changed, extractor, split = images(), Counting(2.0 if what == "weights" else 1.0), "train"
    if what == "image":
        changed[-1, 0, 3, 3] ^= 1
    elif what == "type":
        changed = changed.float() / 127.5 - 1
    elif what == "split":
        split = "test"
    ReferenceStatistics.load_or_build(changed, extractor, split, cache_dir=tmp_path)
    assert extractor.calls > 0
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "bit", "text"])
def test_a_damaged_file_is_built_anew_with_a_warning(tmp_path: Path, damage: str) -> None:
    built = ReferenceStatistics.load_or_build(images(), Counting(), cache_dir=tmp_path)
    path = next(tmp_path.iterdir())
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "bit":
        content[-5] ^= 16
    else:
        content = bytearray(b"not a file of tensors")
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        again = ReferenceStatistics.load_or_build(images(), Counting(), cache_dir=tmp_path)
    assert torch.equal(built.covariance, again.covariance)
    third = Counting()
    ReferenceStatistics.load_or_build(images(), third, cache_dir=tmp_path)
    assert third.calls == 0


def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.warns(UserWarning, match="LIGHTNING_GAN_CACHE"):
        found = ReferenceStatistics.load_or_build(images(), Counting(), cache_dir=blocked / "x")
    assert found.count == 60


def test_the_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "there"))
    assert cache_folder() == tmp_path / "there"
    ReferenceStatistics.load_or_build(images(), Counting(), data_name="my data")
    (path,) = (tmp_path / "there").iterdir()
    assert path.name.startswith("my-data-train-counting-")
    monkeypatch.delenv("LIGHTNING_GAN_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "lightning-gan"


def test_a_folder_that_cannot_be_looked_into_costs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.warns(UserWarning, match="LIGHTNING_GAN_CACHE"):
        found = ReferenceStatistics.load_or_build(images(), Counting(), cache_dir=blocked / "x")
    assert found.count == 60
