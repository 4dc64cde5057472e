"""The game: what each player sees, what it pays, and what the parts learn from it.

It knows two players, a list of regularizers and an augmentation, and none of them by name. It works
in a plain PyTorch loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.basics.randomness import RandomStream, Seeds, Shard
from lightning_gan.checkpoints.parts import MakeOptimizer
from lightning_gan.networks.base import DiscriminatorOutput
from lightning_gan.networks.layers import batch_statistics
from lightning_gan.regularizers import Constraint, Penalty
from lightning_gan.training.composition import Composition
from lightning_gan.training.optimizers import correct_for_laziness
from lightning_gan.training.schedule import Moving, ValueOf, values_at
from lightning_gan.training.step import (
    Discriminate,
    Kind,
    PlayerName,
    Progress,
    Step,
    StepOutput,
)


@dataclass(frozen=True)
class Term:
    """A penalty as one player pays it.

    Args:
        penalty: Whose term it is.
        compute: The bare term of a step.
        weight: Its factor.
        reads: Whose logits or features it reads.
    """

    penalty: Penalty
    compute: Callable[[Step], Tensor | None]
    weight: Moving
    reads: tuple[Kind, ...]

    def is_due(self, update: int) -> bool:
        """Whether it joins the player's update of that number."""
        return update % self.penalty.every == 0


@dataclass(frozen=True)
class Player:
    """One of the two: its weights, its loss, and the terms that join it.

    Args:
        name: Which one it is.
        weights: What its optimizer moves.
        loss: The bare loss of a step.
        reads: Whose logits or features the loss reads, in this order.
        terms: The penalties that it pays.
    """

    name: PlayerName
    weights: nn.ModuleList
    loss: Callable[[Step], Tensor]
    reads: tuple[Kind, ...]
    terms: tuple[Term, ...]

    def make_optimizer(self, make: MakeOptimizer) -> Optimizer:
        """The player's optimizer, adapted to penalties that are not due at every update."""
        optimizer = make([weight for weight in self.weights.parameters() if weight.requires_grad])
        every = max((term.penalty.every for term in self.terms), default=1)
        correct_for_laziness(optimizer, every)
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        return optimizer

    def due(self, update: int) -> tuple[Term, ...]:
        """The terms that join the update of that number."""
        return tuple(term for term in self.terms if term.is_due(update))


@dataclass(frozen=True)
class Place:
    """Where a process stands among all, each with as many samples.

    Args:
        rank: Number of the process, from 0.
        processes: How many there are.
    """

    rank: int = 0
    processes: int = 1


