"""One pass of generation feeds all measures, and training does not notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from tiny import Pictures, Points, fit, picture_gan, points_gan, quiet_trainer
from torch import Tensor

from lightning_gan.basics.randomness import layer_normal
from lightning_gan.callbacks import Evaluation
from lightning_gan.callbacks.evaluation import distance_key
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.report import Report
from lightning_gan.evaluation.sampling import CHUNK, Sampling
from lightning_gan.gan import GAN
from lightning_gan.metrics import chunk_generator
from lightning_gan.networks import MLPGenerator

TRAINING = {"fid", "precision", "recall", "density", "coverage", "nn1", "modes", "eval"}
TESTING = TRAINING | {"kid", "vendi", "auth", "ct", "dup"}


class Noisy(MLPGenerator):
    """A generator with noise inside, as StyleGAN's has."""

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        points: Tensor = super().forward(z, labels)
        return points + 0.1 * layer_normal(points, 2)


def moments(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points.mean(0), np.cov(points.T)


def validated(callback: Evaluation, gan: GAN | None = None, stage: str = "validate") -> Any:
    """What is logged of a validation or test on points."""
    trainer = quiet_trainer(limit_val_batches=1.0, callbacks=[callback])
    (logged,) = getattr(trainer, stage)(gan or points_gan(), Points(8), verbose=False)
    return logged


def test_the_frechet_distance_is_that_of_the_averaged_generators_samples() -> None:
    gan = fit(points_gan(), 20)
    evaluation = Evaluation(num_samples=600)
    logged = validated(evaluation, gan)
    z = torch.cat(
        [
            torch.randn(count, 2, generator=chunk_generator(0, chunk))
            for chunk, count in enumerate((250, 250, 100))
        ]
    )
    with torch.no_grad():
        mean_a, cov_a = moments(gan(z).double().numpy())
    mean_b, cov_b = moments(Points().split("train").images.double().numpy())
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real).sum()
    expected = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b) - 2 * roots
    assert evaluation.latest["fid/identity"] == pytest.approx(expected, rel=1e-5)
    assert logged["fid/identity"] == pytest.approx(evaluation.latest["fid/identity"], rel=1e-6)


@pytest.mark.parametrize(("stage", "kinds"), [("validate", TRAINING), ("test", TESTING)])
def test_training_measures_what_is_fast_and_a_test_everything(stage: str, kinds: set[str]) -> None:
    evaluation = Evaluation(num_samples=60)
    logged = validated(evaluation, stage=stage)
    assert {key.partition("/")[0] for key in evaluation.latest} == kinds
    assert evaluation.latest.keys() <= logged.keys()
    assert evaluation.latest["eval/n"] == 60
    robust = evaluation.latest["modes/points/covered_robust"]
    assert evaluation.total - len(evaluation.missing) == robust


def test_only_what_is_asked_for_is_measured() -> None:
    evaluation = Evaluation(["vendi"], num_samples=60)
    validated(evaluation)
    kinds = {key for key in evaluation.latest if not key.startswith("eval/")}
    assert kinds == {"vendi/identity", "vendi/identity_real"}


def test_a_floor_of_the_modes_is_not_taken_for_that_of_the_distance() -> None:
    values = {"modes/x/kl": 1.0, "modes/x/kl_floor": 0.1, "fid/a_b": 2.0, "fid/a_b_floor": 0.2}
    assert distance_key(values) == "fid/a_b"
    assert distance_key({"modes/x/kl": 1.0, "modes/x/kl_floor": 0.1}) == ""


def test_the_generator_that_moves_is_measured_where_that_is_asked_for() -> None:
    gan = fit(points_gan(ema_half_life=1000, ema_rampup=1e9), 30)
    averaged, raw = Evaluation(num_samples=90), Evaluation(num_samples=90, averaged=False)
    for evaluation in (averaged, raw):
        validated(evaluation, gan)
    assert averaged.latest["fid/identity"] != raw.latest["fid/identity"]
    gan.generator_ema.load_state_dict(gan.generator.state_dict())
    validated(averaged, gan)
    same = {key: value for key, value in raw.latest.items() if key != "eval/seconds"}
    assert averaged.latest | same == averaged.latest


