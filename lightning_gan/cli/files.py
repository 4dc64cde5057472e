"""Configuration files, and YAML on the command line: what they must not hold is said before."""

from pathlib import Path

import yaml

from lightning_gan.errors import ConfigurationError, said

DEEPEST = 50
"""How deeply settings are nested at most."""
MOST = 100_000
"""Settings at most, those that aliases repeat counted each time."""


def read_settings(path: Path) -> dict[str, object]:
    """What a configuration file says.

    Raises:
        ConfigurationError: If it is no YAML, with the line at fault, holds no settings, or repeats
            itself without end.
    """
    try:
        text = path.read_text(encoding="utf-8")
        check_yaml(text, str(path))
        settings = yaml.safe_load(text)
    except ConfigurationError:
        raise
    except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        no_text = "it is no text" if isinstance(error, UnicodeDecodeError) else said(error)
        reason = getattr(error, "problem", None) or no_text
        raise ConfigurationError(
            f"{path} is not a YAML file: {reason}{where}; mend it, or give a recipe."
        ) from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path} holds no settings: start it with model:, data: or so.")
    return settings


def check_yaml(text: str, name: str) -> None:
    """Refuses YAML that would never be read to its end.

    Args:
        text: The YAML.
        name: What errors call it.

    Raises:
        ConfigurationError: If it is nested too deeply, contains itself, grows by its aliases, or
            sets something twice.
        yaml.YAMLError: If it is no YAML.
    """
    too_deep = ConfigurationError(f"{name} is nested more than {DEEPEST} levels deep: mend it.")
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, around: tuple[int, ...]) -> int:
        """How many nodes one is, with all inside it."""
        if id(node) in around:
            raise ConfigurationError(
                f"{name} has an alias inside what it repeats: write out what is meant."
            )
        if len(around) > DEEPEST:
            raise too_deep
        if id(node) not in sizes:
            _refuse_twice(node, name)
            inside = (*around, id(node))
            sizes[id(node)] = 1 + sum(size(part, inside) for part in _parts(node))
        return sizes[id(node)]

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise too_deep from None
    count = 0 if node is None else size(node, ())
    if count > MOST:
        raise ConfigurationError(
            f"{name} has {count:,} settings by its aliases, more than {MOST:,}: write fewer."
        )


def _refuse_twice(node: yaml.Node, name: str) -> None:
    """Refuses a mapping with two values of one name, of which YAML would take the last."""
    keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    first: dict[str, int] = {}
    for key in keys:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in first:
            before = first[key.value]
            where = f"line {line}" if line == before else f"lines {before} and {line}"
            raise ConfigurationError(f"{name} sets {key.value} twice, in {where}: leave one.")
        first[key.value] = line


def _parts(node: yaml.Node) -> list[yaml.Node]:
    """The nodes right inside one."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
