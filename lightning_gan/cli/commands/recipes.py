"""``lightning-gan recipes``: the complete runs that there are by name."""

import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

import yaml

from lightning_gan.cli.choices import no_recipe
from lightning_gan.recipes import Recipe, recipe_names
from lightning_gan.runs.expected import read_expected
from lightning_gan.runs.formats import Column, as_csv, as_markdown

TABLES = {"markdown": as_markdown, "csv": as_csv}
NOTHING = "-"


def recipes(
    name: str | None = None, *, format: Literal["text", "markdown", "csv", "json"] = "text"
) -> None:
    """Lists the recipes, or shows one: where its numbers come from, and its settings.

    A recipe is a complete run: lightning-gan fit --config NAME. Recorded is what a run of it has
    reached; the others are built and tested, but have not been run in full.

    Args:
        name: The recipe to show; all are listed if left out.
        format: To read, for a page, or for a program.

    Raises:
        ConfigurationError: If there is no recipe of that name.
    """
    if name is not None and name not in recipe_names():
        raise no_recipe("recipe", name)
    found = [Recipe.read(each) for each in (recipe_names() if name is None else [name])]
    if format == "json":
        sys.stdout.write(json.dumps([_plain(recipe) for recipe in found], indent=1) + "\n")
    elif format != "text":
        sys.stdout.write(TABLES[format](_columns(found)))
    else:
        lines = _list(found) if name is None else _page(found[0])
        sys.stdout.write("\n".join(lines) + "\n")


def _list(found: Sequence[Recipe]) -> Iterator[str]:
    """The recipes by their data, with a line for each, and another where something is recorded."""
    width = max(len(recipe.name) for recipe in found)
    by_data = sorted(found, key=lambda recipe: (recipe.data, recipe.name))
    for data, group in itertools.groupby(by_data, lambda recipe: recipe.data):
        yield f"{data}:"
        for recipe in group:
            yield f"  {recipe.name:<{width}}  {recipe.title}"
            if recipe.recorded:
                yield f"  {'':<{width}}  recorded: {recipe.recorded}"
        yield ""
    yield "One in full:  lightning-gan recipes NAME"
    yield "Run one:      lightning-gan fit --config NAME"


def _page(recipe: Recipe) -> Iterator[str]:
    """All that a recipe says."""
    yield from recipe.header
    yield ""
    yield recipe.settings
    if (expected := read_expected(recipe.name)) is not None:
        yield f"Expected at the end ({expected.made}):"
        for name, band in expected.bands.items():
            yield f"  {name:<32} {band.low[-1]:.4g} to {band.high[-1]:.4g}"
        yield ""
    yield f"Run it:  lightning-gan fit --config {recipe.name}"


def _columns(found: Sequence[Recipe]) -> list[Column]:
    return [
        Column("recipe", [recipe.name for recipe in found]),
        Column("data", [recipe.data for recipe in found]),
        Column("what", [recipe.title for recipe in found]),
        Column("recorded", [recipe.recorded or NOTHING for recipe in found]),
    ]


def _plain(recipe: Recipe) -> dict[str, object]:
    """All of a recipe, for a program."""
    return {
        "name": recipe.name,
        "title": recipe.title,
        "data": recipe.data,
        "recorded": recipe.recorded,
        "header": " ".join(recipe.header[1:]),
        "settings": yaml.safe_load(recipe.settings),
    }
