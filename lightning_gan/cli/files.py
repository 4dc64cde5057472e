"""Configuration files, and YAML on the command line: what they must not hold is said before."""

import re
from decimal import Decimal
from enum import Enum
from pathlib import Path

import yaml

from lightning_gan.errors import ConfigurationError, said

DEEPEST = 50
"""How deeply settings are nested at most."""
MOST = 100_000
"""Settings at most, those that aliases repeat counted each time."""
TEXT = re.compile(
    r"(root|folder|name|names|key|dir|path|config|data|(?<!_)samples|output|time|wandb\w*)\+?$"
)
"""How options end that take texts, which are no numbers if they look like one; num_samples does."""
OTHER_BASES = re.compile(r"[-+]?(0[0-7_]+|[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
"""What is a number to YAML 1.1, but not to the base ten."""
WHOLE = re.compile(r"\d+(\.\d+)?[eE]\+?\d{1,2}")
"""Numbers that may be whole, in the form of floating-point ones."""


def whole_number(word: str) -> int | None:
    """The whole number that is written like 3e5 or 1.5e3; None for anything else."""
    if not WHOLE.fullmatch(word):
        return None
    number = Decimal(word)
    return int(number) if number == number.to_integral_value() and number < 10**18 else None


class Dumper(yaml.SafeDumper):
    """Puts texts like 1e5 in quotes, which are numbers to jsonargparse, if not to YAML 1.1."""


Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
)
Dumper.add_multi_representer(Enum, lambda dumper, choice: dumper.represent_str(choice.name))


def in_digits(text: str) -> str:
    """The same YAML with whole numbers like 1e5 written out, which would else be no whole ones.

    Where an option takes a text they are put in quotes: jsonargparse would read a number.

    Raises:
        yaml.YAMLError: If it is no YAML.
    """
    parts, end, key, before = [], 0, "", None
    for token in yaml.scan(text, yaml.SafeLoader):
        if isinstance(token, yaml.ScalarToken):
            if isinstance(before, yaml.KeyToken):
                key = token.value
            number = whole_number(token.value) if token.plain else None
            if number is not None:
                written = f"'{token.value}'" if TEXT.search(key) else str(number)
                parts += [text[end : token.start_mark.index], written]
                end = token.end_mark.index
        before = token
    return "".join([*parts, text[end:]])


def as_yaml(settings: object) -> str:
    """Settings as YAML, from which jsonargparse reads them again."""
    text: str = yaml.dump(
        settings, Dumper=Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False
    )
    return text


def read_settings(path: Path) -> dict[str, object]:
    """What a configuration file says.

    Raises:
        ConfigurationError: If it is no YAML, with the line at fault, holds no settings, or repeats
            itself without end.
    """
    try:
        text = path.read_text(encoding="utf-8")
        check_yaml(text, str(path))
        settings = yaml.safe_load(text)
    except ConfigurationError:
        raise
    except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        no_text = "it is no text" if isinstance(error, UnicodeDecodeError) else said(error)
        reason = getattr(error, "problem", None) or no_text
        raise ConfigurationError(
            f"{path} is not a YAML file: {reason}{where}; mend it, or give a recipe."
        ) from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path} holds no settings: start it with model:, data: or so.")
    return settings


def check_yaml(text: str, name: str) -> None:
    """Refuses YAML that would never be read to its end.

    Args:
        text: The YAML.
        name: What errors call it.

    Raises:
        ConfigurationError: If it is nested too deeply, contains itself, grows by its aliases, sets
            something twice, or has a number that is another one to YAML.
        yaml.YAMLError: If it is no YAML.
    """
    too_deep = ConfigurationError(f"{name} is nested more than {DEEPEST} levels deep: mend it.")
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, around: tuple[int, ...]) -> int:
        """How many nodes one is, with all inside it."""
        if id(node) in around:
            raise ConfigurationError(
                f"{name} has an alias inside what it repeats: write out what is meant."
            )
        if len(around) > DEEPEST:
            raise too_deep
        if id(node) not in sizes:
            _refuse_twice(node, name)
            _refuse_other_bases(node, name)
            inside = (*around, id(node))
            sizes[id(node)] = 1 + sum(size(part, inside) for part in _parts(node))
        return sizes[id(node)]

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise too_deep from None
    count = 0 if node is None else size(node, ())
    if count > MOST:
        raise ConfigurationError(
            f"{name} has {count:,} settings by its aliases, more than {MOST:,}: write fewer."
        )


def _refuse_twice(node: yaml.Node, name: str) -> None:
    """Refuses a mapping with two values of one name, of which YAML would take the last."""
    keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    first: dict[str, int] = {}
    for key in keys:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in first:
            before = first[key.value]
            where = f"line {line}" if line == before else f"lines {before} and {line}"
            raise ConfigurationError(f"{name} sets {key.value} twice, in {where}: leave one.")
        first[key.value] = line


def _refuse_other_bases(node: yaml.Node, name: str) -> None:
    """Refuses numbers to the base 8 or 60, such as 010 and 1:30, that nobody means."""
    if (
        isinstance(node, yaml.ScalarNode)
        and node.style is None
        and OTHER_BASES.fullmatch(node.value)
    ):
        raise ConfigurationError(
            f"{name} has {node.value} in line {node.start_mark.line + 1}, which YAML reads as "
            f"{yaml.safe_load(node.value)}: write the number that is meant, or a text in quotes."
        )


def _parts(node: yaml.Node) -> list[yaml.Node]:
    """The nodes right inside one."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
