"""Writes docs/recipes.md: every recipe with its parts and sizes, and sizes beside published ones.

    python scripts/recipe_table.py > docs/recipes.md

Networks are built at full size on the meta device, which has shapes and no numbers: no data are
read, and nothing is trained.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import checkout  # noqa: F401 - finds the package
import torch
import yaml
from torch import nn
from torch.nn.utils import parametrizations

from lightning_gan import datamodules
from lightning_gan import networks as n
from lightning_gan.basics.classes import subclasses
from lightning_gan.checkpoints.parts import Part
from lightning_gan.networks import Discriminator, Generator
from lightning_gan.recipes import Recipe, recipe_file, recipe_names
from lightning_gan.training.composition import Composition
from lightning_gan.training.latents import Prior

KINDS = {kind.__name__: kind for kind in subclasses(Part)}
CITATION = re.compile(
    r"[A-Z][\w-]+(?:, [A-Z][\w-]+)*(?: & [A-Z][\w-]+| et al\.)? (?:19|20)\d\d", re.UNICODE
)
DATA = {
    "CIFAR10": "CIFAR-10",
    "MNIST": "MNIST",
    "StackedMNIST": "Stacked MNIST",
    "Digits": "Handwritten digits, 1,297 for training",
    "ImageFolder": "Pictures of your own",
    "Ring": "8 Gaussians in a ring",
    "Grid": "25 Gaussians in a grid",
}

INTRODUCTION = """\
# Recipes

Made by `python scripts/recipe_table.py > docs/recipes.md`; a test keeps it up to date.

`lightning-gan recipes` lists the recipes, `lightning-gan recipes NAME` shows one, and
`lightning-gan fit --config NAME` runs it. Its file, `lightning_gan/recipes/NAME.yaml`, begins with
where each number comes from, what deviates from the paper and why, what the paper or others
report, and what is recorded of a run here; `docs/results.md` says more of those. The headers of
the others say that they have not been run in full.

What holds for all:

* `images` is the budget in real images; every batch counts, also those that recipes with
  `fresh_reals` draw for the generator alone. 100,000 updates of a generator, with five of the
  discriminator for each on batches of 64, are 32 million.
* 5,000 of the 50,000 training images of CIFAR-10, and of the 60,000 of MNIST, are held out for
  validation, where the papers train on all of them. Images of CIFAR-10 are mirrored at random,
  but where a header says that they are not, as in its source.
* Samples are drawn from an average of the generator's weights, but where a recipe has
  `ema_half_life: 0`. The papers before PGGAN (2018), and many after it, have no such average.
  Report both beside their numbers: `lightning-gan evaluate --ckpt_path RUN --data CIFAR10
  --averaged false` measures the generator itself.
* G and D are the weights of the two networks. What stands behind a plus are those of heads that
  objective and regularizers bring, which learn with D.
* Where a paper's networks do not fit two CPU cores, there is a small recipe on MNIST, on the digits
  that come with the package, or in the plane. Its networks and its budget are ours; its header says
  which numbers are the paper's.
"""

SIZES = """\
## Sizes beside published ones

Weights of the networks at the sizes of papers, and what the source says. "exact" is the same
number; elsewhere the source rounds to ours, or the last column says why ours is another.

