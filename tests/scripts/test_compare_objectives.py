"""The comparison of objectives: its tables are those of its results, and its models train."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import quiet_trainer
from zoo import own

from lightning_gan.datamodules import Ring
from lightning_gan.objectives import Objective
from scripts.compare_objectives import OBJECTIVES, SETTINGS, finished, model, table

DOCS = Path(__file__).parents[2] / "docs"


def test_the_tables_in_the_docs_are_those_of_the_results() -> None:
    assert table(DOCS / "objectives.jsonl").strip() in (DOCS / "objectives.md").read_text("utf-8")


def test_every_objective_is_compared_with_three_seeds() -> None:
    runs = finished(DOCS / "objectives.jsonl")
    for data in SETTINGS:
        for name in OBJECTIVES:
            if (data, name) != ("mnist", "Unrolled(NonSaturating)"):  # seven times as long
                assert {key[3] for key in runs if key[:2] == (data, name)} == {0, 1, 2}, name
    assert {type(make()).__name__ for make in OBJECTIVES.values()} == {
        kind.__name__ for kind in own(Objective)
    }


def test_a_result_says_how_it_was_made() -> None:
    for line in (DOCS / "objectives.jsonl").read_text("utf-8").splitlines():
        assert {"commit", "torch", "machine", "seed", "cpu_seconds", "curve"} <= json.loads(
            line
        ).keys()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_model_of_the_comparison_trains(name: str) -> None:
    gan = model("ring", OBJECTIVES[name](), "none", seed=0)
    gan.max_images = 2 * 64
    quiet_trainer().fit(gan, Ring(64))
    assert gan.progress.generator_updates == 2
