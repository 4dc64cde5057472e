"""``lightning-gan recipes``: all recipes in a list, or one in full."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lightning_gan.cli import program
from lightning_gan.recipes import Recipe, recipe_file, recipe_names

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"
NUMBERS = re.compile(r"(?<!\w)\d[\d.,]*(?<![.,])")  # the 3 of mnist_cnn_x3 is part of a name


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert program.run(["recipes", *arguments]) == 0
    return capsys.readouterr().out


def test_every_recipe_is_listed_under_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    groups = dict(re.findall(r"^(\w+):\n((?:  .*\n)+)", printed(capsys), re.MULTILINE))
    listed = [line for text in groups.values() for line in re.findall(r"^  (\w+) ", text, re.M)]
    assert sorted(listed) == recipe_names()
    assert "  mlp_ring  " in groups["Ring"]
    assert Recipe.read("mlp_ring").title in groups["Ring"]
    assert "recorded: fid/mnist_cnn" in groups["MNIST"]


def test_a_command_warns_of_nothing_that_its_parser_will_drop() -> None:
    command = "from lightning_gan.cli.program import run; run(['recipes', 'mlp_ring'])"
    telling = [sys.executable, "-W", "always::DeprecationWarning", "-c", command]
    shown = subprocess.run(telling, capture_output=True, text=True, timeout=120, check=False)
    assert shown.stdout.startswith("MLP GAN"), shown.stderr
    assert "Jsonargparse" not in shown.stderr


def test_a_recipe_is_shown_with_its_header_and_its_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, "r3gan_mnist")
    assert text.startswith("R3GAN, small, on MNIST")
    assert "Huang et al. 2024" in text
    assert "#" not in text
    settings = text[text.index("model:") : text.index("Run it:")]
    assert yaml.safe_load(settings) == yaml.safe_load(recipe_file("r3gan_mnist").read_text())
    assert text.endswith("lightning-gan fit --config r3gan_mnist\n")


def test_recipes_are_listed_for_pages_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "--format", "csv"))))
    assert [row["recipe"] for row in rows] == recipe_names()
    assert {row["data"] for row in rows} >= {"MNIST", "CIFAR10", "Ring"}
    assert printed(capsys, "mlp_ring", "--format", "markdown").count("\n") == 3
    (shown,) = json.loads(printed(capsys, "dcgan_mnist", "--format", "json"))
    assert shown["settings"]["model"]["init_args"]["objective"]
    assert shown["recorded"].startswith("fid/mnist_cnn")


def test_a_misspelt_recipe_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["recipes", "dcgan_mnits"]) == 2
    assert "no recipe dcgan_mnits: did you mean dcgan_mnist?" in capsys.readouterr().err


def test_what_is_recorded_of_a_recipe_stands_among_the_results() -> None:
    rows = RESULTS.read_text(encoding="utf-8").split("\n| `")[1:]
    named = [(row.partition("`")[0], {*NUMBERS.findall(row)}) for row in rows]
    recorded = {name: Recipe.read(name).recorded for name in recipe_names()}
    listed = {name for name, _ in named}
    assert {name for name, text in recorded.items() if text} == listed & recorded.keys()
    for name in listed & recorded.keys():
        figures = {*NUMBERS.findall(recorded[name] or "")}
        assert any(figures <= row for other, row in named if other == name), name
