"""Every mean and deviation is numpy's, and only what is alike is averaged."""

import csv
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_runs import identity, part, record, report, write_run

from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import StampedValues
from lightning_gan.runs.formats import as_csv, as_markdown
from lightning_gan.runs.seeds import SeedTable, Summary, seed_table

DISTANCES = {"Hinge": (0.012, 0.03, 0.0205), "Minimax": (0.5, 0.75, 0.25), "LeastSquares": (0.1,)}
FIRST = 0.9
"""What the first evaluation of each run is of its last one."""


def write(folder: Path, seed: int, objective: str, fid: float, **fields: Any) -> Path:
    """A run with two evaluations."""
    reports = fields.pop("reports", [report(FIRST * fid, 10_240), report(fid)])
    made = identity(seed, objective=part(objective), **fields.pop("model", {}))
    return write_run(folder, record(seed, identity=made, **fields), reports)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three objectives, of three, three and one seed."""
    for objective, distances in DISTANCES.items():
        for seed, fid in enumerate(distances):
            write(tmp_path / "runs" / f"{objective}_{seed}", seed, objective, fid)
    return tmp_path / "runs"


def row_of(table: SeedTable, label: str) -> dict[str, str]:
    """The row with a label, by titles, with all digits."""
    (found,) = (
        row
        for row in csv.DictReader(as_csv(table.exact_columns()).splitlines())
        if label in row.values()
    )
    return found


@pytest.mark.parametrize("objective", DISTANCES)
@pytest.mark.parametrize("metric", ["fid", "precision", "fid/identity_floor", "modes/ring/covered"])
def test_every_number_is_that_of_numpy(objective: str, metric: str, runs: Path) -> None:
    row = row_of(seed_table([runs], metric=metric), objective)
    name = {"fid": "fid/identity", "precision": "precision/identity"}.get(metric, metric)
    pairs = [(report(FIRST * fid), report(fid)) for fid in DISTANCES[objective]]
    last = [after.values[name] for _, after in pairs]
    take = max if name.startswith(("precision", "modes")) else min
    best = [take(before.values[name], after.values[name]) for before, after in pairs]
    assert row["n"] == str(len(last))
    assert row["seeds"] == " ".join(map(str, range(len(last))))
    assert row["images"] == "20224"
    for title, values in ((name, last), ("best", best)):
        assert float(row[f"{title} mean"]) == pytest.approx(np.mean(values), rel=1e-12)
        if len(values) == 1:
            assert row[f"{title} std"] == ""
        else:
            std = float(row[f"{title} std"])
            assert std == pytest.approx(np.std(values, ddof=1), rel=1e-12, abs=1e-15)
            assert std == pytest.approx(statistics.stdev(values), rel=1e-12, abs=1e-15)


def test_what_a_reader_sees_are_these_numbers_rounded(runs: Path) -> None:
    table = seed_table([runs])
    lines = as_markdown(table.columns()).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == [
        *("objective", "n", "images", "fid/identity", "best")
    ]
    shown = {line.split()[1]: line for line in lines[2:]}
    assert list(shown) == sorted(DISTANCES)
    for objective, digits in (("Hinge", 4), ("Minimax", 2)):
        values = DISTANCES[objective]
        mean, std = np.mean(values), np.std(values, ddof=1)
        assert f" {mean:.{digits}f} ± {std:.{digits}f} |" in shown[objective]
    assert [cell.strip() for cell in shown["LeastSquares"].split("|")][-3:-1] == [
        "0.1 ± -",
        "0.09 ± -",
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([2.7123, 2.6511, 2.7309], "2.698 ± 0.042"),
        ([12345.0, 13579.0], "12962 ± 873"),
        ([1.0, 1.0], "1 ± 0"),
        ([1e-9, 3e-9], "2e-09 ± 1.4e-09"),
        ([1e300, 3e300], "2e+300 ± 1.4e+300"),
        ([math.nan, 1.0], "nan ± nan"),
        ([math.inf], "nan ± -"),
        ([1.7e308, 1.7e308, -1.7e308], "inf ± inf"),
        ([3.0], "3 ± -"),
    ],
    ids=str,
)
def test_a_deviation_has_two_digits(values: Sequence[float], text: str) -> None:
    assert str(Summary.of(values)) == text


def test_a_measure_that_is_right_in_between_has_no_best(tmp_path: Path) -> None:
    half = StampedValues({"nn1/x_real": 0.5}, {}, {"images_seen": 1})
    write(tmp_path, 0, "Hinge", 1.0, reports=[half])
    table = seed_table([tmp_path], metric="nn1/x_real")
    assert [column.title for column in table.columns()][-1] == "nn1/x_real"
    assert "best mean" not in as_csv(table.exact_columns())


def test_the_best_is_one_of_the_values_that_were_measured_like_the_last(tmp_path: Path) -> None:
    other = {"samples": {"count": 100, "seed": 0}}
    seen = [report(0.1, 100, **other), report(0.4, 200), report(math.nan, 300), report(0.5, 400)]
    write(tmp_path, 0, "Hinge", 1.0, reports=seen)
    assert seed_table([tmp_path]).rows[0].best == Summary(0.4, None)
    assert seed_table([tmp_path], despite=["samples"]).rows[0].best == Summary(0.1, None)


def test_a_single_configuration_is_named_by_its_recipe(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, "Hinge", 0.5)
    table = seed_table([tmp_path])
    assert (list(table.titles), list(table.rows[0].labels)) == (["recipe"], ["mlp_ring"])


def test_recipes_of_their_own_come_before_the_options(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, "Hinge", 0.5, recipe="hinge")
    write(tmp_path / "b", 0, "Minimax", 0.5, recipe="minimax")
    assert list(seed_table([tmp_path]).titles) == ["recipe", "objective"]
    table = seed_table([tmp_path], ["recipe"])
    assert list(table.titles) == ["recipe"]
    assert table.notes == ["The rows differ in model.objective as well."]


def test_rows_are_told_apart_by_the_options_that_are_asked_for(runs: Path) -> None:
    plain = seed_table([runs])
    for name in ("objective", "model.objective"):
        assert seed_table([runs], [name]) == plain
    longer = {"ema_half_life": 40_000}
    for objective in DISTANCES:
        write(runs / f"{objective}_long", 0, objective, 0.5, model=longer)
    with pytest.raises(
        ConfigurationError,
        match=r"^Runs of Hinge are not one configuration, but differ in model\.ema_half_life: give",
    ):
        seed_table([runs], ["objective"])
    both = seed_table([runs], ["ema_half_life", "objective"])
    assert list(both.titles) == ["ema_half_life", "objective"]
    assert len(both.rows) == 6
    assert both.notes == []


def test_options_that_are_not_shown_are_said(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, "Hinge", 0.5)
    write(tmp_path / "b", 0, "Minimax", 0.5, model={"ema_half_life": 5})
    found = seed_table([tmp_path], ["objective"])
    assert found.notes == ["The rows differ in model.ema_half_life as well."]


@pytest.mark.parametrize(
    ("by", "complaint"),
    [
        ("seed", "--by seed: seeds are averaged over"),
        ("model.seed", "--by model.seed: seeds are averaged over"),
        ("objectiv", r"--by objectiv is no option .* differ in model\.objective\.$"),
        ("lr", r"may be model\.generator_optimizer\.lr or model\.discriminator_optimizer\.lr: say"),
        ("betas", r"may be model\.generator_optimizer\.betas or"),
        ("global_batch_size", "^Runs of 256 are not one configuration, but differ in model.obj"),
    ],
)
def test_what_tells_no_rows_apart_is_refused(by: str, complaint: str, runs: Path) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        seed_table([runs], [by])


def test_an_ending_means_the_one_option_that_differs(tmp_path: Path) -> None:
    for number, rate in enumerate((0.1, 0.2)):
        model = {"generator_optimizer": part("GANAdam", lr=rate, betas=[0.0, 0.99])}
        write(tmp_path / str(number), 0, "Hinge", 0.5, model=model)
    table = seed_table([tmp_path], ["lr"])
    assert list(table.titles) == ["lr"]
    assert [list(row.labels) for row in table.rows] == [["0.1"], ["0.2"]]


def test_what_was_not_measured_alike_is_not_averaged(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, "Hinge", 0.5)
    other = [report(0.5, versions={"torch": "2.0"})]
    write(tmp_path / "b", 1, "Hinge", 0.5, reports=other)
    with pytest.raises(
        ConfigurationError, match=r"a and .*b do not compare: versions\.torch is 2\.14\.1 and 2\.0"
    ):
        seed_table([tmp_path])
    assert seed_table([tmp_path], despite=["versions"]).rows[0].last == Summary(0.5, 0.0)


def test_runs_of_unequal_length_are_averaged_only_where_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, "Hinge", 0.25)
    write(tmp_path / "b", 1, "Hinge", 0.75, reports=[report(0.75, 5120)], state="diverged")
    with pytest.raises(
        ConfigurationError,
        match=r"numbers of images, .*b \(diverged\) 5,120 and .*a \(finished\) 20,224: let them",
    ):
        seed_table([tmp_path])
    (row,) = seed_table([tmp_path], despite=["images_seen"]).rows
    assert row.images == "5,120 to 20,224"
    assert row.last.mean == np.mean([0.25, 0.75])


def test_a_seed_counts_once(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, "Hinge", 0.25)
    write(tmp_path / "b", 1, "Hinge", 0.5)
    write(tmp_path / "c", 1, "Hinge", 0.75, reports=[report(0.75, 5120)])  # was broken off
    table = seed_table([tmp_path])
    assert table.rows[0].last == Summary(0.375, statistics.stdev([0.25, 0.5]))
    assert table.notes == [
        f"{tmp_path / 'c'} has the configuration and the seed of {tmp_path / 'b'}, which counts in "
        "its place."
    ]


def test_of_many_runs_of_a_seed_each_is_told_which_one_counts(tmp_path: Path) -> None:
    for number, name in enumerate("abcd"):
        write(tmp_path / name, 0, "Hinge", 0.5, reports=[report(0.5, 512 + 64 * (number % 3))])
    notes = seed_table([tmp_path]).notes
    assert [note.partition(" has")[0] for note in notes] == [str(tmp_path / n) for n in "abd"]
    assert all(f"seed of {tmp_path / 'c'}, which counts" in note for note in notes)


def test_a_line_that_is_broken_off_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, "Hinge", 0.25, reports=[report(0.5, 512), report(0.25, 1024)])
    file = tmp_path / "a" / "evaluations.jsonl"
    file.write_text(file.read_text()[:-9])
    table = seed_table([tmp_path])
    assert table.rows[0].last.mean == 0.5
    assert table.notes == [f"{file}: 1 line of 2 broken off or damaged, and left out."]


def test_of_two_runs_of_a_seed_that_saw_as_much_the_newest_counts(tmp_path: Path) -> None:
    for name, fid, day in (("a", 0.25, 2), ("b", 0.5, 1)):
        made = record(0, identity=identity(0))
        write_run(tmp_path / name, made, [report(fid)], updated=f"2026-01-0{day}T00:00:00+00:00")
    assert seed_table([tmp_path]).rows[0].last.mean == 0.25


def test_runs_without_evaluations_are_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, "Hinge", 0.25)
    write(tmp_path / "b", 1, "Hinge", 0.5, reports=[], state="failed")
    write(tmp_path / "c", 2, "Hinge", 0.5)
    (tmp_path / "c" / "evaluations.jsonl").write_text("{\n")
    write(tmp_path / "d", 3, "Hinge", 0.5, reports=[StampedValues({"kid/x": 1.0}, {}, {})])
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "run.json").write_text("[]")
    table = seed_table([tmp_path])
    assert len(table.rows[0].trials) == 1
    damaged, unmeasured, no_report, otherwise = table.notes
    assert damaged.startswith(f"{tmp_path / 'e' / 'run.json'} is damaged")
    assert unmeasured == f"{tmp_path / 'b'} (failed) has not been measured: left out."
    assert "holds no measurement" in no_report
    assert otherwise == f"{tmp_path / 'd'} was not measured by fid/identity: left out."


def test_where_there_is_nothing_to_average_a_sentence_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no runs with evaluations at or below .*: give"):
        seed_table([tmp_path])
    write(tmp_path / "b", 1, "Hinge", 0.5, reports=[], state="failed")
    with pytest.raises(ConfigurationError, match=r"below .*: .*b \(failed\) has not been measured"):
        seed_table([tmp_path])


def test_a_distance_by_several_extractors_must_be_named(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, "Hinge", 0.25)
    cnn = StampedValues({"fid/cnn": 3.0}, report(1.0).stamp, {"images_seen": 20_224})
    write(tmp_path / "b", 0, "Minimax", 0.5, reports=[cnn])
    with pytest.raises(ConfigurationError, match="--metric fid may be fid/cnn, fid/identity: give"):
        seed_table([tmp_path])
    assert seed_table([tmp_path], metric="fid/cnn").rows[0].last == Summary(3.0, None)
