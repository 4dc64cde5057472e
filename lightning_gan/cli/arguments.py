"""What a command line means before it is parsed: recipes by name, default networks."""

import contextlib
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import yaml

from lightning_gan.basics.words import nearest
from lightning_gan.cli.choices import no_recipe
from lightning_gan.cli.commands import TRAINER_COMMANDS
from lightning_gan.cli.files import OTHER_BASES, TEXT, check_yaml, read_settings, whole_number
from lightning_gan.errors import ConfigurationError
from lightning_gan.recipes import recipe_file, recipe_names

CONFIG = ("-c", "--config")

IDENTIFYING = (
    "trainer.precision",
    "trainer.overfit_batches",
    "trainer.limit_train_batches",
    "lr",
    "global_batch_size",
)
"""Options beside those of model and data that make a run another one."""

WATCHING = {"num_samples", "averaged", "truncation", "psi", "extractor", "recover"}
"""Options of callbacks that do so: by what they measure with, or by what they do to it."""

SYNONYMS = {"--data.global_batch_size": "--global_batch_size"}

WANTING = re.compile(r"--(?!print_config)[\w.+]+(?<!\.help)")
"""A flag whose value is the next word."""
DASHED = re.compile(r"-(?![-\d_.]*$)(?!c$|h$)[^- ][^ ]*")
"""What the parser takes for an option, and not for a value: neither a number nor ``-c``."""
JOINED = re.compile(r"((?:--[\w.+]+=)?)(.*)", re.DOTALL)
"""A flag that is joined with its value, if it is, and the rest."""
PLACE = re.compile(r"(root|path|dir|folder|output)\+?=$")
"""How flags end that want a place."""


def with_recipes(arguments: list[str]) -> list[str]:
    """Replaces the bare name of a recipe by its file.

    Raises:
        ConfigurationError: If there is neither a file nor a recipe of that name, or the file holds
            no settings.
    """
    replaced = list(arguments)
    for place, flag, value in _options(arguments):
        if flag not in CONFIG:
            continue
        if Path(value).is_file():
            read_settings(Path(value))
        elif value in recipe_names():
            replaced[place] = arguments[place].removesuffix(value) + str(recipe_file(value))
        else:
            raise _no_file(flag, value)
    return replaced


def _no_file(flag: str, value: str) -> ConfigurationError:
    """The error that there is neither a file nor a recipe of that name, by what it looks like."""
    if not value:
        return ConfigurationError(f"{flag} is empty: give a recipe or a file.")
    if Path(value).is_dir():
        return ConfigurationError(
            f"{flag} {value} is a folder: give a file, such as the config.yaml of a run, or a "
            "recipe."
        )
    near = nearest(value.removesuffix(".yaml"), recipe_names())
    if re.fullmatch(r"\w+", value) or (near and re.fullmatch(r"\w+\.yaml", value)):
        return no_recipe("recipe or file", value)
    return ConfigurationError(f"There is no file {value}: check {flag}.")


def at_home(arguments: list[str]) -> list[str]:
    """The same with ``~/`` as the home folder, which shells do not replace behind ``=``.

    A ``~`` alone is so where a place is wanted; elsewhere it is YAML's word for nothing.
    """
    there = []
    for found in map(JOINED.fullmatch, arguments):
        if found is not None:
            nothing = found[2] == "~" and found[1] and not PLACE.search(found[1])
            there.append(found[0] if nothing else found[1] + os.path.expanduser(found[2]))  # noqa: PTH111
    return there


def check_values(arguments: list[str]) -> None:
    """Refuses values that are YAML, or files of it, and would never be read to their end.

    Raises:
        ConfigurationError: With the option.
    """
    for flag, word in pairwise(arguments):
        if WANTING.fullmatch(flag) and DASHED.fullmatch(word):
            raise ConfigurationError(
                f"{flag} needs a value: write {flag}={word} for one that begins with a dash."
            )
    for _, flag, value in _options(arguments):
        if flag not in CONFIG and Path(value).suffix in (".yaml", ".yml") and Path(value).is_file():
            read_settings(Path(value))
        elif flag.startswith("-") and ":" in value and OTHER_BASES.fullmatch(value):
            if not TEXT.search(flag):  # nor is it a place that stands by itself
                raise ConfigurationError(f"{flag} {value}: write a number without a colon.")
        elif flag.startswith("--") and value.startswith("#") and not TEXT.search(flag):
            raise ConfigurationError(f"{flag} {value}: to YAML that is a comment; give a value.")
        elif value.lstrip().startswith(("[", "{", "&")):
            with contextlib.suppress(yaml.YAMLError):  # which the parser answers
                check_yaml(value, flag)


