"""Types of options in words, as help and sentences about mistakes name them."""

import inspect
import types
import typing
from collections.abc import Iterable

WORDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a mapping",
    list: "a list",
    type(None): "null",
}


def in_words(hint: object, of_list: bool = False) -> str:
    """What a value of an annotation is, such as ``a whole number, true or false, or null``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in WORDS:
        return WORDS[hint]
    if origin is typing.Literal:
        return _listed(f"{value}" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return _listed(dict.fromkeys(in_words(each) for each in arguments))
    if origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, Iterable)):
        items = [in_words(each) for each in arguments if each is not ...]
        return WORDS[dict] if origin is dict else f"a list of {_listed(dict.fromkeys(items))}"
    if inspect.isclass(hint):
        return {"Path": "a path"}.get(hint.__name__, hint.__name__)
    returned = arguments[-1] if arguments else None  # of a Callable
    return returned.__name__ if inspect.isclass(returned) else "a value"


def _listed(words: Iterable[str]) -> str:
    """Words with commas and "or", the last of which is null."""
    *firsts, last = sorted(words, key=lambda word: word == WORDS[type(None)])
    if not firsts:
        return last
    comma = "," if len(firsts) > 1 or " or " in firsts[-1] else ""
    return f"{', '.join(firsts)}{comma} or {last}"
