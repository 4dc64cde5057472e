"""``lightning-gan runs``, ``table`` and ``compare`` about the runs on the disk."""

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import identity, part, record, report, write_run

from lightning_gan.cli import program


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _runs() -> None:
    """Two objectives with two seeds each."""
    for number, (objective, fid) in enumerate(
        [("Hinge", 0.25), ("Hinge", 0.5), ("Minimax", 1.0), ("Minimax", 2.0)]
    ):
        seed = number % 2
        fields: dict[str, Any] = {
            "identity": identity(seed, objective=part(objective)),
            "differs": {"model.objective": objective},
            "values": {"fid/identity": fid},
        }
        place = Path("runs/mlp_ring") / f"version_{number}"
        day = f"2026-11-2{number}T00:00:00+00:00"
        write_run(place, record(seed, **fields), [report(fid)], updated=day)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that is refused says."""
    capsys.readouterr()
    assert program.run([*arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


@pytest.mark.usefixtures("_runs")
def test_runs_are_listed_the_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["runs"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["run", "recipe"]
    assert [row.split()[0] for row in rows] == [f"runs/mlp_ring/version_{n}" for n in (3, 2, 1, 0)]
    assert program.run(["runs", "runs/mlp_ring/version_2"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("runs/mlp_ring/version_2  mlp_ring")


@pytest.mark.usefixtures("_runs")
def test_runs_are_listed_for_pages_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["runs", "--format", "markdown"]) == 0
    assert capsys.readouterr().out.count("\n") == 2 + 4
    assert program.run(["runs", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["last"] for row in rows] == ["2", "1", "0.5", "0.25"]
    assert program.run(["runs", "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [run["last"]["value"] for run in content] == [2.0, 1.0, 0.5, 0.25]
    assert "--format takes text, markdown" in complaint(capsys, "runs", "--format", "xml")


@pytest.mark.usefixtures("_runs")
def test_damaged_records_are_named_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/mlp_ring/version_1/run.json").write_text("\x1b[31m")
    assert program.run(["runs"]) == 0
    output = capsys.readouterr()
    assert output.out.count("\n") == 1 + 3
    assert output.err == (
        "lightning-gan: runs/mlp_ring/version_1/run.json is damaged: its run can go on from its "
        "checkpoint, but is not listed.\n"
    )


def test_an_empty_folder_gets_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no folder runs: train first" in complaint(capsys, "runs")
    Path("runs").mkdir()
    for form, written in (("text", ""), ("markdown", ""), ("json", "[]\n")):
        assert program.run(["runs", "--format", form]) == 0
        output = capsys.readouterr()
        assert output.out == written
        assert output.err == (
            "lightning-gan: There are no runs at or below runs: train one with lightning-gan fit.\n"
        )


@pytest.mark.usefixtures("_runs")
def test_a_table_has_a_row_for_each_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["table", "runs", "--by", "objective"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.splitlines()[2:] == [
        "| Hinge     |   2 | 20,224 |  0.38 ± 0.18 | 0.38 ± 0.18 |",
        "| Minimax   |   2 | 20,224 |  1.50 ± 0.71 | 1.50 ± 0.71 |",
    ]
    assert program.run(["table", "runs/mlp_ring", "runs", "--format", "latex"]) == 0
    assert r"Hinge     & 2 & 20,224 & 0.38 $\pm$ 0.18 & " in capsys.readouterr().out
    assert program.run(["table", "runs", "--metric", "precision", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["precision/identity mean"] for row in rows] == ["0.625", "-0.5"]


@pytest.mark.usefixtures("_runs")
def test_what_must_not_be_averaged_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--by seed: seeds are" in complaint(capsys, "table", "runs", "--by", "seed")
    assert "kid was not measured" in complaint(capsys, "table", "runs", "--metric", "kid")
    assert "no folder nowhere" in complaint(capsys, "table", "nowhere")
    assert "is missing" in complaint(capsys, "table")
    place = Path("runs/mlp_ring/version_0/evaluations.jsonl")
    place.write_text(report(0.25, 5120, versions={"torch": "\x1b[31m"}).as_json() + "\n")
    said = complaint(capsys, "table", "runs", "--despite", "images_seen")
    assert r"versions.torch is \x1b[31m and 2.14.1" in said
    despite = ["--despite", "images_seen", "--despite", "versions.torch"]
    assert program.run(["table", "runs", *despite]) == 0
    assert "5,120 to 20,224" in capsys.readouterr().out


@pytest.mark.usefixtures("_runs")
def test_what_is_left_out_of_a_table_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/mlp_ring/version_1/evaluations.jsonl").unlink()
    assert program.run(["table", "runs"]) == 0
    output = capsys.readouterr()
    assert "| 0.25 ± - |" in output.out.replace("  ", "")
    assert output.err == (
        "lightning-gan: runs/mlp_ring/version_1 (finished) has not been measured: left out.\n"
    )


@pytest.mark.usefixtures("_runs")
def test_runs_are_compared_by_their_folders(capsys: pytest.CaptureFixture[str]) -> None:
    folders = [f"runs/mlp_ring/version_{n}" for n in (0, 2, 3)]
    assert program.run(["compare", *folders]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == [
        *("Hinge", "seed", "0", "Minimax", "seed", "0", "difference"),
        *("Minimax", "seed", "1", "difference"),
    ]
    assert lines[0].split() == ["fid/identity", "0.25", "1", "+0.75", "2", "+1.75"]
    assert lines[-1].startswith("Minimax seed 1: runs/mlp_ring/version_3, mlp_ring, objective=Mini")
    file = f"{folders[0]}/evaluations.jsonl"
    assert program.run(["compare", file, folders[1], "--despite", "versions"]) == 0
    assert capsys.readouterr().out.split()[:3] == ["Hinge", "Minimax", "difference"]


@pytest.mark.usefixtures("_runs")
def test_a_comparison_needs_two_reports(capsys: pytest.CaptureFixture[str]) -> None:
    assert "is missing" in complaint(capsys, "compare")
    said = complaint(capsys, "compare", "runs/mlp_ring/version_0")
    assert "takes two measurements or more: give another one." in said
    said = complaint(capsys, "compare", "runs/mlp_ring/version_0", "runs")
    assert "runs holds no evaluations.jsonl: give the folder of a run" in said


def test_a_report_from_anywhere_harms_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    long = {"format": 1, "values": {"a": 10**400}, "stamp": {}, "run": {}}
    Path("long.json").write_text(json.dumps(long))
    assert "holds values that are no numbers" in complaint(
        capsys, "compare", "long.json", "long.json"
    )
    nasty = "\x1b[2J\ud800"
    for name, stamp in (("a", {}), ("b", {nasty: nasty})):
        told = {"format": 1, "values": {nasty: 1, "b": 1e999}, "stamp": stamp, "run": {nasty: 1}}
        Path(f"{name}.json").write_text(json.dumps(told))
    assert r"do not compare: \x1b[2J\ud800 is nothing and" in complaint(
        capsys, "compare", "a.json", "b.json"
    )
    assert program.run(["compare", "a.json", "b.json", "--despite", nasty]) == 0
    assert capsys.readouterr().out.replace("\n", "").isprintable()


JUNK: list[Any] = [
    None,
    True,
    -1,
    10**400,
    1e999,
    "\x1b[31m\ud800",
    "x" * 5000,
    [],
    {},
    [[{}]],
    0.5,
]
COMMANDS = (
    "runs",
    "runs --format json",
    "table runs --despite samples --despite versions --despite images_seen",
    "table runs --by objective --metric recall --format latex",
    "compare runs/mlp_ring/version_0 runs/mlp_ring/version_1 runs/mlp_ring/version_3",
)


def damaged(content: Any, chance: random.Random) -> Any:
    """The content of a file with something else in one place."""
    if isinstance(content, dict | list) and content and chance.random() < 0.8:
        copy = content.copy()
        key = chance.choice(list(content) if isinstance(content, dict) else range(len(content)))
        copy[key] = damaged(content[key], chance)
        return copy
    return chance.choice(JUNK)


@pytest.mark.usefixtures("_runs")
@pytest.mark.parametrize("seed", range(20))
def test_damage_in_any_place_harms_nobody(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(seed)
    for path in sorted(Path("runs").rglob("*.json*")):
        if chance.random() < 0.5:
            path.write_text(json.dumps(damaged(json.loads(path.read_text()), chance)) + "\n")
    for command in COMMANDS:
        refused = program.run(command.split()) == 2
        output = capsys.readouterr()
        assert (output.out + output.err).replace("\n", "").isprintable()
        assert (output.out == "" and output.err.count("\n") == 1) or not refused
