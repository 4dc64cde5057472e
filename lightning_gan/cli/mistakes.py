"""What a command line does not know, or takes otherwise, in one sentence with the nearest match."""

import inspect
import re
import typing
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lightning_gan.basics.words import nearest
from lightning_gan.cli.choices import choices_for, classes_in
from lightning_gan.cli.commands import COMMANDS, TRAINER_COMMANDS
from lightning_gan.cli.documentation import constructor
from lightning_gan.cli.kinds import in_words, is_list, literals_in, takes_scalars
from lightning_gan.cli.options import option_of
from lightning_gan.recipes import recipe_names

CALLED_OTHERWISE = {
    "--lr": ("learning_rate",),
    "--seed_everything": ("seed", "random_seed"),
    "--config": ("recipe", "cfg"),
    "--ckpt_path": ("resume", "checkpoint", "ckpt", "load", "weights"),
    "--data": ("dataset",),
    "--model": ("arch", "network"),
    "--trainer.devices": ("gpus", "ngpus", "device_ids", "n_gpu"),
    "--trainer.max_epochs": ("epochs", "num_epochs", "n_epochs"),
    "--trainer.default_root_dir": (
        *("output", "output_dir", "out_dir", "outdir", "save_dir", "log_dir", "logdir"),
    ),
    "--model.max_images": ("budget", "iterations", "iters", "total_kimg", "kimg", "num_images"),
    "--trainer.precision": ("fp16", "bf16", "amp", "half"),
    "--trainer.accelerator": ("device", "cpu", "cuda"),
    "--model.generator.latent_dim": ("z_dim", "nz", "dim_z"),
    "--class": ("label", "labels", "class_label", "y"),
    "--import": ("module", "modules", "plugin"),
    "--output": ("out", "outdir", "output_dir", "out_dir"),
    "--n": ("num_samples", "samples", "num_images", "n_samples"),
}
"""Words of other programs for our options."""

SAID = {"--seed_everything": "a whole number"}
"""What an option takes where its type says more than it should."""

CALLBACKS = "--trainer.callbacks"
"""The option that lists parts of which one may require something."""

REQUIRED = "the following arguments are required: "
UNKNOWN = "unrecognized arguments: "
NOT_ACCEPTED = re.compile(r"Option '([^']*)' is not accepted")
REFUSED = re.compile(r"Expected (?:a dot import path string:|.*?Got value:) ?(.*)", re.DOTALL)
NESTED = re.compile(r"NestedArg\(key='([^']*)', val='?(.*?)'?\)")
NO_VALUE = re.compile(r"argument (\S+): expected .*argument.*")
NO_CLASS = re.compile(r".*[Dd]oes not correspond to a subclass of .*?Got value: ?(.*)", re.DOTALL)
CLOSE = 0.75
"""How alike, of 1, names must be that are of other parts than what was written."""
OWNERS = 6
"""How many classes a sentence names that have an option."""
DEPTH = 3
"""How deep parts lie inside others whose options are looked through."""


def explained(reason: str, option: str, inner: ArgumentParser, outer: ArgumentParser) -> str:
    """A sentence about what jsonargparse refuses, without its end.

    Args:
        reason: What it says.
        option: The option that it is about, with its dashes; "--" for none.
        inner: The parser that refuses, of the program or of a part.
        outer: The parser of the program, which knows all options.
    """
    if reason.startswith(UNKNOWN):
        return _unknown_words(reason.removeprefix(UNKNOWN).split(), outer)
    if reason.startswith(REQUIRED):
        whose = f"{option}.{_class_of(inner)}" if option == CALLBACKS else option
        return _missing(reason.removeprefix(REQUIRED).split(", ")[0], whose, inner)
    if found := NO_VALUE.fullmatch(reason):
        return f"{found[1].rpartition('/')[2]} needs a value"
    if found := NOT_ACCEPTED.search(reason):
        return _not_accepted(option, found[1], inner, outer)
    hints = [
        getattr(action, "_typehint", None) or action.type
        for action in inner._actions
        if option.removeprefix("--") == action.dest or option.endswith(f".{action.dest}")
    ]
    found = REFUSED.fullmatch(reason) or NO_CLASS.fullmatch(reason)
    if found is None or not hints:
        return reason if option == "--" else f"{option}: {reason}"
    value = found[1].strip().rstrip(".")
    if nested := NESTED.fullmatch(value):
        return f"{option}.{nested[1]} does not take {nested[2]}"
    return _wrong_value(option, value, hints[-1])


