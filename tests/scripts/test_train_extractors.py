"""What the bundled extractors overlook and what they are to tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lightning_gan.metrics.extractors.classifiers import DigitNetwork, halved
from scripts.train_extractors import RECIPES, Degradation, Distortion, Heads, blurred, examples, fit

SPOT = torch.full((1, 1, 28, 28), -1.0)
SPOT[..., 14, 14] = 1.0
RECIPE = replace(RECIPES["digits_cnn"], epochs=1, batch_size=8)


def spots(count: int) -> Tensor:
    return SPOT.repeat(count, 1, 1, 1)


def test_a_shift_moves_by_whole_pixels_and_brings_in_black() -> None:
    moved = Distortion(shift=2.5)(spots(500))
    places = {divmod(int(x.argmax()), 28) for x in moved}
    assert places == {(row, column) for row in range(12, 17) for column in range(12, 17)}
    assert torch.allclose(moved.amax((1, 2, 3)), torch.ones(500), atol=1e-5)
    assert torch.allclose(moved.sum((1, 2, 3)), SPOT.sum().expand(500), atol=1e-3)


def test_a_turn_leaves_half_of_the_images_as_they_are() -> None:
    image = -torch.ones(1, 1, 28, 28)
    image[..., 4:24, 8:12] = 1.0
    turned = Distortion(shift=0, turn=10)(image.repeat(400, 1, 1, 1))
    same = torch.isclose(turned, image, atol=1e-5).all(3).all(2).all(1)
    assert 0.4 < float(same.float().mean()) < 0.6


@pytest.mark.parametrize("deviation", [0.7, 1.5])
def test_a_blur_has_the_deviation_that_it_says(deviation: float) -> None:
    light = (blurred(SPOT, torch.tensor([deviation])) + 1)[0, 0]
    place = torch.arange(28.0) - 14
    assert float(light.sum()) == pytest.approx(2, rel=1e-4)
    assert float((light.sum(0) * place**2).sum() / 2) == pytest.approx(deviation**2, rel=0.02)


def test_no_strength_is_no_degradation_and_more_is_more() -> None:
    degradation = Degradation()
    images = torch.rand(16, 1, 28, 28).round() * 2 - 1
    none = torch.zeros(16, 3)
    assert torch.allclose(degradation(images.clone(), none), images, atol=1e-5)
    for kind in range(3):
        errors = []
        for strength in (0.2, 0.6, 1.0):
            strengths = none.clone()
            strengths[:, kind] = strength
            errors.append(float((degradation(images.clone(), strengths) - images).abs().mean()))
        assert errors == sorted(errors)
        assert errors[0] > 0.01


def test_an_image_and_its_twin_differ_in_place_and_chance_alone() -> None:
    seen, picture, strengths = examples(spots(30), RECIPE)
    assert (len(seen), len(picture), strengths.shape) == (60, 60, (60, 3))
    assert torch.equal(strengths[:30], strengths[30:])
    assert torch.equal(picture[:30], picture[30:])
    clean = (strengths == 0).all(1)
    assert 0 < int(clean.sum()) < 60
    assert not torch.equal(seen[:30], seen[30:])


def test_features_of_twins_that_differ_cost() -> None:
    heads = Heads(replace(RECIPE, redraw=0.0, strengths=0.0, twins=2.0), 4, 49)
    features = torch.cat([torch.zeros(3, 4), torch.ones(3, 4)])
    loss = heads.loss(features, torch.zeros(6, 49), torch.zeros(6, 3))
    assert float(loss.detach()) == 2.0


def test_half_the_size_follows_a_blur() -> None:
    spot = torch.zeros(1, 1, 8, 8)
    spot[..., 4, 4] = 1.0
    moved = spot.roll(1, 3)
    assert halved()(spot).shape == (1, 1, 4, 4)
    change = (halved()(spot) - halved()(moved)).abs().sum()
    assert float(change) == pytest.approx(0.25)  # a quarter of what a strided maximum would change
    assert float(halved()(spot).sum()) == pytest.approx(0.25)


def test_a_classifier_learns_from_what_it_sees() -> None:
    torch.manual_seed(0)
    network = DigitNetwork()
    before = network.head.weight.clone()
    images = torch.randint(256, (16, 1, 28, 28), dtype=torch.uint8)
    fit(network, RECIPE, (images, torch.arange(16) % 10))
    assert not torch.equal(network.head.weight, before)
    assert all(bool(weight.isfinite().all()) for weight in network.parameters())
