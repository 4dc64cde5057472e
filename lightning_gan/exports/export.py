"""Writes a trained generator for others, with what has to be said about it."""

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lightning_gan.basics.plain import Plain
from lightning_gan.basics.version import versions
from lightning_gan.checkpoints import record
from lightning_gan.checkpoints.exported import EXPORTED, NAME, exported_bytes
from lightning_gan.checkpoints.files import checkpoint_in, read_checkpoint
from lightning_gan.checkpoints.identity import setting_of
from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.exports.card import configuration, model_card
from lightning_gan.exports.graphs import Inputs, Judge, Sampler, inputs_of, write_onnx, write_torch
from lightning_gan.gan import GAN, load
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.layers import copy_of

Format = Literal["safetensors", "torch", "onnx"]

GRAPHS: dict[str, tuple[str, Callable[[nn.Module, Inputs, Path], None]]] = {
    "torch": (".pt2", write_torch),
    "onnx": (".onnx", write_onnx),
}
"""The formats that run without this package: how their files end, and what writes them."""

CONFIG, CARD = "config.json", "README.md"
OWN = [NAME, CONFIG, CARD]
OWN += [f"{what}{ending}" for what in ("model", "discriminator") for ending, _ in GRAPHS.values()]
"""What an export may write, and the next one into its folder removes."""
INHERITED = ("name", "license", "run", "measured")
"""What the export of an export says as that did."""
UNFINISHED = ".export-"
"""How the folder of an export begins that is not finished, or was killed."""

LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+()-]{0,99}")
"""Identifiers as of SPDX, and those that model hubs have besides."""


@dataclass(frozen=True)
class _Source:
    """A model, and what is known of it besides: its data, the folder of its run, an older card."""

    gan: GAN
    setting: Mapping[str, Plain]
    run: Path | None
    card: Mapping[str, Plain] = field(default_factory=dict)


def export(
    source: GAN | str | Path,
    folder: str | Path = "export",
    to: Format = "safetensors",
    with_discriminator: bool = False,
    half: bool = False,
    license: str = "unknown",
) -> Path:
    """Writes the averaged generator, its configuration and a model card into a folder.

    ``model.safetensors`` holds weights, which :func:`lightning_gan.load`, ``warm_start`` and the
    commands read. ``model.pt2``, a program of ``torch.export``, and ``model.onnx`` need nothing of
    this package: they make samples of standard normal numbers (N, latent_dim), and class indices
    (N,) where there are classes, for any N.

    Args:
        source: A model, a checkpoint, or the folder of a run.
        folder: Where to write.
        to: The format.
        with_discriminator: Whether the discriminator is written too, in safetensors with the
            weights that learn beside it.
        half: Whether weights are float16; what goes in and comes out of a graph is float32.
        license: Identifier of the licence, such as ``apache-2.0``, for the card.

    Returns:
        The folder.

    Raises:
        ConfigurationError: If the folder holds other files, the format is unknown, its packages are
            missing, or a network cannot be written so.
        WeightsError: If the checkpoint cannot be read, or a weight is not finite.
    """
    folder = Path(folder)
    if to not in get_args(Format):
        raise ConfigurationError(f"export: to={to!r} must be one of {', '.join(get_args(Format))}.")
    if not LICENSE.fullmatch(license):
        raise ConfigurationError(
            f"export: license={license!r} must be an identifier, such as apache-2.0 or cc-by-4.0."
        )
    _refuse_other_files(folder)
    found = _found(source)
    generator = copy_of(found.gan.generator_ema).cpu().eval()
    discriminator = copy_of(found.gan.discriminator).cpu().eval()
    for network in (generator, discriminator) if half else ():
        network.half()
    _refuse_infinite(generator, half)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # All or nothing, so that no folder holds the parts of two models.
        with TemporaryDirectory(prefix=UNFINISHED, dir=folder) as name:
            place = Path(name)
            file = _write_weights(found, generator, discriminator, place, to, with_discriminator)
            about = configuration(found.gan, found.setting, found.run, half, license)
            about |= dict(found.card) | ({} if license == "unknown" else {"license": license})
            about |= {"format": to, "file": file, "discriminator_written": with_discriminator}
            text = json.dumps(about, indent=1) + "\n"
            (place / CONFIG).write_text(text, encoding="utf-8")
            (place / CARD).write_text(model_card(about, file, to), encoding="utf-8")
            for old in OWN:
                (folder / old).unlink(missing_ok=True)
            for new in place.iterdir():
                new.replace(folder / new.name)
    except OSError as error:
        raise ConfigurationError(
            f"export: {folder} cannot be written ({error.strerror}): give another folder."
        ) from error
    return folder


