"""Arguments from Python, where nobody has looked at their types."""

import inspect
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from lightning_gan.errors import ConfigurationError

C = TypeVar("C", bound="Checked")


class Checked:
    """A class whose ``__init__`` is not given None for what its type hints say takes no None.

    Subclasses need to do nothing for it. Hints that cannot be read refuse nothing.
    """

    def __new__(cls: type[C], *args: object, **kwargs: object) -> C:
        """Looks at the arguments.

        Raises:
            ConfigurationError: With the first None that should be none.
        """
        refuse_none(cls, *args, **kwargs)
        return super().__new__(cls)


def refuse_none(kind: type, *args: object, **kwargs: object) -> None:
    """Refuses None among the arguments of a class where its hints take none.

    Raises:
        ConfigurationError: With the first such argument, and its default.
    """
    init = inspect.getattr_static(kind, "__init__")
    try:
        signature = inspect.signature(init)
        given = signature.bind(kind, *args, **kwargs).arguments
        nones = [name for name, value in given.items() if value is None]
        hints = get_type_hints(init) if nones else {}
    except (TypeError, NameError, AttributeError):  # Python tells, or a hint is of somewhere else
        return
    for name in nones:
        if name in hints and not _takes_none(hints[name]):
            default = signature.parameters[name].default
            known = "" if default is inspect.Parameter.empty else f" or leave it out for {default}"
            raise ConfigurationError(
                f"{kind.__name__}: {name} cannot be None: give a value{known}."
            )


def _takes_none(hint: object) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(map(_takes_none, get_args(hint)))
    return hint in (Any, object, NoneType) or isinstance(hint, TypeVar)
