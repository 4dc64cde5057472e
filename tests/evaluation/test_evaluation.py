"""One pass of generation feeds all measures, and training does not notice."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from tiny import Few, Pictures, Points, fit, latest, picture_gan, points_gan, quiet_trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import lightning_gan
from lightning_gan.basics.randomness import RandomStream, block_generator, layer_normal
from lightning_gan.callbacks import Evaluation, SampleGrid
from lightning_gan.callbacks.measurements import TimeSpent, measurements
from lightning_gan.callbacks.summary import lasting, summary
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.panel import Measured
from lightning_gan.evaluation.sampling import MeasuredSamples
from lightning_gan.evaluation.stamped_values import StampedValues
from lightning_gan.gan import GAN
from lightning_gan.networks import MLPGenerator
from lightning_gan.runs.record import RunRecord
from lightning_gan.training.sampling import BLOCK, Sampling

TRAINING = {"fid", "precision", "recall", "density", "coverage", "nn1", "modes", "eval"}
TESTING = TRAINING | {"kid", "vendi", "auth", "ct", "dup"}


class Noisy(MLPGenerator):
    """A generator with noise inside, as StyleGAN's has."""

    draws_noise = True

    def forward(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
        points: Tensor = super().forward(z, labels)
        return points + 0.1 * layer_normal(points, random, 2)


def moments(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points.mean(0), np.cov(points.T)


def validated(
    callback: Evaluation, gan: GAN | None = None, stage: str = "validate"
) -> tuple[Measured, dict[str, float]]:
    """What is measured, and what is logged, of a validation or test on points."""
    trainer = quiet_trainer(limit_val_batches=1.0, callbacks=[callback])
    (logged,) = getattr(trainer, stage)(gan or points_gan(), Points(8), verbose=False)
    measured = measurements(trainer).samples
    assert measured is not None
    return measured, logged


def distance_of(callback: Evaluation, gan: GAN | None = None) -> float:
    found = validated(callback, gan)[0].frechet
    assert found is not None
    return found.value


def test_the_frechet_distance_is_that_of_the_averaged_generators_samples() -> None:
    gan = fit(points_gan(), 20)
    measured, logged = validated(Evaluation(num_samples=600), gan)
    draws = [torch.randn(250, 2, generator=block_generator(0, block)) for block in range(3)]
    z = torch.cat(draws)[:600]
    with torch.no_grad():
        mean_a, cov_a = moments(gan(z).double().numpy())
    mean_b, cov_b = moments(Points().split("train").images.double().numpy())
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real).sum()
    expected = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b) - 2 * roots
    assert measured.frechet is not None
    assert measured.frechet.value == pytest.approx(expected, rel=1e-5)
    assert logged["fid/identity"] == pytest.approx(measured.frechet.value, rel=1e-6)


@pytest.mark.parametrize(("stage", "kinds"), [("validate", TRAINING), ("test", TESTING)])
def test_training_measures_what_is_fast_and_a_test_everything(stage: str, kinds: set[str]) -> None:
    measured, logged = validated(Evaluation(num_samples=60), stage=stage)
    assert {key.partition("/")[0] for key in measured.logged()} == kinds
    assert measured.logged().keys() <= logged.keys()
    assert measured.n == measured.logged()["eval/n"] == 60
    assert measured.modes is not None
    assert measured.modes.total - len(measured.modes.missing) == measured.modes.strictly_covered


def test_only_what_is_asked_for_is_measured() -> None:
    measured, _ = validated(Evaluation(["vendi"], num_samples=60))
    kinds = {key for key in measured.logged() if not key.startswith("eval/")}
    assert kinds == {"vendi/identity", "vendi/identity_real"}
    assert (measured.frechet, measured.modes) == (None, None)


