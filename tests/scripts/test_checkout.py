"""Scripts run from a checkout that is not installed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def modules(path: Path) -> list[str]:
    """What a script imports when it starts, in this order."""
    found: list[str] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(str(node.module))
    return found


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_a_script_finds_the_package_before_it_imports_it(path: Path) -> None:
    ours = [index for index, name in enumerate(modules(path)) if name.startswith("lightning_gan")]
    assert not ours or modules(path).index("checkout") < ours[0]


def test_the_package_is_found_from_anywhere(tmp_path: Path) -> None:
    program = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        import checkout, lightning_gan
        print(lightning_gan.__file__)
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(SCRIPTS)],  # -S: without what is installed
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = SCRIPTS.parent / "lightning_gan" / "__init__.py"
    assert done.stdout.strip() == str(expected), done.stderr
