"""MultiHinge: a hinge over the classes of the data and "generated"."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import composition, distance, fit, points_gan, step_of, weights
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import MultiHinge
from lightning_gan.objectives.multi_hinge import multi_hinge
from lightning_gan.training.schedule import PLAYERS, PerBatch, PlayerName
from lightning_gan.training.step import Step

CLASSES, FEATURES = 3, 5


def attached(**arguments: Any) -> MultiHinge:
    """The objective in a model of three classes, in double precision."""
    torch.manual_seed(2)
    objective = MultiHinge(**arguments)
    composition(
        generator=MLPGenerator(2, 0, width=4, depth=1, num_classes=CLASSES),
        discriminator=MLPDiscriminator(2, 0, width=FEATURES, depth=1),
        objective=objective,
    ).attach()
    return objective.double()


def featured(real: Tensor, fake: Tensor, labels: Tensor) -> Step:
    """A step of rows (N, 1 + F), each a logit and the features behind it."""
    return step_of(real, fake, lambda rows, _: (rows[:, 0], rows[:, 1:]), labels=labels)


def random_featured(count: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    rows = 2 * torch.randn(2, count, 1 + FEATURES, dtype=torch.float64)
    return rows[0], rows[1], torch.arange(count) % CLASSES


def loss_of(objective: MultiHinge, player: PlayerName, step: Step) -> float:
    return float(getattr(objective, f"{player}_loss")(step).detach())


def hinge_of(outputs: np.ndarray, target: int) -> float:
    """The multi-class hinge of one sample, from its definition."""
    best_of_the_rest = max(o for j, o in enumerate(outputs) if j != target)
    return max(0.0, 1 - outputs[target] + best_of_the_rest)


def outputs_of(objective: MultiHinge, row: Tensor) -> np.ndarray:
    """The scores of the classes, and minus the logit as that of "generated"."""
    weight, bias = (p.detach().numpy() for p in objective.classes.parameters())
    classes = [weight[c] @ row[1:].numpy() + bias[c] for c in range(CLASSES)]
    return np.array([*classes, -float(row[0])])


@pytest.mark.parametrize("target", [0, 2, 3])
@pytest.mark.parametrize("level", [-4.0, 0.0, 7.5])
def test_equal_outputs_cost_one(level: float, target: int) -> None:
    cost = multi_hinge(torch.full((5, 4), level), torch.full((5,), target))
    assert cost.tolist() == [1] * 5


@pytest.mark.parametrize(
    ("lead", "cost"), [(3.0, 0.0), (1.0, 0.0), (0.25, 0.75), (0.0, 1.0), (-2.0, 3.0)]
)
def test_a_lead_of_one_over_the_next_best_is_enough(lead: float, cost: float) -> None:
    outputs = torch.tensor([[-9.0, 2.0, 2.0 + lead, 1.0]])
    assert multi_hinge(outputs, torch.tensor([2])).tolist() == [cost]


def test_the_hinge_equals_the_reference_and_ignores_a_constant() -> None:
    outputs, targets = 2 * torch.randn(40, 4, dtype=torch.float64), torch.arange(40) % 4
    expected = [hinge_of(o.numpy(), int(t)) for o, t in zip(outputs, targets, strict=True)]
    found = multi_hinge(outputs, targets)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert min(expected) == 0 < max(expected)
    np.testing.assert_allclose(multi_hinge(outputs + 3, targets).numpy(), expected, rtol=1e-9)


def test_the_gradient_pushes_the_target_up_and_its_best_rival_down() -> None:
    outputs = torch.tensor([[0.0, 1.0, 0.5, 3.0], [5.0, 0.0, 0.0, 0.0]], requires_grad=True)
    multi_hinge(outputs, torch.tensor([1, 0])).sum().backward()
    assert outputs.grad is not None
    assert outputs.grad.tolist() == [[0, -1, 0, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize("generator_weight", [0.05, 2.0])
def test_an_undecided_discriminator_pays_one_for_each_kind(generator_weight: float) -> None:
    objective = attached(generator_weight=generator_weight)
    for parameter in objective.classes.parameters():
        parameter.detach().zero_()
    real, fake, labels = random_featured()
    real[:, 0] = fake[:, 0] = 0  # as "generated" scores minus the logit
    step = featured(real, fake, labels)
    assert loss_of(objective, "discriminator", step) == 2
    assert loss_of(objective, "generator", step) == pytest.approx(generator_weight)


def test_both_losses_equal_a_reference_sample_by_sample() -> None:
    objective, (real, fake, labels) = attached(generator_weight=0.7), random_featured()
    kinds = [int(label) for label in labels]
    of_reals = [hinge_of(outputs_of(objective, x), y) for x, y in zip(real, kinds, strict=True)]
    caught = [hinge_of(outputs_of(objective, x), CLASSES) for x in fake]
    of_fakes = [hinge_of(outputs_of(objective, x), y) for x, y in zip(fake, kinds, strict=True)]
    step = featured(real, fake, labels)
    expected = {
        "discriminator": np.mean(of_reals) + np.mean(caught),
        "generator": 0.7 * np.mean(of_fakes),
    }
    for player in PLAYERS:
        found = loss_of(objective, player, step)
        assert found == pytest.approx(expected[player], rel=1e-12)


def test_generated_is_a_class_of_its_own_behind_those_of_the_data() -> None:
    # and no label of the data: fakes of class 2 are caught as class 3
    objective = attached()
    fake = torch.zeros(1, 1 + FEATURES, dtype=torch.float64)
    fake[0, 0] = -50
    step = featured(fake, fake, torch.tensor([CLASSES - 1]))
    real_only = loss_of(objective, "discriminator", step)
    assert real_only == pytest.approx(hinge_of(outputs_of(objective, fake[0]), CLASSES - 1))
    assert real_only > 45
    assert loss_of(objective, "generator", step) == pytest.approx(0.05 * real_only)


def test_the_rows_of_a_batch_do_not_know_each_other() -> None:
    objective, (real, fake, labels) = attached(), random_featured(8)
    assert not objective.paired
    assert not objective.looks_across
    for player in PLAYERS:
        pieces = [
            loss_of(objective, player, featured(real[i::2], fake[i::2], labels[i::2]))
            for i in range(2)
        ]
        whole = loss_of(objective, player, featured(real, fake, labels))
        assert whole == pytest.approx(np.mean(pieces), rel=1e-12)


def test_the_generator_reads_no_reals_and_cannot_fall_below_zero() -> None:
    objective, (real, fake, labels) = attached(), random_featured()
    step = featured(real, fake, labels)
    unread = replace(step, real_output=None)
    assert torch.equal(objective.generator_loss(unread), objective.generator_loss(step))
    assert not objective.relative
    fake[:, 0] = 1e6
    fake[:, 1:] = 1e6 * torch.linalg.pinv(objective.classes.weight.detach())[:, 0]
    best = featured(real, fake, torch.zeros_like(labels))
    assert loss_of(objective, "generator", best) == 0
    assert not objective.unbounded


def test_its_logits_mean_no_probability_and_have_no_sign_by_themselves() -> None:
    # a real sample needs to lead in its class; whether its logit is above zero decides nothing
    objective, (real, fake, labels) = attached(), random_featured()
    assert objective.probability(real[:, 0], fake[:, 0]) is None
    assert not objective.has_sign
    raised = [rows.clone() for rows in (real, fake)]
    for rows in raised:
        rows[:, 0] -= 5
    objective.classes.bias.detach().add_(5)
    after = loss_of(objective, "discriminator", featured(*raised, labels))
    objective.classes.bias.detach().sub_(5)
    before = loss_of(objective, "discriminator", featured(real, fake, labels))
    assert after == pytest.approx(before, rel=1e-12)


def test_gradients_equal_finite_differences() -> None:
    objective, (real, fake, labels) = attached(), random_featured(4)
    real.requires_grad_(), fake.requires_grad_()
    for player in PLAYERS:
        loss = getattr(objective, f"{player}_loss")
        assert torch.autograd.gradcheck(
            lambda r, f, loss=loss: loss(featured(r, f, labels)) + 0 * r.sum(), (real, fake)
        )


@pytest.mark.parametrize("level", [-1e4, 1e4])
def test_extreme_logits_give_finite_losses_and_gradients_in_float32(level: float) -> None:
    objective = attached().float()
    rows = torch.full((4, 1 + FEATURES), level, requires_grad=True)
    for player in PLAYERS:
        loss = getattr(objective, f"{player}_loss")(featured(rows, rows, torch.arange(4) % 3))
        (gradient,) = torch.autograd.grad(loss, rows)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_the_hinge_keeps_the_precision_of_logits_under_autocast() -> None:
    # in bfloat16 a logit of 1.001 is 1
    objective = attached(generator_weight=1).float()
    for parameter in objective.classes.parameters():
        parameter.detach().zero_()
    rows = torch.zeros(2, 1 + FEATURES)
    rows[:, 0] = 1.001
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective.discriminator_loss(featured(rows, rows, torch.tensor([0, 1])))
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(1 + 2.001, abs=1e-6)


def test_the_scores_of_classes_learn_with_the_discriminator_alone() -> None:
    moved, generators = {}, {}
    for name, alternation in (("with", PerBatch(1, 1)), ("without", PerBatch(2, 1))):
        torch.manual_seed(1)
        conditional = MLPGenerator(2, 0, width=8, depth=2, num_classes=CLASSES)
        gan = points_gan(
            MultiHinge(),
            generator=conditional,
            alternation=alternation,
            discriminator_optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
        )
        classes = {n for n in weights(gan) if n.startswith("objective.classes")}
        before = weights(gan)
        fit(gan, 1)
        after = weights(gan)
        moved[name] = {n: after[n] for n in classes}
        generators[name] = weights(conditional)
        assert all(not torch.equal(before[n], after[n]) for n in classes)
        assert len(classes) == 2
    # in a batch after which the generator does not move they end at the same weights
    assert distance(generators["with"], generators["without"]) > 0
    assert distance(moved["with"], moved["without"]) == 0


@pytest.mark.parametrize("weight", [0.0, -0.05])
def test_the_generator_needs_a_share(weight: float) -> None:
    with pytest.raises(ConfigurationError, match=rf"generator_weight={weight} must be above 0"):
        MultiHinge(weight)
