"""The bundled classifiers on genuine pictures: accuracy, and an order that an eye agrees with."""

import os
from pathlib import Path

import pytest
import torch
from bundled import record_of
from torch import Tensor

from lightning_gan.basics.images import from_uint8
from lightning_gan.datamodules import CIFAR10, MNIST, RealData
from lightning_gan.errors import DataError
from lightning_gan.metrics import (
    ClassCoverage,
    FeatureExtractor,
    FrechetDistance,
    ReferenceStatistics,
    get_extractor,
)

DATA = Path(
    os.environ.get("LIGHTNING_GAN_TEST_DATA", str(Path(__file__).resolve().parents[2] / "data"))
)
Labelled = tuple[Tensor, Tensor]


def accuracy(extractor: FeatureExtractor, images: Tensor, labels: Tensor) -> float:
    found = torch.cat(
        [extractor.classify(from_uint8(x)).argmax(1) for x in torch.split(images, 500)]
    )
    return float((found == labels).double().mean())


def mnist(train: bool) -> Labelled:
    datasets = pytest.importorskip("torchvision.datasets")
    if not (DATA / "MNIST" / "raw").is_dir():
        pytest.skip(f"there is no MNIST in {DATA}")
    data = datasets.MNIST(DATA, train=train)
    return data.data[:, None], data.targets


@pytest.fixture(scope="module")
def mnist_test() -> Labelled:
    return mnist(train=False)


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return get_extractor("mnist_cnn")


@pytest.fixture(scope="module")
def reference(extractor: FeatureExtractor) -> ReferenceStatistics:
    return ReferenceStatistics.from_samples(mnist(train=True)[0], extractor)


def distance(
    extractor: FeatureExtractor, reference: ReferenceStatistics, images: Tensor
) -> dict[str, float]:
    metric = FrechetDistance(extractor, reference)
    for batch in torch.split(images, 500):
        metric.update(batch)
    found: dict[str, float] = metric.compute().logged()
    return found


def test_digits_cnn_reads_the_held_out_digits() -> None:
    digits = pytest.importorskip("lightning_gan.datamodules").Digits()
    digits.setup()
    test = digits.split("test")
    found = accuracy(get_extractor("digits_cnn"), test.images, test.labels)
    assert found >= 0.97
    assert found == pytest.approx(float(record_of("digits_cnn")["accuracy"]), abs=0.004)


def test_mnist_cnn_reads_the_test_set(extractor: FeatureExtractor, mnist_test: Labelled) -> None:
    found = accuracy(extractor, *mnist_test)
    assert found >= 0.994
    assert found == pytest.approx(float(record_of("mnist_cnn")["accuracy"]), abs=2e-4)


@pytest.mark.weekly
def test_cifar10_cnn_reads_the_test_set() -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    if not (DATA / "cifar-10-batches-py").is_dir():
        pytest.skip(f"there is no CIFAR-10 in {DATA}")
    data = datasets.CIFAR10(DATA, train=False)
    images = torch.from_numpy(data.data).permute(0, 3, 1, 2)
    found = accuracy(get_extractor("cifar10_cnn"), images, torch.tensor(data.targets))
    assert found >= 0.93
    assert found == pytest.approx(float(record_of("cifar10_cnn")["accuracy"]), abs=2e-3)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (MNIST, "mnist_cnn", 0.022),
        pytest.param(CIFAR10, "cifar10_cnn", 0.122, marks=pytest.mark.weekly),
    ],
)
def test_unseen_images_score_what_the_documentation_says(
    kind: type[RealData], name: str, expected: float
) -> None:
    data = kind(str(DATA), download=False)  # type: ignore[call-arg] # both have it
    try:
        data.setup()
    except DataError as error:
        pytest.skip(str(error))
    extractor, reals = get_extractor(name), data.split("train").images
    reference = ReferenceStatistics.load_or_build(reals, extractor, data_name=data.name)
    found = distance(extractor, reference, from_uint8(data.split("test").images))
    assert found[f"fid/{name}"] == pytest.approx(expected, abs=2e-3)
    assert found[f"fid/{name}_floor"] < 0.7 * expected


@pytest.mark.slow
@pytest.mark.parametrize(("deviation", "expected"), [(0.5, 0.27), (1.0, 2.40)])
def test_photographs_cost_what_the_documentation_says_when_they_are_blurred(
    deviation: float, expected: float
) -> None:
    functional = pytest.importorskip("torchvision.transforms.functional")
    data = CIFAR10(str(DATA), download=False)
    try:
        data.setup()
    except DataError as error:
        pytest.skip(str(error))
    extractor, reals = get_extractor("cifar10_cnn"), data.split("train").images
    reference = ReferenceStatistics.load_or_build(reals, extractor, data_name=data.name)
    images = from_uint8(data.split("test").images[:3000])
    blurred = functional.gaussian_blur(images, [13, 13], [deviation, deviation]).clamp(-1, 1)
    found = distance(extractor, reference, blurred)["fid/cifar10_cnn"]
    assert found == pytest.approx(expected, abs=0.02)


def test_faults_cost_in_the_order_of_the_reference_table(
    extractor: FeatureExtractor, reference: ReferenceStatistics, mnist_test: Labelled
) -> None:
    images, labels = from_uint8(mnist_test[0]), mnist_test[1]
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    half = (labels != 8) | (torch.arange(len(labels)) % 2 == 0)
    cases = {
        "test": images,
        "noise 0.1": (images + 0.1 * noise).clamp(-1, 1),
        "half of the 8s": images[half],
        "noise 0.3": (images + 0.3 * noise).clamp(-1, 1),
        "no 8": images[labels != 8],
        "no 5 to 9": images[labels < 5],
        "only 1": images[labels == 1],
    }
    found = {name: distance(extractor, reference, x)["fid/mnist_cnn"] for name, x in cases.items()}
    assert list(found) == sorted(found, key=lambda name: found[name])
    for name, value in TABLE.items():
        assert found[name] == pytest.approx(value, rel=0.05), name


# fid/mnist_cnn of 10000 test images (or those left) against the 60000 for training
TABLE = {
    "test": 0.0217,
    "noise 0.1": 0.0322,
    "half of the 8s": 0.324,
    "noise 0.3": 0.417,
    "no 8": 2.185,
    "no 5 to 9": 14.11,
    "only 1": 55.72,
}


def test_genuine_digits_score_about_the_floor(
    extractor: FeatureExtractor, reference: ReferenceStatistics
) -> None:
    images = mnist(train=True)[0]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    first = ReferenceStatistics.from_samples(images[order[:5000]], extractor)
    found = distance(extractor, first, from_uint8(images[order[5000:10000]]))
    ratio = found["fid/mnist_cnn"] / found["fid/mnist_cnn_floor"]
    assert 0.6 < ratio < 1.6
    assert reference.bias == pytest.approx(first.bias, rel=0.1)


def test_a_digit_left_out_is_missing_by_name(
    extractor: FeatureExtractor, mnist_test: Labelled
) -> None:
    images, labels = mnist_test
    metric = ClassCoverage(extractor, torch.bincount(labels), "mnist")
    for batch in torch.split(from_uint8(images[labels != 8]), 500):
        metric.update(batch)
    assert metric.compute().logged()["modes/mnist/covered"] == 9
    assert metric.compute().missing == ["8"]
