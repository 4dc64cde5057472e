"""The game itself: what each player looks at, what it pays, and what the parts learn from it.

It knows roles and no names of losses, penalties or networks, and works in a plain PyTorch loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from lightning_gan.networks.base import scores_of
from lightning_gan.networks.layers import batch_statistics
from lightning_gan.regularizers import Regularizer
from lightning_gan.training.composition import Composition
from lightning_gan.training.progress import Player, Update
from lightning_gan.training.randomness import Draws, Noise, Rows, shared_with_layers
from lightning_gan.training.step import Score, ScoredBatch, scorer


@dataclass(frozen=True)
class Turn:
    """One update of a player.

    Args:
        player: Who moves.
        update: Number of its updates before.
        images_seen: Images seen before.
        rank: This process, from 0.
        processes: Number of processes, each with as many samples.
        rule: The discriminator's optimizer, for what foresees its steps.
    """

    player: Player
    update: int
    images_seen: int = 0
    rank: int = 0
    processes: int = 1
    rule: Optimizer | None = None


class Game:
    """The parts of a model at play.

    Args:
        parts: What plays.
        noise: Where random numbers come from.
    """

    def __init__(self, parts: Composition, noise: Noise) -> None:
        self.parts, self.noise = parts, noise

    def latents(self, draws: Draws) -> Tensor:
        """Latents (N, latent_dim) from the prior."""
        z = draws.normal(self.parts.generator.latent_dim)
        return z if self.parts.prior is None else self.parts.prior(z)

    def due(self, turn: Turn) -> list[Regularizer]:
        """The regularizers whose term joins this update."""
        return [part for part in self.parts.regularizers if part.is_due(turn.update)]

    def batches(self, turn: Turn, real: Tensor, labels: Tensor) -> Iterator[ScoredBatch]:
        """The reals with as many fakes, in as many pieces as the parts want."""
        parts, player = self.parts, turn.player
        due = self.due(turn) if player == "discriminator" else []
        by_input = {name for part in due for name in part.differentiates}
        size = -(-len(real) // parts.accumulate)
        for first in range(0, len(real), size):
            reals, classes = real[first : first + size], labels[first : first + size]
            before = len(real) * turn.rank + first
            rows = Rows(len(real) * turn.processes, before, len(reals))
            draws = self.noise.draws(player, turn.update, rows, like=real)
            images, augment = turn.images_seen, parts.augmentation
            score = scorer(parts.discriminator, augment, draws, images, bool(by_input))
            with shared_with_layers(draws):
                drawn, z, fakes = self._fakes(player, score, classes, draws, real.dtype)
            if augment is not None and player == "discriminator":
                reals = augment.reals(reals, fakes.detach(), draws, images)
            if "real" in by_input:
                reals = reals.detach().requires_grad_()
            if "fake" in by_input and not fakes.requires_grad:
                fakes = fakes.requires_grad_()
            is_last = first + size >= len(real)
            whole = (player, parts.generator, parts.discriminator, turn.rule, is_last)
            yield ScoredBatch(score, reals, fakes, classes, draws, images, z, drawn, *whole)

    def _fakes(
        self, player: Player, score: Score, labels: Tensor, draws: Draws, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Latents as drawn, latents as moved by regularizers, and their samples."""
        drawn = z = self.latents(draws)

        def generate(z: Tensor) -> Tensor:
            made: Tensor = self.parts.generator(z, labels).to(dtype)
            return made

        def logits(z: Tensor) -> Tensor:
            found = score(generate(z), labels)
            return found[0] if isinstance(found, tuple) else found

        for regularizer in self.parts.regularizers:
            z = regularizer.move_latents(z, logits, draws)
        learns = player == "generator" or z is not drawn
        with nullcontext() if learns else torch.no_grad():
            return drawn, z, generate(z)

    def loss(self, turn: Turn, batch: ScoredBatch) -> tuple[Tensor, Update]:
        """The player's loss with the terms that are due, and what it showed."""
        player = turn.player
        with shared_with_layers(batch.draws):
            loss: Tensor = getattr(self.parts.objective, f"{player}_loss")(batch)
            bare, terms = loss.detach(), {}
            for regularizer in self.due(turn):
                term = getattr(regularizer, f"{player}_term")(batch)
                if term is not None:
                    loss = loss + regularizer.factor(batch.images_seen, player) * term
                    terms[type(regularizer).__name__] = term.detach()
            real = batch.real_logits.detach() if player == "discriminator" else None
            fake = batch.fake_logits.detach()
        return loss, Update(player, bare, real, fake, terms)

    def observe(self, player: Player, updates: Sequence[Update], last: ScoredBatch) -> None:
        """Lets the parts learn from an update, and the constraints act, after its step."""
        fake = torch.cat([update.fake_logits for update in updates])
        reals = [update.real_logits for update in updates if update.real_logits is not None]
        real = torch.cat(reals) if reals else fake[:0]
        for regularizer in self.parts.regularizers:
            regularizer.observe(player, last, real, fake)
            if player == "discriminator":
                regularizer.constrain(self.parts.discriminator)
        if player == "discriminator":
            self.parts.objective.observe(real, fake)
            if self.parts.augmentation is not None:
                self.parts.augmentation.observe(real, last.draws.rows.total)

    def whole_packs(self, real: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """As many of the samples as make whole packs for the discriminator."""
        pack = self.parts.discriminator.pack
        return real[: len(real) // pack * pack], labels[: len(real) // pack * pack]

    @torch.no_grad()
    def held_out(
        self, real: Tensor, labels: Tensor, batch: int, rows: Rows, images_seen: int
    ) -> list[Update]:
        """What held-out reals and as many fakes show; nothing where there are no reals.

        Args:
            real: Reals (N, ...) in whole packs.
            labels: Their classes (N,).
            batch: Number of the batch.
            rows: Which of all processes' samples these are.
            images_seen: Images seen in training before.
        """
        if not len(real):
            return []
        draws = self.noise.draws("held-out", batch, rows, like=real)
        with shared_with_layers(draws), self._judging(len(real)):
            fake = self.parts.generator(self.latents(draws), labels).to(real.dtype)
            scored = self._plain(real, fake, labels, draws, images_seen)
            loss = self.parts.objective.discriminator_loss(scored)
            return [Update("discriminator", loss, scored.real_logits, scored.fake_logits)]

    @torch.no_grad()
    def score(self, real: Tensor, labels: Tensor, batch: int, rows: Rows) -> Tensor:
        """Logits of reals alone, scored as :meth:`held_out` does; its arguments."""
        if not len(real):
            return real.new_zeros(0)
        draws = self.noise.draws("scored", batch, rows, like=real)
        with shared_with_layers(draws), self._judging(len(real)):
            return self._plain(real, real, labels, draws).real_logits

    def _plain(
        self, real: Tensor, fake: Tensor, labels: Tensor, draws: Draws, images_seen: int = 0
    ) -> ScoredBatch:
        """A batch without augmentation, in which losses see the samples at hand only."""
        score = scores_of(self.parts.discriminator)
        return ScoredBatch(score, real, fake, labels, draws, images_seen, across=False)

    def _judging(self, count: int) -> AbstractContextManager[None]:
        """Lets the discriminator's batch norm standardise by the batch, unless it is of one."""
        return batch_statistics(self.parts.discriminator) if count > 1 else nullcontext()
