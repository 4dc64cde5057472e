"""What the headers of recipes say: their numbers, their kin, and whether they were ever run."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
from recipe_headers import Recipe, agrees, faults, has_run, recorded

from lightning_gan.recipes import recipe_names

NAMES = recipe_names()
for_every_recipe = pytest.mark.parametrize("name", NAMES)


# ------------------------------------------------------------------------------------- numbers


@for_every_recipe
def test_every_number_in_a_header_is_the_recipes(name: str) -> None:
    assert list(faults(Recipe.of(name))) == []


CHANGED: list[tuple[str, tuple[str, ...], Any]] = [
    ("acgan_cifar10", ("data", "init_args", "batch_size"), 32),
    ("acgan_cifar10", ("model", "init_args", "max_images"), 16_000_000),
    ("acgan_cifar10", ("model", "init_args", "alternation", "init_args"), {}),
    ("biggan_cifar10", ("model", "init_args", "ema_half_life"), 500_000),
    ("biggan_cifar10", ("model", "init_args", "generator", "init_args", "latent_dim"), 128),
    ("reacgan_cifar10", ("model", "init_args", "generator_optimizer", "init_args", "lr"), 2e-4),
    ("sngan_cifar10", ("model", "init_args", "generator_optimizer", "init_args", "betas"), [0, 1]),
    ("mhgan_cifar10", ("model", "init_args", "objective", "init_args", "generator_weight"), 1.0),
]


@pytest.mark.parametrize(("name", "path", "value"), CHANGED, ids=lambda v: str(v)[:40])
def test_a_recipe_that_moves_away_from_its_header_is_found(
    name: str, path: tuple[str, ...], value: Any
) -> None:
    recipe = Recipe.of(name)
    settings = copy.deepcopy(recipe.settings)
    place = settings
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    if "lr" in path or "betas" in path:  # a header that names one number means both players
        place = settings["model"]["init_args"]["discriminator_optimizer"]["init_args"]
        place[path[-1]] = value
    assert any(
        "is said, and the recipe has" in fault
        for fault in faults(replace(recipe, settings=settings))
    )


def test_a_number_that_no_phrase_explains_is_found() -> None:
    recipe = Recipe.of("hinge_mnist")
    (fault,) = faults(replace(recipe, header=f"{recipe.header} With 17 of them."))
    assert "explains '17'" in fault


def test_numbers_agree_as_they_are_stated() -> None:
    assert agrees("2.83e-4", 2.8284271e-4)
    assert not agrees("2.82e-4", 2.8284271e-4)
    assert agrees("five", 5)
    assert agrees("5,000", 5000)
    assert not agrees("5,000", 5001)
    assert agrees("2.2", 2.218)
    assert not agrees("2", 2.218)


# ----------------------------------------------------------------------------------------- kin


def rest_of(name: str) -> dict[str, Any]:
    """What a recipe has beside networks and what its method adds."""
    recipe = Recipe.of(name)
    kept = ("generator_optimizer", "discriminator_optimizer", "learning_rate", "ema_half_life")
    found = {key: recipe.model.get(key) for key in (*kept, "alternation", "max_images")}
    return found | {"data": recipe.settings["data"]}


def networks_of(name: str) -> list[Any]:
    """Both networks, whatever classes they know and whatever is around the discriminator."""
    networks = [copy.deepcopy(Recipe.of(name).model[key]) for key in ("generator", "discriminator")]
    for number, network in enumerate(networks):
        networks[number] = network["init_args"].get("discriminator", network)
        networks[number]["init_args"].pop("num_classes", None)
    return networks


KIN = re.compile(
    r"(?:on the networks of|[Nn]etworks of|[Nn]etworks(?:[\w, ]* budget)? are those of) `(\w+)`"
    r"( otherwise| without|, of which everything else is too)?"
)


@for_every_recipe
def test_a_recipe_on_the_networks_of_another_has_them(name: str) -> None:
    if found := KIN.search(Recipe.of(name).header):
        other, more = found.groups()
        if more not in (" otherwise", " without"):
            assert networks_of(name) == networks_of(other)
        elif more == " otherwise":
            ours, theirs = networks_of(name), networks_of(other)
            ours[1]["init_args"].pop("spectral_norm", None)
            assert ours == theirs
        if more and more.startswith(","):
            assert rest_of(name) == rest_of(other)


# ---------------------------------------------------------------------------------------- runs


@for_every_recipe
def test_a_recipe_says_so_where_it_has_never_been_run_in_full(name: str) -> None:
    assert ("no full run yet" in Recipe.of(name).header.lower()) != has_run(name)


def test_there_are_recorded_runs_and_others() -> None:
    assert {"dcgan_mnist", "r3gan_mnist", "rpgan_stacked_mnist"} <= recorded() < set(NAMES)
