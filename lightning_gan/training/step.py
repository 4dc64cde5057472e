"""What one update of a player looks at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks.base import scores_of
from lightning_gan.training.progress import Player
from lightning_gan.training.randomness import Draws

Score = Callable[[Tensor, Tensor], Tensor | tuple[Tensor, Tensor]]
"""Samples and labels (N,) to logits (N,), or to logits and the features (N, F) behind them."""


@dataclass(frozen=True)
class ScoredBatch:
    """Real and generated samples with the discriminator's opinion of them.

    Logits and features are computed when they are first read, so that a relativistic generator loss
    pays for the logits of reals and no other does.

    Args:
        score: The discriminator behind the augmentation.
        real: Real samples (N, C, H, W) in [-1, 1], or points (N, D).
        fake: As many generated samples; pair i carries the label of real i.
        labels: Class indices (N,).
        draws: Random numbers for whatever a penalty needs to draw.
        images_seen: Images seen before this update.
        z: Latents (N, latent_dim) of the generated samples.
        drawn_z: The latents before any regularizer moved them.
        player: Who is learning.
        generator: The generator itself, for what looks into it.
        discriminator: The discriminator itself, likewise.
        rule: The discriminator's optimizer, for what foresees its steps.
        is_last: Whether no other piece of the same update follows.
        across: Whether losses that look across the batch see the batches of all processes.
    """

    score: Score
    real: Tensor
    fake: Tensor
    labels: Tensor
    draws: Draws
    images_seen: int = 0
    z: Tensor = field(default_factory=lambda: torch.empty(0))
    drawn_z: Tensor = field(default_factory=lambda: torch.empty(0))
    player: Player = "discriminator"
    generator: Any = None
    discriminator: Any = None
    rule: Any = None
    is_last: bool = True
    across: bool = True

    @cached_property
    def _real_scores(self) -> tuple[Tensor, Tensor | None]:
        return self.scores(self.real)

    @cached_property
    def _fake_scores(self) -> tuple[Tensor, Tensor | None]:
        return self.scores(self.fake)

    @cached_property
    def real_logits(self) -> Tensor:
        """Logits of the reals (N,), in float32 or wider."""
        return self._real_scores[0]

    @cached_property
    def fake_logits(self) -> Tensor:
        """Logits of the generated samples (N,), in float32 or wider."""
        return self._fake_scores[0]

    @cached_property
    def real_features(self) -> Tensor:
        """Features of the reals (N, F) that their logits were made from."""
        return self._present(self._real_scores[1])

    @cached_property
    def fake_features(self) -> Tensor:
        """Features of the generated samples (N, F) that their logits were made from."""
        return self._present(self._fake_scores[1])

    @cached_property
    def all_real_logits(self) -> Tensor:
        """Logits of the reals of all processes, with gradients to each of them."""
        return self.gather(self.real_logits)

    @cached_property
    def all_fake_logits(self) -> Tensor:
        """Logits of the generated samples of all processes, with gradients to each of them."""
        return self.gather(self.fake_logits)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows (W * N, ...) of all W processes, with gradients; the own ones in evaluation."""
        return processes.gather(rows) if self.across else rows

    def own(self, rows: Tensor) -> Tensor:
        """The rows (N, ...) of this process among gathered ones."""
        return processes.own_rows(rows) if self.across else rows

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over processes, with gradients; the own one in evaluation."""
        return processes.mean(value) if self.across else value

    def scores(self, samples: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Logits (N,) and features (N, F) of samples with the labels of this batch, or others."""
        found = self.score(samples, self.labels if labels is None else labels)
        logits, features = found if isinstance(found, tuple) else (found, None)
        return _wide(logits), None if features is None else _wide(features)

    def features(self, samples: Tensor) -> Tensor:
        """Features (N, F) of any samples that carry the labels of this batch."""
        return self._present(self.scores(samples)[1])

    def _present(self, features: Tensor | None) -> Tensor:
        """Features, which a discriminator that scores all by itself does not give."""
        if features is None:
            raise ConfigurationError(
                f"A part reads the features behind the logits, which "
                f"{type(self.discriminator).__name__} does not give, since it defines forward: "
                "define features and judge, or scores."
            )
        return features

    def logits(self, samples: Tensor) -> Tensor:
        """Logits (N,) of any samples that carry the labels of this batch."""
        return self.scores(samples)[0]

    def precise_logits(self, samples: Tensor) -> Tensor:
        """Logits (N,) computed outside autocast, as penalties on gradients need them."""
        with torch.autocast(samples.device.type, enabled=False):
            return self.logits(samples)

    def generate(self, z: Tensor) -> Tensor:
        """Samples of other latents with the labels of this batch; only a learning generator learns.

        Args:
            z: Latents (N, latent_dim).
        """
        with nullcontext() if self.player == "generator" else torch.no_grad():
            samples: Tensor = self.generator(z, self.labels).to(self.real.dtype)
            return samples

    def seen_by(self, weights: dict[str, Tensor]) -> ScoredBatch:
        """The same batch before a discriminator with other weights, by name; buffers rest."""
        buffers = {name: b.detach().clone() for name, b in self.discriminator.named_buffers()}

        def score(samples: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            found = functional_call(
                _Scores(self.discriminator), _prefixed(weights | buffers), (samples, labels)
            )
            scores: tuple[Tensor, Tensor] = found
            return scores

        return replace(self, score=score)


class _Scores(nn.Module):
    """A discriminator whose forward gives features as well."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.inner = discriminator

    def forward(self, samples: Tensor, labels: Tensor) -> Any:  # noqa: ANN401 (a pair)
        return scores_of(self.inner)(samples, labels)


def _prefixed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"inner.{name}": tensor for name, tensor in tensors.items()}


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def scorer(
    discriminator: nn.Module,
    augmentation: Callable[[Tensor, Draws, int], Tensor] | None,
    draws: Draws,
    images_seen: int,
    precise: bool,
) -> Score:
    """The discriminator behind the augmentation, as a :class:`ScoredBatch` wants it.

    Args:
        discriminator: From samples and labels to logits.
        augmentation: What happens to samples before; nothing if None.
        draws: Random numbers for the augmentation.
        images_seen: Images seen before this update.
        precise: Whether to stay outside autocast. A penalty on the gradient by the input wants
            that for all of an update.
    """
    judge = scores_of(discriminator)

    def score(samples: Tensor, labels: Tensor) -> Any:  # noqa: ANN401 (logits, maybe features)
        with torch.autocast(samples.device.type, enabled=False) if precise else nullcontext():
            if augmentation is not None:
                samples = augmentation(samples, draws, images_seen)
            return judge(samples, labels)

    return score
