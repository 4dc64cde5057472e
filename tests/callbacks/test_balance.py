"""The held-out balance in a run: of all samples, and reals of training scored as held-out ones."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule
from tiny import (
    NormedDiscriminator,
    Pictures,
    Points,
    fit,
    latest,
    picture_gan,
    points_gan,
    quiet_trainer,
    without_prefix,
)
from torch import Tensor

from lightning_gan.basics.randomness import Seeds, Shard, layer_normal
from lightning_gan.callbacks import Balance
from lightning_gan.datamodules import RealData, Split
from lightning_gan.gan import GAN
from lightning_gan.metrics import ValidationBalance
from lightning_gan.networks import (
    FastGANDiscriminator,
    FastGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    Packed,
)
from lightning_gan.objectives import (
    Hinge,
    NonSaturating,
    RelativisticAverage,
    RelativisticPairing,
    Wasserstein,
)
from lightning_gan.regularizers import R1, GradientPenalty
from lightning_gan.training.optimizers import GANAdam
from lightning_gan.training.validation import validate, validation_logits

Quick = partial(GANAdam, lr=0.05)


class Twice(Points):
    """Points whose held-out ones are those of training, so that no gap can be."""

    def read_splits(self) -> dict[str, Split]:
        train = Split(*(tensor[:36] for tensor in super().read_splits()["train"]))
        return {"train": train, "val": train, "test": train}


def measured(gan: GAN, data: LightningDataModule, **arguments: Any) -> dict[str, float]:
    """The held-out balance of a validation."""
    trainer = quiet_trainer(limit_val_batches=1.0, callbacks=[Balance()], **arguments)
    trainer.validate(gan, data, verbose=False)
    return without_prefix(latest(trainer, "val"))


def recomputed(gan: GAN, data: RealData, training: bool = False) -> dict[str, float]:
    """The same in a plain loop, with the discriminator as in training or as in evaluation."""
    metric = ValidationBalance(gan.objective.probability)
    train = torch.cat([real for real, _ in data.some("train", 37)])
    gan.eval().discriminator.train(training)
    with torch.no_grad():
        for index, (real, labels) in enumerate(data.val_dataloader()):
            rows = Shard(len(real), 0, len(real))
            z = Seeds(0).stream("held-out", index, rows, real).normal(2)
            fake = gan.generator(z, labels)
            metric.update(gan.discriminator(real, labels), gan.discriminator(fake, labels))
        none = torch.zeros(0)
        metric.update(none, none, gan.discriminator(train, torch.zeros(37, dtype=torch.long)))
    return without_prefix(metric.compute().logged())


def test_a_validation_tells_what_a_plain_loop_over_all_samples_tells() -> None:
    gan = fit(points_gan(), 20)
    found = measured(gan, Points(8))
    assert found == pytest.approx(recomputed(gan, Points(8)), rel=1e-5, abs=1e-6)
    assert found["n"] == 37
    assert 0 < found["auc"] < 1
    assert abs(found["d_gap_train_val"]) > 1e-6


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (lambda: points_gan(), {}),
        (lambda: points_gan(discriminator=NormedDiscriminator("batch")), {}),
        (lambda: points_gan(discriminator=Packed(MLPDiscriminator(4, 0, width=8), 2)), {}),
        (lambda: points_gan(), {"precision": "bf16-mixed"}),
        (lambda: points_gan(), {"precision": "64-true"}),
    ],
    ids=["alone", "batch norm", "packs", "autocast", "double"],
)
def test_reals_of_training_are_scored_as_held_out_ones(
    make: Any, arguments: dict[str, Any]
) -> None:
    found = measured(fit(make(), 10), Twice(8), **arguments)
    assert found["d_gap_train_val"] == 0
    assert found["score_real_std"] > 0


def test_batch_norm_standardises_held_out_reals_and_fakes_apart_as_in_training() -> None:
    gan = fit(points_gan(discriminator=NormedDiscriminator("batch")), 10)
    expected = recomputed(gan, Points(8), training=True)
    expected.pop("d_gap_train_val")  # is of whole batches here
    found = measured(gan, Points(8))
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_discriminator_that_knows_its_training_images_has_a_gap() -> None:
    class Knows(MLPDiscriminator):
        """Gives 3 to what it has seen, -1 to all else."""

        def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
            known = Points().split("train").images
            return 4.0 * (samples[:, None] == known[None]).all(2).any(1) - 1

    found = measured(points_gan(discriminator=Knows(2, 0, width=4)), Points(8))
    assert found["d_gap_train_val"] == pytest.approx(4, rel=1e-6)


def test_at_most_a_thousand_images_of_training_are_scored() -> None:
    class Many(Points):
        asked: list[int]

        def read_splits(self) -> dict[str, Split]:
            split = Split(*(torch.cat(6 * [part]) for part in super().read_splits()["train"]))
            return {"train": split, "val": split, "test": split}

        def some(self, name: Any, count: int) -> Any:
            self.asked = [count]
            return super().some(name, count)

    data = Many(100)
    measured(points_gan(), data)
    assert data.asked == [1000]


def test_data_that_hand_out_no_images_of_training_have_no_gap() -> None:
    class Plain(LightningDataModule):
        def val_dataloader(self) -> Any:
            return Points(8).val_dataloader()

    found = measured(points_gan(), Plain())
    assert "d_gap_train_val" not in found
    assert found["n"] == 37


@pytest.mark.parametrize(
    ("gan", "has_sign", "bounds"),
    [
        (lambda: points_gan(NonSaturating()), True, True),
        (lambda: points_gan(Hinge()), True, False),
        (lambda: points_gan(Wasserstein(), [GradientPenalty()]), False, False),
        (lambda: points_gan(RelativisticPairing()), False, False),
    ],
)
def test_only_what_means_something_is_logged(gan: Any, has_sign: bool, bounds: bool) -> None:
    trained = fit(gan(), 2, callbacks=[Balance(every=2)])
    logged = latest(trained.trainer, "training")
    assert ("gan/r_t" in logged) == has_sign
    held_out = measured(trained, Points(8))
    assert "r_t" not in held_out
    divides = has_sign or "d_real" in held_out
    assert ("acc_real" in held_out) == ("gan/acc_fake" in logged) == divides
    assert ("jsd_lower_bound" in held_out) == bounds
    assert 0 <= held_out["auc"] <= 1  # of logits, whatever they mean


def test_losses_and_penalties_are_means_over_samples_in_however_many_pieces() -> None:
    found = []
    for accumulate in (1, 3):  # of 8 samples, so that pieces have 3, 3 and 2
        gan, balance = points_gan(regularizers=[R1(0.1)], accumulate=accumulate), Balance(every=1)
        fit(gan, 3, callbacks=[balance], precision="64-true")
        values = latest(gan.trainer, "training")
        found.append({n: x for n, x in values.items() if n.startswith(("loss/", "penalty/"))})
    assert found[0].keys() == {"loss/discriminator", "loss/generator", "penalty/R1"}
    assert found[1] == pytest.approx(found[0], rel=1e-9)


def test_images_a_second_are_those_of_training_whatever_validations_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, found = [0.0], []

    class Clock(Callback):
        def on_train_batch_start(self, *_: object) -> None:
            now[0] += 2.0

        def on_validation_batch_start(self, *_: object) -> None:
            now[0] += 100.0

        def on_train_batch_end(self, trainer: Any, *_: object) -> None:
            found.append(latest(trainer, "training").get("progress/images_per_second"))

    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr("lightning_gan.callbacks.balance.time", clock)
    gan = points_gan(validate_every=16)
    fit(gan, 6, callbacks=[Balance(every=3), Clock()], limit_val_batches=1.0)
    assert found == [None, None, 4.0, 4.0, 4.0, 4.0]


def test_relative_probabilities_are_those_of_each_update() -> None:
    balance, objective = Balance(every=20), RelativisticAverage()
    means: list[float] = []

    class Watched(RelativisticAverage):
        def observe(self, real_logits: Tensor, fake_logits: Tensor) -> None:
            real, _ = objective.probability(real_logits, fake_logits)
            means.append(float(real.mean()))

    gan = points_gan(Watched(), generator_optimizer=Quick, discriminator_optimizer=Quick)
    trained = fit(gan, 20, callbacks=[balance])
    told = latest(trained.trainer, "training")["gan/d_real"]
    assert told == pytest.approx(sum(means) / 20, rel=1e-5)


def test_pictures_are_judged_by_the_mean_over_their_squares() -> None:
    generator, judge = FastGANGenerator(1, 32, width=4), FastGANDiscriminator(1, 32, width=4)
    gan = points_gan(generator=generator, discriminator=judge)
    real = torch.rand(6, 1, 32, 32) * 2 - 1
    labels = torch.zeros(6, dtype=torch.long)
    game, shard = gan.game, Shard(6, 0, 6)
    (output,) = validate(game, real, labels, 0, shard, 0)
    assert output.real_logits is not None
    assert output.real_logits.shape == output.fake_logits.shape == (6,)
    squares = judge.output(real, labels).logits.view(6, 25)
    torch.testing.assert_close(output.real_logits, squares.mean(1))
    scored = validation_logits(game, real, labels, 0, shard)
    torch.testing.assert_close(scored, squares.mean(1))


def test_layers_that_draw_noise_draw_the_same_in_every_validation() -> None:
    class Noisy(MLPGenerator):
        draws_noise = True

        def forward(self, z: Tensor, labels: Tensor, random: Any = None) -> Tensor:
            return super().forward(z, labels) + layer_normal(z, random, 2)

    gan = points_gan(generator=Noisy(2, 0, width=8))
    assert measured(gan, Points(8)) == measured(gan, Points(8))


def test_a_validation_without_whole_packs_says_nothing() -> None:
    gan = points_gan(discriminator=Packed(MLPDiscriminator(80, 0, width=8), 40))
    assert measured(gan, Points(40)) == {}


def test_training_does_not_notice_that_its_images_are_scored() -> None:
    ends = []
    for limit in (1.0, 0):
        gan = picture_gan()
        trainer = quiet_trainer(
            callbacks=[Balance()] if limit else [], max_epochs=3, limit_val_batches=limit
        )
        trainer.fit(gan, Pictures(8))
        ends.append([parameter.detach() for parameter in gan.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
