"""On a GPU: recipes train and resume bit for bit, and the numbers are those of the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from resuming import BATCH
from resuming_recipes import (
    _no_files,  # noqa: F401 (a fixture)
    assert_resumes,
    representatives,
    shrunken,
)
from tiny import distance, fit, latest, picture_gan, points_gan, quiet_trainer, weights
from torch import Tensor

from lightning_gan.augment import SignController
from lightning_gan.basics.randomness import RandomStream, Seeds, Shard
from lightning_gan.callbacks import Evaluation
from lightning_gan.cli import program
from lightning_gan.datamodules import Digits
from lightning_gan.gan import GAN
from lightning_gan.metrics import get_extractor
from lightning_gan.networks import DCGANDiscriminator, DCGANGenerator, MLPGenerator
from lightning_gan.objectives import NonSaturating, RelativisticPairing, Wasserstein
from lightning_gan.regularizers import R1, R2, GradientPenalty
from lightning_gan.training.schedule import Progress

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
GPU: dict[str, Any] = {"accelerator": "gpu"}
WITHOUT_ORDER = {
    "fastgan_digits": "adaptive average pooling",
    "r3gan_cifar10": "bilinear sampling in the augmentation",
}
"""Recipes whose gradients PyTorch adds up on a GPU in an order of chance, and where."""


def relativistic() -> GAN:
    return picture_gan(RelativisticPairing(), [R1(0.1), R2(0.1)])


def penalised() -> GAN:
    return picture_gan(Wasserstein(), [GradientPenalty()], accumulate=2)


def normed() -> GAN:
    torch.manual_seed(3)
    return points_gan(generator=MLPGenerator(2, 0, width=8, batch_norm=True))


@pytest.mark.usefixtures("_no_files")
@pytest.mark.parametrize("name", representatives())
def test_a_recipe_resumes_bit_for_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in WITHOUT_ORDER:
        pytest.skip(f"{WITHOUT_ORDER[name]} is not deterministic on a GPU")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        assert_resumes(name, "gpu", "--trainer.deterministic", "true")
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_no_files")
@pytest.mark.parametrize("name", representatives())
def test_no_update_of_a_recipe_waits_for_the_gpu(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    count, move = Progress.count_batch, SignController._move

    def counted(progress: Progress, images: int) -> None:
        count(progress, images)
        looks = 8 <= progress.batches < 28
        looked.extend([progress.batches] * looks)
        torch.cuda.set_sync_debug_mode("error" if looks else "default")

    def moved(controller: SignController, counts: dict[str, int]) -> None:
        mode = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("default")  # p is a number of the host: one wait a move
        move(controller, counts)
        torch.cuda.set_sync_debug_mode(mode)

    monkeypatch.setattr(Progress, "count_batch", counted)
    monkeypatch.setattr(SignController, "_move", moved)
    options = ["--trainer.accelerator", "gpu", "--trainer.log_every_n_steps", "1000"]
    options += ["--trainer.limit_val_batches", "0", "--data.batch_size", str(BATCH)]
    options += ["--trainer.limit_train_batches", "30", "--model.max_images", str(30 * BATCH)]
    try:
        assert program.run(["fit", "--config", name, *shrunken(name), *options]) == 0
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(looked) == 20


class _FromTheCPU(RandomStream):
    """Draws on the CPU, handed over to the GPU."""

    def _rows(self, whole: Tensor) -> Tensor:
        return super()._rows(whole).cuda()


@pytest.mark.parametrize("make", [relativistic, penalised, normed])
def test_a_training_computes_what_the_cpu_does(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu = weights(fit(make(), 5, precision="64-true"))

    def random(noise: Seeds, stream: str, update: int, rows: Shard, like: Tensor) -> RandomStream:
        drawn = usual(noise, stream, update, rows, like.cpu())
        return _FromTheCPU(drawn._generator, rows, like.dtype)

    usual = Seeds.stream
    monkeypatch.setattr(Seeds, "stream", random)
    on_gpu = weights(fit(make(), 5, precision="64-true", **GPU))
    assert distance(on_cpu, {name: value.cpu() for name, value in on_gpu.items()}) < 1e-9


@pytest.mark.parametrize(
    ("make", "precision"),
    [(relativistic, "bf16-mixed"), (penalised, "bf16-mixed"), (points_gan, "16-mixed")],
)
def test_half_precision_trains(make: Any, precision: Any) -> None:
    start = weights(make())
    gan = fit(make(), 5, precision=precision, **GPU)
    end = {name: value.cpu() for name, value in weights(gan).items()}
    assert all(torch.isfinite(value).all() for value in end.values())
    assert distance(start, end) > 1e-5


@pytest.mark.parametrize("name", ["digits_cnn", "cifar10_cnn"])
def test_features_are_those_of_the_cpu(name: str) -> None:
    extractor = get_extractor(name)
    images = torch.rand(64, 3, 32, 32) * 2 - 1
    torch.set_float32_matmul_precision("medium")
    try:
        found = extractor(images.cuda()).cpu()
    finally:
        torch.set_float32_matmul_precision("highest")
    assert (found - extractor(images)).abs().max() < 1e-4


def test_an_evaluation_says_what_it_says_on_the_cpu_and_leaves_the_training_as_it_was(
    tmp_path: Path,
) -> None:
    def trained(*callbacks: Any) -> GAN:
        torch.manual_seed(3)
        gan = GAN(
            DCGANGenerator(1, 28, width=8),
            DCGANDiscriminator(1, 28, width=8),
            NonSaturating(),
            max_images=640,
        )
        some = {"val_check_interval": 5, "limit_val_batches": 1, "deterministic": True}
        data = Digits(batch_size=32)
        quiet_trainer(tmp_path, callbacks=list(callbacks), **some, **GPU).fit(gan, data)
        return gan

    try:
        gan = trained(Evaluation(num_samples=500))
        assert distance(weights(gan), weights(trained())) == 0.0
    finally:
        torch.use_deterministic_algorithms(False)
    found = {}
    for accelerator in ("cpu", "gpu"):
        callbacks = [Evaluation(num_samples=2000)]
        trainer = quiet_trainer(
            tmp_path, accelerator=accelerator, limit_test_batches=1, callbacks=callbacks
        )
        trainer.test(gan, Digits(batch_size=32), verbose=False)
        found[accelerator] = latest(trainer, "samples")
    assert found["cpu"].keys() == found["gpu"].keys()
    for key, value in found["cpu"].items():
        if not key.startswith("eval/"):
            assert found["gpu"][key] == pytest.approx(value, rel=5e-3, abs=5e-3), key
