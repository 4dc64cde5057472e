"""Imports point one way: every part works in a plain PyTorch loop, and none knows a dataset."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the ground up: a module imports from its own layer and those before it. A name covers the
# modules inside it.
LAYERS: list[tuple[str, ...]] = [
    ("errors", "basics", "recipes"),
    ("checkpoints.parts", "checkpoints.files", "distributed.processes", "distributed.reduction"),
    ("training.randomness", "training.schedule", "training.optimizers", "training.progress"),
    ("networks", "training.latents"),
    ("training.step",),
    ("objectives", "regularizers", "augment", "training.composition", "metrics"),
    ("training.game", "distributed.strategy", "checkpoints"),
    ("gan",),
    ("evaluation",),
    ("callbacks",),
    ("",),  # lightning_gan/__init__.py: what the package offers
    ("cli", "__main__"),
]
HOSTS = ("gan", "distributed.strategy", "checkpoints.plugin", "callbacks", "cli", "__main__")
"""These live in Lightning."""
LIGHTNING = ("lightning", "lightning_fabric", "pytorch_lightning")

MAX_LINES = 350
LONGER: dict[str, str] = {}  # path -> the reason why it is not two files


def modules_of(package: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name inside it; "" is its __init__."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(
    name: str, path: Path, package: str, modules: dict[str, Path], at_run_time: bool = False
) -> set[str]:
    """What a module imports, by full names; `from a import b` is `a.b` where that is a module.

    `at_run_time` leaves out what stands below `if TYPE_CHECKING:` or inside a function.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    home = [package, *(name.split(".") if name else [])]
    if path.name != "__init__.py":
        home.pop()
    found = set()
    for node in walk(tree, at_run_time):
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


def walk(node: ast.AST, at_run_time: bool) -> list[ast.AST]:
    found = [node]
    for child in ast.iter_child_nodes(node):
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        is_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not (at_run_time and (is_function or is_for_types)):
            found += walk(child, at_run_time)
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


def is_cli(name: str) -> bool:
    return is_below(name, ("cli", "__main__"))


def violations(root: Path) -> list[str]:
    """Every import in `root` that points the wrong way, in words."""
    found = []
    for package, judge in {"lightning_gan": judge_library, "datamodules": judge_data}.items():
        modules = modules_of(root / package)
        for name, path in modules.items():
            found += judge(name, sorted(imports_of(name, path, package, modules)))
    return found


def judge_library(name: str, imports: list[str]) -> list[str]:
    here = layer_of(name)
    if here is None:
        return [f"lightning_gan.{name} belongs to no layer: name it in LAYERS"]
    found = []
    for imported in imports:
        there = layer_of(imported.removeprefix("lightning_gan").removeprefix("."))
        if is_below(imported, ("lightning_gan",)) and there is not None and there > here:
            found.append(f"lightning_gan.{name} imports {imported}, which is above it")
        elif is_below(imported, ("datamodules",)) and not is_cli(name):
            found.append(f"lightning_gan.{name} imports {imported}: only the cli knows data")
        elif is_below(imported, LIGHTNING) and not is_below(name, HOSTS):
            found.append(f"lightning_gan.{name} imports {imported}: it must work without")
    return found


def judge_data(name: str, imports: list[str]) -> list[str]:
    return [
        f"datamodules.{name} imports {imported}: data know no library"
        for imported in imports
        if is_below(imported, ("lightning_gan",))
    ]


def test_imports_point_one_way() -> None:
    assert violations(ROOT) == []


@pytest.mark.parametrize("package", ["lightning_gan", "datamodules"])
def test_no_module_imports_itself_by_a_detour(package: str) -> None:
    modules = modules_of(ROOT / package)
    graph = {
        name: {
            imported.removeprefix(package).removeprefix(".")
            for imported in imports_of(name, path, package, modules, at_run_time=True)
            if is_below(imported, (package,))
        }
        - {name}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these modules of {package} import each other: {error.args[1]}")


def test_no_file_is_too_long_without_a_reason() -> None:
    folders = ("lightning_gan", "datamodules", "scripts", "tests")
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
    }
    too_long = {path for path, lines in lengths.items() if lines > MAX_LINES}
    assert too_long == set(LONGER), "split these, or drop the reason that is no longer needed"


WRONG = {
    "regularizers.py": ("from lightning_gan.gan import GAN", "which is above it"),
    "networks/layers.py": ("from . import mlp", "which is above it"),
    "gan.py": ("def f():\n    from .callbacks.balance import Balance", "which is above it"),
    "callbacks/balance.py": ("from lightning_gan import GAN", "which is above it"),
    "objectives.py": ("import lightning.pytorch as pl", "must work without"),
    "metrics/frechet.py": (
        "from lightning_gan.datamodules.mnist import MNIST",
        "only the cli knows data",
    ),
    "helpers.py": ("", "belongs to no layer"),
}


@pytest.mark.parametrize("file", WRONG)
def test_an_import_that_points_upwards_is_found(file: str, tmp_path: Path) -> None:
    code, complaint = WRONG[file]
    for name in ("networks/mlp.py", "networks/layers.py", "callbacks/balance.py", "gan.py"):
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
    path.write_text("import lightning\nfrom lightning_gan import errors\n", encoding="utf-8")
    (found,) = violations(tmp_path)
    assert found == "lightning_gan.datamodules.mnist imports lightning_gan: data know no library"


def test_the_ways_down_are_open(tmp_path: Path) -> None:
    for file, code in {
        "regularizers.py": "from .batch import ScoredBatch\nfrom . import errors\nimport torch",
        "batch.py": "from lightning_gan.checkpoints.parts import Part",
        "parts.py": "",
        "errors.py": "",
        "gan.py": "import lightning.pytorch\nfrom lightning_gan.regularizers import Regularizer",
        "__init__.py": "from lightning_gan.gan import GAN",
        "cli_sample.py": "import lightning_gan.datamodules.mnist\nfrom lightning_gan import GAN",
        "__main__.py": "from lightning_gan.cli_sample import sample",
    }.items():
        path = tmp_path / "lightning_gan" / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
    assert violations(tmp_path) == []
