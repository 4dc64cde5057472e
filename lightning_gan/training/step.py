"""What one update of a player sees, and what it shows."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from lightning_gan.basics.precision import outside_autocast
from lightning_gan.basics.randomness import RandomStream, replayed
from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks.base import Discriminate, Discriminator, DiscriminatorOutput, Generator
from lightning_gan.training.schedule import PlayerName, ValueOf

Kind = Literal["real", "fake"]


@dataclass(frozen=True)
class Step:
    """What one update of a player sees: real and generated samples, and what judges them.

    Losses and penalties are functions of a step and of nothing else: numbers that move with the
    images seen come from ``value_of``, and random numbers from ``random``.

    Args:
        player: Whose update it is.
        real: What passes as real: samples (N, C, H, W) in [-1, 1], or points (N, D).
        fake: As many generated samples; pair i carries the label of real i.
        labels: Class indices (N,).
        z: Latents (N, latent_dim) of the generated samples.
        drawn_z: The latents before any regularizer moved them.
        random: Random numbers for whatever a loss or penalty needs to draw; its shard says where
            these samples lie in the global batch.
        noise: What the layers of the generator have drawn for the generated samples, if anything.
        value_of: What a number is at this update, or a curve that moves with the images seen.
        generator: The generator, for what looks into it.
        discriminator: The discriminator, likewise.
        discriminate: The discriminator behind the augmentation.
        discriminator_optimizer: For what foresees its steps.
        is_last: Whether no other piece of the same update follows.
        all_processes: Whether what looks across the batch sees the batches of all processes.
        real_output: What the discriminator made of the reals; None where nothing reads it.
        fake_output: What it made of the generated samples, likewise.
    """

    # What differs from update to update; a compiled or captured loss would be given the tensors.
    player: PlayerName
    real: Tensor
    fake: Tensor
    labels: Tensor
    z: Tensor
    drawn_z: Tensor
    random: RandomStream
    # What made and judges them.
    generator: Generator
    discriminator: Discriminator
    discriminate: Discriminate
    value_of: ValueOf
    discriminator_optimizer: Optimizer | None = None
    is_last: bool = True
    all_processes: bool = True
    noise: list[Tensor] = field(default_factory=list)
    # Filled in by judged(), in the order that objective and penalties declare.
    real_output: DiscriminatorOutput | None = None
    fake_output: DiscriminatorOutput | None = None

    def judged(self, *kinds: Kind) -> "Step":
        """The same step with the discriminator's output for these kinds, where it is missing.

        The order counts: augmentation draws random numbers at every pass, and spectral
        normalisation moves its vectors.
        """
        # Explicit instead of on first access, so that a loss is a function without side effects.
        real, fake = self.real_output, self.fake_output
        for kind in kinds:
            if kind == "real" and real is None:
                real = self.discriminate(self.real, self.labels)
            elif kind == "fake" and fake is None:
                fake = self.discriminate(self.fake, self.labels)
        if real is self.real_output and fake is self.fake_output:
            return self
        return replace(self, real_output=real, fake_output=fake)

    @property
    def real_logits(self) -> Tensor:
        """Logits of the reals (N,), in float32 or wider."""
        return self._present(self.real_output, "real").logits

    @property
    def fake_logits(self) -> Tensor:
        """Logits of the generated samples (N,), in float32 or wider."""
        return self._present(self.fake_output, "fake").logits

    @property
    def real_features(self) -> Tensor:
        """Features of the reals (N, F) that their logits were made from."""
        return self._features(self._present(self.real_output, "real"))

    @property
    def fake_features(self) -> Tensor:
        """Features of the generated samples (N, F) that their logits were made from."""
        return self._features(self._present(self.fake_output, "fake"))

    def _present(self, output: DiscriminatorOutput | None, kind: Kind) -> DiscriminatorOutput:
        if output is None:
            raise ConfigurationError(
                f"A part reads the logits of {kind} samples in the {self.player}'s update without "
                f"saying so: name {kind!r} in its {self.player}_reads."
            )
        return output

    def _features(self, output: DiscriminatorOutput) -> Tensor:
        if output.features is None:
            raise ConfigurationError(
                f"A part reads features, which {type(self.discriminator).__name__} does not give, "
                "since it defines forward: define features and logits_from instead."
            )
        return output.features

    def features(self, samples: Tensor) -> Tensor:
        """Features (N, F) of any samples that carry the labels of this step."""
        return self._features(self.discriminate(samples, self.labels))

    def logits(self, samples: Tensor) -> Tensor:
        """Logits (N,) of any samples that carry the labels of this step."""
        return self.discriminate(samples, self.labels).logits

    def precise_logits(self, samples: Tensor) -> Tensor:
        """Logits (N,) computed outside autocast, as penalties on gradients need them."""
        # A gradient through bfloat16 logits has lost what the penalty is about.
        with outside_autocast(samples.device):
            return self.logits(samples)

    def generate(self, z: Tensor) -> Tensor:
        """Samples of other latents (N, latent_dim) with the labels and the noise of this step."""
        random = replayed(self.random, self.noise)
        # In the discriminator's update the generator is a constant.
        with nullcontext() if self.player == "generator" else torch.no_grad():
            return self.generator.generate(z, self.labels, random).to(self.real.dtype)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows (W * N, ...) of all W processes, with gradients; the own ones in evaluation."""
        # There processes may have different numbers of samples, or none, and must not wait.
        return processes.gather(rows) if self.all_processes else rows

    def own_rows(self, rows: Tensor) -> Tensor:
        """The rows (N, ...) of this process among gathered ones."""
        return processes.own_rows(rows) if self.all_processes else rows

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over processes, with gradients; the own one in evaluation."""
        return processes.mean(value) if self.all_processes else value


@dataclass(frozen=True)
class StepOutput:
    """What an update shows to callbacks, detached.

    Args:
        player: Whose update it was.
        loss: The bare loss, without penalties.
        real_logits: Logits (N,) of the reals; None where it was the generator's update.
        fake_logits: Logits (N,) of the generated samples.
        terms: The bare terms that joined the loss, by the names of their classes.
    """

    player: PlayerName
    loss: Tensor
    real_logits: Tensor | None
    fake_logits: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
