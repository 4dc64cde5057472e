"""What is exported makes the samples of the model, for any number of them, and says what it is."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_networks import network_of
from tiny import Pictures, Points, distance, fit, picture_gan, points_gan, quiet_trainer, weights
from torch import nn
from zoo import own

import lightning_gan
from lightning_gan.__main__ import main
from lightning_gan.callbacks import Evaluation
from lightning_gan.checkpoints.files import read_checkpoint
from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.exports.export import export
from lightning_gan.exports.graphs import Sampler, inputs_of, write_onnx, write_torch
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    Generator,
    MLPGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    wrap,
)
from lightning_gan.objectives import NonSaturating
from lightning_gan.regularizers import AuxiliaryClassifier
from lightning_gan.training.latents import CodePrior, Prior, UniformPrior

COUNTS = (1, 3, 7)


def inputs(generator: Generator, count: int) -> list[torch.Tensor]:
    z = torch.randn(count, generator.latent_dim)
    labels = torch.arange(count) % max(generator.num_classes, 1)
    return [z, labels] if generator.num_classes else [z]


def small(kind: type[Generator], num_classes: int) -> Generator:
    generator: Generator = network_of(kind, 3, num_classes=num_classes)
    generator(torch.randn(2, generator.latent_dim), torch.zeros(2, dtype=torch.long))
    return generator.eval()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run of a conditional model, measured at its end."""
    root = tmp_path_factory.mktemp("runs")
    gan = points_gan(num_classes=3, max_images=64, prior=UniformPrior())
    few = [Evaluation(num_samples=100, cache_dir=str(root / "cache"))]
    lightning_gan.fit(
        gan, Points(8), root, callbacks=few, accelerator="cpu", enable_progress_bar=False
    )
    return root / "version_0"


@pytest.mark.parametrize("kind", own(Generator), ids=lambda kind: kind.__name__)
def test_every_generator_is_a_graph_for_any_number_of_samples(
    kind: type[Generator], tmp_path: Path
) -> None:
    generator = small(kind, 4)
    write_torch(Sampler(generator, Prior()), inputs_of(generator), tmp_path / "model.pt2")
    program = torch.export.load(tmp_path / "model.pt2").module()
    for count in COUNTS:
        given = inputs(generator, count)
        torch.testing.assert_close(program(*given), generator(*given), rtol=0, atol=1e-6)


def in_onnxruntime(path: Path, given: dict[str, torch.Tensor]) -> np.ndarray[Any, Any]:
    runtime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {name: value.numpy() for name, value in given.items()})
    return found  # type: ignore[no-any-return]


def need_onnx() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="the extra [export] is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("kind", own(Generator), ids=lambda kind: kind.__name__)
def test_onnxruntime_makes_the_samples_of_every_generator(
    kind: type[Generator], tmp_path: Path
) -> None:
    need_onnx()
    generator = small(kind, 4)
    write_onnx(Sampler(generator, Prior()), inputs_of(generator), tmp_path / "model.onnx")
    for count in COUNTS:
        z, labels = inputs(generator, count)
        found = in_onnxruntime(tmp_path / "model.onnx", {"z": z, "labels": labels})
        assert np.abs(found - generator(z, labels).detach().numpy()).max() < 1e-5


@pytest.mark.parametrize("prior", [UniformPrior(), CodePrior((3,), 1)], ids=repr)
def test_the_prior_is_part_of_the_graph(prior: Prior, tmp_path: Path) -> None:
    need_onnx()
    gan = points_gan(prior=prior, generator=MLPGenerator(2, 0, latent_dim=6, width=8, depth=2))
    export(gan, tmp_path / "torch", "torch")
    export(gan, tmp_path / "onnx", "onnx")
    program = torch.export.load(tmp_path / "torch" / "model.pt2").module()
    z = torch.randn(5, 6)
    torch.testing.assert_close(program(z), gan(z), rtol=0, atol=1e-6)
    found = in_onnxruntime(tmp_path / "onnx" / "model.onnx", {"z": z})
    assert np.abs(found - gan(z).detach().numpy()).max() < 1e-5


