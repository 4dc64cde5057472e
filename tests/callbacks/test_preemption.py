"""A scheduler's signals: all processes stop together, and SLURM starts the run again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from cluster import end, slurm, srun
from preemption_worker import CASES, Send
from tiny import Points, fit, points_gan, quiet_trainer

from lightning_gan.callbacks import Interrupted, LastCheckpoint
from lightning_gan.callbacks import preemption as module
from lightning_gan.cli.program import run
from lightning_gan.errors import ConfigurationError

HERE = Path(__file__).resolve().parents[1]
needs_signals = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no SIGUSR1")
pytestmark = [needs_signals]

# ------------------------------------------------------------------------- two tasks, all orders


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """What each of two tasks came to in all cases, one after the other in the same processes."""
    if not torch.distributed.is_available():
        pytest.skip("torch is built without distributed")
    folder = tmp_path_factory.mktemp("signals")
    tasks = srun(slurm(folder, 2), str(HERE / "preemption_worker.py"), str(folder))
    codes, output = end(tasks)
    assert codes == [0, 0], output[-3000:]
    return folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_tasks_stop_at_the_same_batch_whoever_got_the_signal(
    case: str, outcomes: tuple[Path, list[dict[str, Any]]]
) -> None:
    folder, found = outcomes
    folder = folder / str(list(CASES).index(case))
    numbers = {number for _, _, number in CASES[case]}
    requeued = signal.SIGUSR1 in numbers
    for outcome in (each[case] for each in found):
        assert outcome["batches"] == 10
        assert outcome["saves"] == 1
        assert outcome["code"] == (75 if requeued else 128 + max(numbers))
        assert outcome["handlers"] == [True, True, True]
        assert outcome["seconds"] < 30
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["lightning_gan"]["progress"]["batches"] == 10
    log = folder / "scontrol"
    assert (log.read_text() if log.exists() else "") == ("requeue 4242\n" if requeued else "")


@pytest.mark.slow
def test_processes_are_not_asked_for_signals_before_every_batch(
    outcomes: tuple[Path, list[dict[str, Any]]],
) -> None:
    assert [each["broadcasts"] for each in outcomes[1]] == [0, 0]


# ------------------------------------------------------------------------------- in one process


@pytest.fixture
def one_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A SLURM job of one task; gives the notes of its scontrol."""
    before = {n: signal.getsignal(n) for n in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)}
    for name, value in (slurm(tmp_path, 1) | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}).items():
        monkeypatch.setenv(name, value)
    yield tmp_path / "scontrol.log"
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted(folder: Path, number: int = signal.SIGUSR1, **options: Any) -> Interrupted:
    callbacks = [Send([(0, 3, number)]), LastCheckpoint(**options)]
    with pytest.raises(Interrupted) as caught:
        fit(points_gan(), 50, default_root_dir=folder, callbacks=callbacks)
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["lightning_gan"]["progress"]["batches"] == 4
    return caught.value


def test_without_slurm_sigusr1_saves_and_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = interrupted(tmp_path)
    assert stop.code == 128 + signal.SIGUSR1
    assert str(stop) == (
        f"Stopped by SIGUSR1 after 32 images; everything is in {tmp_path}/checkpoints/last.ckpt: "
        "run the same command with --ckpt_path last to go on."
    )
    assert capsys.readouterr().err.count(str(stop)) == 1


def test_the_training_ends_the_program_with_the_code_of_the_signal(tmp_path: Path) -> None:
    assert interrupted(tmp_path, signal.SIGTERM).code == 143
    assert issubclass(Interrupted, SystemExit)  # so that a script of one's own ends with it, too


def test_sigusr1_puts_a_job_back_into_the_queue_once(one_task: Path, tmp_path: Path) -> None:
    stop = interrupted(tmp_path)
    assert stop.code == 75
    assert "and job 4242 is back in SLURM's queue" in str(stop)
    assert one_task.read_text() == "requeue 4242\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_other_signals_do_not_put_a_job_back(
    number: signal.Signals, one_task: Path, tmp_path: Path
) -> None:
    assert interrupted(tmp_path, number).code == 128 + number
    assert not one_task.exists()


def test_a_job_is_put_back_only_if_that_is_asked_for(one_task: Path, tmp_path: Path) -> None:
    assert interrupted(tmp_path, requeue=False).code == 128 + signal.SIGUSR1
    assert not one_task.exists()


