"""Every objective, built, and what its losses are compared by."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import scored
from torch import Tensor
from zoo import own

from lightning_gan.objectives import (
    BEGAN,
    EBGAN,
    MultiHinge,
    NonSaturating,
    Objective,
    TopK,
    Unrolled,
)

ELSEWHERE = {
    MultiHinge: "judges by features and labels, so that logits alone do not do",
    Unrolled: "needs a discriminator whose steps it foresees",
}
"""Objectives whose losses are no function of logits, and why; they have test files of their own."""


OBJECTIVES = [kind for kind in own(Objective) if kind not in ELSEWHERE]


for_every_objective = pytest.mark.parametrize("kind", OBJECTIVES)


for_both_players = pytest.mark.parametrize("player", ["discriminator", "generator"])


def built(kind: type[Any]) -> Objective:
    """An objective with what it needs around it or a state that tells."""
    if kind is TopK:
        return TopK(NonSaturating(), share=0.5)
    if kind is EBGAN:
        return EBGAN(margin=1, pull_away=0)
    objective: Objective = kind()
    if isinstance(objective, BEGAN):
        objective.k.fill_(0.25)
    return objective


def loss_of(objective: Objective, r: Tensor, f: Tensor, player: str) -> Tensor:
    loss: Tensor = getattr(objective, f"{player}_loss")(scored(r, f))
    return loss


def same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-9, atol=1e-12)