class Game:
    """The parts of a model at play.

    Args:
        parts: What plays; attached already.
        seed: Seed of every random number that is drawn.
    """

    def __init__(self, parts: Composition, seed: int = 0) -> None:
        self.parts, self.seeds = parts, Seeds(seed)
        objective, penalties = parts.objective, parts.penalties
        both: tuple[Kind, Kind] = ("real", "fake")
        # Weights of objectives and regularizers, such as classifiers, learn to discriminate.
        learning: list[nn.Module] = [parts.discriminator, objective, *parts.regularizers]
        self.discriminator = Player(
            "discriminator",
            nn.ModuleList(learning),
            objective.discriminator_loss,
            objective.discriminator_reads,
            tuple(
                Term(penalty, penalty.discriminator_term, penalty.weight, both)
                for penalty in penalties
                if penalty.has_term("discriminator")
            ),
        )
        self.generator = Player(
            "generator",
            nn.ModuleList([parts.generator]),
            objective.generator_loss,
            objective.generator_reads,
            tuple(
                Term(
                    penalty,
                    penalty.generator_term,
                    penalty.generator_weight,
                    penalty.generator_reads,
                )
                for penalty in penalties
                if penalty.has_term("generator")
            ),
        )

    def player(self, name: PlayerName) -> Player:
        """The player of that name."""
        return self.discriminator if name == "discriminator" else self.generator

    def steps(
        self,
        player: Player,
        real: Tensor,
        labels: Tensor,
        progress: Progress,
        place: Place = Place(),
        discriminator_optimizer: Optimizer | None = None,
    ) -> Iterator[Step]:
        """What a player's next update sees: the reals with as many fakes, piece by piece.

        Args:
            player: Who moves.
            real: Reals (N, C, H, W) in [-1, 1], or points (N, D), of this process.
            labels: Their class indices (N,).
            progress: What has been done so far.
            place: Which process this is.
            discriminator_optimizer: For objectives that foresee its steps.
        """
        update, value_of = progress.updates(player.name), values_at(progress.images)
        # A gradient by the input, as penalties on the slope take it, must be asked for beforehand.
        due = player.due(update) if player is self.discriminator else ()
        by_input = {kind for term in due for kind in term.penalty.differentiates}
        size = -(-len(real) // self.parts.accumulate)
        for first in range(0, len(real), size):
            piece, classes = real[first : first + size], labels[first : first + size]
            # Where these samples lie among those of all processes: what is drawn depends on it.
            start = len(real) * place.rank + first
            shard = Shard(len(real) * place.processes, start, len(piece))
            random = self.seeds.stream(player.name, update, shard, like=real)
            # bfloat16 logits would make the gradient of a gradient useless.
            discriminate = self._discriminate(random, value_of, precise=bool(by_input))
            drawn, z, fake = self._fakes(player, classes, random, discriminate, real.dtype)
            if self.parts.augmentation is not None and player is self.discriminator:
                piece = self.parts.augmentation.reals(piece, fake.detach(), random, value_of)
            if "real" in by_input:
                piece = piece.detach().requires_grad_()
            if "fake" in by_input and not fake.requires_grad:
                fake = fake.requires_grad_()
            yield Step(
                player=player.name,
                real=piece,
                fake=fake,
                labels=classes,
                z=z,
                drawn_z=drawn,
                random=random,
                generator=self.parts.generator,
                discriminator=self.parts.discriminator,
                discriminate=discriminate,
                value_of=value_of,
                discriminator_optimizer=discriminator_optimizer,
                is_last=first + size >= len(real),
            )

    def latents(self, random: RandomStream) -> Tensor:
        """Latents (N, latent_dim) from the prior."""
        z = random.normal(self.parts.generator.latent_dim)
        return z if self.parts.prior is None else self.parts.prior(z)

    def _discriminate(self, random: RandomStream, value_of: ValueOf, precise: bool) -> Discriminate:
        """The discriminator behind the augmentation, which reals and fakes pass alike."""
        parts = self.parts

        def discriminate(samples: Tensor, labels: Tensor) -> DiscriminatorOutput:
            with torch.autocast(samples.device.type, enabled=False) if precise else nullcontext():
                if parts.augmentation is not None:
                    samples = parts.augmentation(samples, random, value_of)
                return parts.discriminator.output(samples, labels)

        return discriminate

    def _fakes(
        self,
        player: Player,
        labels: Tensor,
        random: RandomStream,
        discriminate: Discriminate,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Latents as drawn, latents as moved by regularizers, and their samples."""
        drawn = z = self.latents(random)

        def generate(z: Tensor) -> Tensor:
            # Under autocast the generator gives bfloat16; both kinds of samples get one type.
            return self.parts.generator.generate(z, labels, random).to(dtype)

        def logits(z: Tensor) -> Tensor:
            return discriminate(generate(z), labels).logits

        for part in self.parts.latent_moves:
            z = part.move_latents(z, logits, random)
        # The discriminator's update needs no gradient of the generator, unless latents have moved
        # along the discriminator's own gradient.
        learns = player is self.generator or z is not drawn
        with nullcontext() if learns else torch.no_grad():
            return drawn, z, generate(z)

    def loss(self, step: Step, due: Sequence[Term]) -> tuple[Tensor, StepOutput]:
        """A player's loss with its penalties, a function of the step's tensors.

        Args:
            step: What the update sees.
            due: The terms that join it.

        Returns:
            The loss, and what the update shows.
        """
        player = self.player(step.player)
        # Explicitly and in this order: each pass through the discriminator may draw and may move
        # statistics. Reals are scored in the generator's update only where something reads them.
        step = step.judged(*player.reads)
        loss = player.loss(step)
        bare, terms = loss.detach(), {}
        for term in due:
            step = step.judged(*term.reads)
            value = term.compute(step)
            if value is not None:
                # A penalty due at every k-th update only counts k times.
                factor = step.value_of(term.weight) * term.penalty.every
                loss = loss + factor * value
                terms[type(term.penalty).__name__] = value.detach()
        step = step.judged("fake")
        real = step.real_logits.detach() if player is self.discriminator else None
        return loss, StepOutput(player.name, bare, real, step.fake_logits.detach(), terms)

    def observe(self, step: Step, outputs: Sequence[StepOutput]) -> None:
        """Lets the parts learn from an update, and the constraints act, after its step.

        Args:
            step: What the player saw last.
            outputs: What all pieces of the update showed.
        """
        fake = torch.cat([output.fake_logits for output in outputs])
        reals = [output.real_logits for output in outputs if output.real_logits is not None]
        real = torch.cat(reals) if reals else fake[:0]
        for part in self.parts.regularizers:
            part.observe(step, real, fake)
            if step.player == "discriminator" and isinstance(part, Constraint):
                part.constrain(self.parts.discriminator)
        if step.player == "discriminator":
            self.parts.objective.observe(real, fake)
            if self.parts.augmentation is not None:
                self.parts.augmentation.observe(real, step.random.shard.total)

    def trim_to_packs(self, real: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """As many of the samples as make whole packs for the discriminator."""
        count = len(real) // self.parts.discriminator.pack * self.parts.discriminator.pack
        return real[:count], labels[:count]

    @torch.no_grad()
    def validate(
        self, real: Tensor, labels: Tensor, batch: int, shard: Shard, images: int
    ) -> list[StepOutput]:
        """What reals that nobody trains on, and as many fakes, show; nothing without reals.

        Args:
            real: Reals (N, ...) in whole packs.
            labels: Their classes (N,).
            batch: Number of the batch.
            shard: Which of all processes' samples these are.
            images: Images seen in training before.
        """
        if not len(real):
            return []
        random = self.seeds.stream("held-out", batch, shard, like=real)
        with self._batch_statistics(len(real)):
            z = self.latents(random)
            fake = self.parts.generator.generate(z, labels, random).to(real.dtype)
            step = self._plain_step(real, fake, labels, z, random, images)
            step = step.judged(*self.discriminator.reads)
            loss = self.discriminator.loss(step)
        return [StepOutput("discriminator", loss, step.real_logits, step.fake_logits)]

    @torch.no_grad()
    def validation_logits(self, real: Tensor, labels: Tensor, batch: int, shard: Shard) -> Tensor:
        """Logits of reals alone, judged as :meth:`validate` does; its arguments."""
        if not len(real):
            return real.new_zeros(0)
        random = self.seeds.stream("scored", batch, shard, like=real)
        with self._batch_statistics(len(real)):
            step = self._plain_step(real, real, labels, real, random, 0)
            return step.judged("real").real_logits

    def _plain_step(
        self,
        real: Tensor,
        fake: Tensor,
        labels: Tensor,
        z: Tensor,
        random: RandomStream,
        images: int,
    ) -> Step:
        """A step without augmentation, in which losses see the samples of this process only."""
        return Step(
            player="discriminator",
            real=real,
            fake=fake,
            labels=labels,
            z=z,
            drawn_z=z,
            random=random,
            generator=self.parts.generator,
            discriminator=self.parts.discriminator,
            discriminate=self.parts.discriminator.output,
            value_of=values_at(images),
            all_processes=False,
        )

    def _batch_statistics(self, count: int) -> AbstractContextManager[None]:
        """Lets the discriminator's batch norm standardise by the batch, unless it is of one."""
        return batch_statistics(self.parts.discriminator) if count > 1 else nullcontext()
