"""The data modules are lightning_gan.datamodules however the package came, and no one else's.

Many projects have a folder ``datamodules`` of their own; neither may come in the other's way.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

from lightning_gan.__main__ import main

ROOT = Path(__file__).parents[2]
MODULES = {path.name for path in (ROOT / "lightning_gan" / "datamodules").glob("*.py")}
FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")

needs_backend = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="needs hatchling"
)

MINE = """
import sys
import lightning_gan
from lightning_gan.datamodules import Digits
class Mine(Digits): pass
assert len(Digits().split("test").labels) == 300
sys.stderr.write(f"{__file__} has found {lightning_gan.__file__}\\n")
"""


def run(
    *words: str | Path, cwd: Path, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, with ``path`` as the only PYTHONPATH."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env=environment | ({"PYTHONPATH": str(path)} if path else {}),
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(*words: str | Path, cwd: Path, path: Path | None = None) -> str:
    done = run(*words, cwd=cwd, path=path)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what packages are made of, with its link."""
    if not (ROOT / "lightning_gan" / "datamodules").is_symlink():
        pytest.skip("this is no checkout")
    folder = tmp_path_factory.mktemp("checkout")
    caches = shutil.ignore_patterns("__pycache__")
    for name in ("lightning_gan", "datamodules"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=caches)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    return build(checkout, "wheel")


@pytest.fixture(scope="module")
def sdist(checkout: Path) -> Path:
    return build(checkout, "sdist")


def build(source: Path, kind: str) -> Path:
    """Builds as ``python -m build`` does, with the backend that is installed."""
    program = f"import hatchling.build; print(hatchling.build.build_{kind}('dist'))"
    return source / "dist" / succeed(sys.executable, "-c", program, cwd=source).split()[-1]


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    (inside,) = folder.iterdir()
    return inside


