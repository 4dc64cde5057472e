"""Recipes go on bit for bit: as many of them as it takes to resume every part that there is."""

from __future__ import annotations

import pytest
from resuming_recipes import _no_files, assert_resumes, parts_in, representatives  # noqa: F401

from lightning_gan.recipes import recipe_names
from scripts.recipe_table import settings_of


@pytest.mark.usefixtures("_no_files")
@pytest.mark.parametrize("name", representatives())
def test_a_recipe_resumes_bit_for_bit_from_wherever_it_was_stopped(name: str) -> None:
    assert_resumes(name, "cpu")


def test_every_part_that_occurs_in_a_recipe_is_resumed() -> None:
    resumed = set().union(*(parts_in(settings_of(name)) for name in representatives()))
    assert resumed == set().union(*(parts_in(settings_of(name)) for name in recipe_names()))
    stateful = {"BEGAN", "AdaptiveAugmentation", "AdaptivePseudo", "LeCam", "PathLength"}
    moving = {"CosineCurve", "DecayCurve", "InfoGAN", "Packed", "TopK", "Unrolled"}
    assert stateful | moving <= resumed
