"""The steps of an optimizer as functions that gradients pass through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from lightning_gan.errors import ConfigurationError

Weights = dict[str, Tensor]
Step = Callable[[Weights, Sequence[Tensor]], Weights]


def step_after(optimizer: Optimizer, parameters: Weights) -> Step:
    """What the optimizer would do next, again and again, from its present state.

    Args:
        optimizer: Adam without decay, or SGD without momentum; it minimises and is not changed.
        parameters: Its parameters by name; those that it does not move rest.

    Returns:
        A function from weights and gradients to new weights, to be called once for each step.

    Raises:
        ConfigurationError: If the optimizer is of another kind.
    """
    groups = {p: group for group in optimizer.param_groups for p in group["params"]}
    plain = not any(
        group.get(option)
        for group in optimizer.param_groups
        for option in ("weight_decay", "momentum", "amsgrad", "maximize")
    )
    if not plain or not isinstance(optimizer, (Adam, SGD)):
        raise ConfigurationError(
            "Unrolled can foresee Adam without weight decay and SGD without momentum, but not "
            f"{type(optimizer).__name__} as it is set: take GANAdam for the discriminator."
        )
    rules: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
    for name, parameter in parameters.items():
        group = groups.get(parameter)
        if group is None:
            rules[name] = _rest
        elif isinstance(optimizer, Adam):
            rules[name] = _AdamAhead(group, optimizer.state.get(parameter, {}))
        else:
            rules[name] = _descent(group["lr"])

    def step(weights: Weights, gradients: Sequence[Tensor]) -> Weights:
        return {
            name: rules[name](weight, gradient)
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }

    return step


def _rest(weight: Tensor, gradient: Tensor) -> Tensor:
    return weight


def _descent(rate: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda weight, gradient: weight - rate * gradient


class _AdamAhead:
    """Adam's steps for one weight (Kingma & Ba 2015, Algorithm 1), out of place."""

    def __init__(self, group: dict[str, Any], state: dict[str, Any]) -> None:
        self.rate, (self.beta1, self.beta2), self.eps = group["lr"], group["betas"], group["eps"]
        self.count = int(state.get("step", 0))
        self.first: Tensor | float = state["exp_avg"].detach() if state else 0.0
        self.second: Tensor | float = state["exp_avg_sq"].detach() if state else 0.0

    def __call__(self, weight: Tensor, gradient: Tensor) -> Tensor:
        self.count += 1
        self.first = self.beta1 * self.first + (1 - self.beta1) * gradient
        self.second = self.beta2 * self.second + (1 - self.beta2) * gradient.square()
        mean = self.first / (1 - self.beta1**self.count)
        square = self.second / (1 - self.beta2**self.count)
        # The root of zero has no slope; what is added is far below eps.
        step: Tensor = self.rate * mean / (torch.sqrt(square + 1e-30) + self.eps)
        return weight - step
