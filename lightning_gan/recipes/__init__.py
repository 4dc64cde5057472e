"""Complete runs by name, a YAML file each."""

from dataclasses import dataclass
from pathlib import Path

import yaml

_FOLDER = Path(__file__).parent
_RECORDED = " Recorded: "


@dataclass(frozen=True)
class Recipe:
    """What a recipe says of itself, and its settings.

    Args:
        name: Its name.
        header: The comment that it begins with, in lines without the mark; the first is its title.
        settings: The rest of its file, in YAML.
    """

    name: str
    header: tuple[str, ...]
    settings: str

    @classmethod
    def read(cls, name: str) -> "Recipe":
        """The recipe of a name that there is."""
        lines = recipe_file(name).read_text(encoding="utf-8").splitlines(keepends=True)
        end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
        header = tuple(line[1:].strip() for line in lines[:end])
        return cls(name, header, "".join(lines[end:]))

    @property
    def title(self) -> str:
        """What it is, in a line."""
        return self.header[0]

    @property
    def data(self) -> str:
        """The class of its data."""
        path: str = yaml.safe_load(self.settings)["data"]["class_path"]
        return path

    @property
    def recorded(self) -> str | None:
        """What a run of it has reached, in a line; None if none has been run."""
        _, found, text = " ".join(self.header).partition(_RECORDED)
        return text.rstrip(".") if found else None


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("[!_]*.yaml"))


def recipe_file(name: str) -> Path:
    """The file of a recipe, whether it exists or not."""
    return _FOLDER / f"{name}.yaml"


def expected_file(name: str) -> Path:
    """The file of what a recipe's curves are expected to be, whether it exists or not."""
    return _FOLDER / "expected" / f"{name}.csv"
