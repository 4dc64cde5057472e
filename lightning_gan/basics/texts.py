"""Texts as a terminal shows them: harmless, and broken between words."""

import re
import shlex
import shutil
import textwrap
from pathlib import Path
from typing import TextIO


def printable(text: str) -> str:
    r"""``text`` with everything that is no visible character or space as its escape.

    Control characters would move the cursor or recolour a terminal, and lone surrogates cannot be
    written at all.

    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tabs and ends of lines, marks that turn the direction, surrogates."""


def tamed(text: str) -> str:
    r"""A text of many lines, with what a terminal would obey, or a file cannot hold, as its escape.

    >>> tamed("one\n\ttwo\x1b[31m")
    'one\n\ttwo\\x1b[31m'
    """
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, most: int) -> str:
    """``text``, printable, with an ellipsis for what is beyond ``most`` characters."""
    text = printable(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quoted(path: Path) -> str:
    """A path as a command line takes it: in quotes where a shell needs them, and never an option.

    >>> quoted(Path("my runs")), quoted(Path("-x"))
    ("'my runs'", './-x')
    """
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def folded(text: str, stream: TextIO, indent: int = 0) -> str:
    """``text`` with lines no wider than a terminal; as it is where ``stream`` is none.

    Words, paths and numbers stay whole. Further lines of a line stand ``indent`` to the right.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(
            line,
            width,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )


def counted(count: int, one: str) -> str:
    """A number of things that have a regular plural: 1 batch, 2,000 batches."""
    ending = "es" if one.endswith(("s", "ch", "x")) else "s"
    return f"{count:,} {one if count == 1 else one + ending}"