def in_plain_form(arguments: list[str]) -> list[str]:
    """Writes whole numbers like 3e5 out, and options that have another name by that."""
    plain: list[str] = []
    before = ""
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if not flag.startswith("--"):  # a value by itself, whatever signs are in it
            plain.append(_written_out(argument, before) if before else argument)
            before = ""
            continue
        flag = SYNONYMS.get(flag, flag)
        plain.append(f"{flag}={_written_out(value, flag)}" if equals else flag)
        before = "" if equals else flag
    return plain


def _written_out(word: str, flag: str) -> str:
    """A whole number in digits; anything else, and the value of an option for a text, as it is."""
    number = None if TEXT.search(flag) else whole_number(word)
    return word if number is None else str(number)


def with_default_networks(arguments: list[str]) -> list[str]:
    """Puts the default networks, which follow the data, before what does not name any.

    They come as a file like a recipe. As defaults of the parser they would leave their arguments to
    whatever network is named instead.
    """
    if arguments[0] not in TRAINER_COMMANDS or _names_networks(arguments):
        return arguments
    from lightning_gan.datamodules import Mixture  # here, since other commands do without torch

    name = next((value for _, flag, value in _options(arguments) if flag == "--data"), "")
    points = {kind.__name__ for kind in Mixture.__subclasses__()}
    defaults = "_defaults_points" if name.rpartition(".")[2] in points else "_defaults"
    return [arguments[0], "--config", str(recipe_file(defaults)), *arguments[1:]]


def run_name(arguments: list[str]) -> str:
    """The name of the run: the last configuration file's, or the data's."""
    names = [file.stem for file in _files(arguments) if not file.stem.startswith("_defaults")]
    names += [value for _, flag, value in _options(arguments) if flag == "--data" and not names]
    return names[-1].split(".")[-1].lower() if names else "gan"


def recipe_of(arguments: list[str]) -> str:
    """What the record calls the recipe: the run's name, unless that is another recipe's.

    A file of one's own that is called like a recipe of the package keeps its ending.
    """
    name, files = run_name(arguments), _files(arguments)
    own = files and files[-1].stem == name and files[-1].resolve() != recipe_file(name).resolve()
    return files[-1].name if own and name in recipe_names() else name


def options_of(arguments: list[str]) -> dict[str, str]:
    """The options of a command line with their values, by dotted name without ``init_args``."""
    return {
        flag.removeprefix("--").removesuffix("+").replace(".init_args.", "."): value
        for _, flag, value in _options(arguments)
        if flag.startswith("--")
    }


def given(arguments: list[str]) -> dict[str, str]:
    """What was asked for besides a recipe that makes the run another one, by dotted name."""
    found = {}
    for name, value in options_of(arguments).items():
        section, _, option = name.partition(".")
        own = section in ("model", "data") and option not in ("max_images", "validate_every")
        of_callbacks = option.startswith("callbacks") and option.rpartition(".")[2] in WATCHING
        if own or name in IDENTIFYING or (section == "trainer" and of_callbacks):
            found[name] = value
    if "global_batch_size" in found:  # which rules over the other
        found.pop("data.batch_size", None)
    return found


def names_seed(arguments: list[str], part: str) -> bool:
    """Whether the seed of ``model`` or ``data`` is given by an option or by a file."""
    if f"{part}.seed" in given(arguments):
        return True
    for file in _files(arguments):
        settings = read_settings(file).get(part) if file.is_file() else None
        arguments_of = settings.get("init_args") if isinstance(settings, dict) else None
        if isinstance(arguments_of, dict) and "seed" in arguments_of:
            return True
    return False


def _options(arguments: list[str]) -> Iterator[tuple[int, str, str]]:
    """Flags with their values, joined by a space or an equals sign, after the values' places."""
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if equals:
            yield place, flag, value
        elif place + 1 < len(arguments):
            yield place + 1, flag, arguments[place + 1]


def _files(arguments: list[str]) -> list[Path]:
    return [Path(value) for _, flag, value in _options(arguments) if flag in CONFIG]


def _names_networks(arguments: list[str]) -> bool:
    """Whether a recipe or file among the arguments names both networks and the objective."""
    for file in _files(arguments):
        model = read_settings(file).get("model") if file.is_file() else None
        named = model.get("init_args") if isinstance(model, dict) else None
        if isinstance(named, dict) and {"generator", "discriminator", "objective"} <= named.keys():
            return True
    return False
