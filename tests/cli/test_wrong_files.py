"""Commands that read runs, on files that no run has written: a sentence, or a harmless answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded_runs import record, report, write_run

from lightning_gan.__main__ import main

FOLDER = Path("runs/ring/version_0")
OTHER = Path("runs/ring/version_1")
COMMANDS = {
    "compare": ["compare", str(FOLDER), str(OTHER)],
    "report": ["report", str(FOLDER), str(OTHER), "--output", "page.html"],
    "table": ["table", "runs"],
    "table in LaTeX": ["table", "runs", "--format", "latex"],
    "runs": ["runs"],
    "predict": ["predict", "--ckpt_path", str(FOLDER)],
    "evaluate": ["evaluate", "--ckpt_path", str(FOLDER), "--data", "Ring"],
}
HUGE = 10**399
ESCAPE = "\x1b[31mred\x1b]0;title\x07"
SURROGATE = "\ud800"


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])
    for seed, folder in enumerate((FOLDER, OTHER)):
        write_run(folder, record(seed), [report(0.5)])


def evaluated(**parts: object) -> None:
    path = FOLDER / "evaluations.jsonl"
    content = json.loads(path.read_text(encoding="utf-8"))
    for name, part in parts.items():
        content[name] |= part
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def recorded(**fields: object) -> None:
    path = FOLDER / "run.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | fields), encoding="utf-8")


def replaced_by_folder(name: str) -> None:
    path = FOLDER / name
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def replaced_by_loop(name: str) -> None:
    path = FOLDER / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(path.name)


SPOILT: dict[str, Callable[[], None]] = {
    "a value of 400 digits": lambda: evaluated(values={"fid/identity": HUGE}),
    "a stamp of 400 digits": lambda: evaluated(stamp={"samples": {"count": HUGE}}),
    "images of 400 digits": lambda: evaluated(run={"images_seen": HUGE}),
    "a count of 400 digits": lambda: recorded(images=HUGE),
    "an option of 400 digits": lambda: recorded(differs={"model.width": HUGE}),
    "a surrogate in a name": lambda: recorded(name=SURROGATE, recipe=SURROGATE),
    "a surrogate in a value's name": lambda: evaluated(values={f"fid/{SURROGATE}": 1.0}),
    "a surrogate in a stamp": lambda: evaluated(stamp={SURROGATE: SURROGATE}),
    "escapes in a name": lambda: recorded(name=ESCAPE, recipe=ESCAPE, said=ESCAPE, state="failed"),
    "escapes in an option": lambda: recorded(differs={ESCAPE: ESCAPE}),
    "escapes in a value's name": lambda: evaluated(values={f"fid/{ESCAPE}": 1.0}),
    "escapes in a stamp": lambda: evaluated(stamp={ESCAPE: ESCAPE}, run={"device": ESCAPE}),
    **{
        f"{what} for {name}": (lambda name=name, put=put: put(name))  # type: ignore[misc]
        for name in ("run.json", "evaluations.jsonl", "metrics.csv", "checkpoints/last.ckpt")
        for what, put in {"a folder": replaced_by_folder, "a loop": replaced_by_loop}.items()
    },
    "a file for samples": lambda: (FOLDER / "samples").touch(),
    "a cell of 400 digits": lambda: (FOLDER / "metrics.csv").write_text(
        f"step,progress/images,loss/{ESCAPE}\n1,{HUGE},{HUGE}\n2,20,nan\n"
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_no_run_has_written_ends_in_a_sentence_or_harmlessly(
    spoilt: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    SPOILT[spoilt]()
    code = main(COMMANDS[command])
    out, err = capsys.readouterr()
    assert code in (0, 2)
    assert harmless(out)
    assert harmless(err)
    if code == 2:
        assert len(err.strip().splitlines()) == 1
        assert err.startswith("lightning-gan: error: ")
    page = Path("page.html")
    assert not page.exists() or "\x1b" not in page.read_text(encoding="utf-8")


def harmless(text: str) -> bool:
    """Whether a terminal shows all of it and obeys none of it."""
    return all(character.isprintable() or character == "\n" for character in text)


PLACES = {
    "a name that is too long": ("x" * 300, "File name too long"),
    "another machine": ("s3://bucket/run", "s3://bucket/run is not on this machine"),
    "a loop": ("loop", "loop"),
    "below a file": ("file/run", "file/run"),
    "escapes": (ESCAPE, "\\x1b[31mred"),
    "nothing": ("nowhere", "nowhere"),
}
READING = {
    "compare": ["compare", "PLACE", str(OTHER)],
    "report": ["report", "PLACE"],
    "table": ["table", "PLACE"],
    "runs": ["runs", "PLACE"],
    "predict": ["predict", "--ckpt_path", "PLACE"],
    "evaluate": ["evaluate", "--ckpt_path", "PLACE", "--data", "Ring"],
    "evaluate samples": ["evaluate", "--samples", "PLACE", "--data", "Digits"],
}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert harmless(out)
    assert harmless(err)
    assert len(err.strip().splitlines()) == 1
    return err


@pytest.fixture
def _places() -> None:
    Path("file").touch()
    Path("loop").symlink_to("loop")


@pytest.mark.usefixtures("_places")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", READING)
def test_a_place_that_cannot_be_read_is_named(
    command: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, words = PLACES[place]
    arguments = [path if word == "PLACE" else word for word in READING[command]]
    assert words in refused(arguments, capsys)


@pytest.mark.usefixtures("_places")
@pytest.mark.parametrize("place", ["x" * 300, "s3://bucket/page", "loop/page", "file/page", "."])
def test_a_place_where_no_page_can_be_written_is_named(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().rglob("*"))
    said = refused(["report", str(FOLDER), "--output", place], capsys)
    assert place[:199] in said
    assert sorted(Path().rglob("*")) == before


def test_a_page_does_not_follow_a_link(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.txt").write_text("mine")
    Path("page.html").symlink_to("mine.txt")
    assert main(["report", str(FOLDER), "--output", "page.html"]) == 0
    assert Path("mine.txt").read_text() == "mine"
    assert not Path("page.html").is_symlink()
