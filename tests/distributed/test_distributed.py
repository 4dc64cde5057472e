"""Several processes compute what one does on the joined batch; a lost one is noticed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from distributed_worker import (
    BATCH,
    BATCHES,
    CONFIGURATIONS,
    LOGITS,
    MATRIX,
    MATRIX_BATCH,
    MATRIX_BATCHES,
    counted_of,
    train,
    train_matrix,
    watch,
)
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from tiny import distance
from torch import nn

from lightning_gan.distributed.processes import all_true, any_true, gathered_ints, share_buffers
from lightning_gan.distributed.reduction import buckets
from lightning_gan.distributed.strategy import GANStrategy, check_strategy, lost_process
from lightning_gan.errors import ConfigurationError, ProcessLostError

HERE = Path(__file__).resolve().parents[1]
STRATEGIES = ["gan_ddp", "ddp_find_unused_parameters_true"]
SECONDS = 600
"""What a group of processes may take before it counts as hanging."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed"),
]


def launch(strategy: str, folder: Path, processes: int) -> list[dict[str, Any]]:
    """What every process ended with, by rank."""
    environment = os.environ | {
        "PYTHONPATH": str(HERE.parent),
        "OMP_NUM_THREADS": "1",
        "LIGHTNING_GAN_CACHE": str(folder / "cache"),
    }
    worker = str(HERE / "distributed_worker.py")
    done = subprocess.run(
        [sys.executable, worker, strategy, str(folder), str(processes)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "sync_dist" not in done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(processes)]


@pytest.fixture(scope="module", params=STRATEGIES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """What the two processes ended with, and the folder that they wrote to."""
    folder = tmp_path_factory.mktemp("distributed")
    first, second = launch(request.param, folder, 2)
    return first, second, folder


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What three processes made of the matrix."""
    return launch("gan_ddp", tmp_path_factory.mktemp("three"), 3)


@pytest.fixture(scope="module")
def one() -> dict[str, dict[str, Any]]:
    """What one process made of the matrix."""
    return train_matrix({}, 1)


def assert_parity(name: str, one: dict[str, Any], several: list[dict[str, Any]]) -> None:
    """All processes agree bit for bit, and with one process on the joined batch."""
    alone, each = one[name], [found["matrix"][name] for found in several]
    assert alone["progress"]["batches"] == MATRIX_BATCHES
    assert alone["progress"]["images"] == MATRIX_BATCH * MATRIX_BATCHES
    assert alone["progress"]["discriminator_updates"] > 0 < alone["global_step"]
    for found in each:
        assert distance(found["weights"], each[0]["weights"]) == 0
        assert distance(found["weights"], alone["weights"]) < 1e-9
        assert (found["progress"], found["global_step"]) == (
            alone["progress"],
            alone["global_step"],
        )


@pytest.mark.parametrize("name", MATRIX)
def test_three_processes_end_with_the_weights_of_one_for_every_part(
    name: str, one: dict[str, Any], three: list[dict[str, Any]]
) -> None:
    assert_parity(name, one, three)


def test_the_entries_of_the_matrix_differ_from_each_other(one: dict[str, Any]) -> None:
    # a batch in pieces is the batch, and within its margin a hinge is the Wasserstein loss
    names = [name for name in MATRIX if name not in ("two pieces", "GradientPenalty")]
    for index, name in enumerate(names):
        for other in names[:index]:
            a, b = one[name]["weights"], one[other]["weights"]
            same = a.keys() == b.keys() and all(a[k].shape == b[k].shape for k in a)
            assert not same or distance(a, b) > 1e-6, (name, other)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_two_processes_end_with_the_weights_of_one(
    name: str, both: tuple[dict[str, Any], dict[str, Any], Path]
) -> None:
    first, second, _ = both
    alone = train(CONFIGURATIONS[name], {}, 1)
    assert distance(first[name]["weights"], second[name]["weights"]) == 0
    assert distance(first[name]["weights"], alone["weights"]) < 1e-10
    for counted in ("progress", "global_step"):
        assert first[name][counted] == second[name][counted] == alone[counted]
    assert alone["progress"]["images"] == BATCH * BATCHES


def test_two_processes_end_with_the_weights_of_one_for_every_part(
    both: tuple[dict[str, Any], dict[str, Any], Path], one: dict[str, Any]
) -> None:
    first, second, _ = both
    if "matrix" in first:  # under our own strategy
        for name in MATRIX:
            assert_parity(name, one, [first, second])


@pytest.mark.parametrize("part", ["held out", "evaluation", "training", "test", "relative"])
def test_callbacks_say_on_two_processes_what_they_say_on_one(
    part: str, both: tuple[dict[str, Any], dict[str, Any], Path], tmp_path: Path
) -> None:
    first, second, _ = both
    alone = watch(tmp_path, {}, 1)[part]
    assert alone
    for values in (first["watched"][part], second["watched"][part]):
        assert values == pytest.approx(alone, rel=1e-9, abs=1e-12, nan_ok=True)


def test_pictures_and_checkpoints_are_written_once_and_as_one_process_does(
    both: tuple[dict[str, Any], dict[str, Any], Path], tmp_path: Path
) -> None:
    folder = both[2]
    watch(tmp_path, {}, 1)
    for name in ("0000000000.png", "0000000200.png"):
        ours, theirs = (path / "samples" / name for path in (folder, tmp_path))
        assert ours.read_bytes() == theirs.read_bytes()
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["lightning_gan"]["progress"]["images"] == 200


def test_evaluation_sees_the_same_statistics_of_batch_norm_on_all_processes(
    both: tuple[dict[str, Any], dict[str, Any], Path],
) -> None:
    first, second, _ = both
    assert distance(first["statistics"], second["statistics"]) == 0
    assert any(float(value.abs().sum()) > 0 for value in first["statistics"].values())


def test_gradients_are_averaged_where_some_are_missing_or_not_finite(
    both: tuple[dict[str, Any], dict[str, Any], Path],
) -> None:
    for found in both[:2]:
        plain, half, none, nan, infinite = (gradient.unique() for gradient in found["averaged"])
        assert plain.tolist() == [2]
        assert half.tolist() == [1]  # a missing gradient is zero
        assert none.tolist() == []  # nobody had one
        assert nan.isnan().all()
        assert infinite.isinf().all()


def test_processes_agree_on_numbers_and_flags(
    both: tuple[dict[str, Any], dict[str, Any], Path],
) -> None:
    for found in both[:2]:
        assert found["agreed"] == {
            "ints": [5, 6],
            "any": [False, True, True, True],
            "all": [False, False, False, True],
            "total": [2, 1],
            "scores": counted_of(LOGITS[:14], LOGITS[14:]),
        }


def test_alone_there_is_nothing_to_share() -> None:
    device = torch.device("cpu")
    assert gathered_ints(3, device) == [3]
    assert any_true([True, False], device) == [True, False]
    assert all_true(torch.tensor([True, False])) == [True, False]
    share_buffers(nn.BatchNorm1d(2))


def is_left(group: int) -> bool:
    """Whether a process of a group is left, once the system has had time to bury the dead."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize(
    ("how", "within"),
    [("SIGKILL", 20), pytest.param("SIGSTOP", 60, marks=pytest.mark.weekly), ("exception", 20)],
)
def test_a_process_that_is_lost_ends_the_run_with_one_sentence(
    how: str, within: float, tmp_path: Path
) -> None:
    """SIGSTOP stands for one that hangs: it is waited for 24 seconds, as the option says."""
    arguments = ["fit", "--config", "mlp_ring", "--data.batch_size", "32", "--trainer.devices", "2"]
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]
    minutes = "0.4" if how == "SIGSTOP" else "30"
    strategy = ["--trainer.strategy", "GANStrategy", "--trainer.strategy.timeout_minutes", minutes]
    fails = f"--trainer.callbacks+=distributed_worker.Fails --trainer.callbacks.how {how}".split()
    process = subprocess.Popen(
        [sys.executable, "-m", "lightning_gan", *arguments, *quiet, *strategy, *fails],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{HERE.parent}:{HERE}", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
        ended = time.time()
        left = is_left(process.pid)
    finally:
        if is_left(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    failed = float(re.search(r"failing at ([\d.]+)", output)[1])  # type: ignore[index]
    assert "lightning-gan: error: Process 0 lost another one (" in output, output
    assert "go on from the last checkpoint (--ckpt_path last)." in output
    assert output.count("Traceback") == (how == "exception")  # a defect keeps its own
    assert ended - failed < within
    assert not left, "a process was left behind"
    assert process.returncode == 2


def test_what_all_processes_refuse_is_said_once(tmp_path: Path) -> None:
    fit = ["fit", "--config", "mlp_ring", "--data.batch_size", "1000000", "--trainer.devices", "2"]
    done = subprocess.run(  # until the last process has closed its standard error
        [sys.executable, "-m", "lightning_gan", *fit, "--trainer.accelerator", "cpu"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stderr.count("lightning-gan: error: ") == 1, done.stderr
    assert "fewer than one batch of 1000000 on 2 processes: give more" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_only_exchanges_between_processes_count_as_a_lost_process() -> None:
    assert lost_process(RuntimeError("Connection closed by peer")) is None  # there is no other
    assert lost_process(ValueError("timed out")) is None
    error = ProcessLostError("gone")
    assert lost_process(error) is error
    refused = lost_process(torch.distributed.DistStoreError("Timed out waiting for clients."))
    assert "(Timed out waiting for clients)" in str(refused)


def test_buckets_hold_one_type_and_no_more_than_the_limit() -> None:
    sizes = [3, 4, 1, 9, 2, 2]
    tensors = [torch.full((size,), float(i)) for i, size in enumerate(sizes)]
    tensors[5] = tensors[5].double()
    found = list(buckets(tensors, limit=8))
    assert [[len(tensor) for tensor in bucket] for bucket in found] == [[3, 4, 1], [9], [2], [2]]
    assert [tensor for bucket in found for tensor in bucket] == tensors
    assert list(buckets([])) == []


@pytest.mark.parametrize("minutes", [0, -1])
def test_a_process_must_be_given_time(minutes: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout_minutes"):
        GANStrategy(minutes)
    assert GANStrategy(2)._timeout == timedelta(minutes=2)


@pytest.mark.parametrize(
    ("strategy", "refused"),
    [
        ("ddp", "DDPStrategy waits for gradients of the player that is frozen"),
        ("fsdp", "FSDPStrategy cuts networks into pieces"),
        ("ddp_find_unused_parameters_true", None),
        ("gan_ddp", None),
        ("auto", None),
    ],
)
def test_a_strategy_that_cannot_train_two_players_is_refused_from_python_too(
    strategy: str, refused: str | None
) -> None:
    kinds = {
        "ddp": DDPStrategy(),
        "fsdp": type("FSDPStrategy", (SingleDeviceStrategy,), {})(),
        "ddp_find_unused_parameters_true": DDPStrategy(find_unused_parameters=True),
        "gan_ddp": GANStrategy(),
        "auto": SingleDeviceStrategy(),
    }
    trainer = SimpleNamespace(strategy=kinds[strategy])
    if refused is None:
        check_strategy(trainer)  # type: ignore[arg-type]
        return
    with pytest.raises(ConfigurationError, match=rf'{refused}.*strategy="gan_ddp"'):
        check_strategy(trainer)  # type: ignore[arg-type]
