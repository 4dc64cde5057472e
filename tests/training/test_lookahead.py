"""The steps of an optimizer as functions, which Unrolled looks ahead with."""

from __future__ import annotations

import pytest
import torch
from optimizer_rules import RULES, Rule, for_every_rule, same, state
from torch import nn
from torch.optim import SGD, Adam

from lightning_gan.errors import ConfigurationError
from lightning_gan.training.optimizers import step_after


@for_every_rule
@pytest.mark.parametrize("before", [0, 3])
def test_the_weights_ahead_equal_the_optimizers_own(rule: str, before: int) -> None:
    torch.manual_seed(0)
    weights = {name: nn.Parameter(torch.randn(4, dtype=torch.float64)) for name in "ab"}
    optimizer = RULES[rule](weights.values())
    gradients = torch.randn(before + 6, 2, 4, dtype=torch.float64)
    gradients[:, 1, 0] = 0  # one weight never gets a gradient

    def move(step: int) -> None:
        for weight, gradient in zip(weights.values(), gradients[step], strict=True):
            weight.grad = gradient.clone()
        optimizer.step()

    for step in range(before):
        move(step)
    kept = state(optimizer)
    ahead = {name: weight.detach().clone() for name, weight in weights.items()}
    foresee = step_after(optimizer, dict(weights))
    futures = []
    for step in range(before, before + 6):
        ahead = foresee(ahead, list(gradients[step]))
        futures.append(ahead)
    assert same(kept, state(optimizer))
    for step, future in enumerate(futures, before):
        move(step)
        for name, weight in weights.items():
            assert (future[name] - weight).abs().max() < 1e-12


@pytest.mark.parametrize("before", [0, 2])
def test_each_call_foresees_one_more_step_and_each_look_begins_anew(before: int) -> None:
    weight = nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer, gradient = Adam([weight], lr=0.1), torch.tensor([1.0, -2.0, 0.5]).double()
    for _ in range(before):
        weight.grad = gradient
        optimizer.step()
    now = {"w": weight.detach()}
    looks = [step_after(optimizer, {"w": weight}) for _ in range(2)]
    once = [look(now, [gradient])["w"] for look in looks]
    assert torch.equal(*once)
    twice = looks[0](now, [-gradient])["w"]
    assert not torch.allclose(twice, 2 * now["w"] - once[1])  # with the moments of the first


def test_groups_have_rates_of_their_own() -> None:
    slow, fast, still = (nn.Parameter(torch.ones(2)) for _ in range(3))
    optimizer = SGD([{"params": [slow], "lr": 0.1}, {"params": [fast], "lr": 1.0}])
    look = step_after(optimizer, {"slow": slow, "fast": fast, "still": still})
    ahead = look({"slow": slow, "fast": fast, "still": still}, [torch.ones(2)] * 3)
    found = {name: weight.tolist() for name, weight in ahead.items()}
    assert found["slow"] == pytest.approx([0.9, 0.9])
    assert (found["fast"], found["still"]) == ([0, 0], [1, 1])


@pytest.mark.parametrize(
    "make",
    [
        lambda p: SGD(p, lr=0.1, momentum=0.9),
        lambda p: SGD(p, lr=0.1, weight_decay=0.1),
        lambda p: SGD(p, lr=0.1, maximize=True),
        lambda p: Adam(p, amsgrad=True),
        lambda p: Adam(p, maximize=True),
        lambda p: Adam(p, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p),
        lambda p: torch.optim.RMSprop(p),
    ],
)
def test_an_optimizer_that_cannot_be_foreseen_is_refused(make: Rule) -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = make([weight])
    expected = rf"but not {type(optimizer).__name__} as it is set: take GANAdam"
    with pytest.raises(ConfigurationError, match=expected):
        step_after(optimizer, {"w": weight})