| network | arguments | published | source | ours | |
|---|---|---|---|---|---|
"""

G128, D128 = (1024, 1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024, 1024)
G48, D48 = (512, 256, 128, 64), (64, 128, 256, 512, 1024)
MIMICRY = "counted on mimicry's networks"
STUDIO = "StudioGAN's log of CIFAR-10"
WIDE = {"widths": (768,) * 4, "blocks": 2, "num_classes": 10}
IMAGENET = {"attention": 64, "num_classes": 1000}
IMAGE = "the last convolution of the published weights has 128 maps, of which 3 are used"

# Class, pixels, further arguments, published number, source, remark.
PUBLISHED: list[tuple[type[nn.Module], int, dict[str, Any], int | str, str, str]] = [
    (n.ResNetGenerator, 32, {"width": 256}, 4_276_739, MIMICRY, ""),
    (n.ResNetDiscriminator, 32, {"width": 128}, 1_053_825, MIMICRY, ""),
    (n.ResNetGenerator, 32, {"width": 256, "num_classes": 10}, 4_304_387, STUDIO, ""),
    (n.ResNetDiscriminator, 32, {"width": 128, "num_classes": 10}, 1_055_105, STUDIO, ""),
    (n.ResNetGenerator, 48, {"widths": G48}, 4_878_083, MIMICRY, ""),
    (n.ResNetDiscriminator, 48, {"widths": D48, "halved": 4}, 10_141_441, MIMICRY, ""),
    (n.ResNetGenerator, 128, {"widths": G128}, 32_150_787, MIMICRY, ""),
    (n.ResNetGenerator, 128, {"widths": G128, "num_classes": 1000}, 41_996_931, MIMICRY, ""),
    (
        n.ResNetGenerator,
        128,
        {"widths": G128, "attention": 32, "num_classes": 1000},
        42_078_852,
        MIMICRY,
        "",
    ),
    (n.ResNetDiscriminator, 128, {"widths": D128, "halved": 5}, 29_017_857, MIMICRY, ""),
    (
        n.BigGANGenerator,
        32,
        {"width": 96, "latent_dim": 80, "attention": 16, "num_classes": 10},
        9_416_196,
        STUDIO,
        "",
    ),
    (
        n.BigGANDiscriminator,
        32,
        {"width": 48, "attention": 16, "num_classes": 10},
        2_415_170,
        STUDIO,
        "",
    ),
    (n.BigGANGenerator, 128, {"width": 96, **IMAGENET}, "70.4M", "Brock et al. 2019", ""),
    (n.BigGANDiscriminator, 128, {"width": 96, **IMAGENET}, "88.0M", "Brock et al. 2019", ""),
    (n.BigGANDeepGenerator, 128, IMAGENET, "50.4M", "Brock et al. 2019", IMAGE),
    (n.BigGANDeepDiscriminator, 128, IMAGENET, "34.6M", "Brock et al. 2019", ""),
    (n.StyleGAN2Generator, 1024, {"width": 32}, "30.37M", "Karras et al. 2020, FFHQ", ""),
    (n.StyleGAN2Discriminator, 1024, {"width": 32}, "29.01M", "Karras et al. 2020, FFHQ", ""),
    (n.R3GANGenerator, 32, WIDE, "20.8M", "Huang et al. 2024, Table 6", ""),
    (n.R3GANDiscriminator, 32, WIDE, "21.3M", "Huang et al. 2024, Table 6", ""),
]


@contextmanager
def without_numbers() -> Iterator[None]:
    """What is built has shapes only."""
    # Spectral norm looks for singular vectors where it is set up, slowly where there are none.
    skip = mock.patch.object(parametrizations._SpectralNorm, "_power_method")
    with torch.device("meta"), skip:
        yield


def settings_of(name: str) -> dict[str, Any]:
    """What the file of a recipe says."""
    settings: dict[str, Any] = yaml.safe_load(recipe_file(name).read_text(encoding="utf-8"))
    return settings


def built(setting: Any, channels: int, image_size: int) -> Any:  # noqa: ANN401 (parts, or values)
    """A part from its name or description, with all parts in it; networks get their sizes."""
    if isinstance(setting, list):
        return [built(item, channels, image_size) for item in setting]
    if isinstance(setting, str) and setting in KINDS:
        setting = {"class_path": setting}
    if not isinstance(setting, dict):
        return setting
    kind, arguments = KINDS[setting["class_path"]], setting.get("init_args", {})
    if issubclass(kind, (Generator, Discriminator)):
        if "discriminator" in arguments:
            around: Any = kind
            channels = around.inner_channels(channels, arguments)
        else:
            arguments = {"channels": channels, "image_size": image_size} | arguments
    return kind(**{key: built(value, channels, image_size) for key, value in arguments.items()})


def assembled(name: str) -> dict[str, Any]:
    """The parts of a recipe at full size and without numbers, by the model's arguments."""
    settings = settings_of(name)
    data = getattr(datamodules, settings["data"]["class_path"])(**settings["data"]["init_args"])
    arguments = settings["model"]["init_args"]
    with without_numbers():
        parts = {
            key: built(arguments.get(key), data.channels, data.image_size)
            for key in ("generator", "discriminator", "objective", "augmentation", "prior")
        }
        parts["regularizers"] = built(arguments.get("regularizers", []), 0, 0)
        parts["prior"] = parts["prior"] or Prior()
        Composition(**parts).attach()
    return parts


