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
