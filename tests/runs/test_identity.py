"""Configurations are equal but for their seeds, and say in short where they differ."""

from typing import Any

import pytest
from recorded_runs import identity, part

from lightning_gan.runs.identity import (
    configuration,
    differing_options,
    names_of,
    option,
    seeds,
    short_names,
    shown,
)


def differ(*identities: dict[str, Any]) -> list[str]:
    return differing_options([configuration(each) for each in identities])


def test_runs_of_other_seeds_are_one_configuration() -> None:
    assert seeds(identity(3)) == (3, 3)
    assert identity(0) != identity(1)
    assert differ(identity(0), identity(1)) == []
    assert configuration(identity(0)) == configuration(identity(1))


def test_a_model_that_is_named_with_its_class_has_the_same_names() -> None:
    whole = identity(3)
    whole["model"] = {"class_path": "lightning_gan.GAN", "init_args": whole["model"]}
    assert seeds(whole) == (3, 3)
    assert option(configuration(whole), "model.objective.form") == "logistic"


def test_an_identity_without_seeds_or_parts_is_taken_as_it_is() -> None:
    assert seeds({}) == (None, None)
    assert configuration({"model": None, "data": [1]}) == {"model": None, "data": [1]}


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ({"objective": part("Hinge")}, ["model.objective"]),
        ({"objective": part("RelativisticPairing", form="hinge")}, ["model.objective.form"]),
        ({"objective": None}, ["model.objective"]),
        ({"regularizers": [part("R1", weight=1.0)]}, ["model.regularizers"]),
        (
            {"ema_half_life": 5, "gradient_clip": 1.0},
            ["model.ema_half_life", "model.gradient_clip"],
        ),
        ({"gradient_clip": None}, []),  # what is not there is None
    ],
    ids=str,
)
def test_the_options_that_differ_are_named_as_on_the_command_line(
    model: dict[str, Any], names: list[str]
) -> None:
    assert differ(identity(0), identity(1, **model)) == names
    assert differ(identity(0), identity(1), identity(2, **model)) == names


def test_options_are_found_by_their_names() -> None:
    options = configuration(identity())
    assert option(options, "model.objective.form") == "logistic"
    assert option(options, "global_batch_size") == 256
    for absent in ("model.nothing", "model.ema_half_life.more", "nothing.at.all"):
        assert option(options, absent) is None
    names = list(names_of(options))
    assert {"model", "model.objective", "model.objective.form", "data.count"} <= set(names)
    assert not any("class_path" in name or "init_args" in name for name in names)


def test_names_are_as_short_as_tells_them_apart() -> None:
    names = ["model.objective", "model.generator_optimizer.lr", "model.prior.lr"]
    assert short_names(names) == ["objective", "generator_optimizer.lr", "prior.lr"]
    assert short_names(["lr", "model.lr"]) == ["lr", "model.lr"]
    assert short_names(["a/b/version_0", "a/c/version_0"], "/") == ["b/version_0", "c/version_0"]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        ([part("Hinge"), part("NonSaturating", real_label=1.0)], ["Hinge", "NonSaturating"]),
        (
            [part("NonSaturating", real_label=x) for x in (1.0, 0.9)] + [part("Hinge")],
            ["NonSaturating(real_label=1)", "NonSaturating(real_label=0.9)", "Hinge"],
        ),
        (
            [[part("R1", weight=w), part("R2", weight=0.1)] for w in (0.1, 1.0)] + [[]],
            ["R1(weight=0.1) + R2", "R1(weight=1) + R2", "none"],
        ),
        ([None, True, 1e-8, 50_000.0, 3], ["none", "true", "1e-08", "50000", "3"]),
        ([[0.5, 0.999], "bilinear", {"a": 1}], ["[0.5, 0.999]", "bilinear", "a=1"]),
    ],
    ids=str,
)
def test_options_are_shown_in_short(column: list[Any], texts: list[str]) -> None:
    values = [configuration({"option": value})["option"] for value in column]
    assert [shown(value, values) for value in values] == texts
