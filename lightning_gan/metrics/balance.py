"""The balance of the two players, as the discriminator's outputs show it."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_gan.errors import ConfigurationError
from lightning_gan.metrics.exact import ExactMetric

GROUPS = ("score_real", "score_fake", "d_real", "d_fake")


class DiscriminatorBalance(ExactMetric):
    """Mean, spread and accuracy of the discriminator on reals and on fakes.

    ``compute`` gives float64 scalars: ``gan/score_real``, ``gan/score_fake`` (means of the
    logits), ``gan/score_real_std``, ``gan/score_fake_std`` (over all samples, divided by N),
    ``gan/acc_real`` and ``gan/acc_fake`` (share on the right side of 1/2, of 0 where there are
    only logits; a tie counts half), and, where the objective gives probabilities, ``gan/d_real``
    and ``gan/d_fake`` with their ``_std``. At the equilibrium of the minimax game all
    probabilities are 1/2, pointwise (Goodfellow et al. 2014, Prop. 1): means of 1/2 are
    necessary, not sufficient, hence the spreads.

    Sums over all samples of all processes are kept in one float64 tensor, so that one reduction
    gives means that are right for batches of any size; an update waits for no device.
    """

    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        # one row per group: count, sum, sum of squares, hits
        self.add_state("sums", torch.zeros(4, 4, dtype=torch.float64), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_probability: Tensor | None = None,
        fake_probability: Tensor | None = None,
    ) -> None:
        """Adds one forward pass.

        Args:
            real_logits: Logits of real images, any shape.
            fake_logits: Logits of generated images, any shape.
            real_probability: Their probabilities of being real, where the objective has any.
            fake_probability: Likewise for the generated ones.

        Raises:
            ConfigurationError: If only one of the two probabilities is given.
        """
        if (real_probability is None) != (fake_probability is None):
            raise ConfigurationError(
                "Probabilities were given for one of reals and fakes only: give both or none."
            )
        rows = [self._row(real_logits, 0.0, 1), self._row(fake_logits, 0.0, -1)]
        if real_probability is not None and fake_probability is not None:
            rows += [self._row(real_probability, 0.5, 1), self._row(fake_probability, 0.5, -1)]
        self.sums[: len(rows)] += torch.stack(rows)

    def _row(self, values: Tensor, threshold: float, side: int) -> Tensor:
        values = values.detach().to(self.sums.device).double().flatten()
        hits = ((values - threshold).sign() * side + 1).sum() / 2
        count = torch.full_like(hits, values.numel())
        return torch.stack([count, values.sum(), values.square().sum(), hits])

    def compute(self) -> dict[str, Tensor]:
        """The values under ``gan/``; NaN before the first update."""
        count, total, squares, hits = self.sums.T
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        judged = bool(count[2] > 0)  # by probabilities, where there are any
        values = {}
        for row, name in enumerate(GROUPS if judged else GROUPS[:2]):
            values[f"gan/{name}"], values[f"gan/{name}_std"] = mean[row], std[row]
        accuracy = (hits / count)[2:] if judged else (hits / count)[:2]
        values["gan/acc_real"], values["gan/acc_fake"] = accuracy
        return values
