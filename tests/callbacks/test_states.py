"""What objective, regularizers and augmentation adapt is in the logs."""

from __future__ import annotations

import pytest
from tiny import fit, latest, picture_gan
from zoo import examples

from lightning_gan.augment import AdaptiveAugmentation, Augmentations, InstanceNoise
from lightning_gan.callbacks import Balance
from lightning_gan.gan import GAN

EXAMPLES = examples()


def states(gan: GAN) -> dict[str, float]:
    fit(gan, 5, callbacks=[Balance(every=5)])
    report = latest(gan.trainer, "training")
    return {name: x for name, x in report.items() if name.startswith("state/")}


def test_k_of_began_and_its_measure_of_convergence_are_logged() -> None:
    gan = EXAMPLES["BEGAN"]()
    found = states(gan)
    objective = gan.objective
    assert found == {
        "state/BEGAN.k": float(objective.k),  # type: ignore[arg-type]
        "state/BEGAN.convergence": float(objective.convergence),  # type: ignore[arg-type]
    }
    assert 0 < found["state/BEGAN.k"] <= 1


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_probability_of_adaptive_augmentation_is_logged(wrapped: bool) -> None:
    ada = AdaptiveAugmentation(kimg=0.1, start=0.5)
    augmentation = Augmentations([InstanceNoise(), ada]) if wrapped else ada
    found = states(picture_gan(augmentation=augmentation))
    assert found == {"state/SignController.p": ada.controller.p}
    assert ada.controller.p != 0.5


def test_running_means_of_regularizers_are_logged() -> None:
    assert states(EXAMPLES["LeCam"]()).keys() == {"state/LeCam.mean_real", "state/LeCam.mean_fake"}
    assert states(EXAMPLES["PathLength"]()).keys() == {"state/PathLength.mean_length"}
    assert states(EXAMPLES["R1"]()) == {}
