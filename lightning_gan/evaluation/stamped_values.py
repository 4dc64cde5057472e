"""A measurement on file: its values, and the stamp without which they compare with nothing."""

import contextlib
import itertools
import json
import math
import platform
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lightning_gan.basics.cache import is_device
from lightning_gan.basics.texts import counted
from lightning_gan.errors import ConfigurationError

FORMAT = 1  # of the files


@dataclass(frozen=True)
class StampedValues:
    """What was measured, and how.

    Args:
        values: The values, by the names in the logs.
        stamp: All that they depend on besides what was measured: extractor and weights, resizing,
            quantisation, counts, splits, seeds, versions. Values of other stamps do not compare.
        run: What was measured, where and when.
    """

    values: dict[str, float]
    stamp: dict[str, Any]
    run: dict[str, Any]

    def as_json(self, indent: int | None = None) -> str:
        """All of it as JSON, in which NaN and infinities are null."""
        values = {key: x if math.isfinite(x) else None for key, x in self.values.items()}
        content = {"format": FORMAT, "values": values, "stamp": self.stamp, "run": self.run}
        return json.dumps(content, indent=indent, sort_keys=True)

    def write(
        self, path: Path, beside: Callable[[Path], Collection[Path]] = lambda path: ()
    ) -> Path:
        """Writes them to a new file of that name, or a numbered one where there is one.

        Args:
            path: The file.
            beside: Gives the files that will go with one, of which there must be none either.

        Raises:
            ConfigurationError: If the file cannot be written.
        """
        indent = None if path.suffix == ".jsonl" else 2
        text, target, number = self.as_json(indent) + "\n", path, 1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if is_device(path):
                path.write_text(text, encoding="utf-8")
                return path
            while True:
                if not any(other.exists() for other in beside(target)):
                    with contextlib.suppress(FileExistsError), target.open("x") as file:
                        file.write(text)  # plain ASCII
                        return target
                target = path.with_name(f"{path.stem}-{number}{path.suffix}")
                number += 1
        except OSError as error:
            raise ConfigurationError(
                f"The measurement cannot be written to {path} ({error.strerror}): give another "
                f"place with --output. It says: {self.as_json()}"
            ) from error

    @classmethod
    def read(cls, path: Path) -> "StampedValues":
        """Those of a JSON file, or the last ones of a file with a measurement on each line.

        Tests after a training count in such a file only where there is nothing else.

        Raises:
            ConfigurationError: If there is no such file, or it holds no measurement.
        """
        if path.suffix != ".jsonl":
            return cls.parse(_text(path), path)
        lines = [*filter(_is_whole, reversed(_lines(path)))] or _lines(path)
        newest_first = (cls.parse(line, path) for line in lines)
        last = next(newest_first)
        return next(filter(_is_of_training, itertools.chain([last], newest_first)), last)

    @classmethod
    def parse(cls, text: str, source: Path) -> "StampedValues":
        """Those of a JSON text.

        Args:
            text: As :meth:`as_json` makes it.
            source: Where it stands, for messages.

        Raises:
            ConfigurationError: If it holds no measurement.
        """
        try:
            content = json.loads(text)
            parts = [content[key] for key in ("values", "stamp", "run")]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _no_measurement(source) from error
        if content.get("format") != FORMAT or not all(isinstance(part, dict) for part in parts):
            raise ConfigurationError(
                f"{source} was written by another version, or is no measurement: measure again."
            )
        found = {key: math.nan if x is None else x for key, x in parts[0].items()}
        try:
            if not all(isinstance(x, int | float) for x in found.values()):
                raise TypeError
            values = {key: float(x) for key, x in found.items()}
        except (TypeError, OverflowError) as error:
            raise ConfigurationError(
                f"{source} holds values that are no numbers: measure again."
            ) from error
        return cls(values, parts[1], parts[2])

    @property
    def images_seen(self) -> int:
        """Images that training had seen; 0 where that is not said."""
        images = self.run.get("images_seen")
        return images if isinstance(images, int) and 0 <= images < 2**63 else 0