def _class_of(parser: ArgumentParser) -> str:
    """The part that a parser is of, after which jsonargparse calls its group."""
    return next(iter(getattr(parser, "groups", None) or {}), "")


def _wrong_value(option: str, value: str, hint: object) -> str:
    """That an option does not take a value, and what it takes."""
    known = {name: base for base in classes_in(hint) for name in choices_for(base)}
    is_word = re.fullmatch(r"[\w.]+", value) is not None
    near = nearest(value.rpartition(".")[2], known) if is_word else None
    if near == value and is_list(hint):
        return f"{option} is a list{_as_list(option, value, known)}"
    if near is not None:
        return f"{option}: there is no {_kind(known[near])} {value}; did you mean {near}?"
    if known and is_word and not takes_scalars(hint):
        kind = _kind(next(iter(known.values())))
        return f"{option}: there is no {kind} {value}; {option}.help lists what there is"
    takes = f"{option} takes {SAID.get(option) or in_words(hint, without_null=True)}"
    refused = f"{takes}, not {value or 'nothing'}"
    near = nearest(value, literals_in(hint))
    if is_list(hint) and (known or near == value or not literals_in(hint)):
        return refused + _as_list(option, value, known)
    return f"{refused}; did you mean {near}?" if near else refused


def _kind(base: type) -> str:
    return "data set" if base.__name__ == "RealData" else base.__name__


def _as_list(option: str, value: str, known: Iterable[str]) -> str:
    """How a list is written."""
    if known:
        first = next((each for each in known if each in value), next(iter(known)))
        return f": write {option}+={first} to add one, or {option} '[{first}]' for it alone"
    return f": write {option} '[{value.strip('[]')}]'" if value.strip("[]") else ""


def _missing(name: str, option: str, parser: ArgumentParser) -> str:
    """That something must be given."""
    action = next((each for each in parser._actions if each.dest == name), None)
    if option == "--" and action is not None and not action.option_strings:
        missing = f"{name.upper()} is missing"
    else:
        missing = f"{option.removesuffix('.').rstrip('-') or '-'}{_joint(option)}{name} is missing"
    command = parser.prog.split()[-1]
    if command in COMMANDS and command not in TRAINER_COMMANDS:
        return f"{missing}: give it, as in lightning-gan {command} {COMMANDS[command][1]}"
    return f"{missing}: give it"


def _joint(option: str) -> str:
    return "-" if option == "--" else "."


def _unknown_words(words: Sequence[str], parser: ArgumentParser) -> str:
    """About the first of words that no option takes."""
    word = words[0].partition("=")[0]
    if re.match(r"-[^-]", word) and ("/" in word or Path(word).exists()):
        return f"{word} begins with a dash, as options do: write ./{word}"
    if re.fullmatch(r"-\w", word):  # which is near to no name
        return f"There is no option {word}"
    if word.startswith("-"):
        return _no_option(f"--{word.lstrip('-')}", [*options_of(parser)])
    known = {action.dest for action in parser._actions}
    if "config" in known:
        near = nearest(word, recipe_names())
        if near == word or Path(word).suffix in (".yaml", ".yml"):
            return f"{word} stands by itself: write --config {word}"
        return f"{word} stands by itself" + (f"; did you mean --config {near}?" if near else "")
    if "ckpt_path" in known:
        return f"{word} stands by itself; did you mean --ckpt_path {word}?"
    return f"{word} stands by itself: give it as the value of an option"


