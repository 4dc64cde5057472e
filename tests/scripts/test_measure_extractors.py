"""What faults cost with the bundled extractors of digits: an order that an eye agrees with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_gan.metrics import get_extractor
from scripts.measure_extractors import (
    EXTRACTORS,
    FAULTS,
    KINDS,
    MARKS,
    complaints,
    draws,
    finished,
    genuine,
    measure,
    table,
)

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "extractors.jsonl"
TEXT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def result_of(name: str) -> dict[str, Any]:
    """The line of the weights that are bundled."""
    weights = get_extractor(name).fingerprint[:16]
    found = [result for result in finished(RESULTS) if result["weights"] == weights]
    assert len(found) == 1, "run scripts/measure_extractors.py"
    return found[0]


def test_the_table_in_the_docs_is_that_of_the_results() -> None:
    assert f"{MARKS[0]}\n\n{table(RESULTS)}\n{MARKS[1]}" in TEXT


@pytest.mark.parametrize("name", EXTRACTORS)
def test_stronger_faults_cost_more_and_a_pixel_less_than_a_blur_of_one(name: str) -> None:
    assert not [*complaints(result_of(name)["values"])]


def test_weights_that_punish_a_pixel_are_complained_about() -> None:
    values = dict.fromkeys(FAULTS, 1.0)
    assert len([*complaints(values)]) == 1  # equal costs rise, and a pixel costs as much as a blur
    seen = values | {"blur 1": 1.5, "blur 2": 2.0}
    assert not [*complaints(seen)]
    assert len([*complaints(seen | {"noise 0.2": 0.5})]) == 1


def test_the_digits_cost_today_what_the_results_say(tmp_path: Path) -> None:
    found, known = measure("digits_cnn", tmp_path), result_of("digits_cnn")
    assert found["values"] == pytest.approx(known["values"], rel=0.02)
    assert found["clean"] == pytest.approx(known["clean"], rel=0.02)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_exact_shares_of_classes_score_below_the_floor_and_copy_nothing(name: str) -> None:
    clean = result_of(name)["clean"]
    assert clean["exact shares, mean"] < 0.65 * clean["floor"]
    assert 0.7 < clean["at random, mean"] / clean["floor"] < 1.1


def test_draws_are_distinct_images_of_which_one_kind_has_exact_shares(tmp_path: Path) -> None:
    train, mixed = genuine("digits_cnn", tmp_path)
    assert torch.equal(train.labels.bincount(), mixed.labels.bincount())
    numbers = torch.arange(len(train.labels))[:, None]
    for seed in range(3):
        for kind, drawn in draws(numbers, train.labels, seed):
            assert len({*drawn[:, 0].tolist()}) == len(drawn)
            assert len(drawn) in (len(numbers) // 10, len(numbers) // 10 + 1)
            counts = torch.bincount(train.labels[drawn[:, 0]], minlength=10)
            expected = torch.bincount(train.labels) / 10
            assert bool(((counts - expected).abs() < 1).all()) == (kind == "exact shares")


def test_every_fault_is_of_one_kind() -> None:
    assert {"none", *(fault for kind in KINDS.values() for fault in kind)} == FAULTS.keys()
