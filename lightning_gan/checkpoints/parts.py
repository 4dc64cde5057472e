"""How parts are named in checkpoints, and built again from their names and arguments."""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.basics.arguments import Checked
from lightning_gan.basics.classes import public_path, subclasses
from lightning_gan.basics.plain import Plain
from lightning_gan.checkpoints.compiled import in_place
from lightning_gan.errors import ConfigurationError, WeightsError, said

MakeOptimizer = Callable[[Iterable[Tensor]], Optimizer]
P = TypeVar("P", bound="Part")


class Part(Checked):
    """A component of a GAN: network, objective, regularizer, alternation, augmentation or curve.

    The arguments that a part was built with, defaults included, are kept and travel in checkpoints.
    Subclasses need to do nothing for it. A class that is only there to be derived from says
    ``class Penalty(Regularizer, base=True)``, and is no choice on the command line.
    """

    _arguments: dict[str, Any]
    is_base: bool = True

    def __init_subclass__(cls, base: bool = False, **kwargs: object) -> None:
        """Lets the subclass's ``__init__`` have networks that are compiled in place."""
        super().__init_subclass__(**kwargs)
        cls.is_base = base
        if "__init__" not in cls.__dict__:
            return
        init = cls.__init__

        @functools.wraps(init)
        def with_plain_names(self: Part, *args: object, **kwargs: object) -> None:
            named = {name: in_place(value) for name, value in kwargs.items()}
            init(self, *map(in_place, args), **named)

        cls.__init__ = with_plain_names  # type: ignore[assignment, method-assign]  # the same

    def __new__(cls: type[P], *args: object, **kwargs: object) -> P:
        """Keeps the arguments, whoever defines ``__init__``, and whenever."""
        part = super().__new__(cls, *args, **kwargs)
        with contextlib.suppress(TypeError):  # of a copy, which has none; or ``__init__`` will say
            # Not by nn.Module's own way to set attributes, which is not ready yet.
            found = _bound(cls.__init__, part, *args, **kwargs)
            object.__setattr__(part, "_arguments", found)
        return part

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in own_arguments(self).items())
        return f"{type(self).__name__}({arguments})"


def _bound(function: Callable[..., None], *args: object, **kwargs: object) -> dict[str, Any]:
    """The arguments of a method by name, defaults included; ``*name`` of what goes by place."""
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for parameter in [*signature.parameters.values()][1:]:
        value = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= {name: in_place(each) for name, each in value.items()}
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            found |= {} if value == () else {f"*{parameter.name}": value}
        else:
            found[parameter.name] = in_place(value)
    return found


def own_arguments(part: Part) -> dict[str, Any]:
    """The arguments that ``part`` was built with, by name."""
    return getattr(part, "_arguments", {})


def describe(value: object, name: str = "") -> Plain:
    """``value`` in plain form: parts and optimizers by their public paths and arguments.

    Args:
        value: A part, a plain value, a list or dictionary of such, or a function that makes an
            optimizer. Of a plain module only its name is known.
        name: Of the argument that it is, for errors.

    Raises:
        ConfigurationError: If a function makes no optimizer, since an option is refused, or it is
            in the place of a curve; or if it is anything else, which no checkpoint can hold.
    """
    if name.startswith("*"):
        raise ConfigurationError(
            f"{name[1:]} goes by its place alone, which no checkpoint can hold: let __init__ take "
            f"{name[1:]}=... by name, as a list where there are several."
        )
    if isinstance(value, Part):
        arguments = {key: describe(item, key) for key, item in own_arguments(value).items()}
        return {"class_path": public_path(type(value)), "init_args": arguments}
    if isinstance(value, (list, tuple, nn.ModuleList)):
        return [describe(item, name) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: describe(item, name) for key, item in value.items()}
    if isinstance(value, nn.Module):  # whose code and arguments nobody has kept
        return type(value).__name__
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return describe(value.item(), name)  # a number of NumPy or torch
    if callable(value):
        return _describe_optimizer(value, name)
    raise ConfigurationError(
        f"{name or 'An argument'} is a {type(value).__name__}, which no checkpoint can hold: give "
        "numbers, texts, lists or dictionaries of such, or an object of a class of your own that "
        "is derived from lightning_gan's."
    )


def _describe_optimizer(make: MakeOptimizer, name: str) -> Plain:
    """The class and settings of what a function makes, since a function itself has no name."""
    if not name.endswith("optimizer"):
        raise ConfigurationError(
            f"{name or 'An argument'} is a function, which no checkpoint can hold: give a curve, "
            "such as CosineCurve, where a number is to move, or an object of a class of your own "
            "that is derived from lightning_gan's."
        )
    tried = nn.Parameter(torch.zeros(2, 2))  # some refuse vectors
    tried.grad = torch.zeros_like(tried)
    try:
        optimizer = make([tried])
    except ConfigurationError:
        raise
    except Exception as error:  # of whatever kind an optimizer raises
        raise ConfigurationError(f"The {name} refuses an option: {said(error)}.") from error
    try:
        if type(optimizer).__module__.startswith("torch."):  # whose steps change nothing else
            optimizer.step()
    except Exception as error:
        raise ConfigurationError(
            f"The {name} cannot make a step here: {said(error)}; take another, or other options."
        ) from error
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
    if isinstance(description, dict) and description.keys() != {"class_path", "init_args"}:
        return {name: build(item) for name, item in description.items()}
    if isinstance(description, dict):
        kind = _known(description["class_path"])
        arguments = {name: build(item) for name, item in description["init_args"].items()}
        return partial(kind, **arguments) if issubclass(kind, Optimizer) else kind(**arguments)
    return description


def _known(path: str) -> type[Any]:
    """The part or optimizer of that path among those that are imported."""
    found = [k for base in (Part, Optimizer) for k in subclasses(base) if public_path(k) == path]
    if found:
        # Of several the one that the name stands for by now: a cell or module may be run again.
        return next(filter(_is_of_now, found), found[-1])
    raise WeightsError(
        f"The checkpoint needs {path}, which is not known here: import its module first (predict: "
        "--import MODULE)."
    )


def _is_of_now(kind: type) -> bool:
    """Whether its module has it still, and not a newer one of that name."""
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind
