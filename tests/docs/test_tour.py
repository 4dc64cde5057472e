"""The tour's commands run, both languages show the same, and what is made from it is up to date."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tour
import tour_pictures

ENGLISH, KOREAN = (page.read_text(encoding="utf-8") for page in (tour.PAGE, tour.KOREAN))
SHARE = 0.1
"""Of the budget."""
ASIDE = re.compile(
    r"^#.*$|!?\[[^]]*\]\([^)]*\)|`[^`]*`|[Ss]ections? \d+(?: and \d+)?|\d+절", re.MULTILINE
)
"""What has numbers that are none of a run: headings, links, code, and references to sections."""
NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?")
COUNT = re.compile(r"\d+ of \d+ \w+")
"""A count in the words of an output."""
KNOWN = {
    "1": "0 1",  # answers of D
    "4": "0 0.5",
    "5": "0.01 0.9 90 10,000",  # sigma, momentum, half-life
    "6": "4,000 6,000 12,000",
    "9": "2 9",  # the best answers of D: 1/(1 + 2), 8/9
    "10": "0 150 200 1,297 30,000",
    "11": "0.01 0.1 0.5 1 5 9",
}
"""Numbers of a section that no run brings forth: theory, settings, budgets, readings of an axis."""


def headings(text: str) -> list[str]:
    """Numbers of the sections."""
    return re.findall(r"^## (\d+)\.", text, flags=re.MULTILINE)


def test_both_languages_have_the_same_sections_commands_outputs_and_pictures() -> None:
    assert headings(ENGLISH) == headings(KOREAN) == [str(n + 1) for n in range(11)]
    assert [found[0] for found in tour.CODE.finditer(ENGLISH)] == [
        found[0] for found in tour.CODE.finditer(KOREAN)
    ]
    english, korean = (tour.SHOWN.findall(text) for text in (ENGLISH, KOREAN))
    assert [name for _, name in english] == [name for _, name in korean]
    assert re.findall(r"`[^`\n]+`", KOREAN)
    assert len(re.findall("[가-힣]", KOREAN)) > 3000


def sections(text: str) -> dict[str, str]:
    """The sections by their numbers."""
    return dict(re.findall(r"^## (\d+)\.((?s:.*?))(?=^## |\Z)", text, flags=re.MULTILINE))


def prose(section: str) -> str:
    """What a section says in words, in one line."""
    return " ".join(ASIDE.sub(" ", tour.CODE.sub("", f"#{section}")).split())


def untold(section: str, known: str = "") -> list[str]:
    """Counts and numbers in the prose of a section that neither its outputs nor theory have."""
    outputs = "".join(found[3] or "" for found in tour.CODE.finditer(section))
    said, shown = prose(section), NUMBER.findall(outputs)
    counts = [count for count in COUNT.findall(said) if count not in outputs]
    rest = [n for n in NUMBER.findall(COUNT.sub(" ", said)) if n not in known.split()]
    return counts + [n for n in rest if not _is_in(n, shown)]


def _is_in(number: str, shown: list[str]) -> bool:
    """Whether a number is shown, maybe with more digits; a single digit stands for itself alone."""
    decimals = len(number.partition(".")[2])
    rounded = [f"{float(x.replace(',', '')):,.{decimals}f}" for x in shown if len(number) > 1]
    return number in [*shown, *rounded]


@pytest.mark.parametrize("number", sections(ENGLISH))
def test_the_prose_of_a_section_says_what_its_outputs_show(number: str) -> None:
    english, korean = sections(ENGLISH)[number], sections(KOREAN)[number]
    assert untold(english, KNOWN.get(number, "")) == []
    assert untold(korean, KNOWN.get(number, "")) == []
    assert {*NUMBER.findall(prose(korean))} == {*NUMBER.findall(prose(english))}


def test_the_code_that_it_points_to_is_there() -> None:
    pointed = re.findall(r"`(\w+)` in `(\w+\.py)`", ENGLISH)
    assert pointed
    for name, file in pointed:
        assert f"def {name}(" in (tour.ROOT / "lightning_gan" / file).read_text(encoding="utf-8")


def test_every_picture_is_drawn_is_there_and_is_small() -> None:
    names = [found["name"] for found in tour.SHOWN.finditer(ENGLISH)]
    assert sorted(names) == sorted(tour_pictures.DRAWN)
    files = sorted(tour.PICTURES.glob("*.png"))
    assert [file.stem for file in files] == sorted(names)
    assert all(file.stat().st_size <= tour_pictures.LARGEST for file in files)


def test_every_training_has_printed_its_end() -> None:
    for found in tour.CODE.finditer(ENGLISH):
        fits = len(re.findall(r"^lightning-gan fit", found["source"], flags=re.MULTILINE))
        assert (found[3] or "").count("Trained on") == fits, found["source"]


def test_of_several_commands_each_has_its_folder_above_what_it_printed() -> None:
    for found in tour.CODE.finditer(ENGLISH):
        folders = tour.Block(found[1], found["source"]).named
        above = re.findall(r"^(\S+):$", found[3] or "", flags=re.MULTILINE)
        assert above == (folders if len(folders) > 1 else []), found["source"]


def test_the_shell_writes_the_folder_above_what_each_of_several_commands_prints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tour, "main", lambda words: print(words[0]))
    one = "lightning-gan evaluate --samples copies\n"
    assert tour.Shell().run(tour.Block("bash", one)) == "evaluate\n"
    both = f"{one}lightning-gan fit --trainer.default_root_dir runs/first\n"
    printed = "copies:\nevaluate\nruns/first:\nfit\n"
    assert tour.Shell().run(tour.Block("bash", both)) == printed


def test_the_shell_runs_the_commands_of_a_loop_and_shows_no_output_that_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands: list[str] = []
    monkeypatch.setattr(tour, "main", lambda words: print(commands.append(" ".join(words[:3]))))
    fit = "  lightning-gan fit --seed_everything $seed \\\n    --samples s$seed &> /dev/null\n"
    loop = f"for seed in 0 1; do\n{fit}done\nlightning-gan table runs\n"
    assert tour.Shell().run(tour.Block("bash", loop)) == "None\n"
    assert commands == ["fit --seed_everything 0", "fit --seed_everything 1", "table runs"]


def test_the_notebook_is_made_of_the_first_part() -> None:
    assert tour.NOTEBOOK.read_text(encoding="utf-8") == tour.notebook(ENGLISH)
    cells = json.loads(tour.notebook(ENGLISH))["cells"]
    code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert code.count("!lightning-gan fit") == 3
    assert "git clone" in code
    assert "## 5." not in json.dumps(cells)


def test_a_share_of_the_budget_is_less_of_the_same() -> None:
    whole = tour.Block("bash", "lightning-gan fit --model.max_images 4000 --seed_everything 100\n")
    assert "--model.max_images 80 --seed_everything 100" in whole.at(0.02).source
    assert tour.Block("python", "steps = 200\n").at(0.02).source == "steps = 4\n"


def test_outputs_take_the_place_of_older_ones() -> None:
    page = "```bash\nlightning-gan runs\n```\n\nText.\n"
    once = tour.quoted(page, ["Writing to runs\nTrained on 8 images\n"])
    assert "```\n\n```text\nTrained on 8 images\n```\n\nText." in once
    assert tour.quoted(once, ["Trained on 8 images"]) == once


@pytest.mark.weekly
def test_all_commands_run_and_all_pictures_are_drawn(tmp_path: Path) -> None:
    outputs = tour.walked(ENGLISH, tmp_path, SHARE)
    assert sum(output.count("Trained on") for output in outputs) == ENGLISH.count("Trained on")
    for name in tour_pictures.DRAWN:
        tour_pictures.save(tour_pictures.picture(name, tmp_path), tmp_path / f"{name}.png")


@pytest.mark.slow
def test_the_cells_of_the_notebook_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))
    cells = json.loads(tour.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    shell = tour.Shell()
    shown: list[Any] = []
    shell.names |= {"tour_pictures": tour_pictures}
    for source in code[1:]:  # the first one installs the package
        block = tour.Block("python", source).at(SHARE)
        for line in [line for line in block.lines if re.match(r'!|\w+ = "--', line)]:
            shell.command(line.removeprefix("!").replace(' = "', '="', 1))
        if source.startswith("tour_pictures."):
            shown.append(eval(source, shell.names))
        elif "!" not in source:
            shell.run(block)
    assert len(shown) == source_pictures()
    assert len(list(tmp_path.glob("runs/*/version_0/metrics.csv"))) == 3


def source_pictures() -> int:
    """Pictures of the part that becomes the notebook."""
    return len(tour.SHOWN.findall(tour.first_part(ENGLISH)))
