"""Objectives that sort a batch: the reals out of the fakes, or one sample out of all."""

import torch
from torch import Tensor

from lightning_gan.objectives.base import Objective
from lightning_gan.training.step import Step


def _against(chosen: Tensor, others: Tensor) -> Tensor:
    """Mean cross-entropy of telling each of ``chosen`` (N,) from all of ``others`` (M,)."""
    logits = torch.cat([chosen[:, None], others.expand(len(chosen), -1)], dim=1)
    return (logits.logsumexp(dim=1) - chosen).mean()


class DualContrastive(Objective):
    r"""Tells each real from all fakes, and each fake from all reals.

    .. math:: L_D = \mathbb{E}_i\,\mathrm{CE}([r_i, f_1 \dots f_B] \to 0)
              + \mathbb{E}_i\,\mathrm{CE}([-f_i, -r_1 \dots -r_B] \to 0)

    and the generator's with reals and fakes exchanged (Yu et al. 2021, Eq. 5 and 6). The value
    depends on the size B of the batch, which is that over all processes.
    """

    looks_across = True
    generator_reads = ("real", "fake")

    def discriminator_loss(self, step: Step) -> Tensor:
        """Both cross-entropies."""
        real, fake = step.gather(step.real_logits), step.gather(step.fake_logits)
        return _against(real, fake) + _against(-fake, -real)

    def generator_loss(self, step: Step) -> Tensor:
        """Both with reals and fakes exchanged."""
        real, fake = step.gather(step.real_logits), step.gather(step.fake_logits)
        return _against(fake, real) + _against(-real, -fake)


class SoftmaxGAN(Objective):
    r"""Shares out one unit of probability over the batch: to the reals, or to all alike.

    .. math:: L_D = Z - \mathbb{E}\,r, \quad L_G = Z - \tfrac12(\mathbb{E}\,r + \mathbb{E}\,f),
              \quad Z = \log\Big(\sum_i e^{r_i} + \sum_i e^{f_i}\Big)

    (Lin 2017, whose energies are minus our logits.) The batch is that of all processes.
    """

    looks_across = True
    generator_reads = ("real", "fake")

    def discriminator_loss(self, step: Step) -> Tensor:
        """Cross-entropy to the distribution that is uniform on the reals."""
        real, fake = step.gather(step.real_logits), step.gather(step.fake_logits)
        return torch.cat([real, fake]).logsumexp(dim=0) - real.mean()

    def generator_loss(self, step: Step) -> Tensor:
        """Cross-entropy to the distribution that is uniform on all samples."""
        both = torch.cat([step.gather(step.real_logits), step.gather(step.fake_logits)])
        return both.logsumexp(dim=0) - both.mean()
