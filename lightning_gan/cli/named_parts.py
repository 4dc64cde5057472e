"""Options of a part by the name of its class: ``--model.regularizers.R1.weight 0.1``."""

import inspect
import json
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from jsonargparse import Namespace
from lightning.pytorch import Callback

from lightning_gan import callbacks
from lightning_gan.basics.words import did_you_mean
from lightning_gan.checkpoints.parts import Part
from lightning_gan.cli.choices import choices_for
from lightning_gan.cli.mistakes import CALLBACKS
from lightning_gan.cli.parser import Parser
from lightning_gan.errors import ConfigurationError
from lightning_gan.regularizers import Regularizer

NAMED = re.compile(r"(--(?:model|trainer)(?:\.[a-z_]\w*)+\.[A-Z]\w*)\.(?:init_args\.)?(.+)")
"""An option of a part that is named by its class."""
LISTS: dict[str, type] = {CALLBACKS: Callback, "--model.regularizers": Regularizer}
"""Options that parts are added to, with the parts' class."""
USUAL = [
    name
    for name, kind in vars(callbacks).items()
    if isinstance(kind, type) and issubclass(kind, Callback)
]
"""Callbacks that need not be asked for."""


@dataclass
class Split:
    """A command line, and what it says of parts by their names.

    Args:
        rest: All other arguments, in their order.
        named: By the full name of a part, as in ``--model.regularizers.R1``, its options.
    """

    rest: list[str] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)


def split(arguments: Sequence[str]) -> Split:
    """Takes the options of named parts out of a command line.

    What a part requires that the command line itself chooses stays, behind its name: jsonargparse
    refuses the part without.
    """
    found, options = Split(), [*_with_values(arguments)]
    chosen = Counter(map(_chosen, options))
    required: dict[str, list[str]] = {}
    for words in options:
        match = NAMED.fullmatch(words[0].partition("=")[0])
        if match is not None and chosen[match[1]] == 1 and match[2] in _requires(match[1]):
            short = words[0].replace(match[1], match[1].rpartition(".")[0], 1)
            required.setdefault(match[1], []).extend([short, *words[1:]])
        elif match is not None:
            found.named.setdefault(match[1], []).extend(words)
    for words in options:
        if not NAMED.fullmatch(words[0].partition("=")[0]):
            found.rest += [*words, *required.get(_chosen(words), [])]
    return found


def _with_values(arguments: Sequence[str]) -> Iterator[list[str]]:
    """Each flag with its value, where that stands by itself; other words alone."""
    waiting = list(arguments)
    while waiting:
        words = [waiting.pop(0)]
        if words[0].startswith("--") and "=" not in words[0]:
            words += [waiting.pop(0)] if waiting and not waiting[0].startswith("--") else []
        yield words


def _chosen(words: Sequence[str]) -> str:
    """The full name of the part that an option chooses, if it chooses one."""
    flag, _, value = "=".join(words).partition("=")
    return f"{flag.removesuffix('+')}.{value.rpartition('.')[2]}"


def _requires(flag: str) -> list[str]:
    """The arguments that a part must be given, by its full name."""
    kind = (choices_for(Part) | choices_for(Callback)).get(flag.rpartition(".")[2])
    parameters = inspect.signature(kind).parameters.values() if kind else ()
    return [each.name for each in parameters if each.default is each.empty]


def change(config: Namespace, named: dict[str, list[str]]) -> None:
    """Gives named parts their options, whatever else was asked for.

    A usual callback that was not asked for, such as ``CollapseGuard``, is asked for hereby.

    Args:
        config: The configuration of a command, which is changed.
        named: As in :class:`Split`.

    Raises:
        ConfigurationError: If there is no such part, or there are several, or an option is wrong.
    """
    for flag, options in named.items():
        option, _, name = flag.rpartition(".")
        holder, key = _find(config, option)
        found = [part for part in _parts(holder.get(key)) if _name(part) == name]
        if len(found) > 1:
            raise ConfigurationError(
                f"{flag}: there are {len(found)} {name} in {option}: give each its own options in "
                "a file, with --config FILE."
            )
        if found:
            kind = pkgutil.resolve_name(found[0].class_path)
            changed = _parsed(kind, flag, _as_json(found[0]), options)
            vars(found[0]).clear()  # or the options of a curve would stay with another curve
            found[0].update(changed)
        elif option == CALLBACKS and name in USUAL:
            asked = holder.get(key) or []
            added = _parsed(Callback, flag, name, options)
            holder[key] = [*(asked if isinstance(asked, list) else [asked]), added]
        else:
            raise ConfigurationError(_missing(holder.get(key), option, name))