def history(path: Path) -> list[StampedValues]:
    """The measurements of a run's evaluations.jsonl that led to its last one.

    A run that went on from an earlier checkpoint has some of updates that were lost; these are left
    out, as are tests afterwards and a line that a kill broke off. No two of them have seen the same
    images.

    Raises:
        ConfigurationError: If there is no such file, or a line holds no measurement.
    """
    found: list[StampedValues] = []
    measurements = [StampedValues.parse(line, path) for line in _lines(path) if _is_whole(line)]
    if not measurements:
        raise _no_measurement(path)
    for measured in reversed([*filter(_is_of_training, measurements)] or measurements):
        if not found or measured.images_seen < found[-1].images_seen:
            found.append(measured)
    return found[::-1]


def torn(path: Path) -> str:
    """A sentence about lines that are passed over, as a kill may break one off; empty if none are.

    Raises:
        ConfigurationError: If the file cannot be read.
    """
    lines = [line for line in _text(path).split("\n") if line.strip()]
    count = sum(not _is_whole(line) for line in lines)
    if not count or len(lines) == count:  # where all are, that is refused
        return ""
    return f"{path}: {counted(count, 'line')} of {len(lines)} broken off or damaged, and left out."


def _is_whole(line: str) -> bool:
    """Whether a line is JSON, and none that a kill broke off in the midst of a file."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_of_training(measured: StampedValues) -> bool:
    """Whether it was measured at a validation, and not by a test afterwards."""
    return measured.run.get("stage") != "test"


def _lines(path: Path) -> list[str]:
    """The lines of a file but one that a kill broke off; an empty one if there is none."""
    *lines, last = _text(path).split("\n")
    if _is_whole(last):  # mostly nothing, since the file ends with a line's end
        lines.append(last)
    return [line for line in lines if line.strip()] or [last]


def _text(path: Path) -> str:
    """What a file says."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}): give a file that lightning-gan test or "
            "evaluate has written."
        ) from error
    except UnicodeDecodeError as error:
        raise _no_measurement(path) from error


def _no_measurement(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} holds no measurement: give a file that lightning-gan test or evaluate has written."
    )


def circumstances(**more: Any) -> dict[str, Any]:  # noqa: ANN401 (what JSON can hold)
    """Where and when something is measured."""
    import torch  # here, since lists and tables of what was measured do without

    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"date": now, "machine": platform.machine(), "threads": torch.get_num_threads()} | more


def differences(a: Any, b: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401
    """Where two stamps differ: the dotted name, and both values."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from differences(a.get(key), b.get(key), f"{name}.{key}" if name else key)
    elif a != b:
        yield name, a, b


def differing(
    a: StampedValues, b: StampedValues, despite: Collection[str] = ()
) -> list[tuple[str, Any, Any]]:
    """What in the stamps of two measurements keeps their values from being compared.

    Args:
        a: One measurement.
        b: Another one.
        despite: Dotted names in the stamp, such as ``samples.seed``, that may differ; a name covers
            those below it.

    Raises:
        ConfigurationError: If a stamp is nested as none that was ever written.
    """
    try:
        return [
            found
            for found in differences(a.stamp, b.stamp)
            if not any(found[0] == name or found[0].startswith(f"{name}.") for name in despite)
        ]
    except RecursionError as error:
        raise ConfigurationError("A stamp is damaged: measure again.") from error


def check_comparable(
    a: StampedValues, b: StampedValues, despite: Collection[str] = (), of: str = "These numbers"
) -> None:
    """Refuses to compare what was not measured alike.

    Args:
        a: One measurement.
        b: Another one.
        despite: Dotted names in the stamp, such as ``samples.seed``, that may differ; a name covers
            those below it.
        of: What the sentence begins with.

    Raises:
        ConfigurationError: With all differences.
    """
    found = differing(a, b, despite)
    if found:
        listed = "; ".join(f"{name} is {_shown(x)} and {_shown(y)}" for name, x, y in found)
        raise ConfigurationError(
            f"{of} do not compare: {listed}. Measure both alike, or take the difference "
            f"upon yourself with --despite {found[0][0]}."
        )


def _shown(value: Any) -> str:  # noqa: ANN401 (what JSON can hold)
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 16 else f"{text[:12]}..."
