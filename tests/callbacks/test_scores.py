"""Scores of held-out reals and fakes are counted at each validation, and once after a resume."""

import math
from pathlib import Path

import pytest
import torch
from tiny import Points, points_gan

import lightning_gan
from lightning_gan.callbacks import Evaluation
from lightning_gan.callbacks.scores import counted
from lightning_gan.objectives import Hinge, NonSaturating, Objective, RelativisticPairing
from lightning_gan.runs.scores import NAME, read_scores

QUIET = {"accelerator": "cpu", "enable_progress_bar": False}


def test_probabilities_are_counted_where_each_sample_has_one() -> None:
    real, fake = torch.tensor([9.0, 9.0, 0.01]), torch.tensor([-9.0, math.nan, math.inf])
    found = counted(points_gan(NonSaturating()), real, fake)
    assert found is not None
    assert found.probabilities
    assert found.edges[0] == 0
    assert found.edges[-1] == pytest.approx(1)
    assert (found.real[-1], found.real[20], sum(found.real)) == (2, 1, 3)
    assert (found.fake[0], found.fake[-1], sum(found.fake)) == (1, 1, 2)  # a NaN has no place


@pytest.mark.parametrize("objective", [Hinge(), RelativisticPairing()])
def test_raw_scores_are_counted_where_none_has(objective: Objective) -> None:
    found = counted(points_gan(objective), torch.tensor([2.0, 7.0]), torch.tensor([-3.0, math.inf]))
    assert found is not None
    assert not found.probabilities
    assert found.edges[0] <= -3
    assert found.edges[-1] > 7
    assert (sum(found.real), sum(found.fake)) == (2, 1)
    assert counted(points_gan(objective), torch.tensor([math.nan]), torch.zeros(0)) is None


def fit(folder: Path, images: int, ckpt_path: str | None = None) -> None:
    few = [Evaluation(num_samples=100)]
    gan = points_gan(Hinge(), max_images=images, validate_every=64)
    lightning_gan.fit(gan, Points(8), folder, ckpt_path, callbacks=few, **QUIET)


def test_a_resumed_run_has_the_histograms_of_one_that_was_not_stopped(tmp_path: Path) -> None:
    fit(tmp_path / "whole", 256)
    whole = tmp_path / "whole" / "version_0"
    scores = read_scores(whole)
    assert [each.images for each in scores] == [64, 128, 192, 256]
    assert {sum(each.real) for each in scores} == {37}
    fit(tmp_path / "parts", 128)
    parts = tmp_path / "parts" / "version_0"
    with (parts / NAME).open("a") as file:  # what a killed run has written after its checkpoint
        file.write((whole / NAME).read_text().splitlines()[2] + '\n{"images": 256, "probab')
    fit(tmp_path / "parts", 256, "last")
    assert (parts / NAME).read_bytes() == (whole / NAME).read_bytes()
