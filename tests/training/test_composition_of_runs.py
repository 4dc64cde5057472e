"""What a run cannot be: data, batches and bits that do not suit its parts."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from small_networks import generating, packed, perceptron
from tiny import composition

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import Discriminator, MLPGenerator, StyleGAN2Discriminator
from lightning_gan.objectives import RelativisticAverage
from lightning_gan.regularizers import R1, WeightClipping
from lightning_gan.training import composition as composition_module

Parts = dict[str, Any]


def refused(data: object = None, precision: str = "32-true", **parts: Any) -> str:
    """Why a run is refused; nothing if it is not."""
    try:
        composition(**parts).check_run(data, precision)
    except ConfigurationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("data", "classes", "words"),
    [
        ({"channels": 3}, 0, "The data have channels=3 but the networks have channels=2: set chan"),
        ({"image_size": 8}, 0, "The data have image_size=8 but the networks have image_size=0: se"),
        ({"num_classes": 3}, 4, "The networks know 4 classes but the data have 3: s"),
        ({"num_classes": 3}, 2, "The networks know 2 classes but the data have 3: set num_classes"),
        ({"num_classes": 3}, 3, ""),
        ({"num_classes": 3}, 0, ""),
        ({"channels": 2, "image_size": 0}, 0, ""),
        ({}, 5, ""),
    ],
)
def test_data_of_another_size_are_refused(data: Parts, classes: int, words: str) -> None:
    pair = {"generator": generating(classes=classes), "discriminator": perceptron(classes=classes)}
    found = refused(SimpleNamespace(**data), **pair)
    assert found.startswith(words)
    assert bool(found) == bool(words)


def grouped() -> StyleGAN2Discriminator:
    return StyleGAN2Discriminator(1, 8, width=4, minibatch_std=4)


@pytest.mark.parametrize(
    ("judge", "size", "pieces", "near"),
    [
        (perceptron, 7, 2, None),
        (packed, 8, 1, None),
        (packed, 7, 1, 8),
        (packed, 8, 2, None),
        (packed, 6, 2, 8),
        (grouped, 8, 1, None),
        (grouped, 6, 1, 8),
        (grouped, 9, 2, 16),
    ],
)
def test_batches_that_cannot_be_shared_out_are_refused_with_the_next_size(
    judge: Callable[[], Discriminator], size: int, pieces: int, near: int | None
) -> None:
    discriminator = judge()
    found = refused(
        SimpleNamespace(batch_size=size), discriminator=discriminator, accumulate=pieces
    )
    if near is None:
        assert found == ""
        return
    what = "packs of 2" if discriminator.pack > 1 else "groups of 4 samples"
    shown = f" in {pieces} pieces" if pieces > 1 else ""
    assert found == (
        f"The discriminator judges {what}, and batches of {size}{shown} cannot be shared out so: "
        f"set --data.batch_size to {near}."
    )


@pytest.mark.parametrize("precision", ["16-mixed", "16-true", "bf16-mixed", "32-true", "64-true"])
def test_sixteen_bits_are_refused_under_a_penalty_that_differentiates_twice(precision: str) -> None:
    twice = R1()
    found = refused(precision=precision, regularizers=[twice])
    assert bool(found) == precision.startswith("16")
    if found:
        assert found.startswith("R1 does not survive 16-bit floating point")
    assert refused(precision=precision, regularizers=[R1(difference=0.01), WeightClipping()]) == ""


def test_pieces_of_processes_that_one_would_not_have_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = MLPGenerator(2, 0, width=4, batch_norm=True)
    data = SimpleNamespace(batch_size=5)
    parts: dict[str, Any] = {"generator": generator, "accumulate": 2, "sync_batch_norm": True}
    assert refused(data, **parts) == ""
    monkeypatch.setattr(composition_module.processes, "world_size", lambda: 2)
    words = "Batch norm looks across the batch, and 2 pieces of 5 samples on each process are not"
    assert refused(data, **parts).startswith(words)
    assert refused(data, **parts).endswith("set --data.batch_size to 6.")
    assert refused(SimpleNamespace(batch_size=6), **parts) == ""
    assert refused(data, accumulate=2) == ""
    assert refused(data, **(parts | {"sync_batch_norm": False})) == ""  # each has its own anyway
    looking = {"objective": RelativisticAverage(), "accumulate": 2}
    assert refused(data, **looking).startswith("RelativisticAverage looks across the batch")


def test_batch_norm_of_vectors_over_one_sample_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    normed: dict[str, Any] = {"generator": MLPGenerator(2, 0, width=4, batch_norm=True)}
    one, four = SimpleNamespace(batch_size=1), SimpleNamespace(batch_size=4)
    assert refused(one) == ""
    assert refused(four, **normed) == ""
    assert refused(one, **normed) == (
        "Batch norm in MLPGenerator needs two samples at a time, and batches of 1 have one: set "
        "--data.batch_size to 2 or more."
    )
    assert refused(four, **normed, accumulate=3).endswith(
        "batches of 4 in 3 pieces have one: set --data.batch_size to 6 or more."
    )
    monkeypatch.setattr(composition_module.processes, "world_size", lambda: 2)
    assert refused(one, **normed, sync_batch_norm=True) == ""