def test_the_generator_that_moves_is_measured_where_that_is_asked_for() -> None:
    gan = fit(points_gan(ema_half_life=1000, ema_rampup=1e9), 30)
    averaged, raw = Evaluation(num_samples=90), Evaluation(num_samples=90, averaged=False)
    before, expected = (validated(evaluation, gan)[0] for evaluation in (averaged, raw))
    assert before.frechet != expected.frechet
    gan.generator_ema.load_state_dict(gan.generator.state_dict())
    assert replace(validated(averaged, gan)[0], seconds=None) == replace(expected, seconds=None)


def test_noise_inside_the_generator_is_the_same_in_every_evaluation_and_costs_no_randomness() -> (
    None
):
    gan = points_gan(generator=Noisy(2, 0, width=4, depth=1))
    before = torch.get_rng_state()
    values = [distance_of(Evaluation(["frechet"], num_samples=300), gan) for _ in range(2)]
    assert values[0] == values[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_are_drawn_in_full_precision_whatever_training_uses() -> None:
    seen: list[tuple[str, bool]] = []

    class Noted(MLPGenerator):
        def forward(self, z: Tensor, labels: Tensor) -> Tensor:
            seen.append((torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu")))
            return super().forward(z, labels)

    gan = points_gan(generator=Noted(2, 0, width=4, depth=1))
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            list(MeasuredSamples(3).blocks(gan))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == [("highest", False)]


@pytest.mark.parametrize("make", [points_gan, picture_gan])
def test_samples_depend_on_the_seed_and_their_number_alone(make: Any) -> None:
    gan = make()
    sampling = MeasuredSamples(2 * BLOCK + 7)
    alone = dict(sampling.blocks(gan))
    for world in (2, 4):
        shared = {k: x for rank in range(world) for k, x in sampling.blocks(gan, rank, world)}
        assert shared.keys() == alone.keys()
        assert all(torch.equal(shared[number], alone[number]) for number in alone)
    everything = torch.cat([alone[number] for number in sorted(alone)])
    assert len(everything) == sampling.count
    chosen = torch.tensor([0, BLOCK, 2 * BLOCK + 6])
    assert torch.allclose(sampling.rows(gan, chosen), everything[chosen], atol=1e-6)
    other = next(iter(MeasuredSamples(10, Sampling(seed=1)).blocks(gan)))[1]
    assert not torch.equal(other, everything[:10])


def test_noise_inside_layers_is_that_of_the_sample_when_it_is_generated_again() -> None:
    gan = points_gan(generator=Noisy(2, 0, width=4, depth=1))
    sampling = MeasuredSamples(20)
    (_, samples), *_ = sampling.blocks(gan)
    assert torch.allclose(sampling.rows(gan, torch.tensor([3, 17])), samples[[3, 17]], atol=1e-6)


def test_generating_returns_every_layer_to_its_mode() -> None:
    gan = points_gan()
    gan.generator_ema.train()
    first = next(module for module in gan.generator_ema.modules() if module is not gan)
    list(MeasuredSamples(4).blocks(gan))
    assert first.training


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"num_samples": 1}, "num_samples=1"),
        ({"measures": ["beauty"]}, "must be some of frechet"),
        ({"measures": []}, "must be some of frechet"),
        ({"truncation": 0.0}, "truncation=0.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Evaluation(**arguments)


def test_an_evaluation_needs_a_data_module() -> None:
    loader = Points(8).val_dataloader()
    trainer = quiet_trainer(limit_val_batches=1.0, callbacks=[Evaluation()])
    with pytest.raises(ConfigurationError, match="pass datamodule="):
        trainer.validate(points_gan(), loader)


def test_one_training_sample_is_refused_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"one training sample \(held out: 40\), and samples are"
    ):
        lightning_gan.fit(points_gan(max_images=2), Few(1), tmp_path, enable_progress_bar=False)
    assert not [*tmp_path.iterdir()]
    gan = points_gan(max_images=2)
    lightning_gan.fit(gan, Few(1), tmp_path, enable_progress_bar=False, limit_val_batches=0)
    assert gan.progress.images == 2


def test_every_value_can_choose_a_checkpoint(tmp_path: Path) -> None:
    evaluation = Evaluation(
        ["frechet", "kernel", "neighbours", "vendi", "memorisation", "duplicates", "modes"],
        num_samples=40,
    )
    keeping = [
        ModelCheckpoint(tmp_path, filename=f"{number}", monitor=key, auto_insert_metric_name=False)
        for number, key in enumerate(validated(evaluation)[0].logged())
    ]
    trainer = quiet_trainer(
        tmp_path,
        callbacks=[evaluation, *keeping],
        max_epochs=1,
        limit_train_batches=2,
        limit_val_batches=1,
        enable_checkpointing=True,
    )
    trainer.fit(points_gan(), Points(8))
    for callback in keeping:
        assert callback.best_model_score is not None, callback.monitor


def test_each_evaluation_leaves_a_line_with_its_stamp(tmp_path: Path) -> None:
    from lightning_gan.callbacks.loggers import CSVCurve

    trainer = quiet_trainer(
        tmp_path,
        logger=CSVCurve(tmp_path),
        log_every_n_steps=1,
        callbacks=[Evaluation(num_samples=40)],
        max_epochs=2,
        limit_train_batches=2,
        limit_val_batches=1,
    )
    trainer.fit(points_gan(), Points(8))
    (path,) = tmp_path.rglob("evaluations.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["run"]["images_seen"] for line in lines] == [16, 32]
    stamp = lines[0]["stamp"]
    assert stamp == lines[1]["stamp"]
    assert stamp["extractor"]["name"] == "identity"
    assert len(stamp["extractor"]["sha256"]) == len(stamp["reference"]["sha256"]) == 64
    assert stamp["reference"] | {"sha256": ""} == {
        "data": "points",
        "split": "train",
        "count": 200,
        "sha256": "",
    }
    expected = {"count": 40, "seed": 0, "weights": "averaged", "truncation": None}
    assert stamp["samples"] == stamp["samples"] | expected
    assert {"lightning_gan", "torch", "lightning"} == stamp["versions"].keys()
    assert StampedValues.read(path).values == latest(trainer, "samples")


def test_the_best_evaluation_is_kept_in_checkpoints() -> None:
    evaluation = Evaluation(["frechet"], num_samples=40)
    gan = points_gan()
    value = distance_of(evaluation, gan)
    with torch.no_grad():
        for weight in gan.generator_ema.parameters():
            weight.mul_(100)
    assert distance_of(evaluation, gan) > value
    best = measurements(gan.trainer).best
    assert best is not None
    assert best[:3] == ("identity", value, 0)
    restored = Evaluation(["frechet"], num_samples=40)
    restored.load_state_dict(evaluation.state_dict())
    distance_of(restored, gan)
    assert measurements(gan.trainer).best == best
    fewer = Evaluation(["frechet"], num_samples=39)  # with which others do not compare
    fewer.load_state_dict(evaluation.state_dict())
    worse = distance_of(fewer, gan)
    found = measurements(gan.trainer).best
    assert found is not None
    assert found.value == worse > value


def test_a_test_shows_the_closest_pairs_and_the_nearest_training_images() -> None:
    trainer = quiet_trainer(limit_val_batches=1.0, callbacks=[Evaluation(num_samples=30)])
    trainer.test(picture_gan(), Pictures(8), verbose=False)
    pictures = measurements(trainer).pictures
    assert pictures.keys() == {"closest_pairs", "nearest_training"}
    for picture in pictures.values():
        # 20 pairs, four in a row, of pictures enlarged to 64 pixels
        assert picture.shape == (3, 5 * 66 + 2, 8 * 66 + 2)


def test_the_share_of_evaluations_in_the_time_of_a_run_is_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)

    class Slow(Callback):
        """Makes a batch take ten seconds, and a validation five."""

        def on_train_batch_end(self, *_: object) -> None:
            nonlocal now
            now += 10.0

        def on_validation_epoch_start(self, *_: object) -> None:
            nonlocal now
            now += 5.0

    evaluation, gan = Evaluation(["frechet"], num_samples=50), points_gan()
    trainer = quiet_trainer(
        tmp_path,
        max_steps=-1,
        max_epochs=2,
        limit_train_batches=3,
        callbacks=[Slow(), evaluation],
        limit_val_batches=1.0,
    )
    trainer.fit(gan, Points(8))
    spent = measurements(trainer).time
    assert spent == TimeSpent(whole=2 * (30 + 5), evaluating=2 * 5)
    assert trainer.callback_metrics["eval/share"] == pytest.approx(1 / 7)
    assert "Time        1 min 10 s, 14% of it for evaluations" in summary(trainer, gan)
    now += 1000.0  # between a fit and a further validation no time is spent
    trainer.validate(gan, Points(8), verbose=False)
    assert measurements(trainer).time == TimeSpent(whole=75.0, evaluating=15.0)
    trainer.test(gan, Points(8), verbose=False)
    assert measurements(trainer).time == TimeSpent(whole=75.0, evaluating=15.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.6, "5 s"), (125, "2 min 5 s"), (3599.7, "1 h 0 min"), (9000, "2 h 30 min")],
)
def test_a_time_is_told_in_words(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_what_is_used_again_measures_against_the_data_of_now(tmp_path: Path) -> None:
    shared = Evaluation(num_samples=300)
    for number, data in enumerate((Points(8), Few(150))):
        alone = Evaluation(num_samples=300)
        found = []
        for place, callback in (("shared", shared), ("alone", alone)):
            folder = tmp_path / f"{place}{number}"
            gan = points_gan(max_images=32)
            options: dict[str, Any] = {"enable_progress_bar": False, "accelerator": "cpu"}
            lightning_gan.fit(gan, data, folder, callbacks=[callback], **options)
            record = RunRecord.read(folder / "version_0")
            found.append((record.values["fid/identity"], record.best))
        assert found[0] == found[1]
    trainer = quiet_trainer(limit_val_batches=1, callbacks=[Evaluation(num_samples=300)])
    values = []
    for data in (Points(8), Few(150), Points(8)):
        trainer.validate(points_gan(), datamodule=data, verbose=False)
        values.append(latest(trainer, "samples")["fid/identity"])
    one, other, again = values
    assert one == again != other


def test_loaders_are_those_of_now_and_a_sanity_check_measures_nothing() -> None:
    def loader(shift: float) -> DataLoader[Any]:
        random = torch.Generator().manual_seed(0)
        return DataLoader(TensorDataset(torch.randn(64, 2, generator=random) + shift), 8)

    options: dict[str, Any] = {"max_epochs": 1, "limit_val_batches": 1, "num_sanity_val_steps": 2}
    trainer = quiet_trainer(**options, callbacks=[Evaluation(num_samples=300)])
    trainer.fit(points_gan(), loader(0), [loader(0)])
    near = latest(trainer, "samples")["fid/identity"]
    trainer.fit_loop.max_epochs = 2
    trainer.fit(points_gan(), loader(100), loader(100))
    assert latest(trainer, "samples")["fid/identity"] > 100 * near


def test_counts_may_be_whole_floats_and_are_refused_at_once_otherwise() -> None:
    assert type(Evaluation(num_samples=1e3).num_samples) is int  # type: ignore[arg-type]
    assert type(SampleGrid(2.0, 3.0).rows) is int  # type: ignore[arg-type]
    assert points_gan().sample(4.0).shape == (4, 2)  # type: ignore[arg-type]
    for make in (
        lambda: Evaluation(num_samples=100.5),
        lambda: SampleGrid(1.5),
        lambda: points_gan().sample(1.5),
    ):
        with pytest.raises(ConfigurationError, match="must be a whole number"):
            make()
