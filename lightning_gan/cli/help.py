"""``--model.objective.help`` and its like: what there is to choose from, and what one is."""

import contextlib
import importlib
import typing

from lightning.pytorch import Callback, Trainer

from lightning_gan.basics.words import did_you_mean
from lightning_gan.cli.choices import choices_for, classes_in
from lightning_gan.cli.commands import TRAINER_COMMANDS
from lightning_gan.cli.documentation import about, constructor, documented, first_line, option_lines
from lightning_gan.datamodules import RealData
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN

ALONE = (GAN, Trainer)
"""Of what there is one class to choose."""
NOT_TAKEN = ("self", "params")
"""Arguments that come from elsewhere than the command line."""


def help_text(arguments: list[str]) -> str | None:
    """The help that is asked for; None where none is, or only the parser knows.

    Raises:
        ConfigurationError: If there is no class of the name given.
    """
    command = arguments[0]
    bases: dict[str, type] = {"--data": RealData}
    if command in TRAINER_COMMANDS:
        bases |= _bases()
    for argument, following in zip(arguments, [*arguments[1:], "-"], strict=True):
        option, _, name = argument.partition("=")
        flag = option.removesuffix(".help")
        base = None if flag == option else _base_of(flag, bases)
        if base is None:
            continue
        if not name and not following.startswith("-"):
            name = following
        if not name and base not in ALONE:
            return _choices(flag, base)
        return _describe(flag, _find(flag, base, name))
    return None


def _base_of(flag: str, bases: dict[str, type]) -> type | None:
    """The base class of the parts that an option takes, also inside other parts."""
    if flag in bases:
        return bases[flag]
    outer, _, name = flag.rpartition(".")
    around = _base_of(outer, bases) if outer else None
    for kind in choices_for(around).values() if around else ():
        hint = typing.get_type_hints(constructor(kind)).get(name)
        for found in classes_in(hint):
            return found
    return None


def _bases() -> dict[str, type]:
    """The options whose value is a part, with the part's base class."""
    bases: dict[str, type] = {"--model": GAN, "--data": RealData, "--trainer": Trainer}
    for section, made in (("model", GAN.__init__), ("trainer", Trainer.__init__)):
        for name, hint in typing.get_type_hints(made).items():
            for found in classes_in(hint):
                bases.setdefault(f"--{section}.{name}", found)
    return bases


def _find(flag: str, base: type, name: str) -> type:
    if base in ALONE and not name:
        return base
    with contextlib.suppress(ImportError):  # then it is not among the choices
        importlib.import_module(name.rpartition(".")[0] or __name__)
    choices = choices_for(base)
    if base is GAN:
        choices = {"GAN": GAN} | choices
    short = name.rpartition(".")[2]
    if short not in choices:
        hint = did_you_mean(short, choices)
        raise ConfigurationError(f"{flag}: there is no {base.__name__} called {name}: {hint}")
    return choices[short]


def _choices(flag: str, base: type) -> str:
    """One line for each class."""
    lines = [f"{base.__name__} to choose from, as in {flag} NAME:", ""]
    for name, part in choices_for(base).items():
        if base is Callback and not part.__module__.startswith("lightning_gan"):
            continue
        lines.append(f"  {name}\n      {first_line(part)}")
    return "\n".join([*lines, "", f"More about one:  {flag}.help NAME", ""])


def _describe(flag: str, part: type) -> str:
    """The documentation of a class, and its options with their defaults."""
    title = f"{flag} {part.__name__}" if part not in ALONE else flag
    options = {
        f"{flag}.{name}": text for name, text in documented(part).items() if name not in NOT_TAKEN
    }
    return "\n".join([title, "", about(part), "", *option_lines(options)]).rstrip() + "\n"