@pytest.mark.parametrize("form", ["torch", "onnx"])
def test_halved_weights_take_half_the_room_and_make_nearly_the_same(
    form: Any, tmp_path: Path
) -> None:
    if form == "onnx":
        need_onnx()
    gan = picture_gan()
    sizes = []
    for half in (False, True):
        folder = export(gan, tmp_path / str(half), form, half=half)
        sizes.append(sum(path.stat().st_size for path in folder.glob("model.*")))
    assert sizes[1] < sizes[0]
    z = torch.randn(5, gan.generator.latent_dim)
    if form == "onnx":
        found = torch.from_numpy(in_onnxruntime(folder / "model.onnx", {"z": z}))
    else:
        found = torch.export.load(folder / "model.pt2").module()(z)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, gan(z), rtol=0, atol=1e-2)


def test_safetensors_are_read_by_load_and_have_the_averaged_weights(
    run: Path, tmp_path: Path
) -> None:
    before = lightning_gan.load(run)
    folder = lightning_gan.export(run, tmp_path / "out")
    for place in (folder, folder / "model.safetensors"):
        loaded = lightning_gan.load(place)
        assert torch.equal(loaded.sample(9, seed=3), before.sample(9, seed=3))
        assert distance(weights(loaded.generator), weights(before.generator_ema)) == 0
        assert loaded.progress == before.progress
        assert isinstance(loaded.prior, UniformPrior)
    assert distance(weights(loaded.discriminator), weights(before.discriminator)) > 0


def test_the_discriminator_and_what_learns_with_it_come_where_asked_for(tmp_path: Path) -> None:
    gan = points_gan(
        num_classes=3,
        discriminator=points_gan().discriminator,
        regularizers=[AuxiliaryClassifier()],
    )
    fit(gan, 2)
    loaded = lightning_gan.load(export(gan, tmp_path / "out", with_discriminator=True))
    for part in ("discriminator", "regularizers"):
        assert distance(weights(getattr(loaded, part)), weights(getattr(gan, part))) == 0


def test_halved_safetensors_are_loaded_as_floats(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "half", half=True, with_discriminator=True)
    loaded, before = lightning_gan.load(tmp_path / "half"), lightning_gan.load(run)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    assert 0 < distance(weights(loaded.generator), weights(before.generator_ema)) < 1e-3
    whole, halved = export(run, tmp_path / "whole", with_discriminator=True), tmp_path / "half"
    sizes = [(place / "model.safetensors").stat().st_size for place in (halved, whole)]
    assert sizes[0] < sizes[1]


def test_a_discriminator_is_a_graph_too_unless_it_looks_across_the_batch(tmp_path: Path) -> None:
    torch.manual_seed(3)
    gan = GAN(
        ResNetGenerator(1, 8, width=8, latent_dim=4),
        ResNetDiscriminator(1, 8, width=8, spectral_norm=True),
        NonSaturating(),
    )
    export(gan, tmp_path / "out", "torch", with_discriminator=True)
    judge = torch.export.load(tmp_path / "out" / "discriminator.pt2").module()
    samples = torch.randn(5, 1, 8, 8)
    expected = gan.discriminator.eval()(samples, torch.zeros(5, dtype=torch.long))
    torch.testing.assert_close(judge(samples), expected, rtol=0, atol=1e-5)
    sizes: dict[str, Any] = {"channels": 1, "image_size": 8, "width": 4}
    styled = GAN(
        StyleGAN2Generator(**sizes, latent_dim=4, style_dim=8),
        StyleGAN2Discriminator(**sizes, minibatch_std=4),
        NonSaturating(),
    )
    with pytest.raises(ConfigurationError, match="StyleGAN2Discriminator cannot be a graph for"):
        export(styled, tmp_path / "styled", "torch", with_discriminator=True)


