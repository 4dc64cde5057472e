"""How parts are named in checkpoints, and built again from their names and arguments."""

import functools
import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.basics.classes import public_path, subclasses
from lightning_gan.basics.plain import Plain
from lightning_gan.checkpoints.compiled import in_place
from lightning_gan.errors import ConfigurationError, WeightsError, said

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
            args = tuple(map(in_place, args))
            kwargs = {name: in_place(value) for name, value in kwargs.items()}
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


def describe(value: object, name: str = "") -> Plain:
    """``value`` in plain form: parts and optimizers by their public paths and arguments.

    Args:
        value: A part, a list of parts, a plain value, or a function that makes an optimizer. Of a
            plain module only its name is known.
        name: Of the argument that it is, for errors.

    Raises:
        ConfigurationError: If a function makes no optimizer, since an option is refused, or it is
            in the place of a curve.
    """
    if isinstance(value, Part):
        arguments = {key: describe(item, key) for key, item in own_arguments(value).items()}
        return {"class_path": public_path(type(value)), "init_args": arguments}
    if isinstance(value, (list, tuple, nn.ModuleList)):
        return [describe(item, name) for item in value]
    if isinstance(value, nn.Module):  # whose code and arguments nobody has kept
        return type(value).__name__
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return describe(value.item(), name)  # a number of NumPy or torch
    return _describe_optimizer(value, name) if callable(value) else repr(value)


def _describe_optimizer(make: MakeOptimizer, name: str) -> Plain:
    """The class and settings of what a function makes, since a function itself has no name."""
    if not name.endswith("optimizer"):
        raise ConfigurationError(
            f"{name or 'An argument'} is a function, which no checkpoint can hold: give a curve, "
            "such as CosineCurve, where a number is to move, or an object of a class of your own "
            "that is derived from lightning_gan's."
        )
    try:
        optimizer = make([nn.Parameter(torch.zeros(1))])
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The {name} refuses an option: {said(error)}.") from error
    names = inspect.signature(type(optimizer)).parameters.keys() & optimizer.defaults.keys()
    arguments = {name: describe(optimizer.defaults[name]) for name in sorted(names)}
    return {"class_path": public_path(type(optimizer)), "init_args": arguments}


def build(description: Plain) -> Any:  # noqa: ANN401 (the inverse of describe)
    """Builds what :func:`describe` described, from classes that are imported and no others.

    Raises:
        WeightsError: If a class is not known here; nothing is imported on a file's word.
    """
    if isinstance(description, list):
        return [build(item) for item in description]
    if isinstance(description, dict):
        kind = _known(description["class_path"])
        arguments = {name: build(item) for name, item in description["init_args"].items()}
        return partial(kind, **arguments) if issubclass(kind, Optimizer) else kind(**arguments)
    return description


def _known(path: str) -> type[Any]:
    """The part or optimizer of that path among those that are imported."""
    for base in (Part, Optimizer):
        for kind in subclasses(base):
            if public_path(kind) == path:
                return kind
    raise WeightsError(
        f"The checkpoint needs {path}, which is not known here: import its module first (predict: "
        "--import MODULE)."
    )
