"""Plain modules as players: what works, what is refused, and what a checkpoint holds of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Points, distance, fit, quiet_trainer, weights
from torch import Tensor, nn

import lightning_gan
from lightning_gan.__main__ import main
from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPDiscriminator, MLPGenerator, Packed, R3GANGenerator, wrap
from lightning_gan.objectives import MultiHinge, NonSaturating, Wasserstein
from lightning_gan.regularizers import (
    R1,
    AuxiliaryClassifier,
    FeatureMatching,
    Rotation,
    SpectralNormalization,
    WeightClipping,
)


class Maker(nn.Module):
    """Somebody's generator of points."""

    def __init__(self, width: int = 8, num_classes: int = 0) -> None:
        super().__init__()
        self.classes = nn.Embedding(num_classes, 4) if num_classes else None
        self.layers = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.classes is not None:
            assert labels is not None
            z = z + self.classes(labels)
        return self.layers(z)


def judge(width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))


def plain_gan(**arguments: Any) -> GAN:
    torch.manual_seed(3)
    networks = wrap(Maker(), latent_dim=4), wrap(judge(), channels=2, image_size=0)
    return GAN(*networks, NonSaturating(), **arguments)


def of_maps() -> nn.Module:
    """PyTorch's own example of a DCGAN takes latents as maps."""
    return nn.Sequential(nn.ConvTranspose2d(5, 3, 4), nn.ReLU(), nn.ConvTranspose2d(3, 3, 5))


def test_what_a_generator_makes_is_found_by_trying() -> None:
    assert wrap(Maker(), 4).sample_shape == (2,)
    maker = wrap(of_maps(), 5)
    assert (maker.channels, maker.image_size) == (3, 8)
    assert maker(torch.randn(6, 5), torch.zeros(6, dtype=torch.long)).shape == (6, 3, 8, 8)
    oblong = wrap(nn.Sequential(nn.Linear(4, 8), nn.Unflatten(1, (1, 2, 4))), 4)
    assert oblong.image_size == (2, 4)
    assert wrap(Maker(), 4, channels=2, image_size=0).sample_shape == (2,)
    assert wrap(Maker(num_classes=3), 4, num_classes=3).num_classes == 3


def test_trying_a_module_changes_nothing_in_it() -> None:
    module = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2), nn.Dropout())
    before, state = weights(module), torch.random.get_rng_state()
    wrap(module, 4)
    assert distance(before, weights(module)) == 0
    assert all(part.training for part in module.modules())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1), ()])
def test_logits_of_any_shape_are_made_one_for_each_sample(shape: tuple[int, ...]) -> None:
    module = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0), nn.Unflatten(0, (-1, *shape)))
    logits = wrap(module if shape else module[:2], channels=2, image_size=0)
    assert logits(torch.randn(5, 2), torch.zeros(5, dtype=torch.long)).shape == (5,)


def test_a_pair_of_plain_modules_trains_with_penalties_and_classes() -> None:
    gan = fit(plain_gan(regularizers=[R1()]), 3)
    assert distance(weights(gan.generator), weights(plain_gan().generator)) > 0
    torch.manual_seed(3)
    conditional = GAN(
        wrap(Maker(num_classes=3), 4, num_classes=3),
        MLPDiscriminator(2, 0, width=8, num_classes=3),
        NonSaturating(),
        [SpectralNormalization()],
    )
    assert fit(conditional, 3).progress.batches == 3


