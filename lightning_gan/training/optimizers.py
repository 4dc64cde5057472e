"""Adam with the defaults that GANs want."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class GANAdam(torch.optim.Adam):
    """Adam as DCGAN uses it (Radford et al. 2016): a lower rate and less momentum than usual.

    A class rather than a call with keywords, so that a configuration file can name it and change
    one value only.

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate.
        betas: Decay of the averages of the gradient and of its square.
        eps: Added to the denominator.
        weight_decay: Factor of the L2 penalty.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def correct_for_laziness(optimizer: torch.optim.Optimizer, every: int) -> None:
    r"""Adapts Adam to a penalty that is due at every k-th update only.

    With c = k / (k + 1) the rate becomes c times, and each decay is raised to the power c (Karras
    et al. 2020, appendix B); other optimizers stay as they are.

    Args:
        optimizer: The optimizer, before its first step.
        every: k; 1 changes nothing.
    """
    if every == 1:
        return
    share = every / (every + 1)
    for group in optimizer.param_groups:
        if "betas" in group:
            group["lr"] *= share
            group["betas"] = tuple(beta**share for beta in group["betas"])
