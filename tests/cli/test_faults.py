"""Full disks, killed writers, damaged files: one sentence, and nothing is lost."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from tiny import Points, fit, points_gan, quiet_trainer

from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.checkpoints.files import TEMPORARY, read_checkpoint, write_whole
from lightning_gan.checkpoints.plugin import WholeFiles
from lightning_gan.cli import program, training
from lightning_gan.cli.failures import comes_from_restoring, mendable
from lightning_gan.errors import WeightsError

ROOT = Path(__file__).resolve().parents[2]
SMALL = "--model.generator.width 8 --model.discriminator.width 8 --data.batch_size 32"
QUIET = "--trainer.enable_progress_bar false --trainer.accelerator cpu"
FIT = ["fit", "--config", "mlp_ring", *f"{SMALL} {QUIET}".split()]
FIT += ["--trainer.limit_val_batches", "0", "--model.max_images"]
LAST = Path("runs/mlp_ring/version_0/checkpoints/last.ckpt")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    monkeypatch.setattr(training.CLI, "after_fit", lambda self: None)


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Reads the one sentence on standard error."""

    def read() -> str:
        lines = capsys.readouterr().err.strip().splitlines()
        said = [line for line in lines if "INFO" not in line]
        assert len(said) == 1, lines
        assert said[0].startswith("lightning-gan: error: ")
        return said[0]

    return read


def images(path: Path) -> int:
    seen: int = read_checkpoint(path)["lightning_gan"]["progress"]["images"]
    return seen


# ------------------------------------------------------------------------------ atomic writing

KILLED = """
import os, signal, sys
from pathlib import Path
from lightning_gan.checkpoints import files as checkpoint

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Half:  # a file of which half is written when the process dies
    def __init__(self, file): self.file = file
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def write(self, content): os.write(self.file.fileno(), content[: len(content) // 2]), die()

opened = Path.open
moments = {
    "opened": (Path, "open", lambda path, *a, **k: (opened(path, *a, **k), die())),
    "half": (Path, "open", lambda path, *a, **k: Half(opened(path, *a, **k))),
    "written": (os, "fsync", die),
    "synced": (Path, "replace", die),
}
for name, patch in moments.items():
    number = os.fork()
    if number == 0:
        setattr(*patch)
        checkpoint.write_whole(Path(sys.argv[1], name, "last.ckpt"), b"new" * 1000)
    assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == -signal.SIGKILL
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_kill_during_a_write_leaves_the_checkpoint_before_whole(tmp_path: Path) -> None:
    moments = {"opened": 0, "half": 1500, "written": 3000, "synced": 3000}
    for moment in moments:
        (tmp_path / moment).mkdir()
        (tmp_path / moment / "last.ckpt").write_bytes(b"old")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=True, env=environment)
    for moment, size in moments.items():
        path = tmp_path / moment / "last.ckpt"
        left = path.with_name(f"last{TEMPORARY}")
        assert path.read_bytes() == b"old"
        assert left.stat().st_size == size
        write_whole(path.with_name("best.ckpt"), b"best")
        assert not left.exists()
        assert path.read_bytes() == b"old"


def test_a_write_replaces_the_checkpoint_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "last.ckpt"
    for content in (b"one", b"two"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_every_training_of_a_gan_writes_whole_files(tmp_path: Path) -> None:
    trainer = quiet_trainer(tmp_path, callbacks=[LastCheckpoint()])
    gan = points_gan(max_images=8)
    trainer.fit(gan, Points(8))
    assert type(trainer.strategy.checkpoint_io) is WholeFiles


def test_a_plugin_of_the_users_own_is_kept(tmp_path: Path) -> None:
    class Own(TorchCheckpointIO):
        pass

    trainer = quiet_trainer(tmp_path, callbacks=[LastCheckpoint()], plugins=[Own()])
    trainer.fit(points_gan(max_images=8), Points(8))
    assert type(trainer.strategy.checkpoint_io) is Own


# ------------------------------------------------------------------------------------ full disk


def fill_up(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """A disk with room for ``after`` more checkpoints; a folder's entry takes none."""
    written = []
    sync = os.fsync

    def fsync(number: int) -> None:
        if os.fstat(number).st_size and not os.path.isdir(f"/proc/self/fd/{number}"):  # noqa: PTH112
            written.append(number)
            if len(written) > after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(number)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what a file is")
