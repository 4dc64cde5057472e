"""The errors that a user can mend: each says what is wrong, where, and what to do."""


class ConfigurationError(ValueError):
    """A setting, or a combination of parts, that cannot work; the message says what to change."""


class WeightsError(RuntimeError):
    """A weights file or checkpoint that is missing, damaged, or made for something else."""


class DivergenceError(ArithmeticError):
    """Training produced values that are not finite; the last good checkpoint is kept."""
