"""Other precisions than float32: they train, and what must be precise stays so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from resuming import BATCH, bits, differences
from tiny import Pictures, distance, fit, picture_gan, points_gan, quiet_trainer, weights
from torch import Tensor, nn
from zoo import own, with_network

from lightning_gan.augment import InstanceNoise
from lightning_gan.callbacks import Balance, LastCheckpoint
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.networks import Discriminator, Generator, MLPDiscriminator, MLPGenerator
from lightning_gan.networks.layers import BATCH_NORMS
from lightning_gan.objectives import NonSaturating, Objective, RelativisticPairing, Wasserstein
from lightning_gan.regularizers import (
    R1,
    R2,
    GradientPenalty,
    LatentOptimisation,
    Penalty,
    Regularizer,
)
from lightning_gan.training.latents import UniformPrior
from lightning_gan.training.schedule import PLAYERS, PerBatch
from lightning_gan.training.step import Step

PENALISED: dict[str, tuple[Objective, list[Regularizer]]] = {
    "gradient penalty": (Wasserstein(), [GradientPenalty()]),
    "r1 and r2": (RelativisticPairing(), [R1(0.1), R2(0.1)]),
}


class Types(Penalty):
    """Notes the types that losses and penalties see."""

    generator_reads = ("real", "fake")

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def discriminator_term(self, step: Step) -> None:
        tensors = (step.real, step.fake, step.real_logits, step.fake_logits)
        self.seen.update(tensor.dtype for tensor in tensors)

    generator_term = discriminator_term


@pytest.mark.parametrize("name", PENALISED)
def test_bfloat16_trains_under_a_penalty(name: str) -> None:
    objective, regularizers = PENALISED[name]
    types = Types()
    gan = picture_gan(objective, [*regularizers, types], augmentation=InstanceNoise(0.1))
    start = weights(gan)
    fit(gan, 3, precision="bf16-mixed")
    end = weights(gan)
    assert types.seen == {torch.float32}
    assert all(torch.isfinite(value).all() for value in end.values())
    for player in PLAYERS:
        assert any(
            not torch.equal(end[name], start[name]) for name in end if name.startswith(player)
        )


@pytest.mark.parametrize("name", PENALISED)
def test_bfloat16_stays_near_float32(name: str) -> None:
    objective, regularizers = PENALISED[name]
    terms = [
        fit(picture_gan(objective, regularizers), 1, precision=precision).outputs[0]
        for precision in ("32-true", "bf16-mixed")
    ]
    assert float(terms[1].loss) == pytest.approx(float(terms[0].loss), abs=0.05)
    for key, value in terms[0].terms.items():
        assert float(terms[1].terms[key]) == pytest.approx(float(value), rel=0.02)


def test_under_autocast_every_update_of_a_batch_sees_the_weights_of_the_one_before() -> None:
    # a cast that autocast remembers from the first update would be stale in the second
    seen: list[float] = []

    class Constant(MLPGenerator):
        def forward(self, z: Tensor, labels: Tensor) -> Tensor:
            samples = super().forward(torch.ones_like(z), labels)
            seen.append(float(samples.detach().float().sum()))
            return samples

    gan = points_gan(
        generator=Constant(2, 0, width=8),
        alternation=PerBatch(1, 3),
        generator_optimizer=lambda p: torch.optim.SGD(p, lr=1.0),
    )
    fit(gan, 1, precision="bf16-mixed")
    assert len(set(seen[1:])) == 3


def test_an_update_with_a_penalty_on_gradients_stays_outside_autocast() -> None:
    seen: list[bool] = []

    class Noted(MLPDiscriminator):
        def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().forward(samples, labels)

    gan = points_gan(regularizers=[R1(every=2)], discriminator=Noted(2, 0, width=8))
    fit(gan, 2, precision="bf16-mixed")
    # reals and fakes of the first update, the generator's fakes; then an update without penalty
    assert seen == [False, False, True, True, True, True]


def test_latents_move_outside_autocast() -> None:
    seen: list[bool] = []

    class Noted(MLPGenerator):
        def forward(self, z: Tensor, labels: Tensor) -> Tensor:
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().forward(z, labels)

    parts: dict[str, Any] = {"generator": Noted(2, 0, width=8), "prior": UniformPrior()}
    fit(points_gan(regularizers=[LatentOptimisation()], **parts), 1, precision="bf16-mixed")
    # where latents move to, and the samples of the moved ones, in either player's update
    assert seen == [False, True, False, True]


def half(**arguments: Any) -> dict[str, Any]:
    """Trainer arguments for float16 on the CPU, with a scaler."""
    scaler = torch.amp.GradScaler("cpu", **arguments)
    return {"plugins": [MixedPrecision("16-mixed", "cpu", scaler=scaler)]}


def test_float16_with_a_scaler_moves_both_players() -> None:
    gan = points_gan()
    start = weights(gan)
    fit(gan, 5, **half())
    end = weights(gan)
    assert all(torch.isfinite(value).all() for value in end.values())
    for player in PLAYERS:
        names = [name for name in end if name.startswith(f"{player}.")]
        assert max(float((end[n] - start[n]).abs().max()) for n in names) > 1e-4


def test_clipping_acts_on_gradients_that_are_no_longer_scaled() -> None:
    # clipping what is scaled by 65536 would let training stand still
    def trained(**trainer: Any) -> tuple[dict[str, float], dict[str, Tensor]]:
        gan = points_gan(
            gradient_clip=0.05,
            generator_optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
            discriminator_optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
        )
        fit(gan, 3, callbacks=[Balance(every=1)], **trainer)
        report = measurements(gan.trainer).training
        assert report is not None
        return report.gradient_norm, weights(gan)

    norms, end = trained()
    assert norms.keys() == {"discriminator", "generator"}
    norms16, end16 = trained(**half(init_scale=1024.0))
    assert norms16 == pytest.approx(norms, rel=0.02)
    assert distance(end, end16) < 1e-3
    assert distance(end, weights(points_gan())) > 5e-3


def test_float64_is_float64_throughout() -> None:
    types = Types()
    gan = fit(points_gan(NonSaturating(), [types]), 2, precision="64-true")
    assert types.seen == {torch.float64}
    assert gan.sample(3).dtype == torch.float64


# ------------------------------------------------------------------------ every family of networks


KINDS = [*own(Generator), *own(Discriminator)]


def of_family(kind: type[Any]) -> GAN:
    """A model with a small network of this kind, under R1 where there are logits of samples."""
    gan = with_network(kind)
    players: dict[str, Any] = {"generator": gan.generator, "discriminator": gan.discriminator}
    for module in [*gan.discriminator.modules()]:
        for name, child in module.named_children():
            if isinstance(child, BATCH_NORMS):  # which no penalty on gradients bears
                setattr(module, name, nn.Identity())
    penalties: list[Regularizer] = [] if gan.discriminator.reconstructs else [R1(0.1, every=2)]
    return points_gan(gan.objective, penalties, **players)


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_trains_in_bfloat16_and_goes_on_bit_for_bit(
    kind: type[Any], tmp_path: Path
) -> None:
    def train(folder: str, batches: int, resume: bool = False) -> dict[str, Any]:
        path = tmp_path / folder / "checkpoints" / "last.ckpt"
        gan = of_family(kind)
        gan.max_images = batches * BATCH
        callbacks = [LastCheckpoint()]
        trainer = quiet_trainer(tmp_path / folder, callbacks=callbacks, precision="bf16-mixed")
        trainer.fit(gan, Pictures(BATCH), ckpt_path=path if resume else None, weights_only=True)
        return bits(path)

    start = weights(of_family(kind))
    straight = train("straight", 5)
    train("stopped", 3)
    assert differences(straight, train("stopped", 5, resume=True)) == []
    end = straight["state_dict"]
    assert all(torch.isfinite(value).all() for value in end.values())
    for name in PLAYERS:
        assert any(not torch.equal(end[key], start[key]) for key in end if key.startswith(name))


class Elementwise(MLPGenerator):
    """A generator without products of matrices, so that autocast leaves its samples alone."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(1, 8, latent_dim=64, width=8, num_classes=num_classes)
        self.scale = nn.Parameter(torch.ones(64))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return torch.tanh(z * self.scale).unflatten(1, (1, 8, 8))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", own(Discriminator))
def test_an_update_with_r1_is_that_of_float32_to_the_bit(kind: type[Any]) -> None:
    def updated(precision: Any) -> tuple[Tensor, dict[str, Tensor]]:
        model = of_family(kind)
        generator = Elementwise(num_classes=model.discriminator.num_classes)
        parts: dict[str, Any] = {"discriminator": model.discriminator, "channels_last": False}
        gan = points_gan(model.objective, [R1(10.0)], generator=generator, **parts)
        fit(gan, 1, precision=precision)
        return gan.outputs[0].terms["R1"], weights(gan.discriminator)

    if of_family(kind).discriminator.reconstructs:
        pytest.skip("its losses are energies, which have no R1")
    term, end = updated("bf16-mixed")
    expected_term, expected = updated("32-true")
    assert torch.equal(term, expected_term)
    assert [name for name in end if not torch.equal(end[name], expected[name])] == []


def test_bfloat16_alone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"stand nearly still: .* bf16-mixed"):
        fit(points_gan(), 1, precision="bf16-true")
