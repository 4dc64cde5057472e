"""Functions and classes of the package as their files have them, for a help that waits for nothing.

Importing torch and Lightning takes seconds. What an option is for, takes, and is by default stands
in a signature and its documentation, so those alone are compiled, out of the file.
"""

import ast
import builtins
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import lightning_gan

PACKAGE = Path(lightning_gan.__file__).parent


def outline(module: str, name: str) -> Callable[..., None]:
    """A function without what it does; of a class, what makes it, with the class's documentation.

    Annotations and defaults are what they are when the module is imported, but for classes of the
    package and of others: an empty class of that name stands for each.

    Args:
        module: Its full name, as in ``lightning_gan.gan``.
        name: What stands at its top.
    """
    names = _Names(module)
    documentation, function = names.definition(name)
    function.name, function.decorator_list = name, []
    function.body = [ast.Expr(ast.Constant(documentation))]
    tree = ast.fix_missing_locations(ast.Module([function], type_ignores=[]))
    exec(compile(tree, str(names.path), "exec", dont_inherit=True), {}, names)
    made = names[name]
    assert callable(made)
    return made


class _Names(dict[str, object]):
    """What names mean in a module, found in its file when they are asked for."""

    def __init__(self, module: str) -> None:
        super().__init__(vars(builtins))
        within = PACKAGE.joinpath(*module.split(".")[1:])
        self.path = within / "__init__.py" if within.is_dir() else within.with_suffix(".py")
        self._tree = ast.parse(self.path.read_text(encoding="utf-8"))

    def definition(self, name: str) -> tuple[str, ast.FunctionDef]:
        """The documentation of a function or class, and the function or what makes the class."""
        (found,) = (node for node in self._tree.body if getattr(node, "name", "") == name)
        if isinstance(found, ast.ClassDef):
            (made,) = (node for node in found.body if getattr(node, "name", "") == "__init__")
            assert isinstance(made, ast.FunctionDef)
            made.args.args.pop(0)  # self
            return ast.get_docstring(found) or "", made
        assert isinstance(found, ast.FunctionDef)
        return ast.get_docstring(found) or "", found

    def __missing__(self, name: str) -> object:
        for node in self._tree.body:
            if isinstance(node, ast.ImportFrom) and name in {each.name for each in node.names}:
                return _imported(node.module or "", name)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return eval(ast.unparse(node.value), {}, self)
        return type(name, (), {})


def _imported(module: str, name: str) -> object:
    """What a module calls by a name; of a foreign one, an empty class of that name."""
    package = module.partition(".")[0]
    if package == "lightning_gan":
        return _Names(module)[name]
    if package in sys.stdlib_module_names:
        return getattr(import_module(module), name)
    return type(name, (), {})
