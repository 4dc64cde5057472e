"""The game: what each player sees, what it pays, and what the parts learn from it.

It knows two players, kinds of regularizers and an augmentation, but no loss, penalty or network by
name, and works in a plain PyTorch loop.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.basics.precision import outside_autocast
from lightning_gan.basics.randomness import RandomStream, Seeds, Shard, replayed
from lightning_gan.networks.base import Discriminate, DiscriminatorOutput
from lightning_gan.regularizers import Constraint, LatentMove
from lightning_gan.training.composition import Composition
from lightning_gan.training.players import Player, Term
from lightning_gan.training.schedule import PlayerName, Progress, ValueOf, times, values_at
from lightning_gan.training.step import Kind, Step, StepOutput


class Game:
    """The parts of a model at play.

    Args:
        parts: What plays; attached already.
        seed: Seed of every random number that is drawn.
    """

    def __init__(self, parts: Composition, seed: int = 0) -> None:
        self.parts, self.seeds = parts, Seeds(seed)
        self.latent_moves = [part for part in parts.regularizers if isinstance(part, LatentMove)]
        objective = parts.objective
        both: tuple[Kind, Kind] = ("real", "fake")  # which its loss has had judged already
        # Classifiers and other heads belong to objective and regularizers. They learn with the
        # discriminator, whose features they read, and are frozen with it.
        learning: list[nn.Module] = [parts.discriminator, objective, *parts.regularizers]
        self.discriminator = Player(
            "discriminator",
            nn.ModuleList(learning),
            objective.discriminator_loss,
            objective.discriminator_reads,
            tuple(
                Term(p, p.discriminator_term, p.weight, both)
                for p in parts.penalties
                if p.has_term("discriminator")
            ),
        )
        self.generator = Player(
            "generator",
            nn.ModuleList([parts.generator]),
            objective.generator_loss,
            objective.generator_reads,
            tuple(
                Term(p, p.generator_term, p.generator_weight, p.generator_reads)
                for p in parts.penalties
                if p.has_term("generator")
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
        rank: int = 0,
        processes: int = 1,
        discriminator_optimizer: Optimizer | None = None,
    ) -> Iterator[Step]:
        """What a player's next update sees: the reals with as many fakes, piece by piece.

        Args:
            player: Who moves.
            real: Reals (N, C, H, W) in [-1, 1], or points (N, D), of this process.
            labels: Their class indices (N,).
            progress: What has been done so far.
            rank: Number of this process, from 0.
            processes: How many there are, each with as many samples.
            discriminator_optimizer: For objectives that foresee its steps.
        """
        update, value_of = progress.updates(player.name), values_at(progress.images)
        due, pieces = player.due(update), min(self.parts.accumulate, len(real))
        for first in range(pieces):
            # Rows in turn, so that one process has the pieces that k processes have together.
            rows = slice(first, None, pieces)
            piece, classes = (real, labels) if pieces == 1 else (real[rows], labels[rows])
            # Where these samples lie among those of all processes: what is drawn depends on it.
            start = len(real) * rank + first
            shard = Shard(len(real) * processes, start, len(piece), pieces)
            random = self.seeds.stream(player.name, update, shard, like=real)
            rest = random, value_of, discriminator_optimizer, first == pieces - 1
            yield self.see(player, due, piece, classes, *rest)

    def see(
        self,
        player: Player,
        due: Sequence[Term],
        real: Tensor,
        labels: Tensor,
        random: RandomStream,
        value_of: ValueOf,
        discriminator_optimizer: Optimizer | None = None,
        is_last: bool = True,
    ) -> Step:
        """What a player sees of some reals, for its loss and the terms that are due."""
        real = self.reals(real, random)
        # R1 and R2 take the gradient by the samples themselves, which must be asked for before the
        # logits are computed. Penalties at points in between make these points when they are due.
        terms = due if player is self.discriminator else ()
        by_input = {kind for term in terms for kind in term.penalty.differentiates}
        # bfloat16 logits would make the gradient of a gradient useless.
        discriminate = self._discriminate(random, value_of, precise=bool(by_input))
        noise: list[Tensor] = []
        drawn, z, fake = self._fakes(player, labels, random, discriminate, real.dtype, noise)
        # Pseudo augmentation passes some fakes off as reals, in the discriminator's update.
        if self.parts.augmentation is not None and player is self.discriminator:
            real = self.parts.augmentation.reals(real, fake.detach(), random, value_of)
        if "real" in by_input:
            real = real.detach().requires_grad_()
        # Fakes of moved latents are part of a graph already.
        if "fake" in by_input and not fake.requires_grad:
            fake = fake.requires_grad_()
        return Step(
            player=player.name,
            real=real,
            fake=fake,
            labels=labels,
            z=z,
            drawn_z=drawn,
            random=random,
            noise=noise,
            generator=self.parts.generator,
            discriminator=self.parts.discriminator,
            discriminate=discriminate,
            value_of=value_of,
            discriminator_optimizer=discriminator_optimizer,
            is_last=is_last,
        )

    def reals(self, real: Tensor, random: RandomStream) -> Tensor:
        """Reals (N, ...) as both players' updates see them."""
        augmentation = self.parts.augmentation
        return real if augmentation is None else augmentation.prepared(real, random)

    def latents(self, random: RandomStream) -> Tensor:
        """Latents (N, latent_dim) from the prior."""
        return self.parts.prior(random.normal(self.parts.generator.latent_dim))

    def _discriminate(self, stream: RandomStream, value_of: ValueOf, precise: bool) -> Discriminate:
        """The discriminator behind the augmentation, which reals and fakes pass alike."""
        parts = self.parts

        def discriminate(
            samples: Tensor, labels: Tensor, random: RandomStream | None = None
        ) -> DiscriminatorOutput:
            with outside_autocast(samples.device) if precise else nullcontext():
                if parts.augmentation is not None:
                    samples = parts.augmentation(samples, random or stream, value_of)
                return parts.discriminator.output(samples, labels)

        return discriminate

    def _fakes(
        self,
        player: Player,
        labels: Tensor,
        random: RandomStream,
        discriminate: Discriminate,
        dtype: torch.dtype,
        noise: list[Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Latents as drawn and as moved by regularizers, and their samples, by one noise."""
        drawn = z = self.latents(random)

        def generate(z: Tensor) -> Tensor:
            # Under autocast the generator gives bfloat16; both kinds of samples get one type.
            return self.parts.generator.generate(z, labels, replayed(random, noise)).to(dtype)

        def logits(z: Tensor) -> Tensor:
            return discriminate(generate(z), labels).logits

        # A move of latents goes up the gradient of the logit, whose passes come before all others.
        for part in self.latent_moves:
            z = part.move_latents(z, logits, random)
        # The discriminator's update needs no gradient of the generator, unless latents have moved
        # along the discriminator's own gradient.
        learns = player is self.generator or z is not drawn
        with nullcontext() if learns else torch.no_grad():
            return drawn, z, generate(z)

    def loss(self, step: Step, due: Sequence[Term]) -> tuple[Tensor, StepOutput]:
        """A player's loss with the terms that are due, and what the update shows."""
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
                loss = loss + times(factor, value)
                terms[type(term.penalty).__name__] = value.detach()
        # An objective that foresees the discriminator has looked at later ones only.
        step = step.judged("fake") if player is self.generator else step.judged("real", "fake")
        real = step.real_logits.detach() if player is self.discriminator else None
        return loss, StepOutput(player.name, bare, real, step.fake_logits.detach(), terms)

    def observe(self, step: Step, outputs: Sequence[StepOutput]) -> None:
        """Lets the parts learn from an update, and the constraints act, after its step."""
        # Of all pieces, so that what adapts does not depend on how a batch was worked through.
        fake = _joined([output.fake_logits for output in outputs])
        reals = [output.real_logits for output in outputs if output.real_logits is not None]
        real = _joined(reals) if reals else fake[:0]
        for part in self.parts.regularizers:
            part.observe(step, real, fake)
            # In the order of the list, since a clipped weight may be averaged after or before.
            if step.player == "discriminator" and isinstance(part, Constraint):
                part.constrain(self.parts.discriminator)
        if step.player == "discriminator":
            self.parts.objective.observe(real, fake)
            if self.parts.augmentation is not None:
                self.parts.augmentation.observe(real, step.random.shard.total)


def _joined(pieces: list[Tensor]) -> Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
