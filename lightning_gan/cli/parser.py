"""What jsonargparse refuses on a command line or in a configuration, in one sentence."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn

from jsonargparse import DefaultHelpFormatter, Namespace
from lightning.pytorch.cli import LightningArgumentParser

from lightning_gan.cli.choices import choices_for, classes_in, did_you_mean, nearest
from lightning_gan.cli.construction import raising
from lightning_gan.errors import ConfigurationError

KEY = re.compile(r'Parser key "([^"]+)":\s*')
"""How jsonargparse names the option that it speaks of."""

NOISE = re.compile(
    r"Does not validate|Subtypes:|Errors:|Given value|Expected a (config )?path but"
    r"|Expected a (<class ')?NoneType"
)
"""How lines begin that say nothing of what is wrong."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Leaves the lines of a description as they are."""


class Parser(LightningArgumentParser):
    """Says in one sentence what is wrong with an option, with the nearest match.

    jsonargparse makes one such parser for every class that is configured. The message of an inner
    one becomes lines in those of the outer ones.
    """

    def add_lightning_class_args(
        self,
        lightning_class: Callable[..., Any] | type[Any],
        nested_key: str,
        subclass_mode: bool = False,
        required: bool = False,
    ) -> list[str]:
        """Leaves it to the program to ask for what is missing, which a recipe may bring."""
        return super().add_lightning_class_args(
            lightning_class, nested_key, subclass_mode, required
        )

    def instantiate_classes(
        self,
        cfg: Namespace,
        **kwargs: Any,  # noqa: ANN401 (jsonargparse's own)
    ) -> Namespace:
        """Builds the classes that are named; what a constructor raises is raised here."""
        with raising(self):
            built: Namespace = super().instantiate_classes(cfg, **kwargs)
        return built

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises the sentence, or hands the message to the outer parser.

        Raises:
            ConfigurationError: From the outermost parser.
        """
        keys, reason = _innermost(message)
        if not re.search("did you mean|there are", message):  # the parser inside knows better
            message = message.replace(reason, reason + self._hint(keys, reason), 1)
            keys, reason = _innermost(message)
        if not self.exit_on_error:
            raise argparse.ArgumentError(None, message) from ex
        option = f"--{'.'.join(keys)}: " if keys else ""
        reason = reason.partition(". Got value: Namespace(")[0].rstrip(".")
        reason = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", reason)
        raise ConfigurationError(f"{option}{reason}{'' if reason.endswith('?') else '.'}") from ex

    def _hint(self, keys: list[str], reason: str) -> str:
        """What the word in quotes, or after a colon, was meant to be."""
        found = re.search(r"'([^']+)'|: ([^\s,]+)", reason)
        given = (found[1] or found[2]) if found else ""
        word = given.lstrip("-").partition("=")[0]
        actions = {action.dest: action for action in self._actions}
        if not keys and word not in actions:  # an option that does not exist
            near = nearest(word, actions)
            return f"; did you mean {'--' if given.startswith('--') else ''}{near}?" if near else ""
        if len(keys) != 1:
            return ""
        classes = classes_in(getattr(actions.get(keys[0]), "_typehint", None))
        known = [name for base in classes for name in choices_for(base)]
        return f"; {did_you_mean(word.rpartition('.')[2], known)}" if known else ""


def _innermost(message: str) -> tuple[list[str], str]:
    """The names of the options that are around the most indented line, and that line."""
    keys: list[tuple[int, str]] = []
    deepest, around, reason = -1, [], message.strip()
    for line in message.splitlines():
        text = line.lstrip(" -")
        depth = len(line) - len(text)
        if NOISE.match(text):
            continue
        if found := KEY.search(text):
            keys = [(at, key) for at, key in keys if at < depth] + [(depth, found[1])]
            text = text[found.end() :]
            depth += 1
        if text and depth > deepest:
            deepest, around, reason = depth, [key for at, key in keys if at < depth], text
    return around, reason