def count(module: nn.Module) -> int:
    """Number of weights."""
    return sum(weight.numel() for weight in module.parameters())


def named(part: Any, ending: str = "") -> str:  # noqa: ANN401 (a network or an objective)
    """What a part is, and what it is around."""
    inner = getattr(part, "discriminator", None) or getattr(part, "objective", None)
    name = type(part).__name__.removesuffix(ending)
    return name if inner is None else f"{name} of {named(inner, ending)}"


def networks_of(generator: Generator, discriminator: Discriminator) -> str:
    """The families of both networks, once where they are the same."""
    one, other = named(generator, "Generator"), named(discriminator, "Discriminator")
    return one if one == other else f"{one} / {other}"


def beside(name: str, parts: dict[str, Any]) -> str:
    """What stands beside objective and networks."""
    others = [*parts["regularizers"], parts["augmentation"], parts["prior"]]
    names = [type(part).__name__ for part in others if type(part) not in (type(None), Prior)]
    alternation = settings_of(name)["model"]["init_args"].get("alternation", {})
    updates = alternation.get("init_args", {}).get("discriminator_updates", 1)
    return ", ".join(names + ([f"{updates} updates of D"] if updates > 1 else []))


def paper(name: str) -> str:
    """The first paper that the header of a recipe names after its title."""
    found = CITATION.search(" ".join(Recipe.read(name).header[1:]))
    assert found, f"{name} names no paper"
    return found.group()


def row(name: str) -> str:
    """The line of a recipe."""
    parts = assembled(name)
    heads = sum(count(part) for part in (parts["objective"], *parts["regularizers"]))
    critic = f"{count(parts['discriminator']):,}" + (f" + {heads:,}" if heads else "")
    cells = [
        f"`{name}`",
        paper(name),
        named(parts["objective"]),
        beside(name, parts),
        networks_of(parts["generator"], parts["discriminator"]),
        f"{count(parts['generator']):,}",
        critic,
        f"{settings_of(name)['model']['init_args']['max_images']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def data_of(name: str) -> str:
    """The class of a recipe's data."""
    return str(settings_of(name)["data"]["class_path"])


def recipes() -> Iterator[str]:
    """The lines on all recipes, by their data."""
    names = recipe_names()
    assert {data_of(name) for name in names} <= set(DATA)
    for data, title in DATA.items():
        rows = [row(name) for name in names if data_of(name) == data]
        if rows:
            yield f"\n## {title}\n"
            yield "| recipe | paper | objective | beside it | networks | G | D | images |"
            yield "|---|---|---|---|---|---|---|---|"
            yield from rows


def sizes() -> Iterator[str]:
    """The lines on published sizes."""
    for kind, size, arguments, published, source, remark in PUBLISHED:
        make: Callable[..., nn.Module] = kind
        with without_numbers():
            found = count(make(channels=3, image_size=size, **arguments))
        words = ", ".join(f"{name}={value}" for name, value in arguments.items())
        stated = f"{published:,}" if isinstance(published, int) else published
        verdict = "exact" if found == published else remark
        what = f"`{kind.__name__}`, {size} pixels"
        yield f"| {what} | `{words}` | {stated} | {source} | {found:,} | {verdict} |"


def document() -> str:
    """The whole file."""
    return "\n".join([INTRODUCTION.rstrip(), *recipes(), "", SIZES + "\n".join(sizes())]) + "\n"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.split("\n", 1)[0]).parse_args()
    sys.stdout.write(document())