def test_a_full_disk_ends_the_training_and_names_the_last_good_checkpoint(
    monkeypatch: pytest.MonkeyPatch, complaint: Callable[[], str]
) -> None:
    often = ["--trainer.callbacks+=LastCheckpoint", "--trainer.callbacks.every_minutes", "1e-9"]
    with monkeypatch.context() as patch:
        fill_up(patch, after=3)
        assert program.run([*FIT, "3200", *often]) == 2
    sentence = complaint()
    assert f"{LAST} could not be written (No space left on device), but {LAST} is whole" in sentence
    assert "--ckpt_path last" in sentence
    assert images(LAST) == 3 * 32
    assert [path.name for path in LAST.parent.iterdir()] == ["last.ckpt"]
    assert program.run([*FIT, "320", "--ckpt_path", "last"]) == 0
    assert images(LAST) == 320


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what a file is")
def test_a_disk_that_is_full_from_the_start_says_so(
    monkeypatch: pytest.MonkeyPatch, complaint: Callable[[], str]
) -> None:
    fill_up(monkeypatch, after=0)
    assert program.run([*FIT, "32"]) == 2
    assert "there is no earlier checkpoint" in complaint()
    assert list(LAST.parent.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no ulimit")
@pytest.mark.parametrize("devices", ["1", "2"])
def test_a_limit_of_the_system_on_the_size_of_files_ends_all_processes(devices: str) -> None:
    if devices != "1" and not torch.distributed.is_available():
        pytest.skip("torch is built without it")
    assert program.run([*FIT, "320"]) == 0
    size = LAST.stat().st_size
    more = ["--trainer.devices", devices, "--global_batch_size", "32"]
    command = f"ulimit -f {size // 1024 - 4}; exec '{sys.executable}' -m lightning_gan \"$@\""
    done = subprocess.run(
        ["bash", "-c", command, "-", *FIT, "640", "--ckpt_path", "last", *more],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "could not be written (File too large), but" in done.stderr
    assert images(LAST) == 320


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_disk_that_is_full_for_other_files_is_a_sentence_too(number: int) -> None:
    error = OSError(number, os.strerror(number), "metrics.csv")
    assert "metrics.csv could not be written" in str(mendable(error))
    error.__context__ = WeightsError("What was said of the checkpoint.")
    assert mendable(error) is error.__context__
    assert mendable(OSError(errno.EBADF, "a defect")) is None


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.EROFS, "give a place that can be written to."),
        (errno.EACCES, "change its permissions, or give another place."),
        (errno.ENAMETOOLONG, "give a shorter name."),
        (errno.EISDIR, "give a file, or move the folder away."),
        (errno.EIO, "look after its disk; what was written before is kept."),
    ],
)
def test_a_file_that_the_system_refuses_is_named_with_the_mend(number: int, mend: str) -> None:
    error = OSError(number, os.strerror(number), "/scratch/metrics.csv")
    said = f"/scratch/metrics.csv could not be read or written ({os.strerror(number)}): {mend}"
    assert str(mendable(error)) == said


def test_what_no_user_can_mend_stays_a_defect() -> None:
    own = Path(program.__file__).with_name("missing.yaml")
    assert mendable(FileNotFoundError(errno.ENOENT, "missing", str(own))) is None
    assert mendable(ConnectionRefusedError(errno.ECONNREFUSED, "refused", "host")) is None


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("s3://bucket/runs", "Runs are written to folders, and s3://bucket/runs is an address"),
        ("x" * 300, "File name too long): give a shorter name."),
        ("/dev/null/runs", "(Not a directory): give another --trainer.default_root_dir."),
    ],
)
def test_a_place_where_no_run_can_lie_is_refused(
    root: str, expected: str, complaint: Callable[[], str]
) -> None:
    assert program.run([*FIT, "64", "--trainer.default_root_dir", root]) == 2
    assert expected in complaint()
    assert not list(Path().iterdir())


@pytest.mark.parametrize("words", ["--help", "runs --help", "fit --print_config", "runs ."])
def test_a_reader_that_has_gone_ends_the_command_quietly(words: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "lightning_gan", *words.split()],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 0
    assert "Broken" not in done.stderr


# ------------------------------------------------------------------------------- damaged files


class Trap:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("sprung",)


def flip(path: Path) -> None:
    """Turns one bit in the midst of the largest weight."""
    weights = torch.load(path, weights_only=True)["state_dict"].values()
    values = max(weights, key=torch.Tensor.numel).numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(values) + len(values) // 2] ^= 1
    path.write_bytes(content)


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, path)

    return damage