def test_a_plain_generator_is_exported_by_whoever_has_it(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))
    gan = points_gan(generator=wrap(module, latent_dim=4))
    export(gan, tmp_path / "graph", "torch")
    program = torch.export.load(tmp_path / "graph" / "model.pt2").module()
    z = torch.randn(3, 4)
    torch.testing.assert_close(program(z), gan(z), rtol=0, atol=1e-6)
    export(gan, tmp_path / "weights")
    with pytest.raises(WeightsError, match="generator is a plain module, Sequential"):
        lightning_gan.load(tmp_path / "weights")
    other = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))
    loaded = lightning_gan.load(tmp_path / "weights", generator=wrap(other, latent_dim=4))
    assert torch.equal(loaded.sample(3), gan.sample(3))


def test_values_that_are_no_numbers_are_null_as_json_has_them(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    measured = (copy / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    content = json.loads(measured)
    content["values"]["fid/identity"] = None
    (copy / "evaluations.jsonl").write_text(json.dumps(content) + "\n", encoding="utf-8")
    folder = export(copy, tmp_path / "out")
    (folder / "config.json").write_text(  # as it was written once
        (folder / "config.json").read_text().replace('"fid/identity": null', '"fid/identity": NaN')
    )
    for place in (export(copy, tmp_path / "first"), export(folder, tmp_path / "second")):
        text = (place / "config.json").read_text(encoding="utf-8")
        assert "NaN" not in text
        assert json.loads(text)["measured"]["values"]["fid/identity"] is None
        assert "| `fid/identity` | - |" in (place / "README.md").read_text(encoding="utf-8")


def test_the_configuration_and_the_card_say_what_it_is(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "out", license="cc-by-4.0")
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (about["num_classes"], about["class_names"]) == (3, ["a", "b", "c"])
    assert (about["latent_dim"], about["sample_shape"]) == (2, [2])
    assert (about["images_seen"], about["license"]) == (64, "cc-by-4.0")
    assert about["generator"]["class_path"] == "lightning_gan.networks.MLPGenerator"
    assert about["measured"]["values"]["fid/identity"] > 0
    assert about["measured"]["stamp"]["reference"]["data"] == "points"
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith('---\nlicense: "cc-by-4.0"\nlibrary_name: lightning-gan\n')
    for words in ("# gan seed=0", "Points", "Images seen** 64", "3: a, b, c", "fid/identity"):
        assert words in card, words
    assert '"extractor"' in card
    untrained = export(points_gan(), tmp_path / "untrained")
    card = (untrained / "README.md").read_text(encoding="utf-8")
    assert "Nothing is on record" in card
    assert 'license: "unknown"' in card


@pytest.mark.parametrize("form", ["safetensors", "torch", "onnx"])
def test_the_example_on_the_card_runs(
    form: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "onnx":
        need_onnx()
    monkeypatch.chdir(export(run, tmp_path / "out", form))
    card = Path("README.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)
    assert tuple(names["samples"].shape) == (16, 2)


def test_a_model_that_was_just_trained_knows_its_data_and_its_run(tmp_path: Path) -> None:
    gan = picture_gan(max_images=16)
    quiet_trainer(tmp_path).fit(gan, Pictures(8))
    about = json.loads((export(gan, tmp_path / "out") / "config.json").read_text(encoding="utf-8"))
    assert about["data"]["class_path"].endswith("Pictures")
    assert about["images_seen"] == 16


def test_the_command_takes_a_run_and_other_commands_take_what_it_wrote(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    assert main(["export", str(run), "--to", "safetensors", "--half", "true"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[-1] for line in out.splitlines()] == [
        "export/README.md",
        "export/config.json",
        "export/model.safetensors",
    ]
    assert main(["predict", "--ckpt_path", "export", "--n", "4"]) == 0
    assert "4 samples, after 64 images" in capsys.readouterr().out
    assert main(["export", "export", "--to", "torch", "--output", "graph"]) == 0
    assert "graph/model.pt2" in capsys.readouterr().out
    assert main(["export", str(run), "--to", "jpeg"]) == 2
    assert "--to" in capsys.readouterr().err
    assert main(["export", "nowhere.ckpt"]) == 2
    assert "There is no checkpoint at nowhere.ckpt" in capsys.readouterr().err


def test_nothing_of_somebody_elses_is_overwritten(run: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="holds other files: give a new folder"):
        export(run, tmp_path)
    with pytest.raises(ConfigurationError, match="is a file: give a new folder"):
        export(run, tmp_path / "README.md")
    with pytest.raises(ConfigurationError, match=r"cannot be written .*: give another folder"):
        export(run, tmp_path / "README.md" / "out")
    for other in ("3", "null", '"discriminator_written"', "[1]", "{"):
        (tmp_path / "config.json").write_text(other, encoding="utf-8")
        with pytest.raises(ConfigurationError, match="holds other files: give a new folder"):
            export(run, tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "mine"
    export(export(run, tmp_path / "out"), tmp_path / "out", "torch")  # one of ours may be
    with pytest.raises(ConfigurationError, match="must be an identifier"):
        export(run, tmp_path / "new", license="all\nmine")
    with pytest.raises(ConfigurationError, match="to='tf' must be one of safetensors, torch"):
        export(run, tmp_path / "new", "tf")  # type: ignore[arg-type]


def test_the_next_export_into_a_folder_leaves_nothing_of_the_one_before(
    run: Path, tmp_path: Path
) -> None:
    export(run, tmp_path, with_discriminator=True)
    export(picture_gan(), tmp_path, "torch", with_discriminator=True)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json",
        "README.md",
        "model.pt2",
        "discriminator.pt2",
    }
    export(run, tmp_path)
    assert not [*tmp_path.glob("*.pt2")]
    drawn = [lightning_gan.load(place).sample(2).shape for place in (tmp_path, run)]
    assert drawn[0] == drawn[1]


def test_an_export_that_fails_leaves_the_folder_as_it_was(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(run, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def fails(*_: object) -> None:
        raise ConfigurationError("No graph.")

    monkeypatch.setattr("lightning_gan.exports.export.model_card", fails)
    for place in ("out", "new"):
        with pytest.raises(ConfigurationError, match="No graph"):
            export(run, tmp_path / place, "torch")
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert after == before
    (tmp_path / "new" / ".export-killed").mkdir()  # as one that was killed leaves it
    monkeypatch.undo()
    assert (export(run, tmp_path / "new") / "config.json").is_file()


def test_weights_that_are_not_finite_or_not_in_half_are_refused(tmp_path: Path) -> None:
    gan = points_gan()
    with torch.no_grad():
        next(gan.generator_ema.parameters()).fill_(1e6)
    with pytest.raises(WeightsError, match="is not finite: export it without half"):
        export(gan, tmp_path / "out", half=True)
    with torch.no_grad():
        next(gan.generator_ema.parameters()).fill_(torch.nan)
    with pytest.raises(WeightsError, match="is not finite: take an earlier checkpoint"):
        export(gan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'lightning-gan\[export\]'"):
        export(points_gan(), tmp_path / "out", "onnx")


@pytest.mark.parametrize("change", ["cut", "foreign", "generator"])
def test_a_damaged_or_foreign_file_is_refused(change: str, run: Path, tmp_path: Path) -> None:
    path = export(run, tmp_path / "out") / "model.safetensors"
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif change == "foreign":
        save_file(load_file(path), path)
    else:
        checkpoint = read_checkpoint(path)
        del checkpoint["state_dict"]
        header = {"checkpoint": json.dumps(checkpoint)}
        save_file({"generator.x": torch.zeros(1)}, path, header)
    with pytest.raises(WeightsError):
        lightning_gan.load(path)


def test_an_export_cannot_be_trained_on(run: Path, tmp_path: Path) -> None:
    path = export(run, tmp_path / "out", with_discriminator=True) / "model.safetensors"
    gan = points_gan(num_classes=3, max_images=128, prior=UniformPrior())
    with pytest.raises(WeightsError, match="No training goes on from an export"):
        quiet_trainer().fit(gan, Points(8), ckpt_path=path, weights_only=True)
