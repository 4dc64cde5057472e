"""Parts remember how they were built, so that a checkpoint can say how to build them again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any

from torch import nn

from lightning_gan.errors import WeightsError


class Part:
    """A component of a GAN: network, objective, regularizer, alternation, augmentation or curve.

    The arguments that a part was built with, defaults included, are kept in plain form and travel
    in checkpoints. Subclasses need to do nothing for it.
    """

    _arguments: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401 (whatever subclasses pass on)
        """Wraps the subclass's ``__init__`` so that the outermost call is recorded."""
        super().__init_subclass__(**kwargs)
        if "__init__" not in cls.__dict__:
            return
        init = cls.__init__

        @functools.wraps(init)
        def recorded(self: Part, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            if "_arguments" not in self.__dict__:
                bound = inspect.signature(init).bind(self, *args, **kwargs)
                bound.apply_defaults()
                arguments = dict(list(bound.arguments.items())[1:])
                for parameter in inspect.signature(init).parameters.values():
                    if parameter.kind is parameter.VAR_KEYWORD:
                        arguments |= arguments.pop(parameter.name)
                object.__setattr__(self, "_arguments", arguments)
            init(self, *args, **kwargs)

        cls.__init__ = recorded  # type: ignore[assignment, method-assign]  # the same, recorded

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in own_arguments(self).items())
        return f"{type(self).__name__}({arguments})"


def own_arguments(part: Part) -> dict[str, Any]:
    """The arguments that ``part`` was built with, by name."""
    return getattr(part, "_arguments", {})


def describe(value: Any) -> Any:  # noqa: ANN401 (parts, lists of parts, and plain values)
    """``value`` in plain form: every part as its class path and arguments."""
    if isinstance(value, Part):
        path = f"{type(value).__module__}.{type(value).__qualname__}"
        arguments = {name: describe(item) for name, item in own_arguments(value).items()}
        return {"class_path": path, "init_args": arguments}
    if isinstance(value, (list, tuple, nn.ModuleList)):
        return [describe(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value)


def build(description: Any) -> Any:  # noqa: ANN401 (the inverse of describe)
    """Builds what :func:`describe` described, from parts that are already imported and no others.

    Raises:
        WeightsError: If a class is not an imported part; nothing is imported on a file's word.
    """
    if isinstance(description, list):
        return [build(item) for item in description]
    if isinstance(description, dict):
        path = description["class_path"]
        known = {f"{part.__module__}.{part.__qualname__}": part for part in all_parts()}
        if path not in known:
            raise WeightsError(
                f"The checkpoint needs {path}, which is not known here: import its module first "
                "(predict: --import MODULE)."
            )
        arguments = {name: build(item) for name, item in description["init_args"].items()}
        return known[path](**arguments)
    return description


def all_parts(base: type[Part] = Part) -> Iterator[type[Part]]:
    """All imported subclasses of ``base``, at any depth."""
    for part in base.__subclasses__():
        yield part
        yield from all_parts(part)
