"""Complete runs by name, a YAML file each."""

from pathlib import Path

RECIPES = Path(__file__).parent
"""The folder of the recipes."""


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("[!_]*.yaml"))
