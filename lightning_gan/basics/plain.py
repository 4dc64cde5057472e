"""Descriptions of parts as plain data, which files and tables hold."""

from typing import Any

Plain = Any
"""None, booleans, numbers, texts, and lists and dictionaries of them."""


def flat(description: Plain, name: str = "") -> dict[str, Plain]:
    """A description by dotted names, for tables, loggers and comparisons.

    A part is its class under its own name, its arguments below it, and of a list each part has the
    name of its class: ``{"regularizers": "R1", "regularizers.R1.weight": 0.1}``.
    """
    inner = f"{name}." if name else ""
    if isinstance(description, list) and any(isinstance(item, dict) for item in description):
        parts = {short_name(item): item for item in description}
        found = {name: " ".join(parts)}
        for kind, part in parts.items():
            found |= {key: x for key, x in flat(part, inner + kind).items() if key != inner + kind}
        return found
    if not isinstance(description, dict):
        return {name: description}
    found = {}
    if "class_path" in description:
        found[name] = short_name(description)
        description = description["init_args"]
    for key, value in description.items():
        found |= flat(value, inner + key)
    return found


def short_name(description: Plain) -> str:
    """The name of a described part's class."""
    return str(description["class_path"]).rpartition(".")[2]
