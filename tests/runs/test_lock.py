"""A lock is read without being taken, and a reader keeps no writer out."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_gan.errors import ConfigurationError
from lightning_gan.runs import lock
from lightning_gan.runs.lock import NAME, is_held

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")

HOLDER = """
import sys
from pathlib import Path
from lightning_gan.runs.lock import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A living process that writes into `tmp_path`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_is_held_while_its_process_lives(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    assert is_held(tmp_path) is True
    with pytest.raises(ConfigurationError, match=f"is being written by process {holder.pid}"):
        lock.hold(tmp_path)
    holder.kill()
    holder.wait()
    assert (tmp_path / NAME).exists()
    assert is_held(tmp_path) is False


def test_a_folder_without_a_lock_is_not_held(tmp_path: Path) -> None:
    assert is_held(tmp_path) is False
    assert is_held(tmp_path / "nowhere") is False


def test_where_the_system_has_no_locks_nobody_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no locks available")

    (tmp_path / NAME).touch()
    monkeypatch.setattr("fcntl.flock", refuse)
    assert is_held(tmp_path) is None


def test_a_process_that_takes_a_lock_waits_for_one_who_looks(tmp_path: Path) -> None:
    import fcntl

    (tmp_path / NAME).touch()
    reader = (tmp_path / NAME).open(encoding="utf-8")
    fcntl.flock(reader, fcntl.LOCK_SH)
    let_go = threading.Timer(1.5 * lock.PAUSE, reader.close)
    let_go.start()
    started = time.monotonic()
    try:
        lock.hold(tmp_path)
        assert time.monotonic() - started >= lock.PAUSE
        assert (tmp_path / NAME).read_text(encoding="utf-8").startswith(f"process {os.getpid()}")
    finally:
        lock.release()
        let_go.join()


def test_one_folder_is_let_go_and_another_one_kept(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    lock.hold(one)
    lock.hold(other)
    lock.release(one)
    assert not (one / NAME).exists()
    assert (other / NAME).exists()
    lock.release()
    assert not (other / NAME).exists()
