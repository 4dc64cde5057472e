"""The queue of runs: its order, what it leaves out, what it keeps; and what is said of the runs."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image

from lightning_gan.recipes import expected_file, recipe_file, recipe_names
from scripts import mixtures, results, run_recipes
from scripts.results import Row
from scripts.run_recipes import (
    Place,
    Process,
    Run,
    carry_out,
    data_root,
    data_words,
    is_done,
    keep,
    lines_of,
    settings_hash,
    wanted,
)

KEPT = Path(__file__).parents[2] / "results"
SEEDS = (0, 1, 2)


def test_every_recipe_runs_once_before_any_runs_twice() -> None:
    runs = wanted(30, SEEDS, {})
    assert len(set(runs)) == len(runs)
    once = [run for run in runs if run.seed == 0]
    assert runs[: len(once)] == once
    assert {run.recipe for run in once} == set(recipe_names()) - {"fastgan_folder"}


class Cifar:
    """What CIFAR-10 of torchvision tells, of 1,200 pictures of one grey each."""

    class_to_idx: ClassVar = {"airplane": 0, "automobile": 1}
    targets: ClassVar = [n % 2 for n in range(1200)]

    def __init__(self, root: Path, download: bool) -> None:
        pass

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.new("RGB", (32, 32), (index % 256,) * 3), self.targets[index]


def test_recipes_of_ones_own_pictures_get_few_of_one_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("few_pictures.CIFAR10", Cifar)
    root = tmp_path / "automobile500"
    assert data_root("rpgan_folder", tmp_path) == ["--data.root", str(root)]
    files = sorted(root.iterdir())
    assert [file.name for file in files] == [f"{n:03}.png" for n in range(500)]
    for number in (0, 7, 499):  # automobiles have the odd places
        with Image.open(files[number]) as picture:
            assert picture.getpixel((0, 0)) == ((2 * number + 1) % 256,) * 3
    assert [file.name for file in tmp_path.iterdir()] == ["automobile500"]
    files[0].unlink()
    run_recipes.few_pictures(tmp_path)  # what is there stays as it is
    assert not files[0].exists()
    words = data_words("rpgan_folder", tmp_path)
    assert words[:4] == ["--data", "ImageFolder", "--extractor", "cifar10_cnn"]
    assert words[-2:] == ["--data.root", str(root)]
    assert data_root("mlp_ring", tmp_path) == []
    assert "modes" not in run_recipes.measures_of("rpgan_folder")
    assert "modes" in run_recipes.measures_of("mlp_ring")


def test_recipes_of_papers_sizes_run_once_and_for_minutes() -> None:
    runs = [run for run in wanted(30, SEEDS, {}) if run.recipe.endswith("_cifar10")]
    small = {(run.seed, run.minutes) for run in runs if "_small_" in run.recipe}
    assert small == {(seed, None) for seed in SEEDS}
    others = {(run.seed, run.minutes) for run in runs if "_small_" not in run.recipe}
    assert others == {(0, 30)}


def test_the_shortest_runs_come_first_behind_those_of_the_readme() -> None:
    names = [run.recipe for run in wanted(30, SEEDS, {"biggan_mnist": 1e9})]
    assert set(names[:3]) == {"hinge_mnist", "lsgan_mnist", "wgan_mnist"}
    assert names[3] == "biggan_mnist"


def line(recipe: str, seed: int = 0, **more: object) -> dict[str, object]:
    fid = {"fid/mnist_cnn": 1.0 + seed, "fid/mnist_cnn_floor": 0.02, "modes/mnist/covered": 10.0}
    return {
        "recipe": recipe,
        "seed": seed,
        "settings": settings_hash(recipe),
        "state": "finished",
        "images": 400_000,
        "budget": 400_000,
        "cpu_seconds": 60.0,
        "last": {},
        "averaged": {"values": fid},
        "raw": None,
        **more,
    }


def test_a_run_is_made_again_only_if_its_recipe_has_changed(tmp_path: Path) -> None:
    run = Run("hinge_mnist", 1)
    assert not is_done(run, tmp_path)
    (tmp_path / "hinge_mnist.jsonl").write_text(json.dumps(line("hinge_mnist", 1)) + "\n")
    assert is_done(run, tmp_path)
    assert not is_done(Run("hinge_mnist", 2), tmp_path)
    changed = line("hinge_mnist", 1, settings="of another day")
    (tmp_path / "hinge_mnist.jsonl").write_text(json.dumps(changed) + "\n")
    assert not is_done(run, tmp_path)


@pytest.mark.parametrize(("code", "saved"), [(2, True), (0, False)])
def test_a_run_that_was_refused_or_saved_nothing_leaves_no_line(
    code: int, saved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("mlp_ring", 0)
    place = Place(tmp_path / "data", tmp_path / "runs", tmp_path / "results", niceness=0)
    version = place.runs / run.folder / "run" / "version_0"
    (version / "checkpoints").mkdir(parents=True)
    (version / "run.json").write_text('{"state": "stopped"}')
    if saved:
        (version / "checkpoints" / "last.ckpt").touch()
    monkeypatch.setattr(Process, "run", lambda *_: code)
    with pytest.raises(RuntimeError, match=rf"ended with {code}"):
        carry_out(run, place, threading.Event())


def test_a_measurement_that_was_broken_off_does_not_count_as_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, stop = Run("mlp_ring", 0), threading.Event()
    place = Place(tmp_path / "data", tmp_path / "runs", tmp_path / "results", niceness=0)
    version = place.runs / run.folder / "run" / "version_0"
    (version / "checkpoints").mkdir(parents=True)
    (version / "checkpoints" / "last.ckpt").touch()

    def work(process: Process, words: list[str], limit: float | None = None) -> int:
        process.count.write_text(f"{process.seconds + 100}")
        if words[0] == "evaluate" and not stop.is_set():
            stop.set()
        return 0

    monkeypatch.setattr(Process, "run", work)
    monkeypatch.setattr(run_recipes, "line_of", lambda *parts: {"seconds": parts[3]})
    assert carry_out(run, place, stop) is None
    ended = threading.Event()
    monkeypatch.setattr(Process, "run", lambda *_: 0)
    for kind in "averaged", "raw":
        (place.runs / run.folder / f"{kind}.json").write_text("{}")
    assert carry_out(run, place, ended) == {"seconds": 100}


def test_a_run_of_a_recipe_that_has_changed_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("mlp_ring", 0)
    before = run.folder
    monkeypatch.setattr(run_recipes, "settings_hash", lambda _: "of another day")
    assert run.folder != before


@pytest.mark.weekly
def test_a_run_is_stopped_after_its_minutes_and_measured(tmp_path: Path) -> None:
    run = Run("mlp_ring", 0, minutes=0.2)
    place = Place(tmp_path / "data", tmp_path / "runs", tmp_path / "results", niceness=0)
    made = carry_out(run, place, threading.Event())
    assert made is not None
    assert 0 < made["images"] < made["budget"]
    assert made["averaged"]["values"]["modes/ring8/covered"] <= 8
    assert made["averaged"]["stamp"]["samples"]["weights"] == "averaged"
    assert made["raw"] is None
    assert "checkpoints/last.ckpt" in made["said"]
    assert str(tmp_path) not in json.dumps(made)
    (version,) = (place.runs / run.folder / "run").iterdir()
    keep(made, version, place.results)
    assert lines_of(place.results / "mlp_ring.jsonl") == [json.loads(json.dumps(made))]
    curve = (place.results / "curves" / "mlp_ring-seed0.csv").read_text().splitlines()
    assert curve[0].startswith("progress/images,")
    assert len(curve) > 1
    assert not (place.results / "pictures" / "mlp_ring-seed0.png").exists(), "of a beginning"


def test_no_recorded_run_tells_where_it_lay() -> None:
    for path in run_recipes.ROOT.glob("results/*.jsonl"):
        for line in lines_of(path):
            told = [word for word in json.dumps(line).split() if word.startswith(("/", '"/'))]
            assert not told, path.name


# ------------------------------------------------------------------------------ what is said of it


def test_a_row_has_mean_and_deviation_of_its_seeds() -> None:
    row = Row("hinge_mnist", [line("hinge_mnist", seed) for seed in SEEDS])
    assert results.distance(row) == "2.00 ± 1.00 (0.02)"
    assert results.images(row) == "400,000"
    assert results.raw(row) == "-"


def test_a_row_leaves_out_what_could_not_be_measured() -> None:
    lines = [line("collapse_ring", seed) for seed in SEEDS]
    for run, width in zip(lines, (None, 1.5, 2.5), strict=True):
        run["averaged"] = {"values": {"modes/ring8/std_ratio": width, "modes/ring8/kl": None}}
    row = Row("collapse_ring", lines)
    assert row.values("/std_ratio") == [1.5, 2.5]
    shown = " ".join(results.tables([row]))
    assert "| 2.00 ± 0.71 | - |" in shown


def test_a_row_says_how_much_of_the_budget_was_run_and_what_diverged() -> None:
    part = Row("sngan_cifar10", [line("sngan_cifar10", images=4_000, state="stopped")])
    assert not part.whole
    assert results.images(part) == "4,000, 1 % of its budget"
    broken = Row("hinge_mnist", [line("hinge_mnist", images=9, state="diverged")])
    assert broken.whole
    assert results.images(broken) == "9; 1 of 1 diverged"


def test_a_header_says_what_was_recorded_in_the_place_of_what_it_said() -> None:
    row = Row("hinge_mnist", [line("hinge_mnist", seed) for seed in SEEDS])
    text = results.header(row)
    comment = text[: text.index("model:")]
    assert "No full" not in comment
    assert comment.count("Recorded: ") == 1
    assert (
        "# Recorded: fid/mnist_cnn 2.00 ± 1.00 (floor 0.02), 10.0 ± 0.0 modes, 1.0 CPU" in comment
    )
    assert text[text.index("model:") :] in recipe_file("hinge_mnist").read_text("utf-8")


def test_pages_and_headers_are_those_of_the_lines() -> None:
    found = results.rows()
    assert results.page(found) == results.PAGE.read_text(encoding="utf-8")
    assert mixtures.page(found) == mixtures.PAGE.read_text(encoding="utf-8")
    assert results.readme(found) == results.README.read_text(encoding="utf-8")
    for row in found:
        assert results.header(row) == recipe_file(row.recipe).read_text(encoding="utf-8")
        if (text := results.expected(row)) is not None:
            assert text == expected_file(row.recipe).read_text(encoding="utf-8")


def test_trials_stand_below_those_of_papers_with_their_standard_errors() -> None:
    points = {"modes/ring8/covered": 8.0, "modes/ring8/kl": 0.002, "modes/ring8/std_ratio": 0.9}
    lines = [
        line("mlp_ring", seed, averaged={"values": points | {"modes/ring8/high_quality": share}})
        for seed, share in enumerate((0.97, 0.98, 0.98, 0.99))
    ]
    text = "\n".join(mixtures.tables([Row("mlp_ring", lines)]))
    ring, grid = text.split("### Twenty-five")
    ours = "| `mlp_ring` | 4 | 8.0 ± 0.0 | 98.0 ± 0.4 | 0.0020 ± 0.0000 | 0.90 ± 0.00 | here, 1.0"
    assert ours in ring
    assert ring.index("VEEGAN") < ring.index("PacGAN2") < ring.index("`mlp_ring`")
    assert "mlp_ring" not in grid


def test_every_line_says_how_it_was_made() -> None:
    for file in KEPT.glob("*.jsonl"):
        for made in lines_of(file):
            assert {"commit", "torch", "machine", "threads", "seed", "cpu_seconds"} <= made.keys()
            for measured in filter(None, (made["evaluation"], made["averaged"], made["raw"])):
                assert "/" not in measured["run"]["checkpoint"]
            assert (KEPT / "curves" / f"{made['recipe']}-seed{made['seed']}.csv").exists()
