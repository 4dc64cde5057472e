"""Optimizers whose steps can be foreseen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from lightning_gan.training.optimizers import GANAdam

Rule = Callable[[Iterable[Tensor]], Optimizer]


RULES: dict[str, Rule] = {
    "descent": lambda p: SGD(p, lr=0.3),
    "adam": lambda p: GANAdam(p, lr=0.02),
    "adam with a large eps": lambda p: Adam(p, lr=0.1, betas=(0.9, 0.99), eps=0.01),
}


for_every_rule = pytest.mark.parametrize("rule", RULES)


def state(*parts: nn.Module | Optimizer) -> list[Any]:
    return copy.deepcopy([part.state_dict() for part in parts])


def same(one: Any, other: Any) -> bool:
    """Whether nested values are equal bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, Tensor) else bool(one == other)
