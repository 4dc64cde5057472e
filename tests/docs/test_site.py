"""The documentation site is built as CONTRIBUTING says, and every link on it leads somewhere."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
REASON = "the site needs pip install 'lightning-gan[docs]'"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    for package in ("mkdocs", "material", "mkdocstrings", "latex2mathml"):
        pytest.importorskip(package, reason=REASON)
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder


class Reader(HTMLParser):
    """The anchors of a page, what it links, what it loads by itself, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self.ids |= {of[name] for name in ("id", "name") if name in of}
        if tag == "a" and "href" in of:
            self.links.append(of["href"])
        elif tag == "link" and of.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(of["href"])
        elif tag in ("script", "img", "iframe") and "src" in of:
            self.loaded.append(of["src"])

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def pages(site: Path) -> dict[Path, Reader]:
    """All pages of a site; the one for what is not found has links from the top."""
    files = [path for path in site.rglob("*.html") if path.name != "404.html"]
    return {path: Reader(path.read_text(encoding="utf-8")) for path in files}


def test_every_link_and_anchor_of_the_site_leads_somewhere(site: Path) -> None:
    read = pages(site)
    lost = []
    for page, content in read.items():
        for link in content.links + content.loaded:
            address = urlsplit(link)
            if address.scheme in ("http", "https", "mailto"):
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(address.fragment)
            if not target.is_file() or (anchor and anchor not in read[target].ids):
                lost.append(f"{page.relative_to(site)}: {link}")
    assert not lost
    assert sum(len(content.links) for content in read.values()) > 1000


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = {address for content in pages(site).values() for address in content.loaded}
    assert loaded
    assert not [address for address in loaded if urlsplit(address).netloc]


def test_no_mark_of_another_language_is_left(site: Path) -> None:
    for page, content in pages(site).items():
        text = " ".join(content.words)
        for mark in (".. math::", ":math:", ":class:", ":func:", ":meth:", "::: lightning_gan"):
            assert mark not in text, page


def test_the_api_shows_every_name_that_is_offered(site: Path) -> None:
    pages_of = {path.parent.name: path for path in (site / "api").glob("*/index.html")}
    assert {"objectives", "datamodules", "lightning_gan"} <= pages_of.keys()
    for room, page in pages_of.items():
        name = "lightning_gan" if room == "lightning_gan" else f"lightning_gan.{room}"
        names = offered(importlib.import_module(name))
        assert names
        shown = Reader(page.read_text(encoding="utf-8")).ids
        assert {f"{name}.{each}" for each in names} <= shown


def offered(module: ModuleType) -> list[str]:
    """The classes and functions of a module that a user is meant to import from it."""
    if hasattr(module, "HOMES"):  # the package itself, which imports them when they are asked for
        return list(module.HOMES)
    return [
        name
        for name, thing in vars(module).items()
        if inspect.isclass(thing) or inspect.isfunction(thing)
        if name[0] != "_" and thing.__module__.startswith("lightning_gan")
    ]


def test_the_search_knows_guides_and_parts(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {entry["location"] for entry in index["docs"]}
    assert "api/regularizers/#lightning_gan.regularizers.R1" in places
    assert {"", "walks/", "contributing/", "metrics/#what-the-extractors-of-digits-see"} <= places
