"""How parts are named in checkpoints, and built again from their names and arguments."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.errors import ConfigurationError, WeightsError

Plain = Any
"""None, booleans, numbers, texts, and lists and dictionaries of them."""

MakeOptimizer = Callable[[Iterable[Tensor]], Optimizer]


class Part:
    """A component of a GAN: network, objective, regularizer, alternation, augmentation or curve.

    The arguments that a part was built with, defaults included, are kept and travel in checkpoints.
    Subclasses need to do nothing for it. A class that is only there to be derived from says
    ``class Penalty(Regularizer, base=True)``, and is no choice on the command line.
    """

    _arguments: dict[str, Any]
    is_base: bool = True

    def __init_subclass__(cls, base: bool = False, **kwargs: object) -> None:
        """Wraps the subclass's ``__init__`` so that the outermost call is recorded."""
        super().__init_subclass__(**kwargs)
        cls.is_base = base
        if "__init__" not in cls.__dict__:
            return
        init = cls.__init__

        @functools.wraps(init)
        def recorded(self: Part, *args: object, **kwargs: object) -> None:
            if "_arguments" not in self.__dict__:
                bound = inspect.signature(init).bind(self, *args, **kwargs)
                bound.apply_defaults()
                arguments = dict(list(bound.arguments.items())[1:])
                for parameter in inspect.signature(init).parameters.values():
                    if parameter.kind is parameter.VAR_KEYWORD:
                        arguments |= arguments.pop(parameter.name)
                # Not by nn.Module's own way to set attributes, which is not ready yet.
                object.__setattr__(self, "_arguments", arguments)
            init(self, *args, **kwargs)

        cls.__init__ = recorded  # type: ignore[assignment, method-assign]  # the same, recorded

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in own_arguments(self).items())
        return f"{type(self).__name__}({arguments})"


def own_arguments(part: Part) -> dict[str, Any]:
    """The arguments that ``part`` was built with, by name."""
    return getattr(part, "_arguments", {})


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


def describe(value: object) -> Plain:
    """``value`` in plain form: every part as its public path and arguments."""
    if isinstance(value, Part):
        arguments = {name: describe(item) for name, item in own_arguments(value).items()}
        return {"class_path": public_path(type(value)), "init_args": arguments}
    if isinstance(value, (list, tuple, nn.ModuleList)):
        return [describe(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value)


def build(description: Plain) -> Any:  # noqa: ANN401 (the inverse of describe)
    """Builds what :func:`describe` described, from parts that are already imported and no others.

    Raises:
        WeightsError: If a class is not an imported part; nothing is imported on a file's word.
    """
    if isinstance(description, list):
        return [build(item) for item in description]
    if isinstance(description, dict):
        kind = _known(description["class_path"], Part)
        arguments = {name: build(item) for name, item in description["init_args"].items()}
        return kind(**arguments)
    return description


def describe_optimizer(make: MakeOptimizer, player: str) -> Plain:
    """What a function makes optimizers of: the class and its settings, as it makes one now.

    Raises:
        ConfigurationError: If it makes none, because an option is refused or for another reason.
    """
    try:
        optimizer = make([nn.Parameter(torch.zeros(1))])
    except (TypeError, ValueError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise ConfigurationError(f"The {player}'s optimizer refuses an option: {said}.") from error
    names = inspect.signature(type(optimizer)).parameters.keys() & optimizer.defaults.keys()
    arguments = {name: describe(optimizer.defaults[name]) for name in sorted(names)}
    return {"class_path": public_path(type(optimizer)), "init_args": arguments}


def build_optimizer(description: Plain) -> MakeOptimizer:
    """The function that makes such optimizers.

    Raises:
        WeightsError: If their class is not known here.
    """
    kind: Callable[..., Optimizer] = _known(description["class_path"], Optimizer)
    arguments = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in description["init_args"].items()
    }
    return functools.partial(kind, **arguments)


def _known(path: str, base: type[Any]) -> type[Any]:
    """The class of that path among the imported subclasses of ``base``."""
    for kind in subclasses(base):
        if public_path(kind) == path:
            return kind
    raise WeightsError(
        f"The checkpoint needs {path}, which is not known here: import its module first (predict: "
        "--import MODULE)."
    )


def subclasses(base: type[Any]) -> Iterator[type[Any]]:
    """All imported subclasses of ``base``, at any depth."""
    for kind in base.__subclasses__():
        yield kind
        yield from subclasses(kind)
