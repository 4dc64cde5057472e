"""One or several runs as a page that needs nothing else: no network, no server, no other file."""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template

from lightning_gan.basics.cache import written_whole
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import StampedValues, differences
from lightning_gan.runs.charts import COLOURS, chart, key
from lightning_gan.runs.contents import Contents, read_contents
from lightning_gan.runs.curves import Curves
from lightning_gan.runs.panels import ALARMS, MEANINGS, RETURNS, all_panels
from lightning_gan.runs.pictures import Grids, Picture
from lightning_gan.runs.record import RunRecord, Segment

PICTURE_BYTES = 9_000_000
"""Of all pictures of a page; their text form is a third longer."""
KINDS = {
    "nearest_training": "Samples nearest to a training image, which stands to their right",
    "closest_pairs": "Samples nearest to each other",
    "classes": "A class in each row",
}
"""What pictures show whose names are known."""
STATES = {True: "running", False: "killed", None: "running, or killed"}
"""How a run stands whose record says that it is running, by whether a process holds its lock."""
DEEPEST = 20
"""Of what is shown of nested settings."""
HERE = Path(__file__).parent


def write_page(folders: Sequence[Path], output: Path) -> Path:
    """Writes the page of some runs, whole or not at all.

    Args:
        folders: Their folders.
        output: The file.

    Raises:
        ConfigurationError: If a folder is no run's, or the file cannot be written.
    """
    text = page(folders)
    try:
        with written_whole(output) as part:
            part.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        raise ConfigurationError(
            f"The page cannot be written to {output} ({error.strerror}): give another place with "
            "--output."
        ) from error
    return output


def page(folders: Sequence[Path]) -> str:
    """The page of some runs as HTML; the same text for the same files.

    Args:
        folders: Their folders; one that is named twice is shown once.

    Raises:
        ConfigurationError: If one is no run's, or there is none.
    """
    apart: dict[str, Path] = {}
    for folder in folders:
        apart.setdefault(os.path.realpath(folder), folder)
    if not apart:
        raise ConfigurationError("A page is of at least one run: give the folder of a run.")
    each = PICTURE_BYTES // len(apart)
    runs = _named([read_contents(folder, each) for folder in apart.values()])
    title = next(iter(runs)) if len(runs) == 1 else f"{len(runs)} runs"
    parts = [_heads(runs), _between(runs), _curves(runs), _pictures(runs), _values(runs)]
    body = f"<h1>{escape(title)}</h1>{''.join(parts)}{_details(runs)}"
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    template = Template((HERE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title), body=body, script=script, hash=f"sha256-{digest}"
    )


Runs = dict[str, Contents]
"""What is shown, by names that differ."""


def _named(found: Sequence[Contents]) -> Runs:
    names = [contents.record.name or contents.folder.name for contents in found]
    return {
        name if names.count(name) == 1 else f"{name} ({contents.folder})": contents
        for name, contents in zip(names, found, strict=True)
    }


# ------------------------------------------------------------------------------------- heads


def _heads(runs: Runs) -> str:
    cards = (_head(number, name, run, len(runs)) for number, (name, run) in enumerate(runs.items()))
    return f"<div class=cards>{''.join(cards)}</div>"


def _head(number: int, name: str, run: Contents, count: int) -> str:
    title = f"<h3>{key(name, f'c{number % COLOURS}')}</h3>" if count > 1 else ""
    facts = "".join(
        f"<dt>{escape(label)}</dt><dd>{shown}</dd>" for label, shown in _facts(run) if shown
    )
    return f"<section class=card>{title}<dl>{facts}</dl>{_alarms(run.curves)}</section>"


def _facts(run: Contents) -> Iterator[tuple[str, str]]:
    """What a run is and how it stands: labels, and HTML."""
    record = run.record
    yield "Recipe", escape(record.recipe or "none: from Python")
    yield "What differs", _dotted(record.differs)
    yield "Seed", str(record.seed)
    yield "State", _state(run)
    yield "Images", _images(record)
    yield "Best", _best(record)
    yield "Weights", escape(", ".join(f"{who}: {n:,}" for who, n in record.parameters.items()))
    yield "Folder", escape(str(run.folder))
    yield "Started", _listed([_start(segment) for segment in record.segments])
    yield "Last word", escape(_date(record.updated))
    for segment in record.segments[-1:]:
        yield "Hardware", escape(_hardware(segment))
        yield "Versions", escape(", ".join(f"{k} {v}" for k, v in segment.versions.items()))


def _state(run: Contents) -> str:
    said = f": {run.record.said}" if run.record.said else ""
    return escape(
        f"{STATES[run.is_held] if run.record.state == 'running' else run.record.state}{said}"
    )


def _images(record: RunRecord) -> str:
    if record.max_images is None:
        return f"{record.images:,}"
    bar = f'<progress max="{record.max_images}" value="{record.images}"></progress>'
    return f"{record.images:,} of {record.max_images:,}{bar}"


def _best(record: RunRecord) -> str:
    best = record.best
    if best is None:
        return ""
    return escape(f"{best['name']} = {_shown(best['value'])} at {_shown(best['images'])} images")


