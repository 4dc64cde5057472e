"""The constructors that a configuration calls: what they raise, and what must not be called."""

from typing import Any

from lightning_gan.cli.choices import choices_for, is_base
from lightning_gan.errors import ConfigurationError, said


def construct(kind: type[Any], *args: object, **kwargs: object) -> Any:  # noqa: ANN401 (a kind)
    """Calls a constructor.

    Raises:
        ConfigurationError: If the class is only there to be derived from, or is one of torch or
            Lightning that refuses an argument, which the user has asked for.
    """
    if is_base(kind):
        choices = ", ".join(choices_for(kind))
        raise ConfigurationError(f"{kind.__name__} is there to be derived from: take {choices}.")
    try:
        return kind(*args, **kwargs)
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        if not kind.__module__.startswith(("lightning.", "torch.")):
            raise
        reason = f"{kind.__name__} refuses an argument: {said(error)}."
        raise ConfigurationError(reason) from error
    except OverflowError as error:
        raise ConfigurationError(
            f"{kind.__name__} refuses an argument: a number is too large ({said(error)})."
        ) from error


class Escape(BaseException):
    """Carries an exception past jsonargparse.

    It tries the annotations of a union one after the other, and where a constructor raises an
    Exception, it only says that none was fitting.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error


def escaping(kind: type[Any], *args: object, **kwargs: object) -> object:
    """Constructs for jsonargparse; what a constructor raises leaves it as an :class:`Escape`."""
    from torch.optim import Optimizer  # here, since commands without parts do without torch

    is_optimizer = issubclass(kind, Optimizer)  # made later, by the model, which answers for it
    if is_optimizer:
        return kind(*args, **kwargs)
    try:
        return construct(kind, *args, **kwargs)
    except Exception as error:
        raise Escape(error) from None
