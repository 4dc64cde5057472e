"""The errors that a user can mend: each says what is wrong, where, and what to do."""


class ConfigurationError(ValueError):
    """A setting, or a combination of parts, that cannot work; the message says what to change."""


class WeightsError(RuntimeError):
    """A weights file or checkpoint that is missing, damaged, or made for something else."""


class DivergenceError(ArithmeticError):
    """Training produced values that are not finite; the last good checkpoint is kept."""


class ProcessLostError(RuntimeError):
    """Another process of the run has died or does not answer."""


def at_least_one(part: object, **numbers: int) -> None:
    """Refuses arguments of ``part`` that are smaller than one.

    Raises:
        ConfigurationError: If any of ``numbers`` is below 1, by its name.
    """
    for name, number in numbers.items():
        if number < 1:
            raise ConfigurationError(f"{type(part).__name__}: {name}={number} must be at least 1.")


class UnstableWarning(UserWarning):
    """Parts that can live together, but were measured or proved to do badly."""