def _start(segment: Segment) -> str:
    """A start of a run, with what was changed for it."""
    at = f", at {segment.images:,} images" if segment.images else ""
    changes = (f"{name}: {' → '.join(map(_shown, both))}" for name, both in segment.changes.items())
    return "; ".join([f"{_date(segment.started)}{at}", *changes])


def _hardware(segment: Segment) -> str:
    one = segment.processes == 1
    size = f" of {segment.batch_size} samples each" if segment.batch_size is not None else ""
    processes = f"{segment.processes} process{'' if one else 'es'}{size}"
    return f"{segment.device}; {processes}; threads: {segment.threads}"


def _alarms(curves: Curves) -> str:
    """When something was wrong, where that was logged."""
    found = []
    for name, what in ALARMS.items():
        series = curves.get(name)
        raised = {} if series is None else dict(zip(series.images, series.values, strict=True))
        at = [f"{images:,.0f}" for images, value in raised.items() if value]
        if at:
            more = f" and {len(at) - 10} more" if len(at) > 10 else ""
            found.append(f"<p><b>{escape(what)}</b> at {', '.join(at[:10])}{more} images.</p>")
    if (returns := curves.get(RETURNS)) is not None and returns.last > 0:
        found.append(f"<p><b>Returns to its healthiest state</b>: {returns.last:.0f}.</p>")
    return f"<div class=alarms>{''.join(found)}</div>" if found else ""


def _between(runs: Runs) -> str:
    """What several runs differ in, beside each other."""
    known = [
        _flat(
            {
                "recipe": run.record.recipe,
                "seed": run.record.seed,
                "max_images": run.record.max_images,
                **run.record.differs,
                **run.record.identity,
            }
        )
        for run in runs.values()
    ]
    names = dict.fromkeys(name for facts in known for name in facts)
    rows = {name: [facts.get(name, "") for facts in known] for name in names}
    apart = {name: row for name, row in rows.items() if len(set(row)) > 1}
    if not apart:
        return ""
    lines = (_row(name, map(escape, row)) for name, row in apart.items())
    return f"<h2>What they differ in</h2>{_table(runs, lines)}"


# ------------------------------------------------------------------------- curves and pictures


def _curves(runs: Runs) -> str:
    pairs = [(name, run.curves) for name, run in runs.items()]
    panels = all_panels({name for _, curves in pairs for name in curves})
    if not panels:
        return "<h2>Curves</h2><p class=none>Nothing has been logged yet.</p>"
    who = ""
    if len(pairs) > 1:
        keys = (key(name, f"c{number % COLOURS}") for number, (name, _) in enumerate(pairs))
        who = f'<p class="legend runs">{" ".join(keys)}</p>'
    drawn = "".join(chart(panel, pairs) for panel in panels)
    note = (
        "<p class=note>Against images seen. A shade is what the values in between range over.</p>"
    )
    return f"<h2>Curves</h2>{note}{who}<div class=charts>{drawn}</div>"


def _pictures(runs: Runs) -> str:
    """The samples of each run; several runs beside each other."""
    if len(runs) == 1:
        return f"<h2>Samples</h2>{''.join(map(_samples, runs.values()))}"
    parts = (
        f"<section><h3>{escape(name)}</h3>{_samples(run)}</section>" for name, run in runs.items()
    )
    return f"<h2>Samples</h2><div class=cards>{''.join(parts)}</div>"


def _samples(run: Contents) -> str:
    found = [_slides(run.grids)] if run.grids.pictures else []
    found += [_figure("Real images", run.reals)] if run.reals else []
    found += [_figure(_kind(kind), picture) for kind, picture in run.pictures.items()]
    return f"{_missing(run.grids)}<div class=samples>{''.join(found)}</div>"


def _missing(grids: Grids) -> str:
    """What of the grids is not shown, in words."""
    if not grids.total:
        return "<p class=none>No samples were drawn.</p>"
    if len(grids.pictures) == grids.total:
        return ""
    return f"<p class=note>{len(grids.pictures)} of {grids.total} grids are shown.</p>"


def _slides(grids: Grids) -> str:
    """All grids, of which a slider shows one; the last one where scripts do not run."""
    last = len(grids.pictures) - 1
    images = "".join(
        _image(picture, hidden=number != last) for number, picture in enumerate(grids.pictures)
    )
    caption = f"<output>{escape(grids.pictures[last].caption)}</output>"
    slider = (
        f'<input type="range" min="0" max="{last}" value="{last}" hidden '
        'aria-label="Images seen" autocomplete="off">'
    )
    return (
        f"<figure data-slides><figcaption>Samples after {caption}</figcaption>"
        f"{slider}{images}</figure>"
    )


def _figure(title: str, picture: Picture) -> str:
    small = f" <small>{escape(picture.caption)}</small>" if picture.caption else ""
    return f"<figure><figcaption>{escape(title)}{small}</figcaption>{_image(picture)}</figure>"


def _image(picture: Picture, hidden: bool = False) -> str:
    return (
        f'<img src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(picture.caption)}"{" hidden" if hidden else ""}>'
    )


