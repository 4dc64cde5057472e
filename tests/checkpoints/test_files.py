"""Checkpoints: rebuilt without the code that made them, safe to read, exact to resume."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Points, distance, fit, points_gan, quiet_trainer, weights

import lightning_gan
from lightning_gan.augment import InstanceNoise
from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.datamodules import Digits, RealData, Ring
from lightning_gan.errors import ConfigurationError, DivergenceError, WeightsError
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
)
from lightning_gan.objectives import NonSaturating, Wasserstein
from lightning_gan.regularizers import R1, GradientPenalty
from lightning_gan.training.optimizers import GANAdam
from lightning_gan.training.schedule import LinearCurve, PerBatch

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def saved(tmp_path: Path) -> tuple[GAN, Path]:
    gan = points_gan(
        NonSaturating(0.9),
        [R1(LinearCurve(1, 0, 100), every=2)],
        num_classes=3,
        augmentation=InstanceNoise(0.1),
        learning_rate=LinearCurve(1, 0, 1000),
        alternation=PerBatch(2),
    )
    fit(gan, 4)
    path = tmp_path / "gan.ckpt"
    gan.trainer.save_checkpoint(path)
    return gan, path


def test_a_checkpoint_alone_is_enough_to_sample_from(saved: tuple[GAN, Path]) -> None:
    gan, path = saved
    loaded = lightning_gan.load(path)
    assert distance(weights(loaded), weights(gan)) == 0
    assert torch.equal(loaded.sample(5), gan.sample(5))
    assert loaded.progress == gan.progress
    assert not loaded.training
    assert loaded.hparams == gan.hparams


OPTIMIZERS: dict[str, Any] = {
    "the default": lambda p: GANAdam(p),
    "a lambda with settings": lambda p: GANAdam(p, lr=3e-4, betas=(0.0, 0.9)),
    "another class": lambda p: torch.optim.RMSprop(p, lr=5e-5, alpha=0.9),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_gan_comes_back_with_all_that_it_was_built_with(make: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "ema_half_life": 123.0,
        "ema_rampup": 0.5,
        "gradient_clip": 0.7,
        "generator_clip": 0.5,
        "accumulate": 2,
        "seed": 3,
        "max_images": 32,
        "channels_last": True,
    }
    gan = points_gan(**settings, generator_optimizer=make, discriminator_optimizer=make)
    quiet_trainer(tmp_path).fit(gan, Points(8))
    gan.trainer.save_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    loaded = GAN.load_from_checkpoint(tmp_path)  # the folder of the run will do
    assert loaded.hparams == gan.hparams
    assert {name: loaded.hparams[name] for name in settings} == settings
    for ours, theirs in zip(loaded.configure_optimizers(), gan.configure_optimizers(), strict=True):
        assert type(ours) is type(theirs)
        assert ours.defaults == theirs.defaults


def test_an_optimizer_that_refuses_an_option_is_named_when_the_model_is_built() -> None:
    with pytest.raises(ConfigurationError, match="generator_optimizer refuses an option: Inv"):
        points_gan(generator_optimizer=lambda p: GANAdam(p, lr=-1.0))


def test_a_class_can_move_to_another_file_and_its_checkpoints_load(
    saved: tuple[GAN, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    described = torch.load(saved[1], weights_only=True)["hyper_parameters"]
    assert described["generator"]["class_path"] == "lightning_gan.networks.MLPGenerator"
    assert described["objective"]["class_path"] == "lightning_gan.objectives.NonSaturating"
    assert described["alternation"]["class_path"] == "lightning_gan.PerBatch"
    assert described["generator_optimizer"]["class_path"] == "lightning_gan.GANAdam"
    for kind in (MLPGenerator, NonSaturating, R1):
        monkeypatch.setattr(kind, "__module__", f"{kind.__module__}_moved.deeper")
    assert distance(weights(lightning_gan.load(saved[1])), weights(saved[0])) == 0


def test_a_checkpoint_holds_plain_data_only(saved: tuple[GAN, Path]) -> None:
    checkpoint = torch.load(saved[1], weights_only=True)
    assert checkpoint["lightning_gan"]["progress"]["images"] == 32
    assert checkpoint["global_step"] == 2


@pytest.mark.parametrize("given", [None, 5, b"last.ckpt", "", ["last.ckpt"]])
def test_what_is_no_path_is_no_checkpoint(given: Any, tmp_path: Path) -> None:
    for load in (lightning_gan.load, lightning_gan.export, GAN.load_from_checkpoint):
        with pytest.raises(ConfigurationError, match=r"is no path of a checkpoint: give a \.ckpt"):
            load(given, tmp_path / "none")


def test_a_loaded_model_can_go_on_training(saved: tuple[GAN, Path]) -> None:
    loaded = lightning_gan.load(saved[1])
    fit(loaded, 6)
    assert loaded.training
    assert loaded.progress.images == 48


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_refused_and_not_run(
    saved: tuple[GAN, Path], tmp_path: Path
) -> None:
    checkpoint = torch.load(saved[1], weights_only=True) | {"extra": Trap(tmp_path / "sprung")}
    torch.save(checkpoint, saved[1])
    with pytest.raises(WeightsError, match="more than plain data"):
        lightning_gan.load(saved[1])
    assert not (tmp_path / "sprung").exists()
    torch.load(saved[1], weights_only=False)
    assert (tmp_path / "sprung").exists()  # the trap does work


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_checkpoint_is_refused(saved: tuple[GAN, Path], share: float) -> None:
    content = saved[1].read_bytes()
    saved[1].write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match="not a whole checkpoint"):
        lightning_gan.load(saved[1])


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no checkpoint at"):
        lightning_gan.load(tmp_path / "nothing.ckpt")


FOREIGN: dict[str, tuple[Edit, str]] = {
    "another program's": (lambda c: c.pop("lightning_gan"), "not written by lightning-gan"),
    "without progress": (lambda c: c["lightning_gan"].pop("progress"), "progress is missing"),
    "with other progress": (
        lambda c: c["lightning_gan"]["progress"].update(epochs=1),
        "progress is damaged",
    ),
    "with progress in words": (
        lambda c: c["lightning_gan"]["progress"].update(images="many"),
        "progress is damaged",
    ),
    "without arguments": (lambda c: c.pop("hyper_parameters"), "its parts are missing"),
    "of a later version": (lambda c: c["lightning_gan"].update(format=99), "newer lightning-gan"),
    "with unknown parts": (
        lambda c: c["hyper_parameters"]["generator"].update(class_path="os.system"),
        "import its module first",
    ),
    "with other weights": (
        lambda c: c["hyper_parameters"]["generator"]["init_args"].update(width=9),
        "do not fit the parts",
    ),
    "without weights": (lambda c: c.pop("state_dict"), "do not fit the parts"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_checkpoint_is_refused(saved: tuple[GAN, Path], kind: str) -> None:
    edit, complaint = FOREIGN[kind]
    checkpoint = torch.load(saved[1], weights_only=True)
    edit(checkpoint)
    torch.save(checkpoint, saved[1])
    with pytest.raises(WeightsError, match=complaint):
        lightning_gan.load(saved[1])


def test_what_is_no_dictionary_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(WeightsError, match="holds a list"):
        lightning_gan.load(tmp_path / "list.ckpt")


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        (
            {"generator": MLPGenerator(2, 0, width=16, depth=2, num_classes=3)},
            "another generator: width=8 instead of 16;",
        ),
        (
            {"discriminator": MLPDiscriminator(2, 0, width=8, depth=1, num_classes=3)},
            "another discriminator: depth=2 instead of 1;",
        ),
    ],
)
def test_resuming_with_other_networks_is_refused_by_naming_the_difference(
    saved: tuple[GAN, Path], parts: dict[str, Any], complaint: str
) -> None:
    gan = points_gan(num_classes=3, **parts)
    with pytest.raises(WeightsError, match=complaint) as caught:
        quiet_trainer().fit(gan, Points(8), ckpt_path=saved[1], weights_only=True)
    assert str(caught.value).count(". ") == 0


def test_resuming_from_something_else_is_refused(saved: tuple[GAN, Path]) -> None:
    checkpoint = torch.load(saved[1], weights_only=True)
    del checkpoint["lightning_gan"]
    torch.save(checkpoint, saved[1])
    with pytest.raises(WeightsError, match="not written by lightning-gan"):
        quiet_trainer().fit(
            points_gan(num_classes=3), Points(8), ckpt_path=saved[1], weights_only=True
        )


def test_weights_that_are_not_finite_are_never_saved(saved: tuple[GAN, Path]) -> None:
    gan, path = saved
    good = path.read_bytes()
    gan.discriminator.head.weight.data[0, 0] = float("nan")  # type: ignore[union-attr, index]
    with pytest.raises(DivergenceError, match=r"discriminator\.head\.weight is not finite"):
        gan.trainer.save_checkpoint(path)
    assert path.read_bytes() == good


def averaged_points() -> tuple[GAN, RealData]:
    return points_gan(ema_half_life=500, learning_rate=LinearCurve(1, 0.5, 4000)), Ring(64)


def averaged_digits() -> tuple[GAN, RealData]:
    generator = DCGANGenerator(1, 8, latent_dim=4, width=8)
    discriminator = DCGANDiscriminator(1, 8, width=8)
    return GAN(generator, discriminator, NonSaturating()), Digits(64, image_size=8)


def critic_of_digits() -> tuple[GAN, RealData]:
    generator = DCGANGenerator(1, 8, latent_dim=4, width=8)
    discriminator = DCGANDiscriminator(1, 8, width=8, batch_norm=False)
    gan = GAN(generator, discriminator, Wasserstein(), [GradientPenalty()], PerBatch(5))
    return gan, Digits(64, image_size=8, flip=True)


@pytest.mark.parametrize("cut", [13, 20, 33])
@pytest.mark.parametrize("make", [averaged_points, averaged_digits, critic_of_digits])
def test_a_resumed_run_ends_in_the_bits_of_the_uninterrupted_one(
    make: Callable[[], tuple[GAN, RealData]], cut: int, tmp_path: Path
) -> None:
    # digits have 20 batches an epoch, so that the cuts lie within, at the end of, and beyond one
    def run(seed: int, batches: int, ckpt_path: Path | None = None) -> tuple[GAN, Any]:
        torch.manual_seed(seed)
        gan, data = make()
        gan.max_images = 64 * batches
        trainer = quiet_trainer(tmp_path, callbacks=[LastCheckpoint()])
        trainer.fit(gan, data, ckpt_path=ckpt_path, weights_only=True)
        states = [copy.deepcopy(optimizer.state_dict()) for optimizer in trainer.optimizers]
        return gan, states

    straight, straight_states = run(0, 45)
    run(0, cut)
    resumed, resumed_states = run(1, 45, tmp_path / "checkpoints" / "last.ckpt")
    assert resumed.progress == straight.progress
    assert resumed.trainer.global_step == straight.trainer.global_step
    assert distance(weights(resumed), weights(straight)) == 0
    for ours, theirs in zip(resumed_states, straight_states, strict=True):
        assert ours["param_groups"] == theirs["param_groups"]
        for index, state in theirs["state"].items():
            assert all(torch.equal(state[name], ours["state"][index][name]) for name in state)
