"""The head of a page: what the runs are, how they stand, and what they differ in."""

from collections.abc import Iterator
from html import escape

from lightning_gan.runs.charts import COLOURS, key
from lightning_gan.runs.contents import Contents, Runs
from lightning_gan.runs.curves import Curves
from lightning_gan.runs.expected import expected_of, verdict
from lightning_gan.runs.html import date, flat, listed, row, shown, table
from lightning_gan.runs.panels import ALARMS, RETURNS
from lightning_gan.runs.record import RunRecord, Segment

STATES = {True: "running", False: "killed", None: "running, or killed"}
"""How a run stands whose record says that it is running, by whether a process holds its lock."""


def heads(runs: Runs) -> str:
    """A card for each run."""
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
    yield "What differs", _differs(record)
    yield "Seed", str(record.seed)
    yield "State", _state(run)
    yield "Images", _images(record)
    yield "Best", _best(record)
    yield "Expected", _expected(run)
    yield "Weights", escape(", ".join(f"{who}: {n:,}" for who, n in record.parameters.items()))
    yield "Folder", escape(str(run.folder))
    yield "Started", listed([_start(segment) for segment in record.segments])
    yield "Last word", escape(date(record.updated))
    for segment in record.segments[-1:]:
        yield "Hardware", escape(_hardware(segment))
        yield "Versions", escape(", ".join(f"{k} {v}" for k, v in segment.versions.items()))


def _differs(record: RunRecord) -> str:
    options = flat(record.differs) if record.differs else {}
    return listed(f"{name} = {value}" for name, value in options.items())


def _state(run: Contents) -> str:
    said = f": {run.record.said}" if run.record.said else ""
    state = run.record.state
    return escape(f"{STATES[run.is_held] if state == 'running' else state}{said}")


def _images(record: RunRecord) -> str:
    if record.max_images is None:
        return f"{record.images:,}"
    bar = f'<progress max="{record.max_images}" value="{record.images}"></progress>'
    return f"{record.images:,} of {record.max_images:,}{bar}"


def _best(record: RunRecord) -> str:
    best = record.best
    if best is None:
        return ""
    return escape(f"{best['name']} = {shown(best['value'])} at {best['images']:,} images")


def _expected(run: Contents) -> str:
    expected = expected_of(run.record)
    return "" if expected is None else escape(verdict(run.curves, expected))


def _start(segment: Segment) -> str:
    """A start of a run, with what was changed for it."""
    at = f", at {segment.images:,} images" if segment.images else ""
    changes = (f"{name}: {' → '.join(map(shown, both))}" for name, both in segment.changes.items())
    return "; ".join([f"{date(segment.started)}{at}", *changes])


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


def between(runs: Runs) -> str:
    """What several runs differ in, beside each other."""
    known = [
        flat({"recipe": run.record.recipe, "seed": run.record.seed} | run.record.identity)
        for run in runs.values()
    ]
    names = dict.fromkeys(name for facts in known for name in facts)
    rows = {name: [facts.get(name, "") for facts in known] for name in names}
    apart = {
        name: cells
        for name, cells in rows.items()
        if len(set(cells)) > 1 and not name.endswith(".seed")  # parts have the seed of the run
    }
    if not apart:
        return ""
    lines = [row("", map(escape, runs), head=True)]
    lines += [row(name, map(escape, cells)) for name, cells in apart.items()]
    return f"<h2>What they differ in</h2>{table(lines)}"
