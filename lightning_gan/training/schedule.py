"""Whose turn it is, what has been done so far, and numbers that move with the images seen."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

from torch import Tensor

from lightning_gan.checkpoints.parts import Part
from lightning_gan.errors import above, at_least, at_most, check_range, whole

PlayerName = Literal["discriminator", "generator"]
PLAYERS: tuple[PlayerName, PlayerName] = ("discriminator", "generator")
"""In the order in which they move."""


class Curve(Part, base=True):
    """A number as a function of the images seen."""

    def __call__(self, images: int) -> float:
        """The value after ``images`` images."""
        raise NotImplementedError


class _Transition(Curve):
    """From one value to another over a span of images, then constant.

    Args:
        start: Value at the beginning.
        end: Value at the end of the span and after it.
        images: Length of the span, in images.
        delay: Images before the span, in which the value is ``start``.

    Raises:
        ConfigurationError: If the span is not positive or the delay is negative.
    """

    def __init__(self, start: float, end: float, images: int, delay: int = 0) -> None:
        check_range(self, above(0), images=images)
        check_range(self, at_least(0), delay=delay)
        self.start, self.end, self.images, self.delay = start, end, images, delay

    def _progress(self, images: int) -> float:
        return min(max((images - self.delay) / self.images, 0.0), 1.0)


class LinearCurve(_Transition):
    """Goes from ``start`` to ``end`` in a straight line, then stays."""

    def __call__(self, images: int) -> float:
        """The value after ``images`` images."""
        return self.start + (self.end - self.start) * self._progress(images)


class CosineCurve(_Transition):
    """Goes from ``start`` to ``end`` along half a cosine, then stays (as R3GAN's burn-in does)."""

    def __call__(self, images: int) -> float:
        """The value after ``images`` images."""
        fall = (1 + math.cos(math.pi * self._progress(images))) / 2
        return self.end + (self.start - self.end) * fall


class DecayCurve(Curve):
    """Is multiplied by a factor after every so many images, down to an end (as top-k's share).

    Args:
        factor: What the value is multiplied by, above 0 and at most 1.
        images: Images between two multiplications, for instance those of an epoch.
        end: Where it stays.
        start: Where it begins.
        delay: Images before the first span of ``images``, in which the value is ``start``.

    Raises:
        ConfigurationError: If the factor, the images or the delay are out of range.
    """

    def __init__(
        self, factor: float, images: int, end: float = 0.0, start: float = 1.0, delay: int = 0
    ) -> None:
        check_range(self, above(0), at_most(1), factor=factor)
        check_range(self, above(0), images=images)
        check_range(self, at_least(0), delay=delay)
        self.factor, self.images, self.end, self.start = factor, images, end, start
        self.delay = delay

    def __call__(self, images: int) -> float:
        """The value after ``images`` images."""
        spans = max(images - self.delay, 0) // self.images
        return max(self.start * self.factor**spans, self.end)


Moving = float | Callable[[int], float]
"""A number, or a curve that gives one for the images seen."""

Value = float | Tensor
"""What a number is at one update; in a compiled one what moves is a positive scalar tensor."""

ValueOf = Callable[[Moving], Value]
"""What numbers and curves are at one update."""


def is_positive(value: Value) -> bool:
    """Whether a value is above zero, which no device is waited for to know."""
    return isinstance(value, Tensor) or value > 0


def times(factor: Value, tensor: Tensor) -> Tensor:
    """A tensor times a value, in the tensor's type."""
    return tensor * (factor.to(tensor.dtype) if isinstance(factor, Tensor) else factor)


def value_at(number: Moving, images: int) -> float:
    """The value of a number or curve after ``images`` images."""
    return number(images) if callable(number) else number


def values_at(images: int) -> ValueOf:
    """The values of all numbers and curves after ``images`` images."""
    return partial(value_at, images=images)


class UpdateCounts(NamedTuple):
    """How many updates each player makes with the batch at hand."""

    discriminator: int
    generator: int


class Alternation(Part, base=True):
    """Decides, batch by batch, who makes how many updates."""

    def updates(self, batch: int, epoch: int) -> UpdateCounts:
        """The updates with batch number ``batch``, counted over the whole run, of an epoch."""
        raise NotImplementedError


class PerBatch(Alternation):
    """k updates of the discriminator, each with a fresh batch, then l of the generator.

    (Goodfellow et al. 2014, Algorithm 1.) A round takes k batches: the discriminator moves with
    every one of them, the generator l times, each with fresh latents, after the last.

    Args:
        discriminator_updates: k; the n_critic of WGAN, which takes 5.
        generator_updates: l.
        fresh_reals: Whether each of the generator's updates has a batch of its own too, as
            relativistic losses read reals there (the codes of Jolicoeur-Martineau 2018 and of
            R3GAN): a round then takes k + l batches, all of which count as seen.

    Raises:
        ConfigurationError: If k or l is below 1 or not whole.
    """

    def __init__(
        self, discriminator_updates: int = 1, generator_updates: int = 1, fresh_reals: bool = False
    ) -> None:
        check_range(self, at_least(1), discriminator_updates=discriminator_updates)
        check_range(self, at_least(1), generator_updates=generator_updates)
        self.discriminator_updates = whole(self, "discriminator_updates", discriminator_updates)
        self.generator_updates = whole(self, "generator_updates", generator_updates)
        self.fresh_reals = fresh_reals

    def updates(self, batch: int, epoch: int) -> UpdateCounts:
        """One update of the discriminator; the generator's after every k-th batch, or with l."""
        if self.fresh_reals:
            place = batch % (self.discriminator_updates + self.generator_updates)
            return UpdateCounts(1, 0) if place < self.discriminator_updates else UpdateCounts(0, 1)
        round_ends = (batch + 1) % self.discriminator_updates == 0
        return UpdateCounts(1, self.generator_updates if round_ends else 0)


class Phases(Alternation):
    """n epochs of the discriminator with the generator frozen, then m of the generator, and again.

    A stream that never ends has no epochs: give it some by the Trainer's ``limit_train_batches``.

    Args:
        discriminator_epochs: n, epochs in which only the discriminator moves.
        generator_epochs: m, epochs in which only the generator moves.

    Raises:
        ConfigurationError: If either is below 1 or not whole.
    """

    def __init__(self, discriminator_epochs: int = 1, generator_epochs: int = 1) -> None:
        check_range(self, at_least(1), discriminator_epochs=discriminator_epochs)
        check_range(self, at_least(1), generator_epochs=generator_epochs)
        self.discriminator_epochs = whole(self, "discriminator_epochs", discriminator_epochs)
        self.generator_epochs = whole(self, "generator_epochs", generator_epochs)

    def updates(self, batch: int, epoch: int) -> UpdateCounts:
        """One update of the player whose phase it is."""
        place = epoch % (self.discriminator_epochs + self.generator_epochs)
        return UpdateCounts(1, 0) if place < self.discriminator_epochs else UpdateCounts(0, 1)


@dataclass
class Progress:
    """What has been done so far, over all processes; saved in checkpoints.

    Lightning's ``global_step`` equals ``generator_updates``.
    """

    images: int = 0
    batches: int = 0
    discriminator_updates: int = 0
    generator_updates: int = 0

    def count_batch(self, images: int) -> None:
        """Counts a batch of so many images over all processes."""
        self.batches += 1
        self.images += images

    def count_update(self, player: PlayerName) -> None:
        """Counts one more update of a player."""
        if player == "discriminator":
            self.discriminator_updates += 1
        else:
            self.generator_updates += 1

    def updates(self, player: PlayerName) -> int:
        """Updates that a player has made."""
        return self.discriminator_updates if player == "discriminator" else self.generator_updates
