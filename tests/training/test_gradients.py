"""Gradients of the last update are forgotten, in an optimizer's own way where it has one."""

from __future__ import annotations

import torch
from torch import nn

from lightning_gan.training.optimizers import drop_gradients


class Noting(torch.optim.SGD):
    """Does something of its own when gradients are forgotten."""

    noted = 0

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.noted += 1
        super().zero_grad(set_to_none)


def layer() -> nn.Linear:
    """A layer with gradients."""
    made = nn.Linear(2, 1)
    made(torch.ones(1, 2)).sum().backward()
    return made


def test_gradients_are_forgotten() -> None:
    network = layer()
    drop_gradients(torch.optim.RMSprop(network.parameters()))
    assert all(weight.grad is None for weight in network.parameters())


def test_an_optimizer_that_forgets_them_in_its_own_way_does_so() -> None:
    network = layer()
    optimizer = Noting(network.parameters(), lr=0.1)
    drop_gradients(optimizer)
    assert optimizer.noted == 1
    assert all(weight.grad is None for weight in network.parameters())
