"""Pieces of HTML that all parts of a page are made of, and settings as text."""

import json
from collections.abc import Iterable
from html import escape

DEEPEST = 20
"""Of what is shown of nested settings."""


def table(lines: Iterable[str]) -> str:
    """A table of such rows, which scrolls by itself where it is too wide."""
    return f"<div class=scroll><table>{''.join(lines)}</table></div>"


def row(name: str, cells: Iterable[str], about: str = "", head: bool = False) -> str:
    """A row of a table.

    Args:
        name: Its name.
        cells: The others, as HTML.
        about: What the name says.
        head: Whether it is the first row.
    """
    tag = "th" if head else "td"
    inside = "".join(f"<{tag}>{cell}</{tag}>" for cell in cells)
    small = f"<small>{escape(about)}</small>" if about else ""
    return f"<tr><th>{escape(name)}{small}</th>{inside}</tr>"


def listed(lines: Iterable[str]) -> str:
    """Texts below each other, as HTML."""
    return "<br>".join(map(escape, lines))


def flat(value: object, name: str = "", depth: int = 0) -> dict[str, str]:
    """The leaves of nested dicts and lists, by dotted names, as text.

    Args:
        value: What JSON can hold.
        name: Of the value itself.
        depth: How deeply it is nested already.
    """
    inner: dict[str, object] = {}
    if depth > DEEPEST:
        return {name: "..."}
    if isinstance(value, dict):
        inner = {str(k): each for k, each in value.items()}
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        inner = {str(number): each for number, each in enumerate(value)}
    if not inner:
        return {name: shown(value)}
    found: dict[str, str] = {}
    for k, each in inner.items():
        found |= flat(each, f"{name}.{k}" if name else k, depth + 1)
    return found


def shown(value: object) -> str:
    """What JSON can hold, as a person writes it."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def date(text: str) -> str:
    """A time in ISO 8601 as a person writes it."""
    return text.replace("T", " ").replace("+00:00", " UTC")
