"""A new run that begins with the players of another one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Points, distance, fit, points_gan, quiet_trainer, weights

from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.checkpoints.warm_start import warm_start
from lightning_gan.errors import WeightsError
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    MLPDiscriminator,
    MLPGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from lightning_gan.objectives import Hinge, NonSaturating
from lightning_gan.regularizers import FreezeD, SpectralNormalization

PLAYERS = ("generator", "discriminator", "generator_ema")


def other_gan(**arguments: Any) -> GAN:
    """The usual pair with other weights."""
    gan = points_gan(**arguments)
    with torch.no_grad():
        for parameter in gan.parameters():
            parameter.add_(1)
    return gan


def players(gan: GAN) -> dict[str, Any]:
    return {name: getattr(gan, name) for name in PLAYERS}


def still(parameters: Any) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=0.0)


@pytest.fixture
def trained(tmp_path: Path) -> tuple[GAN, Path]:
    gan = fit(points_gan(), 4, default_root_dir=tmp_path, callbacks=[LastCheckpoint()])
    return gan, tmp_path / "checkpoints" / "last.ckpt"


def test_players_and_average_get_the_weights_of_the_checkpoint(trained: tuple[GAN, Path]) -> None:
    before, path = trained
    gan = other_gan()
    warm_start(players(gan), path)
    for player in PLAYERS:
        assert distance(weights(getattr(gan, player)), weights(getattr(before, player))) == 0
    assert distance(weights(gan.generator), weights(gan.generator_ema)) > 0


def test_a_new_run_begins_with_them_and_with_nothing_else_of_the_old_one(
    trained: tuple[GAN, Path],
) -> None:
    before, path = trained
    gan = other_gan(warm_start=str(path), generator_optimizer=still, discriminator_optimizer=still)
    fit(gan, 2)
    for player in ("generator", "discriminator"):
        assert distance(weights(getattr(gan, player)), weights(getattr(before, player))) == 0
    assert gan.progress.batches == 2
    assert gan.progress.images == 16


def test_another_objective_and_other_regularizers_are_welcome(trained: tuple[GAN, Path]) -> None:
    before, path = trained
    gan = other_gan(objective=Hinge(), regularizers=[FreezeD(1)], warm_start=str(path))
    fit(gan, 2)
    first, frozen = before.discriminator.layers[1], gan.discriminator.layers[1]
    assert torch.equal(first.weight, frozen.weight)
    second, moved = before.discriminator.layers[3], gan.discriminator.layers[3]
    assert not torch.equal(second.weight, moved.weight)


def test_a_resumed_run_goes_on_from_its_own_checkpoint(
    trained: tuple[GAN, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    fit(other_gan(), 1, default_root_dir=folder, callbacks=[LastCheckpoint()])
    resumed = points_gan(warm_start=str(folder / "checkpoints" / "last.ckpt"))
    resumed.max_images = 6 * 8
    quiet_trainer().fit(resumed, Points(8), ckpt_path=trained[1], weights_only=True)
    straight = fit(points_gan(), 6)
    assert distance(weights(resumed), weights(straight)) == 0


def test_the_average_goes_on_from_the_loaded_one_and_a_resumed_run_too(
    trained: tuple[GAN, Path], tmp_path: Path
) -> None:
    before, path = trained
    still_ones = {"generator_optimizer": still, "discriminator_optimizer": still}
    gan = other_gan(warm_start=str(path), ema_rampup=10.0, **still_ones)
    fit(gan, 1, default_root_dir=tmp_path / "new", callbacks=[LastCheckpoint()])
    assert gan.average.images_before == 32
    keep = 0.5 ** (8 / (10 * 32))
    for name, weight in weights(gan.generator_ema).items():
        old, now = weights(before.generator_ema)[name], weights(before.generator)[name]
        torch.testing.assert_close(weight, keep * old + (1 - keep) * now)
    resumed = other_gan(warm_start=str(path), ema_rampup=10.0, **still_ones)
    resumed.max_images = 24
    last = tmp_path / "new" / "checkpoints" / "last.ckpt"
    quiet_trainer().fit(resumed, Points(8), ckpt_path=last, weights_only=True)
    straight = fit(other_gan(warm_start=str(path), ema_rampup=10.0, **still_ones), 3)
    assert distance(weights(resumed), weights(straight)) == 0


def test_a_run_folder_will_do(trained: tuple[GAN, Path]) -> None:
    gan = other_gan()
    assert warm_start(players(gan), trained[1].parent.parent) == 32
    assert distance(weights(gan.discriminator), weights(trained[0].discriminator)) == 0


@pytest.mark.parametrize("classes", [(0, 3), (3, 0), (3, 5)], ids=repr)
def test_other_classes_take_what_fits_and_name_what_does_not(
    classes: tuple[int, int], tmp_path: Path
) -> None:
    saving = {"default_root_dir": tmp_path, "callbacks": [LastCheckpoint()]}
    before = fit(points_gan(num_classes=classes[0]), 2, **saving)
    gan = other_gan(num_classes=classes[1])
    own = weights(gan)
    with pytest.warns(UserWarning, match="takes") as said:
        images = warm_start(players(gan), tmp_path)
    assert images == 0  # since the average has new weights
    assert len(said) == 1 + (classes[1] > 0)
    generator = str(said[0].message)
    assert re.match(r"The generator takes \d of its \d weights from .*; new are ", generator)
    words = re.split(r"[, ]+|\.$", generator)
    new = {name for name in weights(gan.generator) if name in words}
    theirs = weights(before.generator)
    for name, weight in weights(gan.generator).items():
        expected = own[f"generator.{name}"] if name in new else theirs[name]
        assert torch.equal(weight, expected), name
    assert new


def test_another_size_takes_what_fits(tmp_path: Path) -> None:
    def styled(size: int) -> GAN:
        torch.manual_seed(size)
        sizes: dict[str, Any] = {"channels": 1, "image_size": size, "width": 4, "max_width": 4}
        return GAN(
            StyleGAN2Generator(**sizes, latent_dim=4, style_dim=8, mapping_depth=1),
            StyleGAN2Discriminator(**sizes, minibatch_std=0),
            NonSaturating(),
        )

    before = styled(8)
    fit(before, 1, default_root_dir=tmp_path, callbacks=[LastCheckpoint()])
    gan = styled(16)
    with pytest.warns(UserWarning, match="takes") as said:
        warm_start(players(gan), tmp_path)
    pattern = r"The (generator|discriminator) takes \d+ of its \d+ weights from .*; new are "
    assert [bool(re.match(pattern, str(one.message))) for one in said] == [True, True]
    assert torch.equal(gan.generator.start, before.generator.start)  # type: ignore[arg-type]
    assert torch.equal(gan.generator_ema.w_average, before.generator_ema.w_average)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "player"),
    [
        ({"discriminator": MLPDiscriminator(2, 0, width=9, depth=2)}, "discriminator"),
        ({"generator": MLPGenerator(2, 0, width=9, depth=2)}, "generator"),
        ({"regularizers": [SpectralNormalization()]}, "discriminator"),
    ],
    ids=["discriminator", "generator", "spectral norm"],
)
def test_other_networks_are_refused(
    trained: tuple[GAN, Path], parts: dict[str, Any], player: str
) -> None:
    with pytest.raises(WeightsError, match=rf"The {player} in .* is another one than this model's"):
        warm_start(players(points_gan(**parts)), trained[1])


def test_a_checkpoint_that_is_not_there_is_named_with_the_argument(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no checkpoint at .*nowhere\.ckpt: check warm_start"):
        fit(points_gan(warm_start=str(tmp_path / "nowhere.ckpt")), 1)


def test_a_damaged_file_is_refused(trained: tuple[GAN, Path]) -> None:
    path = trained[1]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="not a whole checkpoint"):
        warm_start(players(points_gan()), path)


@pytest.mark.parametrize("change", ["own part", "weights", "no weights"])
def test_a_foreign_file_is_refused(trained: tuple[GAN, Path], change: str) -> None:
    path = trained[1]
    checkpoint = torch.load(path, weights_only=True)
    if change == "own part":
        del checkpoint["lightning_gan"]
    elif change == "weights":
        checkpoint["state_dict"] = [1, 2]
    else:
        del checkpoint["state_dict"]
    torch.save(checkpoint, path)
    gan = points_gan()
    before = weights(gan)
    with pytest.raises(WeightsError):
        warm_start(players(gan), path)
    assert distance(before, weights(gan)) == 0