def refuse_unclear(config: Namespace, arguments: Sequence[str]) -> None:
    """Refuses options of a part in a list, where it is not said of which one.

    jsonargparse takes the last part of the list, which is clear only to who has just added it.

    Args:
        config: The configuration that the command line led to.
        arguments: The command line, without what :class:`Split` took out of it.

    Raises:
        ConfigurationError: With the names to choose from.
    """
    added: set[str] = set()
    for argument in arguments:
        flag, _, _ = argument.partition("=")
        names = flag.removeprefix("--").replace(".init_args.", ".").removesuffix("+").split(".")
        if flag.startswith(("--model.", "--trainer.")):
            added.add(".".join(names))
            for count in range(2, len(names)):
                option, rest = ".".join(names[:count]), ".".join(names[count:])
                known = _listed(config, option)
                if len(known) > 1 and option not in added:
                    raise ConfigurationError(
                        f"{flag}: there are {', '.join(known)} in --{option}: say whose {rest}, as "
                        f"in --{option}.{known[-1]}.{rest}."
                    )


def _listed(config: Namespace, option: str) -> list[str]:
    """The names of the parts in an option that is a list of them."""
    with suppress(ConfigurationError):
        holder, key = _find(config, option)
        value = holder[key]
        if isinstance(value, list) and all(isinstance(each, Namespace) for each in value):
            return [_name(part) for part in value if "class_path" in part]
    return []


def _find(config: Namespace, option: str) -> tuple[Namespace, str]:
    """Where in a configuration the value of an option stands.

    Raises:
        ConfigurationError: If there is no such option.
    """
    *outer, key = option.removeprefix("--").split(".")
    here = config
    for place, name in enumerate([*outer, key], 1):
        here = here.get("init_args") or here
        if name not in here or (name != key and not isinstance(here[name], Namespace)):
            before = ".".join(["-", *outer][:place]).replace("-.", "--")
            hint = did_you_mean(name, vars(here))
            raise ConfigurationError(f"There is no option {name} in {before}: {hint}")
        if place <= len(outer):
            here = here[name]
    return here, key


def _parts(value: object) -> Iterator[Namespace]:
    """The parts in a value: itself, those of a list, and what they are around."""
    if isinstance(value, list):
        for each in value:
            yield from _parts(each)
    elif isinstance(value, Namespace):
        if "class_path" in value:
            yield value
        inner = value.get("init_args")
        for each in vars(inner).values() if inner else ():
            yield from _parts(each)


def _name(part: Namespace) -> str:
    name: str = part.class_path
    return name.rpartition(".")[2]


def _as_json(part: Namespace) -> str:
    return json.dumps(part.as_dict(), default=str)


def _parsed(kind: type, flag: str, value: str, options: Sequence[str]) -> Namespace:
    """A part with its options, as jsonargparse reads them.

    Args:
        kind: Its class, or that which it is derived from.
        flag: What it is called on the command line.
        value: What it is before, in JSON, or the name of its class.
        options: What is said of it.

    Raises:
        ConfigurationError: If an option is wrong.
    """
    for option, following in zip(options, [*options[1:], "--"], strict=True):
        alone = option.startswith("--") and "=" not in option and following.startswith("--")
        if alone and not option.endswith(".help"):
            raise ConfigurationError(f"{option} needs a value.")
    parser, place = Parser(), flag.removeprefix("--")
    parser.add_subclass_arguments(kind, place, skip={"params"})  # which optimizers get later
    part: Namespace = parser.parse_args([f"{flag}={value}", *options])[place]
    return part


def _missing(value: object, option: str, name: str) -> str:
    if option in LISTS and name in choices_for(LISTS[option]):
        return f"There is no {name} in {option} yet: add it as well, by {option}+={name}."
    usual = USUAL if option == CALLBACKS else []
    known = list(dict.fromkeys([*map(_name, _parts(value)), *usual]))
    if not known:
        return f"There is no {name} in {option}, which is empty: ask for it there as well."
    return f"There is no {name} in {option}: {did_you_mean(name, known)}"
