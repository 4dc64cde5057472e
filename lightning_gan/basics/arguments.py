"""Arguments from Python, where nobody has looked at their types."""

import inspect
from types import UnionType
from typing import Literal, TypeVar, Union, get_args, get_origin, get_type_hints

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
            TypeError: If the class takes no arguments.
        """
        refuse_none(cls, *args, **kwargs)
        make = super().__new__
        if make is not object.__new__:
            return make(cls, *args, **kwargs)
        if (args or kwargs) and cls.__init__ is object.__init__:  # as Python would say without us
            raise TypeError(f"{cls.__name__}() takes no arguments")
        return make(cls)


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
    # Python tells, or a hint is of somewhere else, or words.
    except (TypeError, NameError, AttributeError, SyntaxError):
        return
    for name in nones:
        default = signature.parameters[name].default
        if default is not None and name in hints and _takes_no_none(hints[name]):
            made = str(default).startswith("<")  # each time anew, or there is none
            known = "" if made else f" or leave it out for {default}"
            raise ConfigurationError(
                f"{kind.__name__}: {name} cannot be None: give a value{known}."
            )


def _takes_no_none(hint: object) -> bool:
    """Whether that is certain; what is neither a class nor of classes may take anything."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return all(map(_takes_no_none, get_args(hint)))
    if origin is Literal:
        return None not in get_args(hint)
    kind = origin or hint
    try:
        return isinstance(kind, type) and not isinstance(None, kind)
    except TypeError:  # Any, and protocols that only type checkers know
        return False
