"""Callbacks: right values, and a training that does not notice them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.demos.boring_classes import BoringModel
from PIL import Image
from tiny import (
    Pictures,
    Points,
    distance,
    fit,
    latest,
    picture_gan,
    points_gan,
    quiet_trainer,
    weights,
)
from torch import Tensor

from lightning_gan.basics.images import grid
from lightning_gan.basics.randomness import Seeds, Shard
from lightning_gan.callbacks import (
    Balance,
    Evaluation,
    ImagesBar,
    LastCheckpoint,
    SampleGrid,
    StopOnDivergence,
)
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.callbacks.progress_bar import live_numbers
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import NonSaturating, Wasserstein
from lightning_gan.regularizers import R1, GradientPenalty, Penalty
from lightning_gan.training.schedule import PLAYERS, PerBatch, Phases
from lightning_gan.training.step import Step


class Logits(Penalty):
    """Keeps the logits of the discriminator's updates."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor]] = []

    def discriminator_term(self, step: Step) -> None:
        self.seen.append((step.real_logits.detach(), step.fake_logits.detach()))


def expected_balance(pairs: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Score means, spreads and accuracies, with sigmoids as probabilities."""
    real, fake = (torch.cat(logits).double().numpy() for logits in zip(*pairs, strict=True))
    d_real, d_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    named = {"score_real": real, "score_fake": fake, "d_real": d_real, "d_fake": d_fake}
    values = {f"gan/{name}": float(x.mean()) for name, x in named.items()}
    values |= {f"gan/{name}_std": float(x.std()) for name, x in named.items()}
    return values | {"gan/acc_real": (real > 0).mean(), "gan/acc_fake": (fake < 0).mean()}


def test_balance_reports_the_updates_since_the_last_report() -> None:
    logits = Logits()
    gan = fit(points_gan(regularizers=[logits, R1(0.1)]), 7, callbacks=[Balance(every=3)])
    report = latest(gan.trainer, "training")
    expected = expected_balance(logits.seen[3:6])
    signs = torch.cat([real.sign() for real, _ in logits.seen[3:6]])
    expected["gan/r_t"] = float(signs.mean())
    assert {k: v for k, v in report.items() if k.startswith("gan/")} == pytest.approx(
        expected, rel=1e-5
    )
    assert report["progress/images"] == 48
    real, fake = (torch.stack(side) for side in zip(*logits.seen[3:6], strict=True))
    loss = torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean()
    assert report["loss/discriminator"] == pytest.approx(float(loss), rel=1e-5)
    assert {"loss/generator", "penalty/R1", "learning_rate/generator"} <= report.keys()


def test_balance_reports_the_norms_of_both_gradients() -> None:
    gan = fit(points_gan(), 2, callbacks=[Balance(every=2)])
    report = latest(gan.trainer, "training")
    for player in PLAYERS:
        gradients = [p.grad for p in getattr(gan, player).parameters()]
        norm = sum(float(g.square().sum()) for g in gradients if g is not None) ** 0.5
        assert report[f"gradient_norm/{player}"] == pytest.approx(norm, rel=1e-5)


def test_gradients_are_measured_before_they_are_clipped() -> None:
    norms = []
    for clip in (None, 1e-3):
        gan = fit(points_gan(gradient_clip=clip), 1, callbacks=[Balance(every=1)])
        report = latest(gan.trainer, "training")
        norms.append([report[f"gradient_norm/{player}"] for player in PLAYERS])
        gradients = [p.grad for p in gan.discriminator.parameters() if p.grad is not None]
        left = float(torch.stack([g.norm() for g in gradients]).norm())
        assert left == pytest.approx(clip or norms[0][0], rel=1e-3)
    assert norms[0][0] == norms[1][0]  # the generator's follows a clipped discriminator's step
    assert norms[1][1] > 1e-3


@pytest.mark.parametrize("clip", [None, 1.0])
def test_the_last_norm_of_a_player_that_rests_is_known_where_gradients_are_clipped(
    clip: float | None,
) -> None:
    gan = points_gan(gradient_clip=clip, alternation=Phases(1, 1))
    trainer = quiet_trainer(max_epochs=2, limit_train_batches=5, callbacks=[Balance(every=10)])
    trainer.fit(gan, Points(8))
    report = latest(trainer, "training")
    assert "gradient_norm/generator" in report
    assert ("gradient_norm/discriminator" in report) == (clip is not None)


def test_scores_without_a_probability_are_reported_raw() -> None:
    gan = points_gan(Wasserstein(), [GradientPenalty()], alternation=PerBatch(5))
    fit(gan, 5, callbacks=[Balance(every=5)])
    report = measurements(gan.trainer).training
    assert report is not None
    assert report.balance is not None
    assert report.balance.real_probability is None
    assert "gan/score_real" in report.logged()
    assert "gan/d_real" not in report.logged()
    assert live_numbers(report.balance).keys() == {"score(x)", "score(G(z))"}


def test_a_phase_of_the_generator_alone_is_reported_without_scores() -> None:
    gan = points_gan(alternation=Phases(1, 1))
    trainer = quiet_trainer(max_epochs=2, limit_train_batches=5, callbacks=[Balance(every=5)])
    trainer.fit(gan, Points(8))
    report = latest(trainer, "training")
    assert "loss/generator" in report
    assert "gan/score_real" not in report


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_held_out_balance_equals_a_recomputation(stage: str) -> None:
    gan, balance, data = points_gan(), Balance(), Points(8)
    trainer = quiet_trainer(limit_val_batches=1.0, callbacks=[balance])
    (logged,) = getattr(trainer, stage)(gan, data, verbose=False)
    gan.eval()
    pairs = []
    loader = data.val_dataloader() if stage == "validate" else data.test_dataloader()
    for index, (real, labels) in enumerate(loader):
        rows = Shard(len(real), 0, len(real))
        z = Seeds(0).stream("held-out", index, rows, real).normal(2)
        with torch.no_grad():
            fake = gan.generator(z, labels)
            pairs.append((gan.discriminator(real, labels), gan.discriminator(fake, labels)))
    expected = expected_balance(pairs)
    prefix = "val" if stage == "validate" else "test"
    expected = {k.replace("gan/", f"{prefix}/"): v for k, v in expected.items()}
    assert {k: v for k, v in logged.items() if k in expected} == pytest.approx(expected, rel=1e-5)
    further = ("n", "auc", "auc_sd", "jsd_lower_bound", "d_gap_train_val")
    assert logged.keys() - expected.keys() == {f"{prefix}/{name}" for name in further}


@pytest.mark.parametrize("make", [points_gan, picture_gan])
def test_sample_grids_are_drawn_at_the_start_and_at_every_validation(
    make: Any, tmp_path: Path
) -> None:
    gan = make()
    data = Points(8) if make is points_gan else Pictures(8)
    trainer = quiet_trainer(
        tmp_path,
        callbacks=[SampleGrid(2, 3)],
        max_epochs=2,
        limit_train_batches=3,
        limit_val_batches=1,
    )
    trainer.fit(gan, data)
    pictures = sorted((tmp_path / "samples").glob("0*.png"))
    assert [path.name for path in pictures] == [f"{n:010d}.png" for n in (0, 24, 48)]
    expected = (
        grid(torch.zeros(6, 1, 8, 8), columns=3) if data.image_size else torch.zeros(1, 512, 512)
    )
    for path in pictures:
        with Image.open(path) as picture:
            assert (picture.height, picture.width) == expected.shape[1:]


def test_a_conditional_grid_shows_one_class_in_each_row(tmp_path: Path) -> None:
    class Shade(MLPGenerator):
        def forward(self, z: Tensor, labels: Tensor) -> Tensor:
            return (labels - 1.0).view(-1, 1, 1, 1).expand(-1, 1, 8, 8) + 0 * z.sum()

    gan = points_gan(
        generator=Shade(1, 8, num_classes=3, width=4),
        discriminator=MLPDiscriminator(1, 8, num_classes=3, width=4),
    )
    picture = SampleGrid(rows=3, columns=2).draw(quiet_trainer(tmp_path), gan)
    rows = [int(picture[0, picture.shape[1] * (2 * row + 1) // 6, 10]) for row in range(3)]
    assert rows == [0, 128, 255]


@pytest.mark.parametrize("make", [points_gan, picture_gan])
def test_callbacks_leave_the_training_as_it_is_to_the_bit(make: Any, tmp_path: Path) -> None:
    watching: list[Callback] = [
        Balance(every=3),
        StopOnDivergence(every=2),
        Evaluation(num_samples=50),
        SampleGrid(2, 2),
        LastCheckpoint(every_minutes=1e-9),
        ImagesBar(),
    ]
    ends = []
    for callbacks in (watching, []):
        gan: GAN = make(regularizers=[R1(0.1)])
        arguments: dict[str, Any] = {"limit_val_batches": 2} if callbacks else {}
        trainer = quiet_trainer(
            tmp_path,
            callbacks=callbacks,
            max_epochs=3,
            limit_train_batches=5,
            enable_progress_bar=bool(callbacks),
            **arguments,
        )
        trainer.fit(gan, Points(8) if make is points_gan else Pictures(8))
        ends.append(weights(gan))
    assert distance(*ends) == 0


@pytest.mark.parametrize("kind", [Balance, StopOnDivergence, LastCheckpoint, ImagesBar])
def test_callbacks_refuse_a_model_that_is_no_gan(kind: type[Callback]) -> None:
    message = f"{kind.__name__} reads a lightning_gan.GAN, but the model is a BoringModel: remove"
    trainer = quiet_trainer(callbacks=[kind()], enable_progress_bar=True, max_epochs=1)
    with pytest.raises(ConfigurationError, match=message):
        trainer.fit(BoringModel())


@pytest.mark.parametrize(("make", "complaint"), [(lambda: SampleGrid(rows=0), "rows")])
def test_sizes_that_are_none_are_refused(make: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        make()


def test_reports_are_plain_numbers() -> None:
    gan = fit(points_gan(NonSaturating()), 2, callbacks=[Balance(every=2)])
    report = latest(gan.trainer, "training")
    assert json.loads(json.dumps(report)) == report
