"""``lightning-gan report``: a page of runs, or one sentence."""

import re
import shlex
from pathlib import Path

import pytest
from recorded_runs import record, report, write_run

from lightning_gan.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = re.findall(
    r"^lightning-gan .*", (ROOT / "docs" / "report.md").read_text(encoding="utf-8"), re.MULTILINE
)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two runs below ``runs/dcgan_digits``."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/dcgan_digits")
    return [write_run(folder / f"version_{seed}", record(seed), [report(0.5)]) for seed in (0, 1)]


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence on the error stream of a command that is refused."""
    capsys.readouterr()
    assert main(["report", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_a_page_of_one_run_lies_in_its_folder(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(runs[0])]) == 0
    path = runs[0] / "report.html"
    assert capsys.readouterr().out == f"Report      {path}\n"
    assert "mlp_ring seed=0" in path.read_text(encoding="utf-8")


def test_a_page_of_several_runs_lies_here_or_where_it_is_asked_for(runs: list[Path]) -> None:
    assert main(["report", *map(str, runs)]) == 0
    assert "2 runs" in Path("report.html").read_text(encoding="utf-8")
    assert main(["report", *map(str, runs), "--output", "new/page.html"]) == 0
    assert Path("new/page.html").read_bytes() == Path("report.html").read_bytes()


@pytest.mark.parametrize("command", DOCUMENTED)
def test_every_command_of_its_page_in_docs_runs(command: str) -> None:
    arguments: list[str] = []
    for word in shlex.split(command, comments=True)[1:]:
        arguments += map(str, sorted(Path().glob(word))) if "*" in word else [word]
    assert main(arguments) == 0
    assert [*Path().rglob("*.html")]


def test_a_folder_that_is_no_run_is_refused_in_a_sentence(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(capsys, str(runs[0]), "runs")
    assert "runs is no run, but has some below it" in said
    assert "as in runs/dcgan_digits/version_1" in said
    assert "runs/none holds no run.json" in complaint(capsys, "runs/none")
    assert not [*Path().rglob("*.html")]


def test_what_cannot_be_is_refused_in_a_sentence(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is missing" in complaint(capsys)
    assert "--output runs is a folder" in complaint(capsys, str(runs[0]), "--output", "runs")
    Path("file").touch()
    assert "--output" in complaint(capsys, str(runs[0]), "--output", "file/page.html")
    (runs[0] / "run.json").write_text("{")
    assert "run.json is damaged" in complaint(capsys, str(runs[0]))
    (runs[1] / "metrics.csv").mkdir()
    assert "metrics.csv cannot be read" in complaint(capsys, str(runs[1]))


def test_its_help_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--output" in text
    assert "RUNS" in text.splitlines()[0]
