"""Pseudo reals, and the probability that adapts to signs, here and on several processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tiny import random_for
from torch import Tensor

from lightning_gan.augment import (
    AdaptiveAugmentation,
    AdaptivePseudo,
    Augmentations,
    InstanceNoise,
    SignController,
)
from lightning_gan.errors import ConfigurationError
from lightning_gan.training.schedule import LinearCurve, values_at

NOW = values_at(0)

# -------------------------------------------------------------------------------- pseudo reals


def pairs(count: int = 200) -> tuple[Tensor, Tensor]:
    return torch.ones(count, 2), torch.zeros(count, 2, requires_grad=True)


def test_reals_are_left_alone_while_p_is_zero() -> None:
    real, fake = pairs()
    assert AdaptivePseudo().reals(real, fake, random_for(real), NOW) is real


def test_no_real_is_left_where_p_is_one() -> None:
    real, fake = pairs()
    assert torch.equal(AdaptivePseudo(start=1).reals(real, fake, random_for(real), NOW), fake)


@pytest.mark.parametrize("shape", [(2,), (3, 4, 5)])
def test_a_real_is_replaced_whole_by_the_fake_of_its_place(shape: tuple[int, ...]) -> None:
    numbers = torch.arange(1.0, 401).view(-1, *[1] * len(shape)).expand(-1, *shape)
    shown = AdaptivePseudo(start=0.3).reals(numbers, -numbers, random_for(numbers), NOW)
    assert torch.equal(shown.abs(), numbers)
    replaced = (shown < 0).flatten(1)
    assert torch.equal(replaced.any(1), replaced.all(1))
    assert float(replaced.float().mean()) == pytest.approx(0.3, abs=0.07)


def test_no_gradient_reaches_the_fakes_shown_as_reals() -> None:
    real, fake = pairs()
    real.requires_grad_()
    AdaptivePseudo(start=0.5).reals(real, fake, random_for(real), NOW).sum().backward()
    assert fake.grad is None
    assert real.grad is not None
    assert 0 < float(real.grad.mean()) < 1


def test_reals_keep_their_type() -> None:
    real, fake = torch.ones(8, 2, dtype=torch.bfloat16), torch.zeros(8, 2)
    shown = AdaptivePseudo(start=1).reals(real, fake, random_for(real), NOW)
    assert shown.dtype == torch.bfloat16
    assert not shown.any()


def test_samples_pass_through_untouched() -> None:
    real, _ = pairs()
    assert AdaptivePseudo(start=1)(real, random_for(real), NOW) is real
    assert AdaptivePseudo().reads_signs


# ----------------------------------------------------------------------------- the controller


def feed(controller: SignController, logits: Tensor, updates: int) -> None:
    for _ in range(updates):
        controller.observe(logits, len(logits))


@pytest.mark.parametrize("kind", [AdaptiveAugmentation, AdaptivePseudo])
def test_half_a_million_reals_of_positive_logits_raise_p_by_one(
    kind: type[AdaptiveAugmentation] | type[AdaptivePseudo],
) -> None:
    augmentation = kind()
    for _ in range(500_000 // 2500):
        augmentation.observe(torch.ones(2500), 2500)
    assert augmentation.controller.p == 1
    augmentation.observe(torch.ones(2500), 2500)
    assert augmentation.probability(NOW) == 1


def test_p_moves_every_fourth_update_by_the_images_since() -> None:
    controller = SignController()
    seen = []
    for _ in range(9):
        controller.observe(torch.ones(50), 50)
        seen.append(controller.p)
    assert seen == pytest.approx([0, 0, 0, 4e-4, 4e-4, 4e-4, 4e-4, 8e-4, 8e-4])


def test_p_does_not_fall_below_zero_but_rises_above_one() -> None:
    controller = SignController(kimg=0.1, every=1)
    feed(controller, -torch.ones(50), 3)
    assert controller.p == 0
    feed(controller, torch.ones(50), 5)
    assert controller.p == 2.5
    feed(controller, -torch.ones(50), 2)
    assert controller.p == 1.5


@pytest.mark.parametrize(("positive", "p"), [(85, 1.1), (75, 0.9), (80, 1.0)])
def test_p_follows_the_mean_sign_against_the_target(positive: int, p: float) -> None:
    logits = torch.cat([torch.full((positive,), 9.0), torch.full((100 - positive,), -0.1)])
    controller = SignController(target=0.6, kimg=1, every=1, start=1)
    controller.observe(logits, 100)
    assert controller.p == pytest.approx(p)


def test_updates_count_by_their_images() -> None:
    controller = SignController(target=0.0, kimg=1, every=2, start=1)
    controller.observe(-torch.ones(10), 10)
    controller.observe(torch.ones(30), 30)
    assert controller.p == pytest.approx(1.04)


def test_images_that_share_a_logit_count_all() -> None:
    controller = SignController(kimg=1, every=1)
    controller.observe(torch.ones(10), 40)
    assert controller.p == pytest.approx(0.04)


def test_logits_that_are_not_numbers_have_no_sign() -> None:
    controller = SignController(target=0.0, kimg=1, every=1, start=1)
    controller.observe(torch.tensor([float("nan"), -1.0]), 2)
    assert controller.p == pytest.approx(0.998)


@pytest.mark.parametrize("at", range(1, 9))
def test_a_saved_state_goes_on_as_if_nothing_had_happened(at: int) -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 32, generator=random) + 0.9
    undisturbed = SignController(kimg=1)
    for row in logits[:at]:
        undisturbed.observe(row, 32)
    resumed = SignController(kimg=1, start=0.7)
    assert resumed.p == 0.7
    resumed.load_state_dict(undisturbed.state_dict())
    for row in logits[at:]:
        undisturbed.observe(row, 32)
        resumed.observe(row, 32)
        assert resumed.p == undisturbed.p
    assert resumed.p > 0


def test_no_precision_of_the_model_rounds_the_state() -> None:
    controller = SignController(kimg=1, start=0.123456789)
    feed(controller, torch.ones(37), 3)
    state = {name: value.clone() for name, value in controller.state_dict().items()}
    controller.to(torch.bfloat16)
    assert set(state) == {"trillionths", "signs", "scored", "images", "updates"}
    assert all(torch.equal(state[name], value) for name, value in controller.state_dict().items())
    controller.observe(torch.ones(37), 37)
    assert controller.p == pytest.approx(0.123456789 + 0.148)


# -------------------------------------------------------------------------------- composition


def test_a_composition_passes_reals_and_signs_on() -> None:
    pseudo = AdaptivePseudo(kimg=1, every=1)
    both = Augmentations([InstanceNoise(0.1), pseudo])
    assert both.reads_signs
    assert not Augmentations([InstanceNoise(0.1)]).reads_signs
    real, fake = pairs()
    both.observe(torch.ones(1000), 1000)
    assert pseudo.controller.p == 1
    assert torch.equal(both.reals(real, fake, random_for(real), NOW), fake)
    assert "parts.1.controller.trillionths" in both.state_dict()


def test_an_empty_composition_does_nothing() -> None:
    real, fake = pairs()
    nothing = Augmentations([])
    assert nothing(real, random_for(real), NOW) is real
    assert nothing.reals(real, fake, random_for(real), NOW) is real


def test_two_parts_that_answer_to_the_same_signs_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="AdaptivePseudo and AdaptiveAugmentation"):
        Augmentations([AdaptivePseudo(), AdaptiveAugmentation()])
    scheduled = AdaptiveAugmentation(schedule=LinearCurve(0, 1, 10))
    assert Augmentations([AdaptivePseudo(), scheduled]).reads_signs


# -------------------------------------------------------------------------- several processes


def uneven_logits() -> Tensor:
    """Rows of 16 logits; the two halves of most rows would move p in different directions."""
    random = torch.Generator().manual_seed(0)
    return torch.randn(22, 16, generator=random) + torch.linspace(0.3, 2, 16)


def history(controller: SignController, logits: Tensor, images: int) -> list[tuple[float, int]]:
    found = []
    for row in logits:
        controller.observe(row, images)
        found.append((controller.p, int(controller.signs)))
    return found


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    own = uneven_logits()[:, 8 * rank : 8 * rank + 8]
    torch.save(history(SignController(kimg=1), own, 16), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_have_the_p_of_one_bit_for_bit(tmp_path: Path) -> None:
    mp.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    theirs = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    alone = history(SignController(kimg=1), uneven_logits(), 16)
    assert theirs == [alone, alone]
    assert len({p for p, _ in alone}) > 2
