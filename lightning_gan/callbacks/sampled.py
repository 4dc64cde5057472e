"""A metric of generated samples, computed whenever the Trainer validates or tests."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torchmetrics import Metric

from lightning_gan.callbacks.run import data_of, is_dry, of_gan
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.metrics.chunks import chunk_generator, chunks

CHUNK = 250
"""Samples generated at a time; the same whatever the number of processes."""


class SampledMetric(Callback):
    """Feeds fresh samples of the averaged generator to a metric at every validation and test.

    Latents are a function of the seed and the sample's index, so that the value depends neither on
    the number of processes nor on the training before it; training is not touched.

    Args:
        num_samples: Samples generated for one value, over all processes.
        seed: Seed of the latents.

    Raises:
        ConfigurationError: If there are fewer than 2 samples.
    """

    def __init__(self, num_samples: int = 10_000, seed: int = 0) -> None:
        if num_samples < 2:
            raise ConfigurationError(
                f"{type(self).__name__}: num_samples={num_samples} must be at least 2."
            )
        self.num_samples = num_samples
        self.seed = seed
        self.latest: dict[str, float] = {}
        """The last values, by the names in the logs."""
        self._metric: Metric | None = None

    def make_metric(self, trainer: Trainer, gan: GAN) -> Metric:
        """Builds the metric, once, when it is first needed."""
        raise NotImplementedError

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Computes and logs the metric."""
        if is_dry(trainer):
            return
        gan = of_gan(pl_module)
        if self._metric is None:
            self._metric = self.make_metric(trainer, gan)
        started = time.perf_counter()
        metric = self._metric.to(gan.device)
        metric.reset()
        feed(metric, gan, self.num_samples, self.seed)
        values = metric.compute()
        self.latest = {name: float(value) for name, value in values.items()}
        seconds = time.perf_counter() - started
        logged = self.latest | {f"seconds/{type(self).__name__}": seconds}
        gan.log_dict(logged, sync_dist=True)  # equal everywhere; Lightning warns without it

    on_test_epoch_end = on_validation_epoch_end


@torch.no_grad()
def feed(metric: Metric, gan: GAN, num_samples: int, seed: int) -> None:
    """Generates the samples of this process, chunk by chunk, and updates the metric with them."""
    trainer = gan.trainer
    dtype = next(gan.generator_ema.parameters()).dtype
    for chunk, _, count in chunks(num_samples, CHUNK, trainer.global_rank, trainer.world_size):
        random = chunk_generator(seed, chunk)
        z = torch.randn(count, gan.generator.latent_dim, generator=random)
        labels = torch.randint(max(gan.generator.num_classes, 1), (count,), generator=random)
        metric.update(gan(z.to(gan.device, dtype), labels.to(gan.device)).float())


def reference_data(trainer: Trainer, name: str) -> Any:  # noqa: ANN401 (any fitting data module)
    """The data module that a metric compares with.

    Raises:
        ConfigurationError: If the Trainer was given plain loaders.
    """
    data = data_of(trainer)
    if data is None or not hasattr(data, "split"):
        raise ConfigurationError(
            f"{name} compares with the training split, so it needs a data module with a method "
            "split(name): pass datamodule=..., or use the metric in lightning_gan.metrics itself."
        )
    return data
