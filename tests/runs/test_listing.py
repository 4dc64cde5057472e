"""The list of runs: what each is, how it really stands, and what it reached."""

import json
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import record, write_run

from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import StampedValues
from lightning_gan.runs import listing
from lightning_gan.runs.formats import as_text
from lightning_gan.runs.listing import Run, find_runs
from lightning_gan.runs.overview import as_json, columns_of, in_short, newest_first
from lightning_gan.runs.record import RunRecord

MEASURED: dict[str, Any] = {
    "values": {"fid/identity": 0.25, "fid/identity_floor": 0.001, "loss/generator": 1.0},
    "best": {"name": "fid/identity", "value": 0.125, "images": 10_240},
}


def cells(runs: list[Run]) -> list[dict[str, str]]:
    """The rows of the table, by the titles of their columns."""
    columns = columns_of(runs)
    return [{c.title: c.cells[row] for c in columns} for row in range(len(runs))]


def test_a_row_says_what_a_run_is_and_what_it_reached(tmp_path: Path) -> None:
    differs = {"model.objective": "lightning_gan.objectives.Hinge", "seed_everything": 7}
    differs["model.max_images"] = 20_000  # which has a column of its own
    write_run(tmp_path / "ring" / "version_0", record(7, differs=differs, **MEASURED))
    (run,), damaged = find_runs([tmp_path])
    assert damaged == []
    assert cells([run]) == [
        {
            "run": str(tmp_path / "ring" / "version_0"),
            "recipe": "mlp_ring",
            "differs": "objective=Hinge",
            "seed": "7",
            "images": "20,224",
            "of": "20,000",
            "state": "finished",
            "distance": "fid/identity",
            "last": "0.25",
            "best": "0.125",
        }
    ]


def test_a_list_shows_the_names_that_runs_were_given(tmp_path: Path) -> None:
    write_run(tmp_path / "version_0", record(0))
    write_run(tmp_path / "version_1", record(1, differs={"lr": 1}, name="mlp_ring lr=1 seed=1"))
    runs, _ = find_runs([tmp_path])
    assert [row["differs"] for row in cells(runs)] == ["-", "lr=1"]
    write_run(tmp_path / "version_2", record(2, name="higher rate"))
    runs, _ = find_runs([tmp_path])
    assert [row["name, or differs"] for row in cells(runs)] == ["-", "lr=1", "higher rate"]
    assert [run.given_name for run in runs] == [None, None, "higher rate"]


def test_what_a_run_does_not_have_is_a_dash(tmp_path: Path) -> None:
    write_run(tmp_path, record(recipe=None, name="gan seed=0", max_images=None, images=0))
    row = cells(find_runs([tmp_path])[0])[0]
    for title in ("recipe", "differs", "of", "distance", "last", "best"):
        assert row[title] == "-"


@pytest.mark.parametrize(
    ("values", "best", "distance", "last", "shown_best"),
    [
        ({"fid/a": None}, {"name": "a", "value": 1.0, "images": 1}, "fid/a", "nan", "1"),
        ({"fid/a": 2, "fid/b": 3}, {"name": "fid/b", "value": 1, "images": 1}, "fid/b", "3", "1"),
        ({"fid/a": 2.0}, {"name": "fid/b", "value": 1.0, "images": 1}, "fid/a", "2", "-"),
        ({}, {"name": "fid/b", "value": 1.0, "images": 1}, "fid/b", "-", "1"),
        ({"fid/a": 123456.0}, None, "fid/a", "1.235e+05", "-"),
    ],
)
def test_both_distances_of_a_row_have_its_name(
    values: dict[str, Any],
    best: dict[str, Any] | None,
    distance: str,
    last: str,
    shown_best: str,
    tmp_path: Path,
) -> None:
    write_run(tmp_path, record(values=values, best=best))
    row = cells(find_runs([tmp_path])[0])[0]
    assert (row["distance"], row["last"], row["best"]) == (distance, last, shown_best)


@pytest.mark.parametrize(
    ("held", "state"), [(True, "running"), (False, "stopped"), (None, "running")]
)
def test_a_run_that_nobody_writes_was_stopped(
    held: bool | None, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "is_held", lambda folder: held)
    write_run(tmp_path, record(state="running"))
    assert Run.read(tmp_path).state == state


def test_a_run_that_ends_while_it_is_looked_at_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(folder: Path) -> bool:
        record(state="finished").write(folder)
        return False

    monkeypatch.setattr(listing, "is_held", ends)
    write_run(tmp_path, record(state="running"))
    assert Run.read(tmp_path).state == "finished"


@pytest.mark.parametrize("state", ["finished", "diverged", "failed", "stopped"])
def test_a_run_that_has_ended_stands_as_it_says(state: str, tmp_path: Path) -> None:
    write_run(tmp_path, record(state=state))
    assert Run.read(tmp_path).state == state