def swell(path: Path) -> None:
    """A small file that would unpack to much; nobody gets as far as to see what."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data/999", bytes(100_000_000))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "not a whole checkpoint"),
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-500]), "not a whole checkpoint"),
    "with a bit flipped": (flip, "not a whole checkpoint"),
    "text": (lambda p: p.write_text("weights"), "not a whole checkpoint"),
    "a list": (lambda p: torch.save([1], p), "holds a list"),
    "code": (edited(lambda c: c.update(trap=Trap())), "more than plain data"),
    "foreign": (edited(lambda c: c.pop("lightning_gan")), "not written by lightning-gan"),
    "without weights": (edited(lambda c: c.pop("state_dict")), "fit the"),
    "of another shape": (
        edited(lambda c: c["state_dict"].update({"generator.layers.0.weight": torch.ones(1)})),
        "fit the",
    ),
    "with a damaged setting": (
        edited(lambda c: c["lightning_gan"].update(setting={"data": [1]})),
        "its setting cannot be read",
    ),
    "with damaged arguments": (
        edited(lambda c: c["hyper_parameters"]["generator"].pop("init_args")),
        "its arguments cannot be read",
    ),
    "gone": (lambda p: p.unlink(), "no checkpoint at"),
    "swollen": (swell, "would unpack to"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["lightning-gan"])
        patch.setattr(training.CLI, "after_fit", lambda self: None)
        assert program.run([*FIT, "64"]) == 0
    return folder / LAST


@pytest.mark.parametrize("command", ["fit", "validate", "predict", "export"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(
    kind: str, command: str, good: Path, complaint: Callable[[], str]
) -> None:
    damage, expected = DAMAGE[kind]
    path = Path("copy.ckpt")
    shutil.copyfile(good, path)
    damage(path)
    words = {"fit": [*FIT, "128"], "validate": ["validate", *FIT[1:-3]], "predict": ["predict"]}
    from_file = [*words.get(command, []), "--ckpt_path", str(path)]
    assert program.run(["export", str(path)] if command == "export" else from_file) == 2
    assert expected in complaint()
    assert not Path("sprung").exists()
    assert not Path("runs/mlp_ring/version_0/checkpoints").exists()


def test_a_checkpoint_that_somebody_has_packed_is_read(good: Path) -> None:
    with (
        zipfile.ZipFile(good) as stored,
        zipfile.ZipFile("copy.ckpt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in stored.namelist():
            new.writestr(name, stored.read(name))
    assert images(Path("copy.ckpt")) == 64


class Broken(Callback):
    """Somebody's own callback, with a mistake that comes to light before the first batch."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        raise KeyError("mine")


def test_a_mistake_that_is_not_the_checkpoints_is_not_laid_at_its_door(good: Path) -> None:
    shutil.copyfile(good, "copy.ckpt")
    words = [*FIT, "128", "--ckpt_path", "copy.ckpt"]
    with pytest.raises(KeyError, match="mine"):
        program.run([*words, "--trainer.callbacks+=tests.cli.test_faults.Broken"])


def test_what_cannot_be_restored_is_the_checkpoints_fault_unless_memory_is_short() -> None:
    def raised(error: Exception) -> bool:
        class Restored(Callback):
            def load_state_dict(self, state_dict: dict[str, Any]) -> None:
                raise error

        trainer = quiet_trainer(callbacks=[Restored()])
        trainer._checkpoint_connector._loaded_checkpoint = {
            "callbacks": {Restored().state_key: {"a": 1}},
            "pytorch-lightning_version": "2.6",
        }
        with pytest.raises(type(error)) as caught:
            trainer._checkpoint_connector.restore_callbacks()
        return comes_from_restoring(caught.value)

    assert raised(KeyError("a"))
    assert not raised(torch.OutOfMemoryError("CUDA out of memory"))
    assert not comes_from_restoring(KeyError("a"))


def test_weights_alone_can_be_sampled_from_but_not_trained_on(
    good: Path, complaint: Callable[[], str]
) -> None:
    shutil.copyfile(good, "copy.ckpt")
    edited(lambda c: [c.pop(name) for name in ("optimizer_states", "lr_schedulers")])(
        Path("copy.ckpt")
    )
    assert program.run(["predict", "--ckpt_path", "copy.ckpt", "--n", "4"]) == 0
    assert program.run([*FIT, "128", "--ckpt_path", "copy.ckpt"]) == 2
    assert "can be sampled from but not be trained on" in complaint()


@pytest.mark.parametrize("kind", ["truncated", "with a bit flipped", "code", "gone"])
def test_a_trainer_refuses_a_damaged_checkpoint_as_well(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "gan.ckpt"
    fit(points_gan(), 2).trainer.save_checkpoint(path)
    DAMAGE[kind][0](path)
    with pytest.raises((WeightsError, FileNotFoundError), match=DAMAGE[kind][1]):
        quiet_trainer().fit(points_gan(), Points(8), ckpt_path=path, weights_only=True)
    assert not Path("sprung").exists()
