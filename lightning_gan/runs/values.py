"""The end of a page: what was measured last, its stamps, and the configurations."""

from collections.abc import Sequence
from html import escape

from lightning_gan.basics.texts import shortened
from lightning_gan.evaluation.stamped_values import StampedValues, differences
from lightning_gan.runs.contents import Runs
from lightning_gan.runs.html import flat, row, shown, table
from lightning_gan.runs.panels import MEANINGS

LONGEST = 300
"""Characters of what is named that was measured otherwise."""


def values(runs: Runs) -> str:
    """The last evaluation of each run, with floors, and a warning where they do not compare."""
    columns = [(name, stage, s) for name, run in runs.items() for stage, s in run.measured.items()]
    if not columns:
        return "<h2>Last evaluation</h2><p class=none>Nothing has been measured yet.</p>"
    names = sorted({name for *_, stamped in columns for name in stamped.values})
    heads = [
        f"{escape(name) + '<br>' if len(runs) > 1 else ''}{escape(_when(stage, stamped))}"
        for name, stage, stamped in columns
    ]
    lines, meanings = [row("", heads, head=True)], dict(MEANINGS)
    for name in names:
        if name.endswith("_floor"):  # it stands beside its value
            continue
        cells = [_value(stamped, name) for *_, stamped in columns]
        about = meanings.pop(name.partition("/")[0], "")  # said once, at the first of a group
        lines.append(row(name, cells, about))
    return f"<h2>Last evaluation</h2>{_unlike(columns)}{table(lines)}"


def _when(stage: str, stamped: StampedValues) -> str:
    word = "test" if stage == "test" else "validation"
    images = stamped.run.get("images_seen", "an unknown number of")
    return f"{word} after {f'{images:,}' if isinstance(images, int) else shown(images)} images"


def _value(stamped: StampedValues, name: str) -> str:
    if name not in stamped.values:
        return ""
    floor = stamped.values.get(f"{name}_floor")
    small = "" if floor is None else f"<small>a perfect generator: {floor:.4g}</small>"
    return f"{stamped.values[name]:.5g}{small}{_missing(stamped, name)}"


def _missing(stamped: StampedValues, name: str) -> str:
    """The names of the modes that were not found, beside the stricter of their numbers."""
    missing = stamped.run.get("missing")
    strict = name.endswith("/covered_robust") or (
        name.endswith("/covered") and f"{name}_robust" not in stamped.values
    )
    shows = strict and isinstance(missing, str)
    return f"<small>missing: {escape(str(missing))}</small>" if shows else ""


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


def remeasured(runs: Runs) -> str:
    """From where on a run was measured otherwise, so that its curves do not compare."""
    said = []
    for name, run in runs.items():
        of = f"{escape(name)}: " if len(runs) > 1 else ""
        for images, found in run.remeasured.items():
            listed = "; ".join(f"{each} is {now}, and was {before}" for each, before, now in found)
            said.append(
                f"<p>{of}<b>Measured otherwise from {images:,} images on</b>, so that values "
                f"before and after do not compare: {escape(shortened(listed, LONGEST))}.</p>"
            )
    return f"<div class=alarms>{''.join(said)}</div>" if said else ""


def details(runs: Runs) -> str:
    """The stamps and configurations, folded."""
    parts = []
    for name, run in runs.items():
        of = f" of {escape(name)}" if len(runs) > 1 else ""
        for stage, stamped in run.measured.items():
            facts = flat({"measured": stamped.run, "stamp": stamped.stamp})
            lines = table(row(label, [escape(value)]) for label, value in facts.items())
            which = "test" if stage == "test" else "last validation"
            parts.append(f"<details><summary>Stamp of the {which}{of}</summary>{lines}</details>")
        if run.config is not None:
            text = f"<pre>{escape(run.config)}</pre>"
            parts.append(f"<details><summary>Configuration{of}</summary>{text}</details>")
    return f"<h2>Details</h2>{''.join(parts)}" if parts else ""
