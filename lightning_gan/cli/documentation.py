"""What docstrings say of classes and their arguments, as a terminal shows it."""

import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docstring_parser

from lightning_gan.cli.markup import plain

COLUMN = 32
"""Where the texts of options begin."""

SECTION = re.compile(r"^(?:Args|Attributes|Raises|Returns|Yields|Examples?|See Also)::?[ ]*$", re.M)


def about(kind: object) -> str:
    """What a class or function is, without the parts about arguments, errors and examples."""
    text = plain(SECTION.split(inspect.getdoc(kind) or "", maxsplit=1)[0])
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def first_line(kind: object) -> str:
    """The first sentence about a class, in one line."""
    return " ".join(about(kind).split("\n\n")[0].split())


def constructor(kind: type[Any]) -> Callable[..., None]:
    """What makes an object of a class, its own or inherited."""
    made: Callable[..., None] = kind.__init__
    return made


def documented(made: Callable[..., object]) -> dict[str, str]:
    """The arguments of a class or function with what is said of them, and their defaults."""
    texts: dict[str, str] = {}
    for source in (constructor(made), made) if isinstance(made, type) else (made,):
        for found in docstring_parser.parse(inspect.getdoc(source) or "").params:
            texts[found.arg_name] = found.description or ""
    arguments = {}
    for name, parameter in inspect.signature(made).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            text = " ".join(plain(texts.get(name, "")).split())
            arguments[name] = _with_default(re.sub(r"\bNone\b", "null", text), parameter.default)
    return arguments


def _with_default(text: str, default: object) -> str:
    if default is inspect.Parameter.empty:
        return f"{text} (required)".strip()
    known = isinstance(default, bool | int | float | str | Path | tuple | None) and default != ()
    stands = re.search(r"\b[Dd]efault(?:s\b|:)|\(default\b", text)
    if not known or stands or (default is None and "null" in text):
        return text
    said = f"{text.rstrip('.')} (default: {shown(default)})" + "." * text.endswith(".")
    return said.strip()


def shown(value: object) -> str:
    """A value as the command line takes it."""
    if isinstance(value, bool | None):
        return "null" if value is None else str(value).lower()
    return str(list(value) if isinstance(value, tuple) else value) or "''"


def option_lines(options: Mapping[str, str], column: int = COLUMN) -> Iterator[str]:
    """Options with their texts beside or below them, as wide as the terminal."""
    width = min(max(shutil.get_terminal_size().columns, 80), 100)
    for option, text in options.items():
        lines = textwrap.wrap(text, width - column, break_long_words=False, break_on_hyphens=False)
        head = f"  {option}"
        if lines and len(head) < column - 1:
            yield f"{head:<{column}}{lines.pop(0)}"
        else:
            yield head
        for line in lines:
            yield " " * column + line
