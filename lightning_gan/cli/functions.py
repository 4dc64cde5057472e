"""Functions as commands: their parameters are the options, and their docstrings the help."""

import importlib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import docstring_parser

from lightning_gan.basics.texts import folded, printable, shortened
from lightning_gan.cli.options import KEYWORDS, option_of
from lightning_gan.cli.parser import Parser
from lightning_gan.errors import ConfigurationError, said

if typing.TYPE_CHECKING:
    import torch

REMOTE = re.compile(r"(?:--[\w.]+=)?([A-Za-z][A-Za-z0-9+.-]+://.*)", re.DOTALL)
"""An address that is no path."""
LONGEST = 200
"""Characters of a path in an error."""


def run_function(function: Callable[..., None], arguments: list[str]) -> None:
    """Calls a function with what the command line gives for its parameters.

    Those that it takes by name only are options, the others stand by themselves, ``*these`` as many
    as there are. An option that is () where it is left out may be repeated.

    Raises:
        ConfigurationError: If an option is unknown, missing, or of another type, or a file or
            folder cannot be used.
    """
    _refuse_empty(arguments)
    _refuse_remote(arguments)
    parser = _parser(function)
    given = dict(parser.instantiate_classes(parser.parse_args(arguments)))
    parameters = inspect.signature(function).parameters.values()
    positional = [given.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += given.pop(parameter.name)
    try:
        function(*positional, **given)
    except BrokenPipeError:  # whoever reads the output has seen enough
        raise
    except OSError as error:  # of a place that the user has given
        place = shortened(str(error.filename or "The output"), LONGEST)
        raise ConfigurationError(
            f"{place} cannot be used ({error.strerror or said(error)}): mend that, or give another "
            "place."
        ) from error


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Refuses values without a character, which for a place would be the current folder.

    Raises:
        ConfigurationError: With the option of the first.
    """
    for before, word in pairwise(["", *arguments]):
        flag, equals, value = word.partition("=")
        joined = bool(equals) and flag.startswith("--")
        if not word or (joined and not value):  # --output=lr= ends in a sign, and has a value
            option = flag if joined else before
            what = option if re.fullmatch(r"--[\w.]+", option) else "An argument"
            raise ConfigurationError(f"{what} is empty: give a value, or leave it out.")


def _refuse_remote(arguments: Sequence[str]) -> None:
    """Refuses addresses such as ``s3://bucket/run``, which would be read as odd folders.

    Raises:
        ConfigurationError: With the first.
    """
    for word in arguments:
        if found := REMOTE.fullmatch(word):
            raise ConfigurationError(
                f"{shortened(found[1], LONGEST)} is not on this machine: copy it here, or give a "
                "path."
            )


def _parser(function: Callable[..., None]) -> Parser:
    parameters = inspect.signature(function).parameters.values()
    text = docstring_parser.parse(function.__doc__ or "")
    described = {parameter.arg_name: parameter.description for parameter in text.params}
    parser = Parser(
        prog=f"lightning-gan {function.__name__}",
        description="\n\n".join(filter(None, (text.short_description, text.long_description))),
    )
    hints = typing.get_type_hints(function)
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    for parameter in positional:
        parser.add_argument(
            parameter.name,
            type=hints[parameter.name],
            help=described.get(parameter.name),
            **_how_many(parameter),
        )
    special = [p for p in parameters if p.name in KEYWORDS or p.default == ()]
    skip: set[str | int] = {parameter.name for parameter in [*positional, *special]}
    parser.add_function_arguments(function, as_group=False, skip=skip)
    for parameter in special:
        option = option_of(parameter.name)
        repeated = {"action": "append", "type": str, "default": []}
        once = {"type": hints[parameter.name], "default": parameter.default}
        parser.add_argument(
            f"--{option}",
            dest=parameter.name,
            metavar=option.upper(),
            help=described.get(parameter.name),
            **(repeated if parameter.default == () else once),
        )
    return parser


def _how_many(parameter: inspect.Parameter) -> dict[str, Any]:
    """How argparse takes a parameter that stands by itself."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return {"nargs": "+"}
    optional = parameter.default is not parameter.empty
    return {"nargs": "?", "default": parameter.default} if optional else {}


def note(sentence: str) -> None:
    """Says something beside the results, which may be on their way to a file."""
    sys.stderr.write(folded(f"lightning-gan: {printable(sentence)}", sys.stderr) + "\n")


def import_modules(names: Sequence[str]) -> None:
    """Imports modules with parts that a checkpoint names; ``[a, b]`` is two of them.

    Raises:
        ConfigurationError: If one cannot be imported.
    """
    for name in (name.strip() for each in names for name in each.strip("[]").split(",")):
        try:
            importlib.import_module(name)
        except (ImportError, TypeError, ValueError) as error:  # for '..' and ''
            raise ConfigurationError(
                f"--import {name}: {said(error)}; the module must lie here or be installed."
            ) from error


def device_called(name: str | None) -> "torch.device":
    """The device of that name; the first GPU, where there is one, for None.

    Raises:
        ConfigurationError: If torch cannot use it.
    """
    import torch  # here, since most of these commands do without

    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # which the device meta has not
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ConfigurationError(
            f"--device {name} cannot be used here: leave it out, or take cpu."
        ) from error
    return device
