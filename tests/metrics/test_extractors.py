"""Extractors: frozen, in float32, checked when read, and never on the network."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from bundled import record_of
from torch import Tensor, nn

from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.metrics import (
    FeatureExtractor,
    default_classifier,
    default_extractor,
    get_extractor,
)
from lightning_gan.metrics.extractors import inception
from lightning_gan.metrics.extractors.bundled import WEIGHTS, WEIGHTS_FOLDER, load_bundled
from lightning_gan.metrics.extractors.inception import Inception

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = sorted(WEIGHTS)
SHAPES = {"digits_cnn": (1, 28, 28), "mnist_cnn": (1, 28, 28), "cifar10_cnn": (3, 32, 32)}


def images(count: int, *shape: int) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


class OwnExtractor(FeatureExtractor):
    """What a user writes."""

    name = "own"

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)

    def extract(self, images: Tensor) -> Tensor:
        features: Tensor = self.norm(self.linear(images.flatten(1)))
        return features


class Nameless(FeatureExtractor):
    """Lacks a name."""


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_features_are_bounded_float32_of_the_promised_length(name: str) -> None:
    extractor = get_extractor(name)
    features = extractor(images(7, *SHAPES[name]))
    assert features.shape == (7, extractor.num_features)
    assert features.dtype == torch.float32
    assert float(features.abs().max()) <= 1
    assert float(extractor.extract(50 * images(7, *SHAPES[name])).abs().max()) <= 1
    logits = extractor.classify(images(7, *SHAPES[name]))
    assert logits.shape == (7, extractor.num_classes) == (7, len(extractor.class_names))


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_files_are_small_and_tell_how_they_were_made(name: str) -> None:
    assert (WEIGHTS_FOLDER / f"{name}.safetensors").stat().st_size < 4_000_000
    assert {tensor.dtype for tensor in load_bundled(name).values()} == {torch.float16}
    record = record_of(name)
    assert record["name"] == name
    assert {"accuracy", "seed", "epochs", "data", "command", "seconds"} <= set(record)
    assert f"train_extractors.py {name}" in record["command"]


@pytest.mark.parametrize("name", BUNDLED)
def test_images_of_other_sizes_and_channels_are_made_to_fit(name: str) -> None:
    extractor = get_extractor(name)
    size = SHAPES[name][-1]
    for shape in ((1, 8, 8), (3, 64, 64), (1, size, size), (3, 40, 24)):
        assert extractor(images(2, *shape)).shape == (2, extractor.num_features)
    grey = images(3, 1, size, size)
    assert torch.allclose(extractor(grey), extractor(grey.expand(-1, 3, -1, -1)), atol=1e-5)


def test_points_and_two_channels_are_refused_where_pictures_are_wanted() -> None:
    with pytest.raises(ConfigurationError, match="'identity'"):
        get_extractor("mnist_cnn")(torch.zeros(4, 2))
    with pytest.raises(ConfigurationError, match="'pixel'"):
        get_extractor("cifar10_cnn")(torch.zeros(4, 2, 32, 32))


@pytest.mark.parametrize("name", [*BUNDLED, f"{__name__}.OwnExtractor"])
def test_extractors_are_frozen_in_eval_mode_for_good(name: str) -> None:
    extractor = get_extractor(name)
    before = {key: value.clone() for key, value in extractor.state_dict().items()}
    extractor.train()
    shape = SHAPES.get(name, (1, 2, 2))
    features = extractor(images(5, *shape).requires_grad_())
    assert not features.requires_grad
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    assert not any(module.training for module in extractor.modules())
    assert all(torch.equal(before[k], v) for k, v in extractor.state_dict().items())


def test_an_extractor_built_by_hand_is_frozen_at_its_first_call() -> None:
    extractor = OwnExtractor()
    assert extractor.training
    extractor(images(5, 1, 2, 2))
    assert not any(module.training for module in extractor.modules())


@pytest.mark.parametrize("name", BUNDLED)
def test_autocast_and_low_matmul_precision_outside_change_nothing(name: str) -> None:
    extractor, pictures = get_extractor(name), images(6, *SHAPES[name])
    plain = extractor(pictures)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(extractor(pictures), plain)
            assert torch.equal(extractor(pictures.double()), plain)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_pixels_are_averaged_over_areas_to_sixteen_at_most() -> None:
    extractor = get_extractor("pixel")
    pictures = images(2, 3, 32, 32)
    areas = pictures.reshape(2, 3, 16, 2, 16, 2).mean((3, 5)).flatten(1)
    assert torch.allclose(extractor(pictures), areas, atol=1e-6)
    small = images(2, 1, 8, 8)
    assert torch.equal(extractor(small), small.flatten(1))
    assert torch.equal(get_extractor("identity")(images(4, 2)), images(4, 2))


def test_an_extractor_without_classes_says_so() -> None:
    with pytest.raises(ConfigurationError, match="does not classify"):
        get_extractor("pixel").classify(images(1, 1, 8, 8))


def test_fingerprints_tell_extractors_and_weights_apart() -> None:
    prints = {get_extractor(name).fingerprint for name in (*BUNDLED, "pixel", "identity")}
    assert len(prints) == len(BUNDLED) + 2
    assert all(len(value) == 64 for value in prints)
    assert get_extractor("mnist_cnn").fingerprint == get_extractor("mnist_cnn").fingerprint
    first, second = OwnExtractor(), OwnExtractor()
    second.load_state_dict(first.state_dict())
    assert first.fingerprint == second.fingerprint
    changed = OwnExtractor()
    changed.load_state_dict(first.state_dict())
    with torch.no_grad():
        changed.linear.weight[0, 0] += 1e-3
    assert changed.fingerprint != first.fingerprint
    before = first.fingerprint  # which is of the weights of now
    first.load_state_dict(changed.state_dict())
    assert first.fingerprint == changed.fingerprint != before
    first.register_buffer("scale", torch.tensor(2.0))
    assert first.fingerprint != changed.fingerprint


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'mnist_cnn'"):
        get_extractor("minst_cnn")


@pytest.mark.parametrize("path", ["no.such.Module", f"{__name__}.Missing"])
def test_an_import_path_that_leads_nowhere_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        get_extractor(path)


@pytest.mark.parametrize("path", ["torch.nn.Linear", f"{__name__}.Nameless", "math.pi"])
def test_what_is_no_named_extractor_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="no FeatureExtractor with a name"):
        get_extractor(path)


def test_defaults_follow_the_data_and_need_no_download() -> None:
    assert default_extractor("mnist", 1, 28) == "mnist_cnn"
    assert default_extractor("digits", 1, 28) == "digits_cnn"
    assert default_extractor("cifar10", 3, 32) == "cifar10_cnn"
    assert default_extractor("cifar100", 3, 32) == "cifar10_cnn"
    assert default_extractor("fashion_mnist", 1, 28) == "pixel"
    assert default_extractor("image_folder", 3, 64) == "pixel"
    assert default_extractor("ring8", 2, 0) == "identity"
    assert default_classifier("mnist") == "mnist_cnn"
    assert default_classifier("cifar100") is None


@pytest.mark.parametrize("damage", ["bit", "cut", "missing"])
def test_damaged_weights_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "mnist_cnn.safetensors"
    shutil.copy(WEIGHTS_FOLDER / path.name, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content if damage == "bit" else content[:-100])
    with pytest.raises(WeightsError, match=r"(damaged|missing).*train_extractors.py mnist_cnn"):
        load_bundled("mnist_cnn", tmp_path)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("the network was touched")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_missing_inception_weights_are_refused_with_a_way_out_and_without_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path))
    monkeypatch.delenv("LIGHTNING_GAN_INCEPTION", raising=False)
    for name in (*BUNDLED, "pixel", "identity"):
        get_extractor(name)
    with pytest.raises(WeightsError) as caught:
        get_extractor("inception")
    for part in ("v0.2.0/weights-inception-2015-12-05-6726825d.pth", "LIGHTNING_GAN_INCEPTION"):
        assert part in str(caught.value)
    monkeypatch.setenv("LIGHTNING_GAN_INCEPTION", str(tmp_path / "elsewhere.pth"))
    with pytest.raises(WeightsError, match=r"elsewhere\.pth are missing"):
        get_extractor("inception")


def test_a_download_that_fails_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError("no route")

    monkeypatch.setattr("urllib.request.urlopen", fail)
    with pytest.raises(WeightsError, match="no route"):
        Inception(tmp_path / "there" / "weights.pth", allow_download=True)
    assert not list((tmp_path / "there").iterdir())


def test_another_file_is_not_taken_for_inception(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="is not the Inception file"):
        Inception(weights=path)


class Payload:
    """Would run code when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "DIGEST_PREFIX", "")
    path = tmp_path / "weights.pth"
    torch.save({"weight": Payload()}, path)
    with pytest.raises(WeightsError, match="more than tensors"):
        Inception(weights=path)


def test_inception_receives_rounded_bytes_of_three_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Recorder(nn.Module):
        def forward(self, pixels: Tensor) -> tuple[Tensor]:
            assert pixels.dtype == torch.uint8
            return (pixels.flatten(1).float(),)

    monkeypatch.setattr(inception, "DIGEST_PREFIX", "")
    monkeypatch.setattr(inception, "_build", lambda _: Recorder())
    path = tmp_path / "weights.pth"
    torch.save({}, path)
    extractor = Inception(weights=path)
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    for images in (levels / 127.5 - 1, (levels / 127.5 - 1).bfloat16()):
        assert torch.equal(extractor(images), levels.expand(1, 3, 16, 16).flatten(1).float())
    wild = torch.tensor([-1.5, -1.0, 1.0, 2.0]).reshape(1, 1, 2, 2)
    assert extractor.extract(wild)[0, :4].tolist() == [0, 0, 255, 255]
    with pytest.raises(ConfigurationError, match=r"reach from -1\.5 to 2, and"):
        extractor(wild)


def test_the_metrics_import_neither_torchvision_nor_torch_fidelity_scipy_or_lightning() -> None:
    program = """
        import sys
        import torch
        import torchmetrics
        blocked = ("torchvision", "torch_fidelity", "scipy", "lightning", "datamodules")
        for name in [name for name in sys.modules if name.split(".")[0] in blocked]:
            del sys.modules[name]
        sys.modules.update(dict.fromkeys(blocked))
        import lightning_gan.metrics as metrics
        extractor = metrics.get_extractor("mnist_cnn")
        reference = metrics.ReferenceStatistics.from_samples(torch.rand(9, 1, 28, 28), extractor)
        metric = metrics.FrechetDistance(extractor, reference)
        metric.update(torch.rand(9, 1, 28, 28))
        print(metric.compute().value > 0)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.stdout.strip() == "True", result.stderr
