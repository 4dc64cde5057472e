"""The benchmarks: sides that compute the same, turns, tables, and the page that shows them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark import commands
from benchmark import main as front
from benchmarks import measure, overhead, race
from benchmarks.cases import CASES, MadeUp
from benchmarks.loops import Loop, TakeTurns, run
from benchmarks.measure import Window, furthest, per_step, rate, ratio
from benchmarks.peers import LOOPS, Pictures
from benchmarks.step import Operations
from tiny import quiet_trainer

from lightning_gan.datamodules.memory import Samples
from lightning_gan.gan import GAN

RECORDED = measure.recorded_commands()


class FreeTurns:
    """Turns that are always there, so many of them."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.facts: dict[str, Any] = {}

    def next(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise EOFError


def of_loop(loop: Loop, steps: int) -> list[list[float]]:
    """Its losses, step by step."""
    turns = FreeTurns(steps)
    with pytest.raises(EOFError):
        run(turns, loop)  # type: ignore[arg-type]  # all that it needs
    return turns.facts["losses"]


def of_ours(name: str, steps: int, folder: Path) -> list[list[float]]:
    """Ours, of the same case."""
    case, turns = CASES[name], FreeTurns(1000)
    torch.manual_seed(0)
    gan = GAN(
        *case.networks(),
        case.losses.objective(),
        case.losses.regularizers(),
        max_images=steps * case.batch,
    )
    watch = TakeTurns(turns, steps)  # type: ignore[arg-type]  # all that it needs
    trainer = quiet_trainer(folder, callbacks=[watch], limit_val_batches=0, max_epochs=-1)
    trainer.fit(gan, case.data(case.batch))
    return turns.facts["losses"]


# ----------------------------------------------------------------------- the sides compute the same


@pytest.mark.parametrize("name", ["host", "ring", "dcgan", "r3gan"])
def test_a_bare_loop_computes_the_losses_of_ours(name: str, tmp_path: Path) -> None:
    layout = CASES[name].channels_last
    loop = of_loop(Loop(CASES[name], compared=3, channels_last=layout), 3)
    ours = of_ours(name, 3, tmp_path)
    assert furthest(ours, loop) < 1e-5
    assert len(ours) == 3


@pytest.mark.parametrize("name", [name for name, loop in LOOPS.items() if loop.same_as_ours])
def test_other_loops_compute_them_too_where_they_say_so(name: str, tmp_path: Path) -> None:
    ours, loop = of_ours("dcgan", 3, tmp_path), of_loop(LOOPS[name](CASES["dcgan"], 3), 3)
    assert furthest(ours, loop) < 1e-3  # another layout of maps rounds otherwise


def test_a_loop_that_shares_its_fakes_computes_something_else(tmp_path: Path) -> None:
    loop = of_loop(LOOPS["pytorch/examples"](CASES["dcgan"], 3), 3)
    assert furthest(of_ours("dcgan", 3, tmp_path), loop) > 1e-2


def test_a_loop_without_lightning_has_none_of_its_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    of_loop(Loop(CASES["host"], compared=1), 1)
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ


def test_no_side_inherits_what_its_parent_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = measure.environment(threads=2)
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in found
    assert found["OMP_NUM_THREADS"] == "2"


def test_pictures_read_one_by_one_are_those_of_our_batches() -> None:
    split = MadeUp(channels=3, image_size=8, count=5).split("train")
    images, labels = Samples(split).take(torch.arange(5))
    read = [Pictures(split)[index] for index in range(5)]
    assert (torch.stack([image for image, _ in read]) - images).abs().max() < 1e-6
    assert [label for _, label in read] == labels.tolist()


def test_losses_that_differ_end_a_benchmark_in_a_sentence() -> None:
    measure.refuse_other_losses("ring", 1e-6, 1e-4, 20)
    for difference in (0.5, float("nan")):
        with pytest.raises(SystemExit, match="the sides do not compute the same"):
            measure.refuse_other_losses("ring", difference, 1e-4, 20)


# ------------------------------------------------------------------------------- numbers and turns


def window(seconds: float, steps: int = 10) -> Window:
    return Window(steps, wall=2 * seconds, cpu=seconds, memory=100.0, facts={})


def test_numbers_are_medians_over_windows_and_pairs_of_the_same_round() -> None:
    ours, bare = [window(1.0), window(3.0), window(2.0)], [window(1.0), window(2.0), window(2.0)]
    assert per_step(ours) == {"median": 200.0, "low": 100.0, "high": 300.0, "n": 3}
    found = ratio(ours, bare)
    assert found == pytest.approx({"median": 1.0, "low": 1.0, "high": 1.5, "n": 3})
    assert rate(bare, samples=64)["median"] == 64 * 10 / 4.0
    assert furthest([[1.0, -4.0]], [[1.5, -3.0]]) == 0.5


class Recorder(measure.Side):
    """A side that writes down when it runs."""

    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__(name)
        self.log = log

    def window(self, steps: int) -> Window:
        self.log.append(f"{self.place}{steps}")
        return window(1.0, steps)


def test_sides_take_turns_and_none_is_always_first() -> None:
    log: list[str] = []
    sides = {name: Recorder(name, log) for name in "ab"}
    found = measure.take_turns(sides, {"a": 1, "b": 2}, rounds=3)
    assert log == ["a1", "b2", "b2", "a1", "a1", "b2"]
    assert [len(windows) for windows in found.values()] == [3, 3]


def test_turns_are_joined_to_windows() -> None:
    windows = measure.joined([window(float(n), 10) for n in range(1, 5)], 2)
    assert [(w.steps, w.cpu) for w in windows] == [(20, 3.0), (20, 7.0)]


def test_a_side_that_fails_ends_the_benchmark_with_its_last_lines() -> None:
    side = measure.Side("benchmarks.measure:nothing_of_that_name")
    side.start()
    with pytest.raises(SystemExit, match=r"AttributeError(.|\n)*has failed"):
        side.ready()
    side.close()


@pytest.mark.weekly
def test_a_whole_benchmark_runs_in_processes_of_their_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "performance.md"
    page.write_text("Before.\n{}\n{}\nAfter.\n".format(*measure.marks("overhead")))
    monkeypatch.setattr(measure, "PAGE", page)
    monkeypatch.setattr(measure, "RECORDS", tmp_path / "performance")
    overhead.main(["--quick", "--cases", "host", "--record"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    (row,) = result["rows"]
    assert row["losses_differ"] < 1e-5
    assert row["ratio"]["n"] == 2
    assert 0.2 < row["ratio"]["median"] < 20
    text = page.read_text()
    assert measure.table_of("overhead", result) in text
    assert text.startswith("Before.\n")
    assert text.endswith("\nAfter.\n")
    assert "not for comparisons" in text


def test_arithmetic_is_counted_through_penalties() -> None:
    critic, samples = torch.nn.Linear(5, 3, bias=False), torch.randn(7, 5, requires_grad=True)
    with Operations() as forward:
        score = critic(samples).sum()
    with Operations() as backward:
        (slope,) = torch.autograd.grad(score, samples, create_graph=True)
    assert forward.total == 2 * 7 * 5 * 3
    with Operations() as again:
        slope.square().sum().backward()
    assert backward.total == again.total == forward.total


# --------------------------------------------------------------------------- the commands, the page


def test_the_front_lists_all_commands_without_importing_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    front([])
    listed = capsys.readouterr().out
    found = commands()
    assert {"overhead", "step", "peers", "best_loop", "metrics", "scaling", "race"} <= found.keys()
    for name, line in found.items():
        assert f"{name} " in listed
        assert line.endswith(".")
        assert line in listed


def test_an_unknown_benchmark_is_refused_with_the_choice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        front(["overheads"])
    assert end.value.code == 2
    assert "There is no benchmark 'overheads': choose from best_loop" in capsys.readouterr().err


@pytest.mark.parametrize("command", RECORDED)
def test_the_page_shows_what_was_recorded(command: str) -> None:
    begin, end = measure.marks(command)
    table = measure.recorded_table(command)
    assert f"{begin}\n\n{table}\n\n{end}" in measure.PAGE.read_text(encoding="utf-8"), (
        "run: python scripts/benchmark.py tables"
    )


@pytest.mark.parametrize(
    "command",
    ["overhead", "step", "peers", "best_loop", "metrics", "scaling", "race", "device_check"],
)
def test_the_page_has_a_place_for_each_table(command: str) -> None:
    text = measure.PAGE.read_text(encoding="utf-8")
    assert [text.count(mark) for mark in measure.marks(command)] == [1, 1]


# --------------------------------------------------------------------------------------- the races


def test_a_race_is_won_when_all_that_it_asks_for_holds_at_once() -> None:
    found = race.RACES["mnist"]
    good = {"modes/mnist/covered": 10.0, "fid/mnist_cnn_debiased": 1.9}
    assert found.reached(good)
    assert not found.reached(good | {"modes/mnist/covered": 9.0})
    assert not found.reached(good | {"fid/mnist_cnn_debiased": float("nan")})
    assert found.told(good | {"eval/seconds": 1.0}) == good


@pytest.mark.parametrize("name", race.RACES)
def test_races_are_of_recipes_that_there_are(name: str) -> None:
    from lightning_gan.recipes import recipe_names

    assert race.RACES[name].recipe in recipe_names()
    assert race.RACES[name].least or race.RACES[name].most


@pytest.mark.weekly
def test_a_race_is_run_once_and_lost_when_its_time_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "race.jsonl"
    options = "--model.generator.width 4 --model.discriminator.width 4 --model.max_images 20000"
    words = ["--quick", "--races", "digits", "--results", str(results), "--runs", str(tmp_path)]
    for _ in range(2):  # the second time there is nothing to do
        race.main([*words, "--options", options])
    (line,) = race.finished(results)
    assert (line["race"], line["seed"], line["reached"]) == ("digits", 0, False)
    assert line["measuring"] > 0
    (look, *_) = line["looks"]
    assert look["images"] >= race.RACES["digits"].every
    assert look["seconds"] > 0
    assert "0 of 1 seeds" in capsys.readouterr().out
