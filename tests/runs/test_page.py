"""A page holds everything itself, does no harm, and shows what there is of a run."""

import re
import shutil
import subprocess
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from recorded_runs import identity, record, report, write_run

from lightning_gan.basics.images import save_png
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import StampedValues
from lightning_gan.runs.page import page, write_page
from lightning_gan.runs.scores import Scores

VOID = {"meta", "br", "img", "input", "line", "circle", "polyline", "polygon"}
EVIL = "<script>document.title='harm'</script>\"'&<img src=x onerror=\"document.title='harm'\">"


class Parsed(HTMLParser):
    """A page as a browser reads it: its text, its tags, and whether every one is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def curves(folder: Path, rows: int = 4) -> None:
    lines = ["progress/images,loss/generator,loss/discriminator,gan/d_real,fid/x,fid/x_floor"]
    lines += [f"{64 * n},{1 + n / 10},1,0.6,{9 - n % 9},0.5" for n in range(1, rows + 1)]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")


def samples(folder: Path, *names: str) -> None:
    for name in names:
        save_png(torch.zeros(3, 8, 8, dtype=torch.uint8), folder / "samples" / f"{name}.png")


def of_test(images: int, day: int) -> StampedValues:
    measured = report(0.5, images)
    return replace(measured, run=measured.run | {"stage": "test", "date": f"2026-01-{day:02d}"})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with all that there may be."""
    folder = write_run(
        tmp_path / "run", record(best={"name": "fid/x", "value": 5.0, "images": 256})
    )
    values = report(0.25)
    (folder / "evaluations.jsonl").write_text(f"{report(0.5).as_json()}\n{values.as_json()}\n")
    report(0.125).write(folder / "test-0000020224.json")
    curves(folder)
    samples(folder, "0000000000", "0000000128", "0000000256", "nearest_training_0000000256")
    save_png(torch.zeros(3, 8, 8, dtype=torch.uint8), folder / "reals.png", "<b>rows</b>")
    for images in (128, 256):
        Scores(images, True, 0.0, 0.25, [0, 1, 2, images], [9, 5, 0, 0]).append(folder)
    (folder / "config.yaml").write_text("model:\n  name: <the & configuration>\n")
    return folder


@pytest.mark.parametrize("name", ["modes/x/covered", "modes/x/covered_robust"])
def test_modes_that_are_missing_are_named_beside_their_number(run: Path, name: str) -> None:
    measured = report(0.25)
    values = {"modes/x/covered": 9.0, name: 8.0}
    facts = measured.run | {"missing": "3, <8>"}
    line = replace(measured, values=values, run=facts).as_json()
    (run / "evaluations.jsonl").write_text(f"{line}\n")
    assert "8 missing: 3, <8>" in Parsed(page([run])).text


def test_a_page_shows_all_that_a_run_has_left(run: Path) -> None:
    parsed = Parsed(page([run]))
    for words in (
        "mlp_ring seed=0",
        "finished",
        "20,224 of 20,000",
        "generator: 33,666",
        "fid/x = 5",
        "2026-11-29 10:00:00 UTC",
        "cpu; 1 process of 256 samples each; threads: 1",
        "torch 2.14.1",
        "Losses",
        "Frechet distance (x)",
        "Spread of D(x) and D(G(z)) on held-out images after 256 images",
        "reals fakes",
        "Samples after 256 images",
        "Real images <b>rows</b>",
        "Samples nearest to a training image",
        "validation after 20,224 images",
        "0.25 a perfect generator: 0.001",
        "stamp.samples.seed",
        "name: <the & configuration>",
    ):
        assert words in parsed.text, words
    assert "0.5 a perfect" not in parsed.text  # an earlier evaluation