def test_runs_are_found_once_at_any_depth_and_the_newest_comes_first(tmp_path: Path) -> None:
    for number, name in enumerate(["a", "b/version_0", "b/deep/er/version_1"]):
        write_run(tmp_path / name, record(number), updated=f"2026-01-0{1 + number % 3}T00:00:00")
    found, _ = find_runs([tmp_path, tmp_path / "b", tmp_path / "b" / ".." / "a"])
    assert [run.record.seed for run in newest_first(found)] == [2, 1, 0]


def test_links_are_followed_once_and_never_in_a_circle(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "runs", tmp_path / "scratch"
    write_run(root / "a", record(0))
    write_run(elsewhere / "b", record(1))
    (root / "moved").symlink_to(elsewhere)
    (root / "0").symlink_to(root / "a")  # comes first by its name
    (root / "a" / "back").symlink_to(root)
    found, _ = find_runs([root])
    assert sorted(str(run.folder.relative_to(root)) for run in found) == ["a", "moved/b"]


def test_a_damaged_record_is_named_and_hides_no_other(tmp_path: Path) -> None:
    write_run(tmp_path / "a", record())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").write_text("{")
    (tmp_path / "c" / "run.json").mkdir(parents=True)
    found, damaged = find_runs([tmp_path])
    assert [run.folder.name for run in found] == ["a"]
    assert [sentence.split(" ")[0] for sentence in damaged] == [
        str(tmp_path / "b" / "run.json"),
        str(tmp_path / "c"),
    ]


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no folder .*nowhere: train first"):
        find_runs([tmp_path, tmp_path / "nowhere"])


def test_options_are_listed_by_their_shortest_names_without_seeds() -> None:
    differs = {
        "model.generator_optimizer.lr": 0.001,
        "model.discriminator_optimizer.lr": 0.004,
        "model.objective": {"class_path": "lightning_gan.objectives.Hinge", "init_args": {}},
        "data": "mine.npz.Data",
        "data.seed": 1,
        "seed_everything": 2,
        "trainer.callbacks": None,
    }
    assert in_short(differs) == (
        "generator_optimizer.lr=0.001 discriminator_optimizer.lr=0.004 objective=Hinge "
        "data=mine.npz.Data callbacks=none"
    )


def test_the_table_fits_a_terminal_whatever_is_in_it(tmp_path: Path) -> None:
    names = {"model.a_long_name_of_an_option": "x" * 200, "model.\x1b[31m": "\ud800"}
    best = {"name": "fid/stacked_mnist_cnn_of_mine", "value": 0.00012345, "images": 2**62}
    folder = tmp_path / "rpgan_small_stacked_mnist" / "version_123"
    fields: dict[str, Any] = {"recipe": "rpgan_small_stacked_mnist", "max_images": 25_000_000}
    more = {"differs": names, "best": best, "values": {"fid/stacked_mnist_cnn_of_mine": 1e-300}}
    write_run(folder, record(2**31, images=25_000_000, **fields | more))
    head, row = as_text(columns_of(find_runs([tmp_path])[0])).splitlines()
    assert max(len(head), len(row)) <= 120
    assert row.isprintable()
    assert "version_123  rpgan" in row


def test_a_program_gets_all_there_is(tmp_path: Path) -> None:
    written = record(differs={"model.objective": "Hinge", "seed_everything": 3}, **MEASURED)
    write_run(tmp_path, written)
    (content,) = json.loads(as_json(find_runs([tmp_path])[0]))
    kept = RunRecord.read(tmp_path)
    assert content == {
        "folder": str(tmp_path),
        "state": "finished",
        **{name: getattr(kept, name) for name in ("id", "name", "recipe", "differs", "seed")},
        **{name: getattr(kept, name) for name in ("images", "max_images", "updated", "said")},
        "last": {"name": "fid/identity", "value": 0.25, "images": 20_224},
        "best": {"name": "fid/identity", "value": 0.125, "images": 10_240},
    }


def test_what_tells_runs_of_a_recipe_apart_comes_first(tmp_path: Path) -> None:
    for seed, objective in enumerate(("Hinge", "Minimax")):
        differs = {"data": "Digits", "model.generator.width": 16, "model.objective": objective}
        write_run(tmp_path / f"version_{seed}", record(seed, differs=differs))
    other = record(2, recipe="other", name="other seed=2", differs={"data": "Ring"})
    write_run(tmp_path / "other", other)
    found, _ = find_runs([tmp_path])
    (column,) = [column for column in columns_of(found) if column.title == "differs"]
    assert sorted(column.cells) == [
        "data=Ring",
        "objective=Hinge data=Digits width=16",
        "objective=Minimax data=Digits width=16",
    ]


def test_the_last_distance_has_the_images_that_it_was_measured_at(tmp_path: Path) -> None:
    write_run(tmp_path, record(images=640, values={"fid/identity": 0.25}))
    (run,), _ = find_runs([tmp_path])
    assert run.last is not None
    assert run.last.images == 640  # of a run without a list of evaluations
    stamped = StampedValues({"fid/identity": 0.25}, {}, {"images_seen": 384})
    (tmp_path / "evaluations.jsonl").write_text(stamped.as_json() + "\n")
    assert run.last.images == 384