SIGMOID = nn.Sequential(nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2)), nn.Sigmoid())
REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "neither": (Maker(), {}, "give latent_dim of a generator, or channels and image_size of a dis"),
    "no module": (print, {"latent_dim": 4}, "wrap makes a player of a plain nn.Module"),
    "a player": (MLPGenerator(2, 0), {"latent_dim": 4}, "MLPGenerator is none"),
    "no weights": (nn.ReLU(), {"latent_dim": 4}, "ReLU has no weights"),
    "latents": (Maker(), {"latent_dim": 5}, r"given latents \(2, 5\) and failed \(mat1 and mat2"),
    "samples": (nn.Linear(4, 2), {"channels": 2, "image_size": 0}, r"2 samples \(2,\) and failed"),
    "logits": (nn.Linear(2, 3), {"channels": 2, "image_size": 0}, r"gave \(2, 3\), where one log"),
    "probabilities": (
        nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()),
        {"channels": 2, "image_size": 0},
        "ends in a Sigmoid and the losses take logits",
    ),
    "range": (SIGMOID, {"latent_dim": 4}, r"ends in a Sigmoid and its images are to be in \[-1, 1"),
    "size": (Maker(), {"latent_dim": 4, "channels": 3}, r"makes samples \(2,\), and channels=3"),
    "text": (Maker(), {"latent_dim": "4"}, "wrap: latent_dim='4' must be a number"),
    "float": (Maker(), {"latent_dim": 4.0}, r"latent_dim=4\.0 must be an integer"),
    "list": (Maker(), {"latent_dim": [4]}, r"wrap: latent_dim=\[4\] must be a number"),
    "below": (Maker(), {"latent_dim": -1}, "latent_dim=-1 must be at least 1"),
    "channels": (judge(), {"channels": 2.0, "image_size": 0}, r"channels=2\.0 must be an integer"),
    "classes": (Maker(num_classes=3), {"latent_dim": 4, "num_classes": 2.5}, "num_classes=2.5 mu"),
    "tuple": (nn.LSTM(4, 2), {"latent_dim": 4}, "gave a tuple"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_player_is_refused_with_what_it_did(name: str) -> None:
    module, arguments, sentence = REFUSED[name]
    with pytest.raises(ConfigurationError, match=sentence):
        wrap(module, **arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"generator": Maker()}, r"generator is a Maker, .*networks\.wrap\(Maker\(.*latent_dim"),
        ({"discriminator": judge()}, r"no Discriminator: give .*wrap\(Sequential\(.*channels=.*or"),
        ({"objective": NonSaturating}, r"objective is the class NonSaturating: give one of it"),
        ({"objective": "Hinge"}, "objective is a str, which is no Objective: give an instance"),
        ({"regularizers": R1()}, r"regularizers is a R1 and no list: give \[R1\("),
        ({"regularizers": [R1]}, "regularizers is the class R1"),
        ({"prior": 3}, "prior is a int"),
        ({"augmentation": judge()}, "augmentation is a Sequential, which is no Augmentation"),
    ],
    ids=["generator", "discriminator", "class", "word", "one", "classes", "prior", "augmentation"],
)
def test_what_is_no_part_of_its_kind_is_refused(arguments: dict[str, Any], sentence: str) -> None:
    parts = {"generator": MLPGenerator(2, 0), "discriminator": MLPDiscriminator(2, 0)}
    with pytest.raises(ConfigurationError, match=sentence):
        GAN(**({"objective": NonSaturating()} | parts | arguments))


def test_parts_that_read_features_are_refused_with_the_reason() -> None:
    with pytest.raises(ConfigurationError, match="features"):
        fit(plain_gan(regularizers=[FeatureMatching()]), 1)
    networks = wrap(Maker(), 4), wrap(judge(), None, 2, 0)
    parts: list[tuple[Any, list[Any]]] = [
        (NonSaturating(), [AuxiliaryClassifier()]),
        (NonSaturating(), [Rotation()]),
        (MultiHinge(), []),
    ]
    for objective, regularizers in parts:
        with pytest.raises(ConfigurationError, match="reads the discriminator's features, and Pla"):
            GAN(*networks, objective, regularizers)
    packed = Packed(wrap(judge(), None, 2, 0))
    maker = wrap(nn.Linear(4, 1), 4)
    with pytest.raises(ConfigurationError, match="was wrapped as a plain module, which gives logi"):
        packed(torch.randn(4, 1), torch.zeros(4, dtype=torch.long))
    assert maker.channels == packed.channels


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    fit(plain_gan(), 4, default_root_dir=tmp_path, callbacks=[LastCheckpoint()])
    return tmp_path / "checkpoints" / "last.ckpt"


