"""What a run leaves in its folder, read back as values that can be compared with those of another.

Left out is what no two runs share: times, rates, ids, and the paths of the folder itself.
"""

from __future__ import annotations

import csv
import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - finds the package
from torch import Tensor, equal

from lightning_gan.callbacks.loggers import AXIS, SPEED
from lightning_gan.checkpoints.files import read_checkpoint

CHECKPOINTS = ("last", "best", "healthy")
TIMED = (SPEED, "eval/seconds", "eval/share", "seconds")
"""Names of values that are times or rates."""
KEPT = ("state_dict", "optimizer_states", "lightning_gan", "callbacks", "global_step", "data")
"""What of a checkpoint is compared. Lightning's own loops are not: their counts err after some
resumes, and nothing here reads them."""


def traces(folder: Path) -> dict[str, Any]:
    """All that the run in a folder has left, by the names of its files.

    Args:
        folder: The ``version_N`` of the run.
    """
    found: dict[str, Any] = {}
    for name in CHECKPOINTS:
        path = folder / "checkpoints" / f"{name}.ckpt"
        if path.is_file():
            found[path.name] = checkpoint(path)
    return found | {
        "metrics.csv": curve(folder / "metrics.csv"),
        "evaluations.jsonl": evaluations(folder / "evaluations.jsonl"),
        "run.json": record(folder / "run.json"),
        "samples": {path.name: digest(path.read_bytes()) for path in folder.glob("samples/*.png")},
        "TensorBoard": tensorboard(folder / "tensorboard"),
        "W&B": wandb(folder),
    }


def digest(content: bytes) -> str:
    """A few letters that differ where bytes do."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def checkpoint(path: Path) -> dict[str, Any]:
    """Weights, averages, optimizers, counters, states of callbacks, and where the data stand."""
    content = read_checkpoint(path)
    of_data = [x for x in content.values() if isinstance(x, dict) and "global_batch_size" in x]
    content["data"] = [{name: x[name] for name in ("epoch", "position")} for x in of_data]
    kept = {name: content.get(name) for name in KEPT}
    return {name: without(value, str(path.parents[1])) for name, value in kept.items()}


def without(nested: object, folder: str) -> object:
    """The same with no path of that folder in its texts and keys."""
    if isinstance(nested, dict):
        return {without(key, folder): without(value, folder) for key, value in nested.items()}
    if isinstance(nested, list | tuple):
        return [without(value, folder) for value in nested]
    return nested.replace(folder, "") if isinstance(nested, str) else nested


def curve(path: Path) -> list[dict[str, str]]:
    """The rows of a curve."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: x for name, x in row.items() if x and name not in TIMED}
            for row in csv.DictReader(file)
        ]


def evaluations(path: Path) -> list[dict[str, Any]]:
    """The measurements of a run, without when and of which file they are."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        row = json.loads(line)
        for name in ("date", "checkpoint", "id"):
            row["run"].pop(name, None)
        for name in TIMED:
            row["values"].pop(name, None)
        rows.append(row)
    return rows


def record(path: Path) -> dict[str, Any]:
    """What a run's record says of it, without its starts."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for name in ("id", "updated", "segments"):
        del content[name]
    for name in TIMED:
        content["values"].pop(name, None)
    return dict(content)


def tensorboard(folder: Path) -> dict[str, Any]:
    """Steps and values by tag, as TensorBoard's own reader shows them after its purge."""
    if not folder.is_dir():
        return {}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    reader.Reload()
    tags = reader.Tags()
    found: dict[str, Any] = {
        tag: [(event.step, event.value) for event in reader.Scalars(tag)]
        for tag in tags["scalars"]
        if tag not in TIMED
    }
    for tag in found.keys() & {AXIS, "epoch"}:  # in every row, of which a step may have several
        found[tag] = sorted(set(found[tag]))
    for tag in tags["images"]:
        found[tag] = [(e.step, digest(e.encoded_image_string)) for e in reader.Images(tag)]
    return found


BLOCK, FULL, FIRST, LAST = 32768, 1, 2, 4


def pieces(content: bytes) -> Iterator[bytes]:
    """The records of W&B's offline file: a log in LevelDB's format behind seven bytes of its own.

    One that a kill cut off is left out.
    """
    place, begun = 7, b""
    while place + 7 <= len(content):
        left = BLOCK - place % BLOCK
        if left < 7:  # too few bytes in a block for a header
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        piece = content[place + 7 : place + 7 + length]
        if len(piece) < length:
            return
        begun = piece if kind in (FULL, FIRST) else begun + piece
        if kind in (FULL, LAST):
            yield begun
        place += 7 + length


def wandb_records(folder: Path) -> list[Any]:
    """All records of all offline segments of W&B below a folder, in their order."""
    from wandb.proto.wandb_internal_pb2 import Record

    files = sorted(folder.rglob("*.wandb"))
    return [Record.FromString(piece) for file in files for piece in pieces(file.read_bytes())]


def wandb_history(folder: Path) -> list[dict[str, Any]]:
    """What was logged to W&B, a row for each time."""
    rows = []
    for each in wandb_records(folder):
        if each.WhichOneof("record_type") == "history":
            items = each.history.item
            rows.append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items})
    return rows


def wandb(folder: Path) -> dict[str, list[float]]:
    """The values of each pair of images and key, over all segments: one, if all is well."""
    if not any(folder.rglob("*.wandb")):
        return {}
    values: dict[str, set[float]] = {}
    for row in wandb_history(folder):
        for name, value in row.items():
            timed = name.endswith(TIMED)  # in sections that it has there alone
            if not (timed or name.startswith("_")) and isinstance(value, int | float):
                values.setdefault(f"{name} at {row.get(AXIS)}", set()).add(value)
    return {key: sorted(found) for key, found in values.items()}


def disturbances(undisturbed: dict[str, Any], killed: dict[str, Any]) -> list[str]:
    """What a run that was killed and went on has left otherwise than one that nobody disturbed.

    W&B holds up to 32 kB back, which are lost with the process; what there is must be the same.
    """
    both = killed["W&B"].keys()
    known = {key: x for key, x in undisturbed["W&B"].items() if key in both}
    return differences(undisturbed | {"W&B": known}, killed)


def differences(one: object, other: object, where: str = "") -> list[str]:
    """Where two nested values differ in a single bit; NaN, for what was not measured, is NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        lost = [f"{where}/{key} is in one only" for key in sorted(map(str, one.keys() ^ other))]
        both = [key for key in one if key in other]
        return lost + [
            d for key in both for d in differences(one[key], other[key], f"{where}/{key}")
        ]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)}"]
        pairs = enumerate(zip(one, other, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{where}/{i}")]
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.dtype == other.dtype and equal(one, other)
    else:
        same = type(one) is type(other) and repr(one) == repr(other)
    return [] if same else [f"{where}: {one} and {other}"]