def test_a_task_of_an_array_is_named_by_both_numbers(
    one_task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4242")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "7")
    interrupted(tmp_path)
    assert one_task.read_text() == "requeue 4242_7\n"


def test_an_interactive_job_is_not_put_back(
    one_task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")
    (tmp_path / "bin" / "srun").unlink()  # Lightning asks for it where it sees it
    assert interrupted(tmp_path).code == 128 + signal.SIGUSR1
    assert not one_task.exists()


def test_a_requeue_that_slurm_refuses_is_said_in_one_sentence(
    one_task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCONTROL_CODE", "1")
    stop = interrupted(tmp_path)
    assert stop.code == 128 + signal.SIGUSR1
    assert str(stop).endswith(
        "last.ckpt, but job 4242 could not be put back into SLURM's queue (scontrol ended with 1): "
        "submit it again with --ckpt_path last to go on."
    )


def test_a_missing_scontrol_is_said_in_one_sentence(
    one_task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin" / "scontrol").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    stop = interrupted(tmp_path)
    assert stop.code == 128 + signal.SIGUSR1
    assert "(there is no scontrol on this machine): submit it again" in str(stop)


def test_a_scontrol_that_gives_no_answer_is_not_waited_for(
    one_task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin" / "scontrol").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(module, "SCONTROL_SECONDS", 0.2)
    assert "gave no answer in 0.2 seconds" in str(interrupted(tmp_path))


def test_lightning_handles_no_signals_while_the_callback_does(tmp_path: Path) -> None:
    seen = []

    class Look(LastCheckpoint):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            loop = trainer.fit_loop.epoch_loop
            assert callable(type(loop)._broadcast_sigterm_tensor)  # or there is nothing to replace
            assert callable(type(trainer._signal_connector).register_signal_handlers)
            seen.append("_broadcast_sigterm_tensor" in vars(loop))
            handler: Any = signal.getsignal(signal.SIGTERM)
            seen.append(handler.__self__ is self._signals)

    gan = fit(points_gan(), 2, default_root_dir=tmp_path, callbacks=[Look()])
    assert seen == [True] * 4
    assert "_broadcast_sigterm_tensor" not in vars(gan.trainer.fit_loop.epoch_loop)
    assert "register_signal_handlers" not in vars(gan.trainer._signal_connector)


def test_a_signal_before_the_first_batch_is_not_lost(tmp_path: Path) -> None:
    class Early(Send):
        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    gan = points_gan()
    with pytest.raises(Interrupted):
        fit(gan, 9, default_root_dir=tmp_path, callbacks=[Early([]), LastCheckpoint()])
    assert gan.progress.batches == 1


def test_signals_after_an_interruption_do_not_cut_off_its_end(tmp_path: Path) -> None:
    came = []
    numbers = (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in numbers}
    try:
        with module.ignore_further_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            assert came == [signal.SIGTERM]
        with module.ignore_further_signals():
            interrupted(tmp_path, signal.SIGTERM)
            for number in numbers:
                os.kill(os.getpid(), number)
        for number in numbers:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert came == [signal.SIGTERM]


def test_signals_are_as_before_when_the_command_line_has_run(tmp_path: Path) -> None:
    numbers = (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with module.ignore_further_signals():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before


def test_dry_runs_leave_signals_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)  # ignored where the tests run in the background

    class Look(Send):
        def on_train_batch_start(self, *_: Any) -> None:
            assert signal.getsignal(signal.SIGINT) == before

    callbacks = [Look([]), LastCheckpoint()]
    trainer = quiet_trainer(tmp_path, callbacks=callbacks, fast_dev_run=True)
    trainer.fit(points_gan(), Points(8))


def test_checkpoints_of_lightnings_own_handler_are_not_loaded_unasked(
    one_task: Path, tmp_path: Path
) -> None:
    torn = points_gan()
    quiet = quiet_trainer(tmp_path)
    torn.max_images = 16
    quiet.fit(torn, Points(8))
    path = tmp_path / "hpc_ckpt_1.ckpt"
    quiet.save_checkpoint(path)
    with pytest.raises(ConfigurationError, match=r"hpc_ckpt_1\.ckpt was written by Lightning"):
        fit(points_gan(), 2, default_root_dir=tmp_path, callbacks=[LastCheckpoint()])
    path.rename(tmp_path / "mine.ckpt")
    resumed = points_gan(max_images=24)
    trainer = quiet_trainer(tmp_path, callbacks=[LastCheckpoint()])
    trainer.fit(resumed, Points(8), ckpt_path=tmp_path / "mine.ckpt", weights_only=True)
    assert resumed.progress.batches == 3


# --------------------------------------------------------------------------- the command line


def refusal(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The one sentence with which a training is refused."""
    arguments = ["fit", "--config", "mlp_ring", "--trainer.accelerator", "cpu", *options]
    assert run(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1, error
    return error[0]


@pytest.mark.parametrize(
    "strategy", ["fsdp", "deepspeed_stage_2", "FSDPStrategy", "ModelParallelStrategy"]
)
def test_strategies_that_cut_networks_into_pieces_are_refused_with_the_reason(
    strategy: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = strategy
    if strategy.endswith("Strategy"):
        file = tmp_path / "mine.yaml"
        given = f"lightning.pytorch.strategies.{strategy}"
        file.write_text(yaml.safe_dump({"trainer": {"strategy": {"class_path": given}}}))
        said = refusal(capsys, "--config", str(file))
    else:
        said = refusal(capsys, "--trainer.strategy", given)
    assert f"--trainer.strategy {strategy} cuts networks into pieces" in said
    assert "take gan_ddp" in said


def test_batch_norm_over_processes_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "would wait for each other" in refusal(capsys, "--trainer.sync_batchnorm", "true")


def test_other_devices_than_tasks_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, one_task: Path
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "8")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")
    said = refusal(capsys, "--trainer.devices", "1")
    assert "srun started 8 processes, 4 on a node" in said
    assert "give --trainer.devices 4 --trainer.num_nodes 2." in said
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    assert "ask for --nodes and --ntasks-per-node" in refusal(capsys)


def test_other_devices_than_processes_of_torchrun_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TORCHELASTIC_RUN_ID": "x",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
    }.items():
        monkeypatch.setenv(name, value)
    assert "torchrun started 2 processes" in refusal(capsys)


def test_the_command_line_loads_no_checkpoint_unasked(
    capsys: pytest.CaptureFixture[str], one_task: Path, tmp_path: Path
) -> None:
    (tmp_path / "hpc_ckpt_1.ckpt").touch()
    said = refusal(capsys, "--trainer.default_root_dir", str(tmp_path))
    assert "hpc_ckpt_1.ckpt was written by Lightning in the midst of a batch" in said
