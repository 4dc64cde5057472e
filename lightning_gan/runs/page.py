"""One or several runs as a page that needs nothing else: no network, no server, no other file."""

import base64
import hashlib
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from lightning_gan.basics.cache import is_device, written_whole
from lightning_gan.basics.texts import tamed
from lightning_gan.errors import ConfigurationError
from lightning_gan.runs.charts import COLOURS, chart, key
from lightning_gan.runs.contents import Contents, Runs, named, read_contents
from lightning_gan.runs.expected import expected_of
from lightning_gan.runs.heads import between, heads
from lightning_gan.runs.histograms import caption, histogram, legend, title
from lightning_gan.runs.panels import all_panels
from lightning_gan.runs.pictures import MAX_SLIDES, Grids, Picture, evenly_spread
from lightning_gan.runs.scores import Scores
from lightning_gan.runs.values import details, remeasured, values

PICTURE_BYTES = 9_000_000
"""Of all pictures of a page; their text form is a third longer."""
KINDS = {
    "nearest_training": "Samples nearest to a training image, which stands to their right",
    "closest_pairs": "Samples nearest to each other",
    "interpolation": "From one latent to another in each row",
}
"""What pictures show whose names are known."""
HERE = Path(__file__).parent
BEGINS = b"<!doctype html>"
"""What a page begins with."""


def write_page(folders: Sequence[Path], output: Path) -> Path:
    """Writes the page of some runs, whole or not at all.

    Args:
        folders: Their folders.
        output: The file.

    Raises:
        ConfigurationError: If a folder is no run's, the file cannot be written, or is there and no
            page.
    """
    text = tamed(page(folders))
    try:
        plain = output.is_file() and not (output.is_symlink() or is_device(output))
        if plain and not _is_page(output):
            raise ConfigurationError(
                f"--output {output} is a file that holds something else than a page, and would be "
                "lost: give another name."
            )
        with written_whole(output) as part:
            part.write_bytes(text.encode("utf-8", "replace"))  # names of files may be no text
    except OSError as error:
        raise ConfigurationError(
            f"The page cannot be written to {output} ({error.strerror}): give another place with "
            "--output."
        ) from error
    return output


def _is_page(file: Path) -> bool:
    """Whether a file holds a page, or nothing."""
    with file.open("rb") as content:
        return content.read(len(BEGINS)).lower() in (BEGINS, b"")


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
    runs = named([read_contents(folder, each) for folder in apart.values()])
    title = next(iter(runs)) if len(runs) == 1 else f"{len(runs)} runs"
    parts = [
        heads(runs),
        between(runs),
        remeasured(runs),
        _curves(runs),
        _pictures(runs),
        values(runs),
    ]
    body = f"<h1>{escape(title)}</h1>{''.join(parts)}{details(runs)}"
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    template = Template((HERE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title), body=body, script=script, hash=f"sha256-{digest}"
    )


def _curves(runs: Runs) -> str:
    pairs = [(name, run.curves) for name, run in runs.items()]
    panels = all_panels({name for _, curves in pairs for name in curves})
    spread = [_spread(name if len(runs) > 1 else "", run.scores) for name, run in runs.items()]
    if not panels and not any(spread):
        return "<h2>Curves</h2><p class=none>Nothing has been logged yet.</p>"
    who = ""
    if len(pairs) > 1:
        keys = (key(name, f"c{number % COLOURS}") for number, (name, _) in enumerate(pairs))
        who = f'<p class="legend runs">{" ".join(keys)}</p>'
    expected = expected_of(next(iter(runs.values())).record) if len(runs) == 1 else None
    bands = {} if expected is None else expected.bands
    drawn = "".join(chart(panel, pairs, bands) for panel in panels)
    band = "" if expected is None else f" The wide bands are expected: {escape(expected.made)}"
    note = (
        "<p class=note>Against images seen. A shade is what the values in between range over."
        f"{band}</p>"
    )
    return f"<h2>Curves</h2>{note}{who}<div class=charts>{drawn}{''.join(spread)}</div>"


