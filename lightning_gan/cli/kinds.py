"""Types of options in words, as help and sentences about mistakes name them."""

import inspect
import types
import typing
from collections.abc import Iterable
from pathlib import Path

WORDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a mapping",
    list: "a list",
    type(None): "null",
}

PLACEHOLDERS: dict[object, str] = {
    bool: "{true,false}",
    int: "N",
    float: "X",
    str: "TEXT",
    Path: "PATH",
}


def placeholder(hint: object) -> str:
    """What stands for the value of an option in a help."""
    kinds = [hint, *typing.get_args(hint)]
    for kind in filter(_is_literal, kinds):
        return "{" + ",".join(typing.get_args(kind)) + "}"
    return next((PLACEHOLDERS[kind] for kind in kinds if kind in PLACEHOLDERS), "NAME")


def in_words(hint: object, without_null: bool = False) -> str:
    """What a value of an annotation is, such as ``a whole number, true or false, or null``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if without_null and len(arguments) > 1:
        arguments = tuple(each for each in arguments if each is not type(None))
    if hint in WORDS:
        return WORDS[hint]
    if _is_literal(hint):
        return _listed(f"{value}" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        words: list[str] = []
        for each in sorted(arguments, key=_is_literal):
            words += literals_in(each) if _is_literal(each) else [in_words(each)]
        return _listed(dict.fromkeys(words))
    if origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, Iterable)):
        items = [in_words(each) for each in arguments if each is not ...]
        return WORDS[dict] if origin is dict else f"a list of {_listed(dict.fromkeys(items))}"
    if inspect.isclass(hint):
        return {"Path": "a path"}.get(hint.__name__, hint.__name__)
    returned = arguments[-1] if arguments else None  # of a Callable
    return returned.__name__ if inspect.isclass(returned) else "a value"


def _is_literal(hint: object) -> bool:
    return typing.get_origin(hint) is typing.Literal


def literals_in(hint: object) -> list[str]:
    """The words that an annotation names one by one."""
    if _is_literal(hint):
        return [str(value) for value in typing.get_args(hint)]
    words = [word for each in typing.get_args(hint) for word in literals_in(each)]
    return [*dict.fromkeys(words)]


def is_list(hint: object) -> bool:
    """Whether an annotation is a list, or a list or null, and nothing else."""
    kinds = [each for each in typing.get_args(hint) if each is not type(None)]
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if is_union:
        return len(kinds) == 1 and is_list(kinds[0])
    return typing.get_origin(hint) is list


def takes_scalars(hint: object) -> bool:
    """Whether an annotation allows for numbers, among other things."""
    return hint in (int, float) or any(takes_scalars(each) for each in typing.get_args(hint))


def _listed(words: Iterable[str]) -> str:
    """Words with commas and "or", the last of which is null."""
    *firsts, last = sorted(words, key=lambda word: word == WORDS[type(None)])
    if not firsts:
        return last
    comma = "," if len(firsts) > 1 or " or " in firsts[-1] else ""
    return f"{', '.join(firsts)}{comma} or {last}"
