"""Complete runs by name, a YAML file each."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("[!_]*.yaml"))


def recipe_file(name: str) -> Path:
    """The file of a recipe, whether it exists or not."""
    return _FOLDER / f"{name}.yaml"