def _spread(name: str, scores: Sequence[Scores]) -> str:
    """How the scores of a run are spread, validation by validation; empty where nobody counted."""
    if not scores:
        return ""
    shown = evenly_spread(scores, MAX_SLIDES)
    slides = [Slide(caption(each), histogram(each, hidden=each is not shown[-1])) for each in shown]
    return _slides(f"{title(scores[-1])}, {name}".rstrip(", "), slides, legend())


def _pictures(runs: Runs) -> str:
    """The samples of each run; several runs beside each other."""
    if len(runs) == 1:
        return f"<h2>Samples</h2>{''.join(map(_samples, runs.values()))}"
    parts = (
        f"<section><h3>{escape(name)}</h3>{_samples(run)}</section>" for name, run in runs.items()
    )
    return f"<h2>Samples</h2><div class=cards>{''.join(parts)}</div>"


def _samples(run: Contents) -> str:
    found = [_grids(run.grids)] if run.grids.pictures else []
    found += [_figure("Real images", run.reals)] if run.reals else []
    found += [_figure(_kind(kind), picture) for kind, picture in run.pictures.items()]
    return f"{_missing(run)}<div class=samples>{''.join(found)}</div>"


def _missing(run: Contents) -> str:
    """What is not shown, in words."""
    shown, total = len(run.grids.pictures), run.grids.total
    if not total:
        return "<p class=none>No samples were drawn.</p>"
    said = [] if shown == total else [f"{shown} of {total} grids are shown."]
    if run.reals and not any(name.startswith("nearest_training") for name in run.pictures):
        said.append(
            "lightning-gan test draws the samples that are nearest to training images, too."
        )
    return f"<p class=note>{' '.join(said)}</p>" if said else ""


def _grids(grids: Grids) -> str:
    """All grids, of which a slider shows one."""
    last = grids.pictures[-1]
    slides = [
        Slide(picture.caption, _image(picture, picture.caption, hidden=picture is not last))
        for picture in grids.pictures
    ]
    return _slides("Samples", slides, about=last.about)


class Slide(NamedTuple):
    """One of several pictures: after how many images, and its HTML."""

    caption: str
    html: str


def _slides(title: str, slides: Sequence[Slide], below: str = "", about: str = "") -> str:
    """Pictures of which a slider shows one; the last one where scripts do not run.

    Args:
        title: What they are.
        slides: In the order of images.
        below: What stands below them, as HTML.
        about: What else they show.
    """
    last = len(slides) - 1
    after = f"after <output>{escape(slides[last].caption)}</output>{_small(about)}"
    slider = (
        f'<input type="range" min="0" max="{last}" value="{last}" hidden '
        'aria-label="Images seen" autocomplete="off">'
    )
    return (
        f"<figure data-slides><figcaption>{escape(title)} {after}</figcaption>"
        f"{slider}{''.join(slide.html for slide in slides)}{below}</figure>"
    )


def _figure(title: str, picture: Picture) -> str:
    said = "; ".join(filter(None, (picture.caption, picture.about)))
    head = f"<figcaption>{escape(title)}{_small(said)}</figcaption>"
    return f"<figure>{head}{_image(picture, title)}</figure>"


def _small(said: str) -> str:
    """A few words beside a title, as HTML."""
    return f" <small>{escape(said)}</small>" if said else ""


def _image(picture: Picture, instead: str, hidden: bool = False) -> str:
    return (
        f'<img src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(instead)}" data-caption="{escape(instead)}"{" hidden" if hidden else ""}>'
    )


def _kind(name: str) -> str:
    """What a picture of that name shows."""
    kind, _, stage = name.rpartition("_")
    if kind in KINDS and stage in ("val", "test"):
        return f"{KINDS[kind]} ({stage})"
    return KINDS.get(name, name.replace("_", " "))