def test_a_page_needs_nothing_else(run: Path) -> None:
    text = page([run])
    parsed = Parsed(text)
    assert not re.search(r"https?://", text)
    assert not {"link", "iframe", "object", "embed", "base", "a"} & {tag for tag, _ in parsed.tags}
    images = parsed.all("img")
    assert len(images) == 5
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in images)
    assert not any("src" in script for script in parsed.all("script"))
    assert not re.search(r"@import|url\(", text)
    (policy,) = [meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:")


def test_without_scripts_the_last_grid_is_seen(run: Path) -> None:
    shown = [i["alt"] for i in Parsed(page([run])).all("img") if "hidden" not in i]
    nearest = "Samples nearest to a training image, which stands to their right"
    assert shown == ["256 images", "Real images", nearest]
    histograms, grids = Parsed(page([run])).all("input")
    for slider, last in ((histograms, "1"), (grids, "2")):
        assert "hidden" in slider
        assert (slider["min"], slider["max"], slider["value"]) == ("0", last, last)
    drawn = [svg for svg in Parsed(page([run])).all("svg") if "data-caption" in svg]
    assert [svg["data-caption"] for svg in drawn if "hidden" not in svg] == ["256 images"]


def harmful(folder: Path) -> Path:
    """A run in which every text is meant to do harm."""
    evil = record(
        name=EVIL,
        recipe=EVIL,
        differs={EVIL: EVIL},
        state="failed",
        said=EVIL,
        parameters={EVIL: 1},
        best={"name": EVIL, "value": 1.0, "images": 1},
    )
    for field in ("device", "started", "config"):
        setattr(evil.segments[0], field, EVIL.replace("/", ""))
    evil.segments[0].versions = {EVIL: EVIL}
    evil.segments[0].changes = {EVIL: [EVIL, EVIL]}
    write_run(folder, evil, [report(0.5, images=EVIL, **{EVIL: {EVIL: EVIL}})], updated=EVIL)
    names = [f"{prefix}{EVIL.replace(',', '')}" for prefix in ("penalty/", "state/", "coverage/")]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    text = ",".join(["progress/images", *quoted])
    (folder / "metrics.csv").write_text(f"{text}\n64,1,2,3\n128,1,2,3\n")
    (folder / "config.yaml").write_text(EVIL)
    samples(folder, "0000000064", "0000000128", EVIL.replace("/", ""))
    return folder


def test_texts_from_files_do_no_harm(tmp_path: Path) -> None:
    folders = [
        harmful(tmp_path / "a"),
        harmful(tmp_path / "b"),
        write_run(tmp_path / "c", record()),
    ]
    for chosen in (folders[:1], folders):
        parsed = Parsed(page(chosen))
        assert len(parsed.all("script")) == 1
        assert not any(name.startswith("on") for _, found in parsed.tags for name in found)
        assert all((i["src"] or "").startswith("data:image/png;") for i in parsed.all("img"))
        assert EVIL in parsed.text


def test_several_runs_are_overlaid_with_a_legend_and_what_they_differ_in(tmp_path: Path) -> None:
    folders = []
    for seed in (0, 1):
        weight = {"regularizers": [{"class_path": "R1", "init_args": {"weight": float(seed)}}]}
        made = record(seed, name="twin", identity=identity(seed, **weight))
        folder = write_run(tmp_path / str(seed), made, [report(0.5, samples={"seed": seed})])
        curves(folder)
        samples(folder, "0000000064")
        folders.append(folder)
    parsed = Parsed(page([*folders, folders[0] / "." / "samples" / ".."]))
    assert parsed.text.startswith("2 runs")
    for folder in folders:
        assert f"twin ({folder})" in parsed.text
    between = parsed.text.partition("What they differ in")[2].partition("Curves")[0]
    assert "model.regularizers.0.init_args.weight 0 1" in between
    assert "objective" not in between
    assert "do not compare: they were not measured alike (samples.seed)" in parsed.text
    lines = [found["class"] for found in parsed.all("g")]
    assert lines.count("c0") == lines.count("c1") == len(lines) / 2 > 0
    assert len(parsed.all("img")) == 2


def test_a_run_that_was_measured_otherwise_on_the_way_says_from_where_on(tmp_path: Path) -> None:
    made = [report(0.5, 64), report(0.4, 128), report(0.3, 192, samples={"seed": 7})]
    text = Parsed(page([write_run(tmp_path, record(0), made)])).text
    assert "Measured otherwise from 192 images on" in text
    assert "samples.seed is 7, and was " in text
    assert text.count("Measured otherwise") == 1


@pytest.mark.parametrize("images", [(256, 128), (128, 256)])
def test_values_and_pictures_are_of_the_latest_test(
    images: tuple[int, int], tmp_path: Path
) -> None:
    folder = write_run(tmp_path, record())
    for day, seen in enumerate(images, start=1):
        of_test(seen, day).write(folder / f"test-{seen:010d}.json")
        samples(folder, f"closest_pairs_test-{seen:010d}")
    text = Parsed(page([folder])).text
    assert f"test after {images[-1]} images" in text
    assert f"each other (test) after {images[-1]} images" in text
    line = of_test(512, day=3).as_json()
    (folder / "evaluations.jsonl").write_text(f"{line}\n")
    assert "test after 512 images" in Parsed(page([folder])).text


def test_values_that_were_measured_alike_stand_beside_each_other_without_a_word(
    tmp_path: Path,
) -> None:
    folders = [
        write_run(tmp_path / str(seed), record(seed), [report(0.5 + seed)]) for seed in (0, 1)
    ]
    text = Parsed(page(folders)).text
    assert "do not compare" not in text
    assert "Measured otherwise" not in text
    assert "0.5 a perfect generator: 0.001 1.5 a perfect generator: 0.001" in text


@pytest.mark.parametrize(
    ("held", "state"), [(True, "running"), (False, "killed"), (None, "running, or killed")]
)
def test_a_run_whose_lock_nobody_holds_was_killed(
    held: bool | None, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_gan.runs.contents.is_held", lambda folder: held)
    folder = write_run(tmp_path, record(state="running"))
    assert f"State {state} Images" in Parsed(page([folder])).text


def test_a_resumed_run_says_when_and_with_what_changed(tmp_path: Path) -> None:
    made = record(state="stopped", said="Ctrl-C.", max_images=None)
    later = record().segments[0]
    later.started, later.images = "2026-11-30T08:00:00+00:00", 10_240
    later.changes = {"trainer.devices": [1, 2]}
    made.segments.append(later)
    text = Parsed(page([write_run(tmp_path, made)])).text
    assert "State stopped: Ctrl-C. Images 20,224 Weights" in text
    start = "2026-11-30 08:00:00 UTC, at 10,240 images; trainer.devices: 1 → 2"
    assert f"Started 2026-11-29 10:00:00 UTC {start}" in text


def test_alarms_are_told(tmp_path: Path) -> None:
    head = "progress/images,collapse/modes,collapse/frechet,collapse/rollbacks,eval/nonfinite\n"
    rows = "".join(f"{n},{float(n > 10)},0.0,{n // 10},\n" for n in range(1, 23))
    (tmp_path / "metrics.csv").write_text(head + rows)
    text = Parsed(page([write_run(tmp_path, record())])).text
    assert "Modes were lost at 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 and 2 more images." in text
    assert "Returns to its healthiest state : 2." in text
    assert "Frechet distance rose" not in text
    assert "not finite" not in text


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    made = record(segments=[], parameters={}, recipe=None, max_images=0)
    text = Parsed(page([write_run(tmp_path, made)])).text
    for words in (
        "none: from Python",
        "Nothing has been logged yet.",
        "No samples were drawn.",
        "Nothing has been measured yet.",
    ):
        assert words in text, words


@pytest.mark.parametrize("name", ["config-2.yaml", "../run/config.yaml", "\ud800", "a\0", "", ".."])
def test_a_configuration_is_the_one_of_the_last_start_inside_the_folder(
    name: str, run: Path
) -> None:
    made = record()
    made.segments[0].config = name
    made.write(run)
    (run / "config-2.yaml").write_text("the second start")
    (run.parent / "config-2.yaml").write_text("another run's")
    said = "the second start" if name == "config-2.yaml" else "<the & configuration>"
    assert said in Parsed(page([run])).text


def test_a_page_says_how_to_see_the_nearest_training_images(run: Path) -> None:
    hint = "lightning-gan test draws the samples that are nearest to training images"
    assert hint not in Parsed(page([run])).text
    (run / "samples" / "nearest_training_0000000256.png").unlink()
    assert hint in Parsed(page([run])).text


def test_torn_files_are_passed_over(run: Path) -> None:
    with (run / "evaluations.jsonl").open("a") as file:
        file.write('{"format": 1, "val')
    with (run / "metrics.csv").open("a") as file:
        file.write("3")
    (run / "test-1.json").write_text("[")
    (run / "samples" / "0000000512.png").write_bytes(b"\x89PNG")
    text = Parsed(page([run])).text
    assert "0.25 a perfect generator: 0.001" in text
    assert "Samples after 256 images" in text
    assert "3 of 4 grids are shown." in text


def test_the_same_files_give_the_same_page(run: Path) -> None:
    assert page([run]) == page([run])


def test_a_page_is_written_whole_or_not_at_all(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = write_page([run], tmp_path / "new" / "page.html")
    before = output.read_bytes()
    assert before.decode() == page([run])

    def broken(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", broken)
        with pytest.raises(ConfigurationError, match=r"cannot be written.*No space left.*--output"):
            write_page([run], output)
    assert output.read_bytes() == before
    assert [path.name for path in output.parent.iterdir()] == ["page.html"]


def test_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no run\.json"):
        page([tmp_path])
    with pytest.raises(ConfigurationError, match="at least one run"):
        page([])


def test_a_long_run_makes_a_small_page_in_seconds(tmp_path: Path) -> None:
    write_run(tmp_path, record(), [report(0.5)])
    curves(tmp_path, rows=20_000)
    noise = torch.randint(256, (3, 400, 400), dtype=torch.uint8)  # as large as pictures can be
    for number in range(60):
        save_png(noise, tmp_path / "samples" / f"{number * 5000:010d}.png")
    started = time.perf_counter()
    size = write_page([tmp_path], tmp_path / "report.html").stat().st_size
    assert time.perf_counter() - started < 20
    assert 5_000_000 < size < 15_000_000


def chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.mark.skipif(chromium() is None, reason="there is no Chromium to open the page in")
def test_in_a_browser_the_slider_works_and_nothing_harms(run: Path, tmp_path: Path) -> None:
    output = write_page([run, harmful(tmp_path / "harmful")], tmp_path / "page.html")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'c'}"]
    done = subprocess.run(
        [chromium() or "", *options, "--dump-dom", output.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    parsed = Parsed(done.stdout)
    assert "2 runs" in parsed.text
    assert "harm" not in re.findall(r"<title>(.*?)</title>", done.stdout)
    assert re.findall(r"<title>(.*?)</title>", done.stdout)[0] == "2 runs"
    sliders: list[dict[str, Any]] = [*parsed.all("input")]
    assert len(sliders) == 3
    assert not any("hidden" in slider for slider in sliders)  # so the script has run
    shown = [image["alt"] for image in parsed.all("img") if "hidden" not in image]
    drawn = [svg for svg in parsed.all("svg") if "data-caption" in svg and "hidden" not in svg]
    assert [svg["data-caption"] for svg in drawn] == ["256 images"]
    assert {"256 images", "128 images"} <= set(shown)
    assert not {"0 images", "64 images"} & set(shown)
