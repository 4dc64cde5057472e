"""The cache folder, and files that are whole or not there."""

import subprocess
import sys
from pathlib import Path

import pytest

from lightning_gan.basics.cache import cache_folder, written_whole


def test_the_argument_goes_before_the_variable_and_that_before_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", "~/there")
    assert cache_folder(tmp_path) == tmp_path
    assert cache_folder("~/mine") == Path.home() / "mine"
    assert cache_folder() == Path.home() / "there"
    for nothing in ("", None):
        monkeypatch.setenv("LIGHTNING_GAN_CACHE", "")
        assert cache_folder(nothing) == Path.home() / ".cache" / "lightning-gan"


def test_a_file_appears_whole_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.bin"
    with written_whole(path) as part:
        part.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_what_a_killed_process_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    writing = (
        "import os, sys, pathlib; from lightning_gan.basics.cache import written_whole\n"
        "with written_whole(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", writing, str(path)], check=False)
    assert len([*tmp_path.iterdir()]) == 1
    with written_whole(path) as part:  # of somebody who is at work
        with written_whole(path) as other:
            other.write_bytes(b"whole")
        part.write_bytes(b"later")
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == b"later"


def test_the_old_file_stays_where_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with written_whole(path) as part:
            part.write_bytes(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