def _kind(name: str) -> str:
    """What a picture of that name shows."""
    kind, _, stage = name.rpartition("_")
    if kind in KINDS and stage in ("val", "test"):
        return f"{KINDS[kind]} ({stage})"
    return KINDS.get(name, name.replace("_", " "))


# ------------------------------------------------------------------------ values and details


def _values(runs: Runs) -> str:
    """The last evaluation of each run, with floors, and a warning where they do not compare."""
    columns = [(name, stage, s) for name, run in runs.items() for stage, s in run.measured.items()]
    if not columns:
        return "<h2>Last evaluation</h2><p class=none>Nothing has been measured yet.</p>"
    names = sorted({name for *_, stamped in columns for name in stamped.values})
    shown = [name for name in names if not name.endswith("_floor")]
    heads = [
        f"{escape(name) + '<br>' if len(runs) > 1 else ''}{escape(_when(stage, stamped))}"
        for name, stage, stamped in columns
    ]
    lines, meanings = [_row("", heads, head=True)], dict(MEANINGS)
    for name in shown:
        cells = [_value(stamped, name) for *_, stamped in columns]
        about = meanings.pop(name.partition("/")[0], "")  # said once, at the first of a group
        lines.append(_row(name, cells, about))
    table = f"<div class=scroll><table>{''.join(lines)}</table></div>"
    return f"<h2>Last evaluation</h2>{_unlike(columns)}{table}"


def _when(stage: str, stamped: StampedValues) -> str:
    word = "test" if stage == "test" else "validation"
    return f"{word} after {_shown(stamped.run.get('images_seen', 'unknown'))} images"


def _value(stamped: StampedValues, name: str) -> str:
    if name not in stamped.values:
        return ""
    floor = stamped.values.get(f"{name}_floor")
    small = "" if floor is None else f"<small>a perfect generator: {floor:.4g}</small>"
    return f"{stamped.values[name]:.5g}{small}"


def _unlike(columns: Sequence[tuple[str, str, StampedValues]]) -> str:
    """What values of one stage were not measured alike in."""
    found: set[str] = set()
    for stage in ("val", "test"):
        stamps = [stamped.stamp for _, of, stamped in columns if of == stage]
        for other in stamps[1:]:
            found |= {name for name, *_ in differences(stamps[0], other)}
    if not found:
        return ""
    listed = escape(", ".join(sorted(found)))
    return (
        "<div class=alarms><p><b>These values do not compare:</b> they were not measured alike "
        f"({listed}).</p></div>"
    )


def _details(runs: Runs) -> str:
    """The stamps and configurations, folded."""
    parts = []
    for name, run in runs.items():
        of = f" of {escape(name)}" if len(runs) > 1 else ""
        for stage, stamped in run.measured.items():
            facts = _flat({"measured": stamped.run, "stamp": stamped.stamp})
            lines = "".join(_row(label, [escape(value)]) for label, value in facts.items())
            which = "test" if stage == "test" else "last validation"
            table = f"<div class=scroll><table>{lines}</table></div>"
            parts.append(f"<details><summary>Stamp of the {which}{of}</summary>{table}</details>")
        if run.config is not None:
            text = f"<pre>{escape(run.config)}</pre>"
            parts.append(f"<details><summary>Configuration{of}</summary>{text}</details>")
    return f"<h2>Details</h2>{''.join(parts)}" if parts else ""


def _table(runs: Runs, lines: Iterator[str]) -> str:
    head = _row("", map(escape, runs), head=True)
    return f"<div class=scroll><table>{head}{''.join(lines)}</table></div>"


def _row(name: str, cells: Iterable[str], about: str = "", head: bool = False) -> str:
    """A row of a table.

    Args:
        name: Its name.
        cells: The others, as HTML.
        about: What the name says.
        head: Whether it is the first row.
    """
    tag = "th" if head else "td"
    inside = "".join(f"<{tag}>{cell}</{tag}>" for cell in cells)
    small = f"<small>{escape(about)}</small>" if about else ""
    return f"<tr><th>{escape(name)}{small}</th>{inside}</tr>"


def _listed(lines: Sequence[str]) -> str:
    return "<br>".join(map(escape, lines))


def _dotted(options: dict[str, object]) -> str:
    return _listed([f"{name} = {value}" for name, value in _flat(options).items() if name])


def _flat(value: object, name: str = "", depth: int = 0) -> dict[str, str]:
    """The leaves of nested dicts and lists, by dotted names, as text."""
    inner: dict[str, object] = {}
    if depth > DEEPEST:
        return {name: "..."}
    if isinstance(value, dict):
        inner = {str(k): each for k, each in value.items()}
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        inner = {str(number): each for number, each in enumerate(value)}
    if not inner:
        return {name: _shown(value)}
    found: dict[str, str] = {}
    for k, each in inner.items():
        found |= _flat(each, f"{name}.{k}" if name else k, depth + 1)
    return found


def _shown(value: object) -> str:
    """What JSON can hold, as a person writes it."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def _date(text: str) -> str:
    """A time in ISO 8601 as a person writes it."""
    return text.replace("T", " ").replace("+00:00", " UTC")
