"""Imports point one way: every part works in a plain PyTorch loop, and none knows a dataset."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the ground up: a module imports from its own layer and those before it. A name covers the
# modules inside it; the longest one counts.
LAYERS: list[tuple[str, ...]] = [
    ("errors", "basics", "recipes"),
    ("datamodules", "checkpoints.compiled"),
    (
        *("checkpoints.parts", "checkpoints.exported", "checkpoints.pretrained"),
        "checkpoints.files",
        *("distributed.processes", "distributed.reduction"),
    ),
    ("training", "training.schedule", "training.optimizers"),
    ("networks", "training.latents"),
    ("training.step", "training.sampling", "training.batches"),
    ("objectives", "regularizers", "augment", "metrics"),
    (
        *("training.composition", "training.players", "training.game", "training.compiled"),
        *("training.validation", "distributed", "checkpoints"),
    ),
    ("gan",),
    ("evaluation",),
    ("runs",),
    ("exports",),
    ("callbacks",),
    ("",),  # lightning_gan/__init__.py: what the package offers, and its version
    ("cli", "__main__"),
]
KNOW_LIGHTNING = (
    "gan",
    "distributed.strategy",
    "checkpoints.plugin",
    "checkpoints.identity",
    "checkpoints.record",
    "checkpoints.schedule",
    "checkpoints.warm_start",
    "callbacks",
    "cli",
    "__main__",
    "datamodules",
)
LIGHTNING = ("lightning", "lightning_fabric", "pytorch_lightning")
KNOW_DATA = ("cli", "__main__", "datamodules")
DATA_MAY_IMPORT = ("errors", "basics", "datamodules")
TOP = {"__init__.py", "__main__.py", "errors.py", "gan.py", "py.typed"}
"""All that lies loose at the top of the package."""
THREE_FILES = ("gan.py", "training/step.py", "training/game.py")


def modules_of(package: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name inside it; "" is its __init__."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, path: Path, package: str, modules: dict[str, Path]) -> set[str]:
    """What a module imports, by full names, anywhere in it; `from a import b` is `a.b` if a module.

    Imports inside functions and for types count: a reader follows them too.
    """
    home = [package, *(name.split(".") if name else [])]
    if path.name != "__init__.py":
        home.pop()
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module.split(".") if node.module else [])])
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                is_module = whole.removeprefix(f"{package}.") in modules
                found.add(whole if is_module else source)
    return found


def is_below(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def layer_of(name: str) -> int | None:
    """The layer with the longest entry that covers a module."""
    covering = [
        (len(entry), number)
        for number, layer in enumerate(LAYERS)
        for entry in layer
        if (is_below(name, (entry,)) if entry else name == "")
    ]
    return max(covering)[1] if covering else None


def library(root: Path) -> dict[str, Path]:
    """All modules of the package, the data modules in their folder among them."""
    own = modules_of(root / "lightning_gan")
    data = modules_of(root / "datamodules")
    return own | {f"datamodules.{name}".rstrip("."): path for name, path in data.items()}


def violations(root: Path) -> list[str]:
    """Every import in `root` that points the wrong way, in words."""
    modules, found = library(root), []
    for name, path in modules.items():
        found += judge(name, sorted(imports_of(name, path, "lightning_gan", modules)))
    return found


def judge(name: str, imports: list[str]) -> list[str]:
    here = layer_of(name)
    if here is None:
        return [f"lightning_gan.{name} belongs to no layer: name it in LAYERS"]
    found = []
    for imported in imports:
        if is_below(imported, LIGHTNING) and not is_below(name, KNOW_LIGHTNING):
            found.append(f"lightning_gan.{name} imports {imported}: it must work without")
        if not is_below(imported, ("lightning_gan",)):
            continue
        theirs = imported.removeprefix("lightning_gan").removeprefix(".")
        there = layer_of(theirs)
        if is_below(theirs, ("datamodules",)) and not is_below(name, KNOW_DATA):
            found.append(f"lightning_gan.{name} imports {imported}: only the cli knows data")
        elif is_below(name, ("datamodules",)) and not is_below(theirs, DATA_MAY_IMPORT):
            found.append(f"lightning_gan.{name} imports {imported}: data know no model")
        elif there is not None and there > here:
            found.append(f"lightning_gan.{name} imports {imported}, which is above it")
    return found


def test_imports_point_one_way() -> None:
    assert violations(ROOT) == []


def test_no_module_imports_itself_by_a_detour() -> None:
    modules = library(ROOT)
    graph = {
        name: {
            imported.removeprefix("lightning_gan").removeprefix(".")
            for imported in imports_of(name, path, "lightning_gan", modules)
            if is_below(imported, ("lightning_gan",))
        }
        - {name}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other: {error.args[1]}")


def test_only_what_a_reader_wants_first_lies_at_the_top() -> None:
    assert {path.name for path in (ROOT / "lightning_gan").iterdir() if path.is_file()} == TOP


def test_the_step_is_short_enough_to_be_read() -> None:
    files = [ROOT / "lightning_gan" / name for name in THREE_FILES]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= 1100


WRONG = {
    "regularizers.py": ("from lightning_gan.gan import GAN", "which is above it"),
    "networks/layers.py": ("from ..training import game", "which is above it"),
    "gan.py": ("def f():\n    from .callbacks.balance import Balance", "which is above it"),
    "training/game.py": ("from lightning_gan import GAN", "which is above it"),
    "objectives.py": ("import lightning.pytorch as pl", "must work without"),
    "metrics/frechet.py": (
        "from lightning_gan.datamodules import mnist",
        "only the cli knows data",
    ),
    "helpers.py": ("", "belongs to no layer"),
}


@pytest.mark.parametrize("file", WRONG)
def test_an_import_that_points_upwards_is_found(file: str, tmp_path: Path) -> None:
    code, complaint = WRONG[file]
    for name in ("networks/layers.py", "training/game.py", "callbacks/balance.py", "gan.py"):
        path = tmp_path / "lightning_gan" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert violations(tmp_path) == []
    path = tmp_path / "lightning_gan" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")
    (found,) = violations(tmp_path)
    assert complaint in found


def test_data_modules_that_import_the_library_are_found(tmp_path: Path) -> None:
    path = tmp_path / "datamodules" / "mnist.py"
    path.parent.mkdir()
    code = "import lightning\nfrom lightning_gan import errors, networks\n"
    path.write_text(code, encoding="utf-8")
    for name in ("errors.py", "networks.py"):
        (tmp_path / "lightning_gan").mkdir(exist_ok=True)
        (tmp_path / "lightning_gan" / name).touch()
    (found,) = violations(tmp_path)
    assert "imports lightning_gan.networks: data know no model" in found


def test_the_ways_down_are_open(tmp_path: Path) -> None:
    for file, code in {
        "regularizers.py": "from .training.step import Step\nfrom . import errors\nimport torch",
        "training/step.py": "from lightning_gan.checkpoints.parts import Part",
        "checkpoints/parts.py": "",
        "errors.py": "",
        "gan.py": "import lightning.pytorch\nfrom lightning_gan.regularizers import R1",
        "__init__.py": "from lightning_gan.gan import GAN",
        "cli/sample.py": "import lightning_gan.datamodules.mnist\nfrom lightning_gan import GAN",
        "__main__.py": "from lightning_gan.cli.sample import sample",
    }.items():
        path = tmp_path / "lightning_gan" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    assert violations(tmp_path) == []
