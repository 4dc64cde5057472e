"""The commands of docs/advice.md run, and what it says of recipes and of short runs is so."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from lightning_gan.__main__ import main
from lightning_gan.recipes import Recipe, recipe_file
from scripts import symptoms

PAGE = symptoms.PAGE.read_text(encoding="utf-8")
SYMPTOMS = symptoms.symptoms(PAGE)
VALUES = symptoms.finished()
BLOCKS = "".join(symptoms.BLOCK.findall(PAGE.partition("## What to turn")[0])).splitlines()
SHORT = (
    "--model.max_images 64 --trainer.log_every_n_steps 1 --trainer.limit_val_batches 1 "
    "--trainer.accelerator cpu --trainer.enable_progress_bar false"
)
FEW = "--trainer.callbacks.Evaluation.num_samples 50"
SMALL = "--data.batch_size 8 --model.generator.width 4 --model.discriminator.width 4"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTNING_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["lightning-gan"])


def settings(recipe: str) -> dict[str, Any]:
    """What a recipe sets."""
    found: dict[str, Any] = yaml.safe_load(recipe_file(recipe).read_text(encoding="utf-8"))
    return found


def gamma(recipe: str) -> str:
    """The weight of R1 in the words of the page."""
    parts = settings(recipe)["model"]["init_args"].get("regularizers", [])
    weights = {part["class_path"]: part["init_args"] for part in parts}
    if "R1" not in weights:
        return "-"
    weight = weights["R1"]["weight"]
    said = (
        f"{weight:g}"
        if isinstance(weight, float)
        else "{start:g} to {end:g}".format(**weight["init_args"])
    )
    twice = ", twice" if "R2" in weights else ""
    return said + twice + (", lazy" if weights["R1"].get("every", 1) > 1 else "")


def rows(columns: int) -> list[list[str]]:
    """The rows about recipes of the table with so many columns."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()]
    return [row for row in lines if len(row) == columns and any("`" in cell for cell in row)]


def test_the_recipes_to_begin_with_have_the_gamma_and_the_batch_of_the_table() -> None:
    table = rows(7)
    assert len(table) == 14
    for _, _, recipe, weight, batch, augmentation, _ in table:
        name = recipe.strip("`")
        assert gamma(name) == weight, name
        assert settings(name)["data"]["init_args"]["batch_size"] == int(batch), name
        parts = settings(name)["model"]["init_args"].get("augmentation") or {"class_path": "-"}
        kind = {"AdaptiveAugmentation": "ADA"}.get(parts["class_path"], parts["class_path"])
        assert kind == augmentation, name


def test_the_gammas_of_the_page_are_those_of_the_recipes() -> None:
    table = rows(4)
    assert len(table) == 9
    for recipe, _, batch, weight in table:
        name = recipe.strip("`")
        assert re.split(", (?:twice|lazy)", gamma(name))[0] == weight, name
        assert settings(name)["data"]["init_args"]["batch_size"] == int(batch), name


def test_a_time_on_the_page_is_the_recorded_one() -> None:
    """Up to other machines, where one of them is of the clock and the other of the processor."""
    minutes = re.compile(r"([\d.]+)(?: CPU)? minutes")
    timed = {row[2].strip("`"): row[6] for row in rows(7) if minutes.match(row[6])}
    assert len(timed) == 9
    for name, time in timed.items():
        (said,) = re.findall(r"^[\d.]+", time)
        told = Recipe.read(name).recorded or ""
        recorded = minutes.search(told)
        assert recorded, name
        if told.startswith("after "):  # a part of the budget, which may be another one here
            continue
        if time.endswith("of CPU") and "CPU" in recorded[0]:
            assert abs(float(said) - float(recorded[1])) < 0.5, name
        assert 1 / 3 < float(said) / float(recorded[1]) < 3, name


@pytest.mark.parametrize("command", BLOCKS)
def test_a_command_about_recipes_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)[1:]
    if "dcgan_mnist" in words and "ImageFolder" not in words:  # MNIST is not everywhere
        assert main([*words, "--print_config"]) == 0, capsys.readouterr().err
        return
    numbers = np.random.default_rng(0)
    Path("pictures").mkdir()
    for number in range(24):
        pixels = numbers.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"pictures/{number}.png")
    less = f"{SHORT} {SMALL} --trainer.limit_val_batches 0 --model.max_images 8".split()
    if "stylegan2_ada_cifar10" in words:  # which judges 32 samples together
        less += ["--model.discriminator.minibatch_std", "8"]
    assert main([*words, *less]) == 0, capsys.readouterr().err


def test_the_page_shows_every_symptom() -> None:
    assert [symptom.name for symptom in SYMPTOMS] == [
        "The discriminator wins",
        "The generator wins",
        "Modes are lost",
        "Blur",
        "NaN",
        "Grey pictures",
        "Overfitting",
        "Slow",
    ]
    for symptom in SYMPTOMS:
        assert len(symptom.commands) == 2, symptom.name


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=[symptom.name for symptom in SYMPTOMS])
def test_the_commands_of_a_symptom_log_what_the_page_looks_at(symptom: symptoms.Symptom) -> None:
    if symptom.python:
        exec(compile(symptom.python, "advice.md", "exec"), {})
    found: set[str] = set()
    for command in symptom.commands:
        assert main([*shlex.split(command)[1:], *SHORT.split(), *FEW.split()]) in (0, 2)
        for metrics in Path("runs").glob("*/version_*/metrics.csv"):
            found |= symptoms.last(metrics).keys()
    assert found >= {*symptom.values} - {"exit code"}


def test_the_results_are_of_the_recipes_as_they_are_today() -> None:
    commands = {command for symptom in SYMPTOMS for command in symptom.commands}
    assert not commands - VALUES.keys()  # or: scripts/symptoms.py run, and table


def test_the_tables_of_the_page_are_those_of_the_results() -> None:
    assert symptoms.with_tables(PAGE) == PAGE
    assert PAGE.count("| last value of | seen | mended |") == len(SYMPTOMS)


def test_what_is_mended_is_better_than_what_is_seen() -> None:
    for symptom in SYMPTOMS[:-1]:
        overfits = symptom.name == "Overfitting"  # copies are near to the reals
        judged = "val/d_gap_train_val" if overfits else "fid/"
        (name,) = [each for each in symptom.values if each.startswith(judged)]
        seen, mended = (VALUES[command].get(name, float("inf")) for command in symptom.commands)
        assert mended < seen, symptom.name


def test_a_loss_that_is_not_finite_ended_the_run() -> None:
    (nan,) = [symptom for symptom in SYMPTOMS if symptom.name == "NaN"]
    assert [VALUES[command]["exit code"] for command in nan.commands] == [2, 0]
