"""Inputs with something wrong, drawn from a seed; what there is to break comes from the program.

Options and their types are the parser's, parts and their arguments those that the package finds,
files those of a small world: two runs, pictures, arrays and data sets. Nothing is a list of cases.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import json
import math
import os
import random
import shlex
import shutil
import typing
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import checkout  # noqa: F401 - finds the package
import numpy as np
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback
from PIL import Image
from torch import Tensor

import lightning_gan
from lightning_gan import metrics
from lightning_gan.cli.choices import choices_for, classes_in
from lightning_gan.cli.commands import FUNCTION_COMMANDS, TRAINER_COMMANDS
from lightning_gan.cli.functions import _parser
from lightning_gan.cli.training import CLI
from lightning_gan.datamodules import RealData
from lightning_gan.gan import GAN
from lightning_gan.networks import DCGANDiscriminator, DCGANGenerator
from lightning_gan.objectives import NonSaturating


class Input(NamedTuple):
    """One input."""

    tried: str
    run: list[str] | Callable[[], object]
    """A command line, or what to call from Python."""
    wrong: bool = False
    """Whether it is known to be wrong, so that to accept it would be a fault."""


# ---------------------------------------------------------------------------------- a small world

QUICK = "--trainer.enable_progress_bar false --trainer.accelerator cpu"
SMALL = f"""{QUICK} --trainer.max_time 00:00:00:20 --trainer.callbacks+=Evaluation
    --trainer.callbacks.num_samples 64"""
POINTS = """fit --config mlp_ring --model.generator.width 8 --model.discriminator.width 8
    --data.batch_size 32"""
PICTURES = """fit --data ImageFolder --data.root pictures --data.image_size 16 --data.batch_size 4
    --model.generator.width 4 --model.discriminator.width 4"""
FIRST = [
    f"{POINTS} {SMALL} --model.max_images 256",
    f"{PICTURES} {SMALL} --model.max_images 32 --model.generator.num_classes 2"
    " --model.discriminator.num_classes 2",
]
"""What makes the runs of the world."""
COMMANDS = {
    "fit": f"{POINTS} {QUICK} --trainer.fast_dev_run true",
    "validate": f"validate --config mlp_ring {SMALL} --ckpt_path best"
    " --model.generator.width 8 --model.discriminator.width 8",
    "test": f"test --config mlp_ring {SMALL} --ckpt_path last --model.generator.width 8"
    " --model.discriminator.width 8",
    "predict": "predict --ckpt_path runs/imagefolder/version_0 --n 4 --output drawn",
    "evaluate": "evaluate --data Ring --ckpt_path runs/mlp_ring/version_0 --num_samples 64",
    "compare": "compare runs/mlp_ring/version_0 runs/mlp_ring/version_0",
    "runs": "runs runs",
    "table": "table runs/mlp_ring",
    "report": "report runs/mlp_ring/version_0",
    "recipes": "recipes mlp_ring",
    "export": "export runs/mlp_ring/version_0 --to safetensors",
}
"""A right line of each command, that one thing is broken of."""
READERS = {
    "runs/mlp_ring": [
        f"{POINTS} {SMALL} --model.max_images 320 --ckpt_path last",
        *(COMMANDS[name] for name in ("test", "runs", "table", "report", "compare", "evaluate")),
    ],
    "runs/imagefolder": [COMMANDS["predict"], "runs", "report runs/imagefolder/version_0"],
    "pictures": [
        f"{PICTURES} {QUICK} --trainer.fast_dev_run true",
        "evaluate --data Digits --samples pictures --num_samples 16",
    ],
    "sets/MNIST": [f"fit --data MNIST --data.root sets {QUICK} --trainer.fast_dev_run true"],
    "sets/cifar-10-batches-py": [
        f"fit --data CIFAR10 --data.root sets {QUICK} --trainer.fast_dev_run true"
    ],
}
"""The commands that read what lies in each folder of the world."""


def build_files(folder: Path) -> None:
    """Writes pictures and data sets, all small."""
    numbers = np.random.default_rng(0)
    for index, ending in enumerate(["png", "jpg", "gif", "bmp", "webp", "tiff", "ppm", "jfif"] * 2):
        place = folder / "pictures" / ("cats" if index < 8 else "dogs")
        place.mkdir(parents=True, exist_ok=True)
        pixels = numbers.integers(0, 256, (16, 20, 3), dtype=np.uint8)
        kind = "jpeg" if ending == "jfif" else None
        Image.fromarray(pixels).save(place / f"{index}.{ending}", kind)
    mnist = folder / "sets" / "MNIST" / "raw"
    mnist.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 12)):
        head = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
        pixels = numbers.integers(0, 256, count * 784, dtype=np.uint8).tobytes()
        (mnist / f"{part}-images-idx3-ubyte").write_bytes(head + pixels)
        labels = b"\0\0\x08\x01" + count.to_bytes(4, "big") + bytes(n % 10 for n in range(count))
        (mnist / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    cifar = folder / "sets" / "cifar-10-batches-py"
    cifar.mkdir()
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        (cifar / name).write_bytes(numbers.bytes(3000))


# --------------------------------------------------------------------------------- what there is


class _Found(BaseException):
    """Carries the parsers out of the command line that built them."""


class _Asking(CLI):
    def parse_arguments(self, *_: object) -> NoReturn:
        raise _Found(self._subcommand_parsers)


@cache
def parsers() -> dict[str, ArgumentParser]:
    """The parser of every command."""
    try:
        _Asking(["fit"])
    except _Found as found:
        known: dict[str, ArgumentParser] = dict(found.args[0])
    for name in FUNCTION_COMMANDS:
        module = importlib.import_module(f"lightning_gan.cli.commands.{name}")
        known[name] = _parser(getattr(module, name))
    return known


def hints_of(kind: type) -> dict[str, Any]:
    """The annotated arguments of a class."""
    hints = typing.get_type_hints(kind.__init__)
    named = inspect.signature(kind).parameters
    return {name: hints[name] for name in named if name in hints}


def parts() -> Iterator[tuple[str, type]]:
    """The option that takes a part, and each class that it takes."""
    bases: dict[str, type] = {"--data": RealData, "--trainer.callbacks": Callback}
    for name, hint in hints_of(GAN).items():
        for base in classes_in(hint):
            bases.setdefault(f"--model.{name}", base)
    for flag, base in bases.items():
        for part in choices_for(base).values():
            if part.__module__.startswith("lightning_gan"):
                yield flag, part


# ---------------------------------------------------------------------------------- wrong values

WORDS = ["", " ", "abc", "[", "{", "[1,", "{a: 1}", "[[]]", "null", "true", "-", "--", "os.system"]
WORDS += ["torch.nn.Linear", "R1", "MLPGenerator", "\N{COLLISION SYMBOL}", "1e3", "0x10", "1,5"]
WHOLE = ["0", "-1", "-7", "1", "2", "3", "1e20", str(10**20), str(-(2**63)), "0.5", "nan", "inf"]
REAL = ["0", "-1", "1e-300", "1e300", "-1e300", "nan", "inf", "-inf", "0.5", "2"]
PLACES = ["", ".", "nowhere/at/all", "pictures", "x" * 300, "s3://bucket/x", "/dev/null/x", "a\nb"]
PLACES += ["/proc/self/x", "runs/mlp_ring/version_0/run.json", "/dev/full", "é" * 200, "~nobody/x"]
JUNK: list[Any] = [None, "", "abc", -1, 0, 3, 1e-30, 0.5, math.inf, math.nan, 10**30, True, [], {}]
JUNK += [[1, [2]], {"a": 1}, ["abc"], "R1", "../..", "1e3", {"class_path": "R2"}, " " * 3]
JUNK += [{"class_path": 3}, {"class_path": "NonSaturating", "init_args": {"real_label": 7}}]


def _kinds(hint: object) -> set[object]:
    """The plain types in an annotation."""
    inside = [each for each in typing.get_args(hint) if not isinstance(each, list)]
    return set().union(*map(_kinds, inside)) if inside else {hint}


def value_for(name: str, hint: object, order: random.Random, ours: bool = True) -> tuple[str, bool]:
    """A value that is likely wrong for an option, and whether it certainly is."""
    kinds = _kinds(hint)
    if typing.get_origin(hint) is typing.Literal or order.random() < 0.15:
        word = order.choice([word for word in WORDS if word not in ("R1", "null", "true")])
        return word, bool(kinds <= {int, float, bool}) and word not in ("1e3", "0x10", "1,5", "-")
    if Path in kinds or (str in kinds and any(part in name for part in ("path", "dir", "root"))):
        return order.choice(PLACES), False
    if int in kinds and float not in kinds:
        word = order.choice(WHOLE)
        return word, kinds <= {int, type(None)} and word in ("0.5", "nan", "inf")
    if float in kinds:
        word = order.choice(REAL)
        return word, ours and word == "nan" and str not in kinds
    if bool in kinds:
        return order.choice(["maybe", "2", "", "yes please", "[]"]), kinds == {bool}
    return order.choice(WORDS), False


def misspelt(word: str, order: random.Random) -> str:
    """A word with two letters swapped, one left out, or one too many."""
    at = order.randrange(1, max(2, len(word)))
    return order.choice([word[:at] + word[at + 1 :], word[:at] + "q" + word[at:], word[::-1]])


# -------------------------------------------------------------------------------- command lines

SKIPPED = {"trainer.num_nodes", "trainer.devices", "help", "print_config", "print_shtab", "config"}
"""Options that wait for other machines, start processes, or show help; tried with words alone."""


def trainer_option(order: random.Random) -> Input:
    """One option of ``fit``, ``validate`` or ``test`` with a value of any kind."""
    name = order.choice(["fit"] * 8 + ["validate", "test"])
    return _with_option(name, order)


def function_option(order: random.Random) -> Input:
    """The same for a command that needs no Trainer."""
    return _with_option(order.choice(list(FUNCTION_COMMANDS)), order)


def _with_option(name: str, order: random.Random) -> Input:
    actions = [a for a in parsers()[name]._actions if a.option_strings and a.dest not in SKIPPED]
    arguments = shlex.split(COMMANDS[name])
    if name in TRAINER_COMMANDS:  # or without fast_dev_run it would train in earnest
        arguments += ["--trainer.max_time", "00:00:00:20"]
    if order.random() < 0.2:
        flag = f"--{misspelt(order.choice(actions).dest, order)}"
        known = {known for action in actions for known in action.option_strings}
        wrong = flag not in known and "." not in flag and "class" not in flag
        return _line([*arguments, flag, "1"], flag, wrong)
    action = order.choice(actions)
    hint = getattr(action, "_typehint", None) or action.type
    value, wrong = value_for(action.dest, hint, order, ours=not action.dest.startswith("trainer."))
    flag = action.option_strings[-1]
    return _line([*arguments, f"{flag}={value}"], f"{flag}={value}", wrong)


def part_option(order: random.Random) -> Input:
    """A part with one of its arguments wrong, or a part where it does not fit."""
    flag, part = order.choice(list(parts()))
    base = PICTURES if order.random() < 0.3 else POINTS
    arguments = shlex.split(f"{base} {QUICK} --trainer.fast_dev_run true")
    several = "+" if flag in ("--model.regularizers", "--trainer.callbacks") else ""
    chosen = [f"{flag}{several}={part.__name__}"]
    hints = hints_of(part)
    wrong = False
    if hints and order.random() < 0.85:
        name = order.choice(list(hints))
        value, wrong = value_for(name, hints[name], order)
        if order.random() < 0.1:
            name, wrong = misspelt(name, order), False
        chosen.append(f"{flag}.{name}={value}")
    return _line([*arguments, *chosen], " ".join(chosen), wrong)


def words(order: random.Random) -> Input:
    """A right command line with a word left out, doubled, moved, misspelt or replaced."""
    name = order.choice(list(COMMANDS))
    if name not in TRAINER_COMMANDS | FUNCTION_COMMANDS:
        name = "fit"
    arguments = shlex.split(COMMANDS[name])
    at = order.randrange(len(arguments))
    kind = order.choice(["delete", "double", "swap", "misspell", "replace"])
    if kind == "delete":
        del arguments[at]
    elif kind == "double":
        arguments.insert(at, arguments[at])
    elif kind == "swap":
        other = order.randrange(len(arguments))
        arguments[at], arguments[other] = arguments[other], arguments[at]
    elif kind == "misspell":
        arguments[at] = misspelt(arguments[at], order)
    else:
        arguments[at] = order.choice(WORDS + WHOLE + PLACES)
    return _line(arguments, f"{kind}: {shlex.join(arguments)}", False)


def _line(arguments: list[str], tried: str, wrong: bool) -> Input:
    return Input(f"{arguments[0] if arguments else '-'}: {tried}", arguments, wrong)


# -------------------------------------------------------------------------------------- files


def configuration(order: random.Random) -> Input:
    """The configuration of a run with keys, values or structure that are wrong, or torn bytes."""
    path = Path("runs/mlp_ring/version_0/config.yaml")
    content = path.read_bytes()
    if order.random() < 0.3:
        tried, content = broken(content, order)
    else:
        settings = yaml.safe_load(content)
        tried = ", ".join(mutate(settings, order) for _ in range(order.choice([1, 1, 2])))
        content = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False).encode()
    Path("own.yaml").write_bytes(content)
    arguments = shlex.split(f"fit --config own.yaml {QUICK} --trainer.fast_dev_run true")
    return _line(arguments, f"own.yaml: {tried}", False)


def file(order: random.Random) -> Input:
    """A file of the world, torn or with wrong content, and a command that reads it."""
    place, path = _any_file(order)
    inside = {".json": _in_json, ".jsonl": _in_lines, ".ckpt": _in_checkpoint, ".csv": _in_lines}
    change = inside.get(path.suffix)
    content = path.read_bytes()
    if change is None or order.random() < 0.5:
        tried, content = broken(content, order)
    else:
        tried, content = change(content, order)
    path.write_bytes(content)
    return _line(shlex.split(order.choice(READERS[place])), f"{path}: {tried}", False)


def place(order: random.Random) -> Input:
    """Something else where a file or folder belongs."""
    place, path = _any_file(order)
    if order.random() < 0.3:
        path = path.parent
    kind = order.choice(["folder", "missing", "itself", "nowhere", "full", "file", "fifo", "away"])
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_bytes(b"abc")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind != "missing":
        targets = {"itself": path.name, "nowhere": "nowhere", "full": "/dev/full", "away": "/proc"}
        path.symlink_to(targets[kind])
    return _line(shlex.split(order.choice(READERS[place])), f"{path} is {kind}", False)


def archive(order: random.Random) -> Input:
    """A zip file or an array as data, whole or torn."""
    numbers = np.random.default_rng(order.randrange(2**32))
    kinds = [np.uint8, np.float32, np.float64, np.int64, np.bool_, np.complex64, np.float16]
    shape = order.choice([(40, 16, 16), (40, 3, 16, 16), (40, 2), (8,), (), (0, 3, 8, 8)])
    array = numbers.integers(0, 256, shape).astype(order.choice(kinds))
    buffer, ending = io.BytesIO(), order.choice(["npy", "npz", "pt", "zip"])
    if ending == "npy":
        np.save(buffer, array)
    elif ending == "npz":
        np.savez(buffer, **{order.choice(["images", "x"]): array})
    elif ending == "pt" and array.dtype != object:
        torch.save(torch.as_tensor(array), buffer)
    else:
        with zipfile.ZipFile(buffer, "w") as packed:
            for path in Path("pictures").rglob("*.png"):
                packed.write(path)
            if order.random() < 0.5:
                packed.writestr("dataset.json", json.dumps({"labels": order.choice(JUNK)}))
    tried, content = f"{array.dtype}{list(shape)}", buffer.getvalue()
    if order.random() < 0.5:
        torn, content = broken(content, order)
        tried += f" {torn}"
    name = f"own.{ending}"
    Path(name).write_bytes(content)
    kind = "ImageFolder --data.image_size 16" if ending == "zip" else "ArrayFile"
    low = order.choice(["[0, 255]", "[-1, 1]", "[1, 0]", "null"])
    arguments = shlex.split(f"fit --data {kind} {QUICK} --trainer.fast_dev_run true")
    if ending != "zip":
        arguments += [f"--data.value_range={low}", "--data.batch_size=2"]
    return _line([*arguments, f"--data.root={name}"], f"{name} {tried} in {low}", False)


def _any_file(order: random.Random) -> tuple[str, Path]:
    place = order.choice(list(READERS))
    return place, order.choice(sorted(path for path in Path(place).rglob("*") if path.is_file()))


def _in_json(content: bytes, order: random.Random) -> tuple[str, bytes]:
    value = {"": json.loads(content)}
    tried = mutate(value, order)
    return tried, json.dumps(value.get("")).encode()


def _in_lines(content: bytes, order: random.Random) -> tuple[str, bytes]:
    lines = content.splitlines(keepends=True)
    at = order.randrange(len(lines))
    kind = order.choice(["twice", "gone", "torn", "order", "value"])
    if kind == "twice":
        lines.insert(at, lines[at])
    elif kind == "gone":
        del lines[at]
    elif kind == "torn":
        lines[at] = lines[at][: len(lines[at]) // 2]
    elif kind == "order":
        order.shuffle(lines)
    else:
        digits = [i for i, byte in enumerate(lines[at]) if chr(byte).isdigit()] or [0]
        where = order.choice(digits)
        new = order.choice(
            [b"nan", b"9" * 400, b"\xff\xfe", b"\x1b[2J", b'"', b"\\ud800", b"1e999"]
        )
        lines[at] = lines[at][:where] + new + lines[at][where + 1 :]
        kind = f"{new[:12]!r}"
    return f"line {at} {kind}", b"".join(lines)


def _in_checkpoint(content: bytes, order: random.Random) -> tuple[str, bytes]:
    value = torch.load(io.BytesIO(content), weights_only=True)
    junk = [*JUNK, torch.ones(3), torch.full((8, 2), torch.nan), torch.zeros(0)]
    inside = [part for part in value.values() if isinstance(part, dict) and part]
    tried = mutate(order.choice([value, *inside]), order, junk)
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return tried, buffer.getvalue()


def places(value: dict[Any, Any] | list[Any], path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything inside nested dictionaries and lists."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((*path, key))
        if isinstance(value[key], (dict, list)):
            found += places(value[key], (*path, key))
    return found


def mutate(value: dict[Any, Any] | list[Any], order: random.Random, junk: list[Any] = JUNK) -> str:
    """Breaks something inside ``value``; returns what."""
    ways = places(value)
    if not ways:
        return "nothing left"
    *way, key = order.choice(ways)
    for step in way:
        value = value[step]
    where = "/".join(map(str, (*way, key)))
    kind = order.choice(["delete", "rename", "junk", "junk", "junk", "wrap", "add"])
    if kind == "delete":
        del value[key]
    elif kind == "rename" and isinstance(value, dict):
        value[misspelt(str(key), order)] = value.pop(key)
    elif kind == "wrap":
        value[key] = order.choice([[value[key]], {"init_args": value[key]}, {key: value[key]}])
    elif kind == "add" and isinstance(value, dict):
        value[order.choice(["extra", "class_path", "init_args", 7])] = order.choice(junk)
    else:
        kind = "junk"
        value[key] = copy.deepcopy(order.choice(junk))
        where += f" = {value[key]!r}"
    return f"{kind} {where}"


def broken(content: bytes, order: random.Random) -> tuple[str, bytes]:
    """A file's bytes with something wrong."""
    data = bytearray(content)
    kind = order.choice(["cut", "flip", "flip", "head", "zeros", "insert", "double", "empty"])
    if kind == "empty" or not data:
        return "empty", b""
    if kind == "cut":
        del data[order.randrange(len(data)) :]
    elif kind in ("flip", "head"):
        for _ in range(order.choice([1, 1, 5, 50])):
            end = min(len(data), 64) if kind == "head" else len(data)
            data[order.randrange(end)] ^= 1 << order.randrange(8)
    elif kind == "zeros":
        start = order.randrange(len(data))
        data[start : start + 100] = bytes(len(data[start : start + 100]))
    elif kind == "insert":
        at = order.randrange(len(data))
        data[at:at] = order.randbytes(order.choice([1, 40]))
    else:
        data += bytes(data)
    return kind, bytes(data)


