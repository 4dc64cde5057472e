"""What is wrong with a command line or configuration, in one sentence with the nearest match."""

from __future__ import annotations

import argparse
import difflib
import errno
import inspect
import re
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NoReturn

from jsonargparse import DefaultHelpFormatter
from lightning.pytorch.cli import LightningArgumentParser

from lightning_gan.errors import ConfigurationError, WeightsError

NUMBERS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


class Parser(LightningArgumentParser):
    """Says in one sentence what is wrong with an option, with the nearest match.

    jsonargparse makes one such parser for every class that is configured. What an inner parser
    objects to reaches the outer ones as a mark in their message, so that the sentence is written
    where the class is known and the option is named in full where the program ends.
    """

    failures: typing.ClassVar[list[Failure]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (jsonargparse's own)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)
        self.subject = ""
        """Name of the class that is configured; empty for the command itself."""

    def add_class_arguments(self, theclass: type, *args: Any, **kwargs: Any) -> list[str]:  # noqa: ANN401
        """Remembers whose arguments these are."""
        if not args and "nested_key" not in kwargs:
            self.subject = getattr(theclass, "__name__", "")
        added: list[str] = super().add_class_arguments(theclass, *args, **kwargs)
        return added

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Ends the program with exit code 2, or hands the failure to the outer parser."""
        failure = _deeper(message) or explain(self, message)
        Parser.failures.append(failure)
        if not self.exit_on_error:
            raise argparse.ArgumentError(None, f"[failure {len(Parser.failures) - 1}]") from ex
        sys.stderr.write(f"lightning-gan: error: {failure.sentence()}\n")
        raise SystemExit(2)


class HelpFormatter(DefaultHelpFormatter):
    """Leaves the lines of a description as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text


class Failure:
    """A failure whose option is not yet known in full.

    Args:
        option: The option, as far as it is known.
        write: Writes the sentence from the full option.
    """

    def __init__(self, option: str, write: Callable[[str], str]) -> None:
        self.option = option
        self.write = write

    def below(self, key: str) -> Failure:
        """The same failure, seen from the parser that has it under ``key``."""
        return Failure(f"{key}.{self.option}" if key else self.option, self.write)

    def sentence(self) -> str:
        """The sentence for the user."""
        return self.write(f"--{self.option}")


def _deeper(message: str) -> Failure | None:
    """The failure of an inner parser that ``message`` passes on."""
    mark = re.search(r"\[failure (\d+)\]", message)
    if mark is None:
        return None
    key = _key(message)
    return Parser.failures[int(mark.group(1))].below("" if key == "config" else key)


def _key(message: str) -> str:
    found = re.match(r'\s*(?:Parser key "([^"]+)"|argument -*([\w.]+):)', message)
    key = (found.group(1) or found.group(2)) if found else ""
    return re.sub(r"^(fit|validate|test)\.", "", key)


def explain(parser: Parser, message: str) -> Failure:
    """What one of jsonargparse's messages means.

    Args:
        parser: The parser that it comes from.
        message: The message, in several lines.
    """
    for pattern, write in (
        (r"Option '([^']+)' is not accepted", _unknown_option),
        (r"does not accept option '([^']+)'", _unknown_option),
        (r"unrecognized arguments:\s+(\S+)", _unknown_option),
        (r"arguments are required: (\S+)", _missing),
        (r"argument (?:-\w/)?-*([\w.]+): expected one argument", _no_value),
        (r"invalid choice: '([^']+)'", _unknown_command),
    ):
        found = re.search(pattern, message)
        if found:
            return write(parser, found.group(1))
    key = _key(message)
    action = next((a for a in parser._actions if a.dest == key), None)
    hint = getattr(action, "_typehint", getattr(action, "type", None))
    value = re.search(r"(?:dot import path string: |Given value: |Got value: )(.*)", message)
    if hint is None or value is None:
        return Failure(key, lambda option: _other(option, message))
    return _wrong_value(key, hint, value.group(1).strip())


def _unknown_option(parser: Parser, name: str) -> Failure:
    if not name.startswith("-") and not parser.subject and "." not in name:
        return Failure(name, lambda option: f"{name} is neither an option nor an option's value.")
    name = name.lstrip("-").partition("=")[0]
    known = [a.dest for a in parser._actions if not a.dest.endswith("help")]
    near = nearest(name, known)

    def write(option: str) -> str:
        if parser.subject:
            prefix = option.removesuffix(name)
            whose = f"{option}: {parser.subject} has no option {name}"
        else:
            prefix, whose = "--", f"There is no option {option}"
        if near:
            return f"{whose}: did you mean {prefix}{near}?"
        if not parser.subject:
            return f"{whose}: see --help."
        return f"{whose}: it has {', '.join(known) or 'none, unless another class is named first'}."

    return Failure(name, write)


def _missing(parser: Parser, name: str) -> Failure:
    name = re.sub(r"^(fit|validate|test)\.", "", name.rstrip(","))
    for_what = f"{parser.subject} needs it" if parser.subject else "give it, or --config NAME"
    return Failure(name, lambda option: f"{option} is missing: {for_what}.")


def _no_value(parser: Parser, name: str) -> Failure:
    return Failure(name, lambda option: f"{option} needs a value.")


def _unknown_command(parser: Parser, name: str) -> Failure:
    known = ["fit", "validate", "test", "predict", "evaluate", "compare"]
    return Failure(name, lambda _: f"There is no command {name}: {did_you_mean(name, known)}")


def _other(option: str, message: str) -> str:
    """What jsonargparse or Python says of settings that have not even the right form."""
    said = re.sub(r'^(Parser key "[^"]*":\s*)+', "", plain(message))
    if re.search(r"has no attribute 'keys'|unhashable|not iterable|not subscriptable", said):
        said = "must be the name of a class, or class_path and init_args with lines of name: value."
    elif found := re.match(r"Problem with given class_path '([^']+)'", said):
        module = found.group(1).rpartition(".")[0]
        said = (
            f"there is no {found.group(1)}: the module {module} must lie in this folder or be "
            "installed, and hold that class."
        )
    elif found := re.match(r'Unable to load config "(.*)"', said):
        said = f"must be lines of name: value, not {found.group(1)}."
    return f"{option}: {said}" if option != "--" else said


def _wrong_value(key: str, hint: Any, value: str) -> Failure:  # noqa: ANN401 (any annotation)
    bases = list(classes_in(hint))
    if not bases:
        return Failure(key, lambda option: f"{option} must be {_in_words(hint)}, not {value}.")
    known = [name for base in bases for name in choices_for(base)]
    what = bases[0].__name__
    if len(known) > 12:
        hinted = nearest(value.rpartition(".")[2], known)
        hints = f"did you mean {hinted}?" if hinted else "{option}.help lists them all."
    else:
        hints = did_you_mean(value.rpartition(".")[2], known)
    return Failure(
        key,
        lambda option: (
            f"{option}: there is no {what} called {value}: {hints.replace('{option}', option)}"
        ),
    )


def classes_in(hint: Any) -> Iterator[type]:  # noqa: ANN401
    """The classes in an annotation whose subclasses can be chosen."""
    if inspect.isclass(hint) and not typing.get_args(hint):
        if hint.__module__ not in ("builtins", "types", "datetime"):
            yield hint
        return
    arguments = typing.get_args(hint)
    if arguments and isinstance(arguments[0], list):  # of a Callable only what it returns
        arguments = arguments[1:]
    for argument in arguments if typing.get_origin(hint) is not Literal else ():
        yield from classes_in(argument)


def choices_for(base: type) -> dict[str, type]:
    """The classes that can be taken for ``base``, by short name; itself if it has no subclass."""
    found: dict[str, type] = {}
    for part in _subclasses(base):
        if not inspect.isabstract(part) and not part.__name__.startswith("_"):
            found.setdefault(part.__name__, part)
    return dict(sorted(found.items())) or {base.__name__: base}


def _subclasses(base: type) -> Iterator[type]:
    for part in list[type](base.__subclasses__()):
        yield part
        yield from _subclasses(part)


def _in_words(hint: Any) -> str:  # noqa: ANN401
    """An annotation in words."""
    if hint in NUMBERS:
        return NUMBERS[hint]
    arguments = [a for a in typing.get_args(hint) if a is not type(None)]
    if typing.get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        literals = [a for a in arguments if typing.get_origin(a) is Literal]
        choices = [choice for literal in literals for choice in typing.get_args(literal)]
        if choices:
            return f"one of {', '.join(dict.fromkeys(map(str, choices)))}"
        if float in arguments:
            arguments = [a for a in arguments if a is not int]
        return " or ".join(dict.fromkeys(_in_words(argument) for argument in arguments))
    return str(getattr(hint, "__name__", hint))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``, whatever its case; None if none is near."""
    by_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_case, 1)
    return by_case[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Ends a sentence with the nearest of the known words, or with all of them."""
    known = list(known)
    near = nearest(word, known)
    return f"did you mean {near}?" if near else f"there are {', '.join(known)}."


def disk_full(error: Exception) -> WeightsError | None:
    """What to say if ``error`` comes from a disk without room; None if it does not.

    Where a checkpoint did not fit either, what was said of it, which names the one to go on from.
    """
    full = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
    if not isinstance(error, OSError) or error.errno not in full:
        return None
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, WeightsError):
        cause = cause.__context__
    return cause or WeightsError(
        f"{error.filename or 'A file of the run'} could not be written ({error.strerror}): make "
        "room, and go on with --ckpt_path last."
    )


def misfit(error: Exception) -> WeightsError | None:
    """What to say if ``error`` arose while a checkpoint was restored; None if it did not."""
    restoring = r"checkpoint_connector.py:_*(restore|resume)|(fit_loop|combined_loader).py:_load_"
    own = isinstance(error, (ConfigurationError, WeightsError))
    if own or not re.search(restoring, _passed_through(error)):
        return None
    reason = " ".join(str(error).split())[:200].rstrip(".")
    return WeightsError(
        f"The checkpoint cannot be restored ({type(error).__name__}: {reason}): take another "
        "checkpoint of the run, or build the model as it was."
    )


def refused(error: Exception) -> ConfigurationError | None:
    """What to say if the Trainer or an optimizer objects to an option; None if it does not."""
    if not isinstance(error, (TypeError, ValueError)) or isinstance(error, ConfigurationError):
        return None
    through, said = _passed_through(error), " ".join(str(error).split()).rstrip(".")
    if "cli.py:_instantiate_trainer" in through:
        return ConfigurationError(f"The Trainer refuses an option of --trainer: {said}.")
    if "gan.py:configure_optimizers" in through:
        return ConfigurationError(f"One of --model's two optimizers refuses an option: {said}.")
    return None


def _passed_through(error: Exception) -> str:
    """``file:function`` of all calls between where an exception was raised and caught, in lines."""
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    return "\n".join(f"{Path(code.co_filename).name}:{code.co_name}" for code in codes)


def plain(message: str) -> str:
    """Any message in one line; of jsonargparse's lists of attempts, the one that says most."""
    mark = re.search(r"\[failure (\d+)\]", message)
    if mark is not None:
        return Parser.failures[int(mark.group(1))].sentence()
    usual = "Expected a |Does not validate against "
    attempts = re.findall(rf"^\s*- (?!{usual})(.*)$", message, flags=re.MULTILINE)
    line = " ".join((attempts[0] if attempts else message).split())
    return line if line.endswith((".", "?", "!")) else f"{line}."