def _not_accepted(around: str, name: str, inner: ArgumentParser, outer: ArgumentParser) -> str:
    """That the part that was chosen has no such option: whose it is, or the nearest.

    Args:
        around: The option that takes the part.
        name: What the part does not have.
        inner: The parser of the part.
        outer: The parser of the program.
    """
    option, known = f"{around}.{name}", [*_options_with_owners(outer)]
    owners = [*dict.fromkeys(owner for each, owner in known if each == option)]
    chosen = _class_of(inner)
    if owners and chosen:
        more = f" and {len(owners) - OWNERS} more" if len(owners) > OWNERS else ""
        whose = f"{', '.join(owners[:OWNERS])}{more}"
        return f"{chosen} has no option {name}: {option} is for {whose}; leave it out"
    own = [f"{around}.{action.dest}" for action in inner._actions]
    others = [each for each, _ in known if each.rpartition(".")[0] != around]
    return _no_option(option, [*own, *others])


def _no_option(option: str, known: Sequence[str]) -> str:
    """That there is no such option, with the nearest ones."""
    near = _nearest_options(option, [*dict.fromkeys(known)])
    return f"There is no option {option}" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _nearest_options(option: str, known: Sequence[str]) -> list[str]:
    """The options that were meant, at most three of them.

    They are looked for among those of the same part, under another program's word, by the last part
    of the name, by its words, and by edit distance.
    """
    around, _, last = option.removeprefix("--").replace("-", "_").rpartition(".")
    siblings = [each for each in known if each.rpartition(".")[0] == f"--{around}"]
    if near := nearest(last, map(_last, siblings), CLOSE):
        return [f"--{around}.{near}"]
    named = [each for each, words in CALLED_OTHERWISE.items() if last in words and each in known]
    same = named[:1] or [each for each in known if _last(each) == last]
    if not same:
        within = [each for each in known if {*last.split("_")} <= {*_last(each).split("_")}]
        least = min((_last(each).count("_") for each in within), default=0)
        same = [each for each in within if _last(each).count("_") == least]
    if not same and (near := nearest(last, map(_last, known), CLOSE)):
        same = [each for each in known if _last(each) == near]
    shallow = min((each.count(".") for each in same), default=0)
    return [each for each in same if each.count(".") == shallow][:3]


def _last(option: str) -> str:
    return option.removeprefix("--").rpartition(".")[2]


def options_of(parser: ArgumentParser) -> Iterator[str]:
    """All options of a parser, also of the parts that can be chosen."""
    return (option for option, _ in _options_with_owners(parser))


def _options_with_owners(parser: ArgumentParser) -> Iterator[tuple[str, str]]:
    """The same, each with the class that has it; none for those of the parser itself."""
    for action in parser._actions:
        if action.option_strings and not action.dest.endswith("help"):
            option = f"--{option_of(action.dest)}"
            yield option, ""
            yield from _inside(option, getattr(action, "_typehint", None), DEPTH)


def _inside(option: str, hint: object, depth: int) -> Iterator[tuple[str, str]]:
    """The options of the parts that an option takes, with the parts' classes."""
    if option.startswith("--trainer") or depth == 0 or not [*classes_in(hint)]:
        return
    from torch.optim import Optimizer  # here, since commands without parts do without torch

    from lightning_gan.checkpoints.parts import Part
    from lightning_gan.datamodules import RealData

    for base in classes_in(hint):
        if not issubclass(base, (Part, RealData, Optimizer)):
            continue
        for kind in choices_for(base).values():
            hints = typing.get_type_hints(constructor(kind))
            for name in inspect.signature(kind).parameters:
                yield f"{option}.{name}", kind.__name__
                yield from _inside(f"{option}.{name}", hints.get(name), depth - 1)
