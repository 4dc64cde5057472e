"""What goes with exported weights: their configuration, and a model card."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_gan.basics.plain import Plain, flat, short_name
from lightning_gan.basics.version import versions
from lightning_gan.checkpoints.parts import describe
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import StampedValues, history
from lightning_gan.gan import GAN
from lightning_gan.runs.record import EVALUATIONS, RunRecord
from lightning_gan.training.sampling import class_names_in

UNKNOWN = "not on record"

USE = {
    "safetensors": """\
import lightning_gan

gan = lightning_gan.load("{file}")
samples = gan.sample({number}, seed=0)  # {shape}""",
    "torch": """\
import torch

generator = torch.export.load("{file}").module()
z = torch.randn({number}, {latent_dim})
samples = generator({arguments})  # {shape}""",
    "onnx": """\
import numpy, onnxruntime

generator = onnxruntime.InferenceSession("{file}")
inputs = {{{inputs}}}
(samples,) = generator.run(None, inputs)  # {shape}""",
}
"""How samples are drawn from each format."""


def configuration(
    gan: GAN, setting: Mapping[str, Plain], run: Path | None, half: bool, license: str
) -> dict[str, Plain]:
    """All that is known of a model, in plain form.

    Args:
        gan: The model.
        setting: Its data, as in checkpoints; empty where that is not known.
        run: The folder of its run, if any.
        half: Whether its weights are float16.
        license: Identifier of the licence.
    """
    generator = gan.generator
    data = setting.get("data") or {}
    names = class_names_in(setting)
    record, measured = _record(run), _measured(run, gan.progress.images)
    values = {} if measured is None else measured.values
    return {
        "name": record.name if record else type(generator).__name__,
        "license": license,
        "generator": describe(generator),
        "discriminator": describe(gan.discriminator),
        "prior": describe(gan.prior),
        "latent_dim": generator.latent_dim,
        "sample_shape": list(generator.sample_shape),
        "sample_range": [-1, 1] if generator.image_size else None,
        "num_classes": generator.num_classes,
        "class_names": list(names) if names and len(names) == generator.num_classes else None,
        "weights": "float16" if half else "float32",
        "images_seen": gan.progress.images,
        "data": data or None,
        "run": record and record.id,
        "measured": measured
        and {
            "values": {name: x if math.isfinite(x) else None for name, x in values.items()},
            "stamp": measured.stamp,
        },
        "versions": versions(),
    }


def _record(run: Path | None) -> RunRecord | None:
    try:
        return None if run is None else RunRecord.read(run)
    except ConfigurationError:  # a run without one, or with a damaged one
        return None


def _measured(run: Path | None, images: int) -> StampedValues | None:
    """What was measured of the weights after so many images."""
    try:
        found = [] if run is None else history(run / EVALUATIONS)
    except ConfigurationError:
        return None
    return next((x for x in found if x.images_seen == images and _is_of_the_average(x)), None)


def _is_of_the_average(measured: StampedValues) -> bool:
    """Whether its samples were those that the exported generator makes by itself."""
    samples = measured.stamp.get("samples", {})
    usual = {"weights": "averaged", "truncation": None, "psi": None}
    return all(samples.get(name, value) == value for name, value in usual.items())


def model_card(about: Mapping[str, Plain], file: str, form: str) -> str:
    """A README in Markdown, with the header that model hubs read.

    Args:
        about: The configuration.
        file: Name of the file with the weights.
        form: Its format.
    """
    shape, classes = about["sample_shape"], about["num_classes"]
    kind = "images" if about["sample_range"] else "points"
    limits = " in [-1, 1]" if about["sample_range"] else ""
    data = about["data"]
    trained = f"{short_name(data)}: `{json.dumps(data['init_args'])}`" if data else UNKNOWN
    lines = [
        "---",
        f"license: {json.dumps(about['license'])}",
        "library_name: lightning-gan",
        "pipeline_tag: unconditional-image-generation",
        "tags: [gan, lightning-gan]",
        "---",
        "",
        f"# {about['name']}",
        "",
        f"{short_name(about['generator'])}, the averaged generator of a GAN: from standard normal "
        f"numbers {_shape('N', [about['latent_dim']])} to {kind} {_shape('N', shape)}{limits}.",
        "",
        "```python",
        USE[form].format(**_words(about, file)),
        "```",
        "",
        f"* **Trained on** {trained}",
        f"* **Images seen** {about['images_seen']:,}",
        f"* **Classes** {_classes(about)}",
        f"* **Weights** {about['weights']}",
        f"* **Run** {about['run'] or UNKNOWN}",
        f"* **Licence** {about['license']}",
        f"* **Versions** {', '.join(f'{name} {x}' for name, x in about['versions'].items())}",
        "",
        "## Measured",
        "",
        *_values(about["measured"]),
        "",
        "## Settings",
        "",
        *_table(flat({"generator": about["generator"], "prior": about["prior"]})),
        "",
    ]
    if not classes and kind == "points":
        lines.remove("pipeline_tag: unconditional-image-generation")
    return "\n".join(lines)


def _shape(count: int | str, shape: list[int]) -> str:
    return f"({', '.join(map(str, [count, *shape]))})"


def _words(about: Mapping[str, Plain], file: str) -> dict[str, Any]:
    """What the example of a format is filled in with."""
    number, latent_dim, classes = 16, about["latent_dim"], about["num_classes"]
    inputs = [f'"z": numpy.random.randn({number}, {latent_dim}).astype("float32")']
    if classes:
        inputs.append(f'"labels": numpy.arange({number}) % {classes}')
    return {
        "file": file,
        "number": number,
        "latent_dim": latent_dim,
        "arguments": f"z, torch.arange({number}) % {classes}" if classes else "z",
        "inputs": ", ".join(inputs),
        "shape": _shape(number, about["sample_shape"]),
    }


def _classes(about: Mapping[str, Plain]) -> str:
    if not about["num_classes"]:
        return "none"
    names = about["class_names"]
    return f"{about['num_classes']}" + (f": {', '.join(names)}" if names else "")


def _values(measured: Plain) -> list[str]:
    """The values and their stamp."""
    if measured is None:
        return ["Nothing is on record for these weights."]
    return [
        *_table({name: "-" if x is None else f"{x:.6g}" for name, x in measured["values"].items()}),
        "",
        "Values of another stamp do not compare. This one's:",
        "",
        "```json",
        json.dumps(measured["stamp"], indent=1, sort_keys=True),
        "```",
    ]


def _table(rows: Mapping[str, object]) -> list[str]:
    cells = [f"| `{name}` | {value} |" for name, value in rows.items()]
    return ["| name | value |", "|---|---|", *cells]
