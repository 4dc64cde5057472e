"""Runs as they lie on the disk, made by hand: their records and their evaluations."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_gan.evaluation.stamped_values import StampedValues
from lightning_gan.runs.record import RunRecord, Segment

STAMP: dict[str, Any] = {
    "extractor": {"name": "identity", "sha256": None},
    "samples": {"count": 2500, "seed": 0},
    "versions": {"torch": "2.14.1"},
}


def part(name: str, **arguments: Any) -> dict[str, Any]:
    """A part as records describe it."""
    return {"class_path": f"lightning_gan.objectives.{name}", "init_args": arguments}


def identity(seed: int = 0, **model: Any) -> dict[str, Any]:
    """What a run on the ring is; `model` replaces arguments of the model."""
    arguments = {
        "generator_optimizer": part("GANAdam", lr=1e-3, betas=[0.0, 0.99]),
        "discriminator_optimizer": part("GANAdam", lr=1e-3, betas=[0.0, 0.99]),
        "ema_half_life": 20_000.0,
        "objective": part("RelativisticPairing", form="logistic"),
        "regularizers": [part("R1", weight=0.1), part("R2", weight=0.1)],
        "seed": seed,
    }
    data = {
        "class_path": "lightning_gan.datamodules.Ring",
        "init_args": {"count": 10_000, "seed": seed, "class_names": ["mode"] * 8},
    }
    return {
        "model": arguments | model,
        "data": data,
        "global_batch_size": 256,
        "precision": "32-true",
    }


def record(seed: int = 0, **fields: Any) -> RunRecord:
    """A finished run of mlp_ring; `fields` replace what is in its record."""
    start = Segment("2026-11-29T10:00:00+00:00", 0, 1, 256, "cpu", 1, {"torch": "2.14.1"})
    usual: dict[str, Any] = {
        "id": "0123abcd",
        "name": f"mlp_ring seed={seed}",
        "recipe": "mlp_ring",
        "differs": {},
        "seed": seed,
        "identity": identity(seed),
        "parameters": {"generator": 33_666, "discriminator": 33_537},
        "max_images": 20_000,
        "segments": [start],
        "state": "finished",
        "images": 20_224,
    }
    return RunRecord(**usual | fields)


def report(fid: float, images: Any = 20_224, **stamp: Any) -> StampedValues:
    """An evaluation with that Frechet distance."""
    values = {
        "eval/n": 2500.0,
        "fid/identity": fid,
        "fid/identity_debiased": fid - 0.001,
        "fid/identity_floor": 0.001,
        "modes/ring/covered": 8.0,
        "precision/identity": 1 - fid,
    }
    return StampedValues(values, STAMP | stamp, {"images_seen": images, "stage": "val"})


def write_run(
    folder: Path,
    record: RunRecord,
    reports: Sequence[StampedValues] = (),
    updated: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Writes the folder of a run.

    Args:
        folder: Which.
        record: Its record.
        reports: Its evaluations, the first one first.
        updated: When the record was written, in place of now.
        more: What else, or instead, stands in the record.
    """
    record.write(folder)
    content = json.loads((folder / "run.json").read_text(encoding="utf-8")) | dict(more or {})
    content["updated"] = updated or content["updated"]
    (folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
    if reports:
        lines = "".join(each.as_json() + "\n" for each in reports)
        (folder / "evaluations.jsonl").write_text(lines, encoding="utf-8")
    return folder
