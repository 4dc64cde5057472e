"""The record of a run is read as it was written, or refused in a sentence."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import record, write_run

from lightning_gan.errors import ConfigurationError
from lightning_gan.runs.record import FORMAT, RunRecord

START = asdict(record().segments[0])


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels else {}


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = record(
        3,
        differs={"model.objective": "Hinge"},
        values={"fid/identity": 0.25, "loss/generator": None, "modes/ring/covered": 8.0},
        best={"name": "fid/identity", "value": 0.125, "images": 10_240},
    )
    written.write(tmp_path)
    assert RunRecord.read(tmp_path) == written


@pytest.mark.parametrize(
    "damage",
    [
        {"id": 5},
        {"recipe": ["mlp_ring"]},
        {"differs": []},
        {"differs": nested(100)},
        {"identity": None},
        {"seed": "0"},
        {"images": 10**400},
        {"max_images": 1.5},
        {"segments": [{"started": "now"}]},
        {"segments": [START | {"images": "0"}]},
        {"segments": [START | {"device": None}]},
        {"segments": [START | {"versions": ["torch"]}]},
        {"segments": [START | {"changes": {"seed": 1}}]},
        {"segments": None},
        {"parameters": []},
        {"parameters": {"generator": "many"}},
        {"state": "asleep"},
        {"state": []},
        {"values": {"fid/identity": "low"}},
        {"values": {"fid/identity": 10**400}},
        {"values": []},
        {"best": {"name": "fid/identity"}},
        {"best": {"name": "fid/identity", "value": 10**400, "images": 1}},
        {"best": [1]},
        {"colour": "red"},
        {"format": "1"},
    ],
    ids=str,
)
def test_a_damaged_record_is_refused_in_a_sentence(damage: dict[str, Any], tmp_path: Path) -> None:
    write_run(tmp_path, record(), more=damage)
    with pytest.raises(ConfigurationError, match=r"run\.json is damaged"):
        RunRecord.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\udcff", "9" * 5000])
def test_what_is_no_record_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=r"run\.json is damaged"):
        RunRecord.read(tmp_path)


def test_a_record_of_a_newer_version_says_so(tmp_path: Path) -> None:
    write_run(tmp_path, record(), more={"format": FORMAT + 1})
    with pytest.raises(ConfigurationError, match=r"run\.json is of a newer lightning-gan"):
        RunRecord.read(tmp_path)


def test_a_folder_without_a_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no run\.json \(No such file"):
        RunRecord.read(tmp_path)
