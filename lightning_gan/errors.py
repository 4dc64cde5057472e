"""The errors that a user can mend, and the check that numbers lie in their range."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload


class LightningGANError(Exception):
    """What a user can mend; the message says what is wrong, where, and what to do."""


class ConfigurationError(LightningGANError, ValueError):
    """A setting, or a combination of parts, that cannot work; the message says what to change."""


class DataError(LightningGANError):
    """Data that is missing, damaged or does not fit a setting; the message says how to mend it."""


class WeightsError(LightningGANError, RuntimeError):
    """A weights file or checkpoint that is missing, damaged, or made for something else."""


class AnotherRunError(WeightsError):
    """A checkpoint of a run that is another one than what should go on from it."""


class DivergenceError(LightningGANError, ArithmeticError):
    """Training produced values that are not finite; the last good checkpoint is kept."""


class ProcessLostError(LightningGANError, RuntimeError):
    """Another process of the run has died or does not answer."""


class UnstableWarning(UserWarning):
    """Parts that can live together, but were measured or proved to do badly."""


class Bound(NamedTuple):
    """One end of a range, in words and as a test that NaN fails."""

    words: str
    holds: Callable[[float], bool]


def at_least(low: float) -> Bound:
    """The range from ``low`` on."""
    return Bound(f"at least {low:g}", lambda number: number >= low)


def above(low: float) -> Bound:
    """The range above ``low``, without it."""
    return Bound(f"above {low:g}", lambda number: number > low)


def at_most(high: float) -> Bound:
    """The range up to ``high``."""
    return Bound(f"at most {high:g}", lambda number: number <= high)


def below(high: float) -> Bound:
    """The range below ``high``, without it."""
    return Bound(f"below {high:g}", lambda number: number < high)


def one_of(*numbers: float) -> Bound:
    """A few numbers."""
    return Bound(" or ".join(f"{number:g}" for number in numbers), numbers.__contains__)


def _is_index(number: object) -> bool:
    return hasattr(number, "__index__") and not getattr(number, "shape", ())


INTEGER = Bound("an integer", _is_index)
"""What counts parts of a network, of any integer type."""

LARGEST = 3.4e38
"""What numbers of 32 bits hold, in which networks compute."""

Number = float | Callable[[int], float] | None
"""An argument that may be a number: a curve of numbers instead, or left out."""


def check_range(part: object, /, *bounds: Bound, **numbers: Number) -> None:
    """Refuses arguments that lie outside their range, or are NaN.

    As in ``check_range(self, above(0), at_most(1), share=share)``. None was left out and passes; so
    does a curve, whose values are its own affair.

    Args:
        part: Whose arguments they are: a part, or a name.
        bounds: What must hold for each of them.
        numbers: The arguments by name.

    Raises:
        ConfigurationError: With the first that does not fit.
    """
    for name, number in numbers.items():
        if number is None or callable(number):
            continue
        if not hasattr(number, "__abs__"):  # a text, a list
            raise ConfigurationError(f"{name_of(part)}: {name}={number!r} must be a number.")
        if LARGEST < abs(number) < math.inf and isinstance(number, float):
            raise ConfigurationError(
                f"{name_of(part)}: {name}={number} is larger than any number of 32 bits."
            )
        if not all(bound.holds(number) for bound in bounds):
            words = " and ".join(bound.words for bound in bounds)
            raise ConfigurationError(f"{name_of(part)}: {name}={number} must be {words}.")


@overload
def whole(part: object, name: str, number: float) -> int: ...


@overload
def whole(part: object, name: str, number: None) -> None: ...


def whole(part: object, name: str, number: float | None) -> int | None:
    """A whole number as an int, also of a float like 1e5 or a number of NumPy; None passes.

    Args:
        part: Whose argument it is: a part, or a name.
        name: The argument's.
        number: Its value.

    Raises:
        ConfigurationError: If it is not whole.
    """
    if number is None:
        return None
    try:
        if math.isfinite(number) and number == int(number):
            return int(number)
    except (TypeError, ValueError):  # no number at all
        pass
    raise ConfigurationError(f"{name_of(part)}: {name}={number!r} must be a whole number.")


def required(part: object, name: str, number: float | None) -> int:
    """Likewise, of an argument that cannot be left out by None.

    Raises:
        ConfigurationError: If it is not whole, or None.
    """
    found = whole(part, name, number)
    if found is None:
        raise ConfigurationError(f"{name_of(part)}: {name}=None must be a whole number.")
    return found


def sides(part: object, image_size: Any) -> tuple[int, int]:  # noqa: ANN401 (of any caller)
    """Height and width of an image size, which is one number or both of them.

    Args:
        part: Whose argument it is: a part, or a name.
        image_size: Its value.

    Raises:
        ConfigurationError: If it is something else.
    """
    given = [*image_size] if isinstance(image_size, (tuple, list)) else [image_size, image_size]
    if len(given) != 2 or None in given:
        raise ConfigurationError(
            f"{name_of(part)}: image_size={image_size} must be one number or two."
        )
    height, width = (whole(part, "image_size", side) for side in given)
    return height, width


def is_interval(pair: Sequence[float]) -> bool:
    """Whether an argument is two finite numbers, of which the first is the smaller."""
    try:
        low, high = pair
        return bool(-math.inf < low < high < math.inf)
    except (TypeError, ValueError):
        return False


def name_of(part: object) -> str:
    """What errors call a part: its class, or the name that it is."""
    return part if isinstance(part, str) else type(part).__name__


def said(error: BaseException) -> str:
    """What an exception says, in one line, to be quoted in a sentence; its type if it is silent."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
