"""Numbers that move with the images seen: learning rates, penalties, noise."""

from __future__ import annotations

import math

from lightning_gan.errors import ConfigurationError
from lightning_gan.parts import Part


class Curve(Part):
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
        if images <= 0 or delay < 0:
            raise ConfigurationError(
                f"{type(self).__name__} needs images > 0 and delay >= 0, "
                f"but got images={images} and delay={delay}."
            )
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

    Raises:
        ConfigurationError: If the factor or the images are out of range.
    """

    def __init__(self, factor: float, images: int, end: float = 0.0, start: float = 1.0) -> None:
        if not 0 < factor <= 1 or images <= 0:
            raise ConfigurationError(
                f"DecayCurve: factor={factor} must be above 0 and at most 1, and images={images} "
                "positive."
            )
        self.factor, self.images, self.end, self.start = factor, images, end, start

    def __call__(self, images: int) -> float:
        """The value after ``images`` images."""
        return max(self.start * self.factor ** (images // self.images), self.end)


def value_at(value: float | Curve, images: int) -> float:
    """The value of a number or curve after ``images`` images."""
    return value(images) if isinstance(value, Curve) else value