# ------------------------------------------------------------------------------------- Python

NUMBERS: dict[type, list[Any]] = {
    int: [0, -1, 1, 2, 7, 10**20, -(2**63)],
    float: [0.0, -1.0, math.nan, math.inf, -math.inf, 1e-300, 1e300, 0.5],
    bool: [True, False],
    str: ["", "abc", "nowhere/at/all", "x" * 300],
}


def constructor(order: random.Random) -> Input:
    """A part or a measure made with arguments of the right type and any value."""
    found = {part for _, part in parts()} | {*filter(inspect.isclass, vars(metrics).values())}
    kind = order.choice(sorted(filter(_plain, found), key=lambda kind: kind.__name__))
    given = {}
    for name, hint in hints_of(kind).items():
        fitting = _fitting(hint)
        if fitting and (_required(kind, name) or order.random() < 0.3):
            given[name] = order.choice(fitting)
    nan = any(isinstance(value, float) and math.isnan(value) for value in given.values())
    return Input(f"{kind.__name__}({given})", lambda: kind(**given), wrong=nan)


def _fitting(hint: object) -> list[Any]:
    kinds = sorted(_kinds(hint), key=str)
    return [value for each in kinds if isinstance(each, type) for value in NUMBERS.get(each, ())]


def _required(kind: type, name: str) -> bool:
    return inspect.signature(kind).parameters[name].default is inspect.Parameter.empty


