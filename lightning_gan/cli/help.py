"""``--model.objective.help`` and its like: what there is to choose from, and what one is."""

import contextlib
import importlib
import inspect
import typing

from lightning.pytorch import Callback

from lightning_gan.cli.choices import choices_for, classes_in, did_you_mean
from lightning_gan.datamodules import RealData
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN


def help_text(arguments: list[str]) -> str | None:
    """The help that is asked for about a part; None where none is, or only the parser knows.

    Raises:
        ConfigurationError: If there is no class of the name given.
    """
    bases = _bases()
    for argument, following in zip(arguments, [*arguments[1:], "-"], strict=True):
        option, _, name = argument.partition("=")
        flag = option.removesuffix(".help")
        if flag == option or flag not in bases:
            continue
        if not name and not following.startswith("-"):
            name = following
        if not name and bases[flag] is not GAN:
            return _choices(flag, bases[flag])
        return _describe(flag, _find(flag, bases[flag], name))
    return None


def _bases() -> dict[str, type]:
    """The options whose value is a part, with the part's base class."""
    bases: dict[str, type] = {"--model": GAN, "--data": RealData, "--trainer.callbacks": Callback}
    for name, hint in typing.get_type_hints(GAN.__init__).items():
        for found in classes_in(hint):
            bases.setdefault(f"--model.{name}", found)
    return bases


def _find(flag: str, base: type, name: str) -> type:
    with contextlib.suppress(ImportError):  # then it is not among the choices
        importlib.import_module(name.rpartition(".")[0] or __name__)
    choices = choices_for(base)
    if base is GAN:
        choices = {"GAN": GAN} | choices
    short = name.rpartition(".")[2] or "GAN"
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
        first = (inspect.getdoc(part) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"  {name}\n      {first}")
    return "\n".join([*lines, "", f"More about one:  {flag}.help NAME", ""])


def _describe(flag: str, part: type) -> str:
    """The documentation of a class, and its options with their defaults."""
    title = f"{flag} {part.__name__}" if part is not GAN else flag
    lines = [title, "", inspect.getdoc(part) or "", ""]
    for name, parameter in inspect.signature(part).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        default = parameter.default
        known = isinstance(default, (bool, int, float, str, tuple)) or default is None
        shown = f"(default: {default})" if known else ""
        shown = "(required)" if default is parameter.empty else shown
        lines.append(f"  {flag}.{name} {shown}".rstrip())
    return "\n".join(lines) + "\n"
