"""Generators with known faults: the table is that of the results, and the docs are right."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import torch
from torchmetrics import Metric

from lightning_gan import metrics
from scripts.measure_faults import (
    CLEAN,
    COLUMNS,
    FAULTS,
    MARKS,
    SAMPLES,
    SEEDS,
    draw,
    finished,
    frechet_distances,
    measure,
    number,
    put,
    ranges,
    seen_by,
    table,
)

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "metrics.jsonl"
TEXT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
DATA = Path(os.environ.get("LIGHTNING_GAN_TEST_DATA", str(ROOT / "data")))
GUIDE = {
    fault: re.findall(r"`([^`]+)`", named)
    for fault, named in re.findall(
        r"^\| ([^|`*]+) \| ((?:`[^`]+`(?:, )?)+) \| [^|]+ \|$", TEXT, re.M
    )
}


def test_the_table_in_the_docs_is_that_of_the_results() -> None:
    made = f"{MARKS[0]}\n\n{table(RESULTS)}\n{MARKS[1]}"
    assert made in TEXT, "run the commands that stand above the table"


def test_the_docs_name_metrics_for_every_fault_and_no_other() -> None:
    assert GUIDE.keys() == FAULTS.keys()
    assert all(GUIDE.values())


@pytest.mark.parametrize("fault", FAULTS)
def test_every_metric_that_the_docs_name_for_a_fault_sees_it(fault: str) -> None:
    assert {*GUIDE[fault]} <= seen_by(finished(RESULTS), fault).keys()


def test_a_perfect_generator_is_within_the_range_of_perfect_ones() -> None:
    for column, (low, high) in ranges(finished(RESULTS)).items():
        for (name, _), result in finished(RESULTS).items():
            if name in CLEAN:
                assert low <= result["values"][COLUMNS[column][0]] <= high, (name, column)


def test_copies_improve_precision_and_recall_and_only_some_metrics_tell() -> None:
    seen = seen_by(finished(RESULTS), "each real once")
    assert seen["precision"] == seen["recall"] == seen["density"] == seen["coverage"] == "↑"
    assert seen["auth"] == seen["ct"] == seen["nn1 fake"] == "↓"
    assert not {"fid", "kid", "vendi", "is", "covered"} & seen.keys()


def test_every_generator_was_measured_with_these_weights_and_says_how() -> None:
    results = finished(RESULTS)
    assert results.keys() == {
        *((name, seed) for name in CLEAN for seed in range(SEEDS)),
        *((name, 0) for name in FAULTS),
    }
    extractor = metrics.get_extractor("mnist_cnn").fingerprint[:16]
    for result in results.values():
        assert {"commit", "torch", "machine", "threads", "seconds"} <= result.keys()
        assert result["extractor"] == extractor, "delete docs/metrics.jsonl and measure anew"


def test_every_metric_has_its_lines() -> None:
    kinds = vars(metrics)
    for name, kind in kinds.items():
        if isinstance(kind, type) and issubclass(kind, Metric) and name != "FeatureMetric":
            assert f"**`{name}`**" in TEXT, name


def test_the_example_in_the_docs_runs() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(source, "metrics.md", "exec"), names)
    values = names["values"]
    assert isinstance(values, dict)
    assert {"ct/digits_cnn", "fid/digits_cnn_floor", "recall/digits_cnn"} <= values.keys()


def test_the_table_is_put_between_its_marks(tmp_path: Path) -> None:
    into = tmp_path / "metrics.md"
    into.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n", encoding="utf-8")
    for text in ("| new |\n", "| newer |\n"):
        put(text, into, MARKS)
    found = into.read_text(encoding="utf-8")
    assert found == f"before\n{MARKS[0]}\n\n| newer |\n\n{MARKS[1]}\nafter\n"


def test_numbers_have_no_negative_zero() -> None:
    assert [number(x, ".2f") for x in (-0.001, -0.01, 0.0)] == ["0.00", "-0.01", "0.00"]


# ------------------------------------------------------------------------------------ genuine data


def genuine() -> Path:
    if not (DATA / "MNIST" / "raw").is_dir():
        pytest.skip(f"there is no MNIST in {DATA}")
    return DATA


def test_generators_are_what_they_are_called() -> None:
    d = draw(genuine(), seed=0)
    made = {name: make(d) for name, make in (CLEAN | FAULTS).items()}
    for name, images in made.items():
        assert images.shape == (SAMPLES, 1, 28, 28), name
        assert -1 <= float(images.min()) <= float(images.max()) <= 1, name
    reals = {image.numpy().tobytes() for image in d.real.images}
    copies = {
        name: sum(image.numpy().tobytes() in reals for image in images)
        for name, images in made.items()
    }
    expected = {"each real once": 5000, "reals with replacement": 5000}
    expected |= {"half copies": 2500, "one tenth copies": 500}
    assert {name: count for name, count in copies.items() if count} == expected
    assert len({image.numpy().tobytes() for image in made["one picture per class"]}) == 10
    assert torch.equal(made["shifted by 4 pixels"][..., 4:], d.other.first()[..., :-4])
    missing = d.other.labels != 8
    assert torch.equal(made["no 8"], d.other.images[missing][:SAMPLES])


@pytest.mark.weekly
def test_some_generators_measured_anew_have_the_values_of_the_table() -> None:
    root = genuine()
    known, names = finished(RESULTS), ["test digits", "half of the 8s missing", "half copies"]
    for result in measure(root, names, 0, frechet_distances(root)):
        expected = known[result["generator"], 0]["values"]
        assert result["values"] == pytest.approx(expected, rel=0.05, abs=0.02)
        assert json.loads(json.dumps(result)) == result