@pytest.fixture(params=["package", "folder"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project with a ``datamodules`` of its own, with and without an ``__init__.py``."""
    folder = tmp_path / "project" / "datamodules"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(MINE)
    if request.param == "package":
        (folder / "__init__.py").touch()
    return folder.parent


def held(names: list[str]) -> dict[str, int]:
    """How often each file of the data modules is in an archive, and under which folder."""
    wanted = {*MODULES, "digits.npz"}
    folders = Counter(
        str(PurePosixPath(name).parent)
        for name in names
        if PurePosixPath(name).name in wanted and "datamodules/" in name and "tests/" not in name
    )
    return {"/".join(PurePosixPath(folder).parts[-2:]): count for folder, count in folders.items()}


@needs_backend
@pytest.mark.parametrize("source", ["checkout", "unpacked"])
def test_a_wheel_holds_the_data_modules_once_and_in_the_package(
    source: str, request: pytest.FixtureRequest
) -> None:
    with zipfile.ZipFile(build(request.getfixturevalue(source), "wheel")) as archive:
        names = archive.namelist()
    assert held(names) == {"lightning_gan/datamodules": len(MODULES) + 1}
    tops = {PurePosixPath(name).parts[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lightning_gan"}


@needs_backend
def test_a_source_archive_holds_files_in_the_place_of_the_link(unpacked: Path) -> None:
    names = [path.as_posix() for path in unpacked.rglob("*")]
    assert held(names) == {"lightning_gan/datamodules": len(MODULES) + 1}
    assert not (unpacked / "lightning_gan" / "datamodules").is_symlink()
    assert not (unpacked / "datamodules").exists()


@needs_backend
def test_wheels_of_a_checkout_and_of_a_source_archive_are_equal(
    checkout: Path, unpacked: Path
) -> None:
    contents = []
    for source in (checkout, unpacked):
        with zipfile.ZipFile(build(source, "wheel")) as archive:
            contents.append({name: archive.read(name) for name in archive.namelist()})
    assert contents[0] == contents[1]


@needs_backend
def test_a_package_has_the_version_of_the_module(checkout: Path, wheel: Path, sdist: Path) -> None:
    version = "import lightning_gan; print(lightning_gan.__version__)"
    found = succeed(sys.executable, "-c", version, cwd=checkout).strip()
    assert wheel.name == f"lightning_gan-{found}-py3-none-any.whl"
    assert sdist.name == f"lightning_gan-{found}.tar.gz"


@pytest.mark.slow
def test_a_checkout_beside_another_projects_data_modules(checkout: Path, foreign: Path) -> None:
    command = (sys.executable, "-m", "lightning_gan")
    if (foreign / "datamodules" / "__init__.py").exists():
        use_mine(*command, project=foreign, package=checkout, path=checkout)
    else:  # wherever they lie, Python takes packages before folders that are none
        done = run(sys.executable, "-c", "import datamodules.mine", cwd=foreign, path=checkout)
        assert "give it an __init__.py" in done.stderr.splitlines()[-1]


@needs_backend
@pytest.mark.slow
def test_a_wheel_beside_another_projects_data_modules(
    wheel: Path, foreign: Path, tmp_path: Path
) -> None:
    place = tmp_path / "site"
    words = ("install", "--no-deps", "--no-index", "--target", place, wheel)
    pip(sys.executable, *words, cwd=tmp_path)
    script = place / "bin" / "lightning-gan"
    use_mine(sys.executable, script, project=foreign, package=place, path=place)


@needs_backend
@pytest.mark.slow
def test_an_editable_install_beside_another_projects_data_modules(
    checkout: Path, foreign: Path, tmp_path: Path
) -> None:
    pytest.importorskip("editables", reason="needs editables, which hatchling installs by")
    python = environment(tmp_path / "venv")
    words = ("install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", checkout)
    pip(python, *words, cwd=tmp_path)
    use_mine(python.with_name("lightning-gan"), project=foreign, package=checkout)


def use_mine(*command: str | Path, project: Path, package: Path, path: Path | None = None) -> None:
    """The command takes a class of the other project, which finds ours, by its path."""
    words = ("fit", "--config", "dcgan_digits", "--data", "datamodules.mine.Mine", "--print_config")
    done = run(*command, *words, cwd=project, path=path)
    assert done.returncode == 0, done.stderr
    assert "class_path: datamodules.mine.Mine" in done.stdout
    mine, ours = project / "datamodules" / "mine.py", package / "lightning_gan" / "__init__.py"
    assert f"{mine} has found {ours}" in done.stderr


def environment(folder: Path) -> Path:
    """Makes an environment that sees all that is installed here, but for the package itself."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    program = "import site; print(site.getsitepackages()[0])"
    own = Path(succeed(python, "-c", program, cwd=folder).strip())
    here = [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    # the name sorts before that of the editable install, which needs one of these packages
    (own / "__here.pth").write_text("\n".join(here))
    return python


def pip(python: str | Path, *words: str | Path, cwd: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        pytest.skip("needs pip")
    succeed(python, "-m", "pip", "--disable-pip-version-check", "--quiet", *words, cwd=cwd)


@pytest.mark.parametrize("module", ["datamodules", "datamodules.mnist"])
def test_no_class_can_be_imported_under_a_second_name(checkout: Path, module: str) -> None:
    done = run(sys.executable, "-c", f"import {module}", cwd=checkout)
    assert "import lightning_gan.datamodules" in done.stderr.splitlines()[-1]
    assert done.returncode == 1


def test_a_checkout_without_links_says_so_in_a_sentence(checkout: Path, tmp_path: Path) -> None:
    shutil.copytree(
        checkout / "lightning_gan", tmp_path / "lightning_gan", ignore=lambda *_: ["datamodules"]
    )
    (tmp_path / "lightning_gan" / "datamodules").write_text("../datamodules")
    done = run(sys.executable, "-c", "import lightning_gan", cwd=tmp_path)
    assert "must be a link" in done.stderr.splitlines()[-1]


def test_a_configuration_names_data_by_their_public_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["fit", "--config", "dcgan_digits", "--print_config"]) == 0
    assert "class_path: lightning_gan.datamodules.Digits\n" in capsys.readouterr().out