def _plain(kind: type) -> bool:
    """Whether numbers and words are all that a class needs."""
    named = inspect.signature(kind).parameters.values()
    hints = hints_of(kind)
    return not inspect.isabstract(kind) and all(
        _fitting(hints.get(parameter.name)) or not _required(kind, parameter.name)
        for parameter in named
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    )


def pictures(order: random.Random) -> Input:
    """A tensor of any type, shape and range, given to a measure or to ``fit``."""
    shape = order.choice(
        [(4, 1, 28, 28), (4, 3, 28, 28), (4, 28, 28), (0, 1, 28, 28), (4, 1, 9, 9)]
    )
    images = torch.rand(shape) * 2 - 1
    change = order.choice(["nothing", "to 255", "uint8", "nan", "inf", "double", "half", "long"])
    known: dict[str, Callable[[], Tensor]] = {
        "nothing": lambda: images,
        "to 255": lambda: (images + 1) * 127.5,
        "uint8": lambda: ((images + 1) * 127).byte(),
        "nan": lambda: images.log(),
        "inf": lambda: images / 0,
        "double": images.double,
        "half": images.half,
        "long": images.long,
    }
    given = known[change]()
    right = shape == (4, 1, 28, 28)
    if order.random() < 0.5:
        measure = order.choice([metrics.VendiScore, metrics.ClassCoverage])
        tried = f"{measure.__name__} of {list(shape)}, {change}"
        return Input(tried, lambda: _measure(measure, given), right and change in BRIGHT)
    tried = f"fit on {list(shape)}, {change}"
    return Input(tried, lambda: _fit(given), right and change in (*BRIGHT, "nan", "inf"))


