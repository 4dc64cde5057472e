"""The commands of docs/runs.md print what stands below them there."""

import json
import re
import shlex
from pathlib import Path

import pytest

from lightning_gan.__main__ import main

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs" / "runs.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```text\n\$ (lightning-gan (?:runs|table|compare)\b.*)\n((?s:.*?))```", TEXT)


@pytest.fixture
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of the page: their records, and their last evaluations as they were measured."""
    monkeypatch.chdir(tmp_path)
    for line in (HERE / "ring_runs.jsonl").read_text(encoding="utf-8").splitlines():
        content = json.loads(line)
        folder = Path(content["folder"])
        folder.mkdir(parents=True)
        for name, part in (("run.json", "record"), ("evaluations.jsonl", "evaluation")):
            (folder / name).write_text(json.dumps(content[part]) + "\n", encoding="utf-8")


def test_every_command_about_many_runs_is_shown() -> None:
    assert {command.split()[1] for command, _ in SHOWN} == {"runs", "table", "compare"}


@pytest.mark.usefixtures("_runs")
@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_stands_below_it(
    command: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == output
