"""The examples in docstrings are run."""

import doctest
import importlib
from pathlib import Path

import pytest

import lightning_gan

PACKAGE = Path(lightning_gan.__file__).parent
FOLDERS = (PACKAGE, PACKAGE / "datamodules")  # the second may be a link, which rglob passes over


def modules() -> list[str]:
    """Those with an example, by name."""
    paths = {path for folder in FOLDERS for path in folder.rglob("*.py")}
    shown = [path for path in paths if "    >>> " in path.read_text(encoding="utf-8")]
    places = [path.relative_to(PACKAGE.parent).with_suffix("") for path in shown]
    return sorted(".".join(place.parts).removesuffix(".__init__") for place in places)


@pytest.mark.parametrize("name", modules())
def test_every_example_gives_what_it_shows(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
