"""Classes by their public names, and what was derived from them."""

import sys
from collections.abc import Iterator
from typing import Any


def public_path(kind: type) -> str:
    """The shortest path that a class can be imported by, such as ``torch.optim.Adam``.

    A file inside a package can move, and what was saved before still names the class.
    """
    steps = kind.__module__.split(".")
    for length in range(1, len(steps)):
        package = ".".join(steps[:length])
        if getattr(sys.modules.get(package), kind.__name__, None) is kind:
            return f"{package}.{kind.__name__}"
    return f"{kind.__module__}.{kind.__qualname__}"


def subclasses(base: type[Any]) -> Iterator[type[Any]]:
    """All imported subclasses of ``base``, at any depth."""
    for kind in base.__subclasses__():
        yield kind
        yield from subclasses(kind)