BRIGHT = ("to 255", "uint8")
"""What pictures are that nobody has scaled to [-1, 1]."""


def _measure(kind: type[metrics.VendiScore | metrics.ClassCoverage], images: Tensor) -> None:
    extractor = metrics.get_extractor("digits_cnn")
    if issubclass(kind, metrics.ClassCoverage):
        measure: metrics.VendiScore | metrics.ClassCoverage = kind(extractor, [0.1] * 10, "digits")
    else:
        measure = kind(extractor)
    measure.update(images)
    measure.compute()


def _fit(images: Tensor) -> None:
    gan = GAN(
        DCGANGenerator(channels=1, image_size=28, width=4),
        DCGANDiscriminator(channels=1, image_size=28, width=4),
        NonSaturating(),
        max_images=8,
    )
    loader = torch.utils.data.DataLoader(images, batch_size=2)  # type: ignore[arg-type,var-annotated]
    lightning_gan.fit(gan, loader, "runs/mine", enable_progress_bar=False)  # type: ignore[arg-type]


KINDS: dict[Callable[[random.Random], Input], int] = {
    trainer_option: 200,
    part_option: 200,
    function_option: 120,
    words: 80,
    configuration: 100,
    file: 140,
    place: 40,
    archive: 20,
    constructor: 60,
    pictures: 40,
}
"""Every kind of input, and how often it is drawn in a thousand."""
