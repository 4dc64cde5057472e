"""Objectives whose discriminator is an autoencoder: BEGAN's control, EBGAN's margin and codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from tiny import (
    Points,
    composition,
    fit,
    logit_gradients,
    points_gan,
    quiet_trainer,
    scored,
    step_of,
    weights,
)
from torch import Tensor

from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.networks import AutoencoderDiscriminator, MLPAutoencoderDiscriminator
from lightning_gan.objectives import BEGAN, EBGAN, Objective
from lightning_gan.objectives.energy import pull_away
from lightning_gan.training.schedule import PLAYERS, PerBatch
from lightning_gan.training.step import Step


def autoencoding_gan(objective: Objective, **arguments: Any) -> GAN:
    """A perceptron against an autoencoder in the plane, the same at every call."""
    torch.manual_seed(4)
    discriminator = MLPAutoencoderDiscriminator(2, 0, width=8, code_dim=3)
    return points_gan(objective, discriminator=discriminator, **arguments)


def errors(*values: float) -> Tensor:
    """Errors of reconstructions as logits."""
    return -torch.tensor(values, dtype=torch.float64)


# ---------------------------------------------------------------------------------------- BEGAN


def test_one_update_moves_k_and_the_measure_of_convergence_as_the_paper_says() -> None:
    began = BEGAN(gamma=0.5, k_rate=1e-3)
    assert float(began.k) == 0
    began.observe(errors(0.3, 0.1), errors(0.04, 0.06))  # means of 0.2 and 0.05
    assert float(began.k) == pytest.approx(5e-5, rel=1e-6)
    assert float(began.convergence) == pytest.approx(0.25, rel=1e-6)
    began.observe(errors(0.2), errors(0.4))
    assert float(began.k) == 0
    assert float(began.convergence) == pytest.approx(0.2 + 0.3, rel=1e-6)


@pytest.mark.parametrize(
    ("start", "real", "fake", "end"),
    [(0, 0.1, 1, 0), (0.9, 2, 0, 1), (1, 2, 0, 1), (1, 0.1, 0.55, 0.5), (0.25, 0, 0, 0.25)],
)
def test_k_stays_between_zero_and_one(start: float, real: float, fake: float, end: float) -> None:
    began = BEGAN(gamma=0.5, k_rate=1)
    began.k.fill_(start)
    began.observe(errors(real), errors(fake))
    assert float(began.k) == pytest.approx(end, rel=1e-6)


@pytest.mark.parametrize("k", [0.0, 0.25, 1.0])
def test_the_discriminator_pays_for_reals_and_earns_k_times_the_error_of_fakes(k: float) -> None:
    began, r, f = BEGAN(), errors(1, 3, 2, 2), errors(5, 5, 8, 6)
    began.k.fill_(k)
    assert float(began.discriminator_loss(scored(r, f))) == 2 - 6 * k
    assert float(began.generator_loss(scored(r, f))) == 6
    by_real, by_fake = logit_gradients(began, r, f, "discriminator")
    assert by_real.tolist() == [-1 / 4] * 4
    assert by_fake.tolist() == [k / 4] * 4


class Control(Callback):
    """Follows k from update to update in double precision, and notes how far it is off."""

    def __init__(self, began: BEGAN) -> None:
        self.began, self.k, self.moves = began, 0.0, 0
        self.off: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        for output in pl_module.outputs:
            if output.player == "generator":
                continue
            real = -float(output.real_logits.double().mean())
            fake = -float(output.fake_logits.double().mean())
            self.off.append(float(output.loss) - (real - self.k * fake))
            moved = self.k + self.began.k_rate * (self.began.gamma * real - fake)
            self.k = min(max(moved, 0.0), 1.0)
            self.moves += 1
        self.off.append(float(self.began.k) - self.k)


def test_in_a_training_k_moves_with_every_update_of_the_discriminator() -> None:
    # excludes its being made again as 0 in every step, of pytorch-lightning-gans: then the term of
    # fakes never enters the discriminator's loss
    began = BEGAN(gamma=1, k_rate=0.1)
    control = Control(began)
    gan = fit(autoencoding_gan(began, alternation=PerBatch(2, 3)), 6, callbacks=[control])
    assert np.abs(control.off).max() < 1e-6
    assert control.moves == gan.progress.discriminator_updates == 6
    assert gan.progress.generator_updates == 9
    assert float(began.k) > 0.05


def test_k_moves_once_for_a_batch_in_pieces_and_by_all_of_it() -> None:
    k = {}
    for pieces in (1, 2, 4):
        began = BEGAN(gamma=1, k_rate=0.1)
        fit(autoencoding_gan(began, accumulate=pieces), 3)
        k[pieces] = float(began.k)
    assert k[1] > 0.05
    assert list(k.values()) == pytest.approx([k[1]] * 3, rel=1e-4)


def test_k_survives_a_checkpoint_and_goes_on_to_the_bit(tmp_path: Path) -> None:
    def train(folder: str, batches: int, resume: bool = False) -> GAN:
        gan = autoencoding_gan(BEGAN(gamma=1, k_rate=0.1))
        gan.max_images = 8 * batches
        trainer = quiet_trainer(tmp_path / folder, callbacks=[LastCheckpoint()])
        path = tmp_path / folder / "checkpoints" / "last.ckpt" if resume else None
        trainer.fit(gan, Points(8), ckpt_path=path, weights_only=True)
        return gan

    straight = weights(train("straight", 7))
    stopped = weights(train("stopped", 4))
    assert stopped["objective.k"] > 0.01
    assert stopped["objective.k"] != straight["objective.k"]
    resumed = weights(train("stopped", 7, resume=True))
    for name in ("objective.k", "objective.convergence", *straight):
        assert torch.equal(resumed[name], straight[name]), name


def test_what_began_watches_is_named_for_the_logs() -> None:
    assert set(BEGAN.logged) == dict(BEGAN().named_buffers()).keys() == {"k", "convergence"}


# ---------------------------------------------------------------------------------------- EBGAN


def coded(real: Tensor, fake: Tensor, codes: Tensor) -> Step:
    """A step whose logits and whose codes are given; those of reals are zero."""
    return step_of(
        torch.cat([real[:, None], torch.zeros_like(codes)], dim=1),
        torch.cat([fake[:, None], codes], dim=1),
        lambda samples, _: (samples[:, 0], samples[:, 1:]),
    )


def pull_away_by_pairs(codes: Tensor) -> float:
    """The pull-away term, pair by pair."""
    rows, total = codes.detach().numpy(), 0.0
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            if i != j:
                total += (one @ other / np.linalg.norm(one) / np.linalg.norm(other)) ** 2
    return total / (len(rows) * (len(rows) - 1))


def test_both_losses_of_ebgan_equal_the_reference() -> None:
    real, fake = (-3 * torch.rand(6, dtype=torch.float64) for _ in range(2))
    codes = torch.randn(6, 4, dtype=torch.float64)
    ebgan = EBGAN(margin=1.5, pull_away=0.3)
    hinges = [max(0.0, 1.5 - error) for error in (-fake).tolist()]
    expected = -real.mean() + sum(hinges) / 6
    assert float(ebgan.discriminator_loss(coded(real, fake, codes))) == pytest.approx(
        float(expected), rel=1e-12
    )
    expected = -fake.mean() + 0.3 * pull_away_by_pairs(codes)
    assert float(ebgan.generator_loss(coded(real, fake, codes))) == pytest.approx(
        float(expected), rel=1e-12
    )


@pytest.mark.parametrize("count", [2, 6])
def test_orthonormal_codes_do_not_pull(count: int) -> None:
    # excludes keeping the diagonal, of torchgan: 0.2 with six
    axes = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0][:count]
    assert float(pull_away(axes)) == pytest.approx(0, abs=1e-25)


@pytest.mark.parametrize("signs", [[1, 1, 1, 1], [1, -1, 1, -1], [1, -1, -1, -1]])
def test_codes_on_one_line_pull_with_one(signs: list[float]) -> None:
    # excludes a cosine that is not squared, of PyTorch-GAN: -1 for two opposite codes
    code = torch.randn(5, dtype=torch.float64)
    codes = torch.tensor(signs, dtype=torch.float64)[:, None] * code
    assert float(pull_away(codes)) == pytest.approx(1, rel=1e-12)
    assert float(pull_away(codes[:2])) == pytest.approx(1, rel=1e-12)


def test_the_pull_knows_directions_only() -> None:
    # excludes normalising over the batch, of torchgan
    codes = torch.randn(6, 4, dtype=torch.float64)
    for row, factor in enumerate([1e-6, 0.1, 1, -3, 1e6, -1]):
        scaled = codes.clone()
        scaled[row] *= factor
        assert float(pull_away(scaled)) == pytest.approx(float(pull_away(codes)), rel=1e-10)


def test_random_codes_pull_with_one_over_their_length() -> None:
    # 8 codes of 20 numbers: 0.05, where torchgan has 1.20
    random = torch.Generator().manual_seed(0)
    found = [
        float(pull_away(torch.randn(8, 20, generator=random, dtype=torch.float64)))
        for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(1 / 20, abs=4 * np.std(found) / 200**0.5)


def test_a_code_of_zero_pulls_nothing_and_has_a_finite_gradient() -> None:
    codes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    pull = pull_away(codes)
    pull.backward()
    assert float(pull.detach()) == pytest.approx(2 / 6)
    assert codes.grad is not None
    assert torch.isfinite(codes.grad).all()


def test_the_pull_keeps_its_precision_under_autocast() -> None:
    codes = torch.randn(16, 12)
    with torch.autocast("cpu", torch.bfloat16):
        found = pull_away(codes)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(pull_away_by_pairs(codes.double()), rel=1e-5)


def test_the_margin_is_for_each_fake_by_itself() -> None:
    # excludes the hinge of the batch's mean, of PyTorch-GAN: 0 here
    loss = EBGAN(margin=2).discriminator_loss(scored(errors(0, 0), errors(0, 4)))
    assert float(loss) == (2 + 0) / 2


def test_fakes_beyond_the_margin_teach_nothing() -> None:
    by_real, by_fake = logit_gradients(
        EBGAN(margin=1), errors(0.5, 3), errors(0.5, 1.5), "discriminator"
    )
    assert by_real.tolist() == [-0.5, -0.5]
    assert by_fake.tolist() == [0.5, 0]


def test_the_discriminator_does_not_pull_and_without_a_factor_nobody_reads_codes() -> None:
    r, f = errors(0.1, 0.2), errors(0.3, 0.6)
    plain = EBGAN(pull_away=0)
    for player in PLAYERS:
        step = coded(r, f, torch.randn(2, 3, dtype=torch.float64))
        loss = getattr(plain, f"{player}_loss")(step)
        assert torch.equal(loss, getattr(plain, f"{player}_loss")(scored(r, f)))
    with_codes = coded(r, f, torch.ones(2, 3, dtype=torch.float64))
    found = EBGAN(pull_away=5).discriminator_loss(with_codes)
    assert torch.equal(found, plain.discriminator_loss(with_codes))


def test_ebgan_looks_across_the_batch_where_it_pulls() -> None:
    r, f = errors(1, 2, 3, 4), errors(4, 3, 2, 1)
    codes = torch.randn(4, 3, dtype=torch.float64)
    for factor in (0.0, 0.1):
        ebgan = EBGAN(pull_away=factor)
        pieces = [
            ebgan.generator_loss(coded(r[i::2], f[i::2], codes[i::2])).item() for i in range(2)
        ]
        whole = ebgan.generator_loss(coded(r, f, codes)).item()
        assert (whole == pytest.approx(np.mean(pieces))) != ebgan.looks_across


def test_the_pull_reaches_the_generator_through_the_encoder() -> None:
    torch.manual_seed(0)
    judge = MLPAutoencoderDiscriminator(2, 0, width=8, code_dim=3).double()
    real, fake = (torch.randn(4, 2, dtype=torch.float64) for _ in range(2))

    def loss(samples: Tensor) -> Tensor:
        return EBGAN(pull_away=2).generator_loss(step_of(real, samples, judge.output))

    assert torch.autograd.gradcheck(loss, fake.requires_grad_())
    with_pull = torch.autograd.grad(loss(fake), fake)[0]
    plain = EBGAN(pull_away=0).generator_loss(step_of(real, fake, judge.output))
    assert (with_pull - torch.autograd.grad(plain, fake)[0]).abs().max() > 1e-3


# --------------------------------------------------------------------------------------- common


@pytest.mark.parametrize("objective", [BEGAN(), EBGAN()], ids=repr)
@pytest.mark.parametrize("power", [1, 2])
def test_they_train_on_pictures_with_a_convolutional_autoencoder(
    objective: Objective, power: int
) -> None:
    torch.manual_seed(0)
    judge = AutoencoderDiscriminator(1, 8, width=4, code_dim=3, depth=1, power=power)
    parts = composition(discriminator=judge, objective=objective)
    images = torch.rand(4, 1, 8, 8) * 2 - 1
    step = step_of(images, images.flip(0), judge.output)
    for player in PLAYERS:
        assert torch.isfinite(getattr(parts.objective, f"{player}_loss")(step))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: BEGAN(gamma=0), "gamma=0 must be above 0 and at most 1"),
        (lambda: BEGAN(gamma=1.1), "gamma=1.1 must be above 0 and at most 1"),
        (lambda: BEGAN(k_rate=0), "k_rate=0 must be above 0"),
        (lambda: EBGAN(margin=0), "margin=0 must be above 0"),
        (lambda: EBGAN(pull_away=-1), "pull_away=-1 must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], Objective], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()