def _write_weights(
    found: _Source,
    generator: Generator,
    discriminator: Discriminator,
    folder: Path,
    to: Format,
    with_discriminator: bool,
) -> str:
    """Writes the files with weights; returns the name of the generator's."""
    if to == "safetensors":
        half = next(generator.parameters()).dtype == torch.float16
        content = _safetensors(found, generator, _others(found.gan, half, with_discriminator))
        (folder / NAME).write_bytes(content)
        return NAME
    ending, write = GRAPHS[to]
    model, judge = folder / f"model{ending}", folder / f"discriminator{ending}"
    write(Sampler(generator, found.gan.prior), inputs_of(generator), model)
    if with_discriminator:
        write(Judge(discriminator), inputs_of(discriminator), judge)
    return model.name


def _refuse_other_files(folder: Path) -> None:
    """Refuses a folder with files of another kind, some of which would be overwritten.

    Raises:
        ConfigurationError: If it is such a folder, or a file.
    """
    if folder.is_dir():
        if all(path.name.startswith(UNFINISHED) for path in folder.iterdir()):
            return
        with contextlib.suppress(OSError, ValueError):
            about = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            if isinstance(about, dict) and "discriminator_written" in about:
                return
    elif not folder.exists():
        return
    kind = "holds other files" if folder.is_dir() else "is a file"
    raise ConfigurationError(f"export: {folder} {kind}: give a new folder.")


def _found(source: GAN | str | Path) -> _Source:
    """The model, its data and its run."""
    if isinstance(source, GAN):
        try:
            trainer = source.trainer
        except RuntimeError:  # no Trainer has had it
            return _Source(source, {}, None)
        folder = trainer.log_dir
        return _Source(source, setting_of(trainer), None if folder is None else Path(folder))
    path = checkpoint_in(source)
    state = record.own_state(read_checkpoint(path), str(path))
    run = path.parent.parent if path.parent.name == "checkpoints" else None
    return _Source(load(path), state.get("setting", {}), run, _card_beside(path))


def _card_beside(path: Path) -> dict[str, Plain]:
    """What an export says of itself that its weights do not tell; nothing of other files."""
    try:
        text = path.with_name(CONFIG).read_text(encoding="utf-8")
        about = json.loads(text, parse_constant=lambda name: None)  # of an export with NaN
        if path.name != NAME or about["file"] != NAME:
            return {}
        return {name: about[name] for name in INHERITED}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _refuse_infinite(generator: nn.Module, half: bool) -> None:
    for name, weight in generator.state_dict().items():
        if not weight.isfinite().all():
            mend = "export it without half" if half else "take an earlier checkpoint"
            raise WeightsError(f"{name} of the averaged generator is not finite: {mend}.")


def _others(gan: GAN, half: bool, wanted: bool) -> dict[str, Tensor]:
    """All weights of a model but those of the generator, where they are wanted."""
    return {
        name: weight.half() if half and weight.is_floating_point() else weight
        for name, weight in gan.state_dict().items()
        if wanted and not name.startswith("generator")
    }


def _safetensors(found: _Source, generator: nn.Module, others: dict[str, Tensor]) -> bytes:
    """A file that is read as a checkpoint."""
    gan = found.gan
    weights = {f"generator.{name}": weight for name, weight in generator.state_dict().items()}
    state = {
        "format": record.FORMAT,
        "progress": asdict(gan.progress),
        "images_in_average": gan.average.images,
        "images_before": gan.average.images_before,
        "images_validated": gan.images_validated,
        "setting": dict(found.setting),
        EXPORTED: {"discriminator": bool(others)},
    }
    arguments = dict(gan.hparams) | {"warm_start": None}  # a path of somebody's own machine
    rest: dict[str, Plain] = {record.ARGUMENTS: arguments, record.KEY: state}
    # Lightning asks for it before the model can say that no training goes on from an export.
    rest |= {"pytorch-lightning_version": versions()["lightning"]}
    return exported_bytes(weights | others, rest)
