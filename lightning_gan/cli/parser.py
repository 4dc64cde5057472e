"""What jsonargparse refuses on a command line or in a configuration, in one sentence."""

import argparse
import os
import re
from collections.abc import Iterator
from typing import Any, NoReturn, get_args

import yaml
from jsonargparse import (
    ArgumentParser,
    DefaultHelpFormatter,
    Namespace,
    get_loader,
    set_dumper,
    set_loader,
)

from lightning_gan.cli.choices import classes_in
from lightning_gan.cli.construction import Escape, escaping
from lightning_gan.cli.documentation import shown
from lightning_gan.cli.files import as_yaml, in_digits, whole_number
from lightning_gan.cli.kinds import in_words, takes_scalars
from lightning_gan.cli.markup import plain
from lightning_gan.cli.mistakes import explained
from lightning_gan.errors import ConfigurationError

KEY = re.compile(r'Parser key "([^"]+)":\s*')
"""How a message begins that is about an option."""
# Lightning's command line calls what jsonargparse 5 will no longer have, which users cannot mend.
os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
_usual = get_loader("yaml")


def _loaded(text: str) -> object:
    """What YAML makes of a text; a comment alone, such as ``#3``, is a text and not nothing."""
    return text if text.startswith("#") and "\n" not in text else _usual(in_digits(text))


set_loader("yaml", _loaded, (yaml.YAMLError,))
set_dumper("yaml", as_yaml)


class HelpFormatter(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Leaves the lines of a description as they are, and says what an option takes in words."""

    def add_text(self, text: str | None) -> None:
        """Adds a description, without marks."""
        super().add_text(plain(text) if text else text)

    def _expand_help(self, action: argparse.Action) -> str:
        text = plain(action.help or "").strip()
        said = []
        if action.required:
            said.append("required")
        hint = getattr(action, "_typehint", None) or action.type
        classes = [*classes_in(hint)]
        if hint is not None and not classes and getattr(action, "choices", None) is None:
            said.append(in_words(hint))
        if action.default not in (None, argparse.SUPPRESS, []) and action.option_strings:
            said.append(f"default: {shown(action.default)}")
        brackets = f" ({'; '.join(said)})" if said else ""
        return f"{text.rstrip('.')}{brackets}." if text else brackets.strip()


class Parser(ArgumentParser):
    """Says in one sentence what is wrong with an option, with the nearest match.

    jsonargparse makes one such parser for every class that is configured, and what an inner one
    refuses is the cause of what the outer ones refuse.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (jsonargparse's own)
        own: dict[str, Any] = {"formatter_class": HelpFormatter, "allow_abbrev": False}
        super().__init__(*args, **own | kwargs)

    def instantiate_classes(
        self,
        cfg: Namespace,
        **kwargs: Any,  # noqa: ANN401 (jsonargparse's own)
    ) -> Namespace:
        """Builds the classes that are named; what a constructor raises is raised here."""
        self.add_instantiator(escaping, object)
        try:
            built: Namespace = super().instantiate_classes(cfg, **kwargs)
        except Escape as escape:
            raise escape.error from escape.error.__cause__
        return built

    def _check_value_key(
        self,
        action: argparse.Action,
        value: object,
        *args: Any,  # noqa: ANN401 (jsonargparse's own)
        **kwargs: Any,  # noqa: ANN401 (jsonargparse's own)
    ) -> Any:  # noqa: ANN401 (jsonargparse's own)
        """Takes a quoted 1e5 for 100000 where a number is wanted, as it takes a quoted 100000."""
        hint = getattr(action, "_typehint", None)
        if isinstance(value, str) and takes_scalars(hint) and str not in get_args(hint):
            value = value if (number := whole_number(value)) is None else str(number)
        return super()._check_value_key(action, value, *args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises the sentence, or hands what is refused to the outer parser.

        Raises:
            ConfigurationError: From the outermost parser.
        """
        if isinstance(ex, Refusal) and ex.parser is self:  # a parser catches what it raises itself
            refusal = ex
        else:
            refusal = Refusal(self, message)
            refusal.__cause__ = ex
        if not self.exit_on_error:
            raise refusal
        raise ConfigurationError(_sentence([*_causes(refusal)])) from refusal


class Refusal(argparse.ArgumentError):
    """What one parser refuses.

    Args:
        parser: The parser, which knows the options there are.
        message: What jsonargparse says, in several lines.
    """

    def __init__(self, parser: Parser, message: str) -> None:
        super().__init__(None, message)
        self.parser = parser
        found = KEY.match(message)
        self.key = found[1] if found else ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__


def _sentence(chain: list[BaseException]) -> str:
    """The innermost message, under the full name of its option."""
    refusals = [refusal for refusal in chain if isinstance(refusal, Refusal)]
    option = "--" + ".".join(refusal.key for refusal in refusals if refusal.key)
    reason = KEY.sub("", str(chain[-1]).strip()).partition("\n")[0].rstrip(".")
    text = explained(reason, option, refusals[-1].parser, refusals[0].parser)
    return text if text.endswith("?") else f"{text}."
