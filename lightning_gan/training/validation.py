"""What held-out data show: the discriminator on reals that nobody trains on, and on fresh fakes."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from lightning_gan.basics.randomness import RandomStream, Shard
from lightning_gan.networks.base import Discriminator
from lightning_gan.networks.layers import batch_statistics
from lightning_gan.training.game import Game
from lightning_gan.training.schedule import values_at
from lightning_gan.training.step import Step, StepOutput


def trim_to_packs(
    discriminator: Discriminator, real: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """As many of the samples as make whole packs for the discriminator."""
    count = len(real) // discriminator.pack * discriminator.pack
    return real[:count], labels[:count]


@torch.no_grad()
def validate(
    game: Game, real: Tensor, labels: Tensor, batch: int, shard: Shard, images: int
) -> list[StepOutput]:
    """What held-out reals, and as many fakes, show; nothing without reals.

    Args:
        game: The parts at play.
        real: Reals (N, ...) in whole packs.
        labels: Their classes (N,).
        batch: Number of the batch.
        shard: Which of all processes' samples these are.
        images: Images seen in training before.
    """
    if not len(real):
        return []
    random = game.seeds.stream("held-out", batch, shard, like=real)
    real = game.reals(real, random)
    with _as_in_training(game, len(real)):
        z = game.latents(random)
        fake = game.parts.generator.generate(z, labels, random).to(real.dtype)
        step = _plain_step(game, real, fake, labels, z, random, images)
        step = step.judged(*game.discriminator.reads)
        loss = game.discriminator.loss(step)
    judge = game.parts.discriminator
    reals = _of_samples(judge, step.real_logits, len(real))
    fakes = _of_samples(judge, step.fake_logits, len(real))
    return [StepOutput("discriminator", loss, reals, fakes)]


@torch.no_grad()
def validation_logits(game: Game, real: Tensor, labels: Tensor, batch: int, shard: Shard) -> Tensor:
    """Logits of reals alone, judged as :func:`validate` does; its arguments."""
    if not len(real):
        return real.new_zeros(0)
    random = game.seeds.stream("scored", batch, shard, like=real)
    real = game.reals(real, random)
    with _as_in_training(game, len(real)):
        step = _plain_step(game, real, real, labels, real, random).judged("real")
    return _of_samples(game.parts.discriminator, step.real_logits, len(real))


def _of_samples(discriminator: Discriminator, logits: Tensor, count: int) -> Tensor:
    """One logit for each sample or pack: the mean over its squares, which are not independent."""
    if not discriminator.judges_squares:
        return logits
    return logits.view(count // discriminator.pack, -1).mean(1)


def _plain_step(
    game: Game,
    real: Tensor,
    fake: Tensor,
    labels: Tensor,
    z: Tensor,
    random: RandomStream,
    images: int = 0,
) -> Step:
    """A step without augmentation, in which losses see the samples of this process only."""
    output = game.parts.discriminator.output
    return Step(
        player="discriminator",
        real=real,
        fake=fake,
        labels=labels,
        z=z,
        drawn_z=z,
        random=random,
        generator=game.parts.generator,
        discriminator=game.parts.discriminator,
        discriminate=lambda samples, labels, _=None: output(samples, labels),
        value_of=values_at(images),
        all_processes=False,
    )


def _as_in_training(game: Game, count: int) -> AbstractContextManager[None]:
    """Lets the discriminator's batch norm standardise by the batch, unless it is of one."""
    return batch_statistics(game.parts.discriminator) if count > 1 else nullcontext()
