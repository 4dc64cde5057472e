"""The scripts, on a machine made of stand-ins: nothing is installed, no network is asked."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*(ROOT / "scripts").rglob("*.sh"), *(ROOT / ".ci").glob("run")])
SOURCED = ("environment.sh", "walk.sh")
EXECUTABLE = [path for path in SCRIPTS if path.name not in SOURCED]

# what the scripts take from the system, and no more
TOOLS = "bash sh dirname cat mkdir rm ls cksum uname awk sed grep tail sleep getconf chmod cp"

# A Python of version $FAKE_VERSION: `-m venv` copies it, `-m pip install` fails with $FAKE_PIP
# where that is set.
FAKE_PYTHON = """#!/bin/sh
case "$1 $2 $3" in
  "-c import venv"*) exit "${FAKE_NO_VENV:-0}" ;;
  -c*) exec REAL -c "import sys; v = tuple(map(int, '${FAKE_VERSION:-3.12.1}'.split('.')))
sys.version_info, sys.version = v, str(v)
$2" ;;
  "-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && : >"$3/pyvenv.cfg" ;;
  "-m pip --version") ;;
  "-m pip install")
    printf 'pip %s\\n' "$*" >>"$FAKE_LOG"
    if [ -n "$FAKE_PIP" ]; then echo "$FAKE_PIP"; exit 1; fi
    printf '#!/bin/sh\\necho lightning-gan "$@"\\n' >"${0%/*}/lightning-gan"
    chmod +x "${0%/*}/lightning-gan" ;;
  "-m pytest"*) echo "$@" ;;
  *) echo "not foreseen: $*"; exit 99 ;;
