"""Whose turn it is."""

from __future__ import annotations

from typing import NamedTuple

from lightning_gan.errors import at_least_one
from lightning_gan.parts import Part


class Moves(NamedTuple):
    """How many updates each player makes with the batch at hand."""

    discriminator: int
    generator: int


class Alternation(Part):
    """Decides, batch by batch, who moves."""

    def moves(self, batch: int, epoch: int) -> Moves:
        """The moves with batch number ``batch`` (counted over the whole run) of epoch ``epoch``."""
        raise NotImplementedError


class PerBatch(Alternation):
    """k updates of the discriminator, each with a fresh batch, then l of the generator.

    (Goodfellow et al. 2014, Algorithm 1.) A round takes k batches: the discriminator moves with
    every one of them, the generator l times, each with fresh latents, after the last.

    Args:
        discriminator_updates: k; the n_critic of WGAN, which takes 5.
        generator_updates: l.

    Raises:
        ConfigurationError: If either is below 1.
    """

    def __init__(self, discriminator_updates: int = 1, generator_updates: int = 1) -> None:
        at_least_one(
            self,
            discriminator_updates=discriminator_updates,
            generator_updates=generator_updates,
        )
        self.discriminator_updates = discriminator_updates
        self.generator_updates = generator_updates

    def moves(self, batch: int, epoch: int) -> Moves:
        """One update of the discriminator; the generator's after every k-th batch."""
        round_ends = (batch + 1) % self.discriminator_updates == 0
        return Moves(1, self.generator_updates if round_ends else 0)


class Phases(Alternation):
    """n epochs of the discriminator with the generator frozen, then m of the generator, and again.

    Args:
        discriminator_epochs: n, epochs in which only the discriminator moves.
        generator_epochs: m, epochs in which only the generator moves.

    Raises:
        ConfigurationError: If either is below 1.
    """

    def __init__(self, discriminator_epochs: int = 1, generator_epochs: int = 1) -> None:
        at_least_one(
            self, discriminator_epochs=discriminator_epochs, generator_epochs=generator_epochs
        )
        self.discriminator_epochs = discriminator_epochs
        self.generator_epochs = generator_epochs

    def moves(self, batch: int, epoch: int) -> Moves:
        """One update of the player whose phase it is."""
        place = epoch % (self.discriminator_epochs + self.generator_epochs)
        return Moves(1, 0) if place < self.discriminator_epochs else Moves(0, 1)