def test_a_checkpoint_holds_the_weights_and_takes_the_modules(checkpoint: Path) -> None:
    networks = {"generator": wrap(Maker(), 4), "discriminator": wrap(judge(), None, 2, 0)}
    loaded = lightning_gan.load(checkpoint, **networks)  # type: ignore[arg-type]
    assert loaded.progress.batches == 4
    expected = fit(plain_gan(), 4)
    assert torch.equal(loaded.sample(5), expected.sample(5))
    content = torch.load(checkpoint, weights_only=True)
    arguments = content["hyper_parameters"]["generator"]["init_args"]
    assert arguments["module"] == "Maker"


def test_without_them_it_says_so_on_the_command_line_too(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeightsError, match=r"generator is a plain module, Maker, .*generator="):
        lightning_gan.load(checkpoint)
    with pytest.raises(WeightsError, match="discriminator is a plain module, Sequential"):
        lightning_gan.load(checkpoint, generator=wrap(Maker(), 4))
    wider, same = wrap(Maker(9), 4), wrap(judge(), None, 2, 0)
    with pytest.raises(WeightsError, match="or that were given"):
        lightning_gan.load(checkpoint, generator=wider, discriminator=same)
    assert main(["predict", "--ckpt_path", str(checkpoint)]) == 2
    assert "The checkpoint's generator is a plain module" in capsys.readouterr().err


def test_a_training_of_plain_modules_goes_on_bit_for_bit(checkpoint: Path) -> None:
    resumed = plain_gan(max_images=6 * 8)
    quiet_trainer().fit(resumed, Points(8), ckpt_path=checkpoint, weights_only=True)
    assert distance(weights(resumed), weights(fit(plain_gan(), 6))) == 0


def test_the_command_line_does_not_offer_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--model.generator.help"]) == 0
    assert "Plain" not in capsys.readouterr().out


class Gated(nn.Module):
    """Has a gate inside, which is registered last."""

    def __init__(self, inputs: int, *shape: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, math.prod(shape))
        self.shape, self.gate = shape, nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x.flatten(1))
        return torch.tanh(x * self.gate(x)).unflatten(1, self.shape)


def test_a_sigmoid_inside_is_no_end() -> None:
    assert wrap(Gated(4, 3, 2, 2), latent_dim=4).image_size == 2
    assert wrap(Gated(12, 1), channels=3, image_size=2).channels == 3
    flattened = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), nn.Flatten(0))
    with pytest.raises(ConfigurationError, match="ends in a Sigmoid"):
        wrap(flattened, channels=2, image_size=0)


def test_groups_that_do_not_divide_the_feature_maps_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="56 feature maps inside a block cannot be shared"):
        R3GANGenerator(1, 28, widths=(28, 28, 28))


def with_hooks(norm: Any) -> nn.Module:
    """A discriminator normalised in the older way of PyTorch's."""
    return nn.Sequential(norm(nn.Linear(2, 8)), nn.ReLU(), norm(nn.Linear(8, 1)))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_normalisation_by_hooks_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    discriminator = wrap(with_hooks(nn.utils.spectral_norm), channels=2, image_size=0)
    networks = wrap(Maker(), latent_dim=4), discriminator
    GAN(*networks, Wasserstein())
    with pytest.raises(ConfigurationError, match="normalised already"):
        GAN(*networks, NonSaturating(), [SpectralNormalization()])
    with pytest.raises(ConfigurationError, match="WeightClipping"):
        GAN(*networks, NonSaturating(), [WeightClipping()])
    for norm in (nn.utils.spectral_norm, nn.utils.weight_norm):
        called = with_hooks(norm)
        called(torch.zeros(2, 2))
        with pytest.raises(ConfigurationError, match=r"torch\.nn\.utils\.parametrizations"):
            wrap(called, channels=2, image_size=0)


def test_lazy_layers_are_to_be_called_first() -> None:
    lazy = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 1))
    with pytest.raises(ConfigurationError, match=r"lazy layers.* call it once"):
        wrap(lazy, channels=2, image_size=0)
    lazy(torch.zeros(2, 2))
    assert wrap(lazy, channels=2, image_size=0).sample_shape == (2,)
