"""Stamped values: written whole, read back, compared only where they were measured alike."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import (
    StampedValues,
    check_comparable,
    differences,
    history,
    torn,
)

STAMP: dict[str, Any] = {
    "extractor": {"name": "mnist_cnn", "sha256": "ab" * 32},
    "samples": {"count": 10_000, "seed": 0},
}


def stamped(fid: float = 2.5, **stamp: Any) -> StampedValues:
    return StampedValues({"fid/x": fid, "eval/n": 10.0}, STAMP | stamp, {"checkpoint": "last.ckpt"})


def test_values_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = stamped().write(tmp_path / "new" / "a.json")
    assert StampedValues.read(path) == stamped()
    unknown = StampedValues.read(stamped(math.nan).write(tmp_path / "b.json"))
    assert math.isnan(unknown.values["fid/x"])
    assert "NaN" not in (tmp_path / "b.json").read_text()


def test_a_measurement_never_replaces_another(tmp_path: Path) -> None:
    paths = [stamped(float(number)).write(tmp_path / "a.json") for number in range(3)]
    assert [path.name for path in paths] == ["a.json", "a-1.json", "a-2.json"]
    assert [StampedValues.read(path).values["fid/x"] for path in paths] == [0, 1, 2]


def test_of_many_measurements_in_a_file_the_last_is_read(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    path.write_text("".join(stamped(float(number)).as_json() + "\n" for number in range(3)))
    assert StampedValues.read(path).values["fid/x"] == 2


def test_a_line_that_a_kill_broke_off_is_passed_over(tmp_path: Path) -> None:
    path, whole = tmp_path / "evaluations.jsonl", stamped(1.0).as_json() + "\n"
    path.write_text(whole + stamped(2.0).as_json()[:40])
    assert StampedValues.read(path).values["fid/x"] == 1
    assert [each.values["fid/x"] for each in history(path)] == [1]
    assert torn(path) == f"{path}: 1 line of 2 broken off or damaged, and left out."
    path.write_text(whole + "\n" + whole)
    assert torn(path) == ""
    path.write_text(whole + stamped(2.0).as_json())  # whole, but for the end of the line
    assert torn(path) == ""
    assert StampedValues.read(path).values["fid/x"] == 2


def test_a_history_has_no_report_of_updates_that_were_lost(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    seen = [100, 200, 300, 200, 250, 250]  # went on from a checkpoint at 150, measured twice at 250
    reports = [
        StampedValues({"fid/x": float(n)}, STAMP, {"images_seen": s}) for n, s in enumerate(seen)
    ]
    path.write_text("".join(each.as_json() + "\n" for each in reports))
    assert [each.values["fid/x"] for each in history(path)] == [0, 3, 5]
    assert [each.images_seen for each in history(path)] == [100, 200, 250]


def test_a_test_after_the_training_is_no_part_of_its_history(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    stages = [("val", 100), ("val", 200), ("test", 200)]
    runs = [{"images_seen": images, "stage": stage} for stage, images in stages]
    reports = [StampedValues({"fid/x": float(n)}, STAMP, run) for n, run in enumerate(runs)]
    path.write_text("".join(each.as_json() + "\n" for each in reports))
    assert [each.values["fid/x"] for each in history(path)] == [0, 1]
    assert StampedValues.read(path).values["fid/x"] == 1
    path.write_text(reports[2].as_json() + "\n")  # of a model that was only tested
    assert StampedValues.read(path).values["fid/x"] == 2


def test_a_damaged_line_of_a_history_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    path.write_text("{}\n" + stamped().as_json() + "\n")
    with pytest.raises(ConfigurationError, match="holds no measurement"):
        history(path)


@pytest.mark.parametrize("images", [None, "many", -1, 10**400, 1.5])
def test_images_that_make_no_sense_count_as_none(images: Any) -> None:
    assert StampedValues({}, {}, {"images_seen": images}).images_seen == 0


def test_a_stamp_that_is_nested_without_end_is_refused() -> None:
    def nested(last: int) -> dict[str, Any]:
        stamp: dict[str, Any] = {"a": last}
        for _ in range(5000):
            stamp = {"a": stamp}
        return stamp

    with pytest.raises(ConfigurationError, match="A stamp is damaged"):
        check_comparable(StampedValues({}, nested(1), {}), StampedValues({}, nested(2), {}))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read"),
        ("{", "holds no measurement"),
        ("[]", "holds no measurement"),
        ('{"values": {}}', "holds no measurement"),
        ("[" * 100_000, "holds no measurement"),
        ('{"format": 0, "values": {}, "stamp": {}, "run": {}}', "another version"),
        ('{"format": 1, "values": [], "stamp": {}, "run": {}}', "another version"),
        ('{"format": 1, "values": {"a": "b"}, "stamp": {}, "run": {}}', "no numbers"),
        (f'{{"format": 1, "values": {{"a": {"9" * 400}}}, "stamp": {{}}, "run": {{}}}}', "no numb"),
    ],
)
def test_files_without_a_measurement_are_refused(
    content: str | None, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=complaint):
        StampedValues.read(path)


def test_a_measurement_that_cannot_be_written_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r'--output\. It says: \{"format"'):
        stamped().write(tmp_path / "file" / "a.json")


def test_differences_are_found_at_any_depth() -> None:
    a = {"x": {"y": 1, "z": 2}, "same": [1], "gone": None}
    b = {"x": {"y": 1, "z": 3}, "same": [1], "new": 5}
    assert list(differences(a, b)) == [("new", None, 5), ("x.z", 2, 3)]


def test_numbers_with_other_stamps_do_not_compare() -> None:
    other = stamped(samples={"count": 5000, "seed": 1})
    check_comparable(stamped(), stamped())
    with pytest.raises(
        ConfigurationError,
        match=r"count is 10000 and 5000; samples\.seed is 0 and 1.*--despite samples\.count",
    ):
        check_comparable(stamped(), other)
    with pytest.raises(ConfigurationError, match=r"compare: samples\.seed is 0 and 1"):
        check_comparable(stamped(), other, ["samples.count"])
    check_comparable(stamped(), other, ["samples"])


def test_a_difference_taken_upon_oneself_covers_whole_names_only() -> None:
    first, other = ({"samples": {"count": n, "counted": n, "seed": 0}} for n in (1, 2))
    with pytest.raises(ConfigurationError, match=r"compare: samples\.counted is 1 and 2"):
        check_comparable(stamped(**first), stamped(**other), ["samples.count"])


def test_what_was_measured_and_when_may_differ() -> None:
    check_comparable(stamped(), StampedValues({}, STAMP, {"checkpoint": "best.ckpt"}))


def test_a_measurement_is_plain_json(tmp_path: Path) -> None:
    content = json.loads(stamped().as_json())
    assert content.keys() == {"format", "values", "stamp", "run"}
