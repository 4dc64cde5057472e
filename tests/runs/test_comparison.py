"""Measurements side by side, under the shortest names that tell them apart."""

import math
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import STAMP, identity, part, record, report, write_run

from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import StampedValues
from lightning_gan.runs.comparison import LONGEST, Measured, comparison, titles


def loose(path: str, fid: float = 2.5, **values: float) -> Measured:
    """A report that lies in no run."""
    return Measured(
        Path(path), StampedValues({"fid/x": fid, "eval/n": 10.0} | values, STAMP, {}), None
    )


def measured(
    seed: int = 0, objective: str = "Hinge", images: int = 20_224, **fields: Any
) -> Measured:
    """The last evaluation of a run."""
    made = identity(seed, objective=part(objective), **fields.pop("model", {}))
    return Measured(Path("a"), report(0.5, images), record(seed, identity=made, **fields))


def test_a_comparison_shows_all_and_their_differences_to_the_first() -> None:
    text = comparison([loose("a.json", 2.5), loose("b.json", 2.0, kid=1.0), loose("c.json", 4.0)])
    head, *lines = (line.split() for line in text.splitlines())
    assert head == ["a.json", "b.json", "difference", "c.json", "difference"]
    rows = {line[0]: line[1:] for line in lines}
    assert rows["fid/x"] == ["2.5", "2", "-0.5", "4", "+1.5"]
    assert rows["kid"] == ["-", "1", "-", "-", "-"], "which were not measured"
    text = comparison([loose("a.json", kid=math.nan), loose("b.json", kid=1.0)])
    assert [line.split()[1:] for line in text.splitlines() if line.startswith("kid")] == [
        ["nan", "1", "+nan"]
    ]
    assert "eval/n" not in rows


def test_the_legend_says_what_each_is() -> None:
    told = Measured(
        Path("b.json"),
        StampedValues({}, STAMP, {"checkpoint": "last.ckpt", "epoch": 3, "stage": ""}),
        None,
    )
    lines = comparison([loose("a.json"), told]).splitlines()
    assert lines[-2:] == ["a.json:", "b.json: checkpoint last.ckpt, epoch 3"]
    runs = [measured(1), measured(2, differs={"model.gradient_clip": 1.0, "data.seed": 2})]
    for run in runs:  # as a record says it already
        run.stamped.run.update(id="bae7b2e6", name="mlp_ring seed=1", recipe="mlp_ring")
    lines = comparison(runs).splitlines()
    assert lines[-2] == "seed 1: a, mlp_ring, seed 1, images_seen 20224, stage val"
    assert lines[-1].startswith("seed 2: a, mlp_ring, gradient_clip=1, seed 2, images_seen")


@pytest.mark.parametrize(
    ("runs", "names"),
    [
        (
            [measured(recipe="hinge_mnist"), measured(1, "Minimax", recipe="minimax_mnist")],
            ["hinge_mnist", "minimax_mnist"],
        ),
        ([measured(0), measured(1, "Minimax")], ["Hinge", "Minimax"]),
        ([measured(0), measured(1)], ["seed 0", "seed 1"]),
        (
            [measured(0), measured(1), measured(0, "Minimax"), measured(1, "Minimax")],
            ["Hinge seed 0", "Hinge seed 1", "Minimax seed 0", "Minimax seed 1"],
        ),
        (
            [measured(model={"ema_half_life": n}) for n in (5, 50)],
            ["ema_half_life=5", "ema_half_life=50"],
        ),
        ([measured(), measured(images=10_240)], ["20,224 images", "10,240 images"]),
        ([measured(), measured()], ["#1", "#2"]),
        ([loose("a/x/test.json"), loose("b/x/test.json")], ["a", "b"]),
        ([loose("a/test.json"), loose("a/val.json")], ["test.json", "val.json"]),
        ([loose("runs/a/version_0"), measured()], ["version_0", "a"]),
        ([loose("a.json"), loose("a.json")], ["#1", "#2"]),
        ([loose("x" * 50), loose("y")], ["#1", "#2"]),
        ([loose("a\x1b"), loose("b")], ["a\\x1b", "b"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value[0], str) else "",
)
def test_titles_tell_apart_and_are_short(runs: list[Measured], names: list[str]) -> None:
    assert titles(runs) == names
    assert max(map(len, names)) <= LONGEST


def test_the_measurement_of_a_run_is_its_last(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", record(3), [report(0.5, 100), report(0.25)])
    for path in (folder, folder / "evaluations.jsonl"):
        found = Measured.read(path)
        assert found.stamped == report(0.25)
        assert found.record is not None
        assert found.record.seed == 3
    beside = report(0.125).write(tmp_path / "a.json")
    assert Measured.read(beside) == Measured(beside, report(0.125), None)


def test_what_is_passed_over_in_a_file_is_said(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, record(0), [report(0.5), report(0.25)])
    file = tmp_path / "a" / "evaluations.jsonl"
    file.write_text(file.read_text()[:-9])
    text = comparison([Measured.read(tmp_path / name) for name in ("a", "b")])
    assert text.splitlines()[-1] == f"{file}: 1 line of 2 broken off or damaged, and left out."


def test_a_folder_without_evaluations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no evaluations\.jsonl: give the folder"):
        Measured.read(tmp_path)


def test_those_that_do_not_compare_are_named() -> None:
    stamp = {"versions": {"torch": "1.0"}}
    other = Measured(Path("c"), report(0.5, **stamp), None)
    with pytest.raises(ConfigurationError, match=r"^a and c do not compare: versions\.torch is"):
        comparison([measured(), measured(1), other])
    assert "fid/identity" in comparison([measured(), measured(1), other], ["versions"])


def test_what_a_report_holds_cannot_harm_a_terminal() -> None:
    nasty = "\x1b[2J\ud800\n\x9b" + "x" * 1000
    values = {nasty: 1e308, "fid/x": -1e308, "b": math.inf}
    told = StampedValues(values, STAMP, {nasty: nasty, "list": [nasty]})
    text = comparison([Measured(Path("a"), told, None), loose("b", 1e308)])
    text.encode()
    assert text.replace("\n", "").isprintable()
    assert len(text.splitlines()) == 1 + 3 + 2
