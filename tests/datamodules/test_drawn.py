"""The digits that come with the package, and the mixtures that are drawn."""

import math
from pathlib import Path

import pytest
import torch
from tiny import Points

from lightning_gan import datamodules
from lightning_gan.datamodules import Digits, Grid, Mixture, Ring, Split
from lightning_gan.errors import ConfigurationError, DataError
from lightning_gan.evaluation.panel import Panel


@pytest.mark.parametrize("image_size", [8, 16, 28, 32, 64])
def test_digits_are_split_into_1297_and_200_and_300_of_any_size(image_size: int) -> None:
    data = Digits(image_size=image_size)
    splits = [data.split(name) for name in ("train", "val", "test")]
    assert [len(split.labels) for split in splits] == [1297, 200, 300]
    for split in splits:
        assert split.images.shape[1:] == (1, image_size, image_size)
        assert split.images.dtype == torch.uint8
        assert split.labels.unique().tolist() == list(range(10))


def test_digits_are_those_of_scikit_learn_in_disjoint_splits() -> None:
    sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not a dependency")
    data = Digits(image_size=8)
    found = sorted(
        (image.flatten().tolist(), label)
        for name in ("train", "val", "test")
        for image, label in zip(data.split(name)[0], data.split(name)[1].tolist(), strict=True)
    )
    digits = sklearn.load_digits()
    grey = (torch.from_numpy(digits.images) * (255 / 16)).round()
    expected = zip(grey.flatten(1).tolist(), digits.target.tolist(), strict=True)
    assert found == sorted(expected)


def test_an_enlarged_digit_keeps_its_mean_brightness_and_full_contrast() -> None:
    small = Digits(image_size=8).split("train").images.to(torch.float32)
    large = Digits(image_size=32).split("train").images.to(torch.float32)
    assert (small.mean((1, 2, 3)) - large.mean((1, 2, 3))).abs().max() < 6
    assert large.amax((1, 2, 3)).min() > 230


def test_the_file_of_digits_is_small_enough_for_a_package() -> None:
    assert Path(datamodules.__file__).with_name("digits.npz").stat().st_size < 50_000


def test_a_size_below_that_of_the_digits_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="image_size=7"):
        Digits(image_size=7)


def test_the_ring_has_eight_centres_at_equal_steps_of_the_unit_circle() -> None:
    means = Ring().means
    assert means.shape == (8, 2)
    assert means.norm(dim=1).tolist() == pytest.approx([1.0] * 8)
    steps = (means.roll(-1, 0) - means).norm(dim=1)
    assert steps.tolist() == pytest.approx([2 * math.sin(math.pi / 8)] * 8, abs=1e-6)
    assert means[0].tolist() == [1.0, 0.0]


def test_the_grid_has_twenty_five_centres() -> None:
    ticks = [-4.0, -2.0, 0.0, 2.0, 4.0]
    assert Grid().means.tolist() == [[x, y] for x in ticks for y in ticks]


@pytest.mark.parametrize(
    ("kind", "name", "sigma", "modes"), [(Ring, "ring8", 0.01, 8), (Grid, "grid25", 0.05, 25)]
)
def test_points_follow_the_mixture_that_the_module_declares(
    kind: type[Ring], name: str, sigma: float, modes: int
) -> None:
    data = kind()
    assert (data.name, data.sigma, data.num_classes) == (name, sigma, modes)
    assert (data.channels, data.image_size, len(data.class_names)) == (2, 0, modes)
    points, labels = data.split("train")
    assert points.dtype == torch.float32
    noise = (points - data.means[labels]).double() / sigma
    count = len(points)
    assert count == 100_000
    assert noise.mean(0).abs().max() < 4.5 / math.sqrt(count)
    assert (noise.var(0) - 1).abs().max() < 4.5 * math.sqrt(2 / count)
    within = (noise.norm(dim=1) <= 3).double().mean()
    ceiling = 1 - math.exp(-4.5)
    assert abs(within - ceiling) < 4.5 * math.sqrt(ceiling * (1 - ceiling) / count)
    shares = labels.bincount() / count
    assert (shares - 1 / modes).abs().max() < 5 * math.sqrt(1 / modes / count)


@pytest.mark.parametrize("kind", [Ring, Grid])
def test_points_are_the_same_for_each_seed_and_differ_between_splits(kind: type[Ring]) -> None:
    data, other = kind(), kind(seed=1)
    assert [len(data.split(name).labels) for name in ("val", "test")] == [10_000, 10_000]
    assert torch.equal(data.split("val").images, other.split("val").images)
    assert not torch.equal(data.split("val").images, data.split("test").images)
    first, second = (next(iter(one.train_dataloader()))[0] for one in (data, other))
    assert not torch.equal(first, second)


def test_batches_of_points_are_not_scaled() -> None:
    points, labels = next(iter(Grid(batch_size=1000).train_dataloader()))
    assert points.shape == (1000, 2)
    assert points.abs().max() > 3.5
    assert ((points - Grid().means[labels]).norm(dim=1) < 0.5).all()


@pytest.mark.parametrize("kind", [Ring, Grid, Digits])
def test_a_batch_size_of_zero_is_an_error(kind: type[Mixture]) -> None:
    with pytest.raises(ConfigurationError, match="batch_size=0 must be at least 1"):
        kind(batch_size=0)


class WithoutTest(Points):
    """One that forgets a split."""

    def read_splits(self) -> dict[str, Split]:
        splits = super().read_splits()
        return {name: splits[name] for name in ("train", "val")}


def test_a_split_that_is_forgotten_is_named() -> None:
    with pytest.raises(
        DataError, match=r"WithoutTest\.read_splits gives no 'test': give train, val"
    ):
        WithoutTest(8).setup("fit")


def test_a_mixture_of_ones_own_has_a_name(tmp_path: Path) -> None:
    data = Mixture(torch.eye(2), 0.1, 64, 0)
    panel = Panel(data, ["frechet", "modes"], cache_dir=tmp_path)
    assert "modes/mixture/covered" in panel.measure([(0, torch.randn(50, 2))]).logged()
