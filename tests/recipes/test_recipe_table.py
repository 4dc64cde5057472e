"""The table of recipes: up to date, and its networks as large as the published ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from lightning_gan.networks import MLPDiscriminator
from lightning_gan.recipes import recipe_names
from scripts.recipe_table import (
    PUBLISHED,
    assembled,
    beside,
    built,
    count,
    document,
    named,
    paper,
    row,
    without_numbers,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_the_table_is_up_to_date_and_every_recipe_is_built_at_full_size() -> None:
    hint = "run python scripts/recipe_table.py > docs/recipes.md"
    assert DOCUMENT.read_text(encoding="utf-8") == document(), hint


def test_every_recipe_has_one_line() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    for name in recipe_names():
        assert len([line for line in lines if line.startswith(f"| `{name}` |")]) == 1


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: f"{p[0].__name__}-{p[1]}-{p[3]}")
def test_networks_have_the_published_number_of_weights(published: Any) -> None:
    kind, size, arguments, stated, _, remark = published
    with without_numbers():
        found = count(kind(channels=3, image_size=size, **arguments))
    exact = found == stated
    if isinstance(stated, str):
        digits = len(stated.rstrip("M").partition(".")[2])
        exact = f"{found / 1e6:.{digits}f}M" == stated
    assert exact != bool(remark), "a remark belongs to a difference, and a difference to a remark"


def test_what_is_assembled_has_shapes_and_no_numbers() -> None:
    parts = assembled("acgan_mnist")
    weights = [
        weight
        for part in (parts["generator"], parts["discriminator"], *parts["regularizers"])
        for weight in part.parameters()
    ]
    assert weights
    assert {weight.device.type for weight in weights} == {"meta"}
    assert count(parts["regularizers"][0]) == 3136 * 10 + 10


def test_parts_are_built_from_names_descriptions_and_lists() -> None:
    setting = {
        "class_path": "TopK",
        "init_args": {
            "objective": "Hinge",
            "share": {"class_path": "DecayCurve", "init_args": {"factor": 0.9, "images": 10}},
        },
    }
    assert repr(built([setting], 3, 32)) == (
        "[TopK(objective=Hinge(), "
        "share=DecayCurve(factor=0.9, images=10, end=0.0, start=1.0, delay=0))]"
    )
    packed = {"class_path": "Packed", "init_args": {"pack": 3, "discriminator": "MLPDiscriminator"}}
    network = built(packed, 2, 0)
    assert (network.channels, network.discriminator.channels) == (2, 6)
    assert named(network, "Discriminator") == "Packed of MLP"


def test_a_line_says_what_a_recipe_is() -> None:
    assert paper("mlp_ring") == "Huang et al. 2024"
    assert paper("cgan_mnist") == "Mirza & Osindero 2014"
    assert paper("wgan_mnist") == "Arjovsky, Chintala & Bottou 2017"
    assert row("sngan_cifar10") == (
        "| `sngan_cifar10` | Miyato et al. 2018 | Hinge | Dequantization, 5 updates of D | ResNet "
        "| 4,276,739 | 1,053,825 | 16,000,000 |"
    )
    parts = assembled("infogan_mnist")
    assert beside("infogan_mnist", parts) == "InfoGAN, CodePrior"


def test_count_counts_what_learns_once() -> None:
    network = MLPDiscriminator(2, 0, width=4, depth=1)
    assert count(network) == 3 * 4 + 5
    assert count(nn.ModuleList([network, network])) == 17
    assert count(nn.BatchNorm1d(3)) == 6
