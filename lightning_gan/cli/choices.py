"""What there is to choose from: classes for an option, and recipes."""

import inspect
import typing
from collections.abc import Iterator

from lightning_gan.basics.classes import subclasses
from lightning_gan.basics.words import nearest
from lightning_gan.errors import ConfigurationError
from lightning_gan.recipes import recipe_names


def classes_in(hint: object) -> Iterator[type]:
    """The classes in an annotation whose subclasses can be chosen."""
    if inspect.isclass(hint) and not typing.get_args(hint):
        if hint.__module__ not in ("builtins", "types", "datetime", "pathlib"):
            yield hint
        return
    arguments = typing.get_args(hint)
    if arguments and isinstance(arguments[0], list):  # of a Callable only what it returns
        arguments = arguments[1:]
    for argument in arguments if typing.get_origin(hint) is not typing.Literal else ():
        yield from classes_in(argument)


def is_base(kind: type) -> bool:
    """Whether a class is only there to be derived from."""
    return bool(vars(kind).get("is_base")) or inspect.isabstract(kind)


def choices_for(base: type) -> dict[str, type]:
    """The classes that can be taken for ``base``, by short name.

    A part that says that it is no base is one of them, and so is whatever has no subclass.
    """
    found: dict[str, type] = {}
    own = [base] if vars(base).get("is_base") is False else []
    for kind in (*own, *subclasses(base)):
        if not is_base(kind) and not kind.__name__.startswith("_"):
            found.setdefault(kind.__name__, kind)
    return dict(sorted(found.items())) or {base.__name__: base}


def no_recipe(what: str, word: str) -> ConfigurationError:
    """The error that there is no recipe of that name, of which there are too many to list."""
    near = nearest(word.removesuffix(".yaml"), recipe_names())
    hint = f"did you mean {near}?" if near else "lightning-gan recipes lists what there is."
    return ConfigurationError(f"There is no {what} {word}: {hint}")
