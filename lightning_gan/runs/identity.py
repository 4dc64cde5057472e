"""What runs have in common, and the options in which they differ.

A configuration is a run's identity without its seeds. Its options have the names that they have on
the command line: ``model.objective`` is a part, ``model.objective.real_label`` its argument.
"""

from collections.abc import Iterator, Mapping, Sequence

from lightning_gan.basics.plain import Plain

SEEDS = ("model.seed", "data.seed")
"""What runs of one configuration may differ in."""

KIND, ARGUMENTS = "class_path", "init_args"


def configuration(identity: Mapping[str, Plain]) -> dict[str, Plain]:
    """An identity without seeds, in which a part holds its class and its arguments side by side."""
    options: dict[str, Plain] = _unwrapped(dict(identity))
    for name in SEEDS:
        holder, _, option = name.rpartition(".")
        if isinstance(options.get(holder), dict):
            options[holder].pop(option, None)
    return options


def seeds(identity: Mapping[str, Plain]) -> tuple[Plain, ...]:
    """The seeds of a run's model and data; None for one that it does not say."""
    options = _unwrapped(dict(identity))
    return tuple(option(options, name) for name in SEEDS)


def _unwrapped(value: Plain) -> Plain:
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    if not isinstance(value, dict):
        return value
    arguments = value.get(ARGUMENTS)
    inner = arguments if KIND in value and isinstance(arguments, dict) else {}
    rest = {name: item for name, item in value.items() if not (inner and name == ARGUMENTS)}
    return {name: _unwrapped(item) for name, item in (rest | inner).items()}


def names_of(options: Plain, name: str = "") -> Iterator[str]:
    """The dotted names of all options of a configuration, of parts before their arguments."""
    for key, value in options.items() if isinstance(options, dict) else ():
        whole = f"{name}.{key}" if name else key
        if key != KIND:
            yield whole
        yield from names_of(value, whole)


def option(options: Plain, name: str) -> Plain:
    """The option of a configuration by its dotted name; None where it does not have it."""
    for key in name.split("."):
        if not isinstance(options, dict):
            return None
        options = options.get(key)
    return options


def differing_options(configurations: Sequence[Plain], name: str = "") -> list[str]:
    """The dotted names of the options in which configurations differ.

    Where parts are of one class, these are arguments; else the part as a whole.
    """
    first = configurations[0]
    if all(each == first for each in configurations):
        return []
    if not all(
        isinstance(each, dict) and each.get(KIND) == first.get(KIND) for each in configurations
    ):
        return [name]
    keys = dict.fromkeys(key for each in configurations for key in each)
    return [
        found
        for key in keys
        for found in differing_options(
            [each.get(key) for each in configurations], f"{name}.{key}" if name else key
        )
    ]


def short_names(names: Sequence[str], dot: str = ".") -> list[str]:
    """For each of some dotted names its shortest ending that no other one has."""
    return [_short(name, [other for other in names if other != name], dot) for name in names]


def _short(name: str, others: Sequence[str], dot: str) -> str:
    parts = name.split(dot)
    for start in range(len(parts) - 1, 0, -1):
        ending = dot.join(parts[start:])
        if not any(f"{dot}{other}".endswith(f"{dot}{ending}") for other in others):
            return ending
    return name


def shown(value: Plain, column: Sequence[Plain]) -> str:
    """An option in short: a part as its class, with what tells it from others of its class.

    Args:
        value: Of the option.
        column: The values of the option in all configurations that are shown.
    """
    if isinstance(value, dict) and KIND in value:
        return _part(value, [part for each in column for part in _parts(each)])
    if isinstance(value, list):
        items = [shown(item, column) for item in value]
        return " + ".join(items) if _parts(value) else f"[{', '.join(items)}]" if items else "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={shown(item, ())}" for key, item in value.items())
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _part(part: dict[str, Plain], others: Sequence[dict[str, Plain]]) -> str:
    """Class and arguments, of these only those that not all parts of the class share."""
    same = [other for other in others if other[KIND] == part[KIND]]
    arguments = [
        f"{name}={shown(value, [other.get(name) for other in same])}"
        for name, value in part.items()
        if any(other.get(name) != value for other in same)
    ]
    name = str(part[KIND]).rpartition(".")[2]
    return f"{name}({', '.join(arguments)})" if arguments else name


def _parts(value: Plain) -> list[dict[str, Plain]]:
    """The parts that a value is, or that are in its list."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict) and KIND in item]
