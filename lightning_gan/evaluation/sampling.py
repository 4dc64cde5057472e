"""Which samples of a generator are measured: functions of a seed and of their numbers alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.metrics.chunks import chunk_generator, chunks
from lightning_gan.metrics.extractors.base import exact_float32
from lightning_gan.training.randomness import Noise, Rows, latents, shared_with_layers

CHUNK = 250
"""Samples generated at a time; the same whatever the number of processes."""


@dataclass(frozen=True)
class Sampling:
    """Samples 0 to ``count`` of a generator, generated in chunks.

    Latents, classes and the noise inside layers depend on the seed and the sample's number, so
    that k processes measure what one does, and the random numbers of training are not touched.
    Networks in float32 draw them without TF32 and autocast, on any device.

    Args:
        count: Number of samples, over all processes.
        seed: Seed of the latents.
        averaged: Whether the averaged generator makes them, rather than the one that moves.
        truncation: Largest absolute value of a latent's entries; None for no cut.

    Raises:
        ConfigurationError: If there are fewer than 2 samples, or the truncation is not positive.
    """

    count: int
    seed: int = 0
    averaged: bool = True
    truncation: float | None = None

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ConfigurationError(f"num_samples={self.count} must be at least 2.")
        if self.truncation is not None and self.truncation <= 0:
            raise ConfigurationError(f"truncation={self.truncation} must be positive.")

    @torch.no_grad()
    def chunks(self, gan: GAN, rank: int = 0, world: int = 1) -> Iterator[tuple[int, Tensor]]:
        """The chunks of one process, each with its number, float32 on the model's device."""
        for number, _, count in chunks(self.count, CHUNK, rank, world):
            yield number, self._generate(gan, number, slice(0, count))

    @torch.no_grad()
    def rows(self, gan: GAN, numbers: Tensor) -> Tensor:
        """The samples of those numbers (n,), each generated again by itself."""
        made = [
            self._generate(gan, number // CHUNK, slice(number % CHUNK, number % CHUNK + 1))
            for number in numbers.tolist()
        ]
        return torch.cat(made)

    def _generate(self, gan: GAN, chunk: int, chosen: slice) -> Tensor:
        count = min(CHUNK, self.count - chunk * CHUNK)
        random = chunk_generator(self.seed, chunk)
        z = latents(count, gan.generator.latent_dim, random, self.truncation)[chosen]
        labels = torch.randint(max(gan.generator.num_classes, 1), (count,), generator=random)
        network = gan.generator_ema if self.averaged else gan.generator
        dtype = next(network.parameters()).dtype
        z, labels = z.to(gan.device, dtype), labels[chosen].to(gan.device)
        z = z if gan.prior is None else gan.prior(z)
        noise = Noise(self.seed).draws("measured", chunk, Rows(count, 0, count), z)
        own = shared_with_layers(noise.of_some(chosen))
        with evaluating(network), own, exact_float32(gan.device):
            made: Tensor = network(z, labels)
        return made.float()

    def stamp(self) -> dict[str, Any]:
        """What the values of a measurement depend on here."""
        settings = asdict(self)
        settings["weights"] = "averaged" if settings.pop("averaged") else "raw"
        return settings | {"source": "generator", "chunk": CHUNK, "quantisation": "none"}


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, from which every layer returns to its own."""
    before = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