def test_noise_inside_the_generator_is_the_same_in_every_evaluation_and_costs_no_randomness() -> (
    None
):
    gan = points_gan(generator=Noisy(2, 0, width=4, depth=1))
    before, values = torch.get_rng_state(), []
    for _ in range(2):
        evaluation = Evaluation(["frechet"], num_samples=300)
        validated(evaluation, gan)
        values.append(evaluation.latest["fid/identity"])
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
            list(Sampling(3).chunks(gan))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == [("highest", False)]


@pytest.mark.parametrize("make", [points_gan, picture_gan])
def test_samples_depend_on_the_seed_and_their_number_alone(make: Any) -> None:
    gan = make()
    sampling = Sampling(2 * CHUNK + 7)
    alone = dict(sampling.chunks(gan))
    for world in (2, 4):
        shared = {k: x for rank in range(world) for k, x in sampling.chunks(gan, rank, world)}
        assert shared.keys() == alone.keys()
        assert all(torch.equal(shared[number], alone[number]) for number in alone)
    everything = torch.cat([alone[number] for number in sorted(alone)])
    assert len(everything) == sampling.count
    chosen = torch.tensor([0, CHUNK, 2 * CHUNK + 6])
    assert torch.allclose(sampling.rows(gan, chosen), everything[chosen], atol=1e-6)
    other = next(iter(Sampling(10, seed=1).chunks(gan)))[1]
    assert not torch.equal(other, everything[:10])


def test_noise_inside_layers_is_that_of_the_sample_when_it_is_generated_again() -> None:
    gan = points_gan(generator=Noisy(2, 0, width=4, depth=1))
    sampling = Sampling(20)
    (_, samples), *_ = sampling.chunks(gan)
    assert torch.allclose(sampling.rows(gan, torch.tensor([3, 17])), samples[[3, 17]], atol=1e-6)


def test_generating_returns_every_layer_to_its_mode() -> None:
    gan = points_gan()
    gan.generator_ema.train()
    first = next(module for module in gan.generator_ema.modules() if module is not gan)
    list(Sampling(4).chunks(gan))
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


def test_every_value_can_choose_a_checkpoint(tmp_path: Path) -> None:
    evaluation = Evaluation(
        ["frechet", "kernel", "neighbours", "vendi", "memorisation", "duplicates", "modes"],
        num_samples=40,
    )
    validated(evaluation)
    keeping = [
        ModelCheckpoint(tmp_path, filename=f"{number}", monitor=key, auto_insert_metric_name=False)
        for number, key in enumerate(evaluation.latest)
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

    evaluation = Evaluation(num_samples=40)
    trainer = quiet_trainer(
        tmp_path,
        logger=CSVCurve(tmp_path),
        log_every_n_steps=1,
        callbacks=[evaluation],
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
    assert Report.read(path).values["fid/identity"] == evaluation.latest["fid/identity"]


def test_the_best_evaluation_is_kept_in_checkpoints() -> None:
    evaluation = Evaluation(["frechet"], num_samples=40)
    gan = points_gan()
    validated(evaluation, gan)
    best = dict(evaluation.best)
    assert best["fid/identity"] == evaluation.latest["fid/identity"]
    assert best["progress/images"] == 0
    with torch.no_grad():
        for weight in gan.generator_ema.parameters():
            weight.mul_(100)
    validated(evaluation, gan)
    assert evaluation.latest["fid/identity"] > best["fid/identity"]
    assert evaluation.best == best
    restored = Evaluation(["frechet"])
    restored.load_state_dict(evaluation.state_dict())
    assert restored.best == best


def test_a_test_shows_the_closest_pairs_and_the_nearest_training_images() -> None:
    evaluation = Evaluation(num_samples=30)
    trainer = quiet_trainer(limit_val_batches=1.0, callbacks=[evaluation])
    trainer.test(picture_gan(), Pictures(8), verbose=False)
    assert evaluation.pictures.keys() == {"closest_pairs", "nearest_training"}
    for picture in evaluation.pictures.values():
        # 20 pairs, four in a row, of pictures enlarged to 64 pixels
        assert picture.shape == (3, 5 * 66 + 2, 8 * 66 + 2)