esac
"""


class Machine:
    """A copy of the scripts, a PATH with the stand-ins only, and what pip was asked to do."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a project"  # a blank in the path is a common trap
        self.venv = self.root / ".venv"
        self.bin = folder / "bin"
        self.log = folder / "pip-calls"
        self.log.touch()
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        shutil.copy(ROOT / "pyproject.toml", self.root)
        self.bin.mkdir()
        for tool in TOOLS.split():
            where = shutil.which(tool)
            assert where is not None, tool
            (self.bin / tool).symlink_to(where)
        self.add("df", "#!/bin/sh\necho head\necho disk 9 9 ${FAKE_FREE_KB:-99999999} 1% /\n")

    def add(self, name: str, content: str) -> Path:
        path = self.bin / name
        path.write_text(content.replace("REAL", sys.executable), encoding="utf-8")
        path.chmod(0o755)
        return path

    def run(self, script: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(self.root / "scripts" / script), *args],
            env={"PATH": str(self.bin), "HOME": str(self.root), "FAKE_LOG": str(self.log), **env},
            cwd=self.bin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def pip_calls(self) -> int:
        return len(self.log.read_text(encoding="utf-8").splitlines())


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def machine(bare: Machine) -> Machine:
    bare.add("python3", FAKE_PYTHON)
    return bare


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_bash_can_parse_the_script(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_script_keeps_to_what_the_bash_of_macos_knows(path: Path) -> None:
    newer = r"declare -A|mapfile|readarray|\$\{\w+(,,|\^\^)|&>>|\|&|wait -n|\$\{\w+@"
    assert not re.search(newer, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", EXECUTABLE, ids=lambda path: path.name)
def test_the_script_is_executable_and_stops_at_the_first_failure(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert path.stat().st_mode & stat.S_IXUSR


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    subprocess.run(["shellcheck", "-x", "-P", "SCRIPTDIR", *SCRIPTS], check=True, cwd=ROOT)


def test_quickstart_makes_an_environment_and_starts_the_recipe(machine: Machine) -> None:
    done = machine.run("quickstart.sh", "--trainer.max_steps=2", "--name=a b")
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout == "lightning-gan fit --config rpgan_digits --trainer.max_steps=2 --name=a b\n"
    )
    assert f"--editable {machine.root}\n" in machine.log.read_text(encoding="utf-8")


def test_the_second_start_installs_nothing_and_says_nothing(machine: Machine) -> None:
    machine.run("quickstart.sh")
    again = machine.run("quickstart.sh")
    assert (again.returncode, again.stderr, machine.pip_calls()) == (0, "", 1)


def test_the_tests_share_the_environment_and_add_their_packages_once(machine: Machine) -> None:
    machine.run("quickstart.sh")
    for _ in range(2):
        done = machine.run("test.sh", "tests/test_layers.py", "-x")
        assert done.stdout == "-m pytest tests/test_layers.py -x\n"
    assert machine.pip_calls() == 2
    assert machine.log.read_text(encoding="utf-8").endswith("[test]\n")
    machine.run("quickstart.sh")
    assert machine.pip_calls() == 2


def test_without_arguments_the_tests_run_on_every_core_up_to_four(machine: Machine) -> None:
    arguments = {}
    for cores in (1, 2, 64):
        (machine.bin / "getconf").unlink()
        machine.add("getconf", f"#!/bin/sh\necho {cores}\n")
        arguments[cores] = machine.run("test.sh").stdout.removeprefix("-m pytest").strip()
    assert arguments == {1: "", 2: "-n 2 --dist worksteal", 64: "-n 4 --dist worksteal"}


def test_new_requirements_are_installed_into_the_environment_that_is_there(
    machine: Machine,
) -> None:
    machine.run("quickstart.sh")
    (machine.venv / "kept").touch()
    with (machine.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert machine.run("quickstart.sh").returncode == 0
    assert machine.pip_calls() == 2
    assert (machine.venv / "kept").exists()


def test_an_interrupted_installation_is_begun_anew(machine: Machine) -> None:
    machine.run("quickstart.sh")
    (machine.venv / "half").touch()
    (machine.venv / ".lightning-gan" / "installing").write_text("99999999\n", encoding="utf-8")
    done = machine.run("quickstart.sh")
    assert done.returncode == 0
    assert "anew: an installation was interrupted." in done.stderr
    assert not (machine.venv / "half").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    machine.run("quickstart.sh")
    (machine.venv / "bin" / "python").unlink()
    done = machine.run("quickstart.sh")
    assert done.returncode == 0
    assert "anew: its Python does not run" in done.stderr


def test_a_second_installation_at_the_same_time_is_refused(machine: Machine) -> None:
    state = machine.venv / ".lightning-gan"
    state.mkdir(parents=True)
    (state / "installing").write_text(f"{os.getpid()}\n", encoding="utf-8")
    assert f"at work (process {os.getpid()})" in last_line(machine.run("quickstart.sh"))


def test_a_folder_that_is_no_environment_is_left_alone(machine: Machine) -> None:
    precious = machine.root / "thesis.tex"
    precious.touch()
    done = machine.run("quickstart.sh", LIGHTNING_GAN_VENV=str(machine.root))
    assert "holds something else than a Python environment" in last_line(done)
    assert precious.exists()


def test_the_environment_can_lie_elsewhere(machine: Machine, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    assert machine.run("quickstart.sh", LIGHTNING_GAN_VENV=str(elsewhere)).returncode == 0
    assert (elsewhere / "bin" / "lightning-gan").exists()
    assert not machine.venv.exists()


def test_an_environment_that_its_owner_made_is_used_and_never_deleted(machine: Machine) -> None:
    own = machine.add("own-python", FAKE_PYTHON)
    subprocess.run([own, "-m", "venv", machine.venv], check=True, env={"PATH": str(machine.bin)})
    (machine.venv / "kept").touch()
    assert machine.run("quickstart.sh", FAKE_PIP="broken").returncode == 1
    assert machine.run("quickstart.sh").returncode == 0
    (machine.venv / "bin" / "python").unlink()
    assert "delete that folder" in last_line(machine.run("quickstart.sh"))
    assert (machine.venv / "kept").exists()


@pytest.mark.parametrize("script", ["quickstart.sh", "test.sh"])
def test_a_machine_without_python_is_told_so_in_a_sentence(bare: Machine, script: str) -> None:
    done = bare.run(script)
    assert last_line(done).startswith("Python 3.10 or newer was not found: install it, or set PYT")
    assert len(done.stderr.splitlines()) == 1
    assert not bare.venv.exists()


def test_a_python_that_is_too_old_counts_as_none(machine: Machine) -> None:
    done = machine.run("quickstart.sh", FAKE_VERSION="3.8.18")
    assert last_line(done).startswith("Python 3.10 or newer was not found")


def test_a_newer_python_is_found_behind_an_old_one(bare: Machine) -> None:
    bare.add("python3", FAKE_PYTHON.replace("${FAKE_VERSION:-3.12.1}", "3.8.18"))
    bare.add("python3.11", FAKE_PYTHON)
    bare.add("python3.13", "#!/bin/sh\nexit 127\n")  # as a version manager's unset shim does
    assert bare.run("quickstart.sh").returncode == 0


def test_a_named_python_that_does_not_fit_is_not_replaced_silently(machine: Machine) -> None:
    done = machine.run("quickstart.sh", PYTHON="python2.7")
    assert "PYTHON is set to 'python2.7', which is no Python 3.10 or newer" in last_line(done)


def test_a_missing_venv_module_names_the_package_to_install(machine: Machine) -> None:
    done = machine.run("quickstart.sh", FAKE_NO_VENV="1")
    assert last_line(done).startswith("The venv module of 'python3' is missing")
    assert "python3-venv" in last_line(done)


def test_too_little_disk_is_told_before_anything_is_made(machine: Machine) -> None:
    done = machine.run("quickstart.sh", FAKE_FREE_KB=str(2 * 1024**2))
    assert last_line(done).startswith(f"Too little disk: 2 GB are free in {machine.root} and the")
    assert not machine.venv.exists()


@pytest.mark.parametrize(
    ("pip_says", "sentence"),
    [
        ("NewConnectionError: [Errno 111] Connection refused", "The package registry could not be"),
        ("ERROR: No matching distribution found for torch>=2.5", "The package registry has no fi"),
        ("ERROR: [Errno 28] No space left on device", "The disk filled up during the installation"),
        ("ERROR: something else", "pip could not install the packages: its last lines are above"),
    ],
)
def test_a_failure_of_pip_ends_in_its_words_and_a_sentence(
    machine: Machine, pip_says: str, sentence: str
) -> None:
    done = machine.run("quickstart.sh", FAKE_PIP=pip_says)
    assert last_line(done).startswith(sentence)
    assert pip_says in done.stderr.splitlines()
    mended = machine.run("quickstart.sh")
    assert mended.returncode == 0
    assert "anew" not in mended.stderr
